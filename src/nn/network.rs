//! What measuring and slimming need of a network, and nothing else.

use super::Outline;
use super::{BlockActivations, RecurrentState, Route, Step};
use crate::Result;

/// Which block, both counted from 0; prints as `stage1.block2`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId {
    /// Stage, from 0.
    pub stage: usize,
    /// Block within the stage, from 0.
    pub block: usize,
}

impl BlockId {
    /// The block that a name such as `stage1.block2.body.layer1.weight` begins with, and the rest of the name;
    /// `None` for a name that begins with no block, or numbers one from 0.
    pub fn split(name: &str) -> Option<(Self, &str)> {
        let (stage, rest) = name.strip_prefix("stage")?.split_once(".block")?;
        let (block, rest) = rest.split_once('.').unwrap_or((rest, ""));
        let number = |text: &str| text.parse::<usize>().ok()?.checked_sub(1);
        Some((Self { stage: number(stage)?, block: number(block)? }, rest))
    }
}

impl std::str::FromStr for BlockId {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::split(name).filter(|(_, rest)| rest.is_empty()).map(|(id, _)| id);
        found.ok_or_else(|| crate::Error::Usage(format!("'{name}' is no block, expected a name such as stage1.block2")))
    }
}

impl serde::Serialize for BlockId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for BlockId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for BlockId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stage{}.block{}", self.stage + 1, self.block + 1)
    }
}

/// Some samples, as they enter a network.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Normalized values, row-major.
    pub values: Vec<f32>,
    /// `[batch, channels, height, width]`.
    pub shape: [usize; 4],
}

/// The outputs of a network before the softmax.
#[derive(Clone, Debug)]
pub struct Logits {
    /// `[batch, classes]`, row-major.
    pub values: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
}

/// A network as a line: stem, stages of blocks, head. The estimate between them is the implementor's own type.
pub trait Network {
    /// What passes from block to block. Cloning it should be cheap.
    type Estimate: Clone;

    /// Its stages and blocks.
    fn outline(&self) -> &Outline;

    /// The first estimate.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where the samples have another shape than the network takes.
    fn stem(&self, samples: &Samples) -> Result<Self::Estimate>;

    /// What stands between the stage before and the first block of a stage.
    ///
    /// # Errors
    /// Where the computation fails; so for all that follow.
    fn enter_stage(&self, stage: usize, estimate: Self::Estimate) -> Result<Self::Estimate>;

    /// A block with what can be seen inside it.
    ///
    /// # Errors
    /// Where the computation fails.
    fn block_activations(&self, at: BlockId, estimate: Self::Estimate) -> Result<BlockActivations<Self::Estimate>>;

    /// A block: the next estimate.
    ///
    /// # Errors
    /// Where the computation fails.
    fn block(&self, at: BlockId, estimate: Self::Estimate) -> Result<Self::Estimate> {
        Ok(self.block_activations(at, estimate)?.estimate)
    }

    /// A block that runs again on its own output.
    ///
    /// # Errors
    /// Where the computation fails.
    fn repeat_block(&self, at: BlockId, estimate: Self::Estimate) -> Result<Self::Estimate> {
        self.block(at, estimate)
    }

    /// What is left of a block when it is left out.
    ///
    /// # Errors
    /// Where the computation fails.
    fn shortcut(&self, at: BlockId, estimate: Self::Estimate) -> Result<Self::Estimate>;

    /// One step along a route.
    ///
    /// # Errors
    /// Where the computation fails.
    fn step(&self, step: Step, estimate: Self::Estimate) -> Result<Self::Estimate> {
        match step {
            Step::Enter(stage) => self.enter_stage(stage, estimate),
            Step::Run(at) => self.block(at, estimate),
            Step::Shortcut(at) => self.shortcut(at, estimate),
            Step::Again(at) => self.repeat_block(at, estimate),
        }
    }

    /// The outputs. A network whose outputs depend on the samples before finds in `memory` what it left there behind the
    /// batch before, along the same route; others do not look at it.
    ///
    /// # Errors
    /// Where the computation fails.
    fn head(&self, estimate: Self::Estimate, memory: &mut RecurrentState) -> Result<Logits>;

    /// The outputs along a route; `memory` as of [`Network::head`].
    ///
    /// # Errors
    /// As of [`Network::stem`] and [`Network::step`].
    fn forward_along(&self, route: &Route, samples: &Samples, memory: &mut RecurrentState) -> Result<Logits> {
        let first = self.stem(samples)?;
        self.head(route.steps().into_iter().try_fold(first, |estimate, step| self.step(step, estimate))?, memory)
    }

    /// The gradient of every sample's cross-entropy with respect to what enters the head, scaled to unit length at the
    /// outputs: a direction, for a sample that is answered with near certainty too. `None` for a network that knows no
    /// gradients.
    ///
    /// # Errors
    /// Where the computation fails.
    fn head_gradient(&self, _estimate: &Self::Estimate, _labels: &[u32]) -> Result<Option<Self::Estimate>> {
        Ok(None)
    }

    /// The gradient with respect to what enters a step, from that with respect to what leaves it; `None` for a network
    /// that knows no gradients.
    ///
    /// # Errors
    /// Where the computation fails.
    fn backward_step(
        &self,
        _step: Step,
        _entering: &Self::Estimate,
        _gradient: &Self::Estimate,
    ) -> Result<Option<Self::Estimate>> {
        Ok(None)
    }

    /// Returns a checksum of everything that decides what the network computes: two networks with the same checksum are
    /// taken for the same. Without an implementation it is that of the outline alone.
    fn fingerprint(&self) -> u32 {
        crc32fast::hash(format!("{:?}", self.outline()).as_bytes())
    }

    /// Whether [`Network::head_gradient`] and [`Network::backward_step`] answer.
    fn has_gradients(&self) -> bool {
        false
    }

    /// The values of an estimate, `[batch, units]` row-major, and the number of channels that the units divide into.
    fn values(&self, estimate: &Self::Estimate) -> (Vec<f32>, usize);

    /// An estimate of the shape of another, with these values in the order of [`Network::values`].
    fn rebuild(&self, like: &Self::Estimate, values: Vec<f32>) -> Self::Estimate;
}
