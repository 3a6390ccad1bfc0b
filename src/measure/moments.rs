//! Running means and variances, of one figure or of many units at once.

use serde::{Deserialize, Serialize};

use super::interval::t_interval;
use super::score::Estimate;

/// Mean and variance of every unit over the samples seen so far (Welford; merged as by Chan et al. 1979).
///
/// Where positions of samples are masked, a unit has as many values as samples have its position. Units
/// without values are left out. Deviations also leave out units of a single value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Moments {
    count: f64,
    /// The number of values of every unit; empty as long as that is the number of samples.
    counts: Vec<f64>,
    mean: Vec<f64>,
    /// Sum of the squared deviations from the mean.
    squares: Vec<f64>,
}

impl Moments {
    /// The memory of a unit, bytes: count, mean, squares.
    pub(super) const BYTES_PER_UNIT: u64 = 3 * size_of::<f64>() as u64;

    /// Adds one sample.
    pub(super) fn add(&mut self, sample: impl ExactSizeIterator<Item = f64>) {
        if self.mean.is_empty() {
            self.mean = vec![0.0; sample.len()];
            self.squares = vec![0.0; sample.len()];
        }
        self.count += 1.0;
        let share = 1.0 / self.count;
        for ((mean, squares), x) in self.mean.iter_mut().zip(&mut self.squares).zip(sample) {
            let before = x - *mean;
            *mean += before * share;
            *squares += before * (x - *mean);
        }
    }

    /// Adds one sample, of which the units of some positions count: unit `u` is at position `u % mask.len()`. Without a mask
    /// all count.
    pub(super) fn add_masked(&mut self, sample: impl ExactSizeIterator<Item = f64>, mask: Option<&[bool]>) {
        if mask.is_none() && self.counts.is_empty() {
            return self.add(sample);
        }
        if self.mean.is_empty() {
            self.mean = vec![0.0; sample.len()];
            self.squares = vec![0.0; sample.len()];
        }
        self.count_units();
        self.count += 1.0;
        // After a masked sample, those without a mask are counted unit by unit too.
        let mask = mask.unwrap_or(&[true]).iter().cycle();
        let units = self.mean.iter_mut().zip(&mut self.squares).zip(&mut self.counts).zip(mask);
        for ((((mean, squares), count), _), x) in units.zip(sample).filter(|((_, counts), _)| **counts) {
            *count += 1.0;
            let before = x - *mean;
            *mean += before / *count;
            *squares += before * (x - *mean);
        }
    }

    /// Counts unit by unit from now on.
    fn count_units(&mut self) {
        if self.counts.is_empty() {
            self.counts = vec![self.count; self.mean.len()];
        }
    }

