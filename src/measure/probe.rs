//! Probes look at the activations of a network while samples pass through it.

use std::any::Any;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::activations::{BatchOutputs, BlockView, StageActivations, masked_values, values_of};
use super::sample_order::SampleList;
use super::{EvalSet, Prediction, samples};
use crate::Result;
use crate::nn::{BlockId, Network, RecurrentState, Step};

/// Something that looks at the activations of a network while samples pass through it.
///
/// Its state can be written, read and merged, so that a pass can be interrupted and its samples be shared out. What it
/// finds must not depend on how the samples are cut into batches.
pub trait Probe: Serialize + DeserializeOwned + Send + 'static {
    /// Whether [`Probe::gradient`] is to be called. It takes three times as long as a pass alone.
    fn needs_gradients(&self) -> bool {
        false
    }

    /// Called after every block.
    fn block(&mut self, _block: &BlockView) {}

    /// Called after the last block of a stage, counted from 0.
    fn stage(&mut self, _stage: usize, _activations: &StageActivations) {}

    /// Called after the head, for every block that keeps the shape, the last one first: with the block's residual `F` and
    /// the gradient of the loss with respect to what enters the block, both `[batch, units]`, row-major.
    fn gradient(&mut self, _block: BlockId, _residual: &[f32], _gradient: &[f32], _units: usize) {}

    /// Called after the head.
    fn batch(&mut self, _outputs: &BatchOutputs) {}

    /// Adds what another probe of the same kind has seen of other samples.
    fn merge(&mut self, other: Self);
}

/// The probe of a measurement that needs none.
impl Probe for () {
    fn merge(&mut self, (): Self) {}
}

/// A [`Probe`] of any type.
pub trait AnyProbe: Send {
    /// See [`Probe::needs_gradients`].
    fn needs_gradients(&self) -> bool;
    /// See [`Probe::block`].
    fn block(&mut self, block: &BlockView);
    /// See [`Probe::stage`].
    fn stage(&mut self, stage: usize, activations: &StageActivations);
    /// See [`Probe::gradient`].
    fn gradient(&mut self, block: BlockId, residual: &[f32], gradient: &[f32], units: usize);
    /// See [`Probe::batch`].
    fn batch(&mut self, outputs: &BatchOutputs);
    /// Returns the probe's state as bytes.
    ///
    /// # Errors
    /// A sentence where it cannot be written.
    fn to_bytes(&self) -> std::result::Result<Vec<u8>, String>;
    /// Replaces the state by one that [`AnyProbe::to_bytes`] returned.
    ///
    /// # Errors
    /// A sentence where the bytes are no such state.
    fn load(&mut self, bytes: &[u8]) -> std::result::Result<(), String>;
    /// Adds a state that [`AnyProbe::to_bytes`] returned.
    ///
    /// # Errors
    /// A sentence where the bytes are no such state.
    fn merge(&mut self, bytes: &[u8]) -> std::result::Result<(), String>;
    /// Returns the probe as its own type.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<P: Probe> AnyProbe for P {
    fn needs_gradients(&self) -> bool {
        Probe::needs_gradients(self)
    }

    fn block(&mut self, block: &BlockView) {
        Probe::block(self, block);
    }

    fn stage(&mut self, stage: usize, activations: &StageActivations) {
        Probe::stage(self, stage, activations);
    }

    fn gradient(&mut self, block: BlockId, residual: &[f32], gradient: &[f32], units: usize) {
        Probe::gradient(self, block, residual, gradient, units);
    }

    fn batch(&mut self, outputs: &BatchOutputs) {
        Probe::batch(self, outputs);
    }

    fn to_bytes(&self) -> std::result::Result<Vec<u8>, String> {
        postcard::to_stdvec(self).map_err(|e| e.to_string())
    }

    fn load(&mut self, bytes: &[u8]) -> std::result::Result<(), String> {
        *self = postcard::from_bytes(bytes).map_err(|e| e.to_string())?;
        Ok(())
    }

