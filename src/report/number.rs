//! Numbers as people read them. A value that is not finite says so instead of posing as a figure.

/// What stands in place of a figure that is NaN or infinite.
pub(super) const NOT_FINITE: &str = "not finite";

/// What stands where there is nothing to show.
pub(super) const NONE: &str = "–";

/// About four significant digits, in powers of ten where plain digits would be long or all zeros.
pub(super) fn real(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => NOT_FINITE.into(),
        _ if size == 0.0 => "0".into(),
        _ if !(1e-4..1e6).contains(&size) => format!("{value:.2e}"),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Three decimals, for figures relative to the spread of A: two networks stand comparable one below the other.
pub(super) fn relative(value: f64) -> String {
    match value.abs() {
        size if size.is_finite() && size < 1e4 => format!("{:.3}", value + 0.0),
        _ => real(value),
    }
}

/// A figure and the half width of its interval.
pub(super) fn plus_minus(value: f64, half_width: f64) -> String {
    if !value.is_finite() {
        return NOT_FINITE.into();
    }
    format!("{} ± {}", real(value), real(half_width))
}

/// A perplexity where there is one.
pub(super) fn perplexity(value: Option<f64>) -> String {
    match value {
        Some(value) if value.is_finite() => format!("{value:.2}"),
        Some(_) => NOT_FINITE.into(),
        None => String::new(),
    }
}

/// A fraction of 1 in percent.
pub(super) fn percent(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.2} %", 100.0 * fraction) } else { NOT_FINITE.into() }
}

/// An interval of fractions in percent, the unit named once.
pub(super) fn percent_interval([low, high]: [f64; 2]) -> String {
    if !(low.is_finite() && high.is_finite()) {
        return NOT_FINITE.into();
    }
    format!("{:.2} to {:.2} %", 100.0 * low, 100.0 * high)
}

/// A difference of fractions in percentage points, the unit left to the heading.
pub(super) fn points(difference: f64) -> String {
    // Adding zero turns the -0.00 of a tiny negative difference into 0.00.
    let rounded = (10_000.0 * difference).round() / 100.0 + 0.0;
    if rounded.is_finite() { format!("{rounded:.2}") } else { NOT_FINITE.into() }
}

/// A whole number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut apart = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

/// A count and its noun, in the plural where the count asks for it.
pub(super) fn counted(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(number as u64), if number == 1 { "" } else { "s" })
}

/// A large number in thousands, millions or billions: `81.2 M`.
pub(super) fn short(number: u64) -> String {
    let value = number as f64;
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.1} k", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", value / 1e6),
        _ => format!("{:.2} G", value / 1e9),
    }
}

/// `16×32×32`.
pub(super) fn shape(sizes: &[usize]) -> String {
    let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
    if sizes.is_empty() { NONE.into() } else { sizes.join("×") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(0.97314), "97.31 %");
        assert_eq!(percent_interval([0.9, 0.95]), "90.00 to 95.00 %");
        assert_eq!(points(-0.000_001), "0.00");
        assert_eq!(points(0.0123), "1.23");
        assert_eq!(real(-0.0), "0");
        assert_eq!(real(0.012_345), "0.0123");
        assert_eq!(real(1.2e-7), "1.20e-7");
        assert_eq!(real(f64::NEG_INFINITY), "not finite");
        assert_eq!(plus_minus(1.0, f64::NAN), "1.0000 ± not finite");
        assert_eq!(relative(-0.0), "0.000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(123), "123");
        assert_eq!(counted(1, "block"), "1 block");
        assert_eq!(short(40_552_448), "40.6 M");
        assert_eq!(shape(&[16, 32, 32]), "16×32×32");
    }
}
