//! Finds the network among the arrays of a file: the prefix under which arrays have the names of stem and blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::layout::LAYOUTS;
use super::state_dict::{StateDict, StoredArray};
use crate::text::excerpt;
use crate::{Error, Result};

/// Words of the keys under which programs store an average of the weights over training. It is another network than the
/// weights: where both are in a file, the weights are meant.
const AVERAGES: [&str; 5] = ["ema", "swa", "average", "averaged", "shadow"];
/// A prefix has at most so many parts: a hostile name may have millions.
const MAX_PARTS: usize = 16;
/// A message names at most so many networks.
const MAX_NAMED: usize = 4;

/// Keeps the arrays of one network, with names that begin where its own begin, and puts all others aside. `key` chooses
/// among several networks; without it, the only one that is no average of the weights is meant.
///
/// # Errors
/// [`Error::Argument`] for several networks without a `key`, and for a `key` under which there is none.
pub(super) fn select(path: &Path, state: StateDict, key: Option<&str>) -> Result<StateDict> {
    let prefixes = network_prefixes(&state);
    let chosen = match key {
        Some(key) => {
            let under = format!("{}.", key.trim_end_matches('.'));
            let fits: Vec<&String> = prefixes.iter().filter(|prefix| prefix.starts_with(&under)).collect();
            match fits[..] {
                [] if state.arrays.iter().any(|array| array.name.starts_with(&under)) && prefixes.is_empty() => under,
                [] => return Err(Error::argument("key", no_network(key, &prefixes))),
                [one] => one.clone(),
                _ => return Err(several(path, &fits)),
            }
        }
        None => match without_averages(&prefixes)[..] {
            [] => common_prefix(&state),
            [one] => one.clone(),
            ref several_networks => return Err(several(path, several_networks)),
        },
    };
    let other_networks = prefixes.into_iter().filter(|prefix| *prefix != chosen).collect();
    Ok(StateDict { other_networks, ..split(state, &chosen) })
}

/// Returns the prefixes under which arrays have the names of a network in some layout: those with a stem, or else all that
/// have blocks.
fn network_prefixes(state: &StateDict) -> Vec<String> {
    let (mut with_blocks, mut with_stem) = (BTreeSet::new(), BTreeSet::new());
    for array in &state.arrays {
        let starts = std::iter::once(0).chain(array.name.match_indices('.').map(|(at, _)| at + 1));
        for (prefix, rest) in starts.take(MAX_PARTS).map(|start| array.name.split_at(start)) {
            match LAYOUTS.iter().find_map(|layout| layout.native_name(rest)) {
                Some(native) if native.starts_with("stage") => with_blocks.insert(prefix),
                Some(native) if native.starts_with("stem") => with_stem.insert(prefix),
                _ => continue,
            };
        }
    }
    let whole: Vec<String> = with_blocks.intersection(&with_stem).map(ToString::to_string).collect();
    if whole.is_empty() { with_blocks.into_iter().map(str::to_owned).collect() } else { whole }
}

/// Returns the prefixes that do not belong to averages of weights; all of them if all do.
fn without_averages(prefixes: &[String]) -> Vec<&String> {
    let weights: Vec<&String> = prefixes.iter().filter(|prefix| !is_average(prefix)).collect();
    if weights.is_empty() { prefixes.iter().collect() } else { weights }
}

/// Returns whether a name is that of an average of weights, such as `model_ema.conv1.weight`.
pub(super) fn is_average(name: &str) -> bool {
    name.split(['.', '_', '-']).any(|word| AVERAGES.contains(&word.to_ascii_lowercase().as_str()))
}

/// Returns the parts that all names begin with.
fn common_prefix(state: &StateDict) -> String {
    let mut prefix = String::new();
    let Some(first) = state.arrays.first() else { return prefix };
    for part in first.name.split_inclusive('.').filter(|part| part.ends_with('.')).take(MAX_PARTS) {
        let longer = format!("{prefix}{part}");
        if !state.arrays.iter().all(|array| array.name.starts_with(&longer)) {
            break;
        }
        prefix = longer;
    }
    prefix
}

/// Removes a prefix from the names that have it, and puts the other arrays aside.
fn split(state: StateDict, prefix: &str) -> StateDict {
    let (inside, outside): (Vec<_>, Vec<_>) =
        state.arrays.into_iter().partition(|array| array.name.starts_with(prefix));
    let shorten = |array: StoredArray| {
        let name = array.name[prefix.len()..].to_owned();
        array.renamed(name)
    };
    let arrays = inside.into_iter().map(shorten).collect();
    StateDict { arrays, format: state.format, prefix: prefix.to_owned(), outside, ..StateDict::default() }
}

