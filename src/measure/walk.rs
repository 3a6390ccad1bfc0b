//! One pass over the samples with everything that only looks.

use super::{EvalSet, Prediction, samples};
use crate::Result;
use crate::nn::{BlockActivations, BlockId, Network, RecurrentState};
use crate::report::Measurements;

/// Something that looks at the estimates of a network while samples run through it.
pub trait Probe<N: Network> {
    /// Called before a stage's first block, with what enters it.
    fn enter(&mut self, _network: &N, _stage: usize, _estimate: &N::Estimate) {}

    /// Called after every block.
    fn block(&mut self, _network: &N, _at: BlockId, _inside: &BlockActivations<N::Estimate>, _seen: &StageActivations) {
    }

    /// Called after a stage's last block.
    fn leave(&mut self, _stage: usize, _seen: &StageActivations) {}

    /// Called after the head, when every stage has been left.
    ///
    /// # Errors
    /// Where the computation fails.
    fn end(&mut self, _network: &N, _labels: &[u32]) -> Result<()> {
        Ok(())
    }

    /// Puts what was seen where it belongs. `progress` hears of the work that this takes, where it is much.
    ///
    /// # Errors
    /// Where a sample that a result holds cannot be read again.
    fn finish(
        self: Box<Self>,
        whole: &Baseline,
        measured: &mut Measurements,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()>;
}

/// The estimates of a stage as far as a batch has come: fetched once for all that look.
#[derive(Debug, Default)]
pub struct StageActivations {
    /// The label of every sample.
    pub labels: Vec<u32>,
    /// `[batch, units]`, row-major, of what entered the stage and of every block so far; of what entered in another
    /// shape nothing.
    pub estimates: Vec<Vec<f32>>,
    /// Channels that the units divide into.
    pub channels: usize,
}

impl StageActivations {
    /// What entered the latest block; empty where it had another shape.
    pub fn before(&self) -> &[f32] {
        self.estimates.iter().rev().nth(1).map_or(&[], Vec::as_slice)
    }

    /// The latest block's estimate.
    pub fn after(&self) -> &[f32] {
        self.estimates.last().map_or(&[], Vec::as_slice)
    }

    /// Units of the stage's estimates.
    pub fn units(&self) -> usize {
        self.after().len() / self.labels.len().max(1)
    }

    /// One sample's units of an estimate; empty where it had another shape.
    pub fn row(&self, estimate: usize, sample: usize) -> &[f32] {
        let units = self.units();
        self.estimates[estimate].get(sample * units..(sample + 1) * units).unwrap_or(&[])
    }
}

/// How a whole network answered all samples: what every other route is compared with.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// One answer a sample, in the data set's order.
    pub answers: Vec<Prediction>,
    /// `[samples, classes]` outputs before the softmax, row-major.
    pub logits: Vec<f32>,
}

impl Baseline {
    /// The outputs for one sample.
    pub(super) fn row(&self, sample: usize, classes: usize) -> &[f32] {
        &self.logits[sample * classes..(sample + 1) * classes]
    }
}

/// Runs all samples, in the data set's order, through the network once and shows every block to every probe.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn walk<N: Network>(
    network: &N,
    source: &EvalSet,
    probes: &mut [Box<dyn Probe<N> + '_>],
    progress: impl FnMut(u64),
) -> Result<Baseline> {
    let mut logits = Vec::new();
    let answers = through(network, source, probes, progress, |batch| logits.extend(batch))?;
    Ok(Baseline { answers, logits })
}

/// The same, with every batch's outputs shown to `keep`: those of many samples and classes are more than fits in memory.
pub(super) fn through<N: Network>(
    network: &N,
    source: &EvalSet,
    probes: &mut [Box<dyn Probe<N> + '_>],
    mut progress: impl FnMut(u64),
    mut keep: impl FnMut(Vec<f32>),
) -> Result<Vec<Prediction>> {
    source.check(network.outline())?;
    let mut answers = Vec::new();
    let mut memory = RecurrentState::new(source.dataset.streams());
    for batch in source.batches()? {
        let (samples, labels) = samples(batch?);
        let mut seen = StageActivations { labels, ..StageActivations::default() };
        let mut estimate = network.stem(&samples)?;
        for (s, stage) in network.outline().stages.iter().enumerate() {
            estimate = network.enter_stage(s, estimate)?;
            probes.iter_mut().for_each(|probe| probe.enter(network, s, &estimate));
            seen.estimates.clear();
            if !probes.is_empty() {
                seen.estimates.push(if stage.keeps_shape() { network.values(&estimate).0 } else { Vec::new() });
            }
            for block in 0..stage.blocks.len() {
                let at = BlockId { stage: s, block };
                if probes.is_empty() {
                    estimate = network.block(at, estimate)?;
                } else {
                    let inside = network.block_activations(at, estimate)?;
                    let (values, channels) = network.values(&inside.estimate);
                    seen.estimates.push(values);
                    seen.channels = channels;
                    probes.iter_mut().for_each(|probe| probe.block(network, at, &inside, &seen));
                    estimate = inside.estimate;
                }
            }
            probes.iter_mut().for_each(|probe| probe.leave(s, &seen));
        }
        let logits = network.head(estimate, &mut memory)?;
        let labels = &seen.labels;
        probes.iter_mut().try_for_each(|probe| probe.end(network, labels))?;
        answers.extend(source.answers(&logits, labels));
        keep(logits.values);
        progress(labels.len() as u64);
    }
    Ok(answers)
}
