//! Blocks left out for good: what comes in their places, and what of them stays.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::cost::{self, Counter};
use super::edit::Edit;
use super::external::Beside;
use super::line::Found;
use super::merge::Merge;
use super::network::{Block, GraphNetwork, Part, Stage};
use super::proto::Graph;
use super::region::Region;
use super::write;
use crate::nn::{BlockId, Route};
use crate::nn::{Outline, StageOutline};
use crate::open::one_line;
use crate::{Error, FileContents, Result};

/// Without it there would be nothing to cut the graph at between what comes before its stage and what follows, and runs of
/// longer parts round otherwise.
const ALONE: &str = "it is alone in its stage";

/// What a value becomes, by values.
type Places = HashMap<usize, usize>;

/// A line from which blocks were taken.
#[derive(Default)]
struct Left {
    stages: Vec<Stage>,
    outlines: Vec<StageOutline>,
    line: Vec<Found>,
    /// What stands before the next block.
    waiting: Vec<Part>,
}

impl GraphNetwork {
    /// Why a block cannot be left out for good; `None` where it can, as long as its stage keeps another.
    ///
    /// What the whole graph needs beside the line may be computed in it.
    pub fn stays(&self, at: BlockId) -> Option<String> {
        if let Some(why) = self.block_at(at).why_not_removable {
            return Some(why.into());
        }
        if self.stages[at.stage].blocks.len() == 1 {
            return Some(ALONE.into());
        }
        let (_, edit) = self.without(&[at]);
        let found = &self.line[self.place(at)];
        let own = |from: usize, to: usize| Region::between(&self.graph, from, &[to]).nodes;
        let carried = found.merge.as_ref().map_or(found.input, |merge| merge.carried);
        let stays = [own(found.input, carried), own(found.sum, found.output)].concat();
        let goes = own(found.input, found.output).into_iter().filter(|node| !stays.contains(node));
        let mut layers = goes.filter(|&node| cost::is_layer(&self.graph, node));
        let node = layers.find(|&node| !self.is_gone(&edit, node))?;
        Some(format!("something beside the line takes what {} computes", self.graph.node_name(node)))
    }

    /// The network along a route, for good: its outputs are those along the route, bit for bit.
    ///
    /// # Errors
    /// [`Error::Usage`] for a route on which blocks run again or in another order, that leaves a stage without blocks, or
    /// leaves out a block that [stays](GraphNetwork::stays).
    pub fn slimmed(&self, route: &Route) -> Result<Self> {
        let removed = self.removed(route)?;
        let (places, edit) = self.without(&removed);
        let mut left = Left::default();
        for (s, (stage, outline)) in self.stages.iter().zip(&self.outline.stages).enumerate() {
            left.waiting.extend(stage.enter.iter().cloned());
            let mut begins = true;
            for (b, block) in stage.blocks.iter().enumerate() {
                let at = BlockId { stage: s, block: b };
                let found = &self.line[self.place(at)];
                if removed.contains(&at) {
                    let after = block.after.iter().filter(|_| !places.contains_key(&found.output));
                    left.waiting.extend(block.shortcut.iter().chain(after).cloned());
                    continue;
                }
                left.add(block, begins, (outline, b));
                left.line.push(moved(found, &|value| resolved(&places, value)));
                begins = false;
            }
        }
        let Left { stages, outlines, line, waiting: leave } = left;
        let outline = self.counted(outlines, &line, &edit, removed.len());
        Ok(Self {
            given: self.given.clone(),
            skips: self.skips,
            path: self.path.clone(),
            graph: Arc::clone(&self.graph),
            engine: Arc::clone(&self.engine),
            fuses: self.fuses,
            line: Arc::new(line),
            shapes: Arc::clone(&self.shapes),
            edit,
            outline,
            inputs: self.inputs.clone(),
            batch: self.batch,
            channels_first: self.channels_first,
            stem: self.stem.clone(),
            stages,
            leave,
            head: self.head.clone(),
        })
    }

