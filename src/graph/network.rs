//! A graph as a network: stem, stages of blocks and head are parts of the graph.

use std::path::PathBuf;
use std::sync::Arc;

use rten::Value;

use super::answer::AnswerReader;
use super::edit::Edit;
use super::engine::Engine;
use super::estimate_chunk::EstimateChunk;
use super::find_blocks::BlockMatch;
use super::layout::Layouts;
use super::linked_graph::Graph;
use super::partition::Part;
use super::probe::Shapes;
use crate::data::three_sides;
use crate::nn::{AnswerOptions, BlockId, Outline};
use crate::{Error, Result};

/// A network that is the graph of an ONNX file. It can be measured and slimmed, but not trained.
pub struct GraphNetwork {
    /// The blocks that the caller gave, where they were not found.
    pub(super) given_boundaries: Option<Vec<Vec<[String; 2]>>>,
    /// What the caller said of the answers, and how they are read.
    pub(super) answer_options: AnswerOptions,
    pub(super) answers: AnswerReader,
    /// The number of sums with a skip connection in the whole graph.
    pub(super) skip_count: usize,
    pub(super) path: PathBuf,
    pub(super) graph: Arc<Graph>,
    pub(super) engine: Arc<Engine>,
    /// Whether the engine fuses operations.
    pub(super) is_fused: bool,
    /// Whether the kernels compute it, from the first block to the last.
    pub(super) uses_kernels: bool,
    /// The blocks in order, by their values in the graph.
    pub(super) blocks: Arc<Vec<BlockMatch>>,
    /// Shapes of values in a run, and the number of samples of this run.
    pub(super) shapes: Arc<(Shapes, usize)>,
    /// What is removed from the file.
    pub(super) edit: Edit,
    pub(super) outline: Outline,
    pub(super) inputs: Vec<GraphInput>,
    /// The batch that the file fixes; `None` where it is free.
    pub(super) batch: Option<usize>,
    pub(super) layouts: Arc<Layouts>,
    /// Sums with a skip connection that could be blocks and cannot be used, with the reason of each.
    pub(super) left_out: Vec<String>,
    pub(super) parts: NetworkParts,
}

/// All parts of a network, in the order in which they are computed.
pub(super) struct NetworkParts {
    pub stem: Part,
    /// The end of the stem, where the kernels compute it and not what stands before.
    pub after_stem: Vec<Part>,
    pub stages: Vec<Stage>,
    /// What stands between the last block and the head.
    pub after_last_stage: Vec<Part>,
    pub head: Part,
}

/// Reasons that a summary gives for sums that are no blocks.
const MAX_REASONS: usize = 8;

const ALL_ALONE: &str = "every block is alone in its stage, so that none can be left out for good or change its place: \
something with layers stands between them; boundaries of your own can join it to a block\n";

/// An input of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphInput {
    /// Its name in the file.
    pub name: String,
    /// Its shape without the batch.
    pub shape: Vec<usize>,
    /// Whether it takes integers, such as tokens.
    pub is_integer: bool,
}

/// The parts of a stage.
pub(super) struct Stage {
    /// What stands before the first block, in order; empty where the first block takes the output of the stage before.
    pub enter: Vec<Part>,
    pub blocks: Vec<Block>,
}

/// The parts of a block.
#[derive(Clone)]
pub(super) struct Block {
    /// Computes the estimate.
    pub step: Part,
    /// Computes the estimate, and after it, where they exist, `h`, the transform gate and the carry gate.
    pub body: Part,
    /// The value that is the sum.
    pub sum: usize,
    pub has_h: bool,
    /// Whether the block has a transform gate and a carry gate.
    pub has_gates: [bool; 2],
    /// The shortcut; `None` for the identity.
    pub shortcut: Option<Part>,
    /// What follows the sum; `None` where the sum is the estimate.
    pub after_sum: Option<Part>,
    pub why_not_removable: Option<&'static str>,
}

/// An estimate of some samples, with the values that later blocks need besides.
#[derive(Clone)]
pub struct Activation {
    /// The estimate of each chunk of the samples.
    pub(super) chunks: Arc<Vec<EstimateChunk>>,
    /// Of each chunk the values that the stem computes and later parts need.
    pub(super) side_inputs: Arc<Vec<Vec<Value>>>,
    pub(super) samples: usize,
    /// Whether each position counts, `[samples, positions]`; `None` where all do.
    pub(super) mask: Option<Arc<Vec<bool>>>,
    /// The value of the graph that this estimate is used as.
    pub(super) value: usize,
}

