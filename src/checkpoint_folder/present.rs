//! What is said of a folder, and of what was removed from it.

use super::config_changes::short;
use super::config_keys::{Dependence, DepthKey};
use super::removal::Removal;
use super::summary::{FolderSummary, LayerList};
use super::write::Written;
use crate::report::{Cell, Column, Format, Report, RowKey, Section, Table, counted, separated};
use crate::text::excerpt;

/// Returns the tables of a folder: layers, arrays that belong to no layer, and keys of the configuration.
pub fn summary_report(summary: &FolderSummary) -> Report {
    let mut tables = Vec::new();
    for list in &summary.lists {
        tables.push(layer_table(list));
        if !list.keys.is_empty() {
            tables.push(key_table(list));
        }
    }
    let columns = [
        Column::text("array", "outside of layers"),
        Column::text("shape", "shape"),
        Column::text("dtype", "type"),
        Column::new("parameters", "parameters", Format::Count),
    ];
    let mut outside = Table::new("outside", "Arrays that belong to no layer", RowKey::Other, columns);
    for array in &summary.outside {
        let shape = array.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
        let texts = [excerpt(&array.name), shape, array.dtype.clone()].map(Cell::Text);
        outside.push(texts.into_iter().chain([Cell::Number(array.parameters as f64)]));
    }
    tables.push(outside);
    Report { sections: vec![Section { tables, ..Section::default() }], ..Report::default() }
}

impl FolderSummary {
    /// Returns what the whole folder is, in one line: the class of the network, parameters, types, files.
    pub fn headline(&self) -> String {
        let types: Vec<&str> = self.dtypes.iter().map(|(dtype, _)| dtype.as_str()).collect();
        let lists =
            self.lists.iter().map(|list| format!("{} in {}", counted(list.layers.len(), "layer"), excerpt(&list.name)));
        let lists = if self.lists.is_empty() { "no layers".to_owned() } else { lists.collect::<Vec<_>>().join(", ") };
        format!(
            "{}\n{lists}, {} parameters, {}, {} in {}",
            excerpt(&self.architecture),
            separated(self.parameters as f64),
            types.join(" and "),
            counted(self.arrays, "array"),
            counted(self.files, "file"),
        )
    }
}

fn layer_table(list: &LayerList) -> Table {
    let mut columns = vec![
        Column::text("layer", "layer"),
        Column::new("arrays", "arrays", Format::Count),
        Column::new("parameters", "parameters", Format::Count),
    ];
    let has_kinds = list.layers.iter().any(|layer| layer.kind > 0);
    if has_kinds {
        columns.push(Column::text("kind", "kind"));
    }
    let mut table = Table::new("layers", &format!("Layers of {}", excerpt(&list.name)), RowKey::Other, columns);
    for layer in &list.layers {
        let numbers = [layer.arrays as f64, layer.parameters as f64].map(Cell::Number);
        let kind = has_kinds.then(|| Cell::Text(kind_name(layer.kind)));
        table.push([Cell::Text(excerpt(&layer.name))].into_iter().chain(numbers).chain(kind));
    }
    table
}

/// Returns the name of a kind of layers: a letter, or a number where there are more.
fn kind_name(kind: usize) -> String {
    u8::try_from(kind)
        .ok()
        .filter(|kind| *kind < 26)
        .map_or(kind.to_string(), |kind| char::from(b'A' + kind).to_string())
}

fn key_table(list: &LayerList) -> Table {
    let columns = [
        Column::text("key", "key of config.json"),
        Column::text("value", "value"),
        Column::text("dependence", "depends on the depth"),
    ];
    let title = format!("Keys that depend on the layers of {}", excerpt(&list.name));
    let mut table = Table::new("keys", &title, RowKey::Other, columns);
    for key in &list.keys {
        let value = if key.value.is_null() { "not given".to_owned() } else { short(&key.value) };
        table.push([excerpt(&key.key), value, says(key)].map(Cell::Text));
    }
    table
}

/// Returns how a key depends on the depth, in a few words.
fn says(key: &DepthKey) -> String {
    match &key.dependence {
        Dependence::NumberOfLayers => "the number of layers".into(),
        Dependence::LayersOfStage { stage } => format!("the number of layers of stage {}", stage + 1),
        Dependence::EntryPerLayer => "an entry for each layer".into(),
        Dependence::LayerNumbers => "numbers of layers".into(),
        Dependence::FirstLayers => "so many first layers".into(),
        Dependence::Period { period } => format!("every {period} layers, by their numbers"),
        Dependence::Fixed => "by layer: slim refuses it".into(),
        Dependence::Unsure { why } => format!("not sure: {}", excerpt(why)),
    }
}

/// Returns what was removed, what changed with it, and what was written; without `written`, what would be.
pub fn removal_text(removal: &Removal, written: Option<&Written>) -> String {
    let mut lines = vec![format!("Removed: {}.", removal.removed.join(", "))];
    let counts = [
        ("Layers", removal.before.layers as u64, removal.after.layers as u64),
        ("Arrays", removal.before.arrays as u64, removal.after.arrays as u64),
        ("Parameters", removal.before.parameters, removal.after.parameters),
        ("Bytes of arrays", removal.before.bytes, removal.after.bytes),
    ];
    lines.extend(counts.map(|(what, before, after)| {
        format!("{what}: {} before, {} after.", separated(before as f64), separated(after as f64))
    }));
    for change in &removal.changes {
        lines.push(format!(
            "config.json: {}: {} becomes {}.",
            excerpt(&change.key),
            short(&change.before),
            short(&change.after)
        ));
    }
    let Some(written) = written else {
        lines.push("No folder was written.".into());
        return lines.join("\n") + "\n";
    };
    let paths = |paths: &[std::path::PathBuf]| {
        paths.iter().map(|path| excerpt(&path.to_string_lossy())).collect::<Vec<_>>().join(", ")
    };
    if !written.copied.is_empty() {
        lines.push(format!("Copied as they are: {}.", paths(&written.copied)));
    }
    if !written.left_out.is_empty() {
        let what = "Left out, because they hold the network as it was";
        lines.push(format!("{what}: {}.", paths(&written.left_out)));
    }
    lines.push(format!(
        "{} holds {} in {}; read again, every array has the bytes that it had.",
        excerpt(&written.folder.to_string_lossy()),
        counted(removal.after.layers, "layer"),
        counted(written.weight_files.len(), "safetensors file"),
    ));
    lines.join("\n") + "\n"
}