    /// Adds all samples that another value has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            self.clone_from(other);
            return;
        }
        let count = self.count + other.count;
        if !self.counts.is_empty() || !other.counts.is_empty() {
            self.count_units();
            let mut other = other.clone();
            other.count_units();
            for unit in 0..self.mean.len() {
                let (own, others) = (self.counts[unit], other.counts[unit]);
                let apart = other.mean[unit] - self.mean[unit];
                self.counts[unit] += others;
                if others > 0.0 {
                    self.mean[unit] += apart * others / (own + others);
                    self.squares[unit] += other.squares[unit] + apart * apart * own * others / (own + others);
                }
            }
            self.count = count;
            return;
        }
        let units = self.mean.iter_mut().zip(&mut self.squares);
        for ((mean, squares), (m, s)) in units.zip(other.mean.iter().zip(&other.squares)) {
            let apart = m - *mean;
            *mean += apart * other.count / count;
            *squares += s + apart * apart * self.count * other.count / count;
        }
        self.count = count;
    }

    /// Number of samples.
    pub(super) fn count(&self) -> f64 {
        self.count
    }

    /// The number of values of a unit.
    fn count_of(&self, unit: usize) -> f64 {
        self.counts.get(unit).copied().unwrap_or(self.count)
    }

    /// The figure of every unit that has at least so many values.
    fn of_units<T>(&self, least: f64, figure: impl Fn(usize) -> T) -> Vec<T> {
        (0..self.mean.len()).filter(|&unit| self.count_of(unit) >= least).map(figure).collect()
    }

    /// The variance over the samples (with n - 1) of a unit with at least two values.
    fn variance(&self, unit: usize) -> f64 {
        self.squares[unit] / (self.count_of(unit) - 1.0)
    }

    /// The average of a figure over the units that have at least so many values. Every value counts once: units that fewer
    /// samples reach, such as the last positions of long sentences, count less. NaN where there is no such unit.
    fn average(&self, least: f64, figure: impl Fn(usize) -> f64) -> f64 {
        if self.counts.is_empty() {
            // Without a mask all counts are equal, and a plain mean is exact where the values are.
            return average(self.of_units(least, figure).into_iter());
        }
        let units = self.of_units(least, |unit| (self.count_of(unit), figure(unit)));
        let count: f64 = units.iter().map(|(count, _)| count).sum();
        units.iter().map(|(count, value)| count * value).sum::<f64>() / count
    }

    /// The mean of every unit that has values.
    pub(super) fn means(&self) -> Vec<f64> {
        self.of_units(1.0, |unit| self.mean[unit])
    }

    /// Mean, standard deviation and number of values of every unit that has a deviation.
    pub(super) fn units(&self) -> Vec<[f64; 3]> {
        self.of_units(2.0, |unit| [self.mean[unit], self.variance(unit).sqrt(), self.count_of(unit)])
    }

    /// The standard deviation over the samples (with n - 1) of every unit that has one: at least two values.
    pub(super) fn deviations(&self) -> Vec<f64> {
        self.of_units(2.0, |unit| self.variance(unit).sqrt())
    }

    /// The mean of every unit; NaN where it has no values.
    pub(super) fn all_means(&self) -> Vec<f64> {
        let mean = |unit: usize| if self.count_of(unit) > 0.0 { self.mean[unit] } else { f64::NAN };
        (0..self.mean.len()).map(mean).collect()
    }

    /// The mean, averaged over the units.
    pub(super) fn mean(&self) -> f64 {
        self.average(1.0, |unit| self.mean[unit])
    }

    /// The standard deviation over the samples (with n - 1), averaged over the units that have one.
    pub(super) fn std(&self) -> f64 {
        self.average(2.0, |unit| self.variance(unit).sqrt())
    }

    /// The standard deviation that the sum of some values would have if they were independent of one another, averaged over the units.
    pub(super) fn std_of_independent_sum(values: &[Self]) -> f64 {
        let sum = |unit: usize| values.iter().map(|moments| moments.variance(unit)).sum::<f64>().sqrt();
        values.first().map_or(0.0, |first| first.average(2.0, sum))
    }

    /// The root mean square of the deviations over the units. A unit that hardly varies adds next to nothing, while a mean of
    /// ratios to its deviation would be dominated by it.
    pub(super) fn pooled_std(&self) -> f64 {
        self.average(2.0, |unit| self.variance(unit)).sqrt()
    }

    /// The mean over the units of `b² - s²/n`: the squared mean of a unit, less what its estimate from n samples adds on
    /// average. It is 0 on average where no unit has a mean other than 0, and may be negative.
    pub(super) fn squared_bias(&self) -> f64 {
        self.average(2.0, |unit| self.mean[unit].powi(2) - self.variance(unit) / self.count_of(unit))
    }

    /// The root mean square over the units of their bias, `√max(0, mean(b² - s²/n))`, corrected for the noise of few samples.
    pub(super) fn bias(&self) -> f64 {
        self.squared_bias().max(0.0).sqrt()
    }

    /// The root of the mean square over samples and units.
    pub(super) fn rms(&self) -> f64 {
        self.average(1.0, |unit| self.mean[unit] * self.mean[unit] + self.squares[unit] / self.count_of(unit)).sqrt()
    }
}

/// Mean and variance of one figure over the samples seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RunningMean {
    count: f64,
    mean: f64,
    squares: f64,
}

impl RunningMean {
    /// Adds the figure of one sample.
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    /// Adds all samples that another value has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = *other;
            return;
        }
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        self.mean += apart * other.count / count;
        self.squares += other.squares + apart * apart * self.count * other.count / count;
        self.count = count;
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    /// The mean and the half width of its interval by Student's t distribution.
    pub(super) fn estimate(&self) -> Estimate {
        if self.is_empty() {
            return Estimate { value: f64::NAN, ci95: f64::NAN };
        }
        let variance = self.squares / (self.count - 1.0);
        Estimate { value: self.mean, ci95: t_interval((variance / self.count).sqrt(), self.count) }
    }
}

