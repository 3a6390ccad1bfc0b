//! The nodes that multiply by arrays of the file, and these arrays.

use std::collections::{HashMap, HashSet};

use super::linked_graph::{Graph, Node};
use super::raw_graph::ArrayInfo;
use super::views::is_view;

/// Element types of floats, as ONNX numbers them: float32, float16, float64 and bfloat16.
const FLOATS: [i64; 4] = [1, 10, 11, 16];

/// Operations that compute a unit from several units of their input without an array of the file.
const MIXING_OPS: [&str; 15] = [
    "Attention",
    "AveragePool",
    "Conv",
    "ConvInteger",
    "DFT",
    "Einsum",
    "GRU",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "LSTM",
    "LpPool",
    "MatMul",
    "MatMulInteger",
    "MaxPool",
    "RNN",
];

/// Returns the inputs of a node that can be its weight.
fn weight_inputs(node: &Node) -> impl Iterator<Item = usize> {
    let places = match node.op.as_str() {
        "Conv" | "ConvInteger" | "ConvTranspose" | "Gemm" | "LSTM" | "GRU" | "RNN" => 1..2,
        "MatMul" | "MatMulInteger" => 0..2,
        "Einsum" => 0..node.inputs.len(),
        _ => 0..0,
    };
    node.inputs.get(places).into_iter().flatten().flatten().copied()
}

/// Returns the weight of a node that multiplies by an array of the file, or by what is computed from such arrays alone.
pub(super) fn weight(graph: &Graph, node: usize) -> Option<usize> {
    weight_inputs(&graph.nodes[node]).find(|&value| graph.values[value].is_constant)
}

/// Returns whether a node multiplies by an array of the file.
pub(super) fn is_layer(graph: &Graph, node: usize) -> bool {
    weight(graph, node).is_some()
}

/// Returns whether a node computes a unit from several units of its input, as the layers of a body do. Sums and products
/// of units with themselves, of which activations and normalizations can consist, do not.
pub(super) fn mixes_units(graph: &Graph, node: usize) -> bool {
    MIXING_OPS.contains(&graph.nodes[node].op.as_str()) || is_layer(graph, node)
}

/// Returns the shape of a value: that of an array of the file, also where it is converted or transposed, or else the one
/// in `shapes`.
pub(super) fn shape_of_value<'a>(
    graph: &'a Graph,
    shapes: &'a HashMap<usize, Vec<usize>>,
    value: usize,
) -> Option<Vec<usize>> {
    if let Some(shape) = shapes.get(&value) {
        return Some(shape.clone());
    }
    let (mut value, mut transpositions) = (value, Vec::new());
    loop {
        if let Some(array) = &graph.values[value].array {
            let transposed = |shape: Vec<usize>, axes: &&[i64]| {
                let axes = axes.iter().map(|&axis| shape.get(usize::try_from(axis).ok()?).copied());
                axes.collect::<Option<Vec<usize>>>().unwrap_or_else(|| shape.iter().rev().copied().collect())
            };
            return Some(transpositions.iter().rev().fold(array.shape.clone(), transposed));
        }
        let node = graph.produced_by(value, &["Cast", "DequantizeLinear", "Transpose"])?;
        if node.op == "Transpose" {
            transpositions.push(node.integers("perm"));
        }
        value = (*node.inputs.first()?)?;
    }
}

/// Returns the arrays of the file that a node multiplies by or adds: its weights, as values of the graph.
pub(super) fn arrays_of<'a>(graph: &'a Graph, node: &Node) -> Vec<(usize, &'a ArrayInfo)> {
    let is_scale = |value: usize| graph.produced_by(value, &["DynamicQuantizeLinear"]).is_some();
    let trained = match node.op.as_str() {
        // Running statistics follow.
        "BatchNormalization" => 3,
        // Scales, zero points, bounds and factors follow.
        "QuantizeLinear" | "DequantizeLinear" | "Resize" | "Upsample" | "Clip" => 1,
        "ConvInteger" | "MatMulInteger" => 2,
        // The scale of the quantized weight.
        "Mul" if node.present_inputs().any(is_scale) => 0,
        _ => node.inputs.len(),
    };
    let is_converted = matches!(node.op.as_str(), "ConvInteger" | "MatMulInteger");
    let mut found = Vec::new();
    let mut pending: Vec<(usize, bool)> =
        node.inputs[..trained.min(node.inputs.len())].iter().flatten().map(|&value| (value, is_converted)).collect();
    let mut seen = HashSet::new();
    while let Some((value, is_converted)) = pending.pop() {
        if !graph.values[value].is_constant || !seen.insert(value) {
            continue;
        }
        if let Some(array) = &graph.values[value].array {
            let is_number = is_converted || FLOATS.contains(&array.element);
            let is_weight =
                if array.is_parameter { !array.shape.is_empty() } else { array.shape.iter().product::<usize>() > 1 };
            if is_number && is_weight {
                found.push((value, array));
            }
        } else if let Some(node) = graph.values[value].producer {
            let node = &graph.nodes[node];
            let first = node.inputs.first().copied().flatten();
            match node.op.as_str() {
                "Cast" => {
                    let is_float = node.integer("to").is_some_and(|to| FLOATS.contains(&to));
                    pending.extend(first.filter(|_| is_float).map(|value| (value, true)));
                }
                "DequantizeLinear" => pending.extend(first.map(|value| (value, true))),
                "Shape" | "Size" | "ConstantOfShape" | "Range" => {}
                _ if is_view(node) => pending.extend(first.map(|value| (value, is_converted))),
                _ => pending.extend(node.present_inputs().map(|value| (value, is_converted))),
            }
        }
    }
    found
}

/// Returns a text that describes the layers among some nodes, such as `3x3 16 · 3x3 16` or `attention 96 · 32`. `shapes`
/// are those of a run.
pub(super) fn describe_layers(graph: &Graph, nodes: &[usize], shapes: &HashMap<usize, Vec<usize>>) -> String {
    let layer = |&index: &usize| {
        let (node, shape) = (&graph.nodes[index], shape_of_value(graph, shapes, weight(graph, index)?)?);
        let size = |window: &[usize]| window.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        Some(match (node.op.as_str(), shape.as_slice()) {
            ("Conv" | "ConvInteger", [out, _, window @ ..]) => {
                let groups = node.integer("group").filter(|&groups| groups > 1);
                let grouped = groups.map_or(String::new(), |groups| format!(" in {groups} groups"));
                let stride = node.integers("strides").first().filter(|&&s| s > 1);
                let strided = stride.map_or(String::new(), |stride| format!("/{stride}"));
                format!("{} {out}{strided}{grouped}", size(window))
            }
            ("Gemm", [a, b]) => if node.integer("transB") == Some(1) { a } else { b }.to_string(),
            ("MatMul" | "MatMulInteger", [.., out]) => out.to_string(),
            (op, _) => op.to_string(),
        })
    };
    let mut layers: Vec<String> = nodes.iter().filter_map(layer).collect();
    if layers.is_empty() {
        let mixing = nodes.iter().filter(|&&node| mixes_units(graph, node));
        layers.extend(mixing.map(|&node| graph.nodes[node].op.clone()));
    }
    let has_attention = nodes.iter().any(|&node| matches!(graph.nodes[node].op.as_str(), "Softmax" | "Attention"));
    let layers = layers.join(" · ");
    if has_attention { format!("attention {layers}") } else { layers }
}
