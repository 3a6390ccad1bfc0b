//! Cuts a graph at its blocks into parts that can run on their own.

use std::sync::Arc;

use super::ParseResult;
use super::find_blocks::BlockMatch;
use super::flops;
use super::linked_graph::Graph;
use super::program::Program;
use super::subgraph::Subgraph;
use crate::text::excerpt;

/// A part of a graph: computes values from one value.
#[derive(Clone)]
pub(super) struct Part {
    /// The value that enters; `None` for the stem, which takes the inputs of the graph.
    pub from: Option<usize>,
    /// The values that leave.
    pub to: Vec<usize>,
    /// Values that the part needs besides, which the stem computes.
    pub side_inputs: Vec<usize>,
    /// The same part for the kernels; `None` where the engine of graphs computes it.
    pub program: Option<Arc<Program>>,
}

/// A graph cut into stem, blocks, what stands between them, and head.
pub(super) struct Partition {
    pub stem: Part,
    /// What stands before each block; `None` where the block takes the output of the block before.
    pub enters: Vec<Option<Part>>,
    pub head: Part,
    pub blocks: Vec<BlockMatch>,
    /// Blocks of each stage, where a caller says so; empty otherwise.
    pub counts: Vec<usize>,
    /// The value that the head computes.
    pub output: usize,
}

impl Partition {
    /// Cuts a graph at its blocks, and checks that every part can run from the value that enters it and from values that
    /// are computed before the first block.
    pub(super) fn new(graph: &Graph, output: usize, blocks: Vec<BlockMatch>) -> ParseResult<Self> {
        let first = blocks[0].input;
        let dependents = Dependents::new(graph, first);
        let part = |from: usize, to: Vec<usize>| Part::new(graph, &dependents, from, to);
        let mut enters = vec![None];
        for pair in blocks.windows(2) {
            let (before, after) = (pair[0].output, pair[1].input);
            enters.push(if before == after { None } else { Some(part(before, vec![after])?) });
        }
        let head = part(blocks[blocks.len() - 1].output, vec![output])?;
        let bodies: ParseResult<Vec<Part>> = blocks.iter().map(|b| part(b.input, vec![b.output])).collect();
        let after_sums: ParseResult<Vec<Part>> = blocks.iter().map(|b| part(b.sum, vec![b.output])).collect();
        let (bodies, after_sums) = (bodies?, after_sums?);
        let all = bodies.iter().chain(&after_sums).chain(enters.iter().flatten()).chain([&head]);
        let mut side_inputs: Vec<usize> = all.flat_map(|part| part.side_inputs.iter().copied()).collect();
        side_inputs.sort_unstable();
        side_inputs.dedup();
        let to = std::iter::once(first).chain(side_inputs).collect();
        let stem = Part { from: None, to, side_inputs: Vec::new(), program: None };
        Ok(Self { stem, enters, head, blocks, counts: Vec::new(), output })
    }

    /// Returns the values whose shapes the outline needs.
    pub(super) fn values_with_shapes(&self, graph: &Graph) -> Vec<usize> {
        let skips = self.blocks.iter().filter_map(|b| b.skip.as_ref());
        let terms = skips.flat_map(|s| [s.h, s.transform, s.carry, Some(s.shortcut)]).flatten();
        let ends = self.blocks.iter().flat_map(|b| [b.input, b.sum, b.output]);
        let transposed = graph.nodes.iter().filter(|node| node.op == "Transpose");
        let transposed = transposed.filter_map(|node| node.inputs.first().copied().flatten());
        let transposed = transposed.filter(|&value| !graph.values[value].is_constant);
        let counted = flops::values_with_shapes(graph).chain(transposed);
        let mut all: Vec<usize> = terms.chain(ends).chain(counted).chain(self.head.to.clone()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Part {
    /// Makes the part from one value to others. Its side inputs must not be, or depend on, the value that enters the first
    /// block.
    pub(super) fn new(graph: &Graph, dependents: &Dependents, from: usize, to: Vec<usize>) -> ParseResult<Self> {
        let part = Subgraph::between(graph, from, &to);
        for &value in &part.side_inputs {
            if dependents.contains(value) {
                let consumer = part.nodes.iter().find(|&&n| graph.nodes[n].present_inputs().any(|v| v == value));
                let consumer = consumer.map_or_else(|| "the output".into(), |&node| graph.describe_node(node));
                return Err(format!(
                    "cannot be cut: {consumer} takes '{}' from within the blocks before it, around '{}'",
                    excerpt(&graph.values[value].name),
                    excerpt(&graph.values[from].name)
                ));
            }
        }
        Ok(Self { from: Some(from), to, side_inputs: part.side_inputs, program: None })
    }
}

/// A value, and all values that depend on it, and not on its shape alone.
pub(super) struct Dependents(Vec<bool>);

impl Dependents {
    /// Finds the values that depend on one value.
    pub(super) fn new(graph: &Graph, from: usize) -> Self {
        let mut depends = vec![false; graph.values.len()];
        depends[from] = true;
        for node in &graph.nodes {
            let passes_values = !matches!(node.op.as_str(), "Shape" | "Size");
            if passes_values && node.present_inputs().any(|input| depends[input]) {
                node.outputs.iter().for_each(|&output| depends[output] = true);
            }
        }
        Self(depends)
    }

    fn contains(&self, value: usize) -> bool {
        self.0[value]
    }
}
