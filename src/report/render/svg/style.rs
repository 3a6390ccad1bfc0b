//! Chooses colours and symbols of the series of a figure, and the entries of its legend.

use super::paint::Paint;
use crate::report::render::context::Names;
use crate::report::section::{Chart, Figure, Mark, Panel, Series};

/// Colour and symbol of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report::render) struct SeriesStyle {
    /// Its colour.
    pub(super) paint: Paint,
    /// The number of its symbol.
    pub(super) symbol: usize,
}

/// An entry of a legend.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report::render) struct Entry {
    /// What it is.
    pub(in crate::report::render) label: String,
    /// How it is drawn.
    pub(in crate::report::render) style: SeriesStyle,
    /// The kind of mark.
    pub(in crate::report::render) mark: Mark,
    /// The network that it stands for.
    pub(in crate::report::render) network: Option<usize>,
}

/// The names and networks of all series of a figure, so that its panels look alike.
#[derive(Clone, Debug)]
pub(in crate::report::render) struct SeriesStyles {
    /// Names of series, those of dashed lines and bands last.
    names: Vec<(String, Mark)>,
    networks: Vec<(usize, Mark)>,
    /// Whether colours distinguish networks and symbols distinguish series.
    is_by_network: bool,
}

impl SeriesStyles {
    /// Collects the series of a figure.
    pub(in crate::report::render) fn of(figure: &Figure, names: &Names) -> Self {
        let charts =
            figure.panels.iter().filter_map(|panel| if let Panel::Chart(chart) = panel { Some(chart) } else { None });
        let mut styles = Self { names: Vec::new(), networks: Vec::new(), is_by_network: names.are_several() };
        let mut series: Vec<(&Series, bool)> = charts
            .flat_map(|chart| {
                let has_several = has_several_names(chart, names);
                chart.series.iter().map(move |series| (series, has_several))
            })
            .collect();
        series.sort_by_key(|(series, _)| stands_back(series.mark));
        for (series, has_several) in series {
            if let Some(network) = series.network.filter(|_| styles.is_by_network)
                && styles.networks.iter().all(|(known, _)| *known != network)
            {
                styles.networks.push((network, series.mark));
            }
            let name = own_name(series, names);
            if has_several && !name.is_empty() && styles.names.iter().all(|(known, _)| known != name) {
                styles.names.push((name.into(), series.mark));
            }
        }
        styles.networks.sort_by_key(|(network, _)| *network);
        styles
    }

    /// Returns the style of a series.
    pub(super) fn style(&self, series: &Series, names: &Names) -> SeriesStyle {
        let name = own_name(series, names);
        let place = self.names.iter().position(|(known, _)| known == name);
        self.style_at(series.network, place, series.mark)
    }

    fn style_at(&self, network: Option<usize>, name: Option<usize>, mark: Mark) -> SeriesStyle {
        let name = name.unwrap_or(0);
        let is_alone = self.names.iter().filter(|(_, mark)| stands_back(*mark)).count() <= 1;
        match network {
            Some(place) if self.is_by_network => {
                let symbol = if self.names.len() > 1 { name } else { place };
                SeriesStyle { paint: Paint::Network(place), symbol }
            }
            None if self.is_by_network => SeriesStyle { paint: Paint::Muted, symbol: name },
            _ if stands_back(mark) && is_alone => SeriesStyle { paint: Paint::Muted, symbol: name },
            _ => SeriesStyle { paint: Paint::Network(name), symbol: name },
        }
    }

    /// Whether the legend names series.
    pub(super) fn are_several(&self) -> bool {
        self.names.len() > 1
    }

    /// Returns the entries of the legend; none if there is nothing to distinguish.
    pub(in crate::report::render) fn legend(&self, title: &str, names: &Names) -> Vec<Entry> {
        // The heading may name the only network already.
        let is_said = |place: usize| self.networks.len() == 1 && title.contains(names.network(place));
        let networks = self.networks.iter().filter(|(place, _)| !is_said(*place)).map(|&(place, mark)| {
            let style = self.style_at(Some(place), None, mark);
            let mark = if self.are_several() { Mark::Bars } else { mark };
            Entry { label: names.network(place).into(), style, mark, network: Some(place) }
        });
        let series = self.names.iter().enumerate().filter(|_| self.are_several()).map(|(place, (name, mark))| {
            let network = if self.is_by_network { None } else { Some(0) };
            let style = self.style_at(network, Some(place), *mark);
            Entry { label: name.clone(), style, mark: *mark, network: None }
        });
        networks.chain(series).collect()
    }
}

/// Whether the series of a chart differ in their names.
fn has_several_names(chart: &Chart, names: &Names) -> bool {
    let mut found = chart.series.iter().map(|series| own_name(series, names)).filter(|name| !name.is_empty());
    let first = found.next();
    found.any(|name| Some(name) != first)
}

/// Returns the name of a series; empty if it is that of its network.
fn own_name<'a>(series: &'a Series, names: &Names) -> &'a str {
    let is_network = series.network.is_some_and(|place| names.network(place) == series.name);
    if is_network { "" } else { &series.name }
}

/// Whether a mark shows a comparison and not a measurement. Such series get their colours last.
fn stands_back(mark: Mark) -> bool {
    matches!(mark, Mark::Dashed | Mark::Band)
}

/// Returns the path of a symbol around a point.
pub(super) fn symbol(which: usize, x: f64, y: f64, radius: f64) -> String {
    let at = |dx: f64, dy: f64| format!("{:.1} {:.1}", x + dx * radius, y + dy * radius);
    match which % 4 {
        0 => {
            let r = format!("{radius:.1}");
            format!("M{}a{r} {r} 0 1 0 {:.1} 0a{r} {r} 0 1 0 {:.1} 0Z", at(-1.0, 0.0), 2.0 * radius, -2.0 * radius)
        }
        1 => format!("M{}L{}L{}Z", at(0.0, -1.25), at(1.12, 0.8), at(-1.12, 0.8)),
        2 => format!("M{}L{}L{}L{}Z", at(-0.9, -0.9), at(0.9, -0.9), at(0.9, 0.9), at(-0.9, 0.9)),
        _ => format!("M{}L{}L{}L{}Z", at(0.0, -1.3), at(1.3, 0.0), at(0.0, 1.3), at(-1.3, 0.0)),
    }
}
