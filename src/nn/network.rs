//! The [`Network`] trait: what measuring and slimming need of a network.

use super::Outline;
use super::{BlockActivations, BlockId, RecurrentState, Route, Step};
use crate::Result;
use crate::device::DeviceInfo;

/// A batch of samples as a network takes them.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Normalized values, row-major.
    pub values: Vec<f32>,
    /// `[batch, channels, height, width]`.
    pub shape: [usize; 4],
}

/// The outputs of a network before the softmax.
#[derive(Clone, Debug, Default)]
pub struct Logits {
    /// `[batch, positions, classes]`, row-major. Most networks have one position.
    pub values: Vec<f32>,
    /// Number of classes, or of the values of an answer that are no classes.
    pub classes: usize,
    /// Number of answers of a sample, as [`Answer::count`](super::Answer::count) says.
    pub positions: usize,
    /// Whether each answer counts, `[batch, positions]`; `None` where all do.
    pub mask: Option<Vec<bool>>,
    /// The position in the sample of each of its answers, `[batch, positions]`; `None` where they are all of its positions.
    pub places: Option<Vec<usize>>,
}

/// Which positions of some samples count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PositionMask {
    /// Whether each position counts, `[batch, positions]`, row-major.
    pub counts: Vec<bool>,
    /// The number of positions of a sample.
    pub positions: usize,
}

impl PositionMask {
    /// Returns whether each position of a sample counts.
    pub fn row(&self, sample: usize) -> &[bool] {
        &self.counts[sample * self.positions..(sample + 1) * self.positions]
    }

    /// Replaces the values `[batch, channels, positions]` at positions that do not count by 0.
    pub fn apply(&self, values: &mut [f32]) {
        let samples = self.counts.len() / self.positions;
        let size = values.len() / samples.max(1);
        for (sample, values) in values.chunks_exact_mut(size.max(1)).enumerate() {
            let counts = self.row(sample).iter().cycle();
            values.iter_mut().zip(counts).filter(|(_, counts)| !**counts).for_each(|(value, _)| *value = 0.0);
        }
    }
}

impl Logits {
    /// Returns the outputs of a network that answers once a sample, `[batch, classes]`, row-major.
    pub fn new(values: Vec<f32>, classes: usize) -> Self {
        Self { values, classes, positions: 1, mask: None, places: None }
    }

    /// Returns the outputs for one sample, `[positions, classes]`.
    pub(crate) fn sample(&self, sample: usize) -> &[f32] {
        let size = self.positions * self.classes;
        &self.values[sample * size..(sample + 1) * size]
    }

    /// Returns the position in the sample of one of its answers.
    pub(crate) fn place(&self, sample: usize, position: usize) -> usize {
        self.places.as_ref().map_or(position, |places| places[sample * self.positions + position])
    }

    /// Returns whether one of the answers for a sample counts.
    pub(crate) fn counts(&self, sample: usize, position: usize) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask[sample * self.positions + position])
    }
}

