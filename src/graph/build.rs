//! From a file to a network: the line is found or given, cut into parts that hold, and run once for its shapes.

use super::Said;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rten::Value;

use super::assemble;
use super::cost;
use super::engine::{Engine, array, shape};
use super::line::{self, Found, NoLine};
use super::merge::Merge;
use super::network::{GraphNetwork, Input, Part};
use super::proto::Graph;
use super::raw::FLOAT;
use super::region::{Flow, Region};
use crate::nn::Samples;
use crate::open::{compare, one_line};
use crate::random::{Purpose, normal, stream};
use crate::{Error, Result};

/// Sides that the file leaves free, and nobody gives, are those of a photograph or a short text.
const FREE_IMAGE: usize = 224;
const FREE_SEQUENCE: usize = 16;
/// No sample has more values.
const MOST_INPUT: usize = 1 << 28;

const NO_SKIP: &str = "no skip connections in its graph: there are no blocks that could be left out";

/// Shapes of values in a run of a batch.
pub(super) type Shapes = HashMap<usize, Vec<usize>>;

/// What is known before anything runs.
pub(super) struct Plan {
    pub stem: Part,
    /// What stands before each block; `None` where it takes what leaves the one before.
    pub enters: Vec<Option<Part>>,
    pub head: Part,
    pub blocks: Vec<Found>,
    /// How many blocks stand in each stage, where somebody says so.
    pub counts: Vec<usize>,
    /// What the head answers with.
    pub output: usize,
}

/// The blocks that are found in an ONNX file, the names of the values in and out of each; nothing of it is run.
///
/// # Errors
/// As [`GraphNetwork::open`], but for what only shows when the graph runs.
pub fn blocks(path: &Path) -> Result<Vec<[String; 2]>> {
    let wrong = |what: String| Error::file(path, one_line(&what));
    let graph = Graph::read(&std::fs::read(path).map_err(Error::io(path))?).map_err(wrong)?;
    let output = output(&graph).map_err(wrong)?;
    let (found, _) = line::find(&graph, output).map_err(|why| wrong(explain(&graph, &why)))?;
    let plan = Plan::new(&graph, output, found).map_err(wrong)?;
    inputs(&graph, &[]).map_err(wrong)?;
    let name = |value: usize| graph.values[value].name.clone();
    Ok(plan.blocks.iter().map(|block| [name(block.input), name(block.output)]).collect())
}

impl GraphNetwork {
    /// Opens an ONNX file. `blocks` overrides what is found, the names of the values in and out of each, by stages;
    /// `shapes` are those of the inputs, without the batch, where the file leaves them free.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::File`] that names the node, value or array at fault; a graph without skips, or one
    /// that cannot be cut, is refused.
    pub fn open(path: &Path, blocks: Option<&[Vec<[String; 2]>]>, shapes: &[Vec<usize>]) -> Result<Self> {
        let graph = Self::read(path)?;
        let wrong = |what: String| Error::file(path, one_line(&what));
        let output = output(&graph).map_err(wrong)?;
        let ((found, skips), counts) = match blocks {
            Some(given) => {
                let (found, counts) = given_blocks(&graph, output, given).map_err(wrong)?;
                ((found, 0), counts)
            }
            None => (line::find(&graph, output).map_err(|why| wrong(explain(&graph, &why)))?, Vec::new()),
        };
        let network = Self::cut(path, graph, (found, counts), shapes, true)?;
        Ok(Self { given: blocks.map(<[_]>::to_vec), skips, ..network })
    }

    /// What a file says of its graph.
    pub(super) fn read(path: &Path) -> Result<Graph> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Graph::read(&bytes).map_err(|what| Error::file(path, one_line(&what)))
    }

    /// The network whose blocks are known; `counts` says how many stand in each stage, where that is known too.
    pub(super) fn cut(
        path: &Path,
        graph: Graph,
        (line, counts): (Vec<Found>, Vec<usize>),
        shapes: &[Vec<usize>],
        fuses: bool,
    ) -> Result<Self> {
        let wrong = |what: String| Error::file(path, one_line(&what));
        let output = output(&graph).map_err(wrong)?;
        let plan = Plan { counts, ..Plan::new(&graph, output, line).map_err(wrong)? };
        let (inputs, batch) = inputs(&graph, shapes).map_err(wrong)?;
        let plain = Engine::open(path, &graph, false)?;
        // A file that says its batch is free may have been exported with one inside.
        let probe = |batch: usize, inputs: &[Input]| probe(&graph, &plain, inputs, batch, &plan);
        let (batch, shapes) = match batch {
            Some(batch) => (Some(batch), probe(batch, &inputs).map_err(wrong)?),
            None => match probe(2, &inputs) {
                Ok(shapes) => (None, shapes),
                Err(why) => (Some(1), probe(1, &inputs).map_err(|_| wrong(why))?),
            },
        };
        let fused = if fuses { Some(Engine::open(path, &graph, true)?) } else { None };
        let mut network = assemble::network(path, (graph, plain), (inputs, batch), plan, shapes).map_err(wrong)?;
        if let Some(fused) = fused {
            let plain = std::mem::replace(&mut network.engine, Arc::new(fused));
            network.fuses = true;
            if network.check().is_ok() {
                return Ok(network);
            }
            // Where a fusion takes a value away that a part begins or ends with, the graph runs as it was written.
            (network.engine, network.fuses) = (plain, false);
        }
        network.check()?;
        Ok(network)
    }

    /// A few samples along the identity route have to give what the whole graph gives, bit for bit.
    fn check(&self) -> Result<()> {
        let mut rng = stream(0, Purpose::SelfCheck, &[]);
        let samples = 2;
        let size: usize = self.inputs.iter().map(|input| input.shape.iter().product::<usize>()).sum();
        let kinds: Vec<bool> =
            self.inputs.iter().flat_map(|i| std::iter::repeat_n(i.is_whole, i.shape.iter().product())).collect();
        let value = |place: usize| if kinds[place % size] { 1.0 } else { normal(&mut rng) };
        let values: Vec<f32> = (0..samples * size).map(value).collect();
        let samples = Samples { values, shape: [samples, 1, 1, size] };
        let whole = self.whole(&samples)?;
        compare(self, &samples, &whole.values).map_err(|e| Error::file(&self.path, e.to_string()))
    }
}

