//! Removes blocks of a graph for good.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::build::Computation;
use super::cost::CostCounter;
use super::edit::Edit;
use super::external_data::ExternalData;
use super::find_blocks::BlockMatch;
use super::layers::is_layer;
use super::layout::{LayoutBuilder, Layouts};
use super::linked_graph::Graph;
use super::network::{Block, GraphNetwork, Stage};
use super::partition::Part;
use super::subgraph::Subgraph;
use super::wiring::SkipConnection;
use super::write;
use crate::nn::{BlockId, Outline, Route, StageOutline};
use crate::text::excerpt;
use crate::{Error, FileContents, Result};

/// Without the block, what stands before its stage and what follows it would be one part. The engine rounds differently in
/// longer parts, so that the outputs would not be the same bit for bit.
const ALONE_IN_STAGE: &str = "it is alone in its stage";

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
    /// Returns why a block cannot be removed for good; `None` where it can, as long as its stage keeps another block.
    ///
    /// Besides the blocks that the outline names, a block has to remain where nodes outside of the blocks consume what one
    /// of its layers computes.
    pub fn why_not_removable(&self, id: BlockId) -> Option<String> {
        if let Some(why) = self.block_at(id).why_not_removable {
            return Some(why.into());
        }
        if self.stages[id.stage].blocks.len() == 1 {
            return Some(ALONE_IN_STAGE.into());
        }
        let block = &self.blocks[self.index_of(id)];
        if self.is_closed(block) {
            return None;
        }
        let (_, edit) = self.edit_without(&[id]);
        let nodes = |from: usize, to: usize| Subgraph::between(&self.graph, from, &[to]).nodes;
        let kept = [nodes(block.input, shortcut_of(block)), nodes(block.sum, block.output)].concat();
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
        let (replaced, _) = self.replacement(block, shortcut_of(block));
        let nodes = Subgraph::between(&self.graph, block.input, &[replaced]).nodes;
        let is_inside = |node: &usize| nodes.binary_search(node).is_ok();
        let stays_inside = |value: usize| {
            value == replaced
                || self.graph.values[value].consumers.iter().all(is_inside) && !self.graph.outputs.contains(&value)
        };
        nodes.iter().flat_map(|&node| &self.graph.nodes[node].outputs).all(|&value| stays_inside(value))
    }

    /// Returns the value that is replaced where a block is removed, and the value that replaces it.
    ///
    /// The shortcut replaces the sum, so that what follows the sum follows the shortcut. Where a ReLU follows the sum and
    /// the shortcut is the output of a ReLU, the shortcut replaces the output of the block: a second ReLU changes nothing.
    fn replacement(&self, block: &BlockMatch, shortcut: usize) -> (usize, usize) {
        let after_sum = Subgraph::between(&self.graph, block.sum, &[block.output]).nodes;
        let repeats_relu = matches!(after_sum[..], [node] if self.graph.nodes[node].op == "Relu")
            && self.graph.produced_by(shortcut, &["Relu"]).is_some();
        (if repeats_relu { block.output } else { block.sum }, shortcut)
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

    /// Returns the network along a route, for good. Its outputs are those along the route, bit for bit.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a route on which blocks repeat or change their order, which leaves a stage without
    /// blocks, or which leaves out a block that [has to remain](GraphNetwork::why_not_removable).
    pub fn slimmed(&self, route: &Route) -> Result<Self> {
        let removed = self.removed_blocks(route)?;
        let (replacements, edit) = self.edit_without(&removed);
        let mut remaining = RemainingBlocks::default();
        for (s, (stage, outline)) in self.stages.iter().zip(&self.outline.stages).enumerate() {
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
                remaining.blocks.push(with_values(block, &|value| Ok(resolved(&replacements, value)))?);
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
            stem: self.stem.clone(),
            after_stem: self.after_stem.clone(),
            stages,
            after_last_stage: [pending, self.after_last_stage.clone()].concat(),
            head: self.head.clone(),
        })
    }

    /// Returns the contents of the network's file for a file name. Arrays that the original stores in other files go to one
    /// new file of this name with `.data` appended.
    ///
    /// # Errors
    /// [`Error::Io`] where the original file cannot be read; [`Error::File`] where it changed, or where it holds something
    /// that cannot be written without the removed blocks.
    pub fn draft(&self, name: &str) -> Result<FileContents> {
        let bytes = Arc::new(std::fs::read(&self.path).map_err(Error::io(&self.path))?);
        let data = format!("{name}.data");
        let mut external = ExternalData::new(&self.path, &data);
        let pieces = write::pieces(&bytes, (&self.edit, &self.graph.raw.order), &mut external)
            .map_err(|e| Error::file(&self.path, excerpt(&e)))?;
        let ExternalData { pieces: arrays, .. } = external;
        let beside = (!self.graph.external_files.is_empty()).then(|| (data.clone().into(), arrays));
        Ok(FileContents { chunks: pieces, companion: beside })
    }

    /// Returns the number of nodes of its graph.
    pub fn node_count(&self) -> usize {
        (0..self.graph.nodes.len()).filter(|&node| !self.is_removed(&self.edit, node)).count()
    }

    /// Opens the file that this network was written to, with the blocks of this network.
    ///
    /// # Errors
    /// As [`GraphNetwork::open`]; [`Error::File`] for a graph with other blocks.
    pub fn reopen(&self, path: &Path) -> Result<Self> {
        let graph = Self::read(path)?;
        let places = graph.values_by_name();
        let find = |value: usize| {
            let name = &self.graph.values[value].name;
            let place = places.get(name.as_str()).copied();
            place.ok_or_else(|| Error::file(path, format!("'{}' is not in it", excerpt(name))))
        };
        let blocks = self.blocks.iter().map(|block| with_values(block, &find)).collect::<Result<Vec<_>>>()?;
        drop(places);
        let counts = self.stages.iter().map(|stage| stage.blocks.len()).collect();
        let shapes: Vec<Vec<usize>> = self.inputs.iter().map(|input| input.shape.clone()).collect();
        let computation = Computation { is_fused: self.is_fused, uses_kernels: Some(self.uses_kernels) };
        let mut network =
            Self::from_blocks(path, graph, (blocks, counts), (&shapes, &self.answer_options), computation)?;
        network.answers.select_like(&self.answers);
        network.outline.answer = network.answers.answer();
        network.outline.input.clone_from(&self.outline.input);
        // A block can be named differently where the nodes around it are gone.
        let names = self.outline.blocks().map(|(_, block)| block.source_name.clone());
        let reopened = network.outline.stages.iter_mut().flat_map(|stage| &mut stage.blocks);
        reopened.zip(names).for_each(|(block, name)| block.source_name = name);
        // The name of the network contains that of the file.
        let outline = Outline { name: self.outline.name.clone(), ..network.outline.clone() };
        match outline == self.outline {
            true => Ok(network),
            false => Err(Error::file(path, "opens with other blocks than were written")),
        }
    }

    /// Returns the position of a block among all blocks.
    fn index_of(&self, id: BlockId) -> usize {
        self.stages[..id.stage].iter().map(|stage| stage.blocks.len()).sum::<usize>() + id.block
    }

    /// Returns the blocks that a route leaves out, where all of them can be removed.
    fn removed_blocks(&self, route: &Route) -> Result<Vec<BlockId>> {
        let mut removed = Vec::new();
        for (stage, (kept, all)) in route.stages().iter().zip(&self.stages).enumerate() {
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

    /// Returns which values replace which without some blocks, and what has to be removed from the file.
    fn edit_without(&self, removed: &[BlockId]) -> (Replacements, Edit) {
        let mut replacements = Replacements::new();
        for &id in removed {
            let block = &self.blocks[self.index_of(id)];
            let (replaced, shortcut) = self.replacement(block, resolved(&replacements, shortcut_of(block)));
            replacements.insert(replaced, shortcut);
        }
        let name = |value: &usize| self.graph.values[*value].name.clone();
        let replaced = replacements.iter().map(|(old, new)| (name(old), name(new))).collect();
        let edit = Edit::new(&self.graph.raw, replaced);
        (replacements, edit)
    }

    /// Returns whether an edit removes a node.
    fn is_removed(&self, edit: &Edit, node: usize) -> bool {
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

/// Returns the value in the place of `x` in a block's sum.
fn shortcut_of(block: &BlockMatch) -> usize {
    block.skip.as_ref().map_or(block.input, |skip| skip.shortcut)
}

/// Returns the value that replaces a value in the end; the same value where nothing does.
fn resolved(replacements: &Replacements, value: usize) -> usize {
    std::iter::successors(Some(value), |value| replacements.get(value).copied()).last().unwrap_or(value)
}

/// Returns a block each of whose values is another.
fn with_values(block: &BlockMatch, to: &dyn Fn(usize) -> Result<usize>) -> Result<BlockMatch> {
    let skip = block.skip.as_ref().map(|skip| -> Result<SkipConnection> {
        Ok(SkipConnection {
            shortcut: to(skip.shortcut)?,
            h: skip.h.map(to).transpose()?,
            transform: skip.transform.map(to).transpose()?,
            carry: skip.carry.map(to).transpose()?,
            ..skip.clone()
        })
    });
    Ok(BlockMatch { input: to(block.input)?, sum: to(block.sum)?, output: to(block.output)?, skip: skip.transpose()? })
}
