//! What a report is made of: sections of sentences, tables and figures, as data without markup.
//!
//! A measurement builds a [`Section`]; every renderer (text, CSV, JSON, HTML, SVG) draws it. No renderer knows a
//! measurement.
//!
//! Text is plain text. Formulas stand in backticks, `_x` or `_(k-1)` after a letter is a subscript: "the step
//! `a_k - a_(k-1)`".

mod build;
mod figure;

pub use figure::*;

use serde::{Deserialize, Serialize};

use crate::nn::BlockId;

/// One part of a report, such as everything about one measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Names the section in links and file names: lower case, words joined by `-`.
    pub name: String,
    /// The heading.
    pub title: String,
    /// Paragraphs: what is measured, and how to read it.
    pub about: Vec<String>,
    /// Sentences about what was found.
    pub findings: Vec<Finding>,
    /// Charts, heat maps and pictures, in the order in which they are shown.
    pub figures: Vec<Figure>,
    /// Tables. A table holds every number that its figures draw.
    pub tables: Vec<Table>,
}

/// A sentence about one network, or about all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The place of the network in the report; `None` for a sentence about all.
    pub network: Option<usize>,
    /// The sentence.
    pub text: String,
}

/// Rows under typed columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Names the table's CSV file: lower case, words joined by `-`.
    pub name: String,
    /// What the table holds.
    pub title: String,
    /// What a row is about.
    pub key: RowKey,
    /// The columns. The first ones name the row.
    pub columns: Vec<Column>,
    /// `[row][column]`.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that the terminal shows; the other renderers show all. `None`: all.
    pub brief_rows: Option<usize>,
}

/// What a row of a table is about. Tables with the same key are joined in the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowKey {
    /// A block: the first column holds [`Cell::Block`].
    Block,
    /// A stage.
    Stage,
    /// A network.
    Network,
    /// Something else.
    #[default]
    Other,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Names the column in CSV files, with its unit: `loss_cost_nats`. The half width of an interval gets a column of its
    /// own, `NAME_ci95`, the ends of an interval `NAME_low` and `NAME_high`.
    pub name: String,
    /// The heading, with its unit: `cost, points`.
    pub heading: String,
    /// How numbers are shown.
    pub format: Format,
    /// Whether the terminal shows the column; the other renderers show all.
    pub is_brief: bool,
}

/// How a number is shown. CSV and JSON always have it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Words, aligned left.
    #[default]
    Text,
    /// A whole number with separators: `1,234`.
    Count,
    /// A fraction of 1 as a percentage: `97.31 %`.
    Percent,
    /// A fraction of 1 in percentage points: `-1.23`.
    Points,
    /// Four significant digits; very large and small numbers with an exponent.
    Real,
    /// Three decimals.
    Fixed3,
    /// Two decimals.
    Fixed2,
}

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    /// There is no such figure.
    #[default]
    Empty,
    /// Words.
    Text(String),
    /// A block.
    Block(BlockId),
    /// A number, which may be NaN or infinite.
    Number(#[serde(with = "crate::float_json")] f64),
    /// A number and the half width of its 95 % interval.
    Interval(#[serde(with = "crate::float_json")] f64, #[serde(with = "crate::float_json")] f64),
    /// A number and the ends of its 95 % interval.
    Range(#[serde(with = "crate::float_json")] f64, #[serde(with = "crate::float_json")] [f64; 2]),
}

/// Everything that is drawn on one page or printed at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The heading of the page.
    pub title: String,
    /// Paragraphs below it.
    pub intro: Vec<String>,
    /// Short names of the networks, in the order of the page; colours and hiding go by them.
    pub networks: Vec<String>,
    /// The sections in order; the first is an overview and has no heading.
    pub sections: Vec<Section>,
    /// What made the page, as names and values: command, version, date, machine, seconds.
    pub facts: Vec<(String, String)>,
}

impl Column {
    /// A column that the terminal shows too.
    pub fn new(name: &str, heading: &str, format: Format) -> Self {
        Self { name: name.into(), heading: heading.into(), format, is_brief: true }
    }

    /// The same column, not shown in the terminal.
    #[must_use]
    pub fn detail(self) -> Self {
        Self { is_brief: false, ..self }
    }
}
