//! Gate activity: how open the gates are, for which units, samples and classes.

mod present;

use serde::{Deserialize, Serialize};

use super::activations::BlockView;
use super::cost::{Cost, moments_bytes, units};
use super::interval::mean;
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::moments::{Moments, average};
use super::probe::Probe;
use super::score::{Estimate, PerBlock};
use crate::float_json;
use crate::report::Section;

/// Mean, spread, histogram and sparsity of the transform gate T and the carry gate C.
pub struct Gates;

/// Activity of the gates of one block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockGates {
    /// The transform gate T, where the block has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<GateActivity>,
    /// The carry gate C, where it is a gate of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry: Option<GateActivity>,
}

/// Activity of one gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateActivity {
    /// Mean over samples and units, with its interval.
    pub mean: Estimate,
    /// Standard deviation over the samples for each unit, averaged over the units.
    #[serde(with = "float_json")]
    pub std_over_samples: f64,
    /// Standard deviation over the units of each unit's mean.
    #[serde(with = "float_json")]
    pub std_over_units: f64,
    /// Share of values above one half.
    #[serde(with = "float_json")]
    pub open_share: f64,
    /// Share of values in each of equally wide bins of `[0, 1]`.
    #[serde(with = "float_json")]
    pub histogram: Vec<f64>,
    /// Hoyer sparsity of the gate's units, for each sample, averaged over the samples: 0 all alike, 1 a single unit open.
    #[serde(with = "float_json")]
    pub sparsity_per_sample: f64,
    /// Hoyer sparsity of the average over the samples.
    #[serde(with = "float_json")]
    pub sparsity_of_average: f64,
    /// The same, were the units of every sample in an order of its own: what remains of the average's sparsity where the
    /// samples have no unit in common, `√U/(√U - 1) · (1 - μ/√(μ² + σ²/n))` for U units of mean μ and variance σ² within a
    /// sample, and n samples.
    #[serde(default = "float_json::nan", with = "float_json")]
    pub sparsity_of_average_permuted: f64,
    /// Hoyer sparsity of the average over the samples of each class.
    #[serde(with = "float_json")]
    pub sparsity_per_class: Vec<f64>,
    /// Mean for each channel, over samples and positions.
    #[serde(with = "float_json")]
    pub channels: Vec<f32>,
    /// `[class][channel]`: the same for the samples of each class; empty where these would be more than 262,144 numbers, as in a
    /// language model, whose classes are words.
    #[serde(with = "float_json")]
    pub class_channels: Vec<Vec<f32>>,
}

/// Bins of the histogram over `[0, 1]`.
const BINS: usize = 20;
/// Where units times classes are more than this, averages of units for each class are not kept, and their sparsity is not
/// given.
const CLASS_UNITS: usize = 1 << 24;

/// Where channels times classes are more than this, averages of channels for each class are not given. They are part of the
/// results of every gate, and of every untrained network.
const CLASS_CHANNELS: usize = 1 << 18;

/// Running activity of all gates: transform and carry gate of every block, stage by stage.
#[derive(Serialize, Deserialize)]
pub struct GateProbe {
    classes: usize,
    stages: Vec<Vec<[Option<Activity>; 2]>>,
}

/// What is kept of one gate.
#[derive(Clone, Serialize, Deserialize)]
struct Activity {
    channels: usize,
    moments: Moments,
    /// Place of every sample in the data set, its mean and its sparsity.
    samples: Vec<(usize, f64, f64)>,
    histogram: Vec<u64>,
    open: u64,
    /// The number of values that were counted.
    values: u64,
    /// `[class]`: number of samples; `[class][channel]` sums, or none; `[class][unit]` sums where they are kept.
    class_counts: Vec<u64>,
    class_channels: Vec<Vec<f64>>,
    class_units: Option<Vec<Vec<f64>>>,
}

impl Measurement for Gates {
    type Output = PerBlock<BlockGates>;
    type Probe = GateProbe;