    /// The file of the network under a name; that of the arrays beside it is called so too, with `.data` behind.
    ///
    /// # Errors
    /// [`Error::File`] where the file that it came from changed, or has something that cannot be written again.
    pub fn draft(&self, name: &str) -> Result<FileContents> {
        let bytes = Arc::new(std::fs::read(&self.path).map_err(Error::io(&self.path))?);
        let data = format!("{name}.data");
        let mut beside = Beside::new(self.path.parent().unwrap_or(Path::new("")), &data);
        let pieces =
            write::pieces(&bytes, &self.edit, &mut beside).map_err(|e| Error::file(&self.path, one_line(&e)))?;
        let Beside { pieces: arrays, .. } = beside;
        let beside = self.graph.has_external_data.then(|| (data.clone().into(), arrays));
        Ok(FileContents { chunks: pieces, companion: beside })
    }

    /// Nodes of its graph.
    pub fn nodes(&self) -> usize {
        self.graph.nodes.len() - (0..self.graph.nodes.len()).filter(|&node| self.is_gone(&self.edit, node)).count()
    }

    /// Opens the file that this network was written to: with these blocks, whatever else could be found.
    ///
    /// # Errors
    /// As [`GraphNetwork::open`], and [`Error::File`] for a graph with other blocks.
    pub fn reopened(&self, path: &Path) -> Result<Self> {
        let graph = Self::read(path)?;
        let find = |value: usize| {
            let name = &self.graph.values[value].name;
            graph.find(name).ok_or_else(|| Error::file(path, format!("'{}' is not in it", one_line(name))))
        };
        let line = self.line.iter().map(|found| try_moved(found, &find)).collect::<Result<Vec<_>>>()?;
        let counts = self.stages.iter().map(|stage| stage.blocks.len()).collect();
        let shapes: Vec<Vec<usize>> = self.inputs.iter().map(|input| input.shape.clone()).collect();
        let mut network = Self::cut(path, graph, (line, counts), &shapes, self.fuses)?;
        network.outline.input.clone_from(&self.outline.input);
        // The name is that of the file.
        let outline = Outline { name: self.outline.name.clone(), ..network.outline.clone() };
        match outline == self.outline {
            true => Ok(network),
            false => Err(Error::file(path, "opens with other blocks than were written")),
        }
    }

    fn place(&self, at: BlockId) -> usize {
        self.stages[..at.stage].iter().map(|stage| stage.blocks.len()).sum::<usize>() + at.block
    }

    /// The blocks that a route leaves out.
    fn removed(&self, route: &Route) -> Result<Vec<BlockId>> {
        let mut removed = Vec::new();
        for (stage, (kept, all)) in route.stages().iter().zip(&self.stages).enumerate() {
            if !kept.is_sorted_by(|a, b| a < b) {
                let what = format!("route {route}: a graph can be written with its blocks in their order, each once");
                return Err(Error::Usage(what));
            }
            if kept.is_empty() {
                return Err(Error::Usage(format!("stage{} would be left without blocks", stage + 1)));
            }
            removed.extend((0..all.blocks.len()).filter(|b| !kept.contains(b)).map(|block| BlockId { stage, block }));
        }
        for &at in &removed {
            if let Some(why) = self.stays(at) {
                return Err(Error::Usage(format!("{at} cannot be left out for good: {why}")));
            }
        }
        Ok(removed)
    }

    /// What comes in the places of which values, and what goes, without some blocks.
    ///
    /// What a skip carries comes in the place of the sum, so that what follows the sum follows that. A ReLU of what is a
    /// ReLU's output changes nothing, and goes.
    fn without(&self, removed: &[BlockId]) -> (Places, Edit) {
        let mut places = Places::new();
        for &at in removed {
            let found = &self.line[self.place(at)];
            let carried = resolved(&places, found.merge.as_ref().map_or(found.input, |merge| merge.carried));
            let after = Region::between(&self.graph, found.sum, &[found.output]).nodes;
            let repeats = matches!(after[..], [node] if self.graph.nodes[node].op == "Relu")
                && self.graph.given_by(carried, &["Relu"]).is_some();
            places.insert(if repeats { found.output } else { found.sum }, carried);
        }
        let name = |value: &usize| self.graph.values[*value].name.clone();
        let renamed = places.iter().map(|(old, new)| (name(old), name(new))).collect();
        let edit = Edit::new(&self.graph.raw, renamed);
        (places, edit)
    }

