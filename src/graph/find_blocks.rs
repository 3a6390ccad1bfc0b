//! Finds the blocks of a graph.
//!
//! The nodes that every path to the output passes form a chain. A block lies between two neighbours of this chain where
//! paths part at the first and meet at the second in a sum with a skip connection. An activation or a normalization that
//! follows the sum of every block belongs to the block.

use super::linked_graph::Graph;
use super::post_dominators::PostDominators;
use super::subgraph::Subgraph;
use super::wiring::SkipConnection;

/// A block of a graph, given by its values.
#[derive(Clone, Debug)]
pub(super) struct BlockMatch {
    /// The value that enters the block.
    pub input: usize,
    /// The sum of the shortcut and the new value.
    pub sum: usize,
    /// The value that leaves the block: the sum, or what follows the sum in every block.
    pub output: usize,
    /// How the sum is wired; `None` for a block that a caller named and that has no visible skip connection.
    pub skip: Option<SkipConnection>,
}

/// Operations that belong to the block where they follow the sum of every block: activations, and normalizations, whole
/// or in their parts.
const AFTER_SUM: [&str; 18] = [
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Elu",
    "Selu",
    "Celu",
    "Gelu",
    "Clip",
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
    /// There is no sum with a skip connection.
    NoSkip,
    /// There are such sums, but paths lead around them: the first node where one begins, and how many there are.
    PathAround(usize, usize),
}

/// Returns the blocks on the way to an output, in order, and the number of all sums with a skip connection.
pub(super) fn find_blocks(graph: &Graph, output: usize) -> Result<(Vec<BlockMatch>, usize), NoBlocks> {
    let dominators = PostDominators::new(graph, output);
    let skips = skip_connections(&dominators);
    let mut counts = vec![0; graph.nodes.len()];
    let mut start = None;
    for node in dominators.nodes_backwards() {
        let further = dominators.nearest(node).map_or(0, |nearest| counts[nearest]);
        counts[node] = further + usize::from(skips[node].is_some());
        start = start.max(Some((counts[node], dominators.depth(node), node)));
    }
    let Some((count @ 1.., _, start)) = start else { return Err(NoBlocks::NoSkip) };
    let chain: Vec<usize> = std::iter::successors(Some(start), |&node| dominators.nearest(node)).collect();
    let skip_count = skips.iter().filter(|skip| skip.is_some()).count();
    // A single skip that leads around many others, as in a U-Net, does not make a chain of blocks.
    if let Some(around) = skips.iter().position(Option::is_some).filter(|_| count < 2 && skip_count > 2) {
        return Err(NoBlocks::PathAround(around, skip_count));
    }
    Ok((blocks_of_chain(graph, &chain, &skips), skip_count))
}

/// Returns for every node the skip connection that begins at its output.
fn skip_connections(dominators: &PostDominators<'_>) -> Vec<Option<SkipConnection>> {
    let graph = dominators.graph;
    let read = |node: usize| {
        let sum = dominators.nearest(node)?;
        let x = graph.single_output(node)?;
        let is_fork = dominators.consumers(node).len() > 1 && dominators.depends_on_input(x);
        let skip = if is_fork { SkipConnection::read(dominators, x, sum)? } else { return None };
        let body = Subgraph::between(graph, x, &[graph.single_output(sum)?]);
        (body.layer_count(graph) > 0).then_some(skip)
    };
    (0..graph.nodes.len()).map(read).collect()
}

fn blocks_of_chain(graph: &Graph, chain: &[usize], skips: &[Option<SkipConnection>]) -> Vec<BlockMatch> {
    let places: Vec<usize> = (0..chain.len() - 1).filter(|&place| skips[chain[place]].is_some()).collect();
    // The operations between a sum and the next fork.
    let ops_after_sum = |&place: &usize| -> Vec<&str> {
        let end = places.iter().find(|&&next| next > place).map_or(chain.len(), |&next| next + 1);
        let ops = chain[(place + 2).min(end)..end].iter().map(|&node| graph.nodes[node].op.as_str());
        ops.take_while(|op| can_follow_sum(op)).collect()
    };
    let mut common: Option<Vec<&str>> = None;
    for place in &places {
        let own = ops_after_sum(place);
        let length = common.map_or(own.len(), |c| c.iter().zip(&own).take_while(|(a, b)| a == b).count());
        common = Some(own[..length].to_vec());
    }
    let after = common.map_or(0, |c| c.len());
    let value = |place: usize| graph.single_output(chain[place]);
    let block = |&place: &usize| {
        let (input, sum, output) = (value(place)?, value(place + 1)?, value(place + 1 + after)?);
        Some(BlockMatch { input, sum, output, skip: skips[chain[place]].clone() })
    };
    places.iter().filter_map(block).collect()
}

/// Returns whether an operation that follows the sum can belong to the block.
pub(super) fn can_follow_sum(op: &str) -> bool {
    AFTER_SUM.contains(&op)
}
