//! The outline of a network: its stages and blocks with their shapes, parameters and costs.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Answer, BlockId, ReceptiveField, Wiring};

/// The structure of a network from input to output: shapes, parameters and FLOPs, but no values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    /// Kind of network and its size, such as `resnet-20 residual, width 16`.
    pub name: String,
    /// Shape of one input: `[channels, height, width]`, or the inputs of a graph in three sides. Several inputs are one row of
    /// all their values.
    pub input: Vec<usize>,
    /// Number of classes, or of the values of an answer that are no classes.
    pub classes: usize,
    /// What the network answers with. In JSON it is left out where that is one class a sample.
    #[serde(default, skip_serializing_if = "Answer::is_default")]
    pub answer: Answer,
    /// Whether the network predicts words of the text that it reads, such as the next one. Its score is then the perplexity.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_language_model: bool,
    /// Number of trainable parameters. Running statistics of normalizations do not count.
    pub parameters: u64,
    /// Floating-point operations of one sample: two for each multiply-add. Normalizations and activations do not count.
    pub flops: u64,
    /// Number of trainable parameters before the first stage.
    pub stem_parameters: u64,
    /// Number of trainable parameters after the last stage.
    pub head_parameters: u64,
    /// The stages in order. Read from a file, every block has the name of its place.
    #[serde(deserialize_with = "stages_in_order")]
    pub stages: Vec<StageOutline>,
}

/// Reads stages whose blocks have the names of their places.
fn stages_in_order<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<StageOutline>, D::Error> {
    let stages = Vec::<StageOutline>::deserialize(deserializer)?;
    for (stage, outline) in stages.iter().enumerate() {
        for (block, found) in outline.blocks.iter().enumerate() {
            let expected = BlockId { stage, block };
            if found.id != expected {
                return Err(D::Error::custom(format!("'{}' in the place of {expected}", found.id)));
            }
        }
    }
    Ok(stages)
}

/// The outline of a stage, a run of blocks of the same dimensionality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageOutline {
    /// Name: `stage1`, `stage2`, and so on.
    pub name: String,
    /// Shape of its estimates, the channels first: `[channels, height, width]`, or of a graph any number of sides.
    pub shape: Vec<usize>,
    /// The blocks in order.
    pub blocks: Vec<BlockOutline>,
}

/// The outline of a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockOutline {
    /// Stage and position of the block. In JSON the key is `name` and the value such as `stage1.block2`.
    #[serde(rename = "name")]
    pub id: BlockId,
    /// Name of the block in the network's own file, such as `encoder.layer.0.attention`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// How the block combines its new value with its input.
    pub wiring: Wiring,
    /// Layers of the body, such as `3x3 16 · 3x3 16`.
    pub body: String,
    /// What the skip connection computes.
    pub shortcut: Shortcut,
    /// Number of trainable parameters. Parameters shared with an earlier block count there.
    pub parameters: u64,
    /// Floating-point operations of one sample: two for each multiply-add.
    pub flops: u64,
    /// Receptive field of a unit of its estimate; `None` if the unit depends on the whole sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receptive_field: Option<ReceptiveField>,
    /// Why the block cannot be left out of a route; `None` if it can. In JSON the key is `fixed`. In the outline that the
    /// command `show` prints, it is why the block cannot be removed for good, which has further reasons: see
    /// `slim::removable`.
    #[serde(default, rename = "fixed", skip_serializing_if = "Option::is_none")]
    pub why_not_removable: Option<String>,
}

/// What the skip connection of a block computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortcut {
    /// The input, unchanged.
    Identity,
    /// The input, subsampled, with channels of zeros added (He et al. 2015, option A).
    ZeroPadding,
    /// A learned projection of the input (option B).
    Projection,
    /// Nothing: the block has no skip connection.
    None,
}

impl Shortcut {
    /// Returns the name in JSON and reports, such as `zero-padding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ZeroPadding => "zero-padding",
            Self::Projection => "projection",
            Self::None => "none",
        }
    }
}

impl Outline {
    /// Returns all blocks with their outlines, in order.
    pub fn blocks(&self) -> impl Iterator<Item = (BlockId, &BlockOutline)> {
        self.stages.iter().flat_map(|stage| &stage.blocks).map(|block| (block.id, block))
    }

    /// Returns the outline of one block.
    ///
    /// # Panics
    /// If the network has no such block.
    pub fn block(&self, id: BlockId) -> &BlockOutline {
        &self.stages[id.stage].blocks[id.block]
    }

    /// Returns whether the network has such a block.
    pub fn has_block(&self, id: BlockId) -> bool {
        self.stages.get(id.stage).is_some_and(|stage| id.block < stage.blocks.len())
    }

    /// Returns whether there are several stages, and every block is alone in its stage.
    pub fn are_blocks_alone(&self) -> bool {
        self.stages.len() > 1 && self.stages.iter().all(|stage| stage.blocks.len() == 1)
    }

    /// Returns the perplexity `exp(loss)` of a language model for a mean loss in nats; `None` for other networks.
    pub fn perplexity(&self, loss: f64) -> Option<f64> {
        self.is_language_model.then(|| loss.exp())
    }
}

impl BlockOutline {
    /// Whether the skip connection is the identity, so that the block's input and output can be compared unit by unit. A
    /// projection may keep the shape, but not the units.
    pub fn keeps_shape(&self) -> bool {
        self.shortcut == Shortcut::Identity
    }
}

impl StageOutline {
    /// Whether the skip connection of the first block is the identity, so that the input of the stage can be compared with its
    /// estimates.
    pub fn keeps_shape(&self) -> bool {
        self.blocks.first().is_some_and(BlockOutline::keeps_shape)
    }
}
