//! Lays out a table in characters: aligned columns under headings of several lines, in groups that fit the terminal.

use std::ops::Range;

use super::clean;
use crate::report::render::context::Names;
use crate::report::render::{number, prose};
use crate::report::section::{Cell, Format, Table};

/// Spaces between two columns.
const GAP: usize = 2;
/// The least width at which headings are wrapped.
const MIN_HEADING: usize = 9;

/// A table with its cells as text and the widths of its columns.
pub(super) struct Layout {
    keys: usize,
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    /// The title of the section that the column comes from; may be empty.
    title: String,
    heading: Vec<String>,
    cells: Vec<String>,
    width: usize,
    is_text: bool,
}

impl Layout {
    /// Lays out a table whose first `keys` columns name the row. `titles` has the section's title for each column, or is
    /// empty.
    pub(super) fn new(table: &Table, keys: usize, titles: &[String], names: &Names) -> Self {
        let column = |place: usize| {
            let column = &table.columns[place];
            let cells = table.rows.iter().map(|row| match &row[place] {
                Cell::Block(id) => names.block(names.of_row(table, row), *id),
                cell => number::cell(cell, column),
            });
            let cells: Vec<String> = cells.map(|cell| clean(&prose::plain(&cell))).collect();
            let widest = cells.iter().map(|cell| length(cell)).max().unwrap_or(0);
            let heading = prose::wrap(&clean(&prose::plain(&column.heading)), widest.max(MIN_HEADING));
            let width = heading.iter().map(|line| length(line)).max().unwrap_or(0).max(widest);
            let is_text = column.format == Format::Text;
            Column { title: titles.get(place).cloned().unwrap_or_default(), heading, cells, width, is_text }
        };
        Self { keys, columns: (0..table.columns.len()).map(column).collect(), rows: table.rows.len() }
    }

    /// Splits the columns after the key into groups that fit into `width` characters together with the key columns.
    pub(super) fn groups(&self, width: usize) -> Vec<Range<usize>> {
        let key_width: usize = self.columns[..self.keys].iter().map(|column| column.width + GAP).sum();
        let mut groups: Vec<Range<usize>> = Vec::new();
        let mut taken = 0;
        for (place, column) in self.columns.iter().enumerate().skip(self.keys) {
            let needed = column.width + GAP;
            match groups.last_mut() {
                Some(group) if key_width + taken + column.width <= width => group.end = place + 1,
                _ => {
                    groups.push(place..place + 1);
                    taken = 0;
                }
            }
            taken += needed;
        }
        // A table may have no columns but its key.
        if groups.is_empty() {
            groups.push(self.keys..self.keys);
        }
        groups
    }

    /// Returns the lines of the key columns and a group of columns.
    pub(super) fn lines(&self, group: &Range<usize>) -> Vec<String> {
        let columns: Vec<&Column> = self.columns[..self.keys].iter().chain(&self.columns[group.clone()]).collect();
        let mut lines: Vec<String> = Vec::new();
        if columns.iter().any(|column| !column.title.is_empty()) {
            lines.push(titles(&columns));
        }
        let height = columns.iter().map(|column| column.heading.len()).max().unwrap_or(0);
        lines.extend((0..height).map(|line| {
            join(&columns, |column| {
                let above = height - column.heading.len();
                line.checked_sub(above).map_or("", |line| &column.heading[line])
            })
        }));
        lines.push(columns.iter().map(|column| "─".repeat(column.width)).collect::<Vec<_>>().join("  "));
        lines.extend((0..self.rows).map(|row| join(&columns, |column| &column.cells[row])));
        lines
    }
}

/// Returns the line with section titles, each above its columns and no wider than they are.
fn titles(columns: &[&Column]) -> String {
    let mut line = String::new();
    for group in columns.chunk_by(|a, b| a.title == b.title) {
        let width = group.iter().map(|column| column.width + GAP).sum::<usize>() - GAP;
        let title = shorten_end(&clean(&prose::plain(&group[0].title)), width);
        line += &format!("{title}{}", " ".repeat(width + GAP - length(&title)));
    }
    line
}

fn shorten_end(text: &str, most: usize) -> String {
    const LEAST: usize = 14;
    if length(text) <= most {
        return text.into();
    }
    if most < LEAST {
        return String::new();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

fn join<'a>(columns: &[&'a Column], cell: impl Fn(&'a Column) -> &'a str) -> String {
    let padded = columns.iter().map(|column| {
        let cell = cell(column);
        let space = " ".repeat(column.width - length(cell));
        if column.is_text { format!("{cell}{space}") } else { format!("{space}{cell}") }
    });
    padded.collect::<Vec<_>>().join("  ")
}

fn length(text: &str) -> usize {
    text.chars().count()
}
