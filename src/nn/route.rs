//! Routes: which blocks of each stage run, in what order and how often.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use super::BlockId;
use super::Outline;
use crate::{Error, Result};

/// Which blocks of each stage run, in what order and how often.
///
/// Lesions, shuffles, early read-outs and repeated blocks are all routes. The printed form lists the blocks of each stage,
/// counted from 1, with `/` between stages: `1-9 / 1,3,2,4-9 / 1-8,8`. A stage without blocks prints as `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    stages: Vec<Vec<usize>>,
    /// Number of blocks that each stage of the network has.
    counts: Vec<usize>,
    /// For each stage, whether its first block changes the shape. Without that block its shortcut still runs.
    reshapes: Vec<bool>,
}

/// One step along a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Runs the layers before the first block of a stage, counted from 0.
    Enter(usize),
    /// Runs a block.
    Run(BlockId),
    /// Runs the shortcut of a block that the route leaves out.
    Shortcut(BlockId),
    /// Runs a block again, on its own output.
    Repeat(BlockId),
}

impl Route {
    /// Returns the route that runs every block once, in order.
    pub fn identity(outline: &Outline) -> Self {
        let reshapes = |s: &super::StageOutline| !s.blocks.is_empty() && !s.keeps_shape();
        Self {
            stages: outline.stages.iter().map(|s| (0..s.blocks.len()).collect()).collect(),
            counts: outline.stages.iter().map(|s| s.blocks.len()).collect(),
            reshapes: outline.stages.iter().map(reshapes).collect(),
        }
    }

    /// Parses the printed form of a route through a network.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the stage and the block at fault.
    ///
    /// # Examples
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use unrolled::model::{Model, ModelConfig, ModelKind};
    /// use unrolled::nn::{Network, Route};
    ///
    /// let config = ModelConfig::new(ModelKind::Mlp).with_depth(5).with_width(4);
    /// let model = Model::new(&config, [1, 2, 2], 3, 0, &Device::flex())?;
    /// let route = Route::parse("1,3,2,4", model.outline())?;
    /// assert_eq!(route.stages(), [[0, 2, 1, 3]]);
    /// assert_eq!(Route::identity(model.outline()).to_string(), "1-4");
    /// assert!(Route::parse("1-5", model.outline()).is_err());
    /// # Ok::<(), unrolled::Error>(())
    /// ```
    pub fn parse(text: &str, outline: &Outline) -> Result<Self> {
        let identity = Self::identity(outline);
        let stages: Vec<&str> = text.split('/').map(str::trim).collect();
        if stages.len() != outline.stages.len() {
            let (given, expected) = (stages.len(), outline.stages.len());
            return Err(Error::argument("route", format!("'{text}' has {given} stages, the network has {expected}")));
        }
        let parsed: Result<_> = stages
            .iter()
            .enumerate()
            .map(|(s, text)| parse_stage(text, s, outline.stages[s].blocks.len(), identity.reshapes[s]))
            .collect();
        Ok(Self { stages: parsed?, ..identity })
    }

    /// Returns the route without any visit to a block: a lesion.
    #[must_use]
    pub fn without_block(&self, id: BlockId) -> Self {
        let mut route = self.clone();
        route.stages[id.stage].retain(|&block| block != id.block);
        route
    }

    /// Returns the route without the blocks that follow the first visit to `id` in its stage: an early read-out.
    #[must_use]
    pub fn truncated_after(&self, id: BlockId) -> Self {
        let mut route = self.clone();
        if let Some(place) = route.stages[id.stage].iter().position(|&block| block == id.block) {
            route.stages[id.stage].truncate(place + 1);
        }
        route
    }

    /// Returns the route with `times` more visits to a block after its first one.
    #[must_use]
    pub fn with_repeats(&self, id: BlockId, times: usize) -> Self {
        let mut route = self.clone();
        if let Some(place) = route.stages[id.stage].iter().position(|&block| block == id.block) {
            route.stages[id.stage].splice(place..place, std::iter::repeat_n(id.block, times));
        }
        route
    }

    /// Swaps the blocks at two positions of a stage, counted from 0.
    pub fn swap(&mut self, stage: usize, one: usize, other: usize) {
        self.stages[stage].swap(one, other);
    }

    /// Returns the positions of each stage whose blocks can be swapped. The position of a block that changes the shape is
    /// not among them.
    pub fn swappable(&self) -> Vec<Range<usize>> {
        let places = self.stages.iter().zip(&self.reshapes);
        places.map(|(blocks, &reshapes)| usize::from(reshapes)..blocks.len()).collect()
    }

    /// Returns the blocks of each stage in the order in which they run, counted from 0.
    pub fn stages(&self) -> &[Vec<usize>] {
        &self.stages
    }

    /// Returns the steps that a network runs along the route. A block without visits is replaced by its shortcut, in its
    /// own position.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (stage, blocks) in self.stages.iter().enumerate() {
            steps.push(Step::Enter(stage));
            let id = |block: usize| BlockId { stage, block };
            let (mut next, mut previous) = (0, None);
            for &block in blocks {
                let left_out = (next..block).filter(|left_out| !blocks.contains(left_out));
                steps.extend(left_out.map(|left_out| Step::Shortcut(id(left_out))));
                let is_repeat = previous.replace(block) == Some(block);
                steps.push(if is_repeat { Step::Repeat(id(block)) } else { Step::Run(id(block)) });
                next = next.max(block + 1);
            }
            steps.extend((next..self.counts[stage]).map(|left_out| Step::Shortcut(id(left_out))));
        }
        steps
    }
}

/// Parses the blocks of one stage of `count` blocks.
fn parse_stage(text: &str, stage: usize, count: usize, reshapes: bool) -> Result<Vec<usize>> {
    let wrong = |what: String| Error::argument("route", format!("stage{}: {what}", stage + 1));
    let mut blocks = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| *part != "-") {
        let range =
            parse_range(part).ok_or_else(|| wrong(format!("'{part}' is not a block number or a range such as 2-5")))?;
        if *range.start() == 0 || *range.end() > count {
            return Err(wrong(format!("'{part}': the blocks of this stage are 1-{count}")));
        }
        blocks.extend(range.map(|number| number - 1));
    }
    let is_misplaced = blocks.iter().enumerate().any(|(place, &block)| block == 0 && place > 0);
    if reshapes && is_misplaced {
        return Err(wrong("block1 changes the shape: it can only come first, and only once".into()));
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
