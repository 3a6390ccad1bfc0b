//! Renders tables and the data of figures as CSV (RFC 4180), with numbers in full precision.

use super::context::{Names, UniqueNames};
use crate::nn::BlockId;
use crate::report::section::{Cell, Chart, Figure, Format, HeatMap, Panel, Report, Table};

/// Returns a file name and its content for every table of the report that has rows.
///
/// Numbers have as many digits as reading them back to the same bits needs. Numbers that are not finite are `NaN`, `inf`
/// and `-inf`; an empty field means that there is no figure. A cell with a half width makes the columns `NAME` and
/// `NAME_ci95`, one with the ends of an interval `NAME`, `NAME_low` and `NAME_high`. The names of blocks in the
/// network's own file are in the column `source_name`.
pub fn csv(report: &Report) -> Vec<(String, String)> {
    let names = Names::of(report);
    let mut files = UniqueNames::default();
    let tables = report.sections.iter().flat_map(|section| &section.tables).filter(|table| !table.rows.is_empty());
    tables.map(|table| (files.name(&table.name) + ".csv", table_csv(table, &names))).collect()
}

/// Returns a table as a CSV file.
pub(super) fn table_csv(table: &Table, names: &Names) -> String {
    let parts: Vec<_> = (0..table.columns.len()).map(|column| CsvColumns::of(table, column, names)).collect();
    let heading = table.columns.iter().zip(&parts).flat_map(|(column, parts)| parts.names(&column.name));
    let mut csv = line(heading);
    for row in &table.rows {
        let network = names.of_row(table, row);
        let fields = parts.iter().enumerate().flat_map(|(column, parts)| {
            let is_count = table.columns[column].format == Format::Count;
            parts.fields(row.get(column).unwrap_or(&Cell::Empty), is_count, |id| names.source(network, id))
        });
        csv += &line(fields);
    }
    csv
}

/// The columns of a CSV file that one column of a table makes.
#[derive(Clone, Copy, Debug, Default)]
struct CsvColumns {
    has_source: bool,
    has_half_width: bool,
    has_ends: bool,
}

impl CsvColumns {
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

    fn fields<'a>(
        self,
        cell: &Cell,
        is_count: bool,
        source: impl Fn(BlockId) -> Option<&'a str>,
    ) -> impl Iterator<Item = String> {
        let (mut value, mut own, mut half, mut ends) =
            (String::new(), String::new(), String::new(), <[String; 2]>::default());
        match cell {
            Cell::Empty => {}
            Cell::Text(text) => value.clone_from(text),
            Cell::Block(id) => {
                value = id.to_string();
                own = source(*id).unwrap_or_default().into();
            }
            Cell::Number(number) if is_count && number.fract() == 0.0 => value = format!("{number:.0}"),
            Cell::Number(number) => value = number.to_string(),
            Cell::Interval(number, width) => (value, half) = (number.to_string(), width.to_string()),
            Cell::Range(number, range) => (value, ends) = (number.to_string(), range.map(|end| end.to_string())),
        }
        let [low, high] = ends;
        let has = [true, self.has_source, self.has_half_width, self.has_ends, self.has_ends];
        [value, own, half, low, high].into_iter().zip(has).filter_map(|(field, has)| has.then_some(field))
    }
}

/// Returns the data of a figure, with a row for each point or cell of a heat map; empty if it has no numbers.
pub(super) fn figure_csv(figure: &Figure, names: &Names) -> String {
    let mut csv = String::new();
    for panel in &figure.panels {
        match panel {
            Panel::Chart(chart) => chart_rows(&mut csv, chart, names),
            Panel::HeatMap(map) => heat_map_rows(&mut csv, map),
            Panel::Pictures(_) | Panel::Network(_) => {}
        }
    }
    csv
}

const CHART: [&str; 9] = ["panel", "series", "network", "block", "x", "y", "y_low", "y_high", "note"];
const HEAT_MAP: [&str; 4] = ["panel", "row", "column", "value"];

