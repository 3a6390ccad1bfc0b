//! Estimation error (Eq. 1, Figure 3): how far every block's estimate is from the output of its stage's last block.

mod present;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::activations::StageActivations;
use super::cost::{Cost, moments_bytes};
use super::interval::mean;
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::moments::Moments;
use super::probe::Probe;
use super::score::PerBlock;
use crate::float_json;
use crate::report::Section;

/// Estimation error of every block: mean and standard deviation of `a_k - A`.
pub struct Estimation;

/// Estimation error of one block (Eq. 1, Figure 3): `a_k - A`, A the output of the stage's last block.
/// Each figure is taken per unit over the samples, then averaged over the units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockEstimation {
    /// Mean of `a_k - A`.
    #[serde(with = "float_json")]
    pub mean: f64,
    /// Standard deviation of `a_k - A`.
    #[serde(with = "float_json")]
    pub std: f64,
    /// Root mean square of `a_k - A`, over samples and units.
    #[serde(with = "float_json")]
    pub rms: f64,
    /// Mean of the step `a_k - a_(k-1)` (Eqs. 7, 9); absent where the block changes the shape.
    #[serde(default, with = "float_json")]
    pub step_mean: Option<f64>,
    /// `mean` over the mean standard deviation of A.
    #[serde(rename = "mean_over_std_of_a", alias = "mean_relative", with = "float_json")]
    pub mean_relative: f64,
    /// `std` over the mean standard deviation of A.
    #[serde(rename = "std_over_std_of_a", alias = "std_relative", with = "float_json")]
    pub std_relative: f64,
    /// `rms` over the mean standard deviation of A.
    #[serde(rename = "rms_over_std_of_a", alias = "rms_relative", with = "float_json")]
    pub rms_relative: f64,
    /// `step_mean` over the mean standard deviation of A.
    #[serde(rename = "step_mean_over_std_of_a", alias = "step_mean_relative", default, with = "float_json")]
    pub step_mean_relative: Option<f64>,
    /// Half widths of the intervals of `mean`, `std`, `rms`, `step_mean`.
    #[serde(with = "float_json")]
    pub mean_ci95: f64,
    /// See `mean_ci95`.
    #[serde(with = "float_json")]
    pub std_ci95: f64,
    /// See `mean_ci95`.
    #[serde(with = "float_json")]
    pub rms_ci95: f64,
    /// See `mean_ci95`.
    #[serde(default, with = "float_json")]
    pub step_mean_ci95: Option<f64>,
    /// The unsigned bias of single units, `√max(0, mean(b² - s²/n))` over the units, of the mean b and the standard deviation
    /// s of a unit's error over n samples. The signed mean hides biases of opposite sign; the correction for noise makes it 0
    /// on average where no unit is biased.
    #[serde(default = "float_json::nan", with = "float_json")]
    pub unsigned_bias: f64,
    /// The distance to the upper end of its 95 % interval. It comes from groups of the samples, whose correction for noise is less
    /// exact, and so is rather too wide.
    #[serde(default = "float_json::nan", with = "float_json")]
    pub unsigned_bias_ci95: f64,
    /// The unsigned bias over the standard deviation of `A`.
    #[serde(default = "float_json::nan", with = "float_json")]
    pub unsigned_bias_over_std_of_a: f64,
}

/// Samples are divided into about so many groups; the spread of a figure over them gives its interval.
const GROUPS: usize = 20;

/// Running estimation errors of all stages.
///
/// For every unit i of block k: mean and standard deviation over the samples of `a_k,i - A_i`; both are then averaged over
/// the units. The interval of a figure comes from its values over groups of successive samples.
#[derive(Serialize, Deserialize)]
pub struct EstimationProbe {
    stages: Vec<StageErrors>,
    /// The number of samples in a group, and of all samples.
    group: usize,
    samples: usize,
}

/// Moments of the errors of what entered a stage, then of every block; then those of A itself.
type Rows = Vec<Moments>;

#[derive(Serialize, Deserialize)]
struct StageErrors {
    /// Whether what enters the stage has the shape of its estimates.
    keeps_shape: bool,
    /// Groups that are not complete, by their number.
    open: BTreeMap<usize, Rows>,
    /// All complete groups.
    total: Rows,
    /// `[row]`: mean, standard deviation, root mean square of every complete group, by its number.
    groups: BTreeMap<usize, Vec<[f64; 4]>>,
}

impl Measurement for Estimation {
    type Output = PerBlock<BlockEstimation>;
    type Probe = EstimationProbe;

    const HAS_NULL: bool = true;
    const NAME: &'static str = "estimation";
    const ABOUT: &'static str = "How far every block's estimate is from its stage's last";

    fn probe(&self, scope: &Scope) -> Option<EstimationProbe> {
        let stage = |s: &crate::nn::StageOutline| StageErrors {
            keeps_shape: s.keeps_shape(),
            open: BTreeMap::new(),
            total: vec![Moments::default(); s.blocks.len() + 2],
            groups: BTreeMap::new(),
        };
        let stages = scope.outline.stages.iter().map(stage).collect();
        Some(EstimationProbe { stages, group: scope.samples.div_ceil(GROUPS).max(2), samples: scope.samples })
    }