fn explain(graph: &Graph, why: &NoLine) -> String {
    match why {
        NoLine::NoSkip => NO_SKIP.into(),
        NoLine::Around(node, count) => format!(
            "cannot be cut into blocks: of {count} sums with a skip none follows the other on every path; what {} gives \
             also goes around. --cut FILE says which values to cut at",
            graph.node_name(*node)
        ),
    }
}

/// The value that answers: the first output that is computed from what the inputs hold.
fn output(graph: &Graph) -> Said<usize> {
    let is_computed = |value: &&usize| graph.values[**value].producer.is_some() && !graph.values[**value].is_fixed;
    graph.outputs.iter().find(is_computed).copied().ok_or_else(|| "none of its outputs is computed".into())
}

/// Elements of inputs, by ONNX's numbers, that the engine has not.
const UNREADABLE: [(i64, &str); 4] = [(8, "texts"), (10, "float16"), (11, "float64"), (16, "bfloat16")];

/// What has to be given, and the batch where it is not free.
fn inputs(graph: &Graph, shapes: &[Vec<usize>]) -> Said<(Vec<Input>, Option<usize>)> {
    let mut batch = None;
    let mut all = Vec::new();
    for (place, &value) in graph.inputs.iter().enumerate() {
        let value = &graph.values[value];
        let name = one_line(&value.name);
        let Some((first, sides)) = value.sides.split_first() else {
            return Err(format!("input '{name}' has no shape, or a single value: expected a batch"));
        };
        if let Some((_, kind)) = UNREADABLE.iter().find(|(element, _)| *element == value.element) {
            return Err(format!(
                "input '{name}' takes {kind}, expected float32 or whole numbers: export it in float32"
            ));
        }
        batch = batch.or(*first);
        let free = if sides.len() == 3 { FREE_IMAGE } else { FREE_SEQUENCE };
        let given = shapes.get(place).filter(|given| given.len() == sides.len());
        let side = |(axis, side): (usize, &Option<usize>)| side.unwrap_or(given.map_or(free, |given| given[axis]));
        let shape: Vec<usize> = sides.iter().enumerate().map(side).collect();
        let size = shape.iter().fold(1_usize, |size, &side| size.saturating_mul(side));
        if size.saturating_mul(batch.unwrap_or(1)) > MOST_INPUT {
            return Err(format!("input '{name}': no samples of shape {shape:?} are possible"));
        }
        all.push(Input { name, shape, is_whole: value.element != FLOAT });
    }
    if all.is_empty() { Err("it takes no inputs".into()) } else { Ok((all, batch)) }
}

/// Blocks that somebody names by their values, and how many stand in each stage.
fn given_blocks(graph: &Graph, output: usize, stages: &[Vec<[String; 2]>]) -> Said<(Vec<Found>, Vec<usize>)> {
    let flow = Flow::new(graph, output);
    let find =
        |name: &String| graph.find(name).ok_or_else(|| format!("no value '{name}' in its graph, which --cut names"));
    let mut found = Vec::new();
    for [input, output] in stages.iter().flatten() {
        let (from, to) = (find(input)?, find(output)?);
        let Some(node) = graph.values[to].producer else {
            return Err(format!("'{output}' is an input of the graph, not what leaves a block"));
        };
        if Region::between(graph, from, &[to]).nodes.is_empty() {
            return Err(format!("'{output}' does not depend on '{input}': no block leads from one to the other"));
        }
        // What follows the sum stays with the block where it is one that may.
        let after = graph.nodes[node].takes().find_map(|sum| {
            let merge = Merge::read(&flow, from, graph.values[sum].producer?)?;
            line::may_follow(&graph.nodes[node].op).then_some((sum, merge))
        });
        let direct = Merge::read(&flow, from, node).map(|merge| (to, merge));
        let (sum, merge) = direct.or(after).map_or((to, None), |(sum, merge)| (sum, Some(merge)));
        found.push(Found { input: from, sum, output: to, merge });
    }
    if found.is_empty() {
        Err("--cut names no blocks".into())
    } else {
        Ok((found, stages.iter().map(Vec::len).collect()))
    }
}

