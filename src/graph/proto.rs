//! What is needed of an ONNX file to find a network in it: nodes, what they take and give, and the shapes of arrays.

use super::Said;
use std::collections::HashMap;

use super::raw::{Array, Attribute, RawGraph, RawNode};
use super::wire::Fields;

/// First bytes of the fields that a model may have.
const BEGINNINGS: [u8; 12] = [0x08, 0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72, 0xa2, 0xca, 0xd2];

/// A graph of nodes in an order in which they can be computed.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub values: Vec<Value>,
    /// What has to be given: values, in the file's order.
    pub inputs: Vec<usize>,
    /// What it answers with.
    pub outputs: Vec<usize>,
    /// Whether arrays lie in files beside it.
    pub has_external_data: bool,
    /// The same graph by names.
    pub raw: RawGraph,
}

/// An operation.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub op: String,
    pub name: String,
    /// Values; those left out are left out here too, but for the places of the rest.
    pub inputs: Vec<Option<usize>>,
    pub outputs: Vec<usize>,
    pub attributes: Vec<Attribute>,
}

/// Whatever a node takes or gives.
#[derive(Debug, Default)]
pub(super) struct Value {
    pub name: String,
    /// The node that gives it.
    pub producer: Option<usize>,
    /// The nodes that take it, each once.
    pub consumers: Vec<usize>,
    /// The shape of an array that the file holds.
    pub array: Option<Array>,
    /// Whether it is such an array, or computed from such arrays alone.
    pub is_fixed: bool,
    /// Element type, by ONNX's number; 0 where the file does not say.
    pub element: i64,
    /// Of an input: its sides, `None` for those that are free.
    pub sides: Vec<Option<usize>>,
}

impl Graph {
    /// Reads a file's bytes. The error says what is wrong with them.
    pub(super) fn read(bytes: &[u8]) -> Said<Self> {
        if bytes.first().is_some_and(|first| !BEGINNINGS.contains(first)) {
            return Err("not an ONNX file".into());
        }
        let mut graph = None;
        for field in Fields(bytes) {
            match field? {
                (7, message) => graph = Some(RawGraph::read(message.bytes()?, 0)?),
                // Versions and metadata, which others read.
                (8 | 14, message) => message.fields()?.try_for_each(|field| field.map(|_| ()))?,
                _ => {}
            }
        }
        graph.ok_or("not an ONNX file: there is no graph in it")?.link()
    }

    /// Names a node for a message: by its own name, or by what it gives.
    pub(super) fn node_name(&self, node: usize) -> String {
        let Node { op, name, outputs, .. } = &self.nodes[node];
        let given = outputs.first().map_or("", |&value| self.values[value].name.as_str());
        let name = if name.is_empty() { given } else { name };
        format!("{op} '{}'", crate::open::one_line(name))
    }

    /// The value that a node gives, where it is one.
    pub(super) fn output(&self, node: usize) -> Option<usize> {
        let mut used = self.nodes[node].outputs.iter().filter(|&&v| !self.values[v].consumers.is_empty());
        let first = used.next().or(self.nodes[node].outputs.first());
        if used.next().is_some() { None } else { first.copied() }
    }

    /// The node that gives a value, where it is one of these operations.
    pub(super) fn given_by(&self, value: usize, ops: &[&str]) -> Option<&Node> {
        let node = &self.nodes[self.values[value].producer?];
        ops.contains(&node.op.as_str()).then_some(node)
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.values.iter().position(|value| value.name == name)
    }
}

impl Node {
    pub(super) fn integers(&self, name: &str) -> &[i64] {
        self.attributes.iter().find(|a| a.name == name).map_or(&[], |a| a.integers.as_slice())
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.attributes.iter().find(|a| a.name == name).map(|a| a.integer)
    }

    /// All that it takes.
    pub(super) fn takes(&self) -> impl Iterator<Item = usize> {
        self.inputs.iter().flatten().copied()
    }
}

impl RawGraph {
    /// Names become numbers.
    fn link(self) -> Said<Graph> {
        let mut linking = Linking::default();
        linking.graph.has_external_data = self.has_external();
        linking.graph.raw = self.clone();
        for array in self.arrays {
            let (name, element) = (array.name.clone(), array.element);
            linking.add(Value { name, array: Some(array), element, is_fixed: true, ..Value::default() });
        }
        for (name, element, sides) in self.inputs {
            // Old files list their arrays among their inputs.
            if !linking.known.contains_key(&name) {
                let id = linking.add(Value { name, element, sides, ..Value::default() });
                linking.graph.inputs.push(id);
            }
        }
        self.nodes.into_iter().try_for_each(|node| linking.node(node))?;
        let Linking { mut graph, known } = linking;
        for name in self.outputs {
            graph.outputs.push(*known.get(&name).ok_or_else(|| format!("nothing gives its output '{name}'"))?);
        }
        Ok(graph)
    }
}

/// A graph whose nodes are added one by one.
#[derive(Default)]
struct Linking {
    graph: Graph,
    known: HashMap<String, usize>,
}

impl Linking {
    fn add(&mut self, value: Value) -> usize {
        let id = self.graph.values.len();
        self.known.insert(value.name.clone(), id);
        self.graph.values.push(value);
        id
    }

    /// Adds a node; one that passes a value on unchanged disappears.
    fn node(&mut self, RawNode { op, name, inputs, outputs, attributes }: RawNode) -> Said<()> {
        let captured = attributes.iter().flat_map(|a| &a.captured);
        let find = |taken: &String| {
            let missing = || format!("{op} '{name}' takes '{taken}', which nothing before it gives");
            Ok(if taken.is_empty() { None } else { Some(*self.known.get(taken).ok_or_else(missing)?) })
        };
        let inputs: Vec<Option<usize>> = inputs.iter().chain(captured).map(find).collect::<Said<_>>()?;
        if let Some(name) = outputs.iter().find(|name| self.known.contains_key(*name)) {
            return Err(format!("'{name}' is given twice"));
        }
        if let (true, [Some(same)], [given]) = (op == "Identity", inputs.as_slice(), outputs.as_slice()) {
            self.known.insert(given.clone(), *same);
            return Ok(());
        }
        let index = self.graph.nodes.len();
        let mut array = attributes.iter().find_map(|a| a.array.clone()).filter(|_| op == "Constant");
        let is_fixed = inputs.iter().flatten().all(|&value| self.graph.values[value].is_fixed);
        let mut given = Vec::new();
        for name in outputs.into_iter().filter(|name| !name.is_empty()) {
            let producer = Some(index);
            given.push(self.add(Value { name, producer, array: array.take(), is_fixed, ..Value::default() }));
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
