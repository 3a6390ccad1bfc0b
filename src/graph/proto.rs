//! What is needed of an ONNX file to find a network in it: nodes, what they take and give, and the shapes of arrays.
//!
//! The values of arrays stay where they are. Every length is checked before anything else reads the file.

use super::Said;
use std::collections::HashMap;

use super::wire::{Fields, Wire};

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

/// An array that the file holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Array {
    pub name: String,
    pub shape: Vec<usize>,
    pub element: i64,
    /// Its value, where it is a single float.
    pub single: Option<f32>,
    /// Whether it is a parameter and not the result of a `Constant` node.
    pub is_parameter: bool,
    is_external: bool,
}

#[derive(Debug, Default)]
pub(super) struct Attribute {
    pub name: String,
    pub integer: i64,
    pub integers: Vec<i64>,
    array: Option<Array>,
    /// Values of the graph around it that a graph in it takes.
    captured: Vec<String>,
}

/// ONNX's number for f32.
pub(super) const FLOAT: i64 = 1;

/// More nodes than this are no network.
const MOST_NODES: usize = 1 << 16;
/// Graphs within graphs, as deep.
const DEEPEST: usize = 4;
/// Windows, strides and the like are no larger.
const WIDEST_WINDOW: i64 = 1 << 16;
/// No array has more values.
const MOST_VALUES: usize = 1 << 40;

