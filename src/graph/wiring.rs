//! Reads how the sum of a block is wired, `t·h + c·x`, from the nodes before the sum.

use super::linked_graph::Graph;
use super::post_dominators::PostDominators;
use super::subgraph::Subgraph;
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
const LINEAR_OPS: [&str; 17] = [
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
        let parallel = Self { wiring: Wiring::Residual, h: None, transform: None, carry: None, shortcut: x };
        all_terms.contains(&x).then_some(parallel)
    }

    /// Reads a sum with `x` itself on the skip connection, gated or not.
    fn identity(dominators: &PostDominators<'_>, x: usize, shortcut: usize, new: usize) -> Option<Self> {
        let graph = dominators.graph;
        let skip_of = |wiring, h, transform, carry| Some(Self { wiring, h: Some(h), transform, carry, shortcut: x });
        if shortcut == x {
            let Some((t, h)) = gate_and_value(dominators, new, None) else {
                return skip_of(Wiring::Residual, new, None, None);
            };
            // t·(h - x) + x equals t·h + (1 - t)·x.
            let difference = graph.produced_by(h, &["Sub"]).map(|node| node.present_inputs().collect::<Vec<_>>());
            return match difference.as_deref() {
                Some(&[h, other]) if other == x => skip_of(Wiring::Highway, h, Some(t), None),
                _ => skip_of(Wiring::TOnly, h, Some(t), None),
            };
        }
        let [p, q] = factors(dominators, shortcut)?;
        let carry = if p == x {
            q
        } else if q == x {
            p
        } else {
            return None;
        };
        match gate_and_value(dominators, new, Some(carry)) {
            Some((t, h)) if complement(graph, carry) == Some(t) || complement(graph, t) == Some(carry) => {
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
                if complement(graph, c) == Some(t) {
                    Some(skip_of(t, h, shortcut))
                } else {
                    (complement(graph, t) == Some(c)).then(|| skip_of(c, shortcut, h))
                }
            };
            return pairs.into_iter().find_map(coupled);
        }
        let branch_to = |value: usize| {
            let branch = Subgraph::between(graph, x, &[value]);
            let is_linear = branch.nodes.iter().all(|&node| {
                LINEAR_OPS.contains(&graph.nodes[node].op.as_str())
                    || !dominators.depends_on_input(graph.nodes[node].outputs[0])
            });
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

/// Returns the two factors of a product, where both depend on the samples.
fn factors(dominators: &PostDominators<'_>, value: usize) -> Option<[usize; 2]> {
    let node = dominators.graph.produced_by(value, &["Mul"])?;
    let live: Vec<usize> = node.present_inputs().filter(|&value| dominators.depends_on_input(value)).collect();
    live.try_into().ok()
}

/// Returns the gate and the new value of a product. A gate is a sigmoid, or coupled to the `other` gate. A factor that is
/// computed from the value that it scales, as in a squeeze-and-excitation, is no gate but part of `h`.
fn gate_and_value(dominators: &PostDominators<'_>, value: usize, other: Option<usize>) -> Option<(usize, usize)> {
    let [p, q] = factors(dominators, value)?;
    let graph = dominators.graph;
    let is_sigmoid = |value| graph.produced_by(value, &["Sigmoid", "HardSigmoid"]).is_some();
    let is_gate = |t: usize, h: usize| {
        let coupled = other.is_some_and(|c| complement(graph, c) == Some(t) || complement(graph, t) == Some(c));
        coupled || (is_sigmoid(t) && Subgraph::between(graph, h, &[t]).nodes.is_empty())
    };
    if is_gate(p, q) { Some((p, q)) } else { is_gate(q, p).then_some((q, p)) }
}

/// Returns `t` for the value `1 - t`.
fn complement(graph: &Graph, value: usize) -> Option<usize> {
    let node = graph.produced_by(value, &["Sub"])?;
    let [Some(one), Some(t)] = node.inputs[..] else { return None };
    let array = graph.values[one].array.as_ref()?;
    (array.scalar == Some(1.0)).then_some(t)
}

/// Collects the terms of a sum, and those of the sums that are its terms.
fn collect_terms(dominators: &PostDominators<'_>, value: usize, x: usize, depth: usize, all_terms: &mut Vec<usize>) {
    let graph = dominators.graph;
    let node = graph.produced_by(value, &["Add", "Sum"]).filter(|_| value != x && depth < 16);
    // An inner sum that other nodes consume is a term as it is.
    match node.filter(|_| graph.values[value].consumers.len() == 1) {
        Some(node) => node.present_inputs().for_each(|term| collect_terms(dominators, term, x, depth + 1, all_terms)),
        None => all_terms.push(value),
    }
}
