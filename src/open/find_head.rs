//! Finds the classifier of a network whose file has no usual name for it: the only matrix that takes as many values as the
//! last stage has channels.

use super::find_network::{is_average, shared_prefix};
use super::layout::Layout;
use super::part_numbers::PartNumbers;
use super::state_dict::{ArrayFormat, StateDict, StoredArray};
use crate::text::excerpt;

/// Names that the arrays of modules have. Those of an optimizer have others.
const MODULE_ARRAYS: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// Where a layout finds no classifier in the network, looks for one by its shape and adds it to the network. What other modules
/// compute beside a classifier outside the network's prefix may come between both: their arrays are listed in `beside_head`.
///
/// The error names the matrices between which nothing decides.
pub(super) fn add_head(state: &mut StateDict, layout: &Layout) -> Result<(), String> {
    let known = layout.known_arrays(state);
    let Some(width) = last_width(&known).filter(|_| !known.contains_key("head.weight")) else { return Ok(()) };
    drop(known);
    let (is_chosen_average, networks) = (is_average(&state.prefix), std::mem::take(&mut state.other_networks));
    // Neither the classifier of another network nor that of an average of the weights belongs to this one.
    let is_own = |name: &str| {
        is_average(name) == is_chosen_average && !networks.iter().any(|prefix| name.starts_with(prefix.as_str()))
    };
    let inside = state.arrays.iter().filter(|array| !layout.is_in_trunk(&array.name)).collect();
    let outside = state.outside.iter().filter(|array| is_own(&array.name));
    let nearest = outside.clone().map(|array| shared_prefix(&state.prefix, &array.name).len()).max().unwrap_or(0);
    let outside = outside.filter(|array| shared_prefix(&state.prefix, &array.name).len() == nearest).collect();
    if let Some(part) = only_matrix(width, inside, state.format)? {
        state.head = Some(part);
    } else if let Some(part) = only_matrix(width, outside, state.format)? {
        let shared = shared_prefix(&state.prefix, &part).to_owned();
        let is_module_array = |array: &StoredArray| {
            let last = array.name.rsplit('.').next().unwrap_or_default();
            array.name.starts_with(&shared) && is_own(&array.name) && MODULE_ARRAYS.contains(&last)
        };
        let (head, beside): (Vec<_>, Vec<_>) = std::mem::take(&mut state.outside)
            .into_iter()
            .partition(|array| matches!(array.name.strip_prefix(&part), Some(".weight" | ".bias")));
        let (unplaced, outside): (Vec<_>, Vec<_>) = beside.into_iter().partition(is_module_array);
        state.outside = outside;
        state.beside_head = unplaced.into_iter().map(|array| array.name).collect();
        let shorten = |array: StoredArray| {
            let name = array.name[shared.len()..].to_owned();
            array.renamed(name)
        };
        state.arrays.extend(head.into_iter().map(shorten));
        state.head = Some(part[shared.len()..].to_owned());
        state.kept_prefix = state.prefix[shared.len()..].to_owned();
    }
    Ok(())
}

/// Returns the number of channels of the last block.
fn last_width(known: &super::layout::KnownArrays) -> Option<usize> {
    let numbers = |name: &String| PartNumbers::read("stage{s}.block{k}.body.layer{n}.weight", name);
    let last = known.iter().filter_map(|(name, array)| Some((numbers(name)?, array)));
    let (_, array) = last.max_by_key(|(numbers, _)| (numbers.stage, numbers.block, numbers.layer))?;
    array.shape.first().copied()
}

/// Returns the part whose weight is the only matrix that takes `width` values; `None` if there is none.
fn only_matrix(width: usize, arrays: Vec<&StoredArray>, format: ArrayFormat) -> Result<Option<String>, String> {
    let part = |array: &StoredArray| match array.shape[..] {
        [_, _] => array.name.strip_suffix(".weight").map(str::to_owned),
        _ => None,
    };
    let matrices: Vec<(&StoredArray, String)> = arrays.into_iter().filter_map(|a| Some((a, part(a)?))).collect();
    let takes = |count: usize| matrices.iter().filter(move |(array, _)| array.shape[1] == count);
    let shown = |array: &StoredArray| format!("'{}' {:?}", excerpt(&array.name), array.shape);
    let found: Vec<_> = takes(width).collect();
    let [(head, part)] = found[..] else {
        let names: Vec<String> = found.iter().take(3).map(|(array, _)| shown(array)).collect();
        let what = format!("{} matrices can be the classifier, {}; expected one", found.len(), names.join(" and "));
        return if found.is_empty() { Ok(None) } else { Err(what) };
    };
    match takes(head.shape[0]).find(|(next, _)| next.name != head.name) {
        Some((next, _)) => Err(format!(
            "a head of several layers, {} and {}; expected one. {}",
            shown(head),
            shown(next),
            super::file_kinds::export(format)
        )),
        None => Ok(Some(part.clone())),
    }
}
