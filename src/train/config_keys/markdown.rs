//! The text of `docs/CONFIG.md`.

use super::{KEYS, Key, Kinds, ValueType, defaults, value_at};
use crate::model::ModelKind;

/// Returns the document.
pub(super) fn markdown() -> String {
    let tables: Vec<(ModelKind, toml::Table)> = ModelKind::ALL
        .into_iter()
        .map(|kind| (kind, toml::Table::try_from(defaults(kind).unwrap()).unwrap()))
        .collect();
    let mut text = INTRODUCTION.to_owned();
    for (table, about) in TABLES {
        text += &format!("\n## `[{table}]`\n\n{about}\n\n| key | type | default | meaning |\n|---|---|---|---|\n");
        let prefix = format!("{table}.");
        for key in KEYS.iter().filter(|key| key.path.starts_with(&prefix)) {
            let name = &key.path[prefix.len()..];
            let about = format!("{}{}", key.about, possible_for(&key.kinds));
            text += &format!("| `{name}` | {} | {} | {about} |\n", type_name(&key.value), default(key, &tables));
        }
    }
    let names: Vec<&str> = ModelKind::ALL.into_iter().map(ModelKind::name).collect();
    text += &format!("{BY_KIND}\n| key | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for key in KEYS.iter().filter(|key| default(key, &tables) == DEPENDS_ON_KIND) {
        let cells: Vec<String> = tables.iter().map(|(kind, table)| cell(key, *kind, table)).collect();
        text += &format!("| `{}` | {} |\n", key.path, cells.join(" | "));
    }
    text
}

const INTRODUCTION: &str = "\
# Experiment files

An experiment file is a TOML file with the tables `[model]`, `[data]` and `[train]`. `unrolled train FILE` trains it,
`--set train.epochs=3` replaces a value, and `unrolled train --init KIND` prints a file with every key that is possible for
a kind of network, its default and a comment. A key that is not in these tables is an error.

Only `model.kind` and `data.source` are needed, and `train.steps` for texts.

This document is made from the types of the program. After a change of theirs, a test fails until it is renewed by
`UPDATE_DOCS=1 cargo test --lib config_document`.
";

const TABLES: [(&str, &str); 3] = [
    ("model", "The network. Defaults marked *by kind* are in the last table."),
    ("data", "The data set and how its samples are prepared."),
    ("train", "The optimizer, the schedule of the learning rate, and checkpoints."),
];

const BY_KIND: &str = "
## Defaults by kind of network

A dash means that the key is not possible, or has no default. A value in parentheses is the default with all other keys at
their defaults and the data set that the kind is usually trained on.
";

const DEPENDS_ON_KIND: &str = "*by kind*";

/// Returns the default of a key if it is the same for all kinds for which the key is possible.
fn default(key: &Key, tables: &[(ModelKind, toml::Table)]) -> String {
    let mut cells: Vec<String> = tables
        .iter()
        .filter(|(kind, _)| key.kinds.contain(*kind))
        .map(|(kind, table)| cell(key, *kind, table))
        .collect();
    if key.path == "model.kind" || key.path == "data.source" {
        return "required".into();
    }
    cells.dedup();
    match cells.as_slice() {
        [same] if same == NONE => "none".into(),
        [same] => same.clone(),
        _ => DEPENDS_ON_KIND.into(),
    }
}

const NONE: &str = "–";

/// Returns the default of a key for one kind of network.
fn cell(key: &Key, kind: ModelKind, table: &toml::Table) -> String {
    match value_at(table, key.path).filter(|_| key.kinds.contain(kind)) {
        Some(value) if key.derived.contain(kind) => format!("(`{value}`)"),
        Some(value) => format!("`{value}`"),
        None => NONE.into(),
    }
}

fn type_name(value: &ValueType) -> String {
    match value {
        ValueType::Integer => "integer".into(),
        ValueType::Float => "number".into(),
        ValueType::Boolean => "boolean".into(),
        ValueType::String => "string".into(),
        ValueType::Choice(names) => names.iter().map(|name| format!("`\"{name}\"`")).collect::<Vec<_>>().join(", "),
        ValueType::Integers => "list of integers".into(),
        ValueType::Floats => "list of numbers".into(),
        ValueType::FloatOrFloats => "number or list of numbers".into(),
        ValueType::IntegerOrString => "integer or string".into(),
    }
}

fn possible_for(kinds: &Kinds) -> String {
    let names =
        |kinds: &[ModelKind]| kinds.iter().map(|kind| format!("`{}`", kind.name())).collect::<Vec<_>>().join(", ");
    match kinds {
        Kinds::All | Kinds::None => String::new(),
        Kinds::Only(kinds) => format!(" Only for {}.", names(kinds)),
        Kinds::Except(kinds) => format!(" Not for {}.", names(kinds)),
    }
}
