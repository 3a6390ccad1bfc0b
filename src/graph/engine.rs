//! Runs parts of a graph: computes values of it from other values.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path};

use rten::{Model, ModelOptions, NodeId, ShapeInferenceMode, Value, ValueView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use super::ParseResult;
use super::attribute_defaults::{completed, missing_attributes};
use super::linked_graph::Graph;
use crate::text::one_line;
use crate::{Error, Result};

/// An inference session of a graph, which can compute any of its values from others.
pub(super) struct Engine {
    model: Model,
    /// The engine's number of each value; `None` for a value that the engine computed or fused away when it loaded the file.
    ids: Vec<Option<NodeId>>,
}

impl Engine {
    /// Loads the file that a graph was read from. Arrays that are stored in other files are memory-mapped, or read where
    /// attributes are added to the graph.
    ///
    /// # Errors
    /// [`Error::File`] that names the node at fault.
    pub(super) fn open(path: &Path, graph: &Graph, is_fused: bool) -> Result<Self> {
        let mut options = ModelOptions::with_all_ops();
        // Inferred shapes would replace values inside blocks by values that are computed from the inputs of the graph.
        options.enable_optimization(is_fused).shape_inference(ShapeInferenceMode::Off);
        let wrong = |what: &str| Error::file(path, format!("cannot be run: {}", one_line(what)));
        let missing = missing_attributes(graph);
        let loaded = if !missing.is_empty() {
            let bytes = std::fs::read(path).map_err(Error::io(path))?;
            for name in &graph.external_files {
                if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
                    return Err(wrong(&format!("'{name}' does not lie beside the graph")));
                }
                let path = path.with_file_name(name);
                options.external_data(name, std::fs::read(&path).map_err(Error::io(&path))?);
            }
            let bytes = completed(&bytes, &missing).map_err(|e| wrong(&e))?;
            unwound(|| options.load(bytes))
        } else if graph.has_external_data {
            // SAFETY: the caller must not change the file while the network is in use, as for every file that is opened
            // here. Changed bytes are wrong values of arrays, whose number alone is relied upon.
            unwound(|| unsafe { options.load_mmap(path) })
        } else {
            unwound(|| options.load_file(path))
        };
        let loaded = loaded.and_then(|loaded| loaded.map_err(|e| e.to_string()));
        let model = loaded.map_err(|e| wrong(&e))?;
        let ids = graph.values.iter().map(|value| model.find_node(&value.name)).collect();
        Ok(Self { model, ids })
    }

    /// Computes values from other values. The error names the node that failed.
    pub(super) fn run(
        &self,
        graph: &Graph,
        inputs: &[(usize, ValueView<'_>)],
        outputs: &[usize],
    ) -> ParseResult<Vec<Value>> {
        let id = |value: usize| {
            let unknown = || format!("'{}' does not exist where the graph runs", one_line(&graph.values[value].name));
            self.ids[value].ok_or_else(unknown)
        };
        let find = |value: &usize| inputs.iter().find(|(other, _)| other == value);
        let mut missing: Vec<usize> = outputs.iter().copied().filter(|value| find(value).is_none()).collect();
        missing.sort_unstable();
        missing.dedup();
        let inputs: ParseResult<Vec<_>> =
            inputs.iter().map(|(value, array)| Ok((id(*value)?, array.clone().into()))).collect();
        let ids: ParseResult<Vec<NodeId>> = missing.iter().map(|&value| id(value)).collect();
        let ids = ids?;
        let computed = match ids.is_empty() {
            true => Vec::new(),
            false => {
                let inputs = inputs?;
                let run = || self.model.run(inputs, &ids, None).map_err(|e| one_line(&e.to_string()));
                unwound(run)??
            }
        };
        let place = |value: &usize| missing.binary_search(value).ok();
        let take = |value: &usize| match find(value) {
            Some((_, array)) => Some(array.to_owned()),
            None => computed.get(place(value)?).cloned(),
        };
        outputs.iter().map(|value| take(value).ok_or_else(|| "a value is missing".to_owned())).collect()
    }
}

/// Calls the engine, which panics on some graphs.
fn unwound<T>(call: impl FnOnce() -> T) -> ParseResult<T> {
    // After a panic the graph is not run again, so that no state of the engine is relied upon.
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        format!("cannot be computed: the engine fails: {}", one_line(text))
    })
}

/// Returns the shape of a value.
pub(super) fn shape_of(value: &Value) -> Vec<usize> {
    value.shape().to_vec()
}

/// Returns the values of an array of f32, row-major; `None` for other types.
pub(super) fn to_floats(value: &Value) -> Option<Vec<f32>> {
    value.as_tensor_view::<f32>().map(|view| view.to_vec())
}

/// Returns a value as the array of f32 that it is.
///
/// # Errors
/// A value of another type.
pub(super) fn float_tensor(graph: &Graph, id: usize, value: Value) -> ParseResult<Tensor<f32>> {
    match value {
        Value::FloatTensor(tensor) => Ok(tensor),
        other => {
            let name = one_line(&graph.values[id].name);
            Err(format!("'{name}' is an estimate and holds {}, expected float32", other.dtype()))
        }
    }
}

/// Makes a value of a shape: of f32, or of the integers that the numbers are.
pub(super) fn from_floats(shape: &[usize], values: Vec<f32>, is_integer: bool) -> ParseResult<Value> {
    let failed = |e: &dyn std::error::Error| one_line(&e.to_string());
    if is_integer {
        let whole: Vec<i32> = values.iter().map(|&v| v as i32).collect();
        Value::from_shape(shape, whole).map_err(|e| failed(&e))
    } else {
        Value::from_shape(shape, values).map_err(|e| failed(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_engine_is_one_line() {
        let line = |text: &str| Err(format!("cannot be computed: the engine fails: {text}"));
        assert_eq!(unwound::<i32>(|| panic!("no such\nkernel")), line("no such kernel"));
        assert_eq!(unwound::<i32>(|| panic!("side {}", 3)), line("side 3"));
        assert_eq!(unwound::<i32>(|| std::panic::panic_any(3)), line("a panic"));
        assert_eq!(unwound(|| 3), Ok(3));
    }
}
