//! Running parts of a graph: these values are given, those are wanted.

use super::Said;
use std::path::Path;

use rten::{Model, ModelOptions, NodeId, ShapeInferenceMode, Value};
use rten_tensor::prelude::*;

use super::proto::Graph;
use crate::open::one_line;
use crate::{Error, Result};

/// A graph that can be run from any of its values to any other.
pub(super) struct Engine {
    model: Model,
    /// By value; `None` for what was computed when the file was opened.
    ids: Vec<Option<NodeId>>,
}

impl Engine {
    /// Opens the file that a graph was read from. Arrays beside it are mapped, not read.
    ///
    /// # Errors
    /// [`Error::File`] that names the node at fault.
    pub(super) fn open(path: &Path, graph: &Graph, optimize: bool) -> Result<Self> {
        let mut options = ModelOptions::with_all_ops();
        // What is inferred of shapes would tie blocks to the inputs that the shapes come from.
        options.enable_optimization(optimize).shape_inference(ShapeInferenceMode::Off);
        let loaded = if graph.has_external_data {
            // SAFETY: whoever opens a file must not change it while it is used; the same is asked of every file here,
            // and what is read from one that changes is wrong values, which are checked for nothing but their number.
            unsafe { options.load_mmap(path) }
        } else {
            options.load_file(path)
        };
        let model = loaded.map_err(|e| Error::file(path, format!("cannot be run: {}", one_line(&e.to_string()))))?;
        let ids = graph.values.iter().map(|value| model.find_node(&value.name)).collect();
        Ok(Self { model, ids })
    }

    /// Computes values from others. The error says which node failed.
    pub(super) fn run(&self, graph: &Graph, given: &[(usize, &Value)], wanted: &[usize]) -> Said<Vec<Value>> {
        let id = |value: usize| {
            let unknown = || format!("'{}' does not exist where the graph runs", one_line(&graph.values[value].name));
            self.ids[value].ok_or_else(unknown)
        };
        let find = |value: &usize| given.iter().find(|(other, _)| other == value);
        let mut missing: Vec<usize> = wanted.iter().copied().filter(|value| find(value).is_none()).collect();
        missing.sort_unstable();
        missing.dedup();
        let inputs: Said<Vec<_>> = given.iter().map(|(value, array)| Ok((id(*value)?, (*array).into()))).collect();
        let outputs: Said<Vec<NodeId>> = missing.iter().map(|&value| id(value)).collect();
        let outputs = outputs?;
        let computed = match outputs.is_empty() {
            true => Vec::new(),
            false => self.model.run(inputs?, &outputs, None).map_err(|e| one_line(&e.to_string()))?,
        };
        let place = |value: &usize| missing.binary_search(value).ok();
        let take = |value: &usize| match find(value) {
            Some((_, array)) => Some((*array).clone()),
            None => computed.get(place(value)?).cloned(),
        };
        wanted.iter().map(|value| take(value).ok_or_else(|| "a value is missing".to_owned())).collect()
    }
}

/// The shape of a value.
pub(super) fn shape(value: &Value) -> Vec<usize> {
    value.shape().to_vec()
}

/// The values of an array of floats in row-major order.
pub(super) fn floats(value: &Value) -> Option<Vec<f32>> {
    value.as_tensor_view::<f32>().map(|view| view.to_vec())
}

/// An array of floats, or of the whole numbers that they are.
pub(super) fn array(shape: &[usize], values: Vec<f32>, is_whole: bool) -> Said<Value> {
    let failed = |e: &dyn std::error::Error| one_line(&e.to_string());
    if is_whole {
        let whole: Vec<i32> = values.iter().map(|&v| v as i32).collect();
        Value::from_shape(shape, whole).map_err(|e| failed(&e))
    } else {
        Value::from_shape(shape, values).map_err(|e| failed(&e))
    }
}
