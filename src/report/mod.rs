//! Results as typed data and their renderings: JSON (the types themselves), terminal, CSV and HTML.
//!
//! The room knows nothing of networks and reads and writes no file: every rendering is a string.

mod chart;
mod csv;
mod gauge;
mod html;
mod number;
mod result;
#[cfg(test)]
mod sample;
mod slimming;
mod summary;
mod table;
pub mod text;

pub use csv::csv;
pub use html::{html, slim_html};
pub use result::*;

/// One page about one network, or about several to compare.
#[derive(Clone, Debug)]
pub struct Report {
    /// Heading of the page.
    pub title: String,
    /// Paragraphs of plain text below it.
    pub intro: Vec<String>,
    /// The networks, in the order of the page.
    pub networks: Vec<Measurements>,
    /// What made the page, as names and values: command, version, date, machine, seconds.
    pub facts: Vec<(String, String)>,
}
