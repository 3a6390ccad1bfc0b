//! Maps values to positions: the ends of an axis and its ticks.

use crate::report::render::number::{self, MINUS};
use crate::report::section::Scale;

/// Greater values are clamped, since their differences would overflow.
const LARGEST: f64 = 1e100;

/// Maps the values of one axis to positions between 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AxisScale {
    from: f64,
    to: f64,
    is_logarithmic: bool,
    /// Values and labels of the ticks.
    pub(super) ticks: Vec<(f64, String)>,
}

/// Where an axis with a free scale ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// At the ticks around all values.
    Round,
    /// At the least and the greatest value.
    Tight,
}

impl AxisScale {
    /// Creates the scale of an axis that shows these values. Scales of blocks and categories extend half a place beyond the
    /// first and last one and have no numeric ticks.
    pub(super) fn new(scale: &Scale, values: impl IntoIterator<Item = f64>, ends: Ends, ticks: usize) -> Self {
        match scale {
            Scale::Linear => linear(values, ends, ticks),
            Scale::Including(more) => linear(values.into_iter().chain(more.iter().copied()), ends, ticks),
            Scale::Between(low, high) => between(*low, *high, ticks),
            Scale::Logarithmic => logarithmic(values, ends),
            Scale::RelativeDepth => between(0.0, 1.0, ticks),
            Scale::Blocks(blocks) => places(blocks.len()),
            Scale::Categories(names) => places(names.len()),
        }
    }

    /// Returns the position of a value: 0 at the beginning of the axis, 1 at its end, and beyond them outside of it. `None`
    /// for NaN, and on a logarithmic axis for a value that is not positive.
    pub(super) fn share(&self, value: f64) -> Option<f64> {
        if value.is_nan() || (self.is_logarithmic && value <= 0.0) {
            return None;
        }
        if value.is_infinite() {
            return Some(value);
        }
        let position = |value: f64| if self.is_logarithmic { value.log10() } else { value.clamp(-LARGEST, LARGEST) };
        Some((position(value) - position(self.from)) / (position(self.to) - position(self.from)))
    }

    /// Returns the value at which bars begin: zero, or the end of the axis that is nearest to it.
    pub(super) fn base(&self) -> f64 {
        if self.is_logarithmic { self.from } else { 0.0_f64.clamp(self.from, self.to) }
    }
}

/// Returns the scale of `count` places, the first at 0.
fn places(count: usize) -> AxisScale {
    AxisScale { from: -0.5, to: count.max(1) as f64 - 0.5, is_logarithmic: false, ticks: Vec::new() }
}

fn between(low: f64, high: f64, ticks: usize) -> AxisScale {
    let (low, high) = extent([low, high]);
    with_ticks(low, high, round_step((high - low) / ticks.max(1) as f64))
}

fn linear(values: impl IntoIterator<Item = f64>, ends: Ends, ticks: usize) -> AxisScale {
    let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    let (low, high) = extent(values.iter().copied());
    let mut step = round_step((high - low) / ticks.max(1) as f64);
    match ends {
        Ends::Round => {
            // The tolerance keeps rounding errors from adding a tick.
            with_ticks((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step, step)
        }
        Ends::Tight => {
            // There are no ticks between two epochs.
            if !values.is_empty() && values.iter().all(|value| value.fract() == 0.0) {
                step = step.max(1.0);
            }
            with_ticks(low, high, step)
        }
    }
}

fn with_ticks(from: f64, to: f64, step: f64) -> AxisScale {
    let (first, last) = ((from / step - 1e-6).ceil(), (to / step + 1e-6).floor());
    let count = (last - first).clamp(0.0, 50.0) as usize;
    let decimals = (-step.log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
    let ticks = (0..=count).map(|index| (first + index as f64) * step);
    let ticks = ticks.map(|tick| (tick, tick_label(tick, step, decimals))).collect();
    AxisScale { from, to, is_logarithmic: false, ticks }
}

fn tick_label(value: f64, step: f64, decimals: usize) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e6).contains(&size) {
        let digits = (size.log10().floor() - (step * (1.0 + 1e-9)).log10().floor()).clamp(0.0, 6.0) as usize;
        return number::with_minus(&format!("{value:.digits$e}"));
    }
    // Rounding errors such as -1e-17 are zero.
    if size < 1e-6 * step {
        return number::fixed(0.0, decimals);
    }
    if size >= 1e4 { separated(&number::fixed(value, 0)) } else { number::fixed(value, decimals) }
}

/// Inserts a separator: `20,000` from `20000`.
fn separated(digits: &str) -> String {
    let (head, tail) = digits.split_at(digits.len() - 3);
    format!("{head},{tail}")
}

