//! 95 % intervals of means over samples, and tests of many of them.

use indexmap::IndexMap;

use super::Prediction;
use super::score::Estimate;

/// The quantile of the normal distribution that leaves 2.5 % above it.
pub(super) const Z95: f64 = 1.959_963_984_540_054;

/// The level of significance of a family of comparisons.
const LEVEL: f64 = 0.05;

/// Returns the quantile of Student's t distribution that leaves 2.5 % above it, within 1e-4. NaN without a degree of freedom.
pub(super) fn t95(freedom: f64) -> f64 {
    const FIRST: [f64; 9] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622];
    if freedom < 1.0 {
        return f64::NAN;
    }
    if freedom.is_infinite() {
        return Z95;
    }
    if let Some(&exact) = FIRST.get(freedom as usize - 1) {
        return exact;
    }
    // The expansion in 1/freedom about the normal quantile (Abramowitz and Stegun 26.7.5).
    let z = Z95;
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
        (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1482.0 * z.powi(5) - 1920.0 * z.powi(3) - 945.0 * z) / 92_160.0,
    ];
    terms.iter().zip(1..).fold(z, |sum, (term, power)| sum + term / freedom.powi(power))
}

/// Returns the normal deviate that is as likely as a value of Student's t distribution (Hill 1970, algorithm 395), for two degrees of
/// freedom or more.
fn normal_of_t(t: f64, freedom: f64) -> f64 {
    if freedom.is_infinite() {
        return t;
    }
    let a = freedom - 0.5;
    let b = 48.0 * a * a;
    let z = (a * (t * t / freedom).ln_1p()).sqrt();
    let higher = 4.0 * z.powi(7) + 33.0 * z.powi(5) + 240.0 * z.powi(3) + 855.0 * z;
    z + (z.powi(3) + 3.0 * z) / b - higher / (10.0 * b * (b + 0.8 * z.powi(4) + 100.0))
}

/// Figures of samples that are independent of each other: how many positions each has, and the mean over them.
struct Independent(Vec<(f64, f64)>);

impl Independent {
    /// Puts samples of one group, such as the words of a sentence, together. Samples without positions are left out.
    fn new<'a>(values: impl Iterator<Item = (&'a Prediction, f64)>) -> Self {
        let mut groups: IndexMap<u32, (f64, f64)> = IndexMap::new();
        for (prediction, value) in values.filter(|(prediction, _)| prediction.positions > 0) {
            let positions = f64::from(prediction.positions);
            let group = groups.entry(prediction.group).or_insert((0.0, 0.0));
            group.1 =
                if group.0 == 0.0 { value } else { (group.0 * group.1 + positions * value) / (group.0 + positions) };
            group.0 += positions;
        }
        Self(groups.into_values().collect())
    }

    fn count(&self) -> f64 {
        self.0.len() as f64
    }

    fn positions(&self) -> f64 {
        self.0.iter().map(|(w, _)| w).sum()
    }

    /// Whether samples have several positions, which are not independent.
    fn is_clustered(&self) -> bool {
        self.positions() > self.count()
    }

    /// The mean over all positions.
    fn mean(&self) -> f64 {
        self.0.iter().map(|(w, x)| w * x).sum::<f64>() / self.positions()
    }

    /// `Σ (w·(x - centre))²`.
    fn squares(&self, centre: f64) -> f64 {
        self.0.iter().map(|(w, x)| (w * (x - centre)).powi(2)).sum()
    }

    /// The standard error of the mean: that of the ratio `Σ w·x / Σ w` of two sums over samples,
    /// `√(n/(n-1) · Σ w²·(x - mean)²) / Σ w`. NaN for a single sample.
    fn standard_error(&self) -> f64 {
        let n = self.count();
        (n / (n - 1.0) * self.squares(self.mean())).sqrt() / self.positions()
    }
}

/// Returns the mean of some values, and the half width of its interval by Student's t distribution. The half width is NaN for a
/// single value and for values that are all equal.
pub fn mean(values: impl Iterator<Item = f64>) -> Estimate {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    // A sum, so that shares of counts are exact.
    let value = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
    Estimate { value, ci95: t_interval((squares / (n - 1.0) / n).sqrt(), n) }
}

/// Returns the half width of the interval of a mean over so many samples; NaN where its standard error is 0 or not known.
pub(super) fn t_interval(standard_error: f64, samples: f64) -> f64 {
    if standard_error > 0.0 { t95(samples - 1.0) * standard_error } else { f64::NAN }
}

