//! A figure with its legend and its data.

use maud::{Markup, PreEscaped, html as markup};

use super::{Page, csv_link, escape, key, network_name, words};
use crate::report::render::csv::figure_csv;
use crate::report::render::prose;
use crate::report::render::svg::{self, Destination, Drawing, Entry};
use crate::report::section::{Figure, Panel, Section};

/// The width of the page's column in pixels; charts are drawn for it.
const WIDTH: f64 = 912.0;
/// The least scale of a wide chart. In a narrower window it scrolls.
const MIN_SCALE: f64 = 0.86;
/// A panel up to this width shrinks to fit any window.
const NARROW: f64 = 460.0;

/// Returns the share of the column that a panel takes. It is rounded down, so that as many panels fit in a row in print.
fn share(width: f64) -> String {
    format!("{:.1}%", 100.0 * width / WIDTH - 0.05)
}

impl Page<'_> {
    pub(super) fn figure(&mut self, section: &Section, figure: &Figure) -> Markup {
        if figure.panels.is_empty() {
            return Markup::default();
        }
        let file = self.files.name(&figure.name);
        let panels = svg::panels(figure, WIDTH, self.names, Destination::Page);
        let notes = svg::notes(figure, &panels).join(" ");
        let csv = figure_csv(figure, self.names);
        let title = prose::plain(if figure.title.is_empty() { &section.title } else { &figure.title });
        let network = self.hidden_with(figure.panels.iter().map(Panel::network));
        markup! {
            figure data-n=[network] data-file=(file) {
                @if !figure.title.is_empty() || !figure.about.is_empty() {
                    figcaption {
                        @if !figure.title.is_empty() { h3 { (words(&figure.title)) } }
                        @for paragraph in &figure.about { p { (words(paragraph)) } }
                    }
                }
                (self.legend(&svg::legend(figure, self.names)))
                div.panels {
                    @for (panel, drawn) in figure.panels.iter().zip(&panels) {
                        (self.panel(panel, drawn, &title))
                    }
                }
                @if !notes.is_empty() { p.note { (notes) } }
                div.tools { @if !csv.is_empty() { (csv_link(&file, &csv, &title)) } }
            }
        }
    }

    fn panel(&self, panel: &Panel, drawn: &Drawing, title: &str) -> Markup {
        let Drawing { size: [width, height], body, description, .. } = drawn;
        let least = if *width <= NARROW { 0.0 } else { MIN_SCALE * width };
        let label = format!("{title}: {description}");
        let kind = match panel {
            Panel::HeatMap(_) => "panel heat",
            _ => "panel",
        };
        let network = self.hidden_with([panel.network()]);
        let drawing = format!(
            "<svg class=\"{kind}\" viewBox=\"0 0 {width:.0} {height:.0}\" style=\"min-width:{least:.0}px\" role=\"group\" \
             aria-label=\"{}\" font-size=\"12\">\n{body}</svg>",
            escape(&label),
        );
        markup! {
            div.scroll data-n=[network] style={ "flex-basis:" (format!("{width:.0}")) "px;--share:" (share(*width)) } tabindex="0" role="region" aria-label=(label) {
                (PreEscaped(drawing))
            }
        }
    }

    /// Returns the one network that all parts belong to; `None` if there are several, or the report is on one network.
    fn hidden_with(&self, networks: impl IntoIterator<Item = Option<usize>>) -> Option<usize> {
        let mut networks = networks.into_iter();
        let first = networks.next()??;
        (self.names.are_several() && networks.all(|network| network == Some(first))).then_some(first)
    }

    fn legend(&self, entries: &[Entry]) -> Markup {
        markup! {
            @if !entries.is_empty() {
                ul.legend {
                    @for entry in entries {
                        li data-n=[entry.network] { (key(&svg::key(entry, Destination::Page))) (network_name(&prose::plain(&entry.label))) }
                    }
                }
            }
        }
    }
}
