//! The results of every measurement as typed data. Every renderer (terminal, HTML, CSV, JSON) starts from these.
//!
//! Blocks are keyed by their names, `stage1.block2`, in the order of the network. Accuracies and gate values are
//! fractions of 1, losses are in nats, intervals are 95 % confidence intervals.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::exact;

/// Results keyed by block name, in the order in which the blocks run.
pub type PerBlock<T> = IndexMap<String, T>;

/// What a network is made of, from input to output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outline {
    /// The kind of network and its size, such as `resnet-20 residual, width 16`.
    pub name: String,
    /// Shape of one input, `[channels, height, width]`.
    pub input: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
    /// Trained parameters, all of them; running statistics of normalizations do not count.
    pub parameters: u64,
    /// Multiply-adds of one sample times two, normalizations and activations left out.
    pub flops: u64,
    /// Parameters of what stands before the first stage.
    pub stem_parameters: u64,
    /// Parameters of what stands after the last stage.
    pub head_parameters: u64,
    /// The stages in order.
    pub stages: Vec<StageOutline>,
}

/// A run of blocks of the same dimensionality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageOutline {
    /// `stage1`, `stage2`, …
    pub name: String,
    /// Shape of the estimate after each of its blocks, `[channels, height, width]`.
    pub shape: Vec<usize>,
    /// The blocks in order.
    pub blocks: Vec<BlockOutline>,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockOutline {
    /// `stage1.block2`.
    pub name: String,
    /// Wiring: `plain`, `residual`, `highway`, `full`, `t-only`, `c-only`.
    pub wiring: String,
    /// The layers of the body, such as `3x3 16 · 3x3 16`.
    pub body: String,
    /// What stands on the skip: `identity`, `zero-padding`, `projection` or `none`.
    pub shortcut: String,
    /// Trained parameters. Parameters shared with an earlier block count there.
    pub parameters: u64,
    /// Multiply-adds of one sample times two.
    pub flops: u64,
    /// Why the block cannot be left out; absent where it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
}

/// How well a network answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Share of samples whose highest output is their class.
    #[serde(with = "exact")]
    pub accuracy: f64,
    /// Mean cross-entropy, nats.
    #[serde(with = "exact")]
    pub loss: f64,
    /// Number of samples.
    pub samples: u64,
    /// Wilson score interval of the accuracy.
    #[serde(with = "exact")]
    pub accuracy_ci95: [f64; 2],
    /// Half width of the loss's interval, from the spread over samples.
    #[serde(with = "exact")]
    pub loss_ci95: f64,
}

/// A figure with its uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure over all samples.
    #[serde(with = "exact")]
    pub value: f64,
    /// Half width of its interval, from its spread over groups of samples.
    #[serde(with = "exact")]
    pub ci95: f64,
}

/// Estimation error of one block (Eq. 1, Figure 3): `a_k - A`, A the output of the stage's last block.
/// Each figure is taken per unit over the samples, then averaged over the units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimation {
    /// Mean of `a_k - A`.
    #[serde(with = "exact")]
    pub mean: f64,
    /// Standard deviation of `a_k - A`.
    #[serde(with = "exact")]
    pub std: f64,
    /// Root mean square of `a_k - A`, over samples and units.
    #[serde(with = "exact")]
    pub rms: f64,
    /// Mean of the step `a_k - a_(k-1)` (Eqs. 7, 9); absent where the block changes the shape.
    #[serde(default, with = "exact")]
    pub step_mean: Option<f64>,
    /// `mean` over the mean standard deviation of A.
    #[serde(with = "exact")]
    pub mean_relative: f64,
    /// `std` over the mean standard deviation of A.
    #[serde(with = "exact")]
    pub std_relative: f64,
    /// `rms` over the mean standard deviation of A.
    #[serde(with = "exact")]
    pub rms_relative: f64,
    /// `step_mean` over the mean standard deviation of A.
    #[serde(default, with = "exact")]
    pub step_mean_relative: Option<f64>,
    /// Half widths of the intervals of `mean`, `std`, `rms`, `step_mean`.
    #[serde(with = "exact")]
    pub mean_ci95: f64,
    /// See `mean_ci95`.
    #[serde(with = "exact")]
    pub std_ci95: f64,
    /// See `mean_ci95`.
    #[serde(with = "exact")]
    pub rms_ci95: f64,
    /// See `mean_ci95`.
    #[serde(default, with = "exact")]
    pub step_mean_ci95: Option<f64>,
}

/// A network run with one block left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesion {
    /// The score without the block.
    #[serde(flatten)]
    pub score: Score,
    /// Baseline accuracy minus this accuracy, with its interval paired sample by sample.
    pub accuracy_cost: Estimate,
    /// This loss minus baseline loss, with its interval paired sample by sample.
    pub loss_cost: Estimate,
}

