//! Stages and their outline, once shapes are known.

use std::path::Path;
use std::sync::Arc;

use super::Said;
use super::build::{Plan, Shapes};
use super::cost::{self, Counter};
use super::edit::Edit;
use super::engine::Engine;
use super::line::Found;
use super::network::{Block, GraphNetwork, Input, Part, Stage};
use super::proto::Graph;
use super::region::Region;
use crate::nn::{BlockId, Wiring};
use crate::nn::{BlockOutline, Outline, Shortcut, StageOutline};
use crate::open::one_line;

const RESHAPES: &str = "it changes the shape, and no shortcut can be seen";

/// Stages under way.
struct Stages<'a> {
    graph: &'a Graph,
    shapes: &'a Shapes,
    /// Samples of the run that the shapes are from.
    samples: usize,
    /// What enters the first block.
    first: usize,
    channels_first: bool,
    counter: Counter,
    stages: Vec<Stage>,
    outlines: Vec<StageOutline>,
    /// The shape of the last estimate.
    last: Vec<usize>,
}

/// The network of a plan.
pub(super) fn network(
    path: &Path,
    (graph, engine): (Graph, Engine),
    (inputs, batch): (Vec<Input>, Option<usize>),
    plan: Plan,
    shapes: Shapes,
) -> Said<GraphNetwork> {
    let samples = batch.unwrap_or(2);
    let output = &graph.values[plan.output].name;
    let classes = classes(&shapes[&plan.output], samples).ok_or_else(|| {
        let shape = &shapes[&plan.output];
        format!("output '{output}' has shape {shape:?}, expected [batch, classes] or [batch, positions, classes]")
    })?;
    // Blocks that convolve have their channels first; those that are made of matrix products have them last.
    let convolves = |found: &Found| {
        let nodes = Region::between(&graph, found.input, &[found.output]).nodes;
        nodes.into_iter().any(|node| graph.nodes[node].op == "Conv")
    };
    let channels_first = plan.blocks.iter().any(convolves);
    let first = plan.blocks[0].input;
    let mut counter = Counter::default();
    let before: Vec<usize> = graph.values[first].producer.map_or(Vec::new(), |last| (0..=last).collect());
    let stem_parameters = counter.cost(&graph, &before, &shapes, samples).parameters;
    let mut stages = Stages {
        graph: &graph,
        shapes: &shapes,
        samples,
        first,
        channels_first,
        counter,
        stages: Vec::new(),
        outlines: Vec::new(),
        last: Vec::new(),
    };
    // Where each stage begins, where somebody says so.
    let begins: Vec<usize> = plan
        .counts
        .iter()
        .scan(0, |sum, count| {
            let begin = *sum;
            *sum += count;
            Some(begin)
        })
        .collect();
    for (place, (found, enter)) in plan.blocks.iter().zip(plan.enters).enumerate() {
        stages.add(found, enter, (!begins.is_empty()).then(|| begins.contains(&place)))?;
    }
    let Stages { counter, stages, outlines, .. } = stages;
    let all: Vec<usize> = (0..graph.nodes.len()).collect();
    let outline = Outline {
        name: name(path, &inputs, batch),
        input: sample(&inputs),
        classes,
        is_language_model: false,
        parameters: 0,
        flops: 0,
        stem_parameters,
        head_parameters: 0,
        stages: outlines,
    };
    let outline = counter.complete(outline, &graph, &all, &shapes, samples);
    let (path, given) = (path.to_owned(), None);
    Ok(GraphNetwork {
        skips: 0,
        path,
        given,
        graph: Arc::new(graph),
        engine: Arc::new(engine),
        fuses: false,
        line: Arc::new(plan.blocks),
        shapes: Arc::new((shapes, samples)),
        edit: Edit::default(),
        outline,
        inputs,
        batch,
        channels_first,
        stem: plan.stem,
        stages,
        leave: Vec::new(),
        head: plan.head,
    })
}

/// The shape of a sample: of an image or a row its own, of several arrays as many values as they have together.
fn sample(inputs: &[Input]) -> Vec<usize> {
    match inputs {
        [one] if one.shape.len() <= 3 => [vec![1; 3 - one.shape.len()], one.shape.clone()].concat(),
        all => vec![1, 1, all.iter().map(|input| input.shape.iter().product::<usize>()).sum()],
    }
}

