//! Formats numbers and cells for readers, with the minus sign U+2212.

use crate::report::section::{Cell, Column, Format};

/// The minus sign.
pub(super) const MINUS: char = '\u{2212}';
/// The greatest number of decimals of a number without an exponent.
const MAX_DECIMALS: usize = 9;

/// Formats a number.
pub(super) fn number(value: f64, format: Format) -> String {
    with_decimals(value, format, decimals(value, format))
}

/// Formats a cell of a column; an empty cell is an empty string.
pub(super) fn cell(cell: &Cell, column: &Column) -> String {
    let format = column.format;
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Block(block) => block.to_string(),
        Cell::Number(value) => number(*value, format),
        Cell::Interval(value, half_width) => interval(*value, *half_width, format),
        Cell::Range(value, [low, high]) => {
            let decimals = shared_decimals(*value, 0.5 * (high - low), format);
            let ends = [low, high].map(|end| without_unit(*end, format, decimals));
            format!("{} ({} to {})", with_decimals(*value, format, decimals), ends[0], ends[1])
        }
    }
}

/// Formats an interval as `1.23 ± 0.45`, both with the same number of decimals. A number without an interval stands alone.
fn interval(value: f64, half_width: f64, format: Format) -> String {
    if half_width.is_nan() {
        return number(value, format);
    }
    let decimals = shared_decimals(value, half_width, format);
    let half = without_unit(half_width, format, decimals);
    let rounds_to_zero = half_width != 0.0 && half.chars().all(|c| matches!(c, '0' | '.'));
    let half = if rounds_to_zero { number(half_width, Format::Real) } else { half };
    format!("{} ± {half}{}", without_unit(value, format, decimals), unit(format, value))
}

fn with_decimals(value: f64, format: Format, decimals: usize) -> String {
    without_unit(value, format, decimals) + unit(format, value)
}

fn unit(format: Format, value: f64) -> &'static str {
    if format == Format::Percent && value.is_finite() { " %" } else { "" }
}

/// Returns the number of decimals of a number. In [`Format::Real`] they make four significant digits.
fn decimals(value: f64, format: Format) -> usize {
    match format {
        Format::Count if value.fract() == 0.0 => 0,
        Format::Percent | Format::Points | Format::Fixed2 => 2,
        Format::Fixed3 => 3,
        Format::Count | Format::Real | Format::Text => significant_decimals(value, 4),
    }
}

/// Returns the number of decimals of a number and its interval: that of the greater of the two.
fn shared_decimals(value: f64, half_width: f64, format: Format) -> usize {
    let least = |a: f64| if a.is_finite() && a != 0.0 { decimals(a, format) } else { usize::MAX };
    match least(value).min(least(half_width)) {
        usize::MAX => decimals(value, format),
        decimals => decimals,
    }
}

/// Returns the number of decimals that makes `digits` significant digits.
pub(super) fn significant_decimals(value: f64, digits: i32) -> usize {
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    (digits - 1 - value.abs().log10().floor() as i32).clamp(0, MAX_DECIMALS as i32) as usize
}

fn without_unit(value: f64, format: Format, decimals: usize) -> String {
    let scaled = match format {
        Format::Percent | Format::Points => 100.0 * value,
        _ => value,
    };
    match format {
        _ if !scaled.is_finite() => not_finite(scaled),
        Format::Count if scaled.fract() == 0.0 => separated(scaled),
        Format::Count | Format::Real | Format::Text => real(scaled, decimals),
        _ if scaled.abs() >= 1e9 => real(scaled, 0),
        _ => fixed(scaled, decimals),
    }
}

/// Formats NaN and the infinities.
fn not_finite(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".into(),
        _ if value > 0.0 => "∞".into(),
        _ => format!("{MINUS}∞"),
    }
}

