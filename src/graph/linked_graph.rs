//! The graph of an ONNX file with its names resolved: nodes refer to values, and values to nodes, by index.

use std::collections::{BTreeSet, HashMap};

use super::ParseResult;
use super::declaration::Dimension;
use super::node_order::node_order;
use super::protobuf::Fields;
use super::raw_graph::{ArrayInfo, Attribute, RawGraph, RawNode};
use crate::text::excerpt;

/// The bytes with which a `ModelProto` can begin: the keys of its fields.
const FIRST_BYTES: [u8; 12] = [0x08, 0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72, 0xa2, 0xca, 0xd2];

/// A graph. Its nodes are in an order in which they can be computed.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub values: Vec<Value>,
    /// Values that a caller has to provide, in the file's order.
    pub inputs: Vec<usize>,
    /// Values that the graph returns.
    pub outputs: Vec<usize>,
    /// The names of the other files that arrays are stored in.
    pub external_files: BTreeSet<String>,
    /// The same graph with names in place of indices.
    pub raw: RawGraph,
}

/// An operation of the graph.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub op: String,
    pub name: String,
    /// Values, by position; `None` for an optional input that is absent. Values that subgraphs consume follow.
    pub inputs: Vec<Option<usize>>,
    /// Values; optional outputs that are absent do not count.
    pub outputs: Vec<usize>,
    pub attributes: Vec<Attribute>,
}

/// An input or output of a node.
#[derive(Debug, Default)]
pub(super) struct Value {
    pub name: String,
    /// The node that computes it; `None` for inputs and arrays of the file.
    pub producer: Option<usize>,
    /// The nodes that consume it, each once, in order.
    pub consumers: Vec<usize>,
    /// The array, where the value is one of the file.
    pub array: Option<ArrayInfo>,
    /// Whether it is an array of the file, or computed from such arrays alone.
    pub is_constant: bool,
    /// Element type, as ONNX numbers it; 0 where the file does not say.
    pub element_type: i64,
    /// Dimensions of an input.
    pub dims: Vec<Dimension>,
}

impl Graph {
    /// Reads the bytes of a file. The error says what is wrong with them.
    pub(super) fn read(bytes: &[u8]) -> ParseResult<Self> {
        if bytes.first().is_some_and(|first| !FIRST_BYTES.contains(first)) {
            return Err("not an ONNX file".into());
        }
        let mut graph = None;
        for field in Fields(bytes) {
            match field? {
                (7, message) => graph = Some(RawGraph::read(message.bytes()?, 0)?),
                // Opset versions and metadata: only their lengths are checked.
                (8 | 14, message) => message.fields()?.try_for_each(|field| field.map(|_| ()))?,
                _ => {}
            }
        }
        graph.ok_or("not an ONNX file: there is no graph in it")?.link()
    }

    /// Returns a node's operation and name for a message. A node without a name is called as its first output is.
    pub(super) fn describe_node(&self, node: usize) -> String {
        let Node { op, name, outputs, .. } = &self.nodes[node];
        let output = outputs.first().map_or("", |&value| self.values[value].name.as_str());
        let name = if name.is_empty() { output } else { name };
        format!("{op} '{}'", excerpt(name))
    }

    /// Returns the one output of a node that other nodes consume; `None` where there are several. Of a node whose outputs
    /// nothing consumes, returns the first.
    pub(super) fn single_output(&self, node: usize) -> Option<usize> {
        let mut used = self.nodes[node].outputs.iter().filter(|&&v| !self.values[v].consumers.is_empty());
        let first = used.next().or(self.nodes[node].outputs.first());
        if used.next().is_some() { None } else { first.copied() }
    }

    /// Returns the node that computes a value, where its operation is one of these.
    pub(super) fn produced_by(&self, value: usize, ops: &[&str]) -> Option<&Node> {
        let node = &self.nodes[self.values[value].producer?];
        ops.contains(&node.op.as_str()).then_some(node)
    }

    /// Returns the values by their names.
    pub(super) fn values_by_name(&self) -> HashMap<&str, usize> {
        self.values.iter().enumerate().map(|(place, value)| (value.name.as_str(), place)).collect()
    }
}

