//! The configuration of a network whose layers are removed.

use serde::Serialize;
use serde_json::{Map, Value};

use super::config_keys::{Dependence, DepthKey, KeyChoices, find_keys};
use super::numbering::Numbering;
use crate::text::excerpt;
use crate::{Error, Result};

/// A key of the configuration that another value is written for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigChange {
    /// The key with the objects that it is in, such as `text_config.layer_types`.
    pub key: String,
    /// The value that it had.
    pub before: Value,
    /// The value that is written.
    pub after: Value,
    /// How it depends on the depth.
    #[serde(flatten)]
    pub dependence: Dependence,
    #[serde(skip)]
    path: Vec<String>,
}

impl ConfigChange {
    /// The keys that lead to the value.
    pub fn path(&self) -> &[String] {
        &self.path
    }
}

/// Returns what changes in a configuration where only some layers of a list of modules are kept.
///
/// `list` is the name of the list, such as `model.layers`, `depth` its length, and `kept` the numbers of the layers that stay,
/// from 0 in ascending order.
///
/// # Errors
/// [`Error::Unsupported`] that names the key which cannot be adjusted, or not for sure.
pub fn changed_keys(
    config: &Map<String, Value>,
    list: &str,
    depth: usize,
    kept: &[usize],
    choices: &KeyChoices,
) -> Result<Vec<ConfigChange>> {
    let keys = find_keys(config, list, depth, choices);
    let changes = keys.and_then(|keys| config_changes(&keys, depth, kept));
    changes.map_err(|why| Error::unsupported("configuration", why))
}

/// Returns what changes where only some of `depth` layers are kept, given by their numbers in ascending order.
///
/// The error is a sentence that names the key whose value cannot be adjusted, or not for sure.
pub(super) fn config_changes(
    keys: &[DepthKey],
    depth: usize,
    kept: &[usize],
) -> std::result::Result<Vec<ConfigChange>, String> {
    let mut changes = Vec::new();
    for key in keys {
        let after = value_after(key, depth, kept).map_err(|why| format!("{}: {why}", excerpt(&key.key)))?;
        if after != key.value {
            let (before, dependence, path) = (key.value.clone(), key.dependence.clone(), key.path.clone());
            changes.push(ConfigChange { key: key.key.clone(), before, after, dependence, path });
        }
    }
    Ok(changes)
}

/// Writes the new values into a configuration.
pub(super) fn apply(changes: &[ConfigChange], config: &Map<String, Value>) -> Map<String, Value> {
    let mut config = config.clone();
    for change in changes {
        let pointer: String = change.path.iter().map(|key| format!("/{}", escape(key))).collect();
        let mut value = Value::Object(std::mem::take(&mut config));
        if let Some(place) = value.pointer_mut(&pointer) {
            *place = change.after.clone();
        }
        if let Value::Object(object) = value {
            config = object;
        }
    }
    config
}

/// Escapes a key as JSON pointers ask for.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Returns the value of a key where only some layers are kept.
fn value_after(key: &DepthKey, depth: usize, kept: &[usize]) -> std::result::Result<Value, String> {
    match &key.dependence {
        Dependence::NumberOfLayers => Ok(Value::from(kept.len())),
        Dependence::LayersOfStage { stage } => {
            let mut depths = key.value.clone();
            depths.get_mut(*stage).into_iter().for_each(|of_stage| *of_stage = Value::from(kept.len()));
            Ok(depths)
        }
        Dependence::EntryPerLayer => entries_after(&key.value, depth, kept),
        Dependence::LayerNumbers => numbers_after(&key.value, depth, kept),
        Dependence::FirstLayers => {
            let first = key.value.as_u64().unwrap_or_default();
            // A number beyond the last layer stays as far beyond it.
            let beyond = first.saturating_sub(depth as u64);
            Ok(Value::from(kept.iter().filter(|&&layer| (layer as u64) < first).count() as u64 + beyond))
        }
        Dependence::Period { period } => match kept.iter().enumerate().find(|(new, old)| new % period != *old % period)
        {
            None => Ok(key.value.clone()),
            Some((new, old)) => Err(format!(
                "every {period} layers one is special by its number, layer {old} would become {new}, and no list of the \
                 configuration says which are; remove whole periods, save the network with a newer transformers, which \
                 writes such a list, or accept what comes with --keep-key {}",
                excerpt(&key.key)
            )),
        },
        Dependence::Fixed => Err(format!(
            "{} is about layers in a way that cannot be kept where some are removed; if it does not matter here, keep it \
             with --keep-key {}",
            short(&key.value),
            excerpt(&key.key)
        )),
        Dependence::Unsure { why } => {
            let per_layer = match &key.value {
                Value::Array(entries) if entries.len() == depth => {
                    format!(", or with --per-layer {} if they are", excerpt(&key.key))
                }
                _ => String::new(),
            };
            let key = excerpt(&key.key);
            Err(format!("{why}; keep it as it is with --keep-key {key}{per_layer}"))
        }
    }
}

