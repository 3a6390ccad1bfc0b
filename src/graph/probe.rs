//! Runs a graph once for the shapes of its values, and leaves out the blocks whose values have shapes that cannot be used.

use std::collections::HashMap;

use rten::Value;

use super::ParseResult;
use super::assemble;
use super::build::read_inputs;
use super::engine::{Engine, from_floats, shape_of};
use super::find_blocks::{self, BlockMatch};
use super::free_sides::FreeSides;
use super::linked_graph::Graph;
use super::network::GraphInput;
use super::partition::Partition;
use super::post_dominators::PostDominators;
use super::views::viewed;
use crate::random::{Purpose, normal, stream};

/// Shapes of values in a run of one batch.
pub(super) type Shapes = HashMap<usize, Vec<usize>>;

/// A partition whose blocks can all be used, and the run that showed it.
pub(super) struct UsablePartition {
    pub partition: Partition,
    /// Why blocks were left out.
    pub reasons: Vec<String>,
    pub inputs: Vec<GraphInput>,
    pub batch: Option<usize>,
    pub shapes: Shapes,
}

/// Runs the graph for its shapes. Where blocks were found and not given, blocks that cannot be used are left out, and
/// blocks are found again without them: the nodes of the former become part of what stands between.
pub(super) fn usable_partition(
    graph: &Graph,
    engine: &Engine,
    given: &[Vec<usize>],
    mut partition: Partition,
) -> ParseResult<UsablePartition> {
    let output = partition.output;
    let (mut excluded, mut reasons) = (Vec::new(), Vec::new());
    loop {
        let (inputs, batch, shapes) = probe(graph, engine, given, &partition)?;
        let why = |block: &BlockMatch| assemble::why_not_usable(graph, &shapes, batch.unwrap_or(2), block);
        let is_given = !partition.counts.is_empty();
        if is_given || partition.blocks.iter().all(|block| why(block).is_none()) {
            return Ok(UsablePartition { partition, reasons, inputs, batch, shapes });
        }
        // A view after the sum may fold the batch for what follows: it is no part of the block then.
        let shortened = |block: BlockMatch| {
            let before = |&value: &usize| viewed(graph, value).filter(|_| value != block.sum);
            let outputs = std::iter::successors(Some(block.output), before);
            let mut shorter = outputs.map(|output| BlockMatch { output, ..block.clone() });
            shorter.find(|block| why(block).is_none()).unwrap_or(block)
        };
        let blocks = partition.blocks.into_iter().map(shortened);
        let (mut usable, unusable): (Vec<BlockMatch>, Vec<BlockMatch>) = blocks.partition(|block| why(block).is_none());
        if !unusable.is_empty() {
            reasons.extend(unusable.iter().filter_map(why));
            excluded.extend(unusable.iter().map(|block| block.sum));
            usable = find_blocks::find_blocks(graph, output, &excluded).map_err(|_| reasons[0].clone())?.0;
        }
        partition = Partition::new(graph, output, usable)?;
    }
}

/// Runs the whole graph for its shapes. Returns the inputs, the batch where it is fixed, and the shapes.
///
/// Sizes of sides that neither the file nor `given` sets are tried until the graph runs. A graph whose inputs have a free
/// batch may still contain the batch that it was exported with.
fn probe(
    graph: &Graph,
    engine: &Engine,
    given: &[Vec<usize>],
    partition: &Partition,
) -> ParseResult<(Vec<GraphInput>, Option<usize>, Shapes)> {
    let mut first_error = None;
    for free in FreeSides::candidates(graph) {
        let (inputs, batch) = read_inputs(graph, given, &free)?;
        for samples in batch.map_or(vec![2, 1], |batch| vec![batch]) {
            match run_for_shapes(graph, engine, &inputs, samples, partition) {
                Ok(shapes) => return Ok((inputs, batch.or((samples == 1).then_some(1)), shapes)),
                Err(why) => _ = first_error.get_or_insert(why),
            }
        }
    }
    Err(first_error.unwrap_or_default())
}

/// Runs the whole graph on one batch and returns the shapes of the values that the outline needs.
fn run_for_shapes(
    graph: &Graph,
    engine: &Engine,
    inputs: &[GraphInput],
    batch: usize,
    partition: &Partition,
) -> ParseResult<Shapes> {
    let mut rng = stream(0, Purpose::SelfCheck, &[]);
    let given = inputs.iter().zip(&graph.inputs).map(|(input, &value)| {
        let shape: Vec<usize> = std::iter::once(batch).chain(input.shape.iter().copied()).collect();
        // Every vocabulary has a word 1, and a mask of ones hides no position.
        let values = (0..shape.iter().product()).map(|_| if input.is_integer { 1.0 } else { normal(&mut rng) });
        Ok((value, from_floats(&shape, values.collect(), input.is_integer)?))
    });
    let given: Vec<(usize, Value)> = given.collect::<ParseResult<_>>()?;
    let given: Vec<_> = given.iter().map(|(value, array)| (*value, array.into())).collect();
    let dominators = PostDominators::new(graph, partition.output);
    let mut needed = partition.values_with_shapes(graph);
    needed.retain(|&value| dominators.reaches_output(value));
    let values = engine.run(graph, &given, &needed)?;
    Ok(needed.into_iter().zip(values.iter().map(shape_of)).collect())
}
