//! Gate activity: how open the gates are, for which units, samples and classes.

use super::mean;
use super::moments::{Moments, average};
use super::walk::{Baseline, Probe, StageActivations};
use crate::Result;
use crate::nn::Outline;
use crate::nn::{BlockActivations, BlockId, Network};
use crate::report::{BlockGates, Gate, Measurements};

/// Bins of the histogram over `[0, 1]`.
const BINS: usize = 20;
/// More averages of units for each class than this are not kept: their sparsity is then not given.
const CLASS_UNITS: usize = 1 << 24;

/// Streams the activity of all gates.
pub struct GateProbe {
    classes: usize,
    blocks: Vec<(String, [Option<Activity>; 2])>,
    first_of_stage: Vec<usize>,
}

/// What is kept of one gate.
struct Activity {
    channels: usize,
    moments: Moments,
    sample_means: Vec<f64>,
    sample_sparsity: Vec<f64>,
    histogram: [u64; BINS],
    open: u64,
    /// `[class]`: number of samples; `[class][channel]` sums; `[class][unit]` sums where they are kept.
    class_counts: Vec<u64>,
    class_channels: Vec<Vec<f64>>,
    class_units: Option<Vec<Vec<f32>>>,
}

impl GateProbe {
    /// For a network.
    pub fn new(outline: &Outline) -> Self {
        let mut first_of_stage = Vec::new();
        let mut blocks = Vec::new();
        for stage in &outline.stages {
            first_of_stage.push(blocks.len());
            blocks.extend(stage.blocks.iter().map(|b| (b.name().to_owned(), [None, None])));
        }
        Self { classes: outline.classes, blocks, first_of_stage }
    }
}

impl<N: Network> Probe<N> for GateProbe {
    fn block(&mut self, network: &N, at: BlockId, inside: &BlockActivations<N::Estimate>, seen: &StageActivations) {
        let labels = &seen.labels;
        let (_, kept) = &mut self.blocks[self.first_of_stage[at.stage] + at.block];
        for (gate, kept) in [&inside.transform, &inside.carry].into_iter().zip(kept) {
            let Some(gate) = gate else { continue };
            let (values, channels) = network.values(gate);
            let units = values.len() / labels.len();
            let kept = kept.get_or_insert_with(|| Activity::new(channels, units, self.classes));
            values.chunks_exact(units).zip(labels).for_each(|(sample, &label)| kept.add(sample, label as usize));
        }
    }

    fn finish(self: Box<Self>, _: &Baseline, measured: &mut Measurements, _: &mut dyn FnMut(u64)) -> Result<()> {
        let finish = |activity: Option<Activity>| activity.map(|a| a.finish());
        let blocks = self.blocks.into_iter().map(|(name, [transform, carry])| {
            (name, BlockGates { transform: finish(transform), carry: finish(carry) })
        });
        measured.gates = Some(blocks.filter(|(_, gates)| gates.transform.is_some() || gates.carry.is_some()).collect());
        Ok(())
    }
}

impl Activity {
    fn new(channels: usize, units: usize, classes: usize) -> Self {
        Self {
            channels,
            moments: Moments::default(),
            sample_means: Vec::new(),
            sample_sparsity: Vec::new(),
            histogram: [0; BINS],
            open: 0,
            class_counts: vec![0; classes],
            class_channels: vec![vec![0.0; channels]; classes],
            class_units: (units * classes <= CLASS_UNITS).then(|| vec![vec![0.0; units]; classes]),
        }
    }

    fn add(&mut self, sample: &[f32], class: usize) {
        self.moments.add(sample.iter().map(|&g| f64::from(g)));
        self.sample_means.push(average(sample.iter().map(|&g| f64::from(g))));
        self.sample_sparsity.push(hoyer(sample.iter().map(|&g| f64::from(g))));
        for &g in sample {
            self.histogram[((g * BINS as f32) as usize).min(BINS - 1)] += 1;
            self.open += u64::from(g > 0.5);
        }
        self.class_counts[class] += 1;
        let positions = sample.len() / self.channels;
        for (sum, channel) in self.class_channels[class].iter_mut().zip(sample.chunks_exact(positions)) {
            *sum += average(channel.iter().map(|&g| f64::from(g)));
        }
        if let Some(units) = &mut self.class_units {
            units[class].iter_mut().zip(sample).for_each(|(sum, &g)| *sum += g);
        }
    }

    fn finish(self) -> Gate {
        let means = self.moments.means();
        let values = (means.len() * self.sample_means.len()) as f64;
        let centre = average(means.iter().copied());
        let positions = means.len() / self.channels;
        let class_mean = |sums: &Vec<f64>, &n: &u64| sums.iter().map(|s| (s / n as f64) as f32).collect();
        let by_class = self.class_channels.iter().zip(&self.class_counts);
        Gate {
            mean: mean(self.sample_means.iter().copied()),
            std_over_samples: self.moments.std(),
            std_over_units: average(means.iter().map(|m| (m - centre) * (m - centre))).sqrt(),
            open_share: self.open as f64 / values,
            histogram: self.histogram.iter().map(|&count| count as f64 / values).collect(),
            sparsity_per_sample: average(self.sample_sparsity.iter().copied()),
            sparsity_of_average: hoyer(means.iter().copied()),
            sparsity_per_class: self
                .class_units
                .iter()
                .flatten()
                .zip(&self.class_counts)
                // The factor 1/n of an average does not change its sparsity.
                .map(|(sums, &n)| if n > 0 { hoyer(sums.iter().map(|&s| f64::from(s))) } else { f64::NAN })
                .collect(),
            channels: means.chunks_exact(positions).map(|c| average(c.iter().copied()) as f32).collect(),
            class_channels: by_class.map(|(sums, n)| class_mean(sums, n)).collect(),
        }
    }
}

/// Hoyer's sparsity `(√n - Σ|x| / √Σx²) / (√n - 1)`: 0 where all values are alike, 1 where a single one is not 0.
pub(super) fn hoyer(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let root = (values.len() as f64).sqrt();
    let (sum, squares) = values.fold((0.0, 0.0), |(a, s), x| (a + x.abs(), s + x * x));
    if squares == 0.0 || root <= 1.0 {
        return 0.0;
    }
    (root - sum / squares.sqrt()) / (root - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparsity_is_0_where_all_are_alike_and_1_where_one_is_open() {
        assert!(hoyer([0.3; 9].into_iter()).abs() < 1e-12);
        assert!((hoyer([0.0, 0.0, 0.7, 0.0].into_iter()) - 1.0).abs() < 1e-12);
        assert_eq!(hoyer([0.0; 4].into_iter()), 0.0);
    }
}
