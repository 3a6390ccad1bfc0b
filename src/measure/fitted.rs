//! Fitted read-outs: a linear classifier of the channels' averages after every block, fitted to the labels, and the
//! same map fitted to the network's own output.
//!
//! The second is the affine translator of Belrose et al. 2023 for a head that is linear in the channels' averages:
//! translator and head together are an affine map from averages to outputs, and any such map of that rank is one.

use serde::{Deserialize, Serialize};

use super::Prediction;
use super::activations::{BatchOutputs, BlockView};
use super::cost::UNIT;
use super::measurement::Scope;
use super::prediction::LogSoftmax;
use super::softmax::{STEPS, Softmax, Whitened};
use crate::nn::{Outline, StageOutline};
use crate::random::{Purpose, shuffle, stream};

/// Of more samples than this the first ones are fitted to and judged on.
pub(super) const MOST_SAMPLES: usize = 5_000;
/// Of fewer than this nothing is fitted.
const LEAST_SAMPLES: usize = 20;
/// Work of one step of a fit, whatever its size: the calls of a dozen operations on small arrays.
const CALLS: u64 = 1_500_000;

/// The channels' averages after every block, for the first samples of the data set.
#[derive(Default, Serialize, Deserialize)]
pub struct ReadoutProbe {
    /// Of every sample that is kept: its place in the data set, and its label.
    samples: Vec<usize>,
    labels: Vec<u32>,
    /// `[samples, classes]`, row-major.
    logits: Vec<f32>,
    /// `[samples, channels]`, row-major, of every block, stage by stage.
    features: Vec<Vec<Vec<f32>>>,
}

/// Predictions of all fitted read-outs.
pub(super) struct Fits {
    /// The whole network's, for the samples that are judged.
    pub(super) whole: Vec<Prediction>,
    /// Those fitted to the labels, block by block.
    pub(super) linear: Vec<Vec<Prediction>>,
    /// Those fitted to the network's own output.
    pub(super) tuned: Vec<Vec<Prediction>>,
}

/// Whether read-outs can be fitted: to classes, of which a sample has one. What a language model says of a word depends on the
/// words before it too.
pub(super) fn is_fitted(outline: &Outline) -> bool {
    outline.answer.is_one_class() && !outline.is_language_model
}

/// The work of all fits.
pub(super) fn work(scope: &Scope) -> u64 {
    let outline = &scope.outline;
    if scope.samples < LEAST_SAMPLES || !is_fitted(outline) {
        return 0;
    }
    let [half, classes] = [scope.samples.min(MOST_SAMPLES) / 2, outline.classes].map(|n| n as u64);
    let stage = |s: &StageOutline| {
        let channels = s.shape[0] as u64;
        let step = 4 * half * channels * classes + UNIT * half * classes + CALLS;
        // Whitening is done in f64, on one thread, once for both kinds.
        let whitening = 2 * half * channels * channels + 5 * channels.pow(3);
        s.blocks.len() as u64 * 2 * (2 * STEPS as u64 * step + whitening)
    };
    outline.stages.iter().map(stage).sum()
}

impl ReadoutProbe {
    pub(super) fn new(outline: &Outline) -> Self {
        let features = outline.stages.iter().map(|stage| vec![Vec::new(); stage.blocks.len()]).collect();
        Self { features, ..Self::default() }
    }

    pub(super) fn add_block(&mut self, block: &BlockView) {
        let features = &mut self.features[block.id.stage][block.id.block];
        let kept = block.stage.samples.iter().enumerate().filter(|(_, sample)| **sample < MOST_SAMPLES);
        kept.for_each(|(row, _)| features.extend(block.stage.channel_means(row)));
    }

    pub(super) fn add_outputs(&mut self, outputs: &BatchOutputs) {
        let rows =
            outputs.logits.values.chunks_exact(outputs.logits.classes).zip(outputs.samples.iter().zip(outputs.labels));
        for (row, (&sample, &label)) in rows.filter(|(_, (sample, _))| **sample < MOST_SAMPLES) {
            self.samples.push(sample);
            self.labels.push(label);
            self.logits.extend(row);
        }
    }