/// Returns the mean over all positions of a figure that is known as the mean over the positions of each sample, with its
/// interval by Student's t distribution.
///
/// Samples are independent, their positions are not, nor are words of one sentence.
pub(super) fn position_mean<'a>(values: impl Iterator<Item = (&'a Prediction, f64)>) -> Estimate {
    let samples = Independent::new(values);
    Estimate { value: samples.mean(), ci95: t_interval(samples.standard_error(), samples.count()) }
}

/// Returns the mean over all positions of values between -1 and 1 that count changes: of the difference of two predictions,
/// 1 where only the first is correct, -1 where only the second is.
///
/// The interval is that of Agresti and Min (2005): half an answer more in each of the four cells of correct and wrong. It is
/// right for few samples and for no change, where it is `±1.96/(n + 2)`. It is widened so that, centred on the mean, it contains
/// theirs. Changes within a sample or a sentence may come together, so that each added answer weighs as much as an average
/// change, and Student's t distribution takes the place of the normal one.
pub(super) fn change<'a>(values: impl Iterator<Item = (&'a Prediction, f64)>) -> Estimate {
    let samples = Independent::new(values);
    if samples.0.is_empty() {
        return Estimate { value: f64::NAN, ci95: f64::NAN };
    }
    let changed: f64 = samples.0.iter().map(|(w, x)| w * x.abs()).sum();
    let size = if changed > 0.0 { samples.squares(0.0) / changed } else { samples.positions() / samples.count() };
    let value = samples.mean();
    let total = samples.positions() + 2.0 * size;
    let centre = value * samples.positions() / total;
    let n = samples.count();
    let (quantile, factor) = if samples.is_clustered() { (t95(n - 1.0), n / (n - 1.0)) } else { (Z95, 1.0) };
    let squares = factor * samples.squares(centre) + (1.0 + 2.0 * centre * centre) * size * size;
    Estimate { value, ci95: quantile * squares.sqrt() / total + (value - centre).abs() }
}

/// Returns the share of positions for which something is so, with the distance to the farther end of its Wilson interval.
pub(super) fn share<'a>(values: impl Iterator<Item = (&'a Prediction, f64)>) -> Estimate {
    let (value, [low, high]) = wilson(values);
    Estimate { value, ci95: (high - value).max(value - low) }
}