/// A network as a sequence of stem, stages of blocks, and head, which pass one estimate on.
///
/// An implementation provides an [`Outline`] and the computation of each part. Routes, lesions, shuffles and read-outs
/// then follow from the provided methods. The type of the estimate is the implementor's own.
///
/// # Examples
///
/// A network of one stage with three residual blocks `x + x/2`:
///
/// ```
/// use unrolled::Result;
/// use unrolled::nn::{
///     Answer, BlockActivations, BlockId, BlockOutline, Logits, Network, Outline, RecurrentState, Route, Samples, Shortcut,
///     StageOutline, Wiring,
/// };
///
/// struct Toy(Outline);
///
/// impl Network for Toy {
///     type Estimate = Vec<f32>;
///
///     fn outline(&self) -> &Outline {
///         &self.0
///     }
///     fn stem(&self, samples: &Samples) -> Result<Vec<f32>> {
///         Ok(samples.values.clone())
///     }
///     fn enter_stage(&self, _stage: usize, estimate: Vec<f32>) -> Result<Vec<f32>> {
///         Ok(estimate)
///     }
///     fn block_activations(&self, _id: BlockId, x: Vec<f32>) -> Result<BlockActivations<Vec<f32>>> {
///         let h: Vec<f32> = x.iter().map(|x| 0.5 * x).collect();
///         let estimate = h.iter().zip(&x).map(|(h, x)| h + x).collect();
///         Ok(BlockActivations { h, transform: None, carry: None, estimate })
///     }
///     fn shortcut(&self, _id: BlockId, estimate: Vec<f32>) -> Result<Vec<f32>> {
///         Ok(estimate)
///     }
///     fn head(&self, values: Vec<f32>, _state: &mut RecurrentState) -> Result<Logits> {
///         Ok(Logits::new(values, 2))
///     }
///     fn values(&self, estimate: &Vec<f32>) -> (Vec<f32>, usize) {
///         (estimate.clone(), 2)
///     }
///     fn rebuild(&self, _like: &Vec<f32>, values: Vec<f32>) -> Vec<f32> {
///         values
///     }
/// }
///
/// let block = |block| BlockOutline {
///     id: BlockId { stage: 0, block },
///     source_name: None,
///     wiring: Wiring::Residual,
///     body: "half".into(),
///     shortcut: Shortcut::Identity,
///     parameters: 0,
///     flops: 0,
///     receptive_field: None,
///     why_not_removable: None,
/// };
/// let stage = StageOutline { name: "stage1".into(), shape: vec![2, 1, 1], blocks: (0..3).map(block).collect() };
/// let network = Toy(Outline {
///     name: "toy".into(),
///     input: vec![2, 1, 1],
///     classes: 2,
///     answer: Answer::default(),
///     is_language_model: false,
///     parameters: 0,
///     flops: 0,
///     stem_parameters: 0,
///     head_parameters: 0,
///     stages: vec![stage],
/// });
///
/// let samples = Samples { values: vec![1.0, 2.0], shape: [1, 2, 1, 1] };
/// let lesion = Route::identity(network.outline()).without_block(BlockId { stage: 0, block: 1 });
/// let logits = network.forward_along(&lesion, &samples, &mut RecurrentState::default())?;
/// assert_eq!(logits.values, [2.25, 4.5]);
/// # Ok::<(), unrolled::Error>(())
/// ```
pub trait Network {
    /// The value that passes from block to block. Cloning it should be cheap.
    type Estimate: Clone;

    /// Returns the stages and blocks of the network.
    fn outline(&self) -> &Outline;

    /// Computes the first estimate.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if the samples do not have the shape that the network takes.
    fn stem(&self, samples: &Samples) -> Result<Self::Estimate>;

    /// Computes the layers between the previous stage and the first block of `stage`, such as pooling.
    ///
    /// # Errors
    /// An error if the computation fails; so for all methods below.
    fn enter_stage(&self, stage: usize, estimate: Self::Estimate) -> Result<Self::Estimate>;

    /// Runs a block and returns its output together with its new value and gates.
    ///
    /// # Errors
    /// An error if the computation fails.
    fn block_activations(&self, id: BlockId, estimate: Self::Estimate) -> Result<BlockActivations<Self::Estimate>>;

    /// Runs a block and returns the next estimate.
    ///
    /// # Errors
    /// An error if the computation fails.
    fn block(&self, id: BlockId, estimate: Self::Estimate) -> Result<Self::Estimate> {
        Ok(self.block_activations(id, estimate)?.estimate)
    }

    /// Runs a block again on its own output.
    ///
    /// # Errors
    /// An error if the computation fails.
    fn repeat_block(&self, id: BlockId, estimate: Self::Estimate) -> Result<Self::Estimate> {
        self.block(id, estimate)
    }

