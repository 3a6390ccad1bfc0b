//! Fitted read-outs: a linear classifier of the channels' averages after every block, fitted to the labels, and the
//! same map fitted to the network's own output.
//!
//! The second is the affine translator of Belrose et al. 2023 for a head that is linear in the channels' averages:
//! translator and head together are an affine map from averages to outputs, and any such map of that rank is one.

use super::early_exit::curve;
use super::readout::readouts;
use super::score::LogSoftmax;
use super::softmax::{Softmax, Whitened};
use super::walk::{Baseline, Probe, StageActivations};
use super::work::fits;
use super::{Prediction, moments::average};
use crate::Result;
use crate::nn::{BlockActivations, BlockId, Network};
use crate::nn::{Outline, StageOutline};
use crate::random::{Purpose, shuffle, stream};
use crate::report::Measurements;

/// Of more samples than this the first ones are fitted to and judged on.
const MOST_SAMPLES: usize = 5_000;
/// Of fewer than this nothing is fitted.
const LEAST_SAMPLES: usize = 20;

/// Keeps the channels' averages after every block.
pub struct FittedProbe {
    blocks: Vec<(BlockId, Features)>,
    first_of_stage: Vec<usize>,
    labels: Vec<u32>,
    /// The block at which the labels of a batch are kept.
    first: Option<BlockId>,
    seed: u64,
}

/// `[samples, channels]`, row-major.
#[derive(Default)]
struct Features {
    values: Vec<f32>,
    channels: usize,
}

impl FittedProbe {
    /// For a network; the seed decides which samples are fitted to.
    pub fn new(outline: &Outline, seed: u64) -> Self {
        let (mut blocks, mut first_of_stage) = (Vec::new(), Vec::new());
        for (stage, s) in outline.stages.iter().enumerate() {
            first_of_stage.push(blocks.len());
            blocks.extend((0..s.blocks.len()).map(|block| (BlockId { stage, block }, Features::default())));
        }
        Self { blocks, first_of_stage, labels: Vec::new(), first: None, seed }
    }

    /// Whether a map from an estimate tells what the network says: of a word that depends on those before it too.
    pub(super) fn suits(outline: &Outline) -> bool {
        !outline.is_language_model
    }

    /// The work of all fits.
    pub(super) fn work(outline: &Outline, samples: usize) -> u64 {
        let n = if samples < LEAST_SAMPLES || !Self::suits(outline) { 0 } else { samples.min(MOST_SAMPLES) };
        let stage = |s: &StageOutline| s.blocks.len() as u64 * fits(n, s.shape[0], outline.classes);
        if n == 0 { 0 } else { outline.stages.iter().map(stage).sum() }
    }
}

impl<N: Network> Probe<N> for FittedProbe {
    fn block(&mut self, _: &N, at: BlockId, _: &BlockActivations<N::Estimate>, seen: &StageActivations) {
        let first = *self.first.get_or_insert(at) == at;
        let (_, features) = &mut self.blocks[self.first_of_stage[at.stage] + at.block];
        let kept = features.values.len() / features.channels.max(1);
        if kept >= MOST_SAMPLES {
            return;
        }
        if first {
            self.labels.extend(&seen.labels);
        }
        let positions = seen.units() / seen.channels;
        features.channels = seen.channels;
        let averages = seen.after().chunks_exact(positions).map(|c| average(c.iter().map(|&v| f64::from(v))) as f32);
        features.values.extend(averages);
    }

    fn finish(
        self: Box<Self>,
        whole: &Baseline,
        measured: &mut Measurements,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let classes = measured.outline.classes;
        let n = self.labels.len().min(MOST_SAMPLES);
        let all = measured.readouts.get_or_insert_default();
        if n < LEAST_SAMPLES {
            return Ok(());
        }
        let labels = &self.labels[..n];
        let truth = one_hot(labels, classes);
        let output = distributions(&whole.logits[..n * classes], classes);
        let known = Baseline { answers: whole.answers[..n].to_vec(), logits: whole.logits[..n * classes].to_vec() };
        let mut order: Vec<usize> = (0..n).collect();
        shuffle(&mut stream(self.seed, Purpose::ProbeSplit, &[]), &mut order);
        let (one, other) = order.split_at(n / 2);
        let (mut linear, mut tuned) = (Vec::new(), Vec::new());
        for (_, features) in &self.blocks {
            let [to_labels, to_output] =
                cross_fitted(features, [one, other], [&truth, &output], labels, classes, &known);
            linear.push(to_labels);
            tuned.push(to_output);
            progress(fits(n, features.channels, classes));
        }
        let exits = [("linear", &linear), ("tuned", &tuned)];
        let curve =
            |(sort, answers): (&str, &Vec<Vec<Prediction>>)| curve(sort, answers, &known.answers, &measured.outline);
        measured.early_exit = Some(exits.into_iter().flat_map(curve).collect());
        let (linear, tuned) = (readouts(&known, &linear), readouts(&known, &tuned));
        for ((at, _), (linear, tuned)) in self.blocks.iter().zip(linear.into_iter().zip(tuned)) {
            let entry = all.entry(at.to_string()).or_default();
            (entry.linear, entry.tuned) = (Some(linear), Some(tuned));
        }
        Ok(())
    }
}

/// The answers of read-outs that were fitted to one half of the samples and answer the other, both ways: one for each of
/// two targets.
fn cross_fitted(
    features: &Features,
    halves: [&[usize]; 2],
    targets: [&[f32]; 2],
    labels: &[u32],
    classes: usize,
    whole: &Baseline,
) -> [Vec<Prediction>; 2] {
    let mut answers = [whole.answers.clone(), whole.answers.clone()];
    let of = |values: &[f32], width: usize, half: &[usize]| -> Vec<f32> {
        half.iter().flat_map(|&sample| &values[sample * width..(sample + 1) * width]).copied().collect()
    };
    let [one, other] = halves;
    for (fitted, judged) in [(one, other), (other, one)] {
        // Most of the work where there are many channels, and the same whatever is fitted to.
        let whitened = Whitened::new(&of(&features.values, features.channels, fitted), features.channels);
        let others = whitened.others(&of(&features.values, features.channels, judged));
        for (targets, answers) in targets.iter().zip(&mut answers) {
            let logits = Softmax::fit(&whitened, &of(targets, classes, fitted), classes).logits(&others);
            for (row, &sample) in logits.chunks_exact(classes).zip(judged) {
                answers[sample] = Prediction::new(row, labels[sample], whole.row(sample, classes));
            }
        }
    }
    answers
}

fn one_hot(labels: &[u32], classes: usize) -> Vec<f32> {
    let mut targets = vec![0.0; labels.len() * classes];
    targets.chunks_exact_mut(classes).zip(labels).for_each(|(row, &label)| row[label as usize] = 1.0);
    targets
}

/// The softmax of every row.
fn distributions(logits: &[f32], classes: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(classes) {
        let log = LogSoftmax::new(row);
        all.extend(row.iter().map(|&z| log.of(z).exp() as f32));
    }
    all
}