    const HAS_NULL: bool = true;
    const NAME: &'static str = "gates";
    const ABOUT: &'static str = "How open the gates are";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        let is_gated = scope.outline.blocks().any(|(_, block)| block.wiring.is_gated());
        (!is_gated).then(|| "no block has a gate".into())
    }

    fn probe(&self, scope: &Scope) -> Option<GateProbe> {
        let stages = scope.outline.stages.iter().map(|stage| vec![[None, None]; stage.blocks.len()]).collect();
        Some(GateProbe { classes: scope.outline.classes, stages })
    }

    fn cost(&self, scope: &Scope) -> Cost {
        let cost = Cost::of_probe(&scope.outline, |_, block| 300 * u64::from(block.wiring.is_gated()));
        let of_classes = |units: u64| match units * scope.outline.classes as u64 {
            values if values <= CLASS_UNITS as u64 => values * size_of::<f64>() as u64,
            _ => 0,
        };
        let of_classes = scope.outline.stages.iter().map(|s| s.blocks.len() as u64 * of_classes(units(s)));
        // Of both gates.
        Cost { kept: 2 * (moments_bytes(&scope.outline, 1) + of_classes.sum::<u64>()), ..cost }
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<GateProbe>) -> PerBlock<BlockGates> {
        let found = observed.probe.iter().flat_map(|probe| probe.stages.iter().flatten());
        let blocks = scope.outline.blocks().zip(found).map(|((id, _), activity)| {
            let [transform, carry] = activity.each_ref().map(|gate| gate.as_ref().map(Activity::result));
            (id, BlockGates { transform, carry })
        });
        blocks.filter(|(_, gates)| gates.transform.is_some() || gates.carry.is_some()).collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        present::section(networks)
    }
}

