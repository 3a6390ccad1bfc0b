//! Which blocks of a graph can be removed for good.

use super::find_blocks::BlockMatch;
use super::layers::is_layer;
use super::network::GraphNetwork;
use super::subgraph::Subgraph;
use crate::nn::{BlockId, Route};
use crate::{Error, Result};

/// Without the block, what stands before its stage and what follows it would be one part. The engine rounds differently in
/// longer parts, so that the outputs would not be the same bit for bit.
const ALONE_IN_STAGE: &str = "it is alone in its stage";

impl GraphNetwork {
    /// Returns why a block cannot be removed for good; `None` where it can, as long as its stage keeps another block.
    ///
    /// Besides the blocks that the outline names, a block has to remain where nodes outside of the blocks consume what one
    /// of its layers computes.
    pub fn why_not_removable(&self, id: BlockId) -> Option<String> {
        if let Some(why) = self.block_at(id).why_not_removable {
            return Some(why.into());
        }
        if self.parts.stages[id.stage].blocks.len() == 1 {
            return Some(ALONE_IN_STAGE.into());
        }
        let block = &self.blocks[self.index_of(id)];
        if self.is_closed(block) {
            return None;
        }
        let (_, edit) = self.edit_without(&[id]);
        let nodes = |from: usize, to: usize| Subgraph::between(&self.graph, from, &[to]).nodes;
        let kept = [nodes(block.input, block.shortcut()), nodes(block.sum, block.output)].concat();
        let body = nodes(block.input, block.output).into_iter().filter(|node| !kept.contains(node));
        let mut layers = body.filter(|&node| is_layer(&self.graph, node));
        let node = layers.find(|&node| !self.is_removed(&edit, node))?;
        Some(format!("a node outside the blocks uses the output of {}", self.graph.describe_node(node)))
    }

    /// Returns whether nothing outside of a block that was found consumes what it computes, its sum aside: all of its layers
    /// go with it then. This looks at the block alone; where it does not tell, the whole graph has to be looked at.
    fn is_closed(&self, block: &BlockMatch) -> bool {
        if block.skip.is_none() || self.given_boundaries.is_some() {
            return false;
        }
        let (replaced, _) = self.replacement(block, block.shortcut());
        let nodes = Subgraph::between(&self.graph, block.input, &[replaced]).nodes;
        let is_inside = |node: &usize| nodes.binary_search(node).is_ok();
        let stays_inside = |value: usize| {
            value == replaced
                || self.graph.values[value].consumers.iter().all(is_inside) && !self.graph.outputs.contains(&value)
        };
        nodes.iter().flat_map(|&node| &self.graph.nodes[node].outputs).all(|&value| stays_inside(value))
    }

    /// Returns why the parameters of the blocks cannot be counted; `None` where they can.
    pub fn why_not_countable(&self) -> Option<String> {
        let has_layers = |node: &usize| self.graph.nodes[*node].attributes.iter().any(|a| a.has_layers);
        let node = (0..self.graph.nodes.len()).find(has_layers);
        let inside = node.map(|node| {
            format!("{} holds a graph with layers, whose parameters are not counted", self.graph.describe_node(node))
        });
        inside.or_else(|| (self.outline.parameters == 0).then(|| "no parameters are found in the graph".into()))
    }

    /// Returns the blocks that a route leaves out, where all of them can be removed.
    pub(super) fn removed_blocks(&self, route: &Route) -> Result<Vec<BlockId>> {
        let mut removed = Vec::new();
        for (stage, (kept, all)) in route.stages().iter().zip(&self.parts.stages).enumerate() {
            if !kept.is_sorted_by(|a, b| a < b) {
                let why = "a graph can be written with its blocks in their order, each once";
                return Err(Error::unsupported(format!("route {route}"), why));
            }
            if kept.is_empty() {
                return Err(Error::unsupported(format!("stage{}", stage + 1), "would be left without blocks"));
            }
            removed.extend((0..all.blocks.len()).filter(|b| !kept.contains(b)).map(|block| BlockId { stage, block }));
        }
        for &id in &removed {
            if let Some(why) = self.why_not_removable(id) {
                return Err(Error::unsupported(id, format!("cannot be left out for good: {why}")));
            }
        }
        Ok(removed)
    }
}
