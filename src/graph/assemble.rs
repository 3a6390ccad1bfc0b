//! Makes stages and the outline of a graph that was cut, once the shapes of its values are known.

use std::path::Path;
use std::sync::Arc;

use super::ParseResult;
use super::answer::{AnswerReader, are_words};
use super::cost::CostCounter;
use super::edit::Edit;
use super::engine::Engine;
use super::find_blocks::BlockMatch;
use super::layers::describe_layers;
use super::layout::LayoutBuilder;
use super::linked_graph::Graph;
use super::network::{Block, GraphInput, GraphNetwork, NetworkParts, Stage};
use super::partition::{Dependents, Part, Partition};
use super::probe::Shapes;
use super::source_name::source_name;
use super::subgraph::Subgraph;
use super::views::is_view_of;
use crate::data::three_sides;
use crate::nn::{AnswerKind, AnswerOptions, BlockId, BlockOutline, Outline, Shortcut, StageOutline, Wiring};
use crate::text::excerpt;

const RESHAPES: &str = "it changes the shape, and no shortcut can be seen";
const BROADCASTS: &str = "its sum has another shape than its shortcut";

/// Builds stages block by block.
struct StageBuilder<'a> {
    graph: &'a Graph,
    shapes: &'a Shapes,
    /// Samples of the run in which the values had these shapes.
    samples: usize,
    /// The value that enters the first block, and those that depend on it.
    dependents: Dependents,
    counter: CostCounter,
    layouts: LayoutBuilder<'a>,
    stages: Vec<Stage>,
    outlines: Vec<StageOutline>,
    /// The sum of the first block of each stage.
    first_sums: Vec<usize>,
}

/// Makes the network of a graph that was cut.
pub(super) fn assemble(
    path: &Path,
    (graph, engine): (Graph, Engine),
    (inputs, batch): (Vec<GraphInput>, Option<usize>),
    partition: Partition,
    shapes: Shapes,
    options: &AnswerOptions,
) -> ParseResult<GraphNetwork> {
    let samples = batch.unwrap_or(2);
    let output = (partition.output, shapes[&partition.output].as_slice());
    let mut answers = AnswerReader::new(&graph, output, samples, options)?;
    let first = partition.blocks[0].input;
    let mut counter = CostCounter::default();
    let before: Vec<usize> = graph.values[first].producer.map_or(Vec::new(), |last| (0..=last).collect());
    let stem_parameters = counter.cost(&graph, &before, &shapes, samples).parameters;
    let mut builder = StageBuilder {
        graph: &graph,
        shapes: &shapes,
        samples,
        dependents: Dependents::new(&graph, first),
        counter,
        layouts: LayoutBuilder::new(&graph, &shapes),
        stages: Vec::new(),
        outlines: Vec::new(),
        first_sums: Vec::new(),
    };
    let starts = stage_starts(&partition.counts);
    for (place, (block, enter)) in partition.blocks.iter().zip(partition.enters).enumerate() {
        builder.add(block, enter, (!starts.is_empty()).then(|| starts.binary_search(&place).is_ok()))?;
    }
    let StageBuilder { counter, stages, mut outlines, layouts, first_sums, .. } = builder;
    let layouts = layouts.finish();
    outlines.iter_mut().zip(first_sums).for_each(|(outline, sum)| outline.shape = layouts.shape_of_group(sum));
    answers.find_mask(&inputs, &outlines, options.mask.as_deref())?;
    let all: Vec<usize> = (0..graph.nodes.len()).collect();
    let outline = Outline {
        name: name(path, &inputs, batch),
        input: sample_shape(&inputs),
        classes: answers.classes(),
        answer: answers.answer(),
        is_language_model: answers.answer().kind == AnswerKind::Classes && are_words(&graph, answers.classes()),
        parameters: 0,
        flops: 0,
        stem_parameters,
        head_parameters: 0,
        stages: outlines,
    };
    let outline = counter.complete(outline, &graph, &all, &shapes, samples);
    Ok(GraphNetwork {
        given_boundaries: None,
        answer_options: options.clone(),
        answers,
        skip_count: 0,
        path: path.to_owned(),
        graph: Arc::new(graph),
        engine: Arc::new(engine),
        is_fused: false,
        uses_kernels: false,
        blocks: Arc::new(partition.blocks),
        shapes: Arc::new((shapes, samples)),
        edit: Edit::default(),
        outline,
        inputs,
        batch,
        layouts: Arc::new(layouts),
        left_out: Vec::new(),
        parts: NetworkParts {
            stem: partition.stem,
            after_stem: Vec::new(),
            stages,
            after_last_stage: Vec::new(),
            head: partition.head,
        },
    })
}

