//! Decides what the removal of some layers changes in a folder.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

use super::config_changes::{ConfigChange, apply, config_changes, mentioned_layer};
use super::config_keys::{DepthKey, find_keys};
use super::layer_kinds::{layer_kinds, moved_kind};
use super::layer_names::layers_by_name;
use super::numbering::Numbering;
use super::weights::{ArrayEntry, Weights};
use super::{CheckpointFolder, LayerOptions};
use crate::text::excerpt;
use crate::{Error, Result};

/// What is removed from a folder, and what changes with it.
#[derive(Debug, Serialize)]
pub struct Removal {
    /// The name of the list of layers, such as `model.layers`.
    pub list: String,
    /// The names of the layers that are removed.
    pub removed: Vec<String>,
    /// The names of the layers that stay, as they were.
    pub kept: Vec<String>,
    /// Keys of the configuration that get another value.
    pub changes: Vec<ConfigChange>,
    /// What the folder holds before.
    pub before: Counts,
    /// What the new one holds.
    pub after: Counts,
    #[serde(skip)]
    pub(super) source: PathBuf,
    #[serde(skip)]
    pub(super) config: Map<String, Value>,
    /// The arrays that stay, file by file, under their new names.
    #[serde(skip)]
    pub(super) files: Vec<Vec<(ArrayEntry, String)>>,
    #[serde(skip)]
    pub(super) weights: Weights,
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Layers of the list.
    pub layers: usize,
    /// Arrays, in layers and outside.
    pub arrays: usize,
    /// Elements of all arrays.
    pub parameters: u64,
    /// Bytes of all arrays.
    pub bytes: u64,
}

impl Counts {
    fn new<'a>(layers: usize, arrays: impl IntoIterator<Item = &'a ArrayEntry>) -> Self {
        arrays.into_iter().fold(Self { layers, arrays: 0, parameters: 0, bytes: 0 }, |sum, array| Self {
            arrays: sum.arrays + 1,
            parameters: sum.parameters + array.elements(),
            bytes: sum.bytes + array.length,
            ..sum
        })
    }
}

impl CheckpointFolder {
    /// Decides what the removal of layers changes. They are named as blocks of a plan, `stage1.block3`, or as modules,
    /// `model.layers.2`.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name of no layer; [`Error::Config`] that names the key of the configuration which cannot be
    /// adjusted, or not for sure; [`Error::File`] where layers of other arrays would come to a place.
    pub fn removal(&self, names: &[String], options: &LayerOptions) -> Result<Removal> {
        self.check_choices(options)?;
        let list = self.list_of(names, options)?;
        let removed = layers_by_name(names, list)?;
        let depth = list.depth();
        let kept: Vec<usize> = (0..depth).filter(|number| !removed.contains(number)).collect();
        if removed.is_empty() {
            return Err(Error::argument("blocks", "no layer is named"));
        }
        if kept.is_empty() {
            return Err(Error::argument(
                "blocks",
                format!("all {depth} layers of {} are named; one has to stay", list.prefix),
            ));
        }
        let keys = self.keys_of(list, options)?;
        let changes = config_changes(&keys, depth, &kept).map_err(|what| self.in_config(&what))?;
        self.check_kinds(list, &keys, &kept)?;
        self.check_mentions(list, options)?;
        let new_name = |array: &ArrayEntry| match list.split(&array.name) {
            None => Some(array.name.clone()),
            Some((number, rest)) => {
                let new = kept.binary_search(&number).ok()?;
                Some(format!("{}.{rest}", list.name(new)))
            }
        };
        let files: Vec<Vec<(ArrayEntry, String)>> = self
            .weights
            .files
            .iter()
            .map(|file| file.arrays.iter().filter_map(|array| Some((array.clone(), new_name(array)?))).collect())
            .collect();
        let names_of = |numbers: &[usize]| numbers.iter().map(|&number| list.name(number)).collect();
        Ok(Removal {
            list: list.prefix.clone(),
            removed: names_of(&removed),
            kept: names_of(&kept),
            before: Counts::new(depth, self.weights.arrays()),
            after: Counts::new(kept.len(), files.iter().flatten().map(|(array, _)| array)),
            source: self.path.clone(),
            config: apply(&changes, &self.config),
            changes,
            files,
            weights: self.weights.clone(),
        })
    }

    /// Returns the keys of the configuration that depend on the length of a list of layers.
    ///
    /// # Errors
    /// [`Error::File`] that names the keys which might be its length.
    pub(super) fn keys_of(&self, list: &Numbering, options: &LayerOptions) -> Result<Vec<DepthKey>> {
        find_keys(&self.config, &list.prefix, list.depth(), &options.keys).map_err(|what| self.in_config(&what))
    }

    fn in_config(&self, what: &str) -> Error {
        Error::file(self.config_path(), what)
    }

    /// Checks that the keys which the caller names are there.
    fn check_choices(&self, options: &LayerOptions) -> Result<()> {
        let all = key_names(&self.config, "");
        // A key that is kept may be one that the code of the network has a value for.
        let is_known = |key: &String| all.contains(key) || super::known_keys::known_meaning(last(key)).is_some();
        match options.keys.keep.iter().chain(&options.keys.per_layer).find(|key| !is_known(key)) {
            Some(key) => Err(Error::unknown("key of config.json", key.as_str(), all)),
            None => Ok(()),
        }
    }

    /// Checks that every place has a layer of the kind that the network expects there.
    fn check_kinds(&self, list: &Numbering, keys: &[DepthKey], kept: &[usize]) -> Result<()> {
        let kinds = layer_kinds(list, &self.arrays());
        let Some((new, old)) = moved_kind(&kinds, keys, kept) else { return Ok(()) };
        let what = format!(
            "{} would become {}, whose arrays are others, and no list of the configuration says which layer is of which \
             kind; remove layers so that every number keeps its kind",
            list.name(old),
            list.name(new)
        );
        Err(Error::file(&self.path, what))
    }

    /// Checks that the configuration mentions no layer by its name: where others are removed, it would be another one's.
    fn check_mentions(&self, list: &Numbering, options: &LayerOptions) -> Result<()> {
        let config = Value::Object(self.config.clone());
        match mentioned_layer(&config, list, &options.keys.keep, "") {
            Some((key, text)) => {
                let (key, text) = (excerpt(&key), excerpt(&text));
                let what = format!(
                    "{key}: names layers ({text}), whose numbers change; edit it, or keep it with --keep-key {key}"
                );
                Err(self.in_config(&what))
            }
            None => Ok(()),
        }
    }
}

/// Returns the names of all keys with the objects that they are in.
fn key_names(object: &Map<String, Value>, within: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in object {
        let name = format!("{within}{key}");
        if let Value::Object(inner) = value {
            names.extend(key_names(inner, &format!("{name}.")));
        }
        names.push(name);
    }
    names
}

/// Returns the last part of the name of a key.
fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}
