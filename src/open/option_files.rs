//! Files that hold the values of options.

use std::path::Path;

use serde::Deserialize;

use crate::model::{ModelConfig, ModelKind};
use crate::text::{read_text, toml_message};
use crate::{Error, Result};

/// Returns the configuration of a named network, or that of the `[model]` table of an experiment file.
///
/// # Errors
/// [`Error::Unknown`] for a text that is neither a name nor a path, [`Error::File`] for a file without such a table.
///
/// # Examples
/// ```
/// let arch = unrolled::open::read_arch("highway-110")?;
/// assert_eq!(arch.kind.name(), "highway-110");
/// # Ok::<(), unrolled::Error>(())
/// ```
pub fn read_arch(name_or_path: &str) -> Result<ModelConfig> {
    #[derive(Deserialize)]
    struct Table {
        model: ModelConfig,
    }
    if let Some(kind) = ModelKind::ALL.into_iter().find(|kind| kind.name() == name_or_path) {
        return Ok(ModelConfig::new(kind));
    }
    let path = Path::new(name_or_path);
    if !path.exists() {
        return Err(Error::unknown("architecture", name_or_path, ModelKind::ALL.map(ModelKind::name)));
    }
    let toml = read_text(path)?;
    let table: Table = toml::from_str(&toml)
        .map_err(|e| Error::file(path, format!("no [model] table: {}", toml_message(&e, &toml))))?;
    Ok(table.model)
}

/// Reads the blocks of a graph from a TOML file: `stages`, a list of stages, each a list of `["value in", "value out"]`.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::File`] where it has another format.
pub fn read_boundaries(path: &Path) -> Result<Vec<Vec<[String; 2]>>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Boundaries {
        stages: Vec<Vec<[String; 2]>>,
    }
    let toml = read_text(path)?;
    let boundaries: Boundaries = toml::from_str(&toml).map_err(|e| {
        let what = toml_message(&e, &toml);
        Error::file(path, format!("expected stages = [[[\"value in\", \"value out\"], …], …]: {what}"))
    })?;
    Ok(boundaries.stages)
}

/// Returns the text of a file that [`read_boundaries`] reads.
pub fn boundaries_to_toml(stages: &[Vec<[String; 2]>]) -> String {
    let quoted = |name: &String| toml::Value::String(name.clone()).to_string();
    let block = |[from, to]: &[String; 2]| format!("        [{}, {}],\n", quoted(from), quoted(to));
    let stage = |blocks: &Vec<[String; 2]>| format!("    [\n{}    ],\n", blocks.iter().map(block).collect::<String>());
    format!("stages = [\n{}]\n", stages.iter().map(stage).collect::<String>())
}

/// Reads the names of classes from a text file in UTF-8, one a line. Empty lines, a byte order mark, and white space around
/// a name are skipped.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::File`] where it is not UTF-8.
pub fn read_labels(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
