//! A linear or logarithmic axis that survives any data and chooses its own ticks.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// Values beyond this cannot be told apart on a chart anyway, and their differences would overflow.
const LARGEST: f64 = 1e100;

/// One axis: what its ends stand for and where its ticks are.
#[derive(Clone, Debug)]
pub(in crate::report) struct Axis {
    from: f64,
    to: f64,
    logarithmic: bool,
    ticks: Vec<f64>,
    decimals: usize,
}

impl Axis {
    /// Covers all finite values; the ends are round.
    pub(in crate::report) fn covering(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = extent(values);
        let step = round_step((high - low) / 5.0);
        Self::linear((low / step).floor() * step, (high / step).ceil() * step, step)
    }

    /// From `low` to `high`, both given.
    pub(in crate::report) fn between(low: f64, high: f64) -> Self {
        let (low, high) = extent([low, high]);
        Self::linear(low, high, round_step((high - low) / 5.0))
    }

    /// The numbers 1 to `count`, half a place of room on both sides.
    pub(in crate::report) fn numbers(count: usize, ticks: usize) -> Self {
        // In twos the first two ticks would be 1 and 2, which reads as ones.
        let step = match round_step(count as f64 / ticks.max(1) as f64) {
            step if step <= 1.0 => 1.0,
            2.0 => 5.0,
            step => step,
        };
        let mut axis = Self::linear(0.5, count.max(1) as f64 + 0.5, step);
        // Block 1 is where reading begins, whatever the step.
        axis.ticks.retain(|&tick| tick >= 1.0);
        if !axis.ticks.contains(&1.0) {
            axis.ticks.insert(0, 1.0);
        }
        axis
    }

