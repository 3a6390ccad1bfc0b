//! Reads how the sum of a block is wired, `t·h + c·x`, from the nodes before the sum.

use super::linked_graph::Graph;
use super::post_dominators::PostDominators;
use super::subgraph::Subgraph;
use super::views::{is_view_of, source};
use crate::nn::Wiring;

/// A skip connection: the terms and factors of the sum in which it ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SkipConnection {
    pub wiring: Wiring,
    /// The new value; `None` where it is the sum of several values.
    pub h: Option<usize>,
    /// The transform gate.
    pub transform: Option<usize>,
    /// The carry gate; `None` where it is 1, or 1 minus the transform gate.
    pub carry: Option<usize>,
    /// The value in the place of `x`: `x` itself or its projection.
    pub shortcut: usize,
}

/// Operations that a projection may consist of: linear maps and pooling.
const LINEAR_OPS: [&str; 26] = [
    "Conv",
    "ConvInteger",
    "Gemm",
    "MatMul",
    "MatMulInteger",
    "Einsum",
    "Cast",
    "Dropout",
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "Flatten",
    "BatchNormalization",
    "AveragePool",
    "MaxPool",
    "GlobalAveragePool",
    "Pad",
    "Slice",
    "Concat",
    "Transpose",
    "Reshape",
    "Unsqueeze",
    "Squeeze",
    "Add",
    "Mul",
    "Gather",
];

impl SkipConnection {
    /// Reads the sum at a node in which the paths from `x` meet; `None` where none of the paths is a skip connection.
    pub(super) fn read(dominators: &PostDominators<'_>, x: usize, node: usize) -> Option<Self> {
        let graph = dominators.graph;
        let sum = &graph.nodes[node];
        if !matches!(sum.op.as_str(), "Add" | "Sum") {
            return None;
        }
        let terms: Vec<usize> = sum.present_inputs().filter(|&value| !graph.values[value].is_constant).collect();
        if let [a, b] = terms[..] {
            let identity = |shortcut, new| Self::identity(dominators, x, shortcut, new);
            let projection = || Self::projection(dominators, x, a, b);
            if let Some(skip) = identity(a, b).or_else(|| identity(b, a)).or_else(projection) {
                return Some(skip);
            }
        }
        // Parallel branches: x + f(x) + g(x).
        let mut all_terms = Vec::new();
        terms.iter().for_each(|&term| collect_terms(dominators, term, x, 0, &mut all_terms));
        let shortcut = all_terms.into_iter().find(|&term| is_view_of(graph, term, x))?;
        Some(Self { wiring: Wiring::Residual, h: None, transform: None, carry: None, shortcut })
    }

    /// Reads a sum with `x` itself, or a view of it, on the skip connection, gated or not.
    fn identity(dominators: &PostDominators<'_>, x: usize, shortcut: usize, new: usize) -> Option<Self> {
        let graph = dominators.graph;
        let is_x = |value| is_view_of(graph, value, x);
        let skip_of = |shortcut: usize| {
            move |wiring, h, transform, carry| Some(Self { wiring, h: Some(h), transform, carry, shortcut })
        };
        if is_x(shortcut) {
            let skip_of = skip_of(shortcut);
            let Some((t, h)) = gate_and_value(dominators, new, None) else {
                return skip_of(Wiring::Residual, new, None, None);
            };
            // t·(h - x) + x equals t·h + (1 - t)·x.
            let difference =
                graph.produced_by(source(graph, h), &["Sub"]).map(|node| node.present_inputs().collect::<Vec<_>>());
            return match difference.as_deref() {
                Some(&[h, other]) if is_x(other) => skip_of(Wiring::Highway, h, Some(t), None),
                _ => skip_of(Wiring::TOnly, h, Some(t), None),
            };
        }
        let [p, q] = factors(dominators, shortcut)?;
        let (x, carry) = if is_x(p) {
            (p, q)
        } else if is_x(q) {
            (q, p)
        } else {
            return None;
        };
        let skip_of = skip_of(x);
        match gate_and_value(dominators, new, Some(carry)) {
            Some((t, h)) if is_complement(graph, carry, t) || is_complement(graph, t, carry) => {
                skip_of(Wiring::Highway, h, Some(t), None)
            }
            Some((t, h)) => skip_of(Wiring::Full, h, Some(t), Some(carry)),
            None => skip_of(Wiring::COnly, new, None, Some(carry)),
        }
    }