impl Stages<'_> {
    /// Adds a block. It begins a stage where that is said, or else where the shape changes or something stands before it.
    fn add(&mut self, found: &Found, enter: Option<Part>, begins: Option<bool>) -> Said<()> {
        let graph = self.graph;
        let shape = self.shapes.get(&found.output).cloned().unwrap_or_default();
        if shape.first() != Some(&self.samples) {
            let name = one_line(&graph.values[found.output].name);
            return Err(format!(
                "'{name}' has shape {shape:?} for a batch of {}: expected the batch first",
                self.samples
            ));
        }
        let number = self.stages.len();
        if number == 0 || begins.unwrap_or(enter.is_some() || shape != self.last) {
            self.stages.push(Stage { enter: enter.into_iter().collect(), blocks: Vec::new() });
            let shape = in_our_order(&shape, self.channels_first);
            self.outlines.push(StageOutline { name: format!("stage{}", number + 1), shape, blocks: Vec::new() });
        } else if let Some(part) = enter {
            let between = Region::between(graph, part.from.unwrap_or(0), &part.to).nodes;
            let node = between.first().map_or_else(String::new, |&node| graph.node_name(node));
            return Err(format!("within stage{number} {node} stands between two blocks; begin a new stage there"));
        } else if shape != self.last {
            let last = &self.last;
            return Err(format!("stage{number} has blocks of shapes {last:?} and {shape:?}; begin a new stage there"));
        }
        self.last = shape;
        let stages = self.stages.len();
        let (Some(stage), Some(outlines)) = (self.stages.last_mut(), self.outlines.last_mut()) else { return Ok(()) };
        let at = BlockId { stage: stages - 1, block: stage.blocks.len() };
        let (block, outline) = block(graph, self.first, found, self.shapes)?;
        let nodes = Region::between(graph, found.input, &[found.output]).nodes;
        let cost = self.counter.cost(graph, &nodes, self.shapes, self.samples);
        stage.blocks.push(block);
        outlines.blocks.push(BlockOutline { id: at, parameters: cost.parameters, flops: cost.flops, ..outline });
        Ok(())
    }
}

/// Such as `bert.onnx of input_ids [16], attention_mask [16], in batches of 1`.
fn name(path: &Path, inputs: &[Input], batch: Option<usize>) -> String {
    let file = path.file_name().map_or_else(String::new, |name| one_line(&name.to_string_lossy()));
    let named: Vec<String> = inputs.iter().map(|i| format!("{} {:?}", i.name, i.shape)).collect();
    let is_image = inputs.len() == 1 && inputs[0].shape.len() == 3;
    let of = if is_image { String::new() } else { format!(" of {}", named.join(", ")) };
    let batch = batch.map_or(String::new(), |batch| format!(", in batches of {batch}"));
    format!("{file}{of}{batch}")
}

fn block(graph: &Graph, first: usize, found: &Found, shapes: &Shapes) -> Said<(Block, BlockOutline)> {
    let keeps_shape = shapes.get(&found.input) == shapes.get(&found.output);
    let is_unit = |value: &usize| shapes.get(value) == shapes.get(&found.sum);
    let merge = found.merge.as_ref();
    // A gate for whole channels is none of units: what the block adds is its difference then.
    let gated = merge.filter(|m| [m.transform, m.carry].iter().flatten().all(is_unit));
    let h = gated.and_then(|m| m.h).filter(is_unit);
    let gates = gated.map_or([None; 2], |m| [m.transform, m.carry]);
    let wiring = match (merge, gated) {
        (None, _) => Wiring::Plain,
        (Some(_), None) => Wiring::Residual,
        (_, Some(merge)) => merge.wiring,
    };
    let carried = merge.map(|m| m.carried).filter(|&carried| carried != found.input);
    let why_not_removable = (merge.is_none() && !keeps_shape).then_some(RESHAPES);
    let to: Vec<usize> = [Some(found.output), h, gates[0], gates[1]].into_iter().flatten().collect();
    let part = |from, to| Part::new(graph, first, from, to);
    let block = Block {
        body: part(found.input, to)?,
        has_h: h.is_some(),
        gates: gates.map(|gate| gate.is_some()),
        shortcut: carried.map(|carried| part(found.input, vec![carried])).transpose()?,
        after: (found.sum != found.output).then(|| part(found.sum, vec![found.output])).transpose()?,
        why_not_removable,
    };
    let nodes = |to: usize| Region::between(graph, found.input, &[to]);
    let shortcut = match carried.map(nodes) {
        _ if why_not_removable.is_some() => Shortcut::None,
        None => Shortcut::Identity,
        Some(region) if region.layers(graph) > 0 => Shortcut::Projection,
        Some(_) => Shortcut::ZeroPadding,
    };
    let body = nodes(h.or(merge.and_then(|m| m.h)).unwrap_or(found.output)).nodes;
    let outline = BlockOutline {
        id: BlockId { stage: 0, block: 0 },
        source_name: None,
        wiring,
        body: cost::words(graph, &body),
        shortcut,
        parameters: 0,
        flops: 0,
        why_not_removable: why_not_removable.map(Into::into),
        receptive_field: None,
    };
    Ok((block, outline))
}

/// The classes of an output of this shape.
fn classes(shape: &[usize], batch: usize) -> Option<usize> {
    match shape {
        [first, classes] | [first, _, classes] | [first, classes, 1, 1] if *first == batch && *classes > 0 => {
            Some(*classes)
        }
        _ => None,
    }
}

/// A sample's shape with its channels first.
fn in_our_order(shape: &[usize], channels_first: bool) -> Vec<usize> {
    match shape {
        [_, rest @ .., channels] if !channels_first => [&[*channels], rest].concat(),
        [_, rest @ ..] => rest.to_vec(),
        [] => Vec::new(),
    }
}