fn logarithmic(values: impl IntoIterator<Item = f64>, ends: Ends) -> AxisScale {
    let positive = values.into_iter().filter(|value| (1.0 / LARGEST..LARGEST).contains(value));
    let (low, high) = extent(positive.map(f64::log10));
    let steps = |factors: &[f64]| -> Vec<f64> {
        let decades = (low.floor() as i32 - 1)..=(high.ceil() as i32 + 1);
        decades.flat_map(|decade| factors.iter().map(move |factor| factor * 10_f64.powi(decade))).collect()
    };
    let fine = steps(&[1.0, 2.0, 5.0]);
    let (from, to) = match ends {
        Ends::Tight => (10_f64.powf(low), 10_f64.powf(high)),
        Ends::Round => {
            let below = fine.iter().rev().find(|step| step.log10() <= low + 1e-9);
            let above = fine.iter().find(|step| step.log10() >= high - 1e-9);
            (below.copied().unwrap_or(10_f64.powf(low)), above.copied().unwrap_or(10_f64.powf(high)))
        }
    };
    let inside = |ticks: Vec<f64>| -> Vec<f64> {
        ticks.into_iter().filter(|tick| (from * (1.0 - 1e-9)..=to * (1.0 + 1e-9)).contains(tick)).collect()
    };
    let decades = inside(steps(&[1.0]));
    let ticks = if decades.len() < 3 { inside(fine) } else { every(decades, 7) };
    let is_plain = ticks.iter().all(|tick| (0.99e-3..1.01e5).contains(tick));
    let ticks = ticks.into_iter().map(|tick| (tick, logarithmic_label(tick, is_plain))).collect();
    AxisScale { from, to, is_logarithmic: true, ticks }
}

/// Returns at most `most` of the ticks, evenly spaced.
fn every(ticks: Vec<f64>, most: usize) -> Vec<f64> {
    let stride = ticks.len().div_ceil(most).max(1);
    ticks.into_iter().step_by(stride).collect()
}

/// Formats a tick as `0.01`, or as `10⁻²` on an axis with very small or large numbers.
fn logarithmic_label(value: f64, is_plain: bool) -> String {
    let exponent = (value.log10() + 1e-9).floor();
    if is_plain {
        let decimals = (-exponent).max(0.0) as usize;
        return if value >= 1e4 { separated(&format!("{value:.0}")) } else { format!("{value:.decimals$}") };
    }
    let factor = (value / 10_f64.powf(exponent)).round();
    let power = format!("10{}", superscript(exponent as i32));
    if factor == 1.0 { power } else { format!("{factor}·{power}") }
}

fn superscript(exponent: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digit = |c: char| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    exponent.to_string().replace('-', &MINUS.to_string()).chars().map(digit).collect()
}

/// Returns the least and the greatest finite value, pushed apart if they are equal.
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

/// Returns the least of 1, 2 and 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.max(1e-300).log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors.into_iter().map(|factor| factor * power).find(|round| *round >= step * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ruler: &AxisScale) -> Vec<&str> {
        ruler.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    fn axis(scale: &Scale, values: &[f64]) -> AxisScale {
        AxisScale::new(scale, values.iter().copied(), Ends::Round, 5)
    }

    #[test]
    fn ticks_are_round_few_and_inside_whatever_the_values() {
        let huge = [f64::MAX, f64::MIN, f64::NAN];
        let cases: [&[f64]; 9] = [
            &[],
            &[0.0],
            &[0.3, 0.3],
            &[1e16, 1e16 + 2.0],
            &huge,
            &[1e-300],
            &[-3.0, 8.0],
            &[0.97, 0.99],
            &[f64::INFINITY],
        ];
        for values in cases {
            for scale in [Scale::Linear, Scale::Logarithmic, Scale::Including(vec![0.0]), Scale::Between(1.0, 1.0)] {
                for ends in [Ends::Round, Ends::Tight] {
                    let ruler = AxisScale::new(&scale, values.iter().copied(), ends, 5);
                    assert!(ruler.from < ruler.to && (ruler.to - ruler.from).is_finite(), "{values:?}: {ruler:?}");
                    assert!(ruler.ticks.len() <= 20, "{values:?}: {ruler:?}");
                    for (tick, _) in &ruler.ticks {
                        let share = ruler.share(*tick).unwrap();
                        assert!((-1e-6..=1.0 + 1e-6).contains(&share), "{values:?}: {ruler:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn ticks_are_steps_of_one_two_or_five() {
        assert_eq!(labels(&axis(&Scale::Linear, &[-0.31, 0.4])), ["−0.4", "−0.2", "0.0", "0.2", "0.4"]);
        assert_eq!(labels(&axis(&Scale::Between(0.0, 100.0), &[])), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(
            labels(&axis(&Scale::Linear, &[0.0, 50_000.0])),
            ["0", "10,000", "20,000", "30,000", "40,000", "50,000"]
        );
        let epochs = AxisScale::new(&Scale::Linear, [1.0, 2.0, 3.0], Ends::Tight, 8);
        assert_eq!(labels(&epochs), ["1", "2", "3"]);
    }

    #[test]
    fn a_logarithmic_axis_has_decades() {
        assert_eq!(labels(&axis(&Scale::Logarithmic, &[0.01, 1.2])), ["0.01", "0.1", "1"]);
        assert_eq!(labels(&axis(&Scale::Logarithmic, &[1.0, 8.0])), ["1", "2", "5", "10"]);
        assert_eq!(labels(&axis(&Scale::Logarithmic, &[1e-6, 1e-4])), ["10⁻⁶", "10⁻⁵", "10⁻⁴"]);
        assert_eq!(axis(&Scale::Logarithmic, &[1.0, 100.0]).share(-1.0), None);
        assert_eq!(axis(&Scale::Logarithmic, &[1.0, 100.0]).share(10.0), Some(0.5));
    }

    #[test]
    fn every_value_and_every_included_one_is_within_the_axis() {
        let ruler = axis(&Scale::Including(vec![0.0, 100.0]), &[87.0, 104.0]);
        for value in [0.0, 87.0, 100.0, 104.0] {
            assert!((0.0..=1.0).contains(&ruler.share(value).unwrap()));
        }
        assert_eq!(axis(&Scale::Between(0.0, 1.0), &[]).share(f64::NAN), None);
    }
}