fn chart_rows(csv: &mut String, chart: &Chart, names: &Names) {
    begin(csv, &CHART);
    for series in &chart.series {
        let network = series.network.map_or("", |place| names.network(place));
        for point in &series.points {
            let [low, high] = point.range.map_or_else(Default::default, |range| range.map(|end| end.to_string()));
            let block = point.block.map(|block| block.to_string()).unwrap_or_default();
            let (x, y) = (point.x.to_string(), point.y.to_string());
            let words = [&chart.title, &series.name, network, &block].map(str::to_owned);
            *csv += &line(words.into_iter().chain([x, y, low, high, point.note.clone()]));
        }
    }
    for reference in &chart.references {
        let network = reference.network.map_or("", |place| names.network(place));
        let words = [&chart.title, &reference.label, network, "", "", &reference.y.to_string(), "", "", ""];
        *csv += &line(words.map(str::to_owned));
    }
}

fn heat_map_rows(csv: &mut String, map: &HeatMap) {
    begin(csv, &HEAT_MAP);
    for (row, values) in map.rows.iter().zip(&map.values) {
        for (column, value) in map.columns.iter().zip(values) {
            let value = value.map(|value| value.to_string()).unwrap_or_default();
            *csv += &line([map.title.clone(), row.clone(), column.clone(), value]);
        }
    }
}

/// Writes the heading unless the previous panel had the same.
fn begin(csv: &mut String, heading: &[&str]) {
    let heading = line(heading.iter().map(|name| (*name).to_owned()));
    let last = csv.lines().rfind(|line| line.starts_with("panel,")).map(|line| format!("{line}\n"));
    if last.as_ref() != Some(&heading) {
        *csv += &heading;
    }
}

fn line(fields: impl IntoIterator<Item = String>) -> String {
    fields.into_iter().map(|field| quoted(&field)).collect::<Vec<_>>().join(",") + "\n"
}

/// Quotes a field that has a separator, a quote or a line break.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::render::sample;
    use crate::report::section::{Column, RowKey, Section};

    /// Fields of a line, quotes removed.
    fn fields(line: &str) -> Vec<String> {
        let mut fields = vec![String::new()];
        let mut is_quoted = false;
        for c in line.chars() {
            match c {
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => fields.push(String::new()),
                c => fields.last_mut().unwrap().push(c),
            }
        }
        fields
    }

    fn file(report: &Report, name: &str) -> String {
        csv(report).into_iter().find(|(file, _)| file == name).unwrap().1
    }

    #[test]
    fn intervals_and_names_of_blocks_get_columns_of_their_own() {
        let file = file(&sample::single(), "estimation.csv");
        let lines: Vec<_> = file.lines().collect();
        assert_eq!(lines[0], "block,source_name,mean,mean_ci95,std_relative,std_relative_low,std_relative_high");
        assert!(lines[1].starts_with("stage1.block1,layer1.0,-0.75"), "{}", lines[1]);
        assert!(lines[7].starts_with("stage1.block7,layer1.6,NaN,"), "{}", lines[7]);
        assert_eq!(lines.len(), 27);
    }

    #[test]
    fn every_line_has_the_columns_of_the_heading() {
        for report in [sample::single(), sample::comparison(), sample::deep()] {
            for (name, content) in csv(&report) {
                let counts: Vec<_> = content.lines().map(|line| fields(line).len()).collect();
                assert!(counts.len() > 1 && counts.iter().all(|&count| count == counts[0]), "{name}: {counts:?}");
            }
        }
        let report = sample::comparison();
        assert!(file(&report, "lesion.csv").starts_with("network,block,source_name,"));
        assert_eq!(fields(file(&report, "overview.csv").lines().nth(2).unwrap())[0], sample::HOSTILE.replace('"', ""));
    }

    #[test]
    fn numbers_keep_all_their_digits_and_what_is_absent_is_empty() {
        let columns = ["a", "b", "c", "d"].map(|name| Column::new(name, name, Format::Count));
        let mut table = Table::new("t", "t", RowKey::Other, columns);
        table.push([0.1.into(), f64::NEG_INFINITY.into(), Cell::Empty, 123_456_789_u64.into()]);
        let mut section = Section::new("s", "s");
        section.tables.push(table);
        let report = Report { sections: vec![section], ..Report::default() };
        assert_eq!(file(&report, "t.csv"), "a,b,c,d\n0.1,-inf,,123456789\n");
        assert_eq!(quoted("1,2 \"x\""), "\"1,2 \"\"x\"\"\"");
    }
}
