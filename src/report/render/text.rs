//! Renders a report for a terminal, as plain tables and sentences.

mod join;
mod table;

use super::context::{Names, key_columns};
use super::prose;
use crate::report::section::{Report, RowKey, Section, Table};
use crate::visible::visible_line;
use join::JoinedTable;
use table::Layout;

/// Returns the report in lines of at most `width` characters, unless a word or column is wider.
///
/// Tables about blocks are joined into one, and so are tables about stages. All tables show their brief columns only. A
/// table that is too wide is split into groups of columns, each with the columns that name the row. The findings stand
/// below the tables.
pub fn text(report: &Report, width: usize) -> String {
    let names = Names::of(report);
    let mut text = TextWriter { lines: Vec::new(), width: width.max(20) };
    text.paragraph(&report.title);
    text.gap();
    report.intro.iter().for_each(|paragraph| text.paragraph(paragraph));
    for part in parts(report) {
        match part {
            Part::Single(section, table) => text.single(section, table, &names),
            Part::Joined(tables) => text.joined(&tables, &names),
        }
    }
    text.findings(report, &names);
    text.finish()
}

/// One printed table.
enum Part<'a> {
    Single(&'a Section, &'a Table),
    Joined(Vec<(&'a Section, &'a Table)>),
}

/// Returns the printed tables in the order of the report. A joined table stands at the place of its first part.
fn parts(report: &Report) -> Vec<Part<'_>> {
    let mut parts: Vec<Part> = Vec::new();
    let tables = report.sections.iter().flat_map(|section| section.tables.iter().map(move |table| (section, table)));
    for (section, table) in tables.filter(|(_, table)| !table.rows.is_empty() && table.brief_rows != Some(0)) {
        if !join::can_be_joined(table) {
            parts.push(Part::Single(section, table));
            continue;
        }
        let same = parts.iter_mut().find_map(|part| match part {
            Part::Joined(tables) if tables[0].1.key == table.key => Some(tables),
            _ => None,
        });
        match same {
            Some(tables) => tables.push((section, table)),
            None => parts.push(Part::Joined(vec![(section, table)])),
        }
    }
    parts
}

struct TextWriter {
    lines: Vec<String>,
    width: usize,
}

impl TextWriter {
    fn single(&mut self, section: &Section, table: &Table, names: &Names) {
        let keys = key_columns(table);
        let shown = table.brief_rows.unwrap_or(usize::MAX).min(table.rows.len());
        let mut brief = join::brief(table, keys);
        brief.rows.truncate(shown);
        let title = if table.title.is_empty() { &section.title } else { &table.title };
        self.gap();
        self.paragraph(title);
        let layout = Layout::new(&brief, keys, &[], names);
        self.groups(&layout);
        let more = table.rows.len() - shown;
        if more > 0 {
            let are = if more == 1 { "row is" } else { "rows are" };
            self.paragraph(&format!("{more} more {are} in the report."));
        }
    }

    fn joined(&mut self, tables: &[(&Section, &Table)], names: &Names) {
        for JoinedTable { network, table, titles } in join::join(tables, names) {
            self.gap();
            if let Some(network) = network {
                self.paragraph(&network);
            }
            let layout = Layout::new(&table, 1, &titles, names);
            self.groups(&layout);
        }
    }

    fn groups(&mut self, layout: &Layout) {
        for (place, group) in layout.groups(self.width).into_iter().enumerate() {
            if place > 0 {
                self.gap();
            }
            self.lines.extend(layout.lines(&group));
        }
    }

    fn findings(&mut self, report: &Report, names: &Names) {
        for section in report.sections.iter().filter(|section| !section.findings.is_empty()) {
            self.gap();
            if !section.title.is_empty() {
                self.paragraph(&section.title);
            }
            for finding in &section.findings {
                let network = finding.network.filter(|_| names.are_several());
                let name = network.map(|place| format!("{}: ", names.network(place))).unwrap_or_default();
                let sentence = clean(&format!("{name}{}", prose::plain(&finding.text)));
                for line in prose::wrap(&sentence, self.width - 2) {
                    self.lines.push(format!("  {line}"));
                }
            }
        }
    }

    fn paragraph(&mut self, text: &str) {
        self.lines.extend(prose::wrap(&clean(&prose::plain(text)), self.width));
    }

    /// Adds an empty line unless the last line is empty.
    fn gap(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    fn finish(mut self) -> String {
        while self.lines.last().is_some_and(String::is_empty) {
            self.lines.pop();
        }
        self.lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

/// Returns a text on one line, without characters that a terminal would obey.
fn clean(text: &str) -> String {
    visible_line(text).into_owned()
}

/// Whether tables with this key are joined.
fn is_joinable(key: RowKey) -> bool {
    matches!(key, RowKey::Block | RowKey::Stage)
}

#[cfg(test)]
mod tests;