    /// Reads a sum with a projection on the skip connection: the branch that is linear and has fewer layers.
    fn projection(dominators: &PostDominators<'_>, x: usize, a: usize, b: usize) -> Option<Self> {
        let graph = dominators.graph;
        if let (Some(one), Some(other)) = (factors(dominators, a), factors(dominators, b)) {
            // t·h + (1 - t)·P(x), the factors in any order.
            let flip = |[p, q]: [usize; 2]| [[p, q], [q, p]];
            let pairs = flip(one).into_iter().flat_map(|one| flip(other).map(|other| (one, other)));
            let coupled = |([t, h], [c, shortcut]): ([usize; 2], [usize; 2])| {
                let skip_of = |t, h, shortcut| Self {
                    wiring: Wiring::Highway,
                    h: Some(h),
                    transform: Some(t),
                    carry: None,
                    shortcut,
                };
                if is_complement(graph, c, t) {
                    Some(skip_of(t, h, shortcut))
                } else {
                    is_complement(graph, t, c).then(|| skip_of(c, shortcut, h))
                }
            };
            if let Some(skip) = pairs.into_iter().find_map(coupled) {
                return Some(skip);
            }
        }
        let branch_to = |value: usize| {
            let branch = Subgraph::between(graph, x, &[value]);
            let is_linear = branch
                .nodes
                .iter()
                .all(|&node| is_linear(dominators, node) || !dominators.depends_on_input(graph.nodes[node].outputs[0]));
            (!branch.nodes.is_empty()).then_some((is_linear, branch.layer_count(graph)))
        };
        let (of_a, of_b) = (branch_to(a)?, branch_to(b)?);
        let skip_of =
            |h, shortcut| Some(Self { wiring: Wiring::Residual, h: Some(h), transform: None, carry: None, shortcut });
        match (of_a, of_b) {
            ((true, skip), (_, body)) if skip < body => skip_of(b, a),
            ((_, body), (true, skip)) if skip < body => skip_of(a, b),
            _ => None,
        }
    }
}

/// Returns whether a node is linear in the values of the samples. A product is where one factor does not depend on them,
/// or is the scale of a quantized value.
fn is_linear(dominators: &PostDominators<'_>, node: usize) -> bool {
    let graph = dominators.graph;
    let node = &graph.nodes[node];
    let is_quantized = |value: usize| graph.produced_by(value, &["DynamicQuantizeLinear"]).is_some();
    let is_scale = |value: usize| {
        let product = graph.produced_by(value, &["Mul"]);
        is_quantized(value) || product.is_some_and(|node| node.present_inputs().any(is_quantized))
    };
    let live = node.present_inputs().filter(|&value| dominators.depends_on_input(value) && !is_scale(value)).count();
    LINEAR_OPS.contains(&node.op.as_str()) && (node.op != "Mul" || live < 2)
}

/// Returns the two factors of a product, where both depend on the samples.
fn factors(dominators: &PostDominators<'_>, value: usize) -> Option<[usize; 2]> {
    let graph = dominators.graph;
    let node = graph.produced_by(source(graph, value), &["Mul"])?;
    let live: Vec<usize> = node.present_inputs().filter(|&value| dominators.depends_on_input(value)).collect();
    live.try_into().ok()
}

/// Returns the gate and the new value of a product. A gate is a sigmoid, or coupled to the `other` gate. A factor that is
/// computed from the value that it scales, as in a squeeze-and-excitation, is no gate but part of `h`.
fn gate_and_value(dominators: &PostDominators<'_>, value: usize, other: Option<usize>) -> Option<(usize, usize)> {
    let [p, q] = factors(dominators, value)?;
    let graph = dominators.graph;
    let is_sigmoid = |value| graph.produced_by(source(graph, value), &["Sigmoid", "HardSigmoid"]).is_some();
    let is_gate = |t: usize, h: usize| {
        let coupled = other.is_some_and(|c| is_complement(graph, c, t) || is_complement(graph, t, c));
        coupled || (is_sigmoid(t) && Subgraph::between(graph, h, &[t]).nodes.is_empty())
    };
    if is_gate(p, q) { Some((p, q)) } else { is_gate(q, p).then_some((q, p)) }
}

/// Returns whether a value is `1 - t`, up to views.
fn is_complement(graph: &Graph, value: usize, t: usize) -> bool {
    let node = graph.produced_by(source(graph, value), &["Sub"]);
    let Some([Some(one), Some(other)]) = node.map(|node| &node.inputs[..]) else { return false };
    let is_one = graph.values[*one].array.as_ref().is_some_and(|array| array.numbers == [1.0]);
    is_one && source(graph, *other) == source(graph, t)
}

/// Collects the terms of a sum, and those of the sums that are its terms.
fn collect_terms(dominators: &PostDominators<'_>, value: usize, x: usize, depth: usize, all_terms: &mut Vec<usize>) {
    let graph = dominators.graph;
    let sum = source(graph, value);
    let node = graph.produced_by(sum, &["Add", "Sum"]).filter(|_| !is_view_of(graph, value, x) && depth < 16);
    // An inner sum that other nodes consume is a term as it is.
    match node.filter(|_| graph.values[sum].consumers.len() == 1) {
        Some(node) => node.present_inputs().for_each(|term| collect_terms(dominators, term, x, depth + 1, all_terms)),
        None => all_terms.push(value),
    }
}