    /// Computes the shortcut of a block alone, as a lesion of the block leaves it.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] if the block has no shortcut, or an error if the computation fails.
    fn shortcut(&self, id: BlockId, estimate: Self::Estimate) -> Result<Self::Estimate>;

    /// Runs one step of a route.
    ///
    /// # Errors
    /// Those of the method that the step stands for.
    fn step(&self, step: Step, estimate: Self::Estimate) -> Result<Self::Estimate> {
        match step {
            Step::Enter(stage) => self.enter_stage(stage, estimate),
            Step::Run(id) => self.block(id, estimate),
            Step::Shortcut(id) => self.shortcut(id, estimate),
            Step::Repeat(id) => self.repeat_block(id, estimate),
        }
    }

    /// Computes the outputs from the last estimate.
    ///
    /// A recurrent network reads from `state` what it stored there after the previous batch along the same route, and
    /// stores what the next batch needs. Other networks ignore it.
    ///
    /// # Errors
    /// An error if the computation fails.
    fn head(&self, estimate: Self::Estimate, state: &mut RecurrentState) -> Result<Logits>;

    /// Computes the outputs along a route, with `state` as in [`Network::head`].
    ///
    /// # Errors
    /// Those of [`Network::stem`], [`Network::step`] and [`Network::head`].
    fn forward_along(&self, route: &Route, samples: &Samples, state: &mut RecurrentState) -> Result<Logits> {
        let first = self.stem(samples)?;
        self.head(route.steps().into_iter().try_fold(first, |estimate, step| self.step(step, estimate))?, state)
    }

    /// Returns the gradient of every sample's cross-entropy with respect to the estimate that enters the head; `None` if
    /// the network cannot compute gradients.
    ///
    /// At the logits each sample's gradient is scaled to unit length. It is a direction, and so does not vanish for a
    /// sample that is classified with near certainty.
    ///
    /// # Errors
    /// An error if the computation fails.
    fn head_gradient(&self, _estimate: &Self::Estimate, _labels: &[u32]) -> Result<Option<Self::Estimate>> {
        Ok(None)
    }

    /// Returns the gradient with respect to the input of a step, given the input `entering` and the `gradient` with
    /// respect to the output; `None` if the network cannot compute gradients.
    ///
    /// # Errors
    /// An error if the computation fails.
    fn backward_step(
        &self,
        _step: Step,
        _entering: &Self::Estimate,
        _gradient: &Self::Estimate,
    ) -> Result<Option<Self::Estimate>> {
        Ok(None)
    }

    /// Returns the device that computes; `None` where it is not known.
    fn device(&self) -> Option<DeviceInfo> {
        None
    }

    /// Returns a checksum of the network. Two networks with the same checksum are taken for the same, for example when an
    /// interrupted measurement continues.
    ///
    /// An implementation should include every parameter. The provided method includes the outline only.
    fn fingerprint(&self) -> u32 {
        crc32fast::hash(format!("{:?}", self.outline()).as_bytes())
    }

    /// Whether [`Network::head_gradient`] and [`Network::backward_step`] are implemented.
    fn has_gradients(&self) -> bool {
        false
    }

    /// Returns the values of an estimate, `[batch, units]` row-major, and its number of channels. The units of a channel
    /// are adjacent.
    fn values(&self, estimate: &Self::Estimate) -> (Vec<f32>, usize);

    /// Returns which positions of an estimate count, where some are masked, such as the padding of short sentences. A channel
    /// of the estimate has as many units. `None` where all count.
    fn position_mask(&self, _estimate: &Self::Estimate) -> Option<PositionMask> {
        None
    }

    /// Builds an estimate of the shape of `like` from values in the order of [`Network::values`].
    ///
    /// # Panics
    /// May panic where there are more or fewer values than `like` has.
    fn rebuild(&self, like: &Self::Estimate, values: Vec<f32>) -> Self::Estimate;
}
