//! Finds the blocks of a graph.
//!
//! The nodes that every path to the output passes form a chain. A block lies between two nodes of this chain where paths
//! part at the first and meet at the second in a sum with a skip connection. The first block may also take an input of the
//! graph. What stands between the sum and the next block belongs to the block, where it is a view, an activation or a
//! normalization.

use std::collections::HashMap;

use super::layers::mixes_units;
use super::linked_graph::Graph;
use super::post_dominators::PostDominators;
use super::subgraph::Subgraph;
use super::views::{is_view, is_view_of};
use super::wiring::SkipConnection;

/// A block of a graph, given by its values.
#[derive(Clone, Debug)]
pub(super) struct BlockMatch {
    /// The value that enters the block.
    pub input: usize,
    /// The sum of the shortcut and the new value.
    pub sum: usize,
    /// The value that leaves the block: the sum, or what follows the sum.
    pub output: usize,
    /// How the sum is wired; `None` for a block that a caller named and that has no visible skip connection.
    pub skip: Option<SkipConnection>,
}

impl BlockMatch {
    /// Returns the value in the place of `x` in the sum.
    pub(super) fn shortcut(&self) -> usize {
        self.skip.as_ref().map_or(self.input, |skip| skip.shortcut)
    }

    /// Returns a block each of whose values is another.
    pub(super) fn with_values(&self, to: &dyn Fn(usize) -> crate::Result<usize>) -> crate::Result<Self> {
        let skip = self.skip.as_ref().map(|skip| -> crate::Result<SkipConnection> {
            Ok(SkipConnection {
                shortcut: to(skip.shortcut)?,
                h: skip.h.map(to).transpose()?,
                transform: skip.transform.map(to).transpose()?,
                carry: skip.carry.map(to).transpose()?,
                ..skip.clone()
            })
        });
        Ok(Self { input: to(self.input)?, sum: to(self.sum)?, output: to(self.output)?, skip: skip.transpose()? })
    }
}

/// Operations besides views that belong to the block where they follow its sum: activations, and normalizations, whole or
/// in their parts.
const AFTER_SUM: [&str; 26] = [
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "Celu",
    "Gelu",
    "Clip",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Swish",
    "Mish",
    "Tanh",
    "Softplus",
    "Softsign",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "SimplifiedLayerNormalization",
    "RMSNormalization",
    "GroupNormalization",
    "Sub",
    "Div",
    "Mul",
    "Add",
];

/// Why a graph has no chain of blocks.
pub(super) enum NoBlocks {
    /// There is no sum with a skip connection in which all paths meet.
    NoSkip,
    /// There are such sums, but paths lead around them: the first node where one begins, and how many there are.
    PathAround(usize, usize),
}

/// A skip connection that begins at a node, and the node of the sum in which it ends.
type Skip = (usize, SkipConnection);