/// Returns the first block of every stage, counted over all stages; empty where the counts are not known.
fn stage_starts(counts: &[usize]) -> Vec<usize> {
    let ends = counts.iter().scan(0, |end, count| {
        let start = *end;
        *end += count;
        Some(start)
    });
    ends.collect()
}

/// Returns the shape of a sample: that of its only input in three sides, or else one row of the values of all inputs.
fn sample_shape(inputs: &[GraphInput]) -> Vec<usize> {
    match inputs {
        [one] => three_sides(&one.shape).to_vec(),
        all => vec![1, 1, all.iter().map(|input| input.shape.iter().product::<usize>()).sum()],
    }
}

impl StageBuilder<'_> {
    /// Adds a block. It begins a stage where `starts_stage` says so; where that is `None`, it begins one where its output is
    /// no view of its input and something else, or where something stands before it.
    fn add(&mut self, block: &BlockMatch, enter: Option<Part>, starts_stage: Option<bool>) -> ParseResult<()> {
        let graph = self.graph;
        let shape = self.shapes.get(&block.output).cloned().unwrap_or_default();
        if let Some(why) = why_not_usable(graph, self.shapes, self.samples, block) {
            return Err(why);
        }
        let number = self.stages.len();
        let keeps_units = self.layouts.add(block, number > 0 && enter.is_none());
        if number == 0 || starts_stage.unwrap_or(!keeps_units) {
            self.stages.push(Stage { enter: enter.into_iter().collect(), blocks: Vec::new() });
            let name = format!("stage{}", number + 1);
            self.outlines.push(StageOutline { name, shape: Vec::new(), blocks: Vec::new() });
            self.first_sums.push(block.sum);
        } else if let Some(part) = enter {
            let between = Subgraph::between(graph, part.from.unwrap_or(0), &part.to).nodes;
            let node = between.first().map_or_else(String::new, |&node| graph.describe_node(node));
            return Err(format!("within stage{number} {node} stands between two blocks; begin a new stage there"));
        } else if !keeps_units {
            let before = self.shapes.get(&block.input).cloned().unwrap_or_default();
            return Err(format!(
                "stage{number} has blocks of shapes {before:?} and {shape:?}; begin a new stage there"
            ));
        }
        let stages = self.stages.len();
        let (Some(stage), Some(outlines)) = (self.stages.last_mut(), self.outlines.last_mut()) else { return Ok(()) };
        let id = BlockId { stage: stages - 1, block: stage.blocks.len() };
        let (parts, outline) = block_parts(graph, &self.dependents, block, self.shapes)?;
        let nodes = Subgraph::between(graph, block.input, &[block.output]).nodes;
        let cost = self.counter.cost(graph, &nodes, self.shapes, self.samples);
        stage.blocks.push(parts);
        outlines.blocks.push(BlockOutline { id, parameters: cost.parameters, flops: cost.flops, ..outline });
        Ok(())
    }
}

/// Returns the name of a network, such as `bert.onnx of input_ids [16], attention_mask [16], in batches of 1`.
fn name(path: &Path, inputs: &[GraphInput], batch: Option<usize>) -> String {
    let file = path.file_name().map_or_else(String::new, |name| excerpt(&name.to_string_lossy()));
    let named: Vec<String> = inputs.iter().map(|i| format!("{} {:?}", i.name, i.shape)).collect();
    let is_image = inputs.len() == 1 && inputs[0].shape.len() == 3;
    let of = if is_image { String::new() } else { format!(" of {}", named.join(", ")) };
    let batch = batch.map_or(String::new(), |batch| format!(", in batches of {batch}"));
    format!("{file}{of}{batch}")
}

