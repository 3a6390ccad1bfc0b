//! The part of a graph that computes some values from another.

use super::linked_graph::Graph;

/// The nodes that compute some values from one value.
pub(super) struct Subgraph {
    /// The nodes that depend on the first value and that the last ones need, in the order in which they are computed.
    pub nodes: Vec<usize>,
    /// Values that these nodes consume and do not compute, sorted. Arrays of the file do not count.
    pub side_inputs: Vec<usize>,
}

impl Subgraph {
    /// Returns what has to be computed to get from one value to others.
    pub(super) fn between(graph: &Graph, from: usize, to: &[usize]) -> Self {
        let last = to.iter().filter_map(|&value| graph.values[value].producer).max();
        let Some(last) = last else { return Self { nodes: Vec::new(), side_inputs: to.to_vec() } };
        let first = graph.values[from].producer.map_or(0, |node| node + 1);
        // A node that only reads the shape of `from` counts too: it has to be computed again with each new `from`.
        let mut depends = vec![false; (last + 1).saturating_sub(first)];
        for node in first..=last {
            let is_inside = |value: usize| {
                value == from || graph.values[value].producer.is_some_and(|p| p >= first && depends[p - first])
            };
            depends[node - first] = graph.nodes[node].present_inputs().any(is_inside);
        }
        let mut needed = vec![false; depends.len()];
        let mut side_inputs = Vec::new();
        let inside = |value: usize| graph.values[value].producer.filter(|&p| p >= first && depends[p - first]);
        for &value in to {
            match inside(value) {
                Some(node) => needed[node - first] = true,
                None if value != from => side_inputs.push(value),
                None => {}
            }
        }
        for node in (first..=last).rev().filter(|&node| depends[node - first]) {
            if !needed[node - first] {
                continue;
            }
            for value in graph.nodes[node].present_inputs() {
                match inside(value) {
                    Some(producer) => needed[producer - first] = true,
                    None if value != from && !graph.values[value].is_constant => side_inputs.push(value),
                    None => {}
                }
            }
        }
        side_inputs.sort_unstable();
        side_inputs.dedup();
        Self { nodes: (first..=last).filter(|&node| needed[node - first]).collect(), side_inputs }
    }

    /// Returns the number of its nodes that multiply by an array of the file.
    pub(super) fn layer_count(&self, graph: &Graph) -> usize {
        self.nodes.iter().filter(|&&node| super::layers::is_layer(graph, node)).count()
    }
}
