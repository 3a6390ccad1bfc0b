//! What the nodes of a block cost, and what they are in words.

use std::collections::{HashMap, HashSet};

use super::proto::Graph;
use super::raw::{Array, FLOAT};
use crate::nn::Outline;

/// What a node may multiply by: the places of its weight.
fn weights(graph: &Graph, node: usize) -> impl Iterator<Item = usize> {
    let node = &graph.nodes[node];
    let places = match node.op.as_str() {
        "Conv" | "ConvTranspose" | "Gemm" | "LSTM" | "GRU" | "RNN" => 1..2,
        "MatMul" => 0..2,
        _ => 0..0,
    };
    node.inputs.get(places).into_iter().flatten().flatten().copied()
}

/// Whether a node multiplies by what the file holds.
pub(super) fn is_layer(graph: &Graph, node: usize) -> bool {
    weights(graph, node).any(|value| graph.values[value].is_fixed)
}

/// The array of the file that a value is, or is in other numbers: exporters keep weights in half precision or in bytes.
fn held(graph: &Graph, value: usize) -> Option<(usize, &Array)> {
    let mut value = value;
    loop {
        if let Some(array) = &graph.values[value].array {
            return Some((value, array));
        }
        value = (*graph.given_by(value, &["Cast", "DequantizeLinear"])?.inputs.first()?)?;
    }
}

/// The weight of a node that multiplies by an array of the file.
pub(super) fn weight(graph: &Graph, node: usize) -> Option<&Array> {
    weights(graph, node).find_map(|value| held(graph, value)).map(|(_, array)| array)
}

/// What some nodes cost, for one sample.
#[derive(Default)]
pub(super) struct Cost {
    pub parameters: u64,
    pub flops: u64,
}

/// Counts parameters, each where it is first met.
#[derive(Default)]
pub(super) struct Counter {
    counted: HashSet<usize>,
}

impl Counter {
    /// The arrays that these nodes take, statistics of normalizations left out, and the multiply-adds of their
    /// convolutions and matrix products times two; `shapes` are those of values of a batch of `batch`.
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
                let Some((own, array)) = held(graph, value) else { continue };
                let is_number = array.element == FLOAT || own != value;
                if array.is_parameter && is_number && !array.shape.is_empty() && self.counted.insert(own) {
                    cost.parameters += array.shape.iter().product::<usize>() as u64;
                }
            }
            cost.flops += flops(graph, index, shapes).unwrap_or(0) / batch.max(1) as u64;
        }
        cost
    }

    /// An outline whose stem and blocks are counted, with what is left for the head, and with the sums over all nodes.
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

fn flops(graph: &Graph, index: usize, shapes: &HashMap<usize, Vec<usize>>) -> Option<u64> {
    let node = &graph.nodes[index];
    let shape = |value: usize| held(graph, value).map(|(_, array)| &array.shape).or_else(|| shapes.get(&value));
    let size = |shape: &[usize]| shape.iter().map(|&side| side as u64).product::<u64>();
    let out = shape(*node.outputs.first()?)?;
    let first = shape((*node.inputs.first()?)?)?;
    let second = shape((*node.inputs.get(1)?)?)?;
    Some(match node.op.as_str() {
        // [out, in / groups, window…]
        "Conv" => 2 * size(out) * size(second.get(1..)?),
        // [in, out / groups, window…]
        "ConvTranspose" => 2 * size(first) * size(second.get(1..)?),
        "Gemm" => 2 * size(out) * first[usize::from(node.integer("transA") != Some(1)).min(first.len() - 1)] as u64,
        "MatMul" => 2 * size(out) * *first.last()? as u64,
        _ => return None,
    })
}

/// Values whose shapes [`Counter::cost`] needs.
pub(super) fn watched(graph: &Graph) -> impl Iterator<Item = usize> + '_ {
    let products = graph.nodes.iter().filter(|n| matches!(n.op.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul"));
    products
        .flat_map(|node| node.outputs.iter().copied().chain(node.takes().take(2)))
        .filter(|&v| !graph.values[v].is_fixed)
}

/// The layers among these nodes in words, such as `3x3 16 · 3x3 16` or `attention: 96 · 32`.
pub(super) fn words(graph: &Graph, nodes: &[usize]) -> String {
    let layer = |&index: &usize| {
        let (node, array) = (&graph.nodes[index], weight(graph, index)?);
        let sides = |window: &[usize]| window.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        Some(match (node.op.as_str(), array.shape.as_slice()) {
            ("Conv", [out, _, window @ ..]) => {
                let groups = node.integer("group").filter(|&groups| groups > 1);
                let grouped = groups.map_or(String::new(), |groups| format!(" in {groups} groups"));
                let stride = node.integers("strides").first().filter(|&&s| s > 1);
                let strided = stride.map_or(String::new(), |stride| format!("/{stride}"));
                format!("{} {out}{strided}{grouped}", sides(window))
            }
            ("Gemm", [a, b]) => if node.integer("transB") == Some(1) { a } else { b }.to_string(),
            ("MatMul", [.., out]) => out.to_string(),
            (op, _) => op.to_string(),
        })
    };
    let layers: Vec<String> = nodes.iter().filter_map(layer).collect();
    let attends = nodes.iter().any(|&node| matches!(graph.nodes[node].op.as_str(), "Softmax" | "Attention"));
    let layers = layers.join(" · ");
    if attends { format!("attention {layers}") } else { layers }
}