    fn cost(&self, scope: &Scope) -> Cost {
        // Those of all samples, and those of a group.
        Cost { kept: moments_bytes(&scope.outline, 2), ..Cost::of_probe(&scope.outline, |_, _| 150) }
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<EstimationProbe>) -> PerBlock<BlockEstimation> {
        let stages = observed.probe.iter().flat_map(|probe| &probe.stages);
        let blocks =
            scope.outline.stages.iter().zip(stages).flat_map(|(stage, errors)| {
                stage.blocks.iter().enumerate().map(|(k, block)| (block.id, errors.block(k)))
            });
        blocks.collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        present::section(networks)
    }
}

impl Probe for EstimationProbe {
    fn stage(&mut self, stage: usize, activations: &StageActivations) {
        for (n, target) in activations.after().chunks_exact(activations.units()).enumerate() {
            let sample = activations.samples[n];
            let errors = &mut self.stages[stage];
            let rows = errors.total.len();
            let open = errors.open.entry(sample / self.group).or_insert_with(|| vec![Moments::default(); rows]);
            let estimates = (0..activations.estimates.len()).map(|row| activations.row(row, n));
            for (moments, estimate) in open.iter_mut().zip(estimates).filter(|(_, estimate)| !estimate.is_empty()) {
                let errors = estimate.iter().zip(target).map(|(a, t)| f64::from(*a) - f64::from(*t));
                moments.add_masked(errors, activations.mask_of(n));
            }
            if let Some(moments) = open.last_mut() {
                moments.add_masked(target.iter().map(|&t| f64::from(t)), activations.mask_of(n));
            }
            self.close(stage, sample / self.group);
        }
    }

    fn merge(&mut self, other: Self) {
        for (stage, other) in other.stages.into_iter().enumerate() {
            let errors = &mut self.stages[stage];
            errors.total.iter_mut().zip(&other.total).for_each(|(own, total)| own.merge(total));
            errors.groups.extend(other.groups);
            for (group, rows) in other.open {
                match self.stages[stage].open.get_mut(&group) {
                    Some(own) => own.iter_mut().zip(&rows).for_each(|(own, row)| own.merge(row)),
                    None => drop(self.stages[stage].open.insert(group, rows)),
                }
                self.close(stage, group);
            }
        }
    }
}

impl EstimationProbe {
    /// Adds a group to the total once all its samples were seen.
    fn close(&mut self, stage: usize, group: usize) {
        let size = self.group.min(self.samples - group * self.group);
        let errors = &mut self.stages[stage];
        let last = errors.open.get_mut(&group).and_then(|rows| rows.last());
        if last.is_none_or(|target| target.count() < size as f64) {
            return;
        }
        let rows = errors.open.remove(&group).unwrap_or_default();
        // A deviation needs two samples.
        if size >= 2 {
            errors.groups.insert(group, rows.iter().map(|m| [m.mean(), m.std(), m.rms(), m.squared_bias()]).collect());
        }
        errors.total.iter_mut().zip(&rows).for_each(|(total, row)| total.merge(row));
    }
}

impl StageErrors {
    /// The figures of block k, counted from 0; its row is k + 1.
    fn block(&self, k: usize) -> BlockEstimation {
        let row = k + 1;
        let moments = &self.total[row];
        let spread = self.total.last().map_or(f64::NAN, Moments::std);
        let (mean, std, rms) = (moments.mean(), moments.std(), moments.rms());
        // The mean is linear, so that the step's mean is the difference of the errors' means.
        let has_step = k > 0 || self.keeps_shape;
        let step_mean = has_step.then(|| mean - self.total[row - 1].mean());
        let step = |g: &Vec<[f64; 4]>| g[row][0] - g[row - 1][0];
        let bias = moments.bias();
        let squared_bias_ci95 = self.interval(|g| g[row][3]);
        BlockEstimation {
            mean,
            std,
            rms,
            step_mean,
            mean_relative: mean / spread,
            std_relative: std / spread,
            rms_relative: rms / spread,
            step_mean_relative: step_mean.map(|s| s / spread),
            mean_ci95: self.interval(|g| g[row][0]),
            std_ci95: self.interval(|g| g[row][1]),
            rms_ci95: self.interval(|g| g[row][2]),
            step_mean_ci95: has_step.then(|| self.interval(step)),
            unsigned_bias: bias,
            unsigned_bias_ci95: (moments.squared_bias() + squared_bias_ci95).max(0.0).sqrt() - bias,
            unsigned_bias_over_std_of_a: bias / spread,
        }
    }

    /// Half width of the interval of a figure that every group gives; NaN of fewer than two groups.
    fn interval(&self, figure: impl Fn(&Vec<[f64; 4]>) -> f64) -> f64 {
        mean(self.groups.values().map(figure)).ci95
    }
}
