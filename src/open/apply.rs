//! Every array to its place, or into the report.

use std::path::Path;

use super::arrays::{Array, StateDict};
use super::layout::{Known, Layout};
use super::opening::{Beside, LoadReport, WrongShape};
use crate::model::Model;
use crate::nn::{ParameterId, Role};
use crate::{Error, Result};

/// Puts the arrays in their places. None is read before all are known to fit.
///
/// # Errors
/// [`Error::File`] that says what is missing, unused or of the wrong shape, or which array's values cannot be used.
pub(super) fn apply(
    path: &Path,
    model: &mut Model,
    arrays: &Known,
    layout: &Layout,
    state: &StateDict,
    partial: bool,
) -> Result<LoadReport> {
    let (places, mut opening) = match_up(model, arrays, layout, state);
    opening.compare_names();
    if !opening.is_whole(partial) {
        return Err(Error::file(path, opening.complaint()));
    }
    for (id, array) in places {
        let wrong = |what: String| Error::file(path, format!("{}: {what}", array.name));
        let values = array.values().map_err(wrong)?;
        let entry = model.parameters.get(id);
        if entry.role == Role::Statistic && entry.name.ends_with(".variance") && values.iter().any(|v| *v < 0.0) {
            return Err(wrong("a negative variance".into()));
        }
        let shape = entry.shape.clone();
        model.parameters.set_values(id, &shape, values)?;
    }
    Ok(opening)
}

fn match_up<'a>(
    model: &Model,
    arrays: &Known<'a>,
    layout: &Layout,
    state: &StateDict,
) -> (Vec<(ParameterId, &'a Array)>, LoadReport) {
    let beside = state.beside.iter().map(|(name, arrays)| Beside { name: name.clone(), arrays: *arrays });
    let mut opening = LoadReport {
        layout: layout.name.into(),
        prefix: state.prefix.clone(),
        beside: beside.collect(),
        ..LoadReport::default()
    };
    let mut places = Vec::new();
    for (id, parameter) in model.parameters.iter() {
        match arrays.get(&parameter.name) {
            None => opening.missing.push(layout.theirs(&parameter.name, state)),
            Some(array) if fits(&parameter.name, &array.shape, &parameter.shape) => places.push((id, *array)),
            Some(array) => opening.wrong_shape.push(WrongShape {
                name: array.name.clone(),
                found: array.shape.clone(),
                expected: parameter.shape.clone(),
            }),
        }
    }
    for array in &state.arrays {
        let ours = layout.ours(&array.name).filter(|ours| arrays.get(ours).is_some_and(|a| a.name == array.name));
        if layout.is_counter(&array.name) {
            opening.counters += 1;
        } else if ours.is_none_or(|ours| model.parameters.find(&ours).is_none()) {
            opening.unused.push(array.name.clone());
        }
    }
    opening.applied = places.len();
    (places, opening)
}

/// Whether an array fits its place. A classifier may be written as a 1x1 convolution, which computes the same.
fn fits(name: &str, found: &[usize], expected: &[usize]) -> bool {
    found == expected || (name == "head.weight" && found.strip_suffix(&[1, 1]) == Some(expected))
}
