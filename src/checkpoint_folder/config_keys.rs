//! The keys of a configuration that depend on the depth of a network, and their values after layers are removed.

use serde::Serialize;
use serde_json::{Map, Value};

use super::depth_keys::{DepthKeys, find_depth_keys, join, parts};
use super::known_keys::{BY_LAYER_NUMBER, IMPLIED_PERIODS, KeyMeaning, OTHER_OBJECTS, known_meaning};

/// Lists of at most so many entries stand for other things than layers too: channels, stages, kernels. One that has as many
/// entries as there are layers is a list a layer long only if its name says so.
const MAX_ORDINARY_LENGTH: usize = 8;

/// What a caller decides about keys of a configuration.
#[derive(Clone, Debug, Default)]
pub struct KeyChoices {
    /// Keys that stay as they are, such as `text_config.max_window_layers`.
    pub keep: Vec<String>,
    /// Keys whose lists have an entry for each layer.
    pub per_layer: Vec<String>,
}

/// How a key depends on the depth.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "depends")]
pub enum Dependence {
    /// It is the number of layers.
    NumberOfLayers,
    /// It lists the numbers of layers of all stages.
    LayersOfStage {
        /// The stage of these layers, from 0.
        stage: usize,
    },
    /// It has an entry for each layer.
    EntryPerLayer,
    /// It lists the numbers of some layers.
    LayerNumbers,
    /// It is the number of the first layers, which are special.
    FirstLayers,
    /// Layers are special by their number modulo this one.
    Period {
        /// The number.
        period: usize,
    },
    /// It cannot be kept where layers are removed.
    Fixed,
    /// What it says about layers is not known.
    Unsure {
        /// Why it may say something about layers.
        why: String,
    },
}

/// A key of a configuration that depends on the depth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DepthKey {
    /// The key with the objects that it is in, such as `text_config.layer_types`.
    pub key: String,
    /// Its value; null where the network's code has a value of its own.
    pub value: Value,
    /// How it depends on the depth.
    #[serde(flatten)]
    pub dependence: Dependence,
    /// The keys that lead to the value.
    #[serde(skip)]
    pub(super) path: Vec<String>,
}

/// Lists the keys that depend on the depth of a list of modules, and those that may.
///
/// # Errors
/// A sentence that names the keys which might hold the number of layers.
pub(super) fn find_keys(
    config: &Map<String, Value>,
    prefix: &str,
    depth: usize,
    choices: &KeyChoices,
) -> Result<Vec<DepthKey>, String> {
    let depth_keys = find_depth_keys(config, prefix, depth, &choices.keep)?;
    let mut section = config;
    for key in &depth_keys.section {
        section = section.get(key).and_then(Value::as_object).unwrap_or(section);
    }
    let mut search = Search { depth, depth_keys: &depth_keys, choices, found: Vec::new() };
    let mut path = depth_keys.section.clone();
    search.visit(section, &mut path);
    search.visit_model_type(config, section);
    if !depth_keys.section.is_empty() {
        search.visit_parent(config, prefix);
    }
    Ok(search.found)
}

struct Search<'a> {
    depth: usize,
    depth_keys: &'a DepthKeys,
    choices: &'a KeyChoices,
    found: Vec<DepthKey>,
}

