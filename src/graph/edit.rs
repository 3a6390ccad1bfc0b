//! What goes from a file when blocks are left out: nodes, and arrays and names that only they need.

use std::collections::{HashMap, HashSet};

use super::raw::{RawGraph, RawNode};

/// What becomes of a file's graph, by names. Nothing changes by default.
#[derive(Clone, Debug, Default)]
pub(super) struct Edit {
    /// What whoever took a value takes in its place.
    pub renamed: HashMap<String, String>,
    /// Places of the nodes that go.
    pub nodes: HashSet<usize>,
    /// Values and arrays that go.
    pub gone: HashSet<String>,
    /// Outputs of the graph that are another value now: that value, and the name that stays.
    pub outputs: Vec<(String, String)>,
}

impl Edit {
    /// For values in whose places others come. What was needed for an output and is no more goes, and so does what takes
    /// any of it; what nobody needed before stays where it can.
    pub(super) fn new(raw: &RawGraph, renamed: HashMap<String, String>) -> Self {
        let outputs: Vec<(String, String)> =
            raw.outputs.iter().filter_map(|name| Some((renamed.get(name)?.clone(), name.clone()))).collect();
        let mut edit = Self { renamed, outputs, ..Self::default() };
        let before = Self::default().needed(raw);
        let after = edit.needed(raw);
        for (place, node) in raw.nodes.iter().enumerate() {
            let is_cut_off = node.takes().any(|name| edit.gone.contains(edit.name(name)));
            if before[place] && !after[place] || is_cut_off {
                edit.nodes.insert(place);
                edit.gone.extend(node.outputs.iter().filter(|name| !name.is_empty()).cloned());
            }
        }
        let unused = edit.unused(raw);
        edit.gone.extend(unused);
        // An output keeps its name, whoever gives it.
        for (_, name) in &edit.outputs {
            edit.gone.remove(name);
        }
        edit
    }

    /// Arrays that only what goes took: nodes, and what says how a value that goes is quantized.
    fn unused(&self, raw: &RawGraph) -> Vec<String> {
        let is_kept = |name: &String| !self.gone.contains(name);
        let (goes, stays): (Vec<_>, Vec<_>) = raw.nodes.iter().enumerate().partition(|(n, _)| self.nodes.contains(n));
        let annotations = |kept: bool| {
            let all = raw.quantized.iter().filter(move |(name, _)| is_kept(name) == kept);
            all.flat_map(|(_, arrays)| arrays)
        };
        let takes = stays.iter().flat_map(|(_, node)| node.takes()).map(|name| self.name(name));
        let used: HashSet<&str> =
            takes.chain(raw.outputs.iter().chain(annotations(true)).map(String::as_str)).collect();
        let taken: HashSet<&String> =
            goes.iter().flat_map(|(_, node)| node.takes()).chain(annotations(false)).collect();
        let is_unused = |name: &&String| taken.contains(name) && !used.contains(name.as_str());
        raw.arrays.iter().map(|array| &array.name).filter(is_unused).cloned().collect()
    }

    /// What stands in the place of a name.
    pub(super) fn name<'a>(&'a self, name: &'a str) -> &'a str {
        self.renamed.get(name).map_or(name, String::as_str)
    }

    /// Per node: whether an output of the graph needs it.
    fn needed(&self, raw: &RawGraph) -> Vec<bool> {
        let mut names: HashSet<&str> = raw.outputs.iter().map(|name| self.name(name)).collect();
        let mut needed = vec![false; raw.nodes.len()];
        for (place, node) in raw.nodes.iter().enumerate().rev() {
            if node.outputs.iter().any(|name| names.contains(name.as_str())) {
                needed[place] = true;
                names.extend(RawNode::takes(node).map(|name| self.name(name)));
            }
        }
        needed
    }
}
