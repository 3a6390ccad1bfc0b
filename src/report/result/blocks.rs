//! What is measured of a block.

use serde::{Deserialize, Serialize};

use super::{Estimate, Score};
use crate::float_json as exact;

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
