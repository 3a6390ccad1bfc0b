//! What depends on what in a graph: what every path passes, and what lies between two values.

use super::proto::Graph;

/// What a node depends on, and what all paths from it to the output pass through.
pub(super) struct Flow<'a> {
    pub graph: &'a Graph,
    /// Per node: whether what it gives depends on what an input holds. A shape alone does not count.
    live: Vec<bool>,
    /// Per node: the next one that every path from it to the output passes; `None` behind the last one, and for what
    /// does not reach the output.
    next: Vec<Option<usize>>,
    depth: Vec<usize>,
    reaches: Vec<bool>,
}

/// The nodes between a value and another, both sorted into the order in which they are computed.
pub(super) struct Region {
    /// What depends on the first and is needed for the second, the node that gives the second among them.
    pub nodes: Vec<usize>,
    /// What these nodes take from elsewhere; arrays of the file left out.
    pub sides: Vec<usize>,
}

impl<'a> Flow<'a> {
    /// For the paths to one output.
    pub(super) fn new(graph: &'a Graph, output: usize) -> Self {
        let count = graph.nodes.len();
        let mut flow = Self {
            graph,
            live: vec![false; count],
            next: vec![None; count],
            depth: vec![0; count],
            reaches: vec![false; count],
        };
        for node in 0..count {
            flow.live[node] = flow.passes(node) && graph.nodes[node].takes().any(|value| flow.is_live(value));
        }
        let last = graph.values[output].producer;
        for node in (0..count).rev() {
            if last == Some(node) {
                flow.reaches[node] = true;
                continue;
            }
            let consumers = flow.consumers(node);
            if let Some((&first, rest)) = consumers.split_first() {
                flow.reaches[node] = true;
                flow.next[node] = rest.iter().try_fold(first, |met, &other| flow.meet(met, other));
                flow.depth[node] = flow.next[node].map_or(0, |next| flow.depth[next] + 1);
            }
        }
        flow
    }

    /// Whether values pass a node, not their shapes alone.
    fn passes(&self, node: usize) -> bool {
        !matches!(self.graph.nodes[node].op.as_str(), "Shape" | "Size")
    }

    /// Whether a value depends on what an input holds.
    pub(super) fn is_live(&self, value: usize) -> bool {
        let given = &self.graph.values[value];
        !given.is_fixed && given.producer.is_none_or(|node| self.live[node])
    }

    /// The next node that every path from this one to the output passes.
    pub(super) fn next(&self, node: usize) -> Option<usize> {
        self.next[node]
    }

    /// Nodes on the way to the output that take what a node gives.
    pub(super) fn consumers(&self, node: usize) -> Vec<usize> {
        let given = self.graph.nodes[node].outputs.iter().flat_map(|&value| &self.graph.values[value].consumers);
        let mut all: Vec<usize> = given.copied().filter(|&n| self.reaches[n] && self.passes(n)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Where the paths from two nodes meet.
    fn meet(&self, one: usize, other: usize) -> Option<usize> {
        let (mut one, mut other) = (one, other);
        while one != other {
            // Nodes are in order: whichever comes first cannot lie behind the other.
            if one < other { one = self.next[one]? } else { other = self.next[other]? }
        }
        Some(one)
    }

    /// Whether a value is on the way to the output.
    pub(super) fn is_needed(&self, value: usize) -> bool {
        self.graph.values[value].producer.is_none_or(|node| self.reaches[node])
    }

    /// All nodes that reach the output, the last ones first.
    pub(super) fn backwards(&self) -> impl Iterator<Item = usize> {
        (0..self.graph.nodes.len()).rev().filter(|&node| self.reaches[node] && self.live[node])
    }

    /// How many nodes stand between this one and the output on every path.
    pub(super) fn depth(&self, node: usize) -> usize {
        self.depth[node]
    }
}

impl Region {
    /// What has to be computed to get from one value to others.
    pub(super) fn between(graph: &Graph, from: usize, to: &[usize]) -> Self {
        let last = to.iter().filter_map(|&value| graph.values[value].producer).max();
        let Some(last) = last else { return Self { nodes: Vec::new(), sides: to.to_vec() } };
        let first = graph.values[from].producer.map_or(0, |node| node + 1);
        // Shapes count here: what is computed of the shape of what runs through has to be computed again.
        let mut depends = vec![false; (last + 1).saturating_sub(first)];
        for node in first..=last {
            let is_inside = |value: usize| {
                value == from || graph.values[value].producer.is_some_and(|p| p >= first && depends[p - first])
            };
            depends[node - first] = graph.nodes[node].takes().any(is_inside);
        }
        let mut needed = vec![false; depends.len()];
        let mut sides = Vec::new();
        let inside = |value: usize| graph.values[value].producer.filter(|&p| p >= first && depends[p - first]);
        for &value in to {
            match inside(value) {
                Some(node) => needed[node - first] = true,
                None if value != from => sides.push(value),
                None => {}
            }
        }
        for node in (first..=last).rev().filter(|&node| depends[node - first]) {
            if !needed[node - first] {
                continue;
            }
            for value in graph.nodes[node].takes() {
                match inside(value) {
                    Some(producer) => needed[producer - first] = true,
                    None if value != from && !graph.values[value].is_fixed => sides.push(value),
                    None => {}
                }
            }
        }
        sides.sort_unstable();
        sides.dedup();
        Self { nodes: (first..=last).filter(|&node| needed[node - first]).collect(), sides }
    }

    /// How many of its nodes multiply by what the file holds.
    pub(super) fn layers(&self, graph: &Graph) -> usize {
        self.nodes.iter().filter(|&&node| super::cost::is_layer(graph, node)).count()
    }
}
