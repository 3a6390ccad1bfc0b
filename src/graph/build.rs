//! Opens ONNX files: blocks are found or given, the graph is cut at them, run once for its shapes, and checked.

use std::path::Path;
use std::sync::Arc;

use super::ParseResult;
use super::answer::answer_value;
use super::assemble;
use super::bypass::explain;
use super::declaration::Dimension;
use super::engine::{Engine, can_fuse};
use super::find_blocks::{self, BlockMatch, NoBlocks};
use super::free_sides::FreeSides;
use super::linked_graph::Graph;
use super::network::{GraphInput, GraphNetwork};
use super::partition::Partition;
use super::post_dominators::PostDominators;
use super::probe::{UsablePartition, usable_partition};
use super::raw_graph::FLOAT32;
use super::sizes::check_sizes;
use super::subgraph::Subgraph;
use super::wiring::SkipConnection;
use crate::limits::{advice, file_memory};
use crate::nn::{AnswerOptions, Samples, compare_with_whole};
use crate::random::{Purpose, normal, stream};
use crate::text::excerpt;
use crate::{Error, Result};

/// What computes a network.
pub(super) struct Computation {
    /// Whether the engine fuses operations, where that keeps all values that parts begin and end with.
    pub(super) is_fused: bool,
    /// Whether the kernels compute the blocks, where they can; `None` where their answers decide.
    pub(super) uses_kernels: Option<bool>,
}

/// Samples of more values than this share of the memory for a file are refused, with 4 bytes for each.
const INPUT_SHARE: u64 = 32;

/// Returns the blocks of an ONNX file, as the names of the values that enter and leave each. The graph is not run.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, and [`Error::File`] where it is no ONNX file or its graph has no chain of
/// blocks.
pub fn find_blocks(path: &Path) -> Result<Vec<[String; 2]>> {
    let wrong = |what: String| Error::file(path, excerpt(&what));
    let graph = GraphNetwork::read(path)?;
    let output = answer_value(&graph, None).map_err(wrong)?;
    let (blocks, _) =
        find_blocks::find_blocks(&graph, output, &[]).map_err(|why| no_blocks(path, &graph, output, &why))?;
    let partition = Partition::new(&graph, output, blocks).map_err(wrong)?;
    read_inputs(&graph, &[], &FreeSides::default()).map_err(wrong)?;
    let name = |value: usize| graph.values[value].name.clone();
    Ok(partition.blocks.iter().map(|block| [name(block.input), name(block.output)]).collect())
}

impl GraphNetwork {
    /// Opens an ONNX file.
    ///
    /// `boundaries` gives the blocks of every stage, as the names of the values that enter and leave each; `None` finds
    /// them. `shapes` are those of the inputs without the batch. They set the dimensions that the file leaves free; without
    /// them images have 224 x 224 pixels and sequences 16 positions, or the first of a few other usual sizes with which the
    /// graph runs.
    ///
    /// The network is checked: on two samples it gives block by block what the whole graph gives, bit for bit. Their floats
    /// are random, and their whole numbers are 1, which every vocabulary and mask has.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read. [`Error::File`] that names the node, value or array at fault, where the
    /// graph cannot be run, has no skip connections, or cannot be cut at its blocks.
    ///
    /// # Examples
    /// ```
    /// use unrolled::graph::GraphNetwork;
    /// use unrolled::nn::Network;
    ///
    /// let network = GraphNetwork::open("tests/onnx/post.onnx".as_ref(), None, &[])?;
    /// assert_eq!(network.outline().stages.len(), 2);
    /// assert_eq!(network.inputs()[0].name, "x");
    /// # Ok::<(), unrolled::Error>(())
    /// ```
    pub fn open(path: &Path, boundaries: Option<&[Vec<[String; 2]>]>, shapes: &[Vec<usize>]) -> Result<Self> {
        Self::open_with(path, boundaries, shapes, &AnswerOptions::default())
    }