impl Probe for GateProbe {
    fn block(&mut self, block: &BlockView) {
        let kept = &mut self.stages[block.id.stage][block.id.block];
        for (gate, kept) in [block.transform_gate(), block.carry_gate()].into_iter().zip(kept) {
            let Some((values, channels)) = gate else { continue };
            let units = values.len() / block.stage.labels.len();
            let kept = kept.get_or_insert_with(|| Activity::new(channels, units, self.classes));
            let samples = block.stage.samples.iter().zip(&block.stage.labels);
            let rows = values.chunks_exact(units).zip(samples).enumerate();
            for (row, (gate, (&n, &label))) in rows.filter(|(row, _)| block.stage.has_positions(*row)) {
                kept.add(gate, n, label as usize, block.stage.mask_of(row));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        let pairs = self.stages.iter_mut().flatten().flatten().zip(other.stages.into_iter().flatten().flatten());
        for (own, other) in pairs {
            match (own.as_mut(), other) {
                (Some(own), Some(other)) => own.merge(other),
                (None, other) => *own = other,
                _ => {}
            }
        }
    }
}

impl Activity {
    fn new(channels: usize, units: usize, classes: usize) -> Self {
        Self {
            channels,
            moments: Moments::default(),
            samples: Vec::new(),
            histogram: vec![0; BINS],
            open: 0,
            values: 0,
            class_counts: vec![0; classes],
            class_channels: vec![vec![0.0; channels]; if channels * classes <= CLASS_CHANNELS { classes } else { 0 }],
            class_units: (units * classes <= CLASS_UNITS).then(|| vec![vec![0.0; units]; classes]),
        }
    }

    fn add(&mut self, sample: &[f32], place: usize, class: usize, mask: Option<&[bool]>) {
        self.moments.add_masked(sample.iter().map(|&g| f64::from(g)), mask);
        let positions = sample.len() / self.channels;
        let counts = |unit: usize| mask.is_none_or(|mask| mask[unit % positions]);
        let counted = sample.iter().enumerate().filter(|(unit, _)| counts(*unit)).map(|(_, &g)| g);
        let values: Vec<f64> = counted.clone().map(f64::from).collect();
        self.samples.push((place, average(values.iter().copied()), hoyer(values.iter().copied())));
        for g in counted {
            self.histogram[((g * BINS as f32) as usize).min(BINS - 1)] += 1;
            self.open += u64::from(g > 0.5);
        }
        self.values += values.len() as u64;
        self.class_counts[class] += 1;
        if let Some(sums) = self.class_channels.get_mut(class) {
            let per_channel = values.len() / self.channels;
            for (sum, channel) in sums.iter_mut().zip(values.chunks_exact(per_channel.max(1))) {
                *sum += average(channel.iter().copied());
            }
        }
        if let Some(units) = &mut self.class_units {
            units[class].iter_mut().zip(sample).for_each(|(sum, &g)| *sum += f64::from(g));
        }
    }

    fn merge(&mut self, other: Self) {
        self.moments.merge(&other.moments);
        self.samples.extend(other.samples);
        self.histogram.iter_mut().zip(&other.histogram).for_each(|(own, count)| *own += count);
        self.open += other.open;
        self.values += other.values;
        self.class_counts.iter_mut().zip(&other.class_counts).for_each(|(own, count)| *own += count);
        let channels = self.class_channels.iter_mut().flatten().zip(other.class_channels.iter().flatten());
        channels.for_each(|(own, sum)| *own += sum);
        let units = self.class_units.iter_mut().flatten().flatten().zip(other.class_units.iter().flatten().flatten());
        units.for_each(|(own, sum)| *own += sum);
    }

    fn result(&self) -> GateActivity {
        // In the order of the data set, so that sums do not depend on who has seen which sample.
        let mut samples = self.samples.clone();
        samples.sort_by_key(|&(place, ..)| place);
        let (means, all_means) = (self.moments.means(), self.moments.all_means());
        let values = self.values as f64;
        let centre = average(means.iter().copied());
        let positions = all_means.len() / self.channels;
        let of_channel = |means: &[f64]| {
            let counted: Vec<f64> = means.iter().copied().filter(|mean| !mean.is_nan()).collect();
            average(counted.into_iter()) as f32
        };
        let class_mean = |sums: &Vec<f64>, &n: &u64| sums.iter().map(|s| (s / n as f64) as f32).collect();
        let by_class = self.class_channels.iter().zip(&self.class_counts);
        GateActivity {
            mean: mean(samples.iter().map(|&(_, mean, _)| mean)),
            std_over_samples: self.moments.std(),
            std_over_units: average(means.iter().map(|m| (m - centre) * (m - centre))).sqrt(),
            open_share: self.open as f64 / values,
            histogram: self.histogram.iter().map(|&count| count as f64 / values).collect(),
            sparsity_per_sample: average(samples.iter().map(|&(.., sparsity)| sparsity)),
            sparsity_of_average: hoyer(means.iter().copied()),
            sparsity_of_average_permuted: self.permuted_sparsity(&samples),
            sparsity_per_class: self
                .class_units
                .iter()
                .flatten()
                .zip(&self.class_counts)
                // The factor 1/n of an average does not change its sparsity.
                .map(|(sums, &n)| if n > 0 { hoyer(sums.iter().copied()) } else { f64::NAN })
                .collect(),
            channels: all_means.chunks_exact(positions).map(of_channel).collect(),
            class_channels: by_class.map(|(sums, n)| class_mean(sums, n)).collect(),
        }
    }
}

impl Activity {
    /// Returns the sparsity of the average over samples whose units are each in an order of its own.
    fn permuted_sparsity(&self, samples: &[(usize, f64, f64)]) -> f64 {
        let mean = average(samples.iter().map(|&(_, mean, _)| mean));
        let mean_square = average(samples.iter().map(|&(_, mean, _)| mean * mean));
        let within = (self.moments.rms().powi(2) - mean_square).max(0.0);
        let root = (self.values as f64 / samples.len() as f64).sqrt();
        root / (root - 1.0) * (1.0 - mean / (mean * mean + within / samples.len() as f64).sqrt())
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

    #[test]
    fn averages_for_each_class_are_given_for_as_many_classes_as_a_result_can_hold() {
        for (classes, given) in [(10, 10), (1000, 1000), (10_000, 0)] {
            let mut activity = Activity::new(256, 256, classes);
            activity.add(&[0.25; 256], 0, classes - 1, None);
            let found = activity.result();
            assert_eq!((found.class_channels.len(), found.channels.len()), (given, 256));
            assert!(found.class_channels.last().is_none_or(|channels| channels.iter().all(|&mean| mean == 0.25)));
        }
    }

    #[test]
    fn the_permuted_sparsity_is_that_of_permuted_units() {
        /// The formula is that of many units; of 4,000 it is this close.
        const CLOSE: f64 = 5e-3;
        let units = 4000;
        let mut activity = Activity::new(1, units, 1);
        let mut sums = vec![0.0; units];
        for place in 0..12 {
            // A tenth of the units is open, the same in every sample.
            let gate: Vec<f32> = (0..units).map(|unit| if unit % 10 == 0 { 0.9 } else { 0.1 }).collect();
            activity.add(&gate, place, 0, None);
            let mut order: Vec<usize> = (0..units).collect();
            crate::random::shuffle(
                &mut crate::random::stream(0, crate::random::Purpose::SampleOrder, &[place as u64]),
                &mut order,
            );
            sums.iter_mut().zip(order).for_each(|(sum, unit)| *sum += f64::from(gate[unit]));
        }
        let found = activity.result();
        assert!((found.sparsity_of_average - found.sparsity_per_sample).abs() < 1e-6, "{found:?}");
        let expected = hoyer(sums.into_iter());
        assert!((found.sparsity_of_average_permuted - expected).abs() < CLOSE, "{expected}");
        assert!(expected < 0.5 * found.sparsity_per_sample, "averaging alone lowers the sparsity");
    }
}
