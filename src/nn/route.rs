//! A route: which blocks of each stage run, in what order, how often.

use std::fmt;
use std::ops::RangeInclusive;

use super::BlockId;
use super::Outline;
use crate::{Error, Result};

/// Which blocks of each stage run, in what order, how often.
///
/// Its printed form lists the blocks of each stage, counted from 1, stages set apart by `/`: `1-9 / 1,3,2,4-9 / 1-8,8`;
/// `-` is a stage of which nothing is left. Leaving a block out, exchanging blocks, stopping early and repeating are all routes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    stages: Vec<Vec<usize>>,
    /// Per stage: the number of its blocks.
    counts: Vec<usize>,
    /// Per stage: whether its first block changes the shape, so that what is left of it is its shortcut.
    reshapes: Vec<bool>,
}

/// One step along a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// What stands before a stage.
    Enter(usize),
    /// A block.
    Run(BlockId),
    /// The shortcut of a block that is left out.
    Shortcut(BlockId),
    /// A block once more, on its own output.
    Again(BlockId),
}

impl Route {
    /// Every block once, in order.
    pub fn identity(outline: &Outline) -> Self {
        let first = |s: &super::StageOutline| !s.blocks.is_empty() && !s.keeps_shape();
        Self {
            stages: outline.stages.iter().map(|s| (0..s.blocks.len()).collect()).collect(),
            counts: outline.stages.iter().map(|s| s.blocks.len()).collect(),
            reshapes: outline.stages.iter().map(first).collect(),
        }
    }

    /// The same route without any visit to a block.
    #[must_use]
    pub fn without(&self, at: BlockId) -> Self {
        let mut route = self.clone();
        route.stages[at.stage].retain(|&block| block != at.block);
        route
    }

    /// The same route up to a visit of a block of its last stage, and what follows left out: an early read-out.
    #[must_use]
    pub fn until(&self, at: BlockId) -> Self {
        let mut route = self.clone();
        if let Some(place) = route.stages[at.stage].iter().position(|&block| block == at.block) {
            route.stages[at.stage].truncate(place + 1);
        }
        route
    }

    /// The same route with a block's first visit followed by so many more.
    #[must_use]
    pub fn repeating(&self, at: BlockId, times: usize) -> Self {
        let mut route = self.clone();
        if let Some(place) = route.stages[at.stage].iter().position(|&block| block == at.block) {
            route.stages[at.stage].splice(place..place, std::iter::repeat_n(at.block, times));
        }
        route
    }

    /// Swaps the blocks at two places of a stage, counted from 0.
    pub fn swap(&mut self, stage: usize, one: usize, other: usize) {
        self.stages[stage].swap(one, other);
    }

    /// The places of each stage whose blocks can be exchanged: not that of a block that changes the shape.
    pub fn movable(&self) -> Vec<std::ops::Range<usize>> {
        let places = self.stages.iter().zip(&self.reshapes);
        places.map(|(blocks, &reshapes)| usize::from(reshapes)..blocks.len()).collect()
    }

    /// The blocks of each stage, counted from 0.
    pub fn stages(&self) -> &[Vec<usize>] {
        &self.stages
    }

    /// What a walk along the route does. Of a block that no visit is left of, its shortcut stands where it stood.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (stage, blocks) in self.stages.iter().enumerate() {
            steps.push(Step::Enter(stage));
            let at = |block: usize| BlockId { stage, block };
            let (mut next, mut latest) = (0, None);
            for &block in blocks {
                let skipped = (next..block).filter(|skipped| !blocks.contains(skipped));
                steps.extend(skipped.map(|skipped| Step::Shortcut(at(skipped))));
                let again = latest.replace(block) == Some(block);
                steps.push(if again { Step::Again(at(block)) } else { Step::Run(at(block)) });
                next = next.max(block + 1);
            }
            steps.extend((next..self.counts[stage]).map(|skipped| Step::Shortcut(at(skipped))));
        }
        steps
    }

    /// Reads the printed form for a network.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the stage and block at fault.
    pub fn parse(text: &str, outline: &Outline) -> Result<Self> {
        let identity = Self::identity(outline);
        let stages: Vec<&str> = text.split('/').map(str::trim).collect();
        if stages.len() != outline.stages.len() {
            return Err(Error::Usage(format!(
                "route '{text}': {} stages, the network has {}",
                stages.len(),
                outline.stages.len()
            )));
        }
        let parsed: Result<_> = stages
            .iter()
            .enumerate()
            .map(|(s, text)| parse_stage(text, s, outline.stages[s].blocks.len(), identity.reshapes[s]))
            .collect();
        Ok(Self { stages: parsed?, ..identity })
    }
}

fn parse_stage(text: &str, stage: usize, count: usize, reshapes: bool) -> Result<Vec<usize>> {
    let wrong = |what: String| Error::Usage(format!("route, stage{}: {what}", stage + 1));
    let mut blocks = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| *part != "-") {
        let range =
            parse_range(part).ok_or_else(|| wrong(format!("'{part}' is no block number or range such as 2-5")))?;
        if *range.start() == 0 || *range.end() > count {
            return Err(wrong(format!("'{part}': its blocks are 1-{count}")));
        }
        blocks.extend(range.map(|number| number - 1));
    }
    let misplaced = blocks.iter().enumerate().any(|(place, &block)| block == 0 && place > 0);
    if reshapes && misplaced {
        return Err(wrong("block1 changes the shape: it can only come first, once".into()));
    }
    Ok(blocks)
}

fn parse_range(text: &str) -> Option<RangeInclusive<usize>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some(first..=last)
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (stage, blocks) in self.stages.iter().enumerate() {
            if stage > 0 {
                f.write_str(" / ")?;
            }
            if blocks.is_empty() {
                f.write_str("-")?;
            }
            for (i, run) in blocks.chunk_by(|a, b| a + 1 == *b).enumerate() {
                let separator = if i > 0 { "," } else { "" };
                let (first, last) = (run[0] + 1, run[run.len() - 1] + 1);
                if first == last {
                    write!(f, "{separator}{first}")?;
                } else {
                    write!(f, "{separator}{first}-{last}")?;
                }
            }
        }
        Ok(())
    }
}
