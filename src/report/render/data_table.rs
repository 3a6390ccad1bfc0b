//! The tables of a report as data: a value in every column, numbers as they are.

use super::context::{Names, UniqueNames};
use crate::nn::BlockId;
use crate::report::section::{Cell, Format, Report, Table};

/// A table whose cells hold one value each, as a CSV file and a data frame have them.
///
/// A number with the half width of its interval makes the columns `NAME` and `NAME_ci95`, one with the ends of its interval
/// `NAME`, `NAME_low` and `NAME_high`. The names of blocks in the network's own file are in the column `source_name`.
#[derive(Clone, Debug, PartialEq)]
pub struct DataTable {
    /// The name, unique within the report.
    pub name: String,
    /// What the table holds.
    pub title: String,
    /// The name of the section that the table belongs to.
    pub section: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// `[row][column]`.
    pub rows: Vec<Vec<DataValue>>,
}

/// A value in a [`DataTable`].
#[derive(Clone, Debug, Default, PartialEq)]
pub enum DataValue {
    /// There is no such figure.
    #[default]
    Empty,
    /// Words, or the name of a block.
    Text(String),
    /// A number, which may be NaN or infinite.
    Number(f64),
    /// A whole number of things.
    Count(i64),
}

/// Returns the tables of a report that have rows.
pub fn data_tables(report: &Report) -> Vec<DataTable> {
    let names = Names::of(report);
    let mut unique = UniqueNames::default();
    let sections = report.sections.iter();
    let tables = sections.flat_map(|section| section.tables.iter().map(|table| (section.name.as_str(), table)));
    let tables = tables.filter(|(_, table)| !table.rows.is_empty());
    tables.map(|(section, table)| DataTable::new(unique.name(&table.name), section, table, &names)).collect()
}

impl DataTable {
    /// Returns the values of a table of a section.
    pub(super) fn new(name: String, section: &str, table: &Table, names: &Names) -> Self {
        let parts: Vec<_> = (0..table.columns.len()).map(|column| Parts::of(table, column, names)).collect();
        let columns = table.columns.iter().zip(&parts).flat_map(|(column, parts)| parts.names(&column.name)).collect();
        let values = |row: &Vec<Cell>| {
            let network = names.of_row(table, row);
            let values = parts.iter().enumerate().flat_map(|(column, parts)| {
                let is_count = table.columns[column].format == Format::Count;
                parts.values(row.get(column).unwrap_or(&Cell::Empty), is_count, |id| names.source(network, id))
            });
            values.collect()
        };
        let rows = table.rows.iter().map(values).collect();
        Self { name, title: table.title.clone(), section: section.to_owned(), columns, rows }
    }
}

/// The columns of values that one column of a table makes.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    has_source: bool,
    has_half_width: bool,
    has_ends: bool,
}

impl Parts {
    fn of(table: &Table, column: usize, names: &Names) -> Self {
        let mut parts = Self::default();
        for row in &table.rows {
            match row.get(column) {
                Some(Cell::Interval(..)) => parts.has_half_width = true,
                Some(Cell::Range(..)) => parts.has_ends = true,
                Some(Cell::Block(id)) => parts.has_source |= names.source(names.of_row(table, row), *id).is_some(),
                _ => {}
            }
        }
        parts
    }

    fn names(self, name: &str) -> Vec<String> {
        let mut names = vec![name.to_owned()];
        let source = if name == "block" { "source_name".into() } else { format!("{name}_source_name") };
        names.extend(self.has_source.then_some(source));
        names.extend(self.has_half_width.then(|| format!("{name}_ci95")));
        names.extend(self.has_ends.then(|| format!("{name}_low")));
        names.extend(self.has_ends.then(|| format!("{name}_high")));
        names
    }

    fn values<'a>(
        self,
        cell: &Cell,
        is_count: bool,
        source: impl Fn(BlockId) -> Option<&'a str>,
    ) -> impl Iterator<Item = DataValue> {
        use DataValue::{Empty, Number, Text};
        let (mut value, mut own, mut half, mut low, mut high) = (Empty, Empty, Empty, Empty, Empty);
        match cell {
            Cell::Empty => {}
            Cell::Text(text) => value = Text(text.clone()),
            Cell::Block(id) => {
                value = Text(id.to_string());
                own = source(*id).map_or(Empty, |name| Text(name.into()));
            }
            Cell::Number(number) => value = DataValue::number(*number, is_count),
            Cell::Interval(number, width) => (value, half) = (Number(*number), Number(*width)),
            Cell::Range(number, [from, to]) => (value, low, high) = (Number(*number), Number(*from), Number(*to)),
        }
        let has = [true, self.has_source, self.has_half_width, self.has_ends, self.has_ends];
        [value, own, half, low, high].into_iter().zip(has).filter_map(|(value, has)| has.then_some(value))
    }
}

impl DataValue {
    /// Returns a number, as a count where it is one.
    fn number(number: f64, is_count: bool) -> Self {
        let is_whole = number.fract() == 0.0 && number.abs() < i64::MAX as f64;
        if is_count && is_whole { Self::Count(number as i64) } else { Self::Number(number) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::render::sample;
    use crate::report::section::{Column, RowKey, Section};

    #[test]
    fn every_row_has_a_value_for_every_column() {
        for report in [sample::single(), sample::comparison(), sample::deep()] {
            for table in data_tables(&report) {
                assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{}", table.name);
                assert!(report.sections.iter().any(|section| section.name == table.section), "{}", table.section);
            }
        }
    }

    #[test]
    fn whole_numbers_of_things_are_counts() {
        let columns = [("a", Format::Count), ("b", Format::Real), ("c", Format::Count)];
        let columns = columns.map(|(name, format)| Column::new(name, name, format));
        let mut table = Table::new("t", "t", RowKey::Other, columns);
        table.push([3_u64.into(), 3.0.into(), f64::INFINITY.into()]);
        let mut section = Section::new("s", "s");
        section.tables.push(table);
        let tables = data_tables(&Report { sections: vec![section], ..Report::default() });
        let expected = [DataValue::Count(3), DataValue::Number(3.0), DataValue::Number(f64::INFINITY)];
        assert_eq!((tables[0].name.as_str(), &tables[0].rows[0][..]), ("t", &expected[..]));
    }
}
