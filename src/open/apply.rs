//! Reads the arrays of a file into the parameters of a model, and reports those that do not match.

use std::collections::HashSet;
use std::path::Path;

use super::find_network::count_others;
use super::layout::{KnownArrays, Layout};
use super::load_report::{LoadReport, OtherArrays, WrongShape};
use super::state_dict::{StateDict, StoredArray};
use crate::model::Model;
use crate::nn::{ParameterId, Role};
use crate::{Error, Result};

/// Reads the arrays into the model. No values are read before all arrays are known to match.
///
/// # Errors
/// [`Error::File`] that names arrays which are missing, unused or of the wrong shape, or an array with values that cannot
/// be used.
pub(super) fn apply(
    path: &Path,
    model: &mut Model,
    arrays: &KnownArrays,
    layout: &Layout,
    state: &StateDict,
    partial: bool,
) -> Result<LoadReport> {
    let (matches, mut report) = match_arrays(model, arrays, layout, state);
    report.find_suggestions();
    if !report.is_complete(partial) {
        return Err(Error::file(path, report.problems()));
    }
    for (id, array) in matches {
        let wrong = |what: String| Error::file(path, format!("{}: {what}", array.name));
        let values = array.values().map_err(wrong)?;
        let entry = model.parameters.get(id);
        if entry.role == Role::Statistic && entry.name.ends_with(".variance") && values.iter().any(|v| *v < 0.0) {
            return Err(wrong("a negative variance".into()));
        }
        let shape = entry.shape.clone();
        model.parameters.set_values(id, &shape, values)?;
    }
    Ok(report)
}

/// Returns the array of every parameter that has one, and the report.
fn match_arrays<'a>(
    model: &Model,
    arrays: &KnownArrays<'a>,
    layout: &Layout,
    state: &StateDict,
) -> (Vec<(ParameterId, &'a StoredArray)>, LoadReport) {
    let others = count_others(state).into_iter().map(|(name, arrays)| OtherArrays { name, arrays });
    let mut report = LoadReport {
        layout: layout.name.into(),
        prefix: state.prefix.clone(),
        other_arrays: others.collect(),
        ..LoadReport::default()
    };
    let mut matches = Vec::new();
    for (id, parameter) in model.parameters.iter() {
        match arrays.get(&parameter.name) {
            None => report.missing.push(layout.source_name(&parameter.name, state)),
            Some(array) if fits(&parameter.name, &array.shape, &parameter.shape) => matches.push((id, *array)),
            Some(array) => report.wrong_shape.push(WrongShape {
                name: array.name.clone(),
                found: array.shape.clone(),
                expected: parameter.shape.clone(),
            }),
        }
    }
    let has_place = |(native, _): &(&String, &&StoredArray)| model.parameters.find(native).is_some();
    let used: HashSet<&str> = arrays.iter().filter(has_place).map(|(_, array)| array.name.as_str()).collect();
    for array in state.arrays.iter().filter(|array| !used.contains(array.name.as_str())) {
        if layout.is_counter(&array.name) {
            report.counters += 1;
        } else if layout.is_in_trunk(&array.name) {
            report.unused_in_blocks.push(array.name.clone());
        } else {
            report.unused.push(array.name.clone());
        }
    }
    report.unused.extend(state.beside_head.iter().cloned());
    report.applied = matches.len();
    (matches, report)
}

/// Returns whether an array fits a parameter. A classifier may be stored as a 1x1 convolution, which computes the same.
fn fits(name: &str, found: &[usize], expected: &[usize]) -> bool {
    found == expected || (name == "head.weight" && found.strip_suffix(&[1, 1]) == Some(expected))
}
