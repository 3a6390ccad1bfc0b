//! Lists what has to be removed from a file when blocks are removed: nodes, and the arrays that only these nodes need.

use std::collections::{HashMap, HashSet};

use super::raw_graph::{RawGraph, RawNode};

/// Changes of the graph of a file, by names. The default changes nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Edit {
    /// Values that are replaced: nodes that consumed the key consume the value instead.
    pub replaced: HashMap<String, String>,
    /// Positions of the nodes that are removed.
    pub removed_nodes: HashSet<usize>,
    /// Values and arrays that are removed.
    pub removed_values: HashSet<String>,
    /// Outputs of the graph that another value replaces: that value, and the name of the output.
    pub outputs: Vec<(String, String)>,
}

impl Edit {
    /// Returns the changes that follow from replacing values. A node that an output needed, and needs no longer, is
    /// removed, and so is every node that consumes its outputs. Nodes that no output needed before are kept otherwise.
    pub(super) fn new(raw: &RawGraph, replaced: HashMap<String, String>) -> Self {
        let outputs: Vec<(String, String)> =
            raw.outputs.iter().filter_map(|name| Some((replaced.get(name)?.clone(), name.clone()))).collect();
        let mut edit = Self { replaced, outputs, ..Self::default() };
        let before = Self::default().needed(raw);
        let after = edit.needed(raw);
        for &place in &raw.order {
            let node = &raw.nodes[place];
            let is_cut_off = node.consumed_names().any(|name| edit.removed_values.contains(edit.name(name)));
            if before[place] && !after[place] || is_cut_off {
                edit.removed_nodes.insert(place);
                edit.removed_values.extend(node.outputs.iter().filter(|name| !name.is_empty()).cloned());
            }
        }
        let unused = edit.unused(raw);
        edit.removed_values.extend(unused);
        // An output keeps its name, whichever node computes it.
        for (_, name) in &edit.outputs {
            edit.removed_values.remove(name);
        }
        edit
    }

    /// Returns the arrays that only removed nodes and the annotations of removed values use.
    fn unused(&self, raw: &RawGraph) -> Vec<String> {
        let is_kept = |name: &String| !self.removed_values.contains(name);
        let (removed, kept): (Vec<_>, Vec<_>) =
            raw.nodes.iter().enumerate().partition(|(n, _)| self.removed_nodes.contains(n));
        let annotations = |of_kept: bool| {
            let all = raw.quantization.iter().filter(move |(name, _)| is_kept(name) == of_kept);
            all.flat_map(|(_, arrays)| arrays)
        };
        let consumed = kept.iter().flat_map(|(_, node)| node.consumed_names()).map(|name| self.name(name));
        let used: HashSet<&str> =
            consumed.chain(raw.outputs.iter().chain(annotations(true)).map(String::as_str)).collect();
        let dropped: HashSet<&String> =
            removed.iter().flat_map(|(_, node)| node.consumed_names()).chain(annotations(false)).collect();
        let is_unused = |name: &&String| dropped.contains(name) && !used.contains(name.as_str());
        raw.arrays.iter().map(|array| &array.name).filter(is_unused).cloned().collect()
    }

    /// Returns the name that replaces a name; the same name where nothing does.
    pub(super) fn name<'a>(&'a self, name: &'a str) -> &'a str {
        self.replaced.get(name).map_or(name, String::as_str)
    }

    /// Returns for every node whether an output of the graph needs it.
    fn needed(&self, raw: &RawGraph) -> Vec<bool> {
        let mut names: HashSet<&str> = raw.outputs.iter().map(|name| self.name(name)).collect();
        let mut needed = vec![false; raw.nodes.len()];
        for &place in raw.order.iter().rev() {
            let node = &raw.nodes[place];
            if node.outputs.iter().any(|name| names.contains(name.as_str())) {
                needed[place] = true;
                names.extend(RawNode::consumed_names(node).map(|name| self.name(name)));
            }
        }
        needed
    }
}
