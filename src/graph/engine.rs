//! Runs parts of a graph: computes values of it from other values.

use std::collections::HashSet;
use std::path::Path;

use rten::{Model, ModelOptions, NodeId, ShapeInferenceMode, Value, ValueView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use super::ParseResult;
use super::attribute_defaults::{completed, missing_attributes};
use super::external_data::read_file;
use super::linked_graph::{self, Graph};
use crate::error::caught;
use crate::text::excerpt;
use crate::{Error, Result};

/// An inference session of a graph, which can compute any of its values from others.
pub(super) struct Engine {
    model: Model,
    /// The engine's number of each value; `None` for a value that the engine computed or fused away when it loaded the file.
    ids: Vec<Option<NodeId>>,
    /// The most nodes one after the other beside those that compute a value from others: nodes that compute from arrays alone,
    /// and those of the file that are none of the graph.
    extra_depth: usize,
}

/// The engine plans a computation by visiting nodes one within the other. So many fit on the stack of any thread.
const MAX_NESTED: usize = 500;
/// The bytes of stack that the engine needs for each node, with room to spare.
const STACK_OF_NODE: usize = 2 << 10;
/// The most terms that the engine may list when it fuses operations.
const MAX_TERMS: usize = 1 << 18;

impl Engine {
    /// Loads the file that a graph was read from, and the files that hold its arrays.
    ///
    /// # Errors
    /// [`Error::File`] that names the node at fault, or the file.
    pub(super) fn open(path: &Path, graph: &Graph, is_fused: bool) -> Result<Self> {
        let wrong = |what: String| Error::file(path, format!("cannot be run: {}", excerpt(&what)));
        let mut bytes = std::fs::read(path).map_err(Error::io(path))?;
        let missing = missing_attributes(graph);
        if !missing.is_empty() {
            bytes = completed(&bytes, &missing).map_err(wrong)?;
        }
        let files = graph.external_files.iter().map(|name| Ok((name, read_file(path, name)?)));
        let files = files.collect::<ParseResult<Vec<_>>>().map_err(wrong)?;
        let load = || {
            let mut options = ModelOptions::with_all_ops();
            // Inferred shapes would replace values inside blocks by values that are computed from the inputs of the graph.
            options.enable_optimization(is_fused).shape_inference(ShapeInferenceMode::Off);
            for (name, bytes) in files {
                options.external_data(name, bytes);
            }
            options.load(bytes).map_err(|e| e.to_string())
        };
        let model = on_stack(graph.raw.nodes.len(), load).and_then(|loaded| loaded).map_err(wrong)?;
        let ids = graph.values.iter().map(|value| model.find_node(&value.name)).collect();
        // What the graph has left out, such as an `Identity`, is a node of the engine.
        let dropped = graph.raw.nodes.len().saturating_sub(graph.nodes.len());
        Ok(Self { model, ids, extra_depth: constant_depth(graph) + dropped })
    }

    /// Computes values from other values. The error names the node that failed.
    pub(super) fn run(
        &self,
        graph: &Graph,
        inputs: &[(usize, ValueView<'_>)],
        outputs: &[usize],
    ) -> ParseResult<Vec<Value>> {
        let id = |value: usize| {
            let unknown = || format!("'{}' does not exist where the graph runs", excerpt(&graph.values[value].name));
            self.ids[value].ok_or_else(unknown)
        };
        let find = |value: &usize| inputs.iter().find(|(other, _)| other == value);
        let mut missing: Vec<usize> = outputs.iter().copied().filter(|value| find(value).is_none()).collect();
        missing.sort_unstable();
        missing.dedup();
        let arrays: ParseResult<Vec<_>> =
            inputs.iter().map(|(value, array)| Ok((id(*value)?, array.clone().into()))).collect();
        let ids: ParseResult<Vec<NodeId>> = missing.iter().map(|&value| id(value)).collect();
        let ids = ids?;
        let given = inputs.iter().map(|(value, _)| *value).collect();
        let nested = needed_nodes(graph, &given, missing.clone()) + self.extra_depth;
        let computed = match ids.is_empty() {
            true => Vec::new(),
            false => {
                let arrays = arrays?;
                on_stack(nested, || self.model.run(arrays, &ids, None).map_err(|e| excerpt(&e.to_string())))??
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

/// Calls the engine, which panics on some graphs. Where more than [`MAX_NESTED`] nodes can be `nested`, the call has a stack
/// that is large enough for them.
fn on_stack<T: Send>(nested: usize, call: impl FnOnce() -> T + Send) -> ParseResult<T> {
    // After a panic the graph is not run again, so that no state of the engine is relied upon.
    let call = || caught(call).map_err(|panic| format!("cannot be computed: the engine fails: {panic}"));
    if nested <= MAX_NESTED {
        return call();
    }
    let bytes = nested.saturating_mul(STACK_OF_NODE);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(bytes).spawn_scoped(scope, call);
        let thread = thread.map_err(|e| format!("no stack of {bytes} bytes for its {nested} nodes: {e}"))?;
        thread.join().unwrap_or_else(|_| Err("cannot be computed: the engine fails".into()))
    })
}

/// Returns whether the engine fuses the operations of a graph in bounded time: for every sum and every product it lists the
/// terms of all sums, and the factors of all products, that lie within it. These are as many as there are paths to them.
pub(super) fn can_fuse(graph: &Graph) -> bool {
    let mut terms = vec![1_usize; graph.values.len()];
    let mut all = 0_usize;
    for node in graph.nodes.iter().filter(|node| matches!(node.op.as_str(), "Add" | "Mul")) {
        let terms_of = |value: usize| if graph.produced_by(value, &[&node.op]).is_some() { terms[value] } else { 1 };
        let count = node.present_inputs().fold(0_usize, |sum, value| sum.saturating_add(terms_of(value)));
        all = all.saturating_add(count);
        node.outputs.iter().for_each(|&output| terms[output] = count);
    }
    all <= MAX_TERMS
}

/// Returns how many nodes compute some values from others, but for those that compute from arrays alone. So many may be one
/// after the other.
fn needed_nodes(graph: &Graph, given: &HashSet<usize>, mut waiting: Vec<usize>) -> usize {
    let mut nodes = HashSet::new();
    while let Some(value) = waiting.pop() {
        let linked_graph::Value { is_constant, producer, .. } = &graph.values[value];
        if let Some(node) = producer.filter(|_| !is_constant && !given.contains(&value))
            && nodes.insert(node)
        {
            waiting.extend(graph.nodes[node].present_inputs());
        }
    }
    nodes.len()
}

/// Returns the most nodes one after the other that compute from arrays alone.
fn constant_depth(graph: &Graph) -> usize {
    let mut depths = vec![0_usize; graph.values.len()];
    for node in &graph.nodes {
        let depth = 1 + node.present_inputs().map(|value| depths[value]).max().unwrap_or(0);
        node.outputs.iter().filter(|&&output| graph.values[output].is_constant).for_each(|&o| depths[o] = depth);
    }
    depths.into_iter().max().unwrap_or(0)
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
            let name = excerpt(&graph.values[id].name);
            Err(format!("'{name}' is an estimate and holds {}, expected float32", other.dtype()))
        }
    }
}

/// Makes a value of a shape: of f32, or of the integers that the numbers are.
pub(super) fn from_floats(shape: &[usize], values: Vec<f32>, is_integer: bool) -> ParseResult<Value> {
    let failed = |e: &dyn std::error::Error| excerpt(&e.to_string());
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
        for nested in [0, MAX_NESTED + 1] {
            let line = |text: &str| Err(format!("cannot be computed: the engine fails: {text}"));
            assert_eq!(on_stack::<i32>(nested, || panic!("no such\nkernel")), line("no such kernel"));
            assert_eq!(on_stack::<i32>(nested, || panic!("side {}", 3)), line("side 3"));
            assert_eq!(on_stack(nested, || 3), Ok(3));
        }
    }

    /// A sum of a value and of what a long chain computes from another one.
    #[test]
    fn all_inputs_of_a_node_count() {
        let value = |producer| linked_graph::Value { producer, ..Default::default() };
        let node = |inputs: &[usize], output| linked_graph::Node {
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: vec![output],
            ..Default::default()
        };
        // Value 0 and value 1 are inputs; node i computes value i + 2 from the one before; the last one adds value 0.
        let mut graph = Graph { values: vec![value(None), value(None)], ..Graph::default() };
        for place in 0..1000 {
            let inputs = [place + 1, 0];
            graph.nodes.push(node(&inputs[..if place == 999 { 2 } else { 1 }], place + 2));
            graph.values.push(value(Some(place)));
        }
        let count = |given: &[usize]| needed_nodes(&graph, &given.iter().copied().collect(), vec![1001]);
        assert_eq!([count(&[0, 1]), count(&[0, 991]), count(&[0, 1001])], [1000, 10, 0]);
        graph.values[501].is_constant = true;
        assert_eq!(needed_nodes(&graph, &HashSet::from([0]), vec![1001]), 500);
    }

    #[test]
    fn a_stack_holds_as_many_nodes_as_it_is_for() {
        fn nest(depth: usize, frame: [u8; 1024]) -> u64 {
            let frame = std::hint::black_box(frame);
            if depth == 0 { 0 } else { u64::from(frame[depth % 1024]) + nest(depth - 1, frame) }
        }
        assert_eq!(on_stack(1 << 16, || nest(1 << 15, [0; 1024])), Ok(0));
    }
}