/// Returns the entries of the layers that are kept.
fn entries_after(value: &Value, depth: usize, kept: &[usize]) -> std::result::Result<Value, String> {
    let length = match value {
        Value::Array(entries) if entries.len() == depth => {
            return Ok(kept.iter().map(|&layer| entries[layer].clone()).collect());
        }
        Value::String(text) if text.chars().count() == depth => {
            let letters: Vec<char> = text.chars().collect();
            return Ok(Value::from(kept.iter().map(|&layer| letters[layer]).collect::<String>()));
        }
        Value::Array(entries) => entries.len(),
        _ => return Err(format!("{} is not a list with an entry for each layer", short(value))),
    };
    Err(format!("{length} entries for {depth} layers"))
}

/// Returns the new numbers of the listed layers that are kept.
fn numbers_after(value: &Value, depth: usize, kept: &[usize]) -> std::result::Result<Value, String> {
    let mut numbers = Vec::new();
    for entry in value.as_array().into_iter().flatten() {
        let number = entry.as_u64().and_then(|number| usize::try_from(number).ok()).filter(|&number| number < depth);
        let number =
            number.ok_or_else(|| format!("{} is not the number of one of the {depth} layers", short(entry)))?;
        numbers.extend(kept.iter().position(|&layer| layer == number));
    }
    Ok(numbers.into())
}

/// Returns the name of a layer that a text of the configuration mentions, with the key of the text.
pub(super) fn mentioned_layer(
    value: &Value,
    numbering: &Numbering,
    kept: &[String],
    path: &str,
) -> Option<(String, String)> {
    if kept.iter().any(|key| key == path) {
        return None;
    }
    let within = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let is_layer = |text: &str| numbering.split(&format!("{text}.")).is_some() && !numbering.prefix.is_empty();
    match value {
        Value::String(text) => is_layer(text).then(|| (path.to_owned(), text.clone())),
        Value::Array(entries) => entries.iter().find_map(|entry| mentioned_layer(entry, numbering, kept, path)),
        Value::Object(inner) => inner.iter().find_map(|(key, value)| {
            let named = is_layer(key).then(|| (path.to_owned(), key.clone()));
            named.or_else(|| mentioned_layer(value, numbering, kept, &within(key)))
        }),
        _ => None,
    }
}

