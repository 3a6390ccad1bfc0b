//! How a block's sum is wired: `t·h + c·x` read from the nodes before it.

use super::proto::Graph;
use super::region::{Flow, Region};
use crate::nn::Wiring;

/// A sum, and what it is a sum of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Merge {
    pub wiring: Wiring,
    /// The new value; `None` where it is the sum of several.
    pub h: Option<usize>,
    pub transform: Option<usize>,
    pub carry: Option<usize>,
    /// What arrives at the sum in the place of `x`: `x` itself or its projection.
    pub carried: usize,
}

/// What a projection may be made of: a linear map, or pooling.
const LINEAR: [&str; 17] = [
    "Conv",
    "Gemm",
    "MatMul",
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

impl Merge {
    /// Reads the sum at a node whose paths part at `x`; `None` where one of them is no skip.
    pub(super) fn read(flow: &Flow<'_>, x: usize, node: usize) -> Option<Self> {
        let graph = flow.graph;
        let sum = &graph.nodes[node];
        if !matches!(sum.op.as_str(), "Add" | "Sum") {
            return None;
        }
        let terms: Vec<usize> = sum.takes().filter(|&value| !graph.values[value].is_fixed).collect();
        if let [a, b] = terms[..] {
            let gated = |carried, new| Self::identity(flow, x, carried, new);
            if let Some(merge) = gated(a, b).or_else(|| gated(b, a)).or_else(|| Self::projection(flow, x, a, b)) {
                return Some(merge);
            }
        }
        // Parallel branches: x + f(x) + g(x).
        let mut leaves = Vec::new();
        terms.iter().for_each(|&term| summands(flow, term, x, 0, &mut leaves));
        let plain = Self { wiring: Wiring::Residual, h: None, transform: None, carry: None, carried: x };
        leaves.contains(&x).then_some(plain)
    }

    /// With `x` itself on the skip, gated or not.
    fn identity(flow: &Flow<'_>, x: usize, skip: usize, new: usize) -> Option<Self> {
        let graph = flow.graph;
        let merge = |wiring, h, transform, carry| Some(Self { wiring, h: Some(h), transform, carry, carried: x });
        if skip == x {
            let Some((t, h)) = gated(flow, new, None) else { return merge(Wiring::Residual, new, None, None) };
            // t·(h - x) + x is the coupled form too.
            let difference = graph.given_by(h, &["Sub"]).map(|node| node.takes().collect::<Vec<_>>());
            return match difference.as_deref() {
                Some(&[h, other]) if other == x => merge(Wiring::Highway, h, Some(t), None),
                _ => merge(Wiring::TOnly, h, Some(t), None),
            };
        }
        let [p, q] = factors(flow, skip)?;
        let carry = if p == x {
            q
        } else if q == x {
            p
        } else {
            return None;
        };
        match gated(flow, new, Some(carry)) {
            Some((t, h)) if one_minus(graph, carry) == Some(t) || one_minus(graph, t) == Some(carry) => {
                merge(Wiring::Highway, h, Some(t), None)
            }
            Some((t, h)) => merge(Wiring::Full, h, Some(t), Some(carry)),
            None => merge(Wiring::COnly, new, None, Some(carry)),
        }
    }

    /// With a projection on the skip: of two branches the one that is linear and has fewer layers.
    fn projection(flow: &Flow<'_>, x: usize, a: usize, b: usize) -> Option<Self> {
        let graph = flow.graph;
        if let (Some(one), Some(other)) = (factors(flow, a), factors(flow, b)) {
            // t·h + (1 - t)·P(x), the factors in any order.
            let flip = |[p, q]: [usize; 2]| [[p, q], [q, p]];
            let pairs = flip(one).into_iter().flat_map(|one| flip(other).map(|other| (one, other)));
            let coupled = |([t, h], [c, carried]): ([usize; 2], [usize; 2])| {
                let merge = |t, h, carried| Self {
                    wiring: Wiring::Highway,
                    h: Some(h),
                    transform: Some(t),
                    carry: None,
                    carried,
                };
                if one_minus(graph, c) == Some(t) {
                    Some(merge(t, h, carried))
                } else {
                    (one_minus(graph, t) == Some(c)).then(|| merge(c, carried, h))
                }
            };
            return pairs.into_iter().find_map(coupled);
        }
        let layers = |value: usize| {
            let region = Region::between(graph, x, &[value]);
            let is_linear = region.nodes.iter().all(|&node| {
                LINEAR.contains(&graph.nodes[node].op.as_str()) || !flow.is_live(graph.nodes[node].outputs[0])
            });
            (!region.nodes.is_empty()).then_some((is_linear, region.layers(graph)))
        };
        let (of_a, of_b) = (layers(a)?, layers(b)?);
        let merge =
            |h, carried| Some(Self { wiring: Wiring::Residual, h: Some(h), transform: None, carry: None, carried });
        match (of_a, of_b) {
            ((true, skip), (_, body)) if skip < body => merge(b, a),
            ((_, body), (true, skip)) if skip < body => merge(a, b),
            _ => None,
        }
    }
}

/// The two factors of a product, where both are computed from samples.
fn factors(flow: &Flow<'_>, value: usize) -> Option<[usize; 2]> {
    let node = flow.graph.given_by(value, &["Mul"])?;
    let live: Vec<usize> = node.takes().filter(|&value| flow.is_live(value)).collect();
    live.try_into().ok()
}

/// Gate and new value of a product: the gate is a sigmoid of the block's input, or coupled to the other gate. A factor
/// that is computed from the value that it scales, such as a squeezed excitation, is part of `h`.
fn gated(flow: &Flow<'_>, value: usize, other: Option<usize>) -> Option<(usize, usize)> {
    let [p, q] = factors(flow, value)?;
    let graph = flow.graph;
    let is_sigmoid = |value| graph.given_by(value, &["Sigmoid", "HardSigmoid"]).is_some();
    let is_gate = |t: usize, h: usize| {
        let coupled = other.is_some_and(|c| one_minus(graph, c) == Some(t) || one_minus(graph, t) == Some(c));
        coupled || (is_sigmoid(t) && Region::between(graph, h, &[t]).nodes.is_empty())
    };
    if is_gate(p, q) { Some((p, q)) } else { is_gate(q, p).then_some((q, p)) }
}

/// `t` of `1 - t`.
fn one_minus(graph: &Graph, value: usize) -> Option<usize> {
    let node = graph.given_by(value, &["Sub"])?;
    let [Some(one), Some(t)] = node.inputs[..] else { return None };
    let array = graph.values[one].array.as_ref()?;
    (array.single == Some(1.0)).then_some(t)
}

/// What a value is a sum of.
fn summands(flow: &Flow<'_>, value: usize, x: usize, depth: usize, leaves: &mut Vec<usize>) {
    let graph = flow.graph;
    let node = graph.given_by(value, &["Add", "Sum"]).filter(|_| value != x && depth < 16);
    // Whoever else takes an inner sum makes it more than a step on the way.
    match node.filter(|_| graph.values[value].consumers.len() == 1) {
        Some(node) => node.takes().for_each(|term| summands(flow, term, x, depth + 1, leaves)),
        None => leaves.push(value),
    }
}
