//! Files that hold the values of options.

use std::path::Path;

use serde::Deserialize;

use crate::model::{ModelConfig, ModelKind};
use crate::text::one_line;
use crate::{Error, Result};

/// Returns the configuration of a named network, such as `resnet-56` or any name in an outline, or that of the `[model]` table
/// of an experiment file.
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
    if let Some(config) = ModelConfig::from_name(name_or_path) {
        return Ok(config);
    }
    let path = Path::new(name_or_path);
    if !path.exists() {
        return Err(Error::unknown("architecture", name_or_path, ModelKind::ALL.map(ModelKind::name)));
    }
    let toml = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let table: Table =
        toml::from_str(&toml).map_err(|e| Error::file(path, format!("no [model] table: {}", one_line(e.message()))))?;
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
    let toml = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let boundaries: Boundaries = toml::from_str(&toml).map_err(|e| {
        let what = one_line(e.message());
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

/// Reads the names of classes from a text file, one a line. Empty lines are skipped.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read.
pub fn read_labels(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
