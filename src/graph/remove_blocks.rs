//! Removes blocks of a graph for good.

use std::collections::HashMap;
use std::sync::Arc;

use super::cost::CostCounter;
use super::edit::Edit;
use super::find_blocks::BlockMatch;
use super::layout::{LayoutBuilder, Layouts};
use super::linked_graph::Graph;
use super::network::{Block, GraphNetwork, NetworkParts, Stage};
use super::partition::Part;
use super::subgraph::Subgraph;
use crate::nn::{BlockId, Outline, Route, StageOutline};
use crate::{Error, Result};

/// Values that other values replace.
type Replacements = HashMap<usize, usize>;

/// Collects the blocks that remain, and the stages that they form.
#[derive(Default)]
struct RemainingBlocks {
    stages: Vec<Stage>,
    outlines: Vec<StageOutline>,
    blocks: Vec<BlockMatch>,
    /// Parts that stand before the next block.
    pending: Vec<Part>,
}

impl GraphNetwork {
    /// Returns the value that is replaced where a block is removed, and the value that replaces it.
    ///
    /// The shortcut replaces the sum, so that what follows the sum follows the shortcut. Where a ReLU follows the sum and
    /// the shortcut is the output of a ReLU, the shortcut replaces the output of the block: a second ReLU changes nothing.
    pub(super) fn replacement(&self, block: &BlockMatch, shortcut: usize) -> (usize, usize) {
        let after_sum = Subgraph::between(&self.graph, block.sum, &[block.output]).nodes;
        let repeats_relu = matches!(after_sum[..], [node] if self.graph.nodes[node].op == "Relu")
            && self.graph.produced_by(shortcut, &["Relu"]).is_some();
        (if repeats_relu { block.output } else { block.sum }, shortcut)
    }

    /// Returns the network along a route, for good. Its outputs are those along the route, bit for bit.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a network from which blocks were removed before, and for a route on which blocks repeat or change
    /// their order, which leaves a stage without blocks, or which leaves out a block that [has to
    /// remain](GraphNetwork::why_not_removable).
    pub fn slimmed(&self, route: &Route) -> Result<Self> {
        if !self.edit.replaced.is_empty() {
            let why = "remove all blocks at once, or write the file and open it";
            return Err(Error::unsupported(&self.outline.name, why));
        }
        let removed = self.removed_blocks(route)?;
        let (replacements, edit) = self.edit_without(&removed);
        let mut remaining = RemainingBlocks::default();
        for (s, (stage, outline)) in self.parts.stages.iter().zip(&self.outline.stages).enumerate() {
            remaining.pending.extend(stage.enter.iter().cloned());
            let mut starts_stage = true;
            for (b, parts) in stage.blocks.iter().enumerate() {
                let id = BlockId { stage: s, block: b };
                let block = &self.blocks[self.index_of(id)];
                if removed.contains(&id) {
                    let after_sum = parts.after_sum.iter().filter(|_| !replacements.contains_key(&block.output));
                    remaining.pending.extend(parts.shortcut.iter().chain(after_sum).cloned());
                    continue;
                }
                remaining.add(parts, starts_stage, (outline, b));
                remaining.blocks.push(block.with_values(&|value| Ok(resolved(&replacements, value)))?);
                starts_stage = false;
            }
        }
        let RemainingBlocks { stages, mut outlines, blocks, pending } = remaining;
        let layouts = self.layouts_of(&stages, &mut outlines, &blocks);
        let outline = self.outline_of(outlines, &blocks, &edit, removed.len());
        Ok(Self {
            given_boundaries: self.given_boundaries.clone(),
            answer_options: self.answer_options.clone(),
            answers: self.answers.clone(),
            skip_count: self.skip_count,
            path: self.path.clone(),
            graph: Arc::clone(&self.graph),
            engine: Arc::clone(&self.engine),
            is_fused: self.is_fused,
            uses_kernels: self.uses_kernels,
            blocks: Arc::new(blocks),
            shapes: Arc::clone(&self.shapes),
            edit,
            outline,
            inputs: self.inputs.clone(),
            batch: self.batch,
            layouts: Arc::new(layouts),
            left_out: self.left_out.clone(),
            parts: NetworkParts {
                stem: self.parts.stem.clone(),
                after_stem: self.parts.after_stem.clone(),
                stages,
                after_last_stage: [pending, self.parts.after_last_stage.clone()].concat(),
                head: self.parts.head.clone(),
            },
        })
    }

    /// Returns the position of a block among all blocks.
    pub(super) fn index_of(&self, id: BlockId) -> usize {
        self.parts.stages[..id.stage].iter().map(|stage| stage.blocks.len()).sum::<usize>() + id.block
    }

