//! Running means and variances, of one figure or of many units at once.

use serde::{Deserialize, Serialize};

use super::score::{Estimate, Z95};

/// Mean and variance of every unit over the samples seen so far (Welford; merged as by Chan et al. 1979).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Moments {
    count: f64,
    mean: Vec<f64>,
    /// Sum of the squared deviations from the mean.
    squares: Vec<f64>,
}

impl Moments {
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

    /// The mean of every unit.
    pub(super) fn means(&self) -> &[f64] {
        &self.mean
    }

    /// The mean, averaged over the units.
    pub(super) fn mean(&self) -> f64 {
        average(self.mean.iter().copied())
    }

    /// The standard deviation over the samples (with n - 1), averaged over the units.
    pub(super) fn std(&self) -> f64 {
        average(self.deviations().into_iter())
    }

    /// The standard deviation of every unit over the samples (with n - 1).
    pub(super) fn deviations(&self) -> Vec<f64> {
        let n = (self.count - 1.0).max(1.0);
        self.squares.iter().map(|s| (s / n).sqrt()).collect()
    }

    /// The root of the mean square over samples and units.
    pub(super) fn rms(&self) -> f64 {
        let squares = self.mean.iter().zip(&self.squares).map(|(m, s)| m * m + s / self.count);
        average(squares).sqrt()
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

    /// The mean and the half width of its normal interval.
    pub(super) fn estimate(&self) -> Estimate {
        if self.is_empty() {
            return Estimate { value: f64::NAN, ci95: f64::NAN };
        }
        let variance = self.squares / (self.count - 1.0).max(1.0);
        Estimate { value: self.mean, ci95: Z95 * (variance / self.count).sqrt() }
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
