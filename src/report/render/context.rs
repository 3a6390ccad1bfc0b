//! Looks up names of networks and blocks in a report.

use std::collections::HashMap;

use crate::nn::BlockId;
use crate::report::section::{Cell, Panel, Report, RowKey, Table};

/// The names of a report's networks and blocks.
#[derive(Debug)]
pub(super) struct Names<'a> {
    /// Names of the networks.
    pub(super) networks: &'a [String],
    /// Names of blocks in the networks' own files.
    sources: HashMap<(usize, BlockId), &'a str>,
}

impl<'a> Names<'a> {
    /// Collects the names of a report. Its network drawings have those of blocks.
    pub(super) fn of(report: &'a Report) -> Self {
        let panels = report.sections.iter().flat_map(|section| &section.figures).flat_map(|figure| &figure.panels);
        let drawings =
            panels.filter_map(|panel| if let Panel::Network(drawing) = panel { Some(drawing) } else { None });
        let names = drawings.flat_map(|drawing| {
            let blocks = drawing.outline.blocks();
            blocks.filter_map(|(id, block)| Some(((drawing.network, id), block.source_name.as_deref()?)))
        });
        Self { networks: &report.networks, sources: names.collect() }
    }

    /// Whether the report is on several networks.
    pub(super) fn are_several(&self) -> bool {
        self.networks.len() > 1
    }

    /// Returns the name of the network at this place; empty if there is none.
    pub(super) fn network(&self, place: usize) -> &str {
        self.networks.get(place).map_or("", String::as_str)
    }

    /// Returns the name of a block in the network's own file. `network` may be `None` in a report on one network.
    pub(super) fn source(&self, network: Option<usize>, block: BlockId) -> Option<&'a str> {
        let network = network.or((self.networks.len() <= 1).then_some(0))?;
        self.sources.get(&(network, block)).copied()
    }

    /// Returns the name of a block, followed by that in the network's own file in parentheses.
    pub(super) fn block(&self, network: Option<usize>, block: BlockId) -> String {
        match self.source(network, block) {
            Some(source) => format!("{block} ({source})"),
            None => block.to_string(),
        }
    }

    /// Returns the place of the network of a row, which the column `network` names.
    pub(super) fn of_row(&self, table: &Table, row: &[Cell]) -> Option<usize> {
        let column = table.columns.iter().position(|column| column.name == "network")?;
        let Some(Cell::Text(name)) = row.get(column) else { return None };
        self.networks.iter().position(|network| network == name)
    }
}

/// Returns the number of leading columns that name the row: the network, if there is such a column, and the key.
pub(super) fn key_columns(table: &Table) -> usize {
    let has_network = table.columns.first().is_some_and(|column| column.name == "network");
    if has_network && table.key != RowKey::Network { 2.min(table.columns.len()) } else { 1 }
}

/// Returns the table without empty columns. The columns that name the row stay.
pub(super) fn without_empty_columns(table: &Table) -> Table {
    let keys = key_columns(table);
    let is_kept = |column: usize| column < keys || table.rows.iter().any(|row| !is_blank(row.get(column)));
    let kept: Vec<usize> = (0..table.columns.len()).filter(|&column| is_kept(column)).collect();
    let pick = |row: &Vec<Cell>| kept.iter().map(|&c| row.get(c).cloned().unwrap_or_default()).collect();
    Table {
        columns: kept.iter().map(|&column| table.columns[column].clone()).collect(),
        rows: table.rows.iter().map(pick).collect(),
        ..table.clone()
    }
}

/// Whether a cell is empty.
fn is_blank(cell: Option<&Cell>) -> bool {
    match cell {
        None | Some(Cell::Empty) => true,
        Some(Cell::Text(text)) => text.is_empty(),
        Some(_) => false,
    }
}

/// Returns a name for files and links: lower case letters, digits and `-`.
pub(super) fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    if slug.is_empty() { "part".into() } else { slug }
}

/// Makes names unique: a repeated one gets `-2`, `-3` and so on.
#[derive(Debug, Default)]
pub(super) struct UniqueNames(HashMap<String, usize>);

impl UniqueNames {
    /// Returns the name as a slug that was not returned before.
    pub(super) fn name(&mut self, name: &str) -> String {
        let base = slug(name);
        let mut name = base.clone();
        while self.0.contains_key(&name) {
            let count = self.0.entry(base.clone()).or_insert(1);
            *count += 1;
            name = format!("{base}-{count}");
        }
        self.0.insert(name.clone(), 1);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_safe_and_unique() {
        let mut names = UniqueNames::default();
        let given = ["Lesion cost", "lesion-cost", "../etc/<script>", "", "lesion-cost-2", "lesion cost"];
        let found = given.map(|name| names.name(name));
        assert_eq!(found, ["lesion-cost", "lesion-cost-2", "etc-script", "part", "lesion-cost-2-2", "lesion-cost-3"]);
    }
}
