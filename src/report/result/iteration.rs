//! How a stage iterates: how much its blocks change, what can be read out on the way, what they can do without.

use serde::{Deserialize, Serialize};

use super::{Estimate, Lesion, Score};
use crate::float_json as exact;

/// How much one block changes the estimate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Influence {
    /// `1 - cos(a_(k-1), a_k)`, averaged over the samples (ShortGPT, 2024).
    pub block_influence: Estimate,
    /// `‖F‖ / ‖a_(k-1)‖`, averaged over the samples; `F = t·h + c·x - x` (Jastrzebski et al. 2018).
    pub l2_ratio: Estimate,
}

/// A run of successive blocks of one stage: how far its output points away from its input (Gromov et al. 2024).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// First block of the run.
    pub first: String,
    /// Its last block.
    pub last: String,
    /// Number of blocks.
    pub blocks: usize,
    /// `arccos(cos(a_in, a_out)) / π`, averaged over the samples: 0 the same direction, 0.5 orthogonal.
    pub angular_distance: Estimate,
}

/// What can be read out after one block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Readouts {
    /// The network's own head, where it fits: after the blocks of the last stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Readout>,
    /// A linear classifier of the channels' averages, fitted to the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear: Option<Readout>,
    /// The same, fitted to the network's own output by its Kullback-Leibler divergence (Belrose et al. 2023).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuned: Option<Readout>,
}

/// One read-out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Readout {
    /// How well it answers.
    #[serde(flatten)]
    pub score: Score,
    /// Share of samples for which it says what the whole network says.
    pub agreement: Estimate,
    /// Kullback-Leibler divergence from the whole network's output, nats.
    pub kl_nats: Estimate,
    /// Share of samples for which this read-out and all later ones of its sort say what the whole network says.
    #[serde(with = "exact")]
    pub settled: f64,
}

/// Samples leave at the first block after which a fitted read-out gives a class at least this probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyExit {
    /// The sort of read-out: `linear` or `tuned`.
    pub readout: String,
    /// The probability.
    #[serde(with = "exact")]
    pub threshold: f64,
    /// FLOPs that are computed, as a share of the whole network's, averaged over the samples.
    #[serde(with = "exact")]
    pub computation: f64,
    /// Share of samples that a read-out answers; the network itself answers the others.
    #[serde(with = "exact")]
    pub early: f64,
    /// How well all are answered.
    #[serde(flatten)]
    pub score: Score,
}

/// A block whose step `a_k - a_(k-1)` is replaced by what says nothing about the sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ablation {
    /// By its mean over the samples, unit by unit.
    pub mean: Lesion,
    /// By that of another sample.
    pub resampled: Lesion,
}

/// Several blocks left out at random (Veit et al. 2016).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Several {
    /// Number of blocks left out.
    pub removed: usize,
    /// Which of the repetitions for this number.
    pub seed: u64,
    /// What is left, as a route.
    pub route: String,
    /// The score without them.
    #[serde(flatten)]
    pub score: Score,
}

/// Two blocks of one stage left out together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The earlier block.
    pub first: String,
    /// The later one.
    pub second: String,
    /// The score without both, and what it costs.
    #[serde(flatten)]
    pub lesion: Lesion,
    /// What the pair costs beyond the costs of its members, as a fraction of accuracy; paired sample by sample.
    pub interaction_accuracy: Estimate,
    /// The same in loss, nats.
    pub interaction_loss: Estimate,
}

/// The last block of a stage applied again (divergence in Lippl et al. 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repeat {
    /// The block.
    pub block: String,
    /// How often it runs beyond the first time.
    pub times: usize,
    /// Whether every sample's estimate is scaled back after each further run, to the norm over all units that it had after
    /// the first.
    #[serde(default)]
    pub rescaled: bool,
    /// The score.
    #[serde(flatten)]
    pub score: Score,
    /// Share of samples for which the network still says what it said.
    pub agreement: Estimate,
}

/// How iterative a stage is (after Lippl et al. 2021): 0 as an iteration would be, 1 where the accuracy falls to chance at
/// once.
///
/// Each index is an area between accuracies, `mean over the points of (A - A_j) / (A - 1/classes)`, held between 0 and 1:
/// `A` is the accuracy of the network, `A_j` that at point `j`. Absent where the stage has no such points, NaN where the
/// network is no better than chance. The intervals are over the samples, for these points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Iteration {
    /// Stopping after each block but the last of the stage; later stages run as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence: Option<Estimate>,
    /// Two blocks of the stage exchanged: every pair, or of many 20 drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<Estimate>,
    /// The last block applied again, 1 to 20 times: the area under lines through the points of [`Repeat`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Estimate>,
    /// The same, the estimate scaled back after each further run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence_rescaled: Option<Estimate>,
}

/// What Section 3 of the paper predicts of one block, and what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Theory {
    /// Mean over the units of `|E[F]| / std(F)`: how far the residual is from the zero mean of Eq. 9.
    #[serde(with = "exact")]
    pub residual_mean_relative: f64,
    /// Share of units for which `E[F] = 0` is not rejected at 5 % (z test over the samples). The more samples, the smaller
    /// the means that are told from zero: compare it at equal numbers of samples only.
    #[serde(with = "exact")]
    pub zero_mean_share: f64,
    /// Of the units with any error, the share whose `Var[a_k - A]` is below `Var[a_(k-1) - A]` (Section 4.1); of the last block all are.
    #[serde(with = "exact")]
    pub variance_falls_share: f64,
    /// The optimal gate `T* = α1/(α1+α2)` (Eq. 12), averaged over the units for which it is defined; gated blocks only.
    #[serde(default, with = "exact", skip_serializing_if = "Option::is_none")]
    pub optimal_gate: Option<f64>,
    /// The learned gate, averaged over samples and the same units.
    #[serde(default, with = "exact", skip_serializing_if = "Option::is_none")]
    pub learned_gate: Option<f64>,
    /// Correlation over the units of optimal and learned gate.
    #[serde(default, with = "exact", skip_serializing_if = "Option::is_none")]
    pub gate_correlation: Option<f64>,
    /// Slope of the learned gate against the optimal one (least squares over the units).
    #[serde(default, with = "exact", skip_serializing_if = "Option::is_none")]
    pub gate_slope: Option<f64>,
}
