//! Parts of a graph that are convolutions and what goes with them, computed by the kernels of this crate.
//!
//! The engine of graphs lowers convolutions by im2col, which is slower (docs/PERFORMANCE.md). Values stay in the layout of the
//! kernels from one part to the next.

use std::cell::RefCell;
use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};

use super::linked_graph::{Graph, Node};
use super::subgraph::Subgraph;
use crate::kernel::{Carry, EPSILON, Epilogue, FeatureMap, Kernels, Weights, WindowOptions};

/// The operations of a part, in the order in which they are computed.
pub(super) struct Program {
    instructions: Vec<Instruction>,
    /// How often each value is read. Value 0 enters the part.
    use_counts: Vec<usize>,
    /// The values that leave the part.
    outputs: Vec<usize>,
}

/// An operation of values of the program.
struct Instruction {
    operation: Operation,
    inputs: Vec<usize>,
    output: usize,
}

enum Operation {
    /// Of one value, or of one value with a second that is added to the result.
    Convolve(Box<Weights>, WindowOptions),
    /// With scale, shift, mean and variance.
    Normalize(Box<[Tensor<1>; 4]>),
    Relu,
    Add,
    /// With the size of the windows.
    MaxPool(usize, WindowOptions),
}

/// The constant values of a graph. Several parts may hold the same convolution, whose weights they share.
pub(super) struct Constants<'a> {
    /// Returns the shape and the numbers of a value.
    read: &'a dyn Fn(usize) -> Option<(Vec<usize>, Vec<f32>)>,
    /// By the values of weights and bias.
    weights: RefCell<HashMap<(usize, Option<usize>), Weights>>,
}

impl<'a> Constants<'a> {
    pub(super) fn new(read: &'a dyn Fn(usize) -> Option<(Vec<usize>, Vec<f32>)>) -> Self {
        Self { read, weights: RefCell::default() }
    }

    /// Returns a value of so many numbers, in one dimension.
    fn vector(&self, value: usize, length: usize) -> Option<Tensor<1>> {
        let (_, values) = (self.read)(value)?;
        (values.len() == length).then(|| tensor(values))
    }

    /// Returns the weights of a convolution with square windows.
    fn weights(&self, value: usize, bias: Option<usize>) -> Option<Weights> {
        if let Some(known) = self.weights.borrow().get(&(value, bias)) {
            return Some(known.clone());
        }
        let (shape, values) = (self.read)(value)?;
        let shape: [usize; 4] = shape.try_into().ok()?;
        if shape[2] != shape[3] {
            return None;
        }
        let vector = match bias {
            Some(bias) => Some(self.vector(bias, shape[0])?),
            None => None,
        };
        let weights = Weights::new(tensor(values), shape, vector);
        self.weights.borrow_mut().insert((value, bias), weights.clone());
        Some(weights)
    }
}

impl Program {
    /// Returns the program that computes values of a graph from one, `[channels, height, width]` of a sample; `None` where the
    /// kernels cannot compute one of the nodes.
    pub(super) fn new(
        graph: &Graph,
        constants: &Constants,
        (from, shape): (usize, &[usize]),
        to: &[usize],
    ) -> Option<Self> {
        let mut builder = Builder::new(constants, from, shape)?;
        for node in Subgraph::between(graph, from, to).nodes {
            builder.add_node(&graph.nodes[node])?;
        }
        builder.finish(to)
    }

    /// Returns the program of the nodes with which a part ends, as far as the kernels can compute them, and the value that the others
    /// give to it; `None` where there are no such nodes. `shape` is that of a value without the samples, where it is known.
    pub(super) fn suffix(
        graph: &Graph,
        constants: &Constants,
        shape: &dyn Fn(usize) -> Option<Vec<usize>>,
        to: usize,
    ) -> Option<(Self, usize)> {
        let last = graph.values[to].producer?;
        let mut values = graph.nodes[..last].iter().flat_map(|node| &node.outputs);
        values.find_map(|&from| Some((Self::new(graph, constants, (from, &shape(from)?), &[to])?, from)))
    }

    /// Returns the program of the nodes with which a part begins, as far as the kernels can compute them, and the one value that the
    /// others take from it; `None` where there are no such nodes, or several such values.
    pub(super) fn prefix(
        graph: &Graph,
        constants: &Constants,
        (from, shape): (usize, &[usize]),
        to: &[usize],
    ) -> Option<(Self, usize)> {
        let mut builder = Builder::new(constants, from, shape)?;
        let mut taken = to.to_vec();
        for node in Subgraph::between(graph, from, to).nodes {
            if builder.add_node(&graph.nodes[node]).is_none() {
                taken.extend(graph.nodes[node].present_inputs());
            }
        }
        taken.retain(|value| builder.values.contains_key(value));
        taken.sort_unstable();
        taken.dedup();
        let &[value] = &taken[..] else { return None };
        (value != from).then(|| builder.finish(&[value])).flatten().map(|program| (program, value))
    }