    /// Logarithmic; covers all finite values above zero.
    pub(in crate::report) fn logarithmic(values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|value| (1.0 / LARGEST..LARGEST).contains(value));
        let (low, high) = extent(positive.map(f64::log10));
        let (low, high) = (low - 0.02, high + 0.02);
        let stride = ((high - low) / 6.0).ceil().max(1.0);
        let within = |parts: &[f64]| -> Vec<f64> {
            let decades = (low.floor() as i32..=high.ceil() as i32).filter(|decade| f64::from(*decade) % stride == 0.0);
            let ticks = decades.flat_map(|decade| parts.iter().map(move |part| part * 10_f64.powi(decade)));
            ticks.filter(|tick| (low..=high).contains(&tick.log10())).collect()
        };
        let decades = within(&[1.0]);
        let ticks = if decades.len() < 3 { within(&[1.0, 2.0, 5.0]) } else { decades };
        Self { from: 10_f64.powf(low), to: 10_f64.powf(high), logarithmic: true, ticks, decimals: 0 }
    }

    /// The same axis, cut off where no value can be.
    pub(in crate::report) fn within(self, low: f64, high: f64) -> Self {
        let (from, to) = (self.from.max(low), self.to.min(high));
        let ticks = self.ticks.iter().copied().filter(|tick| (from..=to).contains(tick)).collect();
        if from < to { Self { from, to, ticks, ..self } } else { self }
    }

    /// The same axis, read from its high end to its low one.
    pub(in crate::report) fn reversed(self) -> Self {
        Self { from: self.to, to: self.from, ..self }
    }

    /// Whether a value has a place on this axis.
    pub(super) fn shows(&self, value: f64) -> bool {
        value.is_finite() && (!self.logarithmic || value > 0.0)
    }

    /// The nearest value on the axis.
    pub(super) fn clip(&self, value: f64) -> f64 {
        value.clamp(self.from.min(self.to), self.from.max(self.to))
    }

    /// The axis's ends: left and right, or bottom and top.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// Characters of the longest tick label.
    pub(super) fn label_width(&self) -> usize {
        self.ticks.iter().map(|&tick| self.label(tick).chars().count()).max().unwrap_or(1)
    }

    fn linear(from: f64, to: f64, step: f64) -> Self {
        let (first, last) = ((from / step - 1e-9).ceil(), (to / step + 1e-9).floor());
        let count = (last - first).clamp(0.0, 50.0) as usize;
        let ticks = (0..=count).map(|index| (first + index as f64) * step + 0.0).collect();
        let decimals = (-step.log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
        Self { from, to, logarithmic: false, ticks, decimals }
    }

    fn label(&self, value: f64) -> String {
        let size = value.abs();
        let plain = size == 0.0 || (1e-6..1e6).contains(&size);
        let text = match () {
            () if !plain => format!("{value:.0e}"),
            () if self.logarithmic => value.to_string(),
            () => format!("{value:.*}", self.decimals),
        };
        text.replace('-', "−")
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let place = |value: f64| if self.logarithmic { value.max(1.0 / LARGEST).log10() } else { value };
        let share = (place(*value) - place(self.from)) / (place(self.to) - place(self.from));
        start + (share.clamp(-1.0, 2.0) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
}

/// The least and the greatest finite value, pushed apart where they are too close to draw.
fn extent(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    let (low, high) = finite
        .map(|value| value.clamp(-LARGEST, LARGEST))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let size = low.abs().max(high.abs());
    match () {
        () if low > high => (0.0, 1.0),
        () if size == 0.0 => (-0.5, 0.5),
        () if high - low < 1e-9 * size => (low - 0.1 * size, high + 0.1 * size),
        () => (low, high),
    }
}

/// 1, 2 or 5 times a power of ten, not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.max(1e-300).log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors.into_iter().map(|factor| factor * power).find(|round| *round >= step * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few_whatever_the_values() {
        let huge = [f64::MAX, f64::MIN, f64::NAN];
        let cases: [&[f64]; 8] =
            [&[], &[0.0], &[0.3, 0.3], &[1e16, 1e16 + 2.0], &huge, &[1e-300], &[-3.0, 8.0], &[0.97, 0.99]];
        for values in cases {
            for axis in [Axis::covering(values.iter().copied()), Axis::logarithmic(values.iter().copied())] {
                let (from, to) = axis.ends();
                assert!(from < to && from.is_finite() && to.is_finite(), "{values:?}: {axis:?}");
                assert!(axis.ticks.len() <= 20, "{values:?}: {axis:?}");
                assert!((0..=100).contains(&axis.map(&from, (0, 100))));
            }
        }
        let labels = |axis: &Axis| axis.ticks.iter().map(|&tick| axis.label(tick)).collect::<Vec<_>>();
        assert_eq!(labels(&Axis::covering([-0.31, 0.4])), ["−0.4", "−0.2", "0.0", "0.2", "0.4"]);
        assert_eq!(labels(&Axis::logarithmic([0.01, 1.2])), ["0.01", "0.1", "1"]);
        assert_eq!(labels(&Axis::numbers(49, 8)), ["1", "10", "20", "30", "40"]);
        assert_eq!(labels(&Axis::numbers(3, 8)), ["1", "2", "3"]);
        assert_eq!(labels(&Axis::numbers(1, 8)), ["1"]);
    }

    #[test]
    fn shares_end_at_a_hundred_percent() {
        // Equal values are pushed apart, and whiskers may reach beyond.
        for values in [[100.0, 100.0], [87.0, 104.0], [0.0, 0.0]] {
            let axis = Axis::covering(values).within(0.0, 100.0);
            let (from, to) = axis.ends();
            assert!(0.0 <= from && from < to && to <= 100.0, "{values:?}: {axis:?}");
            assert!(axis.ticks.iter().all(|tick| (from..=to).contains(tick)), "{values:?}: {axis:?}");
        }
        assert_eq!(Axis::covering([-3.0, -2.0]).within(0.0, 100.0).ends(), Axis::covering([-3.0, -2.0]).ends());
    }

    #[test]
    fn a_reversed_axis_runs_from_high_to_low() {
        let axis = Axis::between(0.0, 1.0).reversed();
        assert_eq!((axis.map(&1.0, (0, 100)), axis.map(&0.0, (0, 100))), (0, 100));
    }
}