    /// Whether a node is not in a file any more.
    fn is_gone(&self, edit: &Edit, node: usize) -> bool {
        self.graph.nodes[node].outputs.iter().all(|&value| edit.gone.contains(&self.graph.values[value].name))
    }

    /// The outline of what is left, with what it costs.
    fn counted(&self, mut stages: Vec<StageOutline>, line: &[Found], edit: &Edit, removed: usize) -> Outline {
        let graph: &Graph = &self.graph;
        let (shapes, samples) = &*self.shapes;
        let kept = |nodes: Vec<usize>| nodes.into_iter().filter(|&node| !self.is_gone(edit, node)).collect::<Vec<_>>();
        let mut counter = Counter::default();
        let before = graph.values[line[0].input].producer.map_or(Vec::new(), |last| (0..=last).collect());
        let stem_parameters = counter.cost(graph, &kept(before), shapes, *samples).parameters;
        let outlines = stages.iter_mut().flat_map(|stage| &mut stage.blocks);
        for (outline, found) in outlines.zip(line) {
            let nodes = Region::between(graph, found.input, &[found.output]).nodes;
            let cost = counter.cost(graph, &kept(nodes), shapes, *samples);
            (outline.parameters, outline.flops) = (cost.parameters, cost.flops);
        }
        let all = kept((0..graph.nodes.len()).collect());
        let name = match removed {
            0 => self.outline.name.clone(),
            _ => format!("{} without {removed} of its {} blocks", self.outline.name, self.line.len()),
        };
        let outline = Outline { name, stem_parameters, stages, ..self.outline.clone() };
        counter.complete(outline, graph, &all, shapes, *samples)
    }
}

impl Left {
    /// Adds a block; it begins a stage where it did, or where anything now stands before it.
    fn add(&mut self, block: &Block, begins: bool, (outline, place): (&StageOutline, usize)) {
        if begins || !self.waiting.is_empty() {
            self.stages.push(Stage { enter: std::mem::take(&mut self.waiting), blocks: Vec::new() });
            let name = format!("stage{}", self.stages.len());
            self.outlines.push(StageOutline { name, blocks: Vec::new(), ..outline.clone() });
        }
        let stage = self.stages.len() - 1;
        let at = BlockId { stage, block: self.stages[stage].blocks.len() };
        let mut outline = outline.blocks[place].clone();
        outline.id = at;
        self.stages[stage].blocks.push(block.clone());
        self.outlines[stage].blocks.push(outline);
    }
}

/// What stands in the place of a value in the end.
fn resolved(places: &Places, value: usize) -> usize {
    std::iter::successors(Some(value), |value| places.get(value).copied()).last().unwrap_or(value)
}

/// A block whose values became others.
fn moved(found: &Found, to: &dyn Fn(usize) -> usize) -> Found {
    let merge = found.merge.as_ref().map(|merge| Merge {
        carried: to(merge.carried),
        h: merge.h.map(to),
        transform: merge.transform.map(to),
        carry: merge.carry.map(to),
        ..merge.clone()
    });
    Found { input: to(found.input), sum: to(found.sum), output: to(found.output), merge }
}

/// The same, where some of them may not be there.
fn try_moved(found: &Found, to: &dyn Fn(usize) -> Result<usize>) -> Result<Found> {
    let merge = found.merge.as_ref().map(|merge| -> Result<Merge> {
        Ok(Merge {
            carried: to(merge.carried)?,
            h: merge.h.map(to).transpose()?,
            transform: merge.transform.map(to).transpose()?,
            carry: merge.carry.map(to).transpose()?,
            ..merge.clone()
        })
    });
    Ok(Found { input: to(found.input)?, sum: to(found.sum)?, output: to(found.output)?, merge: merge.transpose()? })
}