impl Search<'_> {
    /// Looks at the keys of an object and of those within it.
    fn visit(&mut self, object: &Map<String, Value>, path: &mut Vec<String>) {
        for (key, value) in object {
            path.push(key.clone());
            if !self.choices.keep.contains(&path.join(".")) {
                self.visit_key(key, value, object, path);
            }
            path.pop();
        }
    }

    /// Looks at one key of an object; `path` leads to its value.
    fn visit_key(&mut self, key: &str, value: &Value, object: &Map<String, Value>, path: &mut Vec<String>) {
        let is_top = path.len() == self.depth_keys.section.len() + 1;
        if self.choices.per_layer.contains(&path.join(".")) {
            self.add(path, value, Dependence::EntryPerLayer);
        } else if let (Value::Object(inner), true) = (value, known_meaning(key).is_none()) {
            // Objects with a kind of their own configure another part of the network.
            let is_part = inner.contains_key("model_type") || key.ends_with("_config") && has_depth(inner);
            if !is_part && !OTHER_OBJECTS.contains(&key) {
                self.visit(inner, path);
            }
        } else if is_top && self.depth_keys.keys.iter().any(|of_depth| of_depth == key) {
            let of_stage = |(stage, _)| Dependence::LayersOfStage { stage };
            self.add(path, value, self.depth_keys.stage.map_or(Dependence::NumberOfLayers, of_stage));
        } else if self.depth_keys.stage.is_some_and(|(_, stages)| length(value) == Some(stages)) {
            // An entry for each stage.
        } else if let Some(dependence) = self.dependence(key, value, object) {
            self.add(path, value, dependence);
        }
    }

    /// Adds what the code of a network does by the numbers of layers where the configuration says nothing.
    fn visit_model_type(&mut self, config: &Map<String, Value>, section: &Map<String, Value>) {
        let model_type = section.get("model_type").or(config.get("model_type")).and_then(Value::as_str);
        for (_, key, period) in IMPLIED_PERIODS.iter().filter(|(kind, ..)| Some(*kind) == model_type) {
            let Some(KeyMeaning::Period(lists)) = known_meaning(key) else { continue };
            let name = join(&self.depth_keys.section, key);
            let is_said = [*key, &format!("_{key}")].iter().any(|key| section.contains_key(*key));
            if !is_said && !says(section, lists) && !self.choices.keep.contains(&name) {
                let path: Vec<String> = self.depth_keys.section.iter().cloned().chain([(*key).to_owned()]).collect();
                self.add(&path, &Value::Null, Dependence::Period { period: *period });
            }
        }
        for (kind, why) in BY_LAYER_NUMBER.iter().filter(|(kind, _)| Some(*kind) == model_type) {
            let path = [self.depth_keys.section.as_slice(), &["model_type".to_owned()]].concat();
            if !self.choices.keep.contains(&path.join(".")) {
                self.add(&path, &Value::from(*kind), Dependence::Unsure { why: format!("{kind} {why}") });
            }
        }
    }

    /// Looks for keys such as `vision_feature_layer`, which stand beside the object that configures the layers.
    fn visit_parent(&mut self, config: &Map<String, Value>, prefix: &str) {
        let own = parts(&format!("{prefix}.{}", self.depth_keys.section.join(".")));
        for (key, value) in config.iter().filter(|(key, value)| is_about_layers(key) && !value.is_object()) {
            let is_own = parts(key).iter().any(|part| own.contains(part));
            if let (true, false, Some(why)) = (is_own, self.choices.keep.contains(key), self.why_unsure(key, value)) {
                self.add(std::slice::from_ref(key), value, Dependence::Unsure { why });
            }
        }
    }

    fn add(&mut self, path: &[String], value: &Value, dependence: Dependence) {
        self.found.push(DepthKey { key: path.join("."), value: value.clone(), dependence, path: path.to_vec() });
    }

    /// Returns how the value of a key depends on the depth; `None` where it does not.
    fn dependence(&self, key: &str, value: &Value, object: &Map<String, Value>) -> Option<Dependence> {
        let length = length(value);
        match known_meaning(key) {
            Some(KeyMeaning::Unrelated | KeyMeaning::Depth(_) | KeyMeaning::MaybeDepth) => None,
            Some(KeyMeaning::PerLayer) if length == Some(self.depth) => Some(Dependence::EntryPerLayer),
            // One number for all layers, as `intermediate_size` is for most.
            Some(KeyMeaning::PerLayer) if !value.is_array() => None,
            // Llama 4 has the same name for a list of numbers as others for a list of flags.
            Some(KeyMeaning::LayerNumbers) if value.is_array() => {
                (length != Some(0)).then_some(Dependence::LayerNumbers)
            }
            Some(KeyMeaning::FirstLayers) if value.is_u64() => {
                (value.as_u64() != Some(0)).then_some(Dependence::FirstLayers)
            }
            Some(KeyMeaning::Period(lists)) if value.is_u64() => {
                let period = value.as_u64().and_then(|period| usize::try_from(period).ok()).unwrap_or(usize::MAX);
                (period > 1 && !says(object, lists)).then_some(Dependence::Period { period })
            }
            Some(KeyMeaning::Period(_)) if value.is_array() && length == Some(self.depth) => {
                Some(Dependence::EntryPerLayer)
            }
            Some(KeyMeaning::Fixed | KeyMeaning::StageDepths) => is_set(value).then_some(Dependence::Fixed),
            _ if value.is_array() && length == Some(self.depth) && self.is_surely_per_layer(key) => {
                Some(Dependence::EntryPerLayer)
            }
            _ => self.why_unsure(key, value).map(|why| Dependence::Unsure { why }),
        }
    }

    /// Returns whether a list with as many entries as there are layers is one entry a layer long.
    fn is_surely_per_layer(&self, key: &str) -> bool {
        is_about_layers(key) || self.depth > MAX_ORDINARY_LENGTH
    }

    /// Returns why a key that is not known here may depend on the depth.
    fn why_unsure(&self, key: &str, value: &Value) -> Option<String> {
        let is_about_layers = is_about_layers(key);
        let length = value.as_array().map(Vec::len).filter(|&length| length > 0);
        match (value, length) {
            (Value::Number(number), _) if is_about_layers && number.as_u64() != Some(0) && !number.is_f64() => {
                Some("its number may count layers, or be that of one".to_owned())
            }
            (_, Some(length)) if length == self.depth => {
                Some(format!("its {length} entries may be one for each layer"))
            }
            (_, Some(length)) if is_about_layers => {
                Some(format!("its {length} entries may be about some of the {} layers", self.depth))
            }
            (_, Some(length)) if self.depth > MAX_ORDINARY_LENGTH && length.is_multiple_of(self.depth) => {
                Some(format!("its {length} entries may be {} for each layer", length / self.depth))
            }
            _ => None,
        }
    }
}

/// Returns whether the name of a key speaks of layers.
fn is_about_layers(key: &str) -> bool {
    key.split('_').any(|word| ["layer", "layers"].contains(&word))
}

/// Returns the number of entries of a list, or of characters of a text.
fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Array(entries) => Some(entries.len()),
        Value::String(text) => Some(text.chars().count()),
        _ => None,
    }
}

/// Returns whether one of some keys has a list.
fn says(object: &Map<String, Value>, keys: &[&str]) -> bool {
    keys.iter().any(|key| object.get(*key).is_some_and(Value::is_array))
}

/// Returns whether a value is neither null, false, zero nor empty.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(entries) => !entries.is_empty(),
        Value::Object(inner) => !inner.is_empty(),
    }
}

/// Returns whether an object has a number of layers.
fn has_depth(object: &Map<String, Value>) -> bool {
    object.keys().any(|key| matches!(known_meaning(key), Some(KeyMeaning::Depth(_) | KeyMeaning::MaybeDepth)))
}
