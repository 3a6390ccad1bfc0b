//! Charts, heat maps, pictures and network drawings as SVG.
//!
//! One function draws each kind of panel. Its destination decides whether colours are variables of the page's style sheet
//! or literals of a standalone file.

mod axes;
mod chart;
mod figure;
mod heat_map;
mod marks;
mod measure;
mod network;
mod paint;
mod pictures;
mod place;
mod scale;
mod style;
mod words;
mod writer;

pub use paint::Theme;

pub(super) use chart::Drawing;
pub(super) use figure::{KEY, key, legend, network_key, notes, panels};
pub(super) use paint::Destination;
pub(super) use style::Entry;
pub(super) use writer::escape;

use super::context::{Names, UniqueNames};
use crate::report::section::{Figure, Report};

/// Options of figures that are standalone files.
#[derive(Clone, Debug, PartialEq)]
pub struct SvgOptions {
    /// The font families, as in CSS.
    pub font: String,
    /// The width of a figure in pixels, with its margins. A width outside of [`SvgOptions::WIDTHS`] becomes the nearest one in
    /// it. Panels stand side by side where they fit.
    pub width: f64,
    /// The colours.
    pub theme: Theme,
}

impl SvgOptions {
    /// The widths that a figure can have, in pixels.
    pub const WIDTHS: std::ops::RangeInclusive<u32> = 200..=4_000;
}

impl Default for SvgOptions {
    fn default() -> Self {
        Self { font: "Helvetica, Arial, DejaVu Sans, sans-serif".into(), width: 936.0, theme: Theme::Light }
    }
}

/// Returns a file name and an SVG document for every figure of the report. Figures of one name are numbered.
pub fn figures(report: &Report, options: &SvgOptions) -> Vec<(String, String)> {
    let names = Names::of(report);
    let mut files = UniqueNames::default();
    let figures =
        report.sections.iter().flat_map(|section| &section.figures).filter(|figure| !figure.panels.is_empty());
    figures.map(|figure| (files.name(&figure.name) + ".svg", figure::file(figure, &names, options))).collect()
}

/// Returns a figure of the report as an SVG document.
pub fn svg(report: &Report, figure: &Figure, options: &SvgOptions) -> String {
    figure::file(figure, &Names::of(report), options)
}

#[cfg(test)]
mod tests;