    /// Returns whether it has a convolution; without one the kernels are not worth the conversion of layouts.
    pub(super) fn has_convolutions(&self) -> bool {
        self.instructions.iter().any(|instruction| matches!(instruction.operation, Operation::Convolve(..)))
    }

    fn count_uses(&mut self) {
        self.use_counts.fill(0);
        let inputs = self.instructions.iter().flat_map(|instruction| &instruction.inputs);
        inputs.chain(&self.outputs).for_each(|&value| self.use_counts[value] += 1);
    }

    /// Fuses sums of a convolution's result and a value that is computed before it into the convolution, where nothing else reads
    /// its result.
    fn fuse_sums(&mut self) {
        let written = |instructions: &[Instruction], value: usize| {
            instructions.iter().position(|instruction| instruction.output == value)
        };
        let mut place = 0;
        while place < self.instructions.len() {
            let instruction = &self.instructions[place];
            let candidates = match (&instruction.operation, &instruction.inputs[..]) {
                (Operation::Add, &[a, b]) if a != b => vec![(a, b), (b, a)],
                _ => Vec::new(),
            };
            let fits = |&(result, summand): &(usize, usize)| {
                let convolution = written(&self.instructions, result)?;
                let is_known = written(&self.instructions, summand).is_none_or(|at| at < convolution);
                let own = &self.instructions[convolution];
                let can_add = matches!(own.operation, Operation::Convolve(..)) && own.inputs.len() == 1;
                (is_known && can_add && self.use_counts[result] == 1).then_some((convolution, summand))
            };
            match candidates.iter().find_map(fits) {
                Some((convolution, summand)) => {
                    let sum = self.instructions.remove(place).output;
                    self.instructions[convolution].inputs.push(summand);
                    self.instructions[convolution].output = sum;
                    self.count_uses();
                }
                None => place += 1,
            }
        }
    }

    /// Computes the values that leave the part.
    pub(super) fn run(&self, x: FeatureMap) -> Vec<FeatureMap> {
        let mut left = self.use_counts.clone();
        let mut values: Vec<Option<FeatureMap>> = vec![None; left.len()];
        // A convolution reads images where they are; to convert them would be one more pass.
        let first = self
            .instructions
            .iter()
            .find(|instruction| instruction.inputs.contains(&0))
            .map(|instruction| &instruction.operation);
        let is_convolved = self.use_counts[0] == 1 && matches!(first, Some(Operation::Convolve(..)));
        values[0] = Some(if is_convolved { x } else { x.into_native() });
        // The last to read a value takes it, so that its memory can be used again.
        let mut read = |values: &mut Vec<Option<FeatureMap>>, value: usize| {
            left[value] -= 1;
            let read = if left[value] == 0 { values[value].take() } else { values[value].clone() };
            read.expect("a value is computed before it is read, and read as often as was counted")
        };
        for instruction in &self.instructions {
            let x = read(&mut values, instruction.inputs[0]);
            let second = instruction.inputs.get(1).map(|&value| read(&mut values, value));
            let y = match &instruction.operation {
                Operation::Convolve(weights, options) => {
                    let next = second.map_or(Epilogue::None, Epilogue::Sum);
                    x.convolve(Kernels::Native, Weights::clone(weights), *options, next)
                }
                // A convolution that normalizes what it reads rounds otherwise, and whether one follows depends on where parts end.
                Operation::Normalize(norm) => x.normalize(norm.as_ref().clone()).materialize(),
                Operation::Relu => x.relu(),
                Operation::Add => FeatureMap::combine(x, None, second.map(|other| (Carry::Identity, other)), false),
                Operation::MaxPool(size, options) => x.max_pool(*size, *options, false),
            };
            values[instruction.output] =
                Some(if self.use_counts[instruction.output] > 1 { y.materialize() } else { y });
        }
        self.outputs.iter().map(|&value| read(&mut values, value).materialize()).collect()
    }
}

/// Collects the instructions of a program.
struct Builder<'a> {
    constants: &'a Constants<'a>,
    /// The values of the program, by those of the graph.
    values: HashMap<usize, usize>,
    /// `[channels, height, width]` of each value.
    shapes: Vec<[usize; 3]>,
    instructions: Vec<Instruction>,
}