    fn merge(&mut self, bytes: &[u8]) -> std::result::Result<(), String> {
        Probe::merge(self, postcard::from_bytes(bytes).map_err(|e| e.to_string())?);
        Ok(())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What a pass hands out after every batch.
pub(super) struct PassedBatch<'a> {
    /// The whole network's prediction for each sample.
    pub(super) predictions: Vec<Prediction>,
    /// What the network carries on to the next batch.
    pub(super) state: &'a RecurrentState,
    /// The probes, with what they have seen so far.
    pub(super) probes: &'a [Box<dyn AnyProbe>],
}

/// Runs the samples of a list through the whole network and shows every block to every probe.
///
/// `state` is what the network carries from the samples before the list. `after_batch` may end the pass by an error.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub(super) fn run_probes<N: Network>(
    network: &N,
    data: &EvalSet,
    list: &SampleList,
    mut state: RecurrentState,
    probes: &mut [Box<dyn AnyProbe>],
    mut after_batch: impl FnMut(PassedBatch) -> Result<()>,
) -> Result<()> {
    data.check(network.outline())?;
    for batch in data.batches_with(list.samples.clone(), list.batch(data.batch))? {
        let batch = batch?;
        let indices = batch.indices.clone();
        let (samples, labels) = samples(batch);
        let mut pass =
            ProbedPass::new(network, probes, StageActivations { samples: indices, labels, ..Default::default() });
        let estimate = pass.run_stages(network.stem(&samples)?)?;
        let logits = network.head(estimate, &mut state)?;
        pass.pull_gradients_back()?;
        let StageActivations { samples, labels, .. } = pass.activations;
        let outputs = BatchOutputs { samples: &samples, labels: &labels, logits: &logits };
        probes.iter_mut().for_each(|probe| probe.batch(&outputs));
        let predictions =
            data.predictions(network.outline().answer.kind, &samples, &logits, std::slice::from_ref(&logits)).concat();
        after_batch(PassedBatch { predictions, state: &state, probes })?;
    }
    Ok(())
}

/// A step, what entered it, and the residual of a block that keeps the shape.
type TakenStep<E> = (Step, E, Option<Vec<f32>>);

/// One batch on its way through the network.
struct ProbedPass<'a, N: Network> {
    network: &'a N,
    probes: &'a mut [Box<dyn AnyProbe>],
    activations: StageActivations,
    /// For gradients.
    steps: Option<Vec<TakenStep<N::Estimate>>>,
    last: Option<N::Estimate>,
}

impl<'a, N: Network> ProbedPass<'a, N> {
    fn new(network: &'a N, probes: &'a mut [Box<dyn AnyProbe>], activations: StageActivations) -> Self {
        let steps = probes.iter().any(|probe| probe.needs_gradients()).then(Vec::new);
        Self { network, probes, activations, steps, last: None }
    }

    fn run_stages(&mut self, mut estimate: N::Estimate) -> Result<N::Estimate> {
        let network = self.network;
        for (s, stage) in network.outline().stages.iter().enumerate() {
            // The stem's own gradient is not asked for, so nothing is kept before the first stage.
            if let Some(steps) = self.steps.as_mut().filter(|_| s > 0) {
                steps.push((Step::Enter(s), estimate.clone(), None));
            }
            estimate = network.enter_stage(s, estimate)?;
            self.activations.estimates.clear();
            if !self.probes.is_empty() {
                let entering = if stage.keeps_shape() { masked_values(network, &estimate).0.0 } else { Vec::new() };
                self.activations.estimates.push(entering);
            }
            for block in 0..stage.blocks.len() {
                estimate = self.run_block(BlockId { stage: s, block }, estimate)?;
            }
            self.probes.iter_mut().for_each(|probe| probe.stage(s, &self.activations));
        }
        self.last = self.steps.is_some().then(|| estimate.clone());
        Ok(estimate)
    }

    fn run_block(&mut self, id: BlockId, estimate: N::Estimate) -> Result<N::Estimate> {
        let network = self.network;
        if self.probes.is_empty() {
            return network.block(id, estimate);
        }
        let before = self.steps.is_some().then(|| estimate.clone());
        let inside = network.block_activations(id, estimate)?;
        let ((values, channels), mask) = masked_values(network, &inside.estimate);
        self.activations.estimates.push(values);
        (self.activations.channels, self.activations.mask) = (channels, mask);
        let block = network.outline().block(id);
        let source = values_of(network, &inside);
        let view = BlockView::new(id, block.wiring, &self.activations, &source);
        self.probes.iter_mut().for_each(|probe| probe.block(&view));
        let residual = (before.is_some() && block.keeps_shape()).then(|| view.residual().to_vec());
        if let (Some(steps), Some(before)) = (&mut self.steps, before) {
            steps.push((Step::Run(id), before, residual));
        }
        Ok(inside.estimate.clone())
    }

    fn pull_gradients_back(&mut self) -> Result<()> {
        let (Some(steps), Some(last)) = (self.steps.take(), self.last.take()) else { return Ok(()) };
        let labels = &self.activations.labels;
        let Some(mut gradient) = self.network.head_gradient(&last, labels)? else { return Ok(()) };
        for (step, entering, residual) in steps.into_iter().rev() {
            let Some(before) = self.network.backward_step(step, &entering, &gradient)? else { return Ok(()) };
            gradient = before;
            let (Step::Run(id), Some(residual)) = (step, residual) else { continue };
            let mut values = self.network.values(&gradient).0;
            if let Some(mask) = self.network.position_mask(&entering) {
                mask.apply(&mut values);
            }
            let units = values.len() / labels.len();
            self.probes.iter_mut().for_each(|probe| probe.gradient(id, &residual, &values, units));
        }
        Ok(())
    }
}
