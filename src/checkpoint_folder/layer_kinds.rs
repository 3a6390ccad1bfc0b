//! Layers of a network that differ in their arrays, such as those with experts among those without.

use serde_json::Value;

use super::config_keys::{Dependence, DepthKey};
use super::numbering::Numbering;
use super::weights::ArrayEntry;

/// Returns the kind of each layer: layers of one kind have the same arrays of the same shapes. Kinds count from 0 in the order
/// in which they appear.
pub(super) fn layer_kinds(numbering: &Numbering, arrays: &[&ArrayEntry]) -> Vec<usize> {
    let mut known: Vec<Vec<(&str, &[usize])>> = Vec::new();
    let kind = |places: &Vec<usize>| {
        let arrays = places.iter().map(|&place| arrays[place]);
        let rest =
            |array: &'_ ArrayEntry| numbering.split(&array.name).map_or(0, |(_, rest)| array.name.len() - rest.len());
        let mut signature: Vec<(&str, &[usize])> =
            arrays.map(|array| (&array.name[rest(array)..], array.shape.as_slice())).collect();
        signature.sort_unstable();
        known.iter().position(|other| *other == signature).unwrap_or_else(|| {
            known.push(signature);
            known.len() - 1
        })
    };
    numbering.arrays.values().map(kind).collect()
}

/// Returns a kept layer that would stand where one of another kind stood, as its new and its old number; `None` where the
/// configuration says which layers are of which kind, or where every place keeps its kind.
pub(super) fn moved_kind(kinds: &[usize], keys: &[DepthKey], kept: &[usize]) -> Option<(usize, usize)> {
    let said: Vec<Vec<Value>> = (0..kinds.len()).map(|layer| what_keys_say(keys, layer)).collect();
    let is_explained = kinds
        .iter()
        .zip(&said)
        .all(|(kind, says)| kinds.iter().zip(&said).all(|(other, others)| says != others || kind == other));
    if is_explained {
        return None;
    }
    kept.iter().copied().enumerate().find(|&(new, old)| kinds[new] != kinds[old])
}

/// Returns what the keys of a configuration say about one layer.
fn what_keys_say(keys: &[DepthKey], layer: usize) -> Vec<Value> {
    let says = |key: &DepthKey| match (&key.dependence, &key.value) {
        (Dependence::EntryPerLayer, Value::Array(entries)) => entries.get(layer).cloned(),
        (Dependence::EntryPerLayer, Value::String(text)) => text.chars().nth(layer).map(|c| Value::from(c.to_string())),
        (Dependence::LayerNumbers, Value::Array(entries)) => Some(entries.contains(&Value::from(layer)).into()),
        (Dependence::FirstLayers, first) => Some((first.as_u64() > Some(layer as u64)).into()),
        _ => None,
    };
    keys.iter().filter_map(says).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: Value, dependence: Dependence) -> DepthKey {
        DepthKey { key: "k".into(), value, dependence, path: vec!["k".into()] }
    }

    #[test]
    fn a_kind_moves_unless_the_configuration_says_which_layer_is_which() {
        // Every other layer has experts.
        let kinds = [0, 1, 0, 1];
        assert_eq!(moved_kind(&kinds, &[], &[0, 2, 3]), Some((1, 2)));
        assert_eq!(moved_kind(&kinds, &[], &[0, 3]), None);
        let list = key(serde_json::json!(["dense", "moe", "dense", "moe"]), Dependence::EntryPerLayer);
        assert_eq!(moved_kind(&kinds, &[list], &[0, 2, 3]), None);
        let other = key(serde_json::json!(["full", "full", "window", "window"]), Dependence::EntryPerLayer);
        assert_eq!(moved_kind(&kinds, &[other], &[0, 2, 3]), Some((1, 2)));
        let first = key(2.into(), Dependence::FirstLayers);
        assert_eq!(moved_kind(&[0, 0, 1, 1], &[first], &[0, 2, 3]), None);
    }
}