impl Graph {
    /// Reads a file's bytes. The error says what is wrong with them.
    pub(super) fn read(bytes: &[u8]) -> Said<Self> {
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

/// A graph whose values are still names.
#[derive(Debug, Default)]
struct RawGraph {
    nodes: Vec<RawNode>,
    arrays: Vec<Array>,
    inputs: Vec<(String, i64, Vec<Option<usize>>)>,
    outputs: Vec<String>,
}

#[derive(Debug, Default)]
struct RawNode {
    op: String,
    name: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    attributes: Vec<Attribute>,
}

impl RawGraph {
    fn read(bytes: &[u8], depth: usize) -> Said<Self> {
        if depth > DEEPEST {
            return Err(format!("graphs within graphs, more than {DEEPEST} deep"));
        }
        let mut graph = Self::default();
        for field in Fields(bytes) {
            match field? {
                (1, message) => graph.nodes.push(RawNode::read(message.fields()?, depth)?),
                (5, message) => graph.arrays.push(Array { is_parameter: true, ..Array::read(message.fields()?)? }),
                (11, message) => graph.inputs.push(declared(message.fields()?)?),
                (12, message) => graph.outputs.push(declared(message.fields()?)?.0),
                (13, message) => drop(declared(message.fields()?)?),
                (15, _) => return Err("sparse arrays are not read".into()),
                _ => {}
            }
            if graph.nodes.len() > MOST_NODES {
                return Err(format!("more than {MOST_NODES} nodes"));
            }
        }
        Ok(graph)
    }

    /// Names that are taken and not given in it.
    fn captured(&self) -> Vec<String> {
        let own = self.nodes.iter().flat_map(|node| &node.outputs).chain(self.inputs.iter().map(|(name, ..)| name));
        let own: std::collections::HashSet<&String> = own.chain(self.arrays.iter().map(|a| &a.name)).collect();
        let taken = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs);
        taken.filter(|name| !name.is_empty() && !own.contains(name)).cloned().collect()
    }

    /// Names become numbers.
    fn link(self) -> Said<Graph> {
        let mut linking = Linking::default();
        linking.graph.has_external_data = self.arrays.iter().any(|a| a.is_external);
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
        self.graph.has_external_data |= array.as_ref().is_some_and(|a| a.is_external);
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

impl RawNode {
    fn read(fields: Fields<'_>, depth: usize) -> Said<Self> {
        let mut node = Self::default();
        for field in fields {
            match field? {
                (1, name) => node.inputs.push(name.text()?.to_owned()),
                (2, name) => node.outputs.push(name.text()?.to_owned()),
                (3, name) => node.name = name.text()?.to_owned(),
                (4, op) => node.op = op.text()?.to_owned(),
                (5, message) => node.attributes.push(Attribute::read(message.fields()?, depth)?),
                _ => {}
            }
        }
        let windows = ["pads", "strides", "dilations", "kernel_shape", "output_padding", "output_shape"];
        let is_absurd = |a: &&Attribute| {
            windows.contains(&a.name.as_str()) && a.integers.iter().any(|i| !(0..=WIDEST_WINDOW).contains(i))
        };
        match node.attributes.iter().find(is_absurd) {
            Some(a) => Err(format!("{} '{}': {} {:?} are none of a network", node.op, node.name, a.name, a.integers)),
            None => Ok(node),
        }
    }
}

impl Attribute {
    fn read(fields: Fields<'_>, depth: usize) -> Said<Self> {
        let mut attribute = Self::default();
        for field in fields {
            match field? {
                (1, name) => attribute.name = name.text()?.to_owned(),
                (3, value) => attribute.integer = value.integer()?,
                (5, message) => attribute.array = Some(Array::read(message.fields()?)?),
                (6, message) => attribute.captured.extend(RawGraph::read(message.bytes()?, depth + 1)?.captured()),
                (8, values) => attribute.integers.extend(values.integers()?),
                (10 | 11, _) => return Err(format!("attribute '{}': lists of arrays or graphs", attribute.name)),
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl Array {
    fn read(fields: Fields<'_>) -> Said<Self> {
        let mut array = Self::default();
        let mut raw = None;
        let mut dims = Vec::new();
        for field in fields {
            match field? {
                (1, sides) => dims.extend(sides.integers()?),
                (2, element) => array.element = element.integer()?,
                (4, Wire::Four(value)) => array.single = Some(f32::from_le_bytes(value)),
                (4, Wire::Bytes(values)) => array.single = values.first_chunk().map(|b| f32::from_le_bytes(*b)),
                (8, name) => array.name = name.text()?.to_owned(),
                (9, bytes) => raw = Some(bytes.bytes()?),
                (13, message) => message.fields()?.try_for_each(|field| field.map(|_| ()))?,
                (14, location) => array.is_external = location.integer()? == 1,
                _ => {}
            }
        }
        let wrong = || format!("array '{}': shape {dims:?} is none of a network", array.name);
        array.shape = dims.iter().map(|&side| usize::try_from(side)).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let count = array.shape.iter().try_fold(1_usize, |n, &side| n.checked_mul(side));
        let count = count.filter(|&count| count <= MOST_VALUES).ok_or_else(wrong)?;
        if let (Some(raw), Some(size)) = (raw, size_of_element(array.element))
            && raw.len() != count * size
        {
            let have = raw.len();
            return Err(format!("array '{}': {have} bytes, shape {dims:?} needs {}", array.name, count * size));
        }
        array.single = match raw {
            _ if count != 1 || array.element != FLOAT => None,
            Some(raw) => raw.first_chunk().map(|b| f32::from_le_bytes(*b)),
            None => array.single,
        };
        Ok(array)
    }
}

fn size_of_element(element: i64) -> Option<usize> {
    match element {
        2 | 3 | 9 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 => Some(8),
        _ => None,
    }
}

/// Name, element type and sides of a value that the file declares.
fn declared(fields: Fields<'_>) -> Said<(String, i64, Vec<Option<usize>>)> {
    let (mut name, mut element, mut sides) = (String::new(), 0, Vec::new());
    for field in fields {
        match field? {
            (1, text) => name = text.text()?.to_owned(),
            (2, kind) => {
                for field in kind.fields()? {
                    // A sequence or an optional is read no further.
                    let (1, tensor) = field? else { continue };
                    for field in tensor.fields()? {
                        match field? {
                            (1, number) => element = number.integer()?,
                            (2, shape) => {
                                sides = shape.fields()?.map(|side| side_of(side?.1)).collect::<Result<_, _>>()?
                            }
                            _ => {}
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok((name, element, sides))
}

fn side_of(message: Wire<'_>) -> Said<Option<usize>> {
    let mut side = None;
    for field in message.fields()? {
        if let (1, value) = field? {
            side = usize::try_from(value.integer()?).ok().filter(|&side| side > 0);
        }
    }
    Ok(side)
}
