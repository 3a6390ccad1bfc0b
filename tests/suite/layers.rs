//! The order of the modules, as docs/ARCHITECTURE.md draws it: a module uses only those to its left, and those beside the
//! line that its row allows.
//!
//!     kernel ← nn ← model ← measure ← {train, graph} ← open ← slim ← cli

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each module with the modules that it may use.
const MAY_USE: [(&str, &str); 23] = [
    ("visible", ""),
    ("error", "visible"),
    ("random", ""),
    ("ranks", "error"),
    ("float_json", ""),
    ("text", "visible error"),
    ("limits", "error"),
    ("device", "error"),
    ("atomic_file", "error"),
    ("picture", ""),
    ("data", "random text limits error"),
    ("kernel", "ranks error"),
    ("nn", "kernel random ranks device error"),
    ("model", "nn kernel random float_json device error"),
    ("report", "model nn float_json visible error"),
    ("measure", "model nn kernel data report picture random ranks float_json visible device atomic_file error"),
    ("train", "measure model nn kernel data random ranks float_json text device atomic_file error"),
    ("graph", "measure model nn kernel data random text limits device atomic_file error"),
    ("open", "train graph measure model nn kernel data random text device error"),
    ("slim", "open train graph measure model nn kernel data report random float_json text device atomic_file error"),
    ("checkpoint_folder", "slim open measure nn report text atomic_file error"),
    (
        "cli",
        "checkpoint_folder slim open train graph measure model nn kernel data report random ranks visible device atomic_file error",
    ),
    ("prelude", "slim open train graph measure model nn kernel data report random device error"),
];

/// Uses that break the order and are about to go.
const KNOWN: [(&str, &str); 0] = [];

#[test]
fn modules_use_only_what_their_row_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let reexports = reexports(&std::fs::read_to_string(src.join("lib.rs")).unwrap());
    let rows = BTreeMap::from(MAY_USE);
    let (mut faults, mut known) = (Vec::new(), BTreeSet::from(KNOWN));
    for path in rust_files(&src) {
        let file = path.strip_prefix(&src).unwrap();
        let module = file.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let Some(row) = rows.get(module.as_str()) else {
            faults.push(format!("{module} has no row in MAY_USE"));
            continue;
        };
        for used in used_modules(&std::fs::read_to_string(&path).unwrap()) {
            let used = reexports.get(&used).unwrap_or(&used);
            let is_allowed = *used == module || row.split(' ').any(|allowed| allowed == used);
            let was_known = KNOWN.iter().any(|(user, what)| (*user, *what) == (&module, used));
            known.retain(|(user, what)| (*user, *what) != (&module, used));
            if !is_allowed && !was_known {
                faults.push(format!("src/{}: {module} must not use {used}", file.display()));
            }
        }
    }
    faults.extend(known.into_iter().map(|(user, used)| format!("{user} no longer uses {used}: remove it from KNOWN")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Returns what the crate root re-exports, with the module that each item is from.
fn reexports(root: &str) -> BTreeMap<String, String> {
    let uses = root.split(';').filter_map(|item| item.trim_start().strip_prefix("pub use ")?.split_once("::"));
    uses.flat_map(|(module, items)| names(items).into_iter().map(|name| (name, module.to_owned()))).collect()
}

/// Returns the first name of every path that starts at the crate root, outside of comments.
fn used_modules(source: &str) -> BTreeSet<String> {
    let code: Vec<&str> = source.lines().map(|line| line.split("//").next().unwrap()).collect();
    let code = code.join("\n");
    let after = ["crate::", "unrolled::"].into_iter().flat_map(|root| code.split(root).skip(1));
    after.flat_map(names).filter(|name| !name.is_empty()).collect()
}

/// Returns the first name of a path, or that of each path in a group such as `{Error, data::Split}`.
fn names(path: &str) -> Vec<String> {
    let name = |path: &str| path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut paths) = (1, vec![String::new()]);
    for c in group.chars() {
        depth = match c {
            '{' => depth + 1,
            '}' => depth - 1,
            _ => depth,
        };
        match c {
            _ if depth == 0 => break,
            ',' if depth == 1 => paths.push(String::new()),
            _ => paths.last_mut().unwrap().push(c),
        }
    }
    paths.iter().map(|path| name(path)).collect()
}

#[test]
fn paths_are_found_in_groups_and_not_in_comments() {
    let source =
        "use crate::{Error, data::{self, Split}};\n// crate::slim\nlet x = crate::nn::f(); unrolled::open::g();";
    let found: Vec<String> = used_modules(source).into_iter().collect();
    assert_eq!(found, ["Error", "data", "nn", "open"]);
    assert_eq!(reexports("mod a;\npub use a::{B, C};")["C"], "a");
}