    /// Opens an ONNX file as [`GraphNetwork::open`] does, with what the caller says of its answers.
    ///
    /// # Errors
    /// As [`GraphNetwork::open`]; also where the graph has no such output, mask or position.
    pub fn open_with(
        path: &Path,
        boundaries: Option<&[Vec<[String; 2]>]>,
        shapes: &[Vec<usize>],
        answers: &AnswerOptions,
    ) -> Result<Self> {
        let graph = Self::read(path)?;
        let wrong = |what: String| Error::file(path, excerpt(&what));
        let output = answer_value(&graph, answers.output.as_deref()).map_err(wrong)?;
        let ((blocks, skip_count), counts) = match boundaries {
            Some(stages) => {
                let (blocks, counts) = given_blocks(&graph, output, stages).map_err(wrong)?;
                ((blocks, 0), counts)
            }
            None => {
                let found = find_blocks::find_blocks(&graph, output, &[])
                    .map_err(|why| no_blocks(path, &graph, output, &why))?;
                (found, Vec::new())
            }
        };
        let computation = Computation { is_fused: true, uses_kernels: None };
        let network = Self::from_blocks(path, graph, (blocks, counts), (shapes, answers), computation)?;
        Ok(Self { given_boundaries: boundaries.map(<[_]>::to_vec), skip_count, ..network })
    }

    /// Reads the graph of a file.
    pub(super) fn read(path: &Path) -> Result<Graph> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let wrong = |what: String| Error::file(path, excerpt(&what));
        let graph = Graph::read(&bytes).map_err(wrong)?;
        check_sizes(&graph, file_memory()? / size_of::<f32>() as u64).map_err(wrong)?;
        check_operations(&graph).map_err(wrong)?;
        Ok(graph)
    }

    /// Makes a network of a graph whose blocks are known. `counts` are the blocks of each stage; where it is empty, stages
    /// begin where the shape changes.
    pub(super) fn from_blocks(
        path: &Path,
        graph: Graph,
        (blocks, counts): (Vec<BlockMatch>, Vec<usize>),
        (shapes, answers): (&[Vec<usize>], &AnswerOptions),
        computation: Computation,
    ) -> Result<Self> {
        let wrong = |what: String| Error::file(path, excerpt(&what));
        let output = answer_value(&graph, answers.output.as_deref()).map_err(wrong)?;
        let partition = Partition { counts, ..Partition::new(&graph, output, blocks).map_err(wrong)? };
        let plain = Engine::open(path, &graph, false)?;
        let UsablePartition { partition, reasons, inputs, batch, shapes } =
            usable_partition(&graph, &plain, shapes, partition).map_err(wrong)?;
        let is_fused = computation.is_fused && can_fuse(&graph);
        let engine = match is_fused {
            true => {
                // Each engine holds all arrays: one at a time.
                drop(plain);
                Engine::open(path, &graph, true)?
            }
            false => plain,
        };
        let mut network =
            assemble::assemble(path, (graph, engine), (inputs, batch), partition, shapes, answers).map_err(wrong)?;
        (network.left_out, network.is_fused) = (reasons, is_fused);
        let (samples, expected) = match network.check() {
            Err(_) if is_fused => {
                // A fusion removed a value that a part begins or ends with: the graph is run as it is written.
                network.engine = Arc::new(Engine::open(path, &network.graph, false)?);
                network.is_fused = false;
                network.check()?
            }
            checked => checked?,
        };
        network.use_kernels(&samples, &expected, computation.uses_kernels);
        Ok(network)
    }

    /// Checks on two samples, of random floats and of ones for whole numbers, that the identity route gives what the whole graph
    /// gives, bit for bit. Returns the samples and these answers.
    fn check(&self) -> Result<(Samples, Vec<f32>)> {
        let mut rng = stream(0, Purpose::SelfCheck, &[]);
        let count = 2;
        let size: usize = self.inputs.iter().map(|input| input.shape.iter().product::<usize>()).sum();
        let is_integer: Vec<bool> =
            self.inputs.iter().flat_map(|i| std::iter::repeat_n(i.is_integer, i.shape.iter().product())).collect();
        let value = |place: usize| if is_integer[place % size] { 1.0 } else { normal(&mut rng) };
        let values: Vec<f32> = (0..count * size).map(value).collect();
        let samples = Samples { values, shape: [count, 1, 1, size] };
        let expected = self.forward_whole(&samples)?.values;
        compare_with_whole(self, &samples, &expected).map_err(|e| Error::file(&self.path, e.to_string()))?;
        Ok((samples, expected))
    }
}

/// Returns the error for a graph without blocks. One that has operations that the engine does not know is refused for
/// these: they can be sums.
fn no_blocks(path: &Path, graph: &Graph, output: usize, why: &NoBlocks) -> Error {
    match Engine::open(path, graph, false) {
        Err(error) => error,
        Ok(_) => Error::file(path, excerpt(&explain(graph, output, why))),
    }
}

/// Element types of inputs, as ONNX numbers them, that the engine does not have.
const UNSUPPORTED_TYPES: [(i64, &str); 4] = [(8, "texts"), (10, "float16"), (11, "float64"), (16, "bfloat16")];

