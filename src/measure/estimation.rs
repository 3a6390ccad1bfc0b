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
    /// What `std` would be if each of the steps that follow were that of another sample, `√Σ_(j>k) Var[a_j - a_(j-1)]`: a null model of
    /// convergence, which falls from block to block by itself. Absent where fewer than two steps follow, of which `std` is
    /// that very figure.
    #[serde(default, with = "float_json")]
    pub shuffled_std: Option<f64>,
    /// `std` less `shuffled_std`. It is below 0 where the steps of a sample cancel one another, and above where they add up.
    #[serde(default, with = "float_json")]
    pub std_less_shuffled: Option<f64>,
    /// Half width of the interval of `std_less_shuffled`.
    #[serde(default, with = "float_json")]
    pub std_less_shuffled_ci95: Option<f64>,
    /// `shuffled_std` over the mean standard deviation of `A`.
    #[serde(default, with = "float_json")]
    pub shuffled_std_over_std_of_a: Option<f64>,
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

/// What is kept of some samples.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Observed {
    /// The errors of what entered a stage, then of every block.
    errors: Vec<Moments>,
    /// A itself.
    target: Moments,
    /// The step of every block after the first.
    steps: Vec<Moments>,
}

/// The figures of one row of the errors: mean, standard deviation, root mean square, squared bias, and the standard deviation of
/// shuffled steps.
type Figures = [f64; 5];

#[derive(Serialize, Deserialize)]
struct StageErrors {
    /// Whether what enters the stage has the shape of its estimates.
    keeps_shape: bool,
    /// Groups that are not complete, by their number.
    open: BTreeMap<usize, Observed>,
    /// All complete groups.
    total: Observed,
    /// `[row]` of every complete group, by its number.
    groups: BTreeMap<usize, Vec<Figures>>,
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
            total: Observed::new(s.blocks.len()),
            groups: BTreeMap::new(),
        };
        let stages = scope.outline.stages.iter().map(stage).collect();
        Some(EstimationProbe { stages, group: scope.samples.div_ceil(GROUPS).max(2), samples: scope.samples })
    }

    fn cost(&self, scope: &Scope) -> Cost {
        // Errors and steps of all samples, and of a group.
        Cost { kept: moments_bytes(&scope.outline, 4), ..Cost::of_probe(&scope.outline, |_, _| 300) }
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
            let blocks = activations.estimates.len() - 1;
            let open = errors.open.entry(sample / self.group).or_insert_with(|| Observed::new(blocks));
            let estimates: Vec<&[f32]> = (0..=blocks).map(|row| activations.row(row, n)).collect();
            let mask = activations.mask_of(n);
            for (moments, estimate) in open.errors.iter_mut().zip(&estimates).filter(|(_, a)| !a.is_empty()) {
                moments.add_masked(differences(estimate, target), mask);
            }
            for (moments, pair) in open.steps.iter_mut().zip(estimates[1..].windows(2)) {
                moments.add_masked(differences(pair[1], pair[0]), mask);
            }
            open.target.add_masked(target.iter().map(|&t| f64::from(t)), mask);
            self.close(stage, sample / self.group);
        }
    }

    fn merge(&mut self, other: Self) {
        for (stage, other) in other.stages.into_iter().enumerate() {
            let errors = &mut self.stages[stage];
            errors.total.merge(&other.total);
            errors.groups.extend(other.groups);
            for (group, observed) in other.open {
                match self.stages[stage].open.get_mut(&group) {
                    Some(own) => own.merge(&observed),
                    None => drop(self.stages[stage].open.insert(group, observed)),
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
        if errors.open.get(&group).is_none_or(|observed| observed.target.count() < size as f64) {
            return;
        }
        let observed = errors.open.remove(&group).unwrap_or_default();
        // A deviation needs two samples.
        if size >= 2 {
            errors.groups.insert(group, observed.figures());
        }
        errors.total.merge(&observed);
    }
}

/// Returns one estimate less another, unit by unit.
fn differences<'a>(a: &'a [f32], b: &'a [f32]) -> impl ExactSizeIterator<Item = f64> + 'a {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b))
}

impl Observed {
    fn new(blocks: usize) -> Self {
        let moments = |count| vec![Moments::default(); count];
        Self { errors: moments(blocks + 1), target: Moments::default(), steps: moments(blocks.saturating_sub(1)) }
    }

    fn merge(&mut self, other: &Self) {
        let pairs = [(&mut self.errors, &other.errors), (&mut self.steps, &other.steps)];
        pairs.into_iter().for_each(|(own, other)| own.iter_mut().zip(other).for_each(|(own, other)| own.merge(other)));
        self.target.merge(&other.target);
    }

    fn figures(&self) -> Vec<Figures> {
        let errors = self.errors.iter().enumerate();
        errors.map(|(row, m)| [m.mean(), m.std(), m.rms(), m.squared_bias(), self.shuffled_std(row)]).collect()
    }

    /// The standard deviation of the sum of the steps after a row of the errors, if each were another sample's.
    fn shuffled_std(&self, row: usize) -> f64 {
        // Of what entered the stage the step of the first block is not kept.
        row.checked_sub(1)
            .map_or(f64::NAN, |block| Moments::std_of_independent_sum(&self.steps[block.min(self.steps.len())..]))
    }
}

impl StageErrors {
    /// The figures of block k, counted from 0; its row is k + 1.
    fn block(&self, k: usize) -> BlockEstimation {
        let row = k + 1;
        let moments = &self.total.errors[row];
        let spread = self.total.target.std();
        let (mean, std, rms) = (moments.mean(), moments.std(), moments.rms());
        // The mean is linear, so that the step's mean is the difference of the errors' means.
        let has_step = k > 0 || self.keeps_shape;
        let step_mean = has_step.then(|| mean - self.total.errors[row - 1].mean());
        let step = |g: &Vec<Figures>| g[row][0] - g[row - 1][0];
        let bias = moments.bias();
        let shuffled_std = (k + 2 < self.total.errors.len() - 1).then(|| self.total.shuffled_std(row));
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
            shuffled_std,
            std_less_shuffled: shuffled_std.map(|shuffled| std - shuffled),
            std_less_shuffled_ci95: shuffled_std.map(|_| self.interval(|g| g[row][1] - g[row][4])),
            shuffled_std_over_std_of_a: shuffled_std.map(|shuffled| shuffled / spread),
        }
    }

    /// Half width of the interval of a figure that every group gives; NaN of fewer than two groups.
    fn interval(&self, figure: impl Fn(&Vec<Figures>) -> f64) -> f64 {
        mean(self.groups.values().map(figure)).ci95
    }
}
