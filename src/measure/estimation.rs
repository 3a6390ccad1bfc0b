//! Estimation error (Eq. 1, Figure 3): how far every block's estimate is from the output of its stage's last block.

use super::moments::Moments;
use super::walk::{Baseline, Probe, StageActivations};
use crate::Result;
use crate::nn::Network;
use crate::nn::Outline;
use crate::report::{Estimation, Measurements, PerBlock};

/// Samples are divided into about so many groups; the spread of a figure over them gives its interval.
const GROUPS: u64 = 20;

/// 97.5 % quantiles of Student's t with 1, 2, … 19 degrees of freedom.
const T95: [f64; 19] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093,
];

/// Streams the estimation errors of all stages.
///
/// For every unit i of block k: mean and standard deviation over the samples of `a_k,i - A_i`; both are then averaged
/// over the units. The interval of a figure comes from its values over groups of successive samples.
pub struct EstimationProbe {
    stages: Vec<StageErrors>,
    group: u64,
}

struct StageErrors {
    /// Whether what enters the stage has the shape of its estimates.
    keeps_shape: bool,
    /// Errors of the group under way and of all finished groups: of what entered, then of every block; then A itself.
    current: Vec<Moments>,
    total: Vec<Moments>,
    /// `[group][row]`: mean, standard deviation, root mean square.
    groups: Vec<Vec<[f64; 3]>>,
}

impl EstimationProbe {
    /// For a network and a number of samples.
    pub fn new(outline: &Outline, samples: u64) -> Self {
        let stage = |s: &crate::nn::StageOutline| StageErrors {
            keeps_shape: s.keeps_shape(),
            current: vec![Moments::default(); s.blocks.len() + 2],
            total: vec![Moments::default(); s.blocks.len() + 2],
            groups: Vec::new(),
        };
        Self { stages: outline.stages.iter().map(stage).collect(), group: samples.div_ceil(GROUPS).max(2) }
    }
}

impl<N: Network> Probe<N> for EstimationProbe {
    fn leave(&mut self, stage: usize, seen: &StageActivations) {
        let group = self.group as f64;
        let errors = &mut self.stages[stage];
        for (n, target) in seen.after().chunks_exact(seen.units()).enumerate() {
            let rows = errors.current.iter_mut().zip((0..seen.estimates.len()).map(|row| seen.row(row, n)));
            for (moments, estimate) in rows.filter(|(_, estimate)| !estimate.is_empty()) {
                moments.add(estimate.iter().zip(target).map(|(a, t)| f64::from(*a) - f64::from(*t)));
            }
            if let Some(moments) = errors.current.last_mut() {
                moments.add(target.iter().map(|&t| f64::from(t)));
            }
            if errors.current.last().is_some_and(|m| m.count() >= group) {
                errors.end_group();
            }
        }
    }

    fn finish(mut self: Box<Self>, _: &Baseline, measured: &mut Measurements, _: &mut dyn FnMut(u64)) -> Result<()> {
        let mut blocks = PerBlock::new();
        for (stage, errors) in measured.outline.stages.iter().zip(&mut self.stages) {
            errors.end_group();
            blocks.extend(stage.blocks.iter().enumerate().map(|(k, block)| (block.name().to_owned(), errors.block(k))));
        }
        measured.estimation = Some(blocks);
        Ok(())
    }
}

impl StageErrors {
    fn end_group(&mut self) {
        let samples = self.current.last().map_or(0.0, Moments::count);
        // A deviation needs two samples.
        if samples >= 2.0 {
            self.groups.push(self.current.iter().map(|m| [m.mean(), m.std(), m.rms()]).collect());
        }
        for (total, current) in self.total.iter_mut().zip(&mut self.current) {
            total.merge(&std::mem::take(current));
        }
    }

    /// The figures of block k, counted from 0; its row is k + 1.
    fn block(&self, k: usize) -> Estimation {
        let row = k + 1;
        let moments = &self.total[row];
        let spread = self.total.last().map_or(f64::NAN, Moments::std);
        let (mean, std, rms) = (moments.mean(), moments.std(), moments.rms());
        // The mean is linear, so that the step's mean is the difference of the errors' means.
        let has_step = k > 0 || self.keeps_shape;
        let step_mean = has_step.then(|| mean - self.total[row - 1].mean());
        let step = |g: &Vec<[f64; 3]>| g[row][0] - g[row - 1][0];
        Estimation {
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
        }
    }

    /// Half width of the interval of a figure that every group gives; NaN of fewer than two groups.
    fn interval(&self, figure: impl Fn(&Vec<[f64; 3]>) -> f64) -> f64 {
        let n = self.groups.len();
        let Some(&t) = n.checked_sub(2).and_then(|i| T95.get(i.min(T95.len() - 1))) else { return f64::NAN };
        let values: Vec<f64> = self.groups.iter().map(figure).collect();
        let mean = super::moments::average(values.iter().copied());
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n as f64 - 1.0);
        t * (variance / n as f64).sqrt()
    }
}