/// Checks that the engine computes all operations rightly. Of whole numbers, it convolves a batch of several samples, and pads,
/// as if zero points were 0 (rten 0.27); of windows of one pixel neither matters.
fn check_operations(graph: &Graph) -> ParseResult<()> {
    for node in graph.nodes.iter().filter(|node| node.op == "ConvInteger") {
        let weight = node.inputs.get(1).copied().flatten().and_then(|value| graph.values[value].array.as_ref());
        let is_pointwise = weight.is_some_and(|array| array.shape.iter().skip(2).all(|&side| side == 1));
        if !is_pointwise {
            return Err(format!(
                "node '{}': ConvInteger with windows larger than 1x1 is not computed rightly here; quantize convolutions \
                 statically (QuantizeLinear and DequantizeLinear), or leave them in float32",
                excerpt(&node.name)
            ));
        }
    }
    Ok(())
}

/// Returns the inputs of a graph, and the batch where the file fixes it.
pub(super) fn read_inputs(
    graph: &Graph,
    shapes: &[Vec<usize>],
    free: &FreeSides,
) -> ParseResult<(Vec<GraphInput>, Option<usize>)> {
    let most = file_memory().map_err(|e| e.to_string())? / INPUT_SHARE / size_of::<f32>() as u64;
    let mut batch = None;
    let mut all = Vec::new();
    for (place, &value) in graph.inputs.iter().enumerate() {
        let value = &graph.values[value];
        let name = excerpt(&value.name);
        let Some((first, dims)) = value.dims.split_first() else {
            return Err(format!("input '{name}' has no shape, or a single value: expected a batch"));
        };
        if let Some((_, kind)) = UNSUPPORTED_TYPES.iter().find(|(element, _)| *element == value.element_type) {
            return Err(format!(
                "input '{name}' takes {kind}, expected float32 or whole numbers: export it in float32"
            ));
        }
        batch = batch.or(first.size());
        let given = shapes.get(place).filter(|given| given.len() == dims.len());
        let side = |(axis, side): (usize, &Dimension)| match side {
            Dimension::Fixed(size) => *size,
            Dimension::Free(name) => given.map_or_else(|| free.size(name, place, axis), |given| given[axis]),
        };
        let shape: Vec<usize> = dims.iter().enumerate().map(side).collect();
        let size = shape.iter().fold(1_usize, |size, &side| size.saturating_mul(side));
        if size.saturating_mul(batch.unwrap_or(1)) as u64 > most {
            return Err(format!("input '{name}': shape {shape:?} has more than {most} values; {}", advice()));
        }
        all.push(GraphInput { name, shape, is_integer: value.element_type != FLOAT32 });
    }
    if all.is_empty() { Err("it takes no inputs".into()) } else { Ok((all, batch)) }
}

/// Returns the blocks that a caller gave by the names of their values, and the number of blocks of each stage.
fn given_blocks(
    graph: &Graph,
    output: usize,
    stages: &[Vec<[String; 2]>],
) -> ParseResult<(Vec<BlockMatch>, Vec<usize>)> {
    let dominators = PostDominators::new(graph, output);
    let places = graph.values_by_name();
    let find = |name: &String| {
        let place = places.get(name.as_str()).copied();
        place.ok_or_else(|| format!("no value '{name}' in its graph, which the boundaries name"))
    };
    let mut blocks = Vec::new();
    for [input, output] in stages.iter().flatten() {
        let (from, to) = (find(input)?, find(output)?);
        let Some(node) = graph.values[to].producer else {
            return Err(format!("'{output}' is an input of the graph, not what leaves a block"));
        };
        if Subgraph::between(graph, from, &[to]).nodes.is_empty() {
            return Err(format!("'{output}' does not depend on '{input}': no block leads from one to the other"));
        }
        // The block may end after the operation that follows its sum.
        let before_last = graph.nodes[node].present_inputs().find_map(|sum| {
            let skip = SkipConnection::read(&dominators, from, graph.values[sum].producer?)?;
            find_blocks::can_follow_sum(graph, node).then_some((sum, skip))
        });
        let last = SkipConnection::read(&dominators, from, node).map(|skip| (to, skip));
        let (sum, skip) = last.or(before_last).map_or((to, None), |(sum, skip)| (sum, Some(skip)));
        blocks.push(BlockMatch { input: from, sum, output: to, skip });
    }
    if blocks.is_empty() {
        Err("the boundaries name no blocks".into())
    } else {
        Ok((blocks, stages.iter().map(Vec::len).collect()))
    }
}