/// Returns the share of positions for which something is so, and the ends of its Wilson score interval.
///
/// Positions of a sample, and words of a sentence, are not independent: they count as as many samples as would give the same
/// variance, fewer by the factor that Student's t distribution asks for (Korn and Graubard 1998).
pub(super) fn wilson<'a>(values: impl Iterator<Item = (&'a Prediction, f64)>) -> (f64, [f64; 2]) {
    let samples = Independent::new(values);
    let (value, positions) = (samples.mean(), samples.positions());
    if value.is_nan() {
        return (value, [f64::NAN; 2]);
    }
    let n = match value * (1.0 - value) / samples.standard_error().powi(2) {
        // Where all answers are alike, how alike the positions of a sample are is not known.
        independent if samples.is_clustered() && independent.is_finite() => {
            independent.min(positions) * (Z95 / t95(samples.count() - 1.0)).powi(2)
        }
        _ => samples.count(),
    };
    let z2 = Z95 * Z95;
    let centre = (value + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (value * (1.0 - value) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends the bounds are exact; rounding would leave 1e-19 of them.
    let low = if value == 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if value == 1.0 { 1.0 } else { (centre + half).min(1.0) };
    (value, [low, high])
}

/// Returns which figures differ from 0, at a level of 5 % for all of them together (Holm 1979). Figures without an interval
/// do not. `freedom` is that of the Student's t distribution that made the intervals, infinite for the normal distribution.
pub(super) fn differs_from_zero(estimates: &[Estimate], freedom: f64) -> Vec<bool> {
    // The two-sided probability of a value as far from 0.
    let probability = |estimate: &Estimate| {
        let t = t95(freedom) * estimate.value.abs() / estimate.ci95;
        libm::erfc(normal_of_t(t, freedom) / std::f64::consts::SQRT_2)
    };
    let mut order: Vec<(usize, f64)> = estimates.iter().map(probability).enumerate().collect();
    order.retain(|(_, p)| p.is_finite());
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut differs = vec![false; estimates.len()];
    let count = estimates.len();
    let first = order.iter().enumerate().take_while(|(rank, (_, p))| *p <= LEVEL / (count - rank) as f64);
    first.for_each(|(_, (place, _))| differs[*place] = true);
    differs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};
    use rand_chacha::rand_core::Rng;

    #[test]
    fn the_quantiles_are_those_of_tables() {
        let table = [(1, 12.7062), (2, 4.3027), (4, 2.7764), (5, 2.5706), (7, 2.3646), (19, 2.0930), (100, 1.9840)];
        for (freedom, quantile) in table {
            assert!((t95(f64::from(freedom)) - quantile).abs() < 1e-4, "{freedom}: {}", t95(f64::from(freedom)));
        }
        assert!(t95(0.0).is_nan());
        assert!((t95(1e9) - Z95).abs() < 1e-8);
    }

    fn predictions(positions: &[u32], groups: &[u32]) -> Vec<Prediction> {
        let all = positions.iter().zip(groups);
        all.map(|(&positions, &group)| Prediction { positions, group, ..Prediction::default() }).collect()
    }

    /// Some samples that each have one position.
    fn singles(count: u32) -> Vec<Prediction> {
        predictions(&vec![1; count as usize], &(0..count).collect::<Vec<_>>())
    }

    #[test]
    fn a_change_has_the_interval_of_agresti_and_min() {
        let samples = singles(50);
        // Six answers are lost, two are gained.
        let value = |n: usize| [-1.0, 0.0, 1.0][if n < 6 { 2 } else { usize::from(n >= 8) }];
        let found = change(samples.iter().enumerate().map(|(n, sample)| (sample, value(n))));
        let (b, c, n): (f64, f64, f64) = (6.5, 2.5, 52.0);
        let centre = (b - c) / n;
        let half = Z95 * ((b + c) - (b - c).powi(2) / n).sqrt() / n;
        assert!((found.value - 0.08).abs() < 1e-15);
        assert!((found.ci95 - half - (0.08 - centre)).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn no_change_in_few_samples_has_a_wide_interval() {
        for n in [1, 5, 100] {
            let samples = singles(n);
            let found = change(samples.iter().map(|sample| (sample, 0.0)));
            assert!((found.ci95 - Z95 / (f64::from(n) + 2.0)).abs() < 1e-12, "{n}: {found:?}");
        }
    }

    #[test]
    fn figures_without_spread_have_no_interval() {
        assert!(mean([0.5].into_iter()).ci95.is_nan());
        assert!(mean([0.5, 0.5, 0.5].into_iter()).ci95.is_nan());
        let samples = singles(3);
        assert!(position_mean(samples[..1].iter().map(|sample| (sample, 1.0))).ci95.is_nan());
        let found = mean([1.0, 2.0, 4.0].into_iter());
        assert!((found.ci95 - 4.3027 * (7.0_f64 / 3.0 / 3.0).sqrt()).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn words_of_a_sentence_count_as_one_sample() {
        let words = predictions(&[1; 6], &[0, 1, 0, 1, 2, 2]);
        let sentences = predictions(&[2; 3], &[0, 1, 2]);
        let one = position_mean(words.iter().zip([1.0, 4.0, 3.0, 4.0, 0.0, 1.0]));
        let other = position_mean(sentences.iter().zip([2.0, 4.0, 0.5]));
        assert!((one.value - other.value).abs() < 1e-15 && (one.ci95 - other.ci95).abs() < 1e-12, "{one:?} {other:?}");
    }

    /// The share of simulated data sets whose interval holds the truth: of 4,000 it is known within 0.007 at 95 %.
    fn coverage(samples: u32, draw: impl Fn(f64) -> f64, truth: f64, interval: impl Fn(&[f64]) -> Estimate) -> f64 {
        const TRIALS: u64 = 4000;
        let covers = |trial: &u64| {
            let mut random = stream(7, Purpose::BlockSwaps, &[u64::from(samples), *trial]);
            let mut uniform = || random.next_u32() as f64 / f64::from(u32::MAX);
            let values: Vec<f64> = (0..samples).map(|_| draw(uniform())).collect();
            let found = interval(&values);
            (found.value - truth).abs() <= found.ci95
        };
        (0..TRIALS).filter(covers).count() as f64 / TRIALS as f64
    }

    /// A 95 % interval that covers less often than this is too narrow.
    const LEAST_COVERAGE: f64 = 0.94;

    #[test]
    fn intervals_of_changes_cover_the_truth() {
        for samples in [5, 50, 500] {
            for [lost, gained] in [[0.0, 0.0], [0.01, 0.0], [0.02, 0.02], [0.1, 0.05], [0.5, 0.1]] {
                let draw = |u: f64| if u < lost { 1.0 } else { -f64::from(u8::from(u > 1.0 - gained)) };
                let all = singles(samples);
                let found =
                    coverage(samples, draw, lost - gained, |values| change(all.iter().zip(values.iter().copied())));
                assert!(found >= LEAST_COVERAGE, "{samples} samples, {lost} lost, {gained} gained: {found}");
            }
        }
    }

    #[test]
    fn intervals_of_means_and_shares_cover_the_truth() {
        for samples in [5, 50, 500] {
            let all = singles(samples);
            // A sum of a value between -1 and 1 and its cube: symmetric, and not normal.
            let draw = |u: f64| (2.0 * u - 1.0) + (2.0 * u - 1.0).powi(3);
            let found = coverage(samples, draw, 0.0, |values| position_mean(all.iter().zip(values.iter().copied())));
            assert!(found >= LEAST_COVERAGE, "mean of {samples}: {found}");
            for truth in [0.02, 0.3, 0.9] {
                let draw = |u: f64| f64::from(u8::from(u < truth));
                let found = coverage(samples, draw, truth, |values| share(all.iter().zip(values.iter().copied())));
                assert!(found >= LEAST_COVERAGE, "share of {truth}, {samples} samples: {found}");
            }
        }
    }

    /// Groups of 20 positions that change together or not at all but for some noise, as words of a sentence do.
    #[test]
    fn intervals_of_clustered_positions_cover_the_truth() {
        const POSITIONS: u32 = 20;
        for groups in [5, 10, 30] {
            let all = predictions(&vec![POSITIONS; groups as usize], &(0..groups).collect::<Vec<_>>());
            // A third of the positions on average, spread evenly over the groups from none to two thirds.
            let draw = |u: f64| (u * f64::from(POSITIONS) * 2.0 / 3.0).round() / f64::from(POSITIONS);
            let truth = {
                let steps = 10_000;
                (0..steps).map(|i| draw((f64::from(i) + 0.5) / f64::from(steps))).sum::<f64>() / f64::from(steps)
            };
            let changes = coverage(groups, draw, truth, |values| change(all.iter().zip(values.iter().copied())));
            let shares = coverage(groups, draw, truth, |values| share(all.iter().zip(values.iter().copied())));
            assert!(changes >= LEAST_COVERAGE && shares >= LEAST_COVERAGE, "{groups} groups: {changes} {shares}");
        }
    }

    #[test]
    fn probabilities_of_t_are_those_of_tables() {
        // Two-sided 0.0075 of 4 degrees of freedom at t = 5, and 0.01 of 9 at 3.2498.
        for (t, freedom, probability) in [(5.0, 4.0, 0.00749), (3.2498, 9.0, 0.01), (2.5706, 5.0, 0.05)] {
            let found = libm::erfc(normal_of_t(t, freedom) / std::f64::consts::SQRT_2);
            assert!((found / probability - 1.0).abs() < 0.01, "{t}, {freedom}: {found}");
        }
        // A value that the normal distribution would tell from zero in a family of twenty.
        let estimate = |value: f64| Estimate { value, ci95: t95(4.0) };
        let mut family = vec![estimate(0.0); 19];
        family.push(estimate(5.0));
        assert!(!differs_from_zero(&family, 4.0)[19]);
    }

    #[test]
    fn holm_compares_the_smallest_probability_with_the_strictest_level() {
        let at = |deviations: f64| Estimate { value: deviations, ci95: Z95 };
        // Two-sided probabilities of 0.001, 0.02, 0.04 and none: the levels are 0.0125, 0.0167, 0.025, 0.05.
        let found = differs_from_zero(
            &[at(2.054), at(3.29), at(-2.326), Estimate { value: 9.0, ci95: f64::NAN }],
            f64::INFINITY,
        );
        assert_eq!(found, [false, true, false, false]);
        // Alone, each of the first three differs.
        assert_eq!(differs_from_zero(&[at(2.054)], f64::INFINITY), [true]);
        // After the smallest, 0.02 is compared with 0.05/2.
        assert_eq!(differs_from_zero(&[at(2.326), at(3.29)], f64::INFINITY), [true, true]);
    }
}
