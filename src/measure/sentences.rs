//! Sentences of a report: the numbers in them, and one about figures that are not finite.

use super::measurement::Presented;
pub(crate) use crate::report::counted;
use crate::report::{Cell, Finding, Format, Table, separated};

/// Returns a number as it stands in a sentence, with its unit where the format is [`Format::Percent`].
pub(super) fn number(value: f64, format: Format) -> String {
    let text = match format {
        _ if !value.is_finite() => return "not finite".into(),
        Format::Text => value.to_string(),
        Format::Count => return separated(value),
        Format::Percent => format!("{:.2} %", 100.0 * value),
        Format::Points => format!("{:.2}", 100.0 * value),
        Format::Fixed2 => format!("{value:.2}"),
        Format::Fixed3 if value.abs() < 1e4 => format!("{value:.3}"),
        Format::Fixed3 | Format::Real => real(value),
    };
    // A tiny negative number is zero and has no sign.
    let is_zero = text.chars().all(|c| matches!(c, '-' | '0' | '.' | ' ' | '%'));
    if is_zero { text.replace('-', "") } else { text.replace('-', "\u{2212}") }
}

/// Returns about four significant digits, with an exponent for very large and very small numbers.
fn real(value: f64) -> String {
    match value.abs() {
        size if size != 0.0 && !(1e-4..1e6).contains(&size) => format!("{value:.2e}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Returns the mean of the finite values; `None` where there are none.
pub(super) fn finite_mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let finite: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64)
}

/// Returns the sentences that a function has to say about the networks, then how many figures of the tables are not finite.
pub(super) fn findings<T>(
    networks: &[Presented<T>],
    tables: &[Table],
    sentence: impl Fn(&Presented<T>) -> Option<String>,
) -> Vec<Finding> {
    [sentences(networks, sentence), missing_figures(networks, tables)].concat()
}

/// Returns the sentences that a function has to say about the networks.
pub(super) fn sentences<T>(
    networks: &[Presented<T>],
    sentence: impl Fn(&Presented<T>) -> Option<String>,
) -> Vec<Finding> {
    let finding = |network: &Presented<T>| Some(Finding { network: Some(network.place), text: sentence(network)? });
    networks.iter().filter_map(finding).collect()
}

/// Returns a sentence for every network with numbers in the tables that are not finite: how many there are.
pub(super) fn missing_figures<T>(networks: &[Presented<T>], tables: &[Table]) -> Vec<Finding> {
    let of_tables = if tables.len() == 1 { "of the table" } else { "of the tables" };
    sentences(networks, |network| {
        let is_named = |row: &&Vec<Cell>| networks.len() == 1 || row[0] == Cell::Text(network.name.to_owned());
        let cells = tables.iter().flat_map(|table| &table.rows).filter(is_named).flatten();
        let count = cells.filter(|cell| !is_finite(cell)).count();
        let are = if count == 1 { "is" } else { "are" };
        (count > 0).then(|| {
            let figures = counted(count, "figure");
            format!("{figures} {of_tables} {are} not finite (NaN or infinite); the charts leave such figures out.")
        })
    })
}

/// Whether the cell's number is finite; words and empty cells are.
fn is_finite(cell: &Cell) -> bool {
    match cell {
        Cell::Number(value) | Cell::Interval(value, _) | Cell::Range(value, _) => value.is_finite(),
        Cell::Empty | Cell::Text(_) | Cell::Block(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases = [
            (0.97314, Format::Percent, "97.31 %"),
            (-0.000_001, Format::Points, "0.00"),
            (-0.0123, Format::Points, "\u{2212}1.23"),
            (-0.5, Format::Fixed3, "\u{2212}0.500"),
            (2.5e4, Format::Fixed3, "25000.0"),
            (0.012_345, Format::Real, "0.0123"),
            (1.2e-7, Format::Real, "1.20e\u{2212}7"),
            (1_234_567.0, Format::Count, "1,234,567"),
            (f64::NAN, Format::Count, "not finite"),
        ];
        for (value, format, text) in cases {
            assert_eq!(number(value, format), text);
        }
        assert_eq!([counted(1, "block"), counted(2, "block")], ["1 block", "2 blocks"]);
        assert_eq!(finite_mean([1.0, f64::NAN, 3.0]), Some(2.0));
        assert_eq!(finite_mean([f64::INFINITY]), None);
    }
}