/// A network run with its blocks in another order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shuffle {
    /// Number of random swaps within stages.
    pub swaps: usize,
    /// Which of the repetitions for this number of swaps.
    pub seed: u64,
    /// Kendall's tau between this order and the trained one, 1 where nothing moved.
    #[serde(with = "exact")]
    pub kendall_tau: f64,
    /// The order, as a route.
    pub route: String,
    /// The score in this order.
    #[serde(flatten)]
    pub score: Score,
}

/// Activity of the gates of one block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockGates {
    /// The transform gate T, where the block has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Gate>,
    /// The carry gate C, where it is a gate of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry: Option<Gate>,
}

/// Activity of one gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Mean over samples and units, with its interval.
    pub mean: Estimate,
    /// Standard deviation over the samples for each unit, averaged over the units.
    #[serde(with = "exact")]
    pub std_over_samples: f64,
    /// Standard deviation over the units of each unit's mean.
    #[serde(with = "exact")]
    pub std_over_units: f64,
    /// Share of values above one half.
    #[serde(with = "exact")]
    pub open_share: f64,
    /// Share of values in each of equally wide bins of `[0, 1]`.
    #[serde(with = "exact")]
    pub histogram: Vec<f64>,
    /// Hoyer sparsity of the gate's units, for each sample, averaged over the samples: 0 all alike, 1 a single unit open.
    #[serde(with = "exact")]
    pub sparsity_per_sample: f64,
    /// Hoyer sparsity of the average over the samples.
    #[serde(with = "exact")]
    pub sparsity_of_average: f64,
    /// Hoyer sparsity of the average over the samples of each class.
    #[serde(with = "exact")]
    pub sparsity_per_class: Vec<f64>,
    /// Mean for each channel, over samples and positions.
    #[serde(with = "exact")]
    pub channels: Vec<f32>,
    /// `[class][channel]`: the same for the samples of each class.
    #[serde(with = "exact")]
    pub class_channels: Vec<Vec<f32>>,
}

/// Everything that was measured of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// The run directory or model file that was opened.
    pub target: String,
    /// The data, as it was named on the command line.
    pub data: String,
    /// Seed of all random choices.
    pub seed: u64,
    /// What the network is made of.
    pub outline: Outline,
    /// The network as it is.
    pub baseline: Score,
    /// Estimation error of every block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimation: Option<PerBlock<Estimation>>,
    /// Every block left out in turn, if it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesion: Option<PerBlock<Lesion>>,
    /// Blocks swapped within their stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffle: Option<Vec<Shuffle>>,
    /// Gate activity; only gated blocks are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<PerBlock<BlockGates>>,
    /// Losses and accuracies of the training that made this network, one an epoch, where known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub training: Vec<Epoch>,
}

/// One epoch of training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: u64,
    /// Learning rate at the epoch's end.
    #[serde(with = "exact")]
    pub rate: f64,
    /// Mean loss over the epoch's batches, nats.
    #[serde(with = "exact")]
    pub train_loss: f64,
    /// Share of training samples answered correctly, while training.
    #[serde(with = "exact")]
    pub train_accuracy: f64,
    /// Mean loss over the test split, nats.
    #[serde(with = "exact")]
    pub test_loss: f64,
    /// Share of test samples answered correctly.
    #[serde(with = "exact")]
    pub test_accuracy: f64,
    /// Wall time of the epoch, seconds.
    #[serde(with = "exact")]
    pub seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn json_gives_back_what_was_written() {
        for network in [sample::residual(), sample::highway(1)] {
            let text = serde_json::to_string(&network).unwrap();
            assert!(serde_json::from_str::<Measurements>(&text).unwrap() == network);
        }
    }

    #[test]
    fn json_keeps_what_is_not_finite() {
        let mut network = sample::highway(1);
        network.baseline.loss = f64::INFINITY;
        network.estimation.as_mut().unwrap()[0].step_mean = Some(f64::NEG_INFINITY);
        network.lesion.as_mut().unwrap()[0].score.accuracy_ci95 = [f64::NEG_INFINITY, 1.0];
        let gate = network.gates.as_mut().unwrap()[0].transform.as_mut().unwrap();
        gate.class_channels[2][1] = f32::INFINITY;
        let text = serde_json::to_string(&network).unwrap();
        assert!(serde_json::from_str::<Measurements>(&text).unwrap() == network);

        network.baseline.loss = f64::NAN;
        let text = serde_json::to_string(&network).unwrap();
        assert!(serde_json::from_str::<Measurements>(&text).unwrap().baseline.loss.is_nan());
        let broken = text.replacen("\"NaN\"", "\"many\"", 1);
        assert!(
            serde_json::from_str::<Measurements>(&broken).unwrap_err().to_string().contains("'many' is not a number")
        );
    }
}
