//! Figures as data: charts, heat maps, pictures and drawings of networks.

use serde::{Deserialize, Serialize};

use crate::nn::{BlockId, Outline};

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
    /// What it is, without its unit: `accuracy`.
    pub label: String,
    /// The unit of its values, such as `%`; empty where they have none.
    #[serde(default)]
    pub unit: String,
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
    /// What the colour is, without its unit.
    pub value_label: String,
    /// The unit of the values; empty where they have none.
    #[serde(default)]
    pub value_unit: String,
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