/// Returns the blocks on the way to an output, in order, and the number of all sums with a skip connection. The sums in
/// `excluded` count as sums without one.
pub(super) fn find_blocks(
    graph: &Graph,
    output: usize,
    excluded: &[usize],
) -> Result<(Vec<BlockMatch>, usize), NoBlocks> {
    let dominators = PostDominators::new(graph, output);
    let is_excluded = |(sum, _): &Skip| graph.single_output(*sum).is_some_and(|sum| excluded.contains(&sum));
    let skip = |node: usize| skip_connection(&dominators, node).filter(|skip| !is_excluded(skip));
    let skips: Vec<Option<Skip>> = (0..graph.nodes.len()).map(skip).collect();
    let mut counts = vec![0; graph.nodes.len()];
    let mut start = None;
    for node in dominators.nodes_backwards() {
        let further = dominators.nearest(node).map_or(0, |nearest| counts[nearest]);
        counts[node] = further + usize::from(skips[node].is_some());
        start = start.max(Some((counts[node], dominators.depth(node), node)));
    }
    let input_skips = graph.inputs.iter().filter_map(|&input| {
        let skip = skip_of_input(&dominators, input).filter(|skip| !is_excluded(skip))?;
        Some((input, dominators.nearest_to_input(input)?, skip))
    });
    let input_skips: Vec<(usize, usize, Skip)> = input_skips.collect();
    let skip_count = skips.iter().flatten().count() + input_skips.len();
    let from_node = start.filter(|(count, ..)| *count > 0);
    // A chain from an input of the graph has to hold more blocks than any other one.
    let from_input = input_skips.iter().map(|found| (counts[found.1] + 1, found));
    let from_input = from_input.max_by_key(|(count, found)| (*count, dominators.depth(found.1)));
    let from_input = from_input.filter(|(count, _)| from_node.is_none_or(|(other, ..)| *count > other));
    let (count, first, input) = match (from_input, from_node) {
        (Some((count, found)), _) => (count, found.1, Some((found.0, &found.2))),
        (None, Some((count, _, start))) => (count, start, None),
        (None, None) => return Err(NoBlocks::NoSkip),
    };
    let chain: Vec<usize> = std::iter::successors(Some(first), |&node| dominators.nearest(node)).collect();
    // A single skip that leads around many others, as in a U-Net, does not make a chain of blocks.
    if let Some(around) = skips.iter().position(Option::is_some).filter(|_| count < 2 && skip_count > 2) {
        return Err(NoBlocks::PathAround(around, skip_count));
    }
    Ok((blocks_of_chain(graph, (&chain, input), &skips), skip_count))
}

/// Returns the skip connection that begins at the output of a node.
fn skip_connection(dominators: &PostDominators<'_>, node: usize) -> Option<Skip> {
    let graph = dominators.graph;
    let mut sum = dominators.nearest(node)?;
    let x = graph.single_output(node)?;
    if dominators.consumers(node).len() < 2 {
        // The quantized value, its scale and its zero point are one value: paths part behind them too.
        if graph.nodes[sum].op != "DynamicQuantizeLinear" {
            return None;
        }
        sum = dominators.nearest(sum)?;
    }
    let skip = dominators.depends_on_input(x).then(|| SkipConnection::read(dominators, x, sum))??;
    has_layers(graph, x, sum)?.then_some((sum, skip))
}

/// Returns the skip connection that begins at an input of the graph.
fn skip_of_input(dominators: &PostDominators<'_>, input: usize) -> Option<Skip> {
    if dominators.consumers_of(&[input]).len() < 2 {
        return None;
    }
    let sum = dominators.nearest_to_input(input)?;
    let skip = SkipConnection::read(dominators, input, sum)?;
    has_layers(dominators.graph, input, sum)?.then_some((sum, skip))
}

/// Returns whether there are layers between a value and the node of a sum.
fn has_layers(graph: &Graph, x: usize, sum: usize) -> Option<bool> {
    let body = Subgraph::between(graph, x, &[graph.single_output(sum)?]).nodes;
    Some(body.iter().any(|&node| mixes_units(graph, node)))
}

/// A skip connection on a chain of nodes.
struct ChainSkip<'a> {
    /// The value where it begins.
    input: usize,
    /// The number of nodes of the chain up to this value; 0 for an input of the graph.
    nodes_before: usize,
    /// The place of the sum in the chain.
    sum: usize,
    skip: &'a SkipConnection,
}

