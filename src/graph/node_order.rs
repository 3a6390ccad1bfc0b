//! An order in which nodes can be computed. Some converters write nodes in another one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::ParseResult;
use super::raw_graph::{RawGraph, RawNode};
use crate::text::excerpt;

/// Returns the positions of the nodes of a graph, each after the nodes that give what it takes. Nodes that can be computed
/// in the order of the file keep this order.
///
/// # Errors
/// Where a node takes what nothing gives, or what depends on the node itself.
pub(super) fn node_order(raw: &RawGraph) -> ParseResult<Vec<usize>> {
    let outputs = |(place, node): (usize, &'_ RawNode)| {
        node.outputs.iter().filter(|name| !name.is_empty()).map(move |name| (name.clone(), place)).collect::<Vec<_>>()
    };
    let producers: HashMap<String, usize> = raw.nodes.iter().enumerate().flat_map(outputs).collect();
    let mut missing = vec![0; raw.nodes.len()];
    let mut consumers = vec![Vec::new(); raw.nodes.len()];
    for (place, node) in raw.nodes.iter().enumerate() {
        for producer in node.consumed_names().filter_map(|name| producers.get(name)) {
            missing[place] += 1;
            consumers[*producer].push(place);
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..raw.nodes.len()).filter(|&place| missing[place] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(raw.nodes.len());
    while let Some(Reverse(place)) = ready.pop() {
        order.push(place);
        for &consumer in &consumers[place] {
            missing[consumer] -= 1;
            if missing[consumer] == 0 {
                ready.push(Reverse(consumer));
            }
        }
    }
    match missing.iter().position(|&count| count > 0) {
        None => Ok(order),
        Some(place) => {
            let RawNode { op, name, .. } = &raw.nodes[place];
            Err(format!("{op} '{}' takes a value that depends on what it gives", excerpt(name)))
        }
    }
}