    pub(super) fn add_all(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.labels.extend(other.labels);
        self.logits.extend(other.logits);
        let blocks = self.features.iter_mut().flatten().zip(other.features.into_iter().flatten());
        blocks.for_each(|(own, features)| own.extend(features));
    }

    /// Fits both read-outs after every block to one half of the samples and lets them predict the other, both ways; `None`
    /// where there are too few samples. The seed decides which samples form a half.
    pub(super) fn fit(&self, scope: &Scope, baseline: &[Prediction]) -> Option<Fits> {
        let n = self.samples.len();
        if n < LEAST_SAMPLES {
            return None;
        }
        let classes = scope.outline.classes;
        // Shards put their samples together in any order.
        let mut places: Vec<usize> = (0..n).collect();
        places.sort_by_key(|&place| self.samples[place]);
        let rows = |values: &[f32], width: usize| -> Vec<f32> {
            places.iter().flat_map(|&place| &values[place * width..(place + 1) * width]).copied().collect()
        };
        let labels: Vec<u32> = places.iter().map(|&place| self.labels[place]).collect();
        let logits = rows(&self.logits, classes);
        let known = Known {
            targets: [one_hot(&labels, classes), distributions(&logits, classes)],
            whole: baseline[..n].to_vec(),
            labels,
            logits,
            classes,
        };
        let mut order: Vec<usize> = (0..n).collect();
        shuffle(&mut stream(scope.seed, Purpose::ProbeSplit, &[]), &mut order);
        let halves = order.split_at(n / 2);
        let fits = self.features.iter().flatten().map(|features| {
            let channels = features.len() / n;
            cross_fit(&rows(features, channels), channels, halves, &known)
        });
        let (linear, tuned) = fits.map(|[linear, tuned]| (linear, tuned)).unzip();
        Some(Fits { linear, tuned, whole: known.whole })
    }
}

/// What is known of the samples that are fitted to.
struct Known {
    /// Labels and the network's own output as distributions, `[samples, classes]`.
    targets: [Vec<f32>; 2],
    whole: Vec<Prediction>,
    labels: Vec<u32>,
    logits: Vec<f32>,
    classes: usize,
}

/// Returns the predictions of read-outs that were fitted to one half of the samples and predict the other, both ways: one
/// for each of two targets.
fn cross_fit(
    features: &[f32],
    channels: usize,
    (one, other): (&[usize], &[usize]),
    known: &Known,
) -> [Vec<Prediction>; 2] {
    let classes = known.classes;
    let mut predictions = [known.whole.clone(), known.whole.clone()];
    let of = |values: &[f32], width: usize, half: &[usize]| -> Vec<f32> {
        half.iter().flat_map(|&sample| &values[sample * width..(sample + 1) * width]).copied().collect()
    };
    for (fitted, judged) in [(one, other), (other, one)] {
        // Most of the work where there are many channels, and the same whatever is fitted to.
        let whitened = Whitened::new(&of(features, channels, fitted), channels);
        let others = whitened.others(&of(features, channels, judged));
        for (targets, predictions) in known.targets.iter().zip(&mut predictions) {
            let logits = Softmax::fit(&whitened, &of(targets, classes, fitted), classes).logits(&others);
            for (row, &sample) in logits.chunks_exact(classes).zip(judged) {
                let whole = &known.logits[sample * classes..(sample + 1) * classes];
                let group = known.whole[sample].group;
                predictions[sample] = Prediction { group, ..Prediction::new(row, known.labels[sample], whole) };
            }
        }
    }
    predictions
}

fn one_hot(labels: &[u32], classes: usize) -> Vec<f32> {
    let mut targets = vec![0.0; labels.len() * classes];
    targets.chunks_exact_mut(classes).zip(labels).for_each(|(row, &label)| row[label as usize] = 1.0);
    targets
}

/// Returns the softmax of every row.
fn distributions(logits: &[f32], classes: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(logits.len());
    for row in logits.chunks_exact(classes) {
        let log = LogSoftmax::new(row);
        all.extend(row.iter().map(|&z| log.of(z).exp() as f32));
    }
    all
}
