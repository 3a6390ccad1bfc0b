//! Renders a report as text, CSV, JSON, SVG and HTML. No renderer knows a measurement.

mod context;
mod csv;
mod data_table;
mod html;
mod json;
mod number;
mod prose;
mod svg;
mod text;

pub use csv::csv;
pub use data_table::{DataTable, DataValue, data_tables};
pub use html::html;
pub use json::json;
pub use number::{counted, separated, short};
pub use svg::{SvgOptions, Theme, figures, svg};
pub use text::text;

#[cfg(test)]
mod sample;