/// The mean of some values; NaN of none.
pub(super) fn average(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_values_count_nowhere() {
        let values: Vec<[f64; 4]> =
            (0..9).map(|i| [f64::from(i), 2.0 - f64::from(i * i), 0.5, f64::from(i % 3)]).collect();
        // Two channels at two positions; the second position of every third sample is masked, as is all of the last one.
        let masks: Vec<[bool; 2]> = (0..9).map(|i| [i < 8, i % 3 > 0 && i < 8]).collect();
        let of = |range: std::ops::Range<usize>| {
            let mut moments = Moments::default();
            range.for_each(|i| {
                let mask = if i == 1 { None } else { Some(masks[i].as_slice()) };
                moments.add_masked(values[i].into_iter(), mask);
            });
            moments
        };
        let whole = of(0..9);
        let mut merged = of(0..2);
        [2..6, 6..9].into_iter().for_each(|range| merged.merge(&of(range)));
        for unit in 0..4 {
            let counted: Vec<f64> = (0..9).filter(|&i| masks[i][unit % 2]).map(|i| values[i][unit]).collect();
            let n = counted.len() as f64;
            let mean = counted.iter().sum::<f64>() / n;
            let variance = counted.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
            for moments in [&whole, &merged] {
                let [found_mean, deviation, count] = moments.units()[unit];
                assert_eq!(count, n);
                assert!((found_mean - mean).abs() < 1e-12, "{unit}");
                assert!((deviation - variance.sqrt()).abs() < 1e-12, "{unit}");
            }
        }
    }

    #[test]
    fn a_unit_without_values_is_no_unit() {
        let (mut padded, mut plain) = (Moments::default(), Moments::default());
        for i in 0..5 {
            padded.add_masked([f64::from(i), 77.0].into_iter(), Some(&[true, false]));
            plain.add([f64::from(i)].into_iter());
        }
        assert_eq!([padded.mean(), padded.std(), padded.rms()], [plain.mean(), plain.std(), plain.rms()]);
        assert!(padded.all_means()[1].is_nan());
    }

    /// One long sentence among short ones: its last positions have no deviation, and count as one value each.
    #[test]
    fn a_unit_of_one_value_has_no_deviation() {
        let (mut long, mut short) = (Moments::default(), Moments::default());
        for i in 0..6 {
            let value = f64::from(i % 3);
            long.add_masked([value, 9.0, 9.0].into_iter(), Some(&[true, i == 0, i == 0]));
            short.add([value].into_iter());
        }
        let figures = |m: &Moments| [m.std(), m.pooled_std(), m.bias()];
        assert!(figures(&long).iter().zip(figures(&short)).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", figures(&long));
        assert!((long.mean() - (6.0 + 9.0 + 9.0) / 8.0).abs() < 1e-12, "{}", long.mean());
    }

    #[test]
    fn merged_moments_are_those_of_all_samples() {
        let samples: Vec<[f64; 2]> = (0..17).map(|i| [f64::from(i * i % 7), f64::from(i) * 0.3 - 1.0]).collect();
        let moments_of = |part: &[[f64; 2]]| {
            let mut moments = Moments::default();
            part.iter().for_each(|s| moments.add(s.iter().copied()));
            moments
        };
        let whole = moments_of(&samples);
        let mut merged = Moments::default();
        samples.chunks(5).for_each(|part| merged.merge(&moments_of(part)));
        for (a, b) in [(whole.mean(), merged.mean()), (whole.std(), merged.std()), (whole.rms(), merged.rms())] {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
        let mut figures = [RunningMean::default(); 2];
        samples.iter().for_each(|s| figures[0].add(s[1]));
        for part in samples.chunks(5) {
            let mut other = RunningMean::default();
            part.iter().for_each(|s| other.add(s[1]));
            figures[1].merge(&other);
        }
        let [one, other] = figures.map(|f| f.estimate());
        assert!((one.value - other.value).abs() < 1e-12 && (one.ci95 - other.ci95).abs() < 1e-12);
        let direct = samples.iter().map(|s| s[1]).sum::<f64>() / 17.0;
        assert!((whole.means()[1] - direct).abs() < 1e-12);
    }
}
