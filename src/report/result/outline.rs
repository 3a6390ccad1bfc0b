//! What a network is made of.

use serde::{Deserialize, Serialize};

/// What a network is made of, from input to output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    /// The kind of network and its size, such as `resnet-20 residual, width 16`.
    pub name: String,
    /// Shape of one input, `[channels, height, width]`.
    pub input: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
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
    /// `stage1.block2`.
    pub name: String,
    /// Wiring: `plain`, `residual`, `highway`, `full`, `t-only`, `c-only`.
    pub wiring: String,
    /// The layers of the body, such as `3x3 16 · 3x3 16`.
    pub body: String,
    /// What stands on the skip: `identity`, `zero-padding`, `projection` or `none`.
    pub shortcut: String,
    /// Trained parameters. Parameters shared with an earlier block count there.
    pub parameters: u64,
    /// Multiply-adds of one sample times two.
    pub flops: u64,
    /// Why the block cannot be left out; absent where it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
}

impl BlockOutline {
    /// Whether the estimate has the shape of what entered, so that the two can be compared unit by unit.
    pub fn keeps_shape(&self) -> bool {
        self.shortcut == "identity"
    }
}

impl StageOutline {
    /// Whether what enters the stage has the shape of its estimates.
    pub fn keeps_shape(&self) -> bool {
        self.blocks.first().is_some_and(BlockOutline::keeps_shape)
    }
}
