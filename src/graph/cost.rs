//! Parameters and FLOPs of nodes, and a short text that describes the layers among them.

use std::collections::{HashMap, HashSet};

use super::linked_graph::Graph;
use super::raw_graph::{ArrayInfo, FLOAT32};
use crate::nn::Outline;

/// Returns the inputs of a node that can be its weight.
fn weight_inputs(graph: &Graph, node: usize) -> impl Iterator<Item = usize> {
    let node = &graph.nodes[node];
    let places = match node.op.as_str() {
        "Conv" | "ConvTranspose" | "Gemm" | "LSTM" | "GRU" | "RNN" => 1..2,
        "MatMul" => 0..2,
        _ => 0..0,
    };
    node.inputs.get(places).into_iter().flatten().flatten().copied()
}

/// Returns whether a node multiplies by an array of the file.
pub(super) fn is_layer(graph: &Graph, node: usize) -> bool {
    weight_inputs(graph, node).any(|value| graph.values[value].is_constant)
}

/// Returns the array of the file that a value is, or is converted from: exporters also store weights in half precision or
/// quantized.
fn stored_array(graph: &Graph, value: usize) -> Option<(usize, &ArrayInfo)> {
    let mut value = value;
    loop {
        if let Some(array) = &graph.values[value].array {
            return Some((value, array));
        }
        value = (*graph.produced_by(value, &["Cast", "DequantizeLinear"])?.inputs.first()?)?;
    }
}

/// Returns the weight of a node that multiplies by an array of the file.
fn weight(graph: &Graph, node: usize) -> Option<&ArrayInfo> {
    weight_inputs(graph, node).find_map(|value| stored_array(graph, value)).map(|(_, array)| array)
}

/// The cost of some nodes for one sample.
#[derive(Default)]
pub(super) struct Cost {
    /// Trained values.
    pub parameters: u64,
    /// Multiply-adds times two.
    pub flops: u64,
}

/// Counts costs. A parameter that several nodes share counts where it occurs first.
#[derive(Default)]
pub(super) struct CostCounter {
    /// Values whose parameters are counted already.
    counted: HashSet<usize>,
}

impl CostCounter {
    /// Returns the cost of some nodes: the values of the arrays that they use, without running statistics, and the FLOPs of
    /// their convolutions and matrix products. `shapes` are those of a run of `batch` samples.
    pub(super) fn cost(
        &mut self,
        graph: &Graph,
        nodes: &[usize],
        shapes: &HashMap<usize, Vec<usize>>,
        batch: usize,
    ) -> Cost {
        let mut cost = Cost::default();
        for &index in nodes {
            let node = &graph.nodes[index];
            let trained = if node.op == "BatchNormalization" { 3 } else { node.inputs.len() };
            for &value in node.inputs[..trained.min(node.inputs.len())].iter().flatten() {
                let Some((own, array)) = stored_array(graph, value) else { continue };
                let is_number = array.element == FLOAT32 || own != value;
                if array.is_parameter && is_number && !array.shape.is_empty() && self.counted.insert(own) {
                    cost.parameters += array.shape.iter().product::<usize>() as u64;
                }
            }
            cost.flops += flops(graph, index, shapes).unwrap_or(0) / batch.max(1) as u64;
        }
        cost
    }

    /// Completes an outline whose stem and blocks are counted: the parameters of the remaining nodes are those of the head.
    pub(super) fn complete(
        mut self,
        outline: Outline,
        graph: &Graph,
        all: &[usize],
        shapes: &HashMap<usize, Vec<usize>>,
        batch: usize,
    ) -> Outline {
        let head_parameters = self.cost(graph, all, shapes, batch).parameters;
        let blocks: u64 = outline.stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.parameters).sum();
        Outline {
            parameters: outline.stem_parameters + blocks + head_parameters,
            flops: Self::default().cost(graph, all, shapes, batch).flops,
            head_parameters,
            ..outline
        }
    }
}

/// Returns the multiply-adds of a node times two, for the whole batch.
fn flops(graph: &Graph, index: usize, shapes: &HashMap<usize, Vec<usize>>) -> Option<u64> {
    let node = &graph.nodes[index];
    let shape = |value: usize| stored_array(graph, value).map(|(_, array)| &array.shape).or_else(|| shapes.get(&value));
    let size = |shape: &[usize]| shape.iter().map(|&side| side as u64).product::<u64>();
    let out = shape(*node.outputs.first()?)?;
    let first = shape((*node.inputs.first()?)?)?;
    let second = shape((*node.inputs.get(1)?)?)?;
    Some(match node.op.as_str() {
        // Weight [out, in / groups, window…].
        "Conv" => 2 * size(out) * size(second.get(1..)?),
        // Weight [in, out / groups, window…].
        "ConvTranspose" => 2 * size(first) * size(second.get(1..)?),
        "Gemm" => 2 * size(out) * first[usize::from(node.integer("transA") != Some(1)).min(first.len() - 1)] as u64,
        "MatMul" => 2 * size(out) * *first.last()? as u64,
        _ => return None,
    })
}

/// Returns the values whose shapes [`CostCounter::cost`] needs.
pub(super) fn values_with_shapes(graph: &Graph) -> impl Iterator<Item = usize> + '_ {
    let products = graph.nodes.iter().filter(|n| matches!(n.op.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul"));
    products
        .flat_map(|node| node.outputs.iter().copied().chain(node.present_inputs().take(2)))
        .filter(|&v| !graph.values[v].is_constant)
}

/// Returns a text that describes the layers among some nodes, such as `3x3 16 · 3x3 16` or `attention 96 · 32`.
pub(super) fn describe_layers(graph: &Graph, nodes: &[usize]) -> String {
    let layer = |&index: &usize| {
        let (node, array) = (&graph.nodes[index], weight(graph, index)?);
        let size = |window: &[usize]| window.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        Some(match (node.op.as_str(), array.shape.as_slice()) {
            ("Conv", [out, _, window @ ..]) => {
                let groups = node.integer("group").filter(|&groups| groups > 1);
                let grouped = groups.map_or(String::new(), |groups| format!(" in {groups} groups"));
                let stride = node.integers("strides").first().filter(|&&s| s > 1);
                let strided = stride.map_or(String::new(), |stride| format!("/{stride}"));
                format!("{} {out}{strided}{grouped}", size(window))
            }
            ("Gemm", [a, b]) => if node.integer("transB") == Some(1) { a } else { b }.to_string(),
            ("MatMul", [.., out]) => out.to_string(),
            (op, _) => op.to_string(),
        })
    };
    let layers: Vec<String> = nodes.iter().filter_map(layer).collect();
    let has_attention = nodes.iter().any(|&node| matches!(graph.nodes[node].op.as_str(), "Softmax" | "Attention"));
    let layers = layers.join(" · ");
    if has_attention { format!("attention {layers}") } else { layers }
}
