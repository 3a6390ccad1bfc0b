//! Joins tables about the same blocks or stages into one wide table.

use std::collections::HashSet;

use super::is_joinable;
use crate::report::render::context::{Names, key_columns, without_empty_columns};
use crate::report::section::{Cell, RowKey, Section, Table};

/// A wide table about one network.
pub(super) struct JoinedTable {
    /// The network's name, if the report is on several.
    pub(super) network: Option<String>,
    /// The table. Its first column names the row.
    pub(super) table: Table,
    /// For every column the title of its section; empty for the first column.
    pub(super) titles: Vec<String>,
}

/// Whether a table can be joined with others: its key is a block or stage, and no key is repeated.
pub(super) fn can_be_joined(table: &Table) -> bool {
    let keys = key_columns(table);
    let mut seen = HashSet::new();
    let is_unique = table.rows.iter().all(|row| seen.insert(format!("{:?}", row.get(..keys))));
    is_joinable(table.key) && table.brief_rows.is_none() && is_unique
}

/// Returns the table with its key columns and those brief columns that are not empty.
pub(super) fn brief(table: &Table, keys: usize) -> Table {
    let kept = |column: usize| column < keys || table.columns[column].is_brief;
    let columns: Vec<usize> = (0..table.columns.len()).filter(|&column| kept(column)).collect();
    let pick = |row: &Vec<Cell>| columns.iter().map(|&c| row.get(c).cloned().unwrap_or_default()).collect();
    without_empty_columns(&Table {
        columns: columns.iter().map(|&column| table.columns[column].clone()).collect(),
        rows: table.rows.iter().map(pick).collect(),
        ..table.clone()
    })
}

/// Joins tables with the same key into one wide table for each network, in the order of the report.
pub(super) fn join(tables: &[(&Section, &Table)], names: &Names) -> Vec<JoinedTable> {
    let mut networks: Vec<Option<String>> = Vec::new();
    for (_, table) in tables {
        for row in &table.rows {
            let network = network_name(table, row);
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
    }
    networks.sort_by_key(|name| names.networks.iter().position(|network| Some(network) == name.as_ref()));
    networks
        .into_iter()
        .map(|network| join_one(tables, network))
        .filter(|joined| joined.table.columns.len() > 1)
        .collect()
}

fn join_one(tables: &[(&Section, &Table)], network: Option<String>) -> JoinedTable {
    let parts = tables.iter().map(|(section, table)| (section.title.as_str(), one_network(table, network.as_deref())));
    let parts: Vec<(&str, Table)> = parts.filter(|(_, table)| !table.rows.is_empty()).collect();
    let mut keys: Vec<Cell> = Vec::new();
    for row in parts.iter().flat_map(|(_, table)| &table.rows) {
        if !keys.contains(&row[0]) {
            keys.push(row[0].clone());
        }
    }
    // The first table may lack blocks that a later one has.
    keys.sort_by_key(|key| if let Cell::Block(id) = key { Some(*id) } else { None });
    let mut joined = JoinedTable { network, table: Table::default(), titles: vec![String::new()] };
    joined.table.columns.extend(parts.first().map(|(_, table)| table.columns[0].clone()));
    joined.table.key = parts.first().map_or(RowKey::Other, |(_, table)| table.key);
    for (title, table) in &parts {
        joined.table.columns.extend_from_slice(&table.columns[1..]);
        joined.titles.extend(std::iter::repeat_n((*title).to_owned(), table.columns.len() - 1));
    }
    joined.table.rows = keys.into_iter().map(|key| joined_row(key, &parts)).collect();
    joined
}

fn joined_row(key: Cell, parts: &[(&str, Table)]) -> Vec<Cell> {
    let mut cells = vec![key];
    for (_, table) in parts {
        match table.rows.iter().find(|row| row[0] == cells[0]) {
            Some(row) => cells.extend_from_slice(&row[1..]),
            None => cells.extend(std::iter::repeat_n(Cell::Empty, table.columns.len() - 1)),
        }
    }
    cells
}

/// Returns the rows of one network, without the column that names it.
fn one_network(table: &Table, network: Option<&str>) -> Table {
    let keys = key_columns(table);
    let of_network = |row: &&Vec<Cell>| network_name(table, row).as_deref() == network;
    let rows = table.rows.iter().filter(of_network).map(|row| row[keys - 1..].to_vec()).collect();
    let table = Table { columns: table.columns[keys - 1..].to_vec(), rows, ..table.clone() };
    brief(&table, 1)
}

fn network_name(table: &Table, row: &[Cell]) -> Option<String> {
    match &row[..key_columns(table) - 1] {
        [Cell::Text(name)] => Some(name.clone()),
        _ => None,
    }
}