/// Returns the parts of a block, and its outline without place and cost.
fn block_parts(
    graph: &Graph,
    dependents: &Dependents,
    block: &BlockMatch,
    shapes: &Shapes,
) -> ParseResult<(Block, BlockOutline)> {
    let keeps_shape = shapes.get(&block.input) == shapes.get(&block.output);
    let has_shape_of_sum = |value: &usize| shapes.get(value) == shapes.get(&block.sum);
    let skip = block.skip.as_ref();
    // A gate for whole channels is not reported as a gate: gates are of units. `h` is the difference of the block then.
    let gated = skip.filter(|s| [s.transform, s.carry].iter().flatten().all(has_shape_of_sum));
    let h = gated.and_then(|s| s.h).filter(has_shape_of_sum);
    let gates = gated.map_or([None; 2], |s| [s.transform, s.carry]);
    let wiring = match (skip, gated) {
        (None, _) => Wiring::Plain,
        (Some(_), None) => Wiring::Residual,
        (_, Some(skip)) => skip.wiring,
    };
    let shortcut = skip.map(|s| s.shortcut).filter(|&shortcut| shortcut != block.input);
    let is_broadcast = skip.is_some_and(|skip| !has_shape_of_sum(&skip.shortcut));
    let why_not_removable = match skip {
        None => (!keeps_shape).then_some(RESHAPES),
        Some(_) => is_broadcast.then_some(BROADCASTS),
    };
    let to: Vec<usize> = [Some(block.output), h, gates[0], gates[1]].into_iter().flatten().collect();
    let part = |from, to| Part::new(graph, dependents, from, to);
    let parts = Block {
        step: part(block.input, vec![block.output])?,
        body: part(block.input, to)?,
        sum: block.sum,
        has_h: h.is_some(),
        has_gates: gates.map(|gate| gate.is_some()),
        shortcut: shortcut.map(|shortcut| part(block.input, vec![shortcut])).transpose()?,
        after_sum: (block.sum != block.output).then(|| part(block.sum, vec![block.output])).transpose()?,
        why_not_removable,
    };
    let subgraph = |to: usize| Subgraph::between(graph, block.input, &[to]);
    let skip_kind = match shortcut.map(subgraph) {
        _ if why_not_removable.is_some() => Shortcut::None,
        None => Shortcut::Identity,
        Some(_) if shortcut.is_some_and(|shortcut| is_view_of(graph, shortcut, block.input)) => Shortcut::Identity,
        Some(subgraph) if subgraph.layer_count(graph) > 0 => Shortcut::Projection,
        Some(_) => Shortcut::ZeroPadding,
    };
    let body = subgraph(h.or(skip.and_then(|s| s.h)).unwrap_or(block.output)).nodes;
    let outline = BlockOutline {
        id: BlockId { stage: 0, block: 0 },
        source_name: source_name(graph, block),
        wiring,
        body: describe_layers(graph, &body, shapes),
        shortcut: skip_kind,
        parameters: 0,
        flops: 0,
        why_not_removable: why_not_removable.map(Into::into),
        receptive_field: None,
    };
    Ok((parts, outline))
}

/// Returns why a block cannot be used: the samples are not the first side of the values that enter and leave it.
pub(super) fn why_not_usable(graph: &Graph, shapes: &Shapes, samples: usize, block: &BlockMatch) -> Option<String> {
    let shape = |value: usize| shapes.get(&value).cloned().unwrap_or_default();
    let has_batch = |value: &usize| shape(*value).first() == Some(&samples);
    let value = [block.input, block.sum, block.output].into_iter().find(|value| !has_batch(value))?;
    let (name, shape) = (excerpt(&graph.values[value].name), shape(value));
    Some(format!("'{name}' has shape {shape:?} for a batch of {samples}: expected the batch first"))
}
