//! Renders a report as text, CSV, JSON, SVG and HTML. No renderer knows a measurement.

mod context;
mod csv;
mod html;
mod json;
mod number;
mod prose;
mod svg;
mod text;

pub use csv::csv;
pub use html::html;
pub use json::json;
pub use number::{counted, separated, short};
pub use svg::{SvgOptions, Theme, figures, svg};
pub use text::text;

#[cfg(test)]
mod sample;
