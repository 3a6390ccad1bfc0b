//! What an ONNX file says of its graph, by names: nodes, arrays, inputs and outputs.
//!
//! The values of arrays stay where they are. Every length is checked before anything else reads the file.

use std::collections::HashSet;

use super::Said;
use super::wire::{Fields, Wire};

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
    pub is_external: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Attribute {
    pub name: String,
    pub integer: i64,
    pub integers: Vec<i64>,
    pub array: Option<Array>,
    /// Values of the graph around it that a graph in it takes.
    pub captured: Vec<String>,
    /// Whether an array of it, or of a graph in it, lies in a file beside.
    has_external: bool,
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

/// A graph whose values are still names.
#[derive(Clone, Debug, Default)]
pub(super) struct RawGraph {
    pub nodes: Vec<RawNode>,
    pub arrays: Vec<Array>,
    pub inputs: Vec<(String, i64, Vec<Option<usize>>)>,
    pub outputs: Vec<String>,
    /// Of each value that is said how to quantize: its name, and the arrays that say it.
    pub quantized: Vec<(String, Vec<String>)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct RawNode {
    pub op: String,
    pub name: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<Attribute>,
}

impl RawGraph {
    pub(super) fn read(bytes: &[u8], depth: usize) -> Said<Self> {
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
                (14, message) => graph.quantized.push(quantized(message.fields()?)?),
                (15, _) => return Err("sparse arrays are not read".into()),
                _ => {}
            }
            if graph.nodes.len() > MOST_NODES {
                return Err(format!("more than {MOST_NODES} nodes"));
            }
        }
        Ok(graph)
    }

    /// Names that are taken and not given in it. The engine hands them in from the graph around it alone.
    fn captured(&self) -> Said<Vec<String>> {
        let own = self.own();
        let is_captured = |name: &&String| !name.is_empty() && !own.contains(name.as_str());
        let taken = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs);
        let captured: Vec<String> = taken.filter(is_captured).cloned().collect();
        let mut deeper = self.nodes.iter().flat_map(RawNode::takes).filter(is_captured);
        match deeper.find(|name| !captured.contains(name)) {
            Some(name) => Err(format!("a graph within a graph in a node takes '{name}' from around both")),
            None => Ok(captured),
        }
    }

    /// Names that are given in it.
    pub(super) fn own(&self) -> HashSet<&str> {
        let given = self.nodes.iter().flat_map(|node| &node.outputs).chain(self.inputs.iter().map(|(name, ..)| name));
        given.chain(self.arrays.iter().map(|a| &a.name)).map(String::as_str).collect()
    }

    /// Whether arrays of it lie in files beside it.
    pub(super) fn has_external(&self) -> bool {
        let attributes = self.nodes.iter().flat_map(|node| &node.attributes);
        self.arrays.iter().any(|a| a.is_external) || attributes.into_iter().any(|a| a.has_external)
    }
}

impl RawNode {
    /// All names that it takes, those of graphs in it included.
    pub(super) fn takes(&self) -> impl Iterator<Item = &String> {
        self.inputs.iter().chain(self.attributes.iter().flat_map(|a| &a.captured))
    }

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
                (5, message) => {
                    let array = Array::read(message.fields()?)?;
                    attribute.has_external |= array.is_external;
                    attribute.array = Some(array);
                }
                (6, message) => {
                    let graph = RawGraph::read(message.bytes()?, depth + 1)?;
                    attribute.has_external |= graph.has_external();
                    attribute.captured.extend(graph.captured()?);
                }
                (8, values) => attribute.integers.extend(values.integers()?),
                (10 | 11, _) => return Err(format!("attribute '{}': lists of arrays or graphs", attribute.name)),
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl Array {
    pub(super) fn read(fields: Fields<'_>) -> Said<Self> {
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

/// Bytes that an element takes, by ONNX's number of its type.
pub(super) fn size_of_element(element: i64) -> Option<usize> {
    match element {
        2 | 3 | 9 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 => Some(8),
        _ => None,
    }
}

/// A value's name, and those of the arrays that say how it is quantized.
fn quantized(fields: Fields<'_>) -> Said<(String, Vec<String>)> {
    let (mut name, mut arrays) = (String::new(), Vec::new());
    for field in fields {
        match field? {
            (1, text) => name = text.text()?.to_owned(),
            (2, pair) => arrays.push(super::wire::pair(pair.fields()?)?.1.to_owned()),
            _ => {}
        }
    }
    Ok((name, arrays))
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