    /// Returns which values replace which without some blocks, and what has to be removed from the file.
    pub(super) fn edit_without(&self, removed: &[BlockId]) -> (Replacements, Edit) {
        let mut replacements = Replacements::new();
        for &id in removed {
            let block = &self.blocks[self.index_of(id)];
            let (replaced, shortcut) = self.replacement(block, resolved(&replacements, block.shortcut()));
            replacements.insert(replaced, shortcut);
        }
        let name = |value: &usize| self.graph.values[*value].name.clone();
        let replaced = replacements.iter().map(|(old, new)| (name(old), name(new))).collect();
        let edit = Edit::new(&self.graph.raw, replaced);
        (replacements, edit)
    }

    /// Returns whether an edit removes a node.
    pub(super) fn is_removed(&self, edit: &Edit, node: usize) -> bool {
        self.graph.nodes[node].outputs.iter().all(|&value| edit.removed_values.contains(&self.graph.values[value].name))
    }

    /// Returns the layouts of the blocks that remain, as they are where the file is opened again, and sets the shapes of the
    /// stages.
    fn layouts_of(&self, stages: &[Stage], outlines: &mut [StageOutline], blocks: &[BlockMatch]) -> Layouts {
        let mut builder = LayoutBuilder::new(&self.graph, &self.shapes.0);
        let mut remaining = blocks.iter();
        let mut first_sums = Vec::new();
        for (s, stage) in stages.iter().enumerate() {
            for (place, block) in remaining.by_ref().take(stage.blocks.len()).enumerate() {
                builder.add(block, place > 0 || s > 0 && stage.enter.is_empty());
                first_sums.extend((place == 0).then_some(block.sum));
            }
        }
        let mut layouts = builder.finish();
        outlines.iter_mut().zip(first_sums).for_each(|(outline, sum)| outline.shape = layouts.shape_of_group(sum));
        let parts = stages.iter().flat_map(|stage| &stage.blocks).filter_map(|block| block.body.from);
        parts.zip(blocks).for_each(|(from, block)| layouts.add_alias(from, block.input));
        layouts
    }

    /// Returns the outline of the blocks that remain, with their costs.
    fn outline_of(&self, mut stages: Vec<StageOutline>, blocks: &[BlockMatch], edit: &Edit, removed: usize) -> Outline {
        let graph: &Graph = &self.graph;
        let (shapes, samples) = &*self.shapes;
        let kept =
            |nodes: Vec<usize>| nodes.into_iter().filter(|&node| !self.is_removed(edit, node)).collect::<Vec<_>>();
        let mut counter = CostCounter::default();
        let before = graph.values[blocks[0].input].producer.map_or(Vec::new(), |last| (0..=last).collect());
        let stem_parameters = counter.cost(graph, &kept(before), shapes, *samples).parameters;
        let outlines = stages.iter_mut().flat_map(|stage| &mut stage.blocks);
        for (outline, block) in outlines.zip(blocks) {
            let nodes = Subgraph::between(graph, block.input, &[block.output]).nodes;
            let cost = counter.cost(graph, &kept(nodes), shapes, *samples);
            (outline.parameters, outline.flops) = (cost.parameters, cost.flops);
        }
        let all = kept((0..graph.nodes.len()).collect());
        let name = match removed {
            0 => self.outline.name.clone(),
            _ => format!("{} without {removed} of its {} blocks", self.outline.name, self.blocks.len()),
        };
        let outline = Outline { name, stem_parameters, stages, ..self.outline.clone() };
        counter.complete(outline, graph, &all, shapes, *samples)
    }
}

impl RemainingBlocks {
    /// Adds a block. It begins a stage where `starts_stage` says so, and where parts stand before it.
    fn add(&mut self, parts: &Block, starts_stage: bool, (outline, place): (&StageOutline, usize)) {
        if starts_stage || !self.pending.is_empty() {
            self.stages.push(Stage { enter: std::mem::take(&mut self.pending), blocks: Vec::new() });
            let name = format!("stage{}", self.stages.len());
            self.outlines.push(StageOutline { name, blocks: Vec::new(), ..outline.clone() });
        }
        let stage = self.stages.len() - 1;
        let id = BlockId { stage, block: self.stages[stage].blocks.len() };
        let mut outline = outline.blocks[place].clone();
        outline.id = id;
        self.stages[stage].blocks.push(parts.clone());
        self.outlines[stage].blocks.push(outline);
    }
}

/// Returns the value that replaces a value in the end; the same value where nothing does.
fn resolved(replacements: &Replacements, value: usize) -> usize {
    std::iter::successors(Some(value), |value| replacements.get(value).copied()).last().unwrap_or(value)
}
