//! One pass over the samples with everything that only looks.

use super::{Answer, Source, samples};
use crate::Result;
use crate::nn::{At, Inside, Network};
use crate::report::Measurements;

/// Something that looks at the estimates of a network while samples run through it.
pub trait Probe<N: Network> {
    /// Called before a stage's first block, with what enters it.
    fn enter(&mut self, _network: &N, _stage: usize, _estimate: &N::Estimate) {}

    /// Called after every block.
    fn block(&mut self, network: &N, at: At, inside: &Inside<N::Estimate>, labels: &[u32]);

    /// Called after a stage's last block.
    fn leave(&mut self, _stage: usize) {}

    /// Called after the head, when every stage has been left.
    ///
    /// # Errors
    /// Where the computation fails.
    fn end(&mut self, _network: &N, _labels: &[u32]) -> Result<()> {
        Ok(())
    }

    /// Puts what was seen where it belongs.
    fn finish(self: Box<Self>, whole: &Whole, measured: &mut Measurements);
}

/// How a whole network answered all samples: what every other route is compared with.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// One answer a sample, in the data set's order.
    pub answers: Vec<Answer>,
    /// `[samples, classes]` outputs before the softmax, row-major.
    pub logits: Vec<f32>,
}

impl Whole {
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
    source: &Source,
    probes: &mut [Box<dyn Probe<N> + '_>],
    mut progress: impl FnMut(u64),
) -> Result<Whole> {
    source.check(network.outline())?;
    let mut whole = Whole::default();
    for batch in source.batches()? {
        let (samples, labels) = samples(batch?);
        let mut estimate = network.stem(&samples)?;
        for (s, stage) in network.outline().stages.iter().enumerate() {
            estimate = network.enter(s, estimate)?;
            probes.iter_mut().for_each(|probe| probe.enter(network, s, &estimate));
            for block in 0..stage.blocks.len() {
                let at = At { stage: s, block };
                if probes.is_empty() {
                    estimate = network.block(at, estimate)?;
                } else {
                    let inside = network.inside(at, estimate)?;
                    probes.iter_mut().for_each(|probe| probe.block(network, at, &inside, &labels));
                    estimate = inside.estimate;
                }
            }
            probes.iter_mut().for_each(|probe| probe.leave(s));
        }
        let logits = network.head(estimate)?;
        probes.iter_mut().try_for_each(|probe| probe.end(network, &labels))?;
        let rows = logits.values.chunks_exact(logits.classes).zip(&labels);
        whole.answers.extend(rows.map(|(row, &label)| source.answer(row, label, row)));
        whole.logits.extend(logits.values);
        progress(labels.len() as u64);
    }
    Ok(whole)
}
