//! Tables.

use maud::{Markup, html as markup};

use super::{Page, csv_link, network_name, words};
use crate::report::render::context::{key_columns, without_empty_columns};
use crate::report::render::csv::table_csv;
use crate::report::render::number::{self, counted};
use crate::report::render::prose;
use crate::report::section::{Cell, Column, Format, Table};

/// A table with more letters in a row is printed on a landscape page.
const WIDE: f64 = 140.0;

impl Page<'_> {
    /// Writes a table, either open or folded behind its title.
    pub(super) fn table(&mut self, table: &Table, title: &str, is_folded: bool) -> Markup {
        let file = self.files.name(&table.name);
        let csv = table_csv(table, self.names);
        let shown = without_empty_columns(table);
        let width = letters(&shown);
        let plain = prose::plain(title);
        let body = markup! {
            div.scroll tabindex="0" role="region" aria-label=(plain) style={ "--letters:" (format!("{width:.0}")) } {
                (self.rows(&shown))
            }
            div.tools { (csv_link(&file, &csv, &plain)) }
        };
        markup! {
            @if is_folded {
                details.table .wide[width > WIDE] {
                    summary { (words(title)) " " span.count { (counted(table.rows.len(), "row")) } }
                    (body)
                }
            } @else {
                div.table .wide[width > WIDE] { @if !title.is_empty() { h4 { (words(title)) } } (body) }
            }
        }
    }

    fn rows(&self, table: &Table) -> Markup {
        let keys = key_columns(table);
        markup! {
            table {
                thead { tr { @for column in &table.columns { th scope="col" .n[is_number(column)] { (words(&column.heading)) } } } }
                tbody {
                    @for row in &table.rows {
                        tr data-n=[self.names.of_row(table, row).filter(|_| self.names.are_several())] data-b=[blocks(row)] {
                            @for (place, (cell, column)) in row.iter().zip(&table.columns).enumerate() {
                                @if place < keys { th scope="row" .n[is_number(column)] { (self.cell(table, row, cell, column)) } }
                                @else { td .n[is_number(column)] { (self.cell(table, row, cell, column)) } }
                            }
                        }
                    }
                }
            }
        }
    }

    fn cell(&self, table: &Table, row: &[Cell], cell: &Cell, column: &Column) -> Markup {
        match cell {
            Cell::Text(text) if column.name == "network" => network_name(text),
            Cell::Text(text) => words(text),
            Cell::Block(id) => {
                let source = self.names.source(self.names.of_row(table, row), *id);
                markup! { (id.to_string()) @if let Some(source) = source { " " span.source { (source) } } }
            }
            _ => markup! { (number::cell(cell, column)) },
        }
    }
}

fn is_number(column: &Column) -> bool {
    column.format != Format::Text
}

/// Returns the blocks of a row, joined by spaces; `None` if it has none.
fn blocks(row: &[Cell]) -> Option<String> {
    let blocks = row.iter().filter_map(|cell| if let Cell::Block(id) = cell { Some(id.to_string()) } else { None });
    let blocks: Vec<String> = blocks.collect();
    (!blocks.is_empty()).then(|| blocks.join(" "))
}

/// Estimates the width of a table in letters. The style sheet chooses the size of printed type by it.
fn letters(table: &Table) -> f64 {
    let width = |place: usize, column: &Column| {
        let cells = table.rows.iter().map(|row| match &row[place] {
            Cell::Block(id) => id.to_string().len() + 12,
            Cell::Text(text) => text.chars().count().min(super::NAME_LENGTH),
            cell => number::cell(cell, column).chars().count(),
        });
        let heading = column.heading.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
        cells.max().unwrap_or(0).max(heading) as f64 + 3.0
    };
    table.columns.iter().enumerate().map(|(place, column)| width(place, column)).sum()
}