impl Node {
    /// Returns the integers of an attribute; none where the node does not have the attribute.
    pub(super) fn integers(&self, name: &str) -> &[i64] {
        self.attributes.iter().find(|a| a.name == name).map_or(&[], |a| a.integers.as_slice())
    }

    /// Returns the floats of a short attribute.
    pub(super) fn floats(&self, name: &str) -> Option<&[f64]> {
        self.attributes.iter().find(|a| a.name == name).map(|a| a.floats.as_slice())
    }

    /// Returns the text of an attribute.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.name == name)?.text.as_deref()
    }

    /// Returns the integer of an attribute.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.attributes.iter().find(|a| a.name == name).map(|a| a.integer)
    }

    /// Returns the inputs that are not absent.
    pub(super) fn present_inputs(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().flatten().copied()
    }
}

impl RawGraph {
    /// Resolves all names.
    fn link(self) -> ParseResult<Graph> {
        let mut linker = Linker::default();
        linker.graph.external_files = self.external_files();
        linker.graph.raw = Self { order: node_order(&self)?, ..self.clone() };
        for array in self.arrays {
            let (name, element_type) = (array.name.clone(), array.element);
            linker.add(Value { name, array: Some(array), element_type, is_constant: true, ..Value::default() });
        }
        for (name, element_type, dims) in self.inputs {
            // Files of IR version 3 list their initializers among the inputs.
            if !linker.known.contains_key(&name) {
                let id = linker.add(Value { name, element_type, dims, ..Value::default() });
                linker.graph.inputs.push(id);
            }
        }
        let mut nodes: Vec<Option<RawNode>> = self.nodes.into_iter().map(Some).collect();
        for place in linker.graph.raw.order.clone() {
            linker.node(nodes[place].take().unwrap_or_default())?;
        }
        let Linker { mut graph, known } = linker;
        for name in self.outputs {
            graph.outputs.push(*known.get(&name).ok_or_else(|| format!("nothing gives its output '{name}'"))?);
        }
        Ok(graph)
    }
}

/// Builds a graph node by node.
#[derive(Default)]
struct Linker {
    graph: Graph,
    /// Values by name.
    known: HashMap<String, usize>,
}

impl Linker {
    /// Adds a value.
    fn add(&mut self, value: Value) -> usize {
        let id = self.graph.values.len();
        self.known.insert(value.name.clone(), id);
        self.graph.values.push(value);
        id
    }

    /// Adds a node. An `Identity` is not added: the name of its output becomes another name of its input.
    fn node(&mut self, RawNode { op, name, inputs, outputs, attributes }: RawNode) -> ParseResult<()> {
        let captured = attributes.iter().flat_map(|a| &a.captured);
        let resolve = |consumed: &String| {
            let missing = || format!("{op} '{name}' takes '{consumed}', which nothing before it gives");
            Ok(if consumed.is_empty() { None } else { Some(*self.known.get(consumed).ok_or_else(missing)?) })
        };
        let inputs: Vec<Option<usize>> = inputs.iter().chain(captured).map(resolve).collect::<ParseResult<_>>()?;
        if let Some(name) = outputs.iter().find(|name| self.known.contains_key(*name)) {
            return Err(format!("'{name}' is given twice"));
        }
        if let (true, [Some(same)], [given]) = (op == "Identity", inputs.as_slice(), outputs.as_slice()) {
            self.known.insert(given.clone(), *same);
            return Ok(());
        }
        let index = self.graph.nodes.len();
        let mut array = attributes.iter().find_map(Attribute::constant).filter(|_| op == "Constant");
        let is_constant = inputs.iter().flatten().all(|&value| self.graph.values[value].is_constant);
        let mut given = Vec::new();
        for name in outputs.into_iter().filter(|name| !name.is_empty()) {
            let producer = Some(index);
            given.push(self.add(Value { name, producer, array: array.take(), is_constant, ..Value::default() }));
        }
        for value in inputs.iter().flatten() {
            let consumers = &mut self.graph.values[*value].consumers;
            if consumers.last() != Some(&index) {
                consumers.push(index);
            }
        }
        self.graph.nodes.push(Node { op, name, inputs, outputs: given, attributes });
        Ok(())
    }
}
