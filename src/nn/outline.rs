//! What a network is made of.

use serde::{Deserialize, Serialize};

use super::{BlockId, Wiring};

/// What a network is made of, from input to output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    /// The kind of network and its size, such as `resnet-20 residual, width 16`.
    pub name: String,
    /// Shape of one input, `[channels, height, width]`.
    pub input: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
    /// Whether samples are words of a text, each answered by the next: the score is then the perplexity.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_language_model: bool,
    /// Trained parameters, all of them; running statistics of normalizations do not count.
    pub parameters: u64,
    /// Multiply-adds of one sample times two, normalizations and activations left out.
    pub flops: u64,
    /// Parameters of what stands before the first stage.
    pub stem_parameters: u64,
    /// Parameters of what stands after the last stage.
    pub head_parameters: u64,
    /// The stages in order.
    pub stages: Vec<StageOutline>,
}

/// A run of blocks of the same dimensionality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageOutline {
    /// `stage1`, `stage2`, …
    pub name: String,
    /// Shape of the estimate after each of its blocks, `[channels, height, width]`.
    pub shape: Vec<usize>,
    /// The blocks in order.
    pub blocks: Vec<BlockOutline>,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockOutline {
    /// Its stage and its place there; in JSON the key `name` with a value such as `stage1.block2`.
    #[serde(rename = "name")]
    pub id: BlockId,
    /// The name that the network's own file has for the block, such as `encoder.layer.0.attention`; absent where it has
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// How the new value and the input are combined.
    pub wiring: Wiring,
    /// The layers of the body, such as `3x3 16 · 3x3 16`.
    pub body: String,
    /// What stands on the skip connection.
    pub shortcut: Skip,
    /// Trained parameters. Parameters shared with an earlier block count there.
    pub parameters: u64,
    /// Multiply-adds of one sample times two.
    pub flops: u64,
    /// What a unit of its estimate sees of a sample; absent where it sees all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receptive_field: Option<ReceptiveField>,
    /// Why the block cannot be left out, or, as `show` has it, not for good; absent where it can be. In JSON the key
    /// `fixed`.
    #[serde(default, rename = "fixed", skip_serializing_if = "Option::is_none")]
    pub why_not_removable: Option<String>,
}

/// What stands on the skip connection of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// The input as it is.
    Identity,
    /// The input, subsampled, with channels of zeros added.
    ZeroPadding,
    /// A learned projection of the input.
    Projection,
    /// Nothing: the block changes the shape and has no shortcut.
    None,
}

impl Skip {
    /// The name in JSON and reports, such as `zero-padding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ZeroPadding => "zero-padding",
            Self::Projection => "projection",
            Self::None => "none",
        }
    }
}

/// The rows of a sample that a unit sees: one in row `i` sees `size` rows from `start + i·jump` on, as far as the sample
/// has them. Of its columns the same holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceptiveField {
    /// Rows.
    pub size: usize,
    /// Rows of the sample between two neighbouring units.
    pub jump: usize,
    /// First row that the unit in row 0 sees; below 0 it is padding.
    pub start: isize,
}

impl ReceptiveField {
    /// A pixel sees itself.
    pub const PIXEL: Self = Self { size: 1, jump: 1, start: 0 };

    /// Of the units that a window of this size, stride and padding makes of units with this field: it grows by
    /// `(size - 1)·jump`, and the jump by the factor `stride`.
    #[must_use]
    pub fn through(self, size: usize, stride: usize, padding: usize) -> Self {
        Self {
            size: self.size + (size - 1) * self.jump,
            jump: self.jump * stride,
            start: self.start - (padding * self.jump) as isize,
        }
    }

    /// Of the sum of two paths with the same jump: all that either sees.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let end = |field: Self| field.start + field.size as isize;
        let start = self.start.min(other.start);
        Self { size: (end(self).max(end(other)) - start) as usize, start, ..self }
    }

    /// The first row that the unit in row `i` sees, counting padding.
    pub fn first(self, i: usize) -> isize {
        self.start + (i * self.jump) as isize
    }

    /// The rows, of so many, that the unit in row `i` sees.
    pub fn rows(self, i: usize, rows: usize) -> std::ops::Range<usize> {
        let within = |row: isize| row.clamp(0, rows as isize) as usize;
        within(self.first(i))..within(self.first(i) + self.size as isize)
    }
}

impl Outline {
    /// All blocks with their outlines, in order.
    pub fn blocks(&self) -> impl Iterator<Item = (BlockId, &BlockOutline)> {
        self.stages.iter().flat_map(|stage| &stage.blocks).map(|block| (block.id, block))
    }

    /// The outline of one block.
    pub fn block(&self, id: BlockId) -> &BlockOutline {
        &self.stages[id.stage].blocks[id.block]
    }

    /// The perplexity, `exp(loss)`, of a language model with that loss, nats; of other networks none.
    pub fn perplexity(&self, loss: f64) -> Option<f64> {
        self.is_language_model.then(|| loss.exp())
    }
}

impl BlockOutline {
    /// The block's name, such as `stage1.block2`.
    pub fn name(&self) -> &'static str {
        // Leaked: the old report borrows names; it goes with the next commits.
        Box::leak(self.id.to_string().into_boxed_str())
    }

    /// Whether the estimate has the shape of what entered, so that the two can be compared unit by unit.
    pub fn keeps_shape(&self) -> bool {
        self.shortcut == Skip::Identity
    }
}

impl StageOutline {
    /// Whether what enters the stage has the shape of its estimates.
    pub fn keeps_shape(&self) -> bool {
        self.blocks.first().is_some_and(BlockOutline::keeps_shape)
    }
}