/// Returns the number of arrays that lie outside a network, by the part of their names that leads away from it.
pub(super) fn count_others(state: &StateDict) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for array in &state.outside {
        let shared = shared_prefix(&state.prefix, &array.name).len();
        let end = array.name[shared..].find('.').map_or(array.name.len(), |dot| shared + dot);
        *counts.entry(array.name[..end].to_owned()).or_default() += 1;
    }
    counts
}

/// Returns the parts that two names begin with, each with its dot.
pub(super) fn shared_prefix<'a>(name: &'a str, other: &str) -> &'a str {
    let parts = name.split_inclusive('.').zip(other.split_inclusive('.'));
    let length = parts.take_while(|(a, b)| a == b && a.ends_with('.')).map(|(a, _)| a.len()).sum();
    &name[..length]
}

/// Returns the names of networks for a message.
fn list(prefixes: &[&String]) -> String {
    let name = |prefix: &&String| match prefix.trim_end_matches('.') {
        "" => "one without a key".to_owned(),
        name => format!("'{}'", excerpt(name)),
    };
    let more = if prefixes.len() > MAX_NAMED { ", …" } else { "" };
    prefixes.iter().take(MAX_NAMED).map(name).collect::<Vec<_>>().join(", ") + more
}

fn several(path: &Path, prefixes: &[&String]) -> Error {
    let why = format!("{}: {} networks, {}; name one", path.display(), prefixes.len(), list(prefixes));
    Error::argument("key", why)
}

fn no_network(key: &str, prefixes: &[String]) -> String {
    let prefixes: Vec<&String> = prefixes.iter().collect();
    match prefixes[..] {
        [] => format!("no array is under '{}'", excerpt(key)),
        _ => format!("no network is under '{}'; the file has {}", excerpt(key), list(&prefixes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::state_dict::{ArrayFormat, ElementType};

    /// Arrays of these names; `+` after a prefix stands for a stem and a block.
    fn state(names: &[&str]) -> StateDict {
        let network = |prefix: &str| ["conv1.weight", "layer1.0.conv1.weight"].map(|name| format!("{prefix}{name}"));
        let expand = |name: &&str| match name.strip_suffix('+') {
            Some(prefix) => network(prefix).to_vec(),
            None => vec![name.to_string()],
        };
        let array = |name: String| StoredArray::new(name, vec![1], ElementType::F32, || Ok(vec![0; 4]));
        StateDict::new(names.iter().flat_map(expand).map(array).collect(), ArrayFormat::PyTorch)
    }

    #[test]
    fn a_network_is_found_under_any_prefix() {
        for (names, prefix, kept, others) in [
            (&["+", "fc.weight"][..], "", 3, &[][..]),
            (&["module.+", "module.fc.weight"], "module.", 3, &[]),
            (&["a.net.b.+", "a.loss.weight", "opt.0.x", "opt.1.x"], "a.net.b.", 2, &[("a.loss", 1), ("opt", 2)]),
            (&["model.+", "ema.+"], "model.", 2, &[("ema", 2)]),
            (&["state_dict.+", "state_dict_ema.+"], "state_dict.", 2, &[("state_dict_ema", 2)]),
            (&["model_ema.+", "optimizer.0"], "model_ema.", 2, &[("optimizer", 1)]),
            (&["x.a.weight", "x.b.weight"], "x.", 2, &[]),
            (&["weight", "bias"], "", 2, &[]),
            (&[], "", 0, &[]),
        ] {
            let found = select(Path::new("p"), state(names), None).unwrap();
            assert_eq!((found.prefix.as_str(), found.arrays.len()), (prefix, kept), "{names:?}");
            let counts = count_others(&found);
            assert!(
                counts.iter().map(|(name, count)| (name.as_str(), *count)).eq(others.iter().copied()),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn a_key_chooses_among_networks() {
        let both = || state(&["student.net.+", "teacher.net.+", "loss.weight"]);
        let message = |key| select(Path::new("p"), both(), key).err().unwrap().to_string();
        assert_eq!(message(None), "key: p: 2 networks, 'student.net', 'teacher.net'; name one");
        assert_eq!(message(Some("loss")), "key: no network is under 'loss'; the file has 'student.net', 'teacher.net'");
        for key in ["teacher", "teacher.net", "teacher.net."] {
            assert_eq!(select(Path::new("p"), both(), Some(key)).unwrap().prefix, "teacher.net.");
        }
        let average = state(&["model.+", "ema.+"]);
        assert_eq!(select(Path::new("p"), average, Some("ema")).unwrap().prefix, "ema.");
    }
}