impl GraphNetwork {
    /// Returns the inputs, in the order in which a sample holds their values.
    pub fn inputs(&self) -> &[GraphInput] {
        &self.inputs
    }

    /// Returns the blocks of every stage, as the names of the values that enter and leave each.
    pub fn boundaries(&self) -> Vec<Vec<[String; 2]>> {
        let name = |value: usize| self.graph.values[value].name.clone();
        let mut blocks = self.blocks.iter().map(|block| [name(block.input), name(block.output)]);
        self.parts.stages.iter().map(|stage| blocks.by_ref().take(stage.blocks.len()).collect()).collect()
    }

    /// Returns a text of several lines: what was found in the graph, which sums are no blocks and why, that it was checked, and
    /// what its answers are.
    pub fn summary(&self) -> String {
        let blocks: usize = self.parts.stages.iter().map(|stage| stage.blocks.len()).sum();
        let sums = match (&self.given_boundaries, self.skip_count.saturating_sub(blocks)) {
            (Some(_), _) => "blocks as they were given".to_owned(),
            (None, _) if !self.left_out.is_empty() => {
                format!("{blocks} of {} sums with a skip are blocks", self.skip_count)
            }
            (None, 0) if blocks == 1 => "1 sum with a skip, the block".to_owned(),
            (None, 0) => format!("{blocks} sums with a skip, all of them blocks"),
            (None, rest) => format!(
                "{blocks} of {} sums with a skip are blocks; {rest} lie inside these blocks or on other paths",
                blocks + rest
            ),
        };
        let side_inputs = match self.parts.stem.to.len() - 1 {
            0 => String::new(),
            count => format!("; values from before the blocks that they need: {count}"),
        };
        let mut left_out: String =
            self.left_out.iter().take(MAX_REASONS).map(|why| format!("no block: {why}\n")).collect();
        if let more @ 1.. = self.left_out.len().saturating_sub(MAX_REASONS) {
            left_out += &format!("and {more} more\n");
        }
        let kernels = if self.uses_kernels {
            "; the kernels of this program compute it, which agree with that within 1e-4"
        } else {
            ""
        };
        let alone = if self.outline.are_blocks_alone() { ALL_ALONE } else { "" };
        format!(
            "graph of {} nodes, {sums}{side_inputs}\n{left_out}{alone}block by block it computes what it computes as a whole, bit for bit{kernels}\n{}\n",
            self.graph.nodes.len(),
            self.answers.describe(&self.graph)
        )
    }

    /// Makes the network take inputs of these shapes, without the batch: dimensions that the file leaves free become
    /// theirs. An input that is one row takes samples of as many values too.
    ///
    /// # Errors
    /// [`Error::Shape`] for an input that takes other shapes.
    pub fn fit_inputs(&mut self, shapes: &[Vec<usize>]) -> Result<()> {
        let fits = |inputs: &[GraphInput]| {
            inputs.len() == shapes.len() && inputs.iter().zip(shapes).all(|(i, s)| i.shape == *s)
        };
        if fits(&self.inputs) {
            return Ok(());
        }
        if let ([input], [shape]) = (self.inputs.as_slice(), shapes)
            && input.shape == [shape.iter().product::<usize>()]
        {
            self.outline.input = three_sides(shape).to_vec();
            return Ok(());
        }
        let fitted = Self::open_with(&self.path, self.given_boundaries.as_deref(), shapes, &self.answer_options)?;
        if !fits(&fitted.inputs) {
            let place = fitted.inputs.iter().zip(shapes).position(|(i, s)| i.shape != *s).unwrap_or(0);
            let input = &fitted.inputs[place];
            let found = shapes.get(place).cloned().unwrap_or_default();
            return Err(Error::Shape {
                name: format!("input '{}' of a sample", input.name),
                found,
                expected: input.shape.clone(),
            });
        }
        *self = fitted;
        Ok(())
    }

    /// Makes an error that names the file.
    pub(super) fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::file(&self.path, what.to_string())
    }

    pub(super) fn block_at(&self, id: BlockId) -> &Block {
        &self.parts.stages[id.stage].blocks[id.block]
    }
}
