//! The residual line in a graph: where it parts and meets again in a sum, again and again, is a block.
//!
//! What every path from a value to the output passes is a chain. Two neighbours of it between which paths part and meet
//! in a sum with a skip are a block; what normalizes or rectifies after every block's sum belongs to the block.

use super::merge::Merge;
use super::proto::Graph;
use super::region::{Flow, Region};

/// A block: a value in, a value out.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// What enters.
    pub input: usize,
    /// The sum of skip and new value.
    pub sum: usize,
    /// What leaves: the sum, or what follows it in every block.
    pub output: usize,
    /// How the sum is wired; `None` where somebody else says that this is a block, and no skip can be seen.
    pub merge: Option<Merge>,
}

/// What may follow the sum of every block: an activation, or a normalization, whole or in its parts.
const FOLLOWS: [&str; 18] = [
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

/// Why there is no line.
pub(super) enum NoLine {
    /// There are no sums with a skip.
    NoSkip,
    /// There are, but paths lead around them: the first such node, and how many there are.
    Around(usize, usize),
}

/// The blocks on the way to an output, in their order, and how many sums with a skip there are in all.
pub(super) fn find(graph: &Graph, output: usize) -> Result<(Vec<Found>, usize), NoLine> {
    let flow = Flow::new(graph, output);
    let merges = merges(&flow);
    let mut counts = vec![0; graph.nodes.len()];
    let mut start = None;
    for node in flow.backwards() {
        let further = flow.next(node).map_or(0, |next| counts[next]);
        counts[node] = further + usize::from(merges[node].is_some());
        start = start.max(Some((counts[node], flow.depth(node), node)));
    }
    let Some((count @ 1.., _, start)) = start else { return Err(NoLine::NoSkip) };
    let chain: Vec<usize> = std::iter::successors(Some(start), |&node| flow.next(node)).collect();
    let seen = merges.iter().filter(|merge| merge.is_some()).count();
    // One skip around many is none of a line of blocks.
    if let Some(around) = merges.iter().position(Option::is_some).filter(|_| count < 2 && seen > 2) {
        return Err(NoLine::Around(around, seen));
    }
    Ok((blocks(graph, &chain, &merges), seen))
}

/// Per node: the skip that begins at what it gives.
fn merges(flow: &Flow<'_>) -> Vec<Option<Merge>> {
    let graph = flow.graph;
    let read = |node: usize| {
        let meets = flow.next(node)?;
        let x = graph.output(node)?;
        let parts = flow.consumers(node).len() > 1 && flow.is_live(x);
        let merge = if parts { Merge::read(flow, x, meets)? } else { return None };
        let region = Region::between(graph, x, &[graph.output(meets)?]);
        (region.layers(graph) > 0).then_some(merge)
    };
    (0..graph.nodes.len()).map(read).collect()
}

fn blocks(graph: &Graph, chain: &[usize], merges: &[Option<Merge>]) -> Vec<Found> {
    let places: Vec<usize> = (0..chain.len() - 1).filter(|&place| merges[chain[place]].is_some()).collect();
    // After a sum the chain runs on to where paths part again.
    let follows = |&place: &usize| -> Vec<&str> {
        let end = places.iter().find(|&&next| next > place).map_or(chain.len(), |&next| next + 1);
        let ops = chain[(place + 2).min(end)..end].iter().map(|&node| graph.nodes[node].op.as_str());
        ops.take_while(|op| may_follow(op)).collect()
    };
    let mut common: Option<Vec<&str>> = None;
    for place in &places {
        let own = follows(place);
        let kept = common.map_or(own.len(), |c| c.iter().zip(&own).take_while(|(a, b)| a == b).count());
        common = Some(own[..kept].to_vec());
    }
    let after = common.map_or(0, |c| c.len());
    let value = |place: usize| graph.output(chain[place]);
    let block = |&place: &usize| {
        let (input, sum, output) = (value(place)?, value(place + 1)?, value(place + 1 + after)?);
        Some(Found { input, sum, output, merge: merges[chain[place]].clone() })
    };
    places.iter().filter_map(block).collect()
}

/// Whether an operation may follow the sum and belong to the block.
pub(super) fn may_follow(op: &str) -> bool {
    FOLLOWS.contains(&op)
}
