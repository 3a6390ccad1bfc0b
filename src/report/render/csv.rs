//! Renders tables and the data of figures as CSV (RFC 4180), with numbers in full precision.

use super::context::Names;
use super::data_table::{DataTable, DataValue, data_tables};
use crate::report::section::{Chart, Figure, HeatMap, Panel, Report, Table};
use crate::visible::visible;

/// Returns a file name and its content for every table of the report that has rows, with the columns of a
/// [`DataTable`].
///
/// Numbers have as many digits as reading them back to the same bits needs. Numbers that are not finite are `NaN`, `inf`
/// and `-inf`; an empty field means that there is no figure.
pub fn csv(report: &Report) -> Vec<(String, String)> {
    data_tables(report).into_iter().map(|table| (format!("{}.csv", table.name), table.to_csv())).collect()
}

/// Returns a table as a CSV file.
pub(super) fn table_csv(table: &Table, names: &Names) -> String {
    DataTable::new(table.name.clone(), "", table, names).to_csv()
}

impl DataTable {
    /// Returns the table as a CSV file, see [`csv`].
    pub fn to_csv(&self) -> String {
        let field = |value: &DataValue| match value {
            DataValue::Empty => String::new(),
            DataValue::Text(text) => text.clone(),
            DataValue::Number(number) => number.to_string(),
            DataValue::Count(count) => count.to_string(),
        };
        let rows = self.rows.iter().map(|row| line(row.iter().map(field)));
        line(self.columns.iter().cloned()) + &rows.collect::<String>()
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
    let field = visible(field);
    if field.contains([',', '"', '\n']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::render::sample;
    use crate::report::section::{Cell, Column, Format, RowKey, Section};

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