impl Plan {
    /// Cuts a graph at its blocks and checks that every part can run from its value alone and from what was computed
    /// before the first block.
    fn new(graph: &Graph, output: usize, blocks: Vec<Found>) -> Said<Self> {
        let first = blocks[0].input;
        let part = |from: usize, to: Vec<usize>| Part::new(graph, first, from, to);
        let mut enters = vec![None];
        for pair in blocks.windows(2) {
            let (before, after) = (pair[0].output, pair[1].input);
            enters.push(if before == after { None } else { Some(part(before, vec![after])?) });
        }
        let head = part(blocks[blocks.len() - 1].output, vec![output])?;
        let bodies: Said<Vec<Part>> = blocks.iter().map(|b| part(b.input, vec![b.output])).collect();
        let afters: Said<Vec<Part>> = blocks.iter().map(|b| part(b.sum, vec![b.output])).collect();
        let (bodies, afters) = (bodies?, afters?);
        let all = bodies.iter().chain(&afters).chain(enters.iter().flatten()).chain([&head]);
        let mut sides: Vec<usize> = all.flat_map(|part| part.sides.iter().copied()).collect();
        sides.sort_unstable();
        sides.dedup();
        let to = std::iter::once(first).chain(sides).collect();
        let stem = Part { from: None, to, sides: Vec::new() };
        Ok(Self { stem, enters, head, blocks, counts: Vec::new(), output })
    }

    /// The values that tell what the outline has to say.
    fn watched(&self, graph: &Graph) -> Vec<usize> {
        let merges = self.blocks.iter().filter_map(|b| b.merge.as_ref());
        let seen = merges.flat_map(|m| [m.h, m.transform, m.carry, Some(m.carried)]).flatten();
        let ends = self.blocks.iter().flat_map(|b| [b.input, b.sum, b.output]);
        let mut all: Vec<usize> = seen.chain(ends).chain(cost::watched(graph)).chain(self.head.to.clone()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Part {
    /// From one value to others; what it needs beside may not be computed from what enters the first block.
    pub(super) fn new(graph: &Graph, first: usize, from: usize, to: Vec<usize>) -> Said<Self> {
        let region = Region::between(graph, from, &to);
        for &side in &region.sides {
            if side == first || is_carried(graph, first, side) {
                let taker = region.nodes.iter().find(|&&node| graph.nodes[node].takes().any(|value| value == side));
                let taker = taker.map_or_else(|| "the output".into(), |&node| graph.node_name(node));
                return Err(format!(
                    "cannot be cut: {taker} takes '{}' from within the blocks before it, around '{}'",
                    one_line(&graph.values[side].name),
                    one_line(&graph.values[from].name)
                ));
            }
        }
        Ok(Self { from: Some(from), to, sides: region.sides })
    }
}

/// Whether a value is computed from another, not from its shape alone.
fn is_carried(graph: &Graph, from: usize, value: usize) -> bool {
    let nodes = Region::between(graph, from, &[value]).nodes;
    let mut reached = vec![from];
    for node in nodes {
        let passes = !matches!(graph.nodes[node].op.as_str(), "Shape" | "Size");
        if passes && graph.nodes[node].takes().any(|taken| reached.contains(&taken)) {
            reached.extend(&graph.nodes[node].outputs);
        }
    }
    reached[1..].contains(&value)
}

/// Shapes of what is watched, in a run of the whole graph.
fn probe(graph: &Graph, engine: &Engine, inputs: &[Input], batch: usize, plan: &Plan) -> Said<Shapes> {
    let mut rng = stream(0, Purpose::SelfCheck, &[]);
    let given = inputs.iter().zip(&graph.inputs).map(|(input, &value)| {
        let shape: Vec<usize> = std::iter::once(batch).chain(input.shape.iter().copied()).collect();
        // Every vocabulary has a word 1, and a mask of ones hides nothing.
        let values = (0..shape.iter().product()).map(|_| if input.is_whole { 1.0 } else { normal(&mut rng) });
        Ok((value, array(&shape, values.collect(), input.is_whole)?))
    });
    let given: Vec<(usize, Value)> = given.collect::<Said<_>>()?;
    let given: Vec<(usize, &Value)> = given.iter().map(|(value, array)| (*value, array)).collect();
    let flow = Flow::new(graph, plan.output);
    let mut watched = plan.watched(graph);
    watched.retain(|&value| flow.is_needed(value));
    let values = engine.run(graph, &given, &watched)?;
    Ok(watched.into_iter().zip(values.iter().map(shape)).collect())
}
