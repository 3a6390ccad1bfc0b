//! What a report is made of: sections of sentences, tables and figures, as data without markup.
//!
//! A measurement builds a [`Section`]; every renderer (text, CSV, JSON, HTML, SVG) draws it. No renderer knows a
//! measurement.
//!
//! Text is plain text. Formulas stand in backticks, `_x` or `_(k-1)` after a letter is a subscript: "the step
//! `a_k - a_(k-1)`".

mod build;

use serde::{Deserialize, Serialize};

use crate::nn::{BlockId, Outline};

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

/// A figure: panels that belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Names the figure's SVG file: lower case, words joined by `-`.
    pub name: String,
    /// The heading; may be empty where the section's heading says it.
    pub title: String,
    /// Paragraphs: what is drawn, and how to read it.
    pub about: Vec<String>,
    /// The panels, side by side where there is room.
    pub panels: Vec<Panel>,
    /// Whether all charts have the scale of y, and all heat maps the scale of colours, that fits all of them.
    pub shares_y: bool,
}

/// One drawing with its own axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Panel {
    /// Series over axes.
    Chart(Chart),
    /// A matrix of colours.
    HeatMap(HeatMap),
    /// Rows of small pictures.
    Pictures(Pictures),
    /// A network from stem to head.
    Network(NetworkDrawing),
}

/// Series over two axes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Chart {
    /// The heading, such as `stage1`; may be empty.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, the first at the back.
    pub series: Vec<Series>,
    /// Horizontal lines with a name: chance, the whole network, zero.
    pub references: Vec<Reference>,
}

/// One axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What it is, with its unit: `accuracy, %`.
    pub label: String,
    /// How numbers become positions.
    pub scale: Scale,
}

/// How numbers become positions on an axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Scale {
    /// From the least to the greatest value that is drawn.
    #[default]
    Linear,
    /// The same, with these values included: zero, or both ends of a share.
    Including(Vec<f64>),
    /// Exactly these ends.
    Between(f64, f64),
    /// Logarithmic; values that are not positive are left out.
    Logarithmic,
    /// The blocks of one outline. The value of block `n` of the network, counted from 0, is `n`. Borders are drawn between
    /// stages, and ticks are named `stage1.block2`.
    Blocks(Vec<BlockId>),
    /// Relative depth, from 0 (the network's first block) to 1 (its last): for networks that differ in depth.
    RelativeDepth,
    /// Names; the value of the first is 0.
    Categories(Vec<String>),
}

/// A horizontal line with a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Where it is.
    #[serde(with = "crate::float_json")]
    pub y: f64,
    /// What it is, such as `chance`.
    pub label: String,
    /// The place of the network that it belongs to.
    pub network: Option<usize>,
}

/// Points that belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What the points are; the legend shows it where a chart has several.
    pub name: String,
    /// The place of the network that the series belongs to; it decides the colour, and the page can hide it.
    pub network: Option<usize>,
    /// How the points are drawn.
    pub mark: Mark,
    /// The points, by growing `x`. A line is interrupted where a point is not finite and between stages.
    pub points: Vec<Point>,
}

/// How the points of a series are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// A symbol for every point, whiskers for its interval.
    #[default]
    Points,
    /// Symbols joined by lines.
    Line,
    /// A dashed line without symbols: what is not measured but computed or compared with.
    Dashed,
    /// Bars from zero, or from the axis's lower end.
    Bars,
    /// Steps as wide as the distance between points: a histogram.
    Steps,
    /// The area between the ends of the intervals: a null model.
    Band,
}

/// One point of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Where it is on the horizontal axis.
    #[serde(with = "crate::float_json")]
    pub x: f64,
    /// Where it is on the vertical axis; NaN where there is no value.
    #[serde(with = "crate::float_json")]
    pub y: f64,
    /// The ends of its interval.
    #[serde(default, with = "crate::float_json")]
    pub range: Option<[f64; 2]>,
    /// The block that it is about: highlighted in all charts together.
    #[serde(default)]
    pub block: Option<BlockId>,
    /// What is said of it beside its values; may be empty.
    #[serde(default)]
    pub note: String,
}

/// A matrix of colours with a colour bar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeatMap {
    /// The heading; may be empty.
    pub title: String,
    /// What the columns are.
    pub x_label: String,
    /// What the rows are.
    pub y_label: String,
    /// Names of the columns; blocks are named `stage1.block2`.
    pub columns: Vec<String>,
    /// Names of the rows, the first at the top.
    pub rows: Vec<String>,
    /// What the colour is, with its unit.
    pub value_label: String,
    /// Whether colours go two ways from zero.
    pub is_diverging: bool,
    /// The ends of the colour scale; `None`: the least and the greatest value.
    pub ends: Option<[f64; 2]>,
    /// `[row][column]`; `None` where there is no value.
    #[serde(with = "crate::float_json")]
    pub values: Vec<Vec<Option<f64>>>,
    /// The place of the network that it belongs to; the page can hide it.
    #[serde(default)]
    pub network: Option<usize>,
}

/// Rows of small pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pictures {
    /// The heading; may be empty.
    pub title: String,
    /// Name of a row and its pictures. A name such as `stage1.block2` is highlighted with the block.
    pub rows: Vec<(String, Vec<Picture>)>,
    /// The place of the network that they belong to; the page can hide them.
    #[serde(default)]
    pub network: Option<usize>,
}

/// A small picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Its address: a `data:image/png;base64,` URI.
    pub uri: String,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// What it shows, for those who cannot see it.
    pub description: String,
}

/// A network from stem to head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkDrawing {
    /// The place of the network in the report.
    pub network: usize,
    /// Its outline.
    pub outline: Outline,
    /// Blocks that are left out.
    pub removed: Vec<BlockId>,
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
