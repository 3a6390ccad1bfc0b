//! Which nodes of a graph every path to the output passes.

use super::linked_graph::Graph;

/// The post-dominators of a graph: for every node the nodes that all paths from it to the output pass.
pub(super) struct PostDominators<'a> {
    pub graph: &'a Graph,
    /// Per node: whether what it computes depends on the values of an input. A shape alone does not count.
    depends: Vec<bool>,
    /// Per node: the nearest post-dominator; `None` for the last node, and for nodes that do not reach the output.
    nearest: Vec<Option<usize>>,
    depth: Vec<usize>,
    reaches_output: Vec<bool>,
}

impl<'a> PostDominators<'a> {
    /// Computes the post-dominators for the paths to one output.
    pub(super) fn new(graph: &'a Graph, output: usize) -> Self {
        let count = graph.nodes.len();
        let mut this = Self {
            graph,
            depends: vec![false; count],
            nearest: vec![None; count],
            depth: vec![0; count],
            reaches_output: vec![false; count],
        };
        for node in 0..count {
            let mut inputs = graph.nodes[node].present_inputs();
            this.depends[node] = this.passes_values(node) && inputs.any(|value| this.depends_on_input(value));
        }
        let last = graph.values[output].producer;
        for node in (0..count).rev() {
            if last == Some(node) {
                this.reaches_output[node] = true;
                continue;
            }
            let consumers = this.consumers(node);
            if let Some((&first, rest)) = consumers.split_first() {
                this.reaches_output[node] = true;
                this.nearest[node] = rest.iter().try_fold(first, |common, &other| this.common(common, other));
                this.depth[node] = this.nearest[node].map_or(0, |nearest| this.depth[nearest] + 1);
            }
        }
        this
    }

    /// Returns whether the values of its inputs, not only their shapes, determine what a node computes.
    fn passes_values(&self, node: usize) -> bool {
        !matches!(self.graph.nodes[node].op.as_str(), "Shape" | "Size")
    }

    /// Returns whether a value depends on the values of an input of the graph.
    pub(super) fn depends_on_input(&self, value: usize) -> bool {
        let value = &self.graph.values[value];
        !value.is_constant && value.producer.is_none_or(|node| self.depends[node])
    }

    /// Returns the nearest post-dominator of a node: the first node that all paths from it to the output pass.
    pub(super) fn nearest(&self, node: usize) -> Option<usize> {
        self.nearest[node]
    }

    /// Returns the nearest node that post-dominates an input of the graph: the first one that all paths from the input to
    /// the output pass.
    pub(super) fn nearest_to_input(&self, input: usize) -> Option<usize> {
        let consumers = self.consumers_of(&[input]);
        let (&first, rest) = consumers.split_first()?;
        rest.iter().try_fold(first, |common, &other| self.common(common, other))
    }

    /// Returns the nodes on paths to the output that consume what a node computes.
    pub(super) fn consumers(&self, node: usize) -> Vec<usize> {
        self.consumers_of(&self.graph.nodes[node].outputs)
    }

    /// Returns the nodes on paths to the output that consume some values.
    pub(super) fn consumers_of(&self, values: &[usize]) -> Vec<usize> {
        let all = values.iter().flat_map(|&value| &self.graph.values[value].consumers);
        let mut all: Vec<usize> =
            all.copied().filter(|&consumer| self.reaches_output[consumer] && self.passes_values(consumer)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Returns the nearest node that post-dominates, or is, both of two nodes.
    fn common(&self, one: usize, other: usize) -> Option<usize> {
        let (mut one, mut other) = (one, other);
        while one != other {
            // Nodes are in order: the earlier of the two cannot post-dominate the later.
            if one < other { one = self.nearest[one]? } else { other = self.nearest[other]? }
        }
        Some(one)
    }

    /// Returns whether a path leads from a value to the output.
    pub(super) fn reaches_output(&self, value: usize) -> bool {
        self.graph.values[value].producer.is_none_or(|node| self.reaches_output[node])
    }

    /// Returns the nodes on paths from an input to the output, the last one first.
    pub(super) fn nodes_backwards(&self) -> impl Iterator<Item = usize> {
        (0..self.graph.nodes.len()).rev().filter(|&node| self.reaches_output[node] && self.depends[node])
    }

    /// Returns the number of post-dominators of a node.
    pub(super) fn depth(&self, node: usize) -> usize {
        self.depth[node]
    }
}