/// Returns the blocks of a chain of nodes, and of the input of the graph that leads to it, if the first block takes this
/// input. `skips` are the skip connections that begin at each node of the graph.
fn blocks_of_chain(
    graph: &Graph,
    (chain, input): (&[usize], Option<(usize, &Skip)>),
    skips: &[Option<Skip>],
) -> Vec<BlockMatch> {
    let places: HashMap<usize, usize> = chain.iter().enumerate().map(|(place, &node)| (node, place)).collect();
    let value = |place: usize| graph.single_output(chain[place]);
    let chain_skip = |input: usize, nodes_before: usize, (sum, skip)| {
        Some(ChainSkip { input, nodes_before, sum: *places.get(sum)?, skip })
    };
    let first = input.and_then(|(input, (sum, skip))| chain_skip(input, 0, (sum, skip)));
    let later = (0..chain.len()).filter_map(|place| {
        let (sum, skip) = skips[chain[place]].as_ref()?;
        chain_skip(value(place)?, place + 1, (sum, skip))
    });
    let found: Vec<ChainSkip<'_>> = first.into_iter().chain(later).collect();
    let block = |(found, after): (&ChainSkip<'_>, usize)| {
        let (sum, output) = (value(found.sum)?, value(found.sum + after)?);
        Some(BlockMatch { input: found.input, sum, output, skip: Some(found.skip.clone()) })
    };
    found.iter().zip(lengths_after_sums(graph, chain, &found)).filter_map(block).collect()
}

/// Returns for each block how many of the nodes that follow its sum belong to it.
///
/// Where nothing but views, activations and normalizations leads to a block with an identity skip, or nothing but views to
/// any block, all of them belong to the block before. Elsewhere what follows can be the beginning of what comes next, as in
/// networks that activate before they convolve: such a block, like the last one of a stage, keeps what it has in common with
/// the nearest block of the first kind, or with all others where there is none.
fn lengths_after_sums(graph: &Graph, chain: &[usize], found: &[ChainSkip<'_>]) -> Vec<usize> {
    let after = |(block, skip): (usize, &ChainSkip<'_>)| {
        let next = found.get(block + 1);
        let end = next.map_or(chain.len(), |next| next.nodes_before).max(skip.sum + 1);
        let follows = (skip.sum + 1..end).take_while(|&place| follows_sum(graph, chain[place - 1], chain[place]));
        let ops: Vec<&str> = follows.map(|place| graph.nodes[chain[place]].op.as_str()).collect();
        let are_views = || (0..ops.len()).all(|place| is_view(&graph.nodes[chain[skip.sum + 1 + place]]));
        let is_identity = |next: &ChainSkip<'_>| is_view_of(graph, next.skip.shortcut, next.input);
        let leads_on = next
            .is_some_and(|next| next.nodes_before <= skip.sum + ops.len() + 1 && (is_identity(next) || are_views()));
        (ops, leads_on)
    };
    let following: Vec<(Vec<&str>, bool)> = found.iter().enumerate().map(after).collect();
    let common = |one: &[&str], other: &[&str]| one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let of_all = following.iter().map(|(ops, _)| common(&following[0].0, ops)).min().unwrap_or(0);
    let leading: Vec<usize> = (0..following.len()).filter(|&block| following[block].1).collect();
    let length = |(block, (ops, leads_on)): (usize, &(Vec<&str>, bool))| {
        let after = leading.partition_point(|&other| other < block);
        let (before, after) = (leading[..after].last(), leading.get(after));
        let nearest = before.into_iter().chain(after).min_by_key(|other| other.abs_diff(block));
        match nearest {
            _ if *leads_on => ops.len(),
            Some(&other) => common(ops, &following[other].0),
            None => of_all,
        }
    };
    following.iter().enumerate().map(length).collect()
}

/// Returns whether a node can belong to a block whose sum, or what follows it, is computed by the node `before`. Nodes
/// between the two, as in a normalization in its parts, are allowed where they have no layers.
fn follows_sum(graph: &Graph, before: usize, node: usize) -> bool {
    let (Some(from), Some(to)) = (graph.single_output(before), graph.single_output(node)) else { return false };
    can_follow_sum(graph, node)
        && !Subgraph::between(graph, from, &[to]).nodes.iter().any(|&node| mixes_units(graph, node))
}

/// Returns whether a node that follows a sum can belong to the block.
pub(super) fn can_follow_sum(graph: &Graph, node: usize) -> bool {
    is_view(&graph.nodes[node]) || AFTER_SUM.contains(&graph.nodes[node].op.as_str())
}
