//! What a caller can say of a file: what the file alone cannot.

use std::path::Path;

use serde::Deserialize;

use crate::data::Normalization;
use crate::model::{Metadata, ModelConfig, ModelKind};
use crate::{Error, Result};

/// What settles what a file leaves open.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The network, for files that do not say it; what it leaves open, the shapes of the file's arrays fill in.
    pub arch: Option<ModelConfig>,
    /// Subtracted from each channel of a sample of values 0 to 1.
    pub mean: Option<Vec<f32>>,
    /// Divides each channel after that.
    pub std: Option<Vec<f32>>,
    /// Names of the classes.
    pub labels: Option<Vec<String>>,
    /// Whether arrays that the network has no place for may be left out.
    pub partial: bool,
    /// Of a graph: its blocks, the names of the values in and out of each, by stages; where it is not left to be found.
    pub cut: Option<Vec<Vec<[String; 2]>>>,
}

impl OpenOptions {
    /// Writes what was said over what the file or its layout says.
    pub(super) fn override_card(&self, card: &mut Metadata) -> Result<()> {
        if card.characters.is_some() && (self.mean.is_some() || self.std.is_some()) {
            return Err(Error::Usage("--mean, --std: numbers of characters are not normalized".into()));
        }
        if let Some(mean) = &self.mean {
            card.mean.clone_from(mean);
        }
        if let Some(std) = &self.std {
            card.std.clone_from(std);
        }
        if self.mean.is_some() || self.std.is_some() {
            let all = Normalization { mean: card.mean.clone(), std: card.std.clone() };
            all.check(card.input[0]).map_err(as_option)?;
        }
        match &self.labels {
            Some(labels) if labels.len() != card.classes.len() => Err(Error::Usage(format!(
                "--labels: {} names, the network has {} classes",
                labels.len(),
                card.classes.len()
            ))),
            Some(labels) => {
                card.classes.clone_from(labels);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// The same error, of the option that was given in place of the key.
pub(super) fn as_option(error: Error) -> Error {
    match error {
        Error::Config { key, what } => Error::Config { key: key.replace("data.normalization.", "--"), what },
        other => other,
    }
}

/// The network that a name or a file with a `[model]` table stands for.
///
/// # Errors
/// [`Error::Unknown`] for what is neither, [`Error::File`] for a file without such a table.
pub fn arch(text: &str) -> Result<ModelConfig> {
    #[derive(Deserialize)]
    struct Table {
        model: ModelConfig,
    }
    if let Some(kind) = ModelKind::ALL.into_iter().find(|kind| kind.name() == text) {
        return Ok(ModelConfig::new(kind));
    }
    let path = Path::new(text);
    if !path.exists() {
        return Err(Error::unknown("architecture", text, ModelKind::ALL.map(ModelKind::name)));
    }
    let toml = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let table: Table = toml::from_str(&toml)
        .map_err(|e| Error::file(path, format!("no [model] table: {}", super::arrays::one_line(e.message()))))?;
    Ok(table.model)
}

/// The blocks of a graph in a TOML file: `stages`, a list of stages, each a list of `["value in", "value out"]`.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] where it is no such file.
pub fn cut(path: &Path) -> Result<Vec<Vec<[String; 2]>>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Blocks {
        stages: Vec<Vec<[String; 2]>>,
    }
    let toml = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let blocks: Blocks = toml::from_str(&toml).map_err(|e| {
        let what = super::arrays::one_line(e.message());
        Error::file(path, format!("expected stages = [[[\"value in\", \"value out\"], …], …]: {what}"))
    })?;
    Ok(blocks.stages)
}

/// The text of a file that [`cut`] reads.
pub fn cut_text(stages: &[Vec<[String; 2]>]) -> String {
    let quoted = |name: &String| toml::Value::String(name.clone()).to_string();
    let block = |[from, to]: &[String; 2]| format!("        [{}, {}],\n", quoted(from), quoted(to));
    let stage = |blocks: &Vec<[String; 2]>| format!("    [\n{}    ],\n", blocks.iter().map(block).collect::<String>());
    format!("stages = [\n{}]\n", stages.iter().map(stage).collect::<String>())
}

/// The names of classes in a file, one a line.
///
/// # Errors
/// [`Error::Io`] where it cannot be read.
pub fn labels(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