impl<'a> Builder<'a> {
    fn new(constants: &'a Constants<'a>, from: usize, shape: &[usize]) -> Option<Self> {
        let mut builder = Self { constants, values: HashMap::new(), shapes: Vec::new(), instructions: Vec::new() };
        builder.add_value(from, shape.try_into().ok()?);
        Some(builder)
    }

    /// Returns the program that computes some values of the graph.
    fn finish(self, to: &[usize]) -> Option<Program> {
        let outputs: Vec<usize> = to.iter().map(|value| self.values.get(value).copied()).collect::<Option<_>>()?;
        let mut program = Program { use_counts: vec![0; self.shapes.len()], instructions: self.instructions, outputs };
        program.count_uses();
        program.fuse_sums();
        Some(program)
    }

    fn add_value(&mut self, value: usize, shape: [usize; 3]) -> usize {
        self.values.insert(value, self.shapes.len());
        self.shapes.push(shape);
        self.shapes.len() - 1
    }

    /// Adds a node; `None` where the kernels do not compute it.
    fn add_node(&mut self, node: &Node) -> Option<()> {
        let [output] = node.outputs[..] else { return None };
        let input = |place: usize| self.values.get(&(*node.inputs.get(place)?)?).copied();
        let x = input(0)?;
        let shape = self.shapes[x];
        let (operation, inputs, shape) = match node.op.as_str() {
            "Relu" => (Operation::Relu, vec![x], shape),
            "Add" => {
                let other = input(1).filter(|&other| self.shapes[other] == shape)?;
                (Operation::Add, vec![x, other], shape)
            }
            "BatchNormalization" => (self.normalization(node, shape[0])?, vec![x], shape),
            "Conv" => {
                let (operation, shape) = self.convolution(node, shape)?;
                (operation, vec![x], shape)
            }
            "MaxPool" if node.integer("ceil_mode").unwrap_or(0) == 0 => {
                let &[size, width] = node.integers("kernel_shape") else { return None };
                let (size, options, sides) = window(node, [size, width], [shape[1], shape[2]])?;
                (Operation::MaxPool(size, options), vec![x], [shape[0], sides[0], sides[1]])
            }
            _ => return None,
        };
        let output = self.add_value(output, shape);
        self.instructions.push(Instruction { operation, inputs, output });
        Some(())
    }

    fn normalization(&self, node: &Node, channels: usize) -> Option<Operation> {
        if node.integer("training_mode").unwrap_or(0) != 0 {
            return None;
        }
        let of_channel = |place: usize| self.constants.vector((*node.inputs.get(place)?)?, channels);
        let epsilon = node.floats("epsilon").and_then(|values| values.first().copied()).unwrap_or(1e-5);
        // The kernels have an ε of their own.
        let variance = of_channel(4)?.add_scalar(epsilon - EPSILON);
        Some(Operation::Normalize(Box::new([of_channel(1)?, of_channel(2)?, of_channel(3)?, variance])))
    }

    fn convolution(&self, node: &Node, [channels, height, width]: [usize; 3]) -> Option<(Operation, [usize; 3])> {
        let weights = self.constants.weights((*node.inputs.get(1)?)?, node.inputs.get(2).copied().flatten())?;
        let [out, input, size, _] = weights.shape();
        if node.integer("group").unwrap_or(1) != 1 || input != channels {
            return None;
        }
        let (_, options, sides) = window(node, [size as i64; 2], [height, width])?;
        Some((Operation::Convolve(Box::new(weights), options), [out, sides[0], sides[1]]))
    }
}

fn tensor(values: Vec<f32>) -> Tensor<1> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), &Device::flex())
}

/// Returns the side of the windows of a node, how they move, and the sides of what they give. `None` for windows that are not square,
/// or that move otherwise in one direction than in the other, further than two pixels, or with gaps.
fn window(node: &Node, [rows, columns]: [i64; 2], sides: [usize; 2]) -> Option<(usize, WindowOptions, [usize; 2])> {
    let all_equal = |name: &str, default: i64| {
        let values = node.integers(name);
        let first = values.first().copied().unwrap_or(default);
        values.iter().all(|&value| value == first).then_some(usize::try_from(first).ok()?)
    };
    let is_explicit = node.text("auto_pad").is_none_or(|text| text == "NOTSET");
    let (stride, padding) = (all_equal("strides", 1)?, all_equal("pads", 0)?);
    let size = usize::try_from(rows).ok().filter(|&size| size > padding)?;
    if rows != columns || !is_explicit || !(1..=2).contains(&stride) || all_equal("dilations", 1)? != 1 {
        return None;
    }
    let after = |side: usize| Some((side + 2 * padding).checked_sub(size)? / stride + 1);
    Some((size, WindowOptions { stride, padding }, [after(sides[0])?, after(sides[1])?]))
}