/// Returns a value on one line, shortened.
pub(super) fn short(value: &Value) -> String {
    /// Longer values are cut, in characters.
    const MOST: usize = 40;
    let text = excerpt(&value.to_string());
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST - 1).collect::<String>() + "…" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the configuration without the layers that are not kept, or why not.
    fn slimmed(
        config: &Value,
        depth: usize,
        kept: &[usize],
        choices: &KeyChoices,
    ) -> std::result::Result<Value, String> {
        let config = config.as_object().unwrap();
        let changes = changed_keys(config, "model.layers", depth, kept, choices);
        let changes = changes.map_err(|error| error.to_string().replacen("configuration: ", "", 1))?;
        Ok(Value::Object(apply(&changes, config)))
    }

    #[test]
    fn a_stage_keeps_its_layers_alone() {
        let swin = serde_json::json!({"num_layers": 4, "depths": [2, 2, 6, 4], "num_heads": [3, 6, 12, 24]});
        let none = KeyChoices::default();
        let changes = changed_keys(swin.as_object().unwrap(), "layers.2.blocks", 6, &[0, 2, 3], &none).unwrap();
        assert_eq!((changes.len(), &changes[0].after), (1, &serde_json::json!([2, 2, 3, 4])));
        let last = changed_keys(swin.as_object().unwrap(), "layers.3.blocks", 4, &[0], &none).unwrap();
        assert_eq!((last.len(), &last[0].after), (1, &serde_json::json!([2, 2, 6, 1])));
        assert_eq!(changes[0].path(), ["depths"]);
    }

    #[test]
    fn every_kind_of_key_follows_the_layers() {
        let config = serde_json::json!({
            "num_hidden_layers": 6, "layer_types": ["a", "b", "c", "d", "e", "f"], "max_window_layers": 4,
            "mlp_only_layers": [0, 2, 5], "hybrid_override_pattern": "M*M-M*", "hidden_size": 6,
            "decoder_sparse_step": 1, "pruned_heads": {}, "eos_token_id": [1, 2, 3, 4, 5, 6]
        });
        let after = slimmed(&config, 6, &[0, 3, 4, 5], &KeyChoices::default()).unwrap();
        let expected = serde_json::json!({
            "num_hidden_layers": 4, "layer_types": ["a", "d", "e", "f"], "max_window_layers": 2,
            "mlp_only_layers": [0, 3], "hybrid_override_pattern": "M-M*", "hidden_size": 6,
            "decoder_sparse_step": 1, "pruned_heads": {}, "eos_token_id": [1, 2, 3, 4, 5, 6]
        });
        assert_eq!(after, expected);
    }

    #[test]
    fn a_period_keeps_its_meaning_only_where_whole_periods_go() {
        let config = serde_json::json!({"num_hidden_layers": 8, "sliding_window_pattern": 2});
        let none = KeyChoices::default();
        assert_eq!(slimmed(&config, 8, &[0, 1, 4, 5, 6, 7], &none).unwrap()["num_hidden_layers"], 6);
        let error = slimmed(&config, 8, &[0, 1, 3, 4, 5, 6, 7], &none).unwrap_err();
        assert!(error.starts_with("sliding_window_pattern: every 2 layers one is special"), "{error}");
        let keep = KeyChoices { keep: vec!["sliding_window_pattern".into()], ..KeyChoices::default() };
        assert_eq!(slimmed(&config, 8, &[0, 1, 3], &keep).unwrap()["num_hidden_layers"], 3);
        // What the code of a network does is known, where its configuration says nothing.
        let implied = serde_json::json!({"num_hidden_layers": 8, "model_type": "gemma2"});
        assert!(slimmed(&implied, 8, &[1, 2], &none).unwrap_err().starts_with("sliding_window_pattern: every 2"));
    }

    #[test]
    fn what_is_not_sure_is_an_error_that_names_the_key() {
        let none = KeyChoices::default();
        let with = |key: &str, value: Value| serde_json::json!({"num_hidden_layers": 4, key: value});
        for (key, value) in [
            ("router_scales", serde_json::json!([1, 2, 3, 4])),
            ("skip_layers", serde_json::json!([1, 2])),
            ("special_layer", 2.into()),
            ("num_nextn_predict_layers", 1.into()),
            ("scale_attn_by_inverse_layer_idx", true.into()),
        ] {
            let error = slimmed(&with(key, value.clone()), 4, &[0, 1], &none).unwrap_err();
            assert!(error.starts_with(&format!("{key}: ")) && error.contains(&format!("--keep-key {key}")), "{error}");
            let keep = KeyChoices { keep: vec![key.to_owned()], ..KeyChoices::default() };
            assert_eq!(slimmed(&with(key, value.clone()), 4, &[0, 1], &keep).unwrap()[key], value);
        }
        let each = KeyChoices { per_layer: vec!["router_scales".into()], ..KeyChoices::default() };
        let scales = with("router_scales", serde_json::json!([1, 2, 3, 4]));
        assert_eq!(slimmed(&scales, 4, &[0, 3], &each).unwrap()["router_scales"], serde_json::json!([1, 4]));
        let numbers = with("moe_layers", serde_json::json!([1, 9]));
        assert!(slimmed(&numbers, 4, &[0], &none).unwrap_err().contains("9 is not the number of one of the 4 layers"));
    }

    #[test]
    fn a_long_list_is_told_by_its_length() {
        let config = serde_json::json!({
            "num_hidden_layers": 9, "gains": [0, 1, 2, 3, 4, 5, 6, 7, 8], "rope_scaling": {"short_factor": [0, 1, 2, 3, 4, 5, 6, 7, 8]}
        });
        let after = slimmed(&config, 9, &[0, 8], &KeyChoices::default()).unwrap();
        assert_eq!(after["gains"], serde_json::json!([0, 8]));
        assert_eq!(after["rope_scaling"], config["rope_scaling"]);
    }
}
