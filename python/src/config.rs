//! Configurations of live Transformers models, changed by the rules for folders.

use pyo3::prelude::*;
use serde_json::{Map, Value};
use unrolled::Error;
use unrolled::checkpoint_folder::{KeyChoices, changed_keys};

use crate::errors::{argument, to_python};

/// The keys that lead to a value, and the value before and after, as JSON.
type Change = (Vec<String>, String, String);

/// Returns what changes in a configuration where only the layers `kept` of a list of modules stay.
#[pyfunction]
pub(crate) fn config_changes(
    py: Python<'_>,
    config: &str,
    list: &str,
    depth: usize,
    kept: Vec<usize>,
    not_per_layer: Vec<String>,
    per_layer: Vec<String>,
) -> PyResult<Vec<Change>> {
    let read = serde_json::from_str::<Map<String, Value>>(config);
    let config = read.map_err(|error| argument(py, "config", error))?;
    let changes = changed_keys(&config, list, depth, &kept, &KeyChoices { keep: not_per_layer, per_layer });
    let changes = changes.map_err(|error| to_python(py, &with_keywords(error)))?;
    let change = |change: &unrolled::checkpoint_folder::ConfigChange| {
        (change.path().to_vec(), change.before.to_string(), change.after.to_string())
    };
    Ok(changes.iter().map(change).collect())
}

/// Returns an error with the keywords of `apply` in the place of the options of the command line.
fn with_keywords(error: Error) -> Error {
    match error {
        Error::Unsupported { subject, why } => {
            let why = with_keyword(&with_keyword(&why, "--keep-key ", "not_per_layer"), "--per-layer ", "per_layer");
            Error::Unsupported { subject, why }
        }
        other => other,
    }
}

/// Returns a text with `keyword=['KEY']` where it has the option and a key.
fn with_keyword(text: &str, option: &str, keyword: &str) -> String {
    let mut parts = text.split(option);
    let begins = parts.next().unwrap_or_default().to_owned();
    parts.fold(begins, |text, part| {
        let (key, rest) = part.split_at(part.find([' ', ',', ';']).unwrap_or(part.len()));
        format!("{text}{keyword}=['{key}']{rest}")
    })
}