fn real(value: f64, decimals: usize) -> String {
    // A number whose interval needs fewer decimals than it has zeros is zero as far as anybody can tell.
    let is_zero = value.abs() < 0.5 * 10_f64.powi(-(decimals as i32)) && decimals < MAX_DECIMALS;
    match value.abs() {
        0.0 => "0".into(),
        _ if is_zero => fixed(value, decimals),
        size if !(1e-4..1e6).contains(&size) => with_minus(&format!("{value:.3e}")),
        _ => fixed(value, decimals),
    }
}

/// Formats a number with a fixed number of decimals. A negative number that rounds to zero has no sign.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let is_zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if is_zero { text.trim_start_matches('-').into() } else { with_minus(&text) }
}

/// Formats a whole number with separators: `1,234`.
pub fn separated(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "\u{2212}" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a count in thousands, millions or billions: `81.2 M`.
pub fn short(count: u64) -> String {
    let value = count as f64;
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{:.1} k", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", value / 1e6),
        _ => format!("{:.2} G", value / 1e9),
    }
}

/// Formats a shape such as `16×32×32`.
pub(super) fn shape(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// Formats a count with its noun, in the plural unless the count is one.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", separated(count as f64), if count == 1 { "" } else { "s" })
}

/// Replaces hyphens by minus signs.
pub(super) fn with_minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_shows_its_digits() {
        let cases = [
            (1234.0, Format::Count, "1,234"),
            (-1_234_567.0, Format::Count, "−1,234,567"),
            (0.5, Format::Count, "0.5000"),
            (0.97314, Format::Percent, "97.31 %"),
            (-0.0123, Format::Points, "−1.23"),
            (-0.000_001, Format::Points, "0.00"),
            (0.012_344, Format::Real, "0.01234"),
            (12.3456, Format::Real, "12.35"),
            (123_456.7, Format::Real, "123457"),
            (1.234_56e-7, Format::Real, "1.235e−7"),
            (-0.0, Format::Real, "0"),
            (-0.5, Format::Fixed3, "−0.500"),
            (2.0, Format::Fixed2, "2.00"),
            (f64::NAN, Format::Percent, "NaN"),
            (f64::NEG_INFINITY, Format::Real, "−∞"),
        ];
        for (value, format, expected) in cases {
            assert_eq!(number(value, format), expected, "{value} as {format:?}");
        }
    }

    #[test]
    fn counts_have_separators() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(separated(f64::from(number)), text);
        }
    }

    #[test]
    fn a_number_and_its_interval_have_the_same_decimals() {
        let column = |format| Column::new("x", "x", format);
        assert_eq!(cell(&Cell::Interval(-0.0123, 0.0045), &column(Format::Points)), "−1.23 ± 0.45");
        assert_eq!(cell(&Cell::Interval(0.9731, 0.01), &column(Format::Percent)), "97.31 ± 1.00 %");
        assert_eq!(cell(&Cell::Interval(1.0, 1e-7), &column(Format::Fixed2)), "1.00 ± 1.000e−7");
        assert_eq!(cell(&Cell::Range(0.97, [0.96, 0.98]), &column(Format::Percent)), "97.00 % (96.00 to 98.00)");
        // What is left of a sum that cancels is zero beside its interval.
        assert_eq!(cell(&Cell::Interval(-2.429e-15, 1.386), &column(Format::Real)), "0.000 ± 1.386");
        assert_eq!(cell(&Cell::Range(-2.429e-15, [-1.5, 1.5]), &column(Format::Real)), "0.000 (−1.500 to 1.500)");
        assert_eq!(cell(&Cell::Interval(-2.429e-15, 1e-16), &column(Format::Real)), "−2.429e−15 ± 1.000e−16");
        assert_eq!(cell(&Cell::Interval(f64::NAN, 0.1), &column(Format::Real)), "NaN ± 0.1000");
        assert_eq!(cell(&Cell::Interval(-0.07774, 0.5), &column(Format::Real)), "−0.0777 ± 0.5000");
        assert_eq!(cell(&Cell::Range(0.01, [-0.49, 0.51]), &column(Format::Real)), "0.0100 (−0.4900 to 0.5100)");
    }
}
