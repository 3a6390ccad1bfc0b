//! The patches of the data that excite a filter most.

use serde::{Deserialize, Serialize};

use crate::float_json as exact;

/// One filter after one block (Figure 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patches {
    /// The channel, counted from 0; the same for all blocks of a stage.
    pub filter: usize,
    /// At most one a sample, the greatest activation first; of equal ones the earlier sample.
    pub patches: Vec<Patch>,
}

/// What a unit of the filter sees where it is excited most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// The sample's place in the data set, from 0.
    pub sample: usize,
    /// Its class.
    pub class: String,
    /// The unit's activation.
    #[serde(with = "exact")]
    pub activation: f32,
    /// Row of the unit in the estimate.
    pub row: usize,
    /// Its column.
    pub column: usize,
    /// First row of the sample that the unit sees. Padding does not count.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[channels, height, width]` of that part, not normalized. In the report alone: whoever has the data can cut it
    /// out.
    #[serde(skip)]
    pub pixels: Vec<u8>,
}
