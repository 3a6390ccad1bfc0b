//! The graph of an ONNX file as it is written: values are referred to by their names.
//!
//! The values of arrays are not read. Every length is checked here, before the engine reads the file.

use std::collections::{BTreeSet, HashSet};

use super::ParseResult;
use super::declaration::{Dimension, read_declaration};
use super::protobuf::Fields;

/// An array of the file: an initializer, or the value of an attribute.
#[derive(Clone, Debug, Default)]
pub(super) struct ArrayInfo {
    pub name: String,
    pub shape: Vec<usize>,
    /// Element type, as ONNX numbers it.
    pub element: i64,
    /// The values of a short array of numbers, such as a shape; none of a longer one and of other types.
    pub numbers: Vec<f64>,
    /// Whether it is an initializer of the graph, and not the result of a `Constant` node.
    pub is_parameter: bool,
    /// Whether the values are stored in another file.
    pub is_external: bool,
    /// The name of this file, empty where none is given.
    pub location: String,
}

/// An attribute of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Attribute {
    pub name: String,
    pub integer: i64,
    pub integers: Vec<i64>,
    pub text: Option<String>,
    pub array: Option<ArrayInfo>,
    /// Whether it holds a graph with layers.
    pub has_layers: bool,
    /// The values of a float or of a short list of floats.
    pub floats: Vec<f64>,
    /// The number of values of a list of floats.
    pub float_count: usize,
    /// Values of the outer graph that a subgraph of this attribute consumes.
    pub captured: Vec<String>,
    /// The names of the other files that arrays of it, or of a subgraph, are stored in.
    external_files: BTreeSet<String>,
}

/// Element type f32, as ONNX numbers it.
pub(super) const FLOAT32: i64 = 1;
/// Element type i32, as ONNX numbers it.
const INT32: i64 = 6;
/// Element type i64, as ONNX numbers it.
const INT64: i64 = 7;
/// Element type f64, as ONNX numbers it.
const FLOAT64: i64 = 11;

/// A graph with more nodes is refused.
const MAX_NODES: usize = 1 << 16;
/// Subgraphs that are nested deeper are refused.
const MAX_DEPTH: usize = 4;
/// Operations that multiply by weights.
const LAYERS: [&str; 8] = ["Conv", "ConvTranspose", "Einsum", "GRU", "Gemm", "LSTM", "MatMul", "RNN"];
/// Larger windows, strides, dilations and paddings are refused.
const MAX_WINDOW: i64 = 1 << 16;
/// Arrays of more values are refused.
const MAX_VALUES: usize = 1 << 40;
/// The most numbers of an array that are read: more than a shape has sides.
const MAX_SIDES: usize = 16;

/// A graph whose values are names.
#[derive(Clone, Debug, Default)]
pub(super) struct RawGraph {
    /// The nodes in the order of the file.
    pub nodes: Vec<RawNode>,
    /// The positions of the nodes in an order in which they can be computed, once this is known.
    pub order: Vec<usize>,
    pub arrays: Vec<ArrayInfo>,
    /// Name, element type and dimensions of every input.
    pub inputs: Vec<(String, i64, Vec<Dimension>)>,
    pub outputs: Vec<String>,
    /// Names of quantized values, each with the names of the arrays that hold its scale and its zero point.
    pub quantization: Vec<(String, Vec<String>)>,
}

/// A node whose inputs and outputs are names.
#[derive(Clone, Debug, Default)]
pub(super) struct RawNode {
    pub op: String,
    pub name: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<Attribute>,
}

impl RawGraph {
    /// Reads a `GraphProto`; `depth` is 0 for the graph of the file, and 1 more for each level of subgraphs.
    pub(super) fn read(bytes: &[u8], depth: usize) -> ParseResult<Self> {
        if depth > MAX_DEPTH {
            return Err(format!("graphs within graphs, more than {MAX_DEPTH} deep"));
        }
        let mut graph = Self::default();
        for field in Fields(bytes) {
            match field? {
                (1, message) => graph.nodes.push(RawNode::read(message.fields()?, depth)?),
                (5, message) => {
                    graph.arrays.push(ArrayInfo { is_parameter: true, ..ArrayInfo::read(message.fields()?)? })
                }
                (11, message) => graph.inputs.push(read_declaration(message.fields()?)?),
                (12, message) => graph.outputs.push(read_declaration(message.fields()?)?.0),
                (13, message) => drop(read_declaration(message.fields()?)?),
                (14, message) => graph.quantization.push(quantization(message.fields()?)?),
                (15, _) => return Err("sparse arrays are not read".into()),
                _ => {}
            }
            if graph.nodes.len() > MAX_NODES {
                return Err(format!("more than {MAX_NODES} nodes"));
            }
        }
        Ok(graph)
    }

    /// Returns the names that the graph consumes but does not define. The engine resolves them in the directly enclosing
    /// graph only, so names from further out are refused.
    fn captured(&self) -> ParseResult<Vec<String>> {
        let defined_names = self.defined_names();
        let is_captured = |name: &&String| !name.is_empty() && !defined_names.contains(name.as_str());
        let consumed = self.nodes.iter().flat_map(|node| &node.inputs).chain(&self.outputs);
        let captured: Vec<String> = consumed.filter(is_captured).cloned().collect();
        let mut deeper = self.nodes.iter().flat_map(RawNode::consumed_names).filter(is_captured);
        match deeper.find(|name| !captured.contains(name)) {
            Some(name) => Err(format!("a graph within a graph in a node takes '{name}' from around both")),
            None => Ok(captured),
        }
    }

    /// Returns the names of all values that the graph defines.
    pub(super) fn defined_names(&self) -> HashSet<&str> {
        let given = self.nodes.iter().flat_map(|node| &node.outputs).chain(self.inputs.iter().map(|(name, ..)| name));
        given.chain(self.arrays.iter().map(|a| &a.name)).map(String::as_str).collect()
    }

    /// Returns the names of the other files that arrays of it and of its subgraphs are stored in.
    pub(super) fn external_files(&self) -> BTreeSet<String> {
        let of_nodes = self.nodes.iter().flat_map(|node| &node.attributes).flat_map(|a| &a.external_files);
        let of_graph = self.arrays.iter().filter(|array| array.is_external).map(|array| &array.location);
        of_graph.chain(of_nodes).cloned().collect()
    }
}

impl RawNode {
    /// Returns the names of all values that the node and its subgraphs consume.
    pub(super) fn consumed_names(&self) -> impl Iterator<Item = &String> {
        self.inputs.iter().chain(self.attributes.iter().flat_map(|a| &a.captured))
    }

    fn read(fields: Fields<'_>, depth: usize) -> ParseResult<Self> {
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
            windows.contains(&a.name.as_str()) && a.integers.iter().any(|i| !(0..=MAX_WINDOW).contains(i))
        };
        match node.attributes.iter().find(is_absurd) {
            Some(a) => Err(format!(
                "{} '{}': {} {:?} out of range, expected 0 to {MAX_WINDOW}",
                node.op, node.name, a.name, a.integers
            )),
            None => Ok(node),
        }
    }
}

impl Attribute {
    /// Returns the array that the attribute of a `Constant` holds: an array, a number or a list of numbers.
    pub(super) fn constant(&self) -> Option<ArrayInfo> {
        let array = |shape: &[usize], element, numbers| {
            Some(ArrayInfo { shape: shape.to_vec(), element, numbers, ..ArrayInfo::default() })
        };
        let integers = |integers: &[i64]| integers.iter().map(|&i| i as f64).take(MAX_SIDES).collect();
        match self.name.as_str() {
            "value_float" => array(&[], FLOAT32, self.floats.clone()),
            "value_floats" => array(&[self.float_count], FLOAT32, self.floats.clone()),
            "value_int" => array(&[], INT64, integers(&[self.integer])),
            "value_ints" => array(&[self.integers.len()], INT64, integers(&self.integers)),
            _ => self.array.clone(),
        }
        .map(ArrayInfo::without_long_numbers)
    }

    fn read(fields: Fields<'_>, depth: usize) -> ParseResult<Self> {
        let mut attribute = Self::default();
        for field in fields {
            match field? {
                (1, name) => attribute.name = name.text()?.to_owned(),
                (2, value) => attribute.floats = value.floats(),
                (3, value) => attribute.integer = value.integer()?,
                (4, text) => attribute.text = text.text().ok().map(str::to_owned),
                (5, message) => {
                    let array = ArrayInfo::read(message.fields()?)?;
                    attribute.external_files.extend(array.is_external.then(|| array.location.clone()));
                    attribute.array = Some(array);
                }
                (6, message) => {
                    let graph = RawGraph::read(message.bytes()?, depth + 1)?;
                    let is_layer = |node: &RawNode| LAYERS.contains(&node.op.as_str());
                    let mut nested = graph.nodes.iter().flat_map(|node| &node.attributes);
                    attribute.has_layers |= graph.nodes.iter().any(is_layer) || nested.any(|a| a.has_layers);
                    attribute.external_files.extend(graph.external_files());
                    attribute.captured.extend(graph.captured()?);
                }
                (7, values) => {
                    let values = values.floats();
                    attribute.float_count += values.len();
                    let room = MAX_SIDES.saturating_sub(attribute.floats.len());
                    attribute.floats.extend(values.into_iter().take(room));
                }
                (8, values) => attribute.integers.extend(values.integers()?),
                (10 | 11, _) => return Err(format!("attribute '{}': lists of arrays or graphs", attribute.name)),
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl ArrayInfo {
    pub(super) fn read(fields: Fields<'_>) -> ParseResult<Self> {
        let mut array = Self::default();
        let mut raw = None;
        let mut dims = Vec::new();
        for field in fields {
            match field? {
                (1, values) => dims.extend(values.integers()?),
                (2, element) => array.element = element.integer()?,
                (4, values) if array.numbers.len() < MAX_SIDES => array.numbers.extend(values.floats()),
                (5 | 7, values) if array.numbers.len() < MAX_SIDES => {
                    array.numbers.extend(values.integers()?.into_iter().map(|i| i as f64));
                }
                (8, name) => array.name = name.text()?.to_owned(),
                (9, bytes) => raw = Some(bytes.bytes()?),
                (13, message) => {
                    let (key, value) = super::protobuf::pair(message.fields()?)?;
                    if key == "location" {
                        value.clone_into(&mut array.location);
                    }
                }
                (14, location) => array.is_external = location.integer()? == 1,
                _ => {}
            }
        }
        let wrong = || format!("array '{}': shape {dims:?} out of range", array.name);
        array.shape = dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let count = array.shape.iter().try_fold(1_usize, |n, &dim| n.checked_mul(dim));
        let count = count.filter(|&count| count <= MAX_VALUES).ok_or_else(wrong)?;
        if let (Some(raw), Some(size)) = (raw, size_of_element(array.element))
            && raw.len() != count * size
        {
            let have = raw.len();
            return Err(format!("array '{}': {have} bytes, shape {dims:?} needs {}", array.name, count * size));
        }
        if let Some(raw) = raw.filter(|_| count <= MAX_SIDES) {
            array.numbers = numbers(array.element, raw);
        }
        Ok(array.without_long_numbers())
    }

    /// Leaves out numbers that are not all of the array's, those of a longer array, and what stands for numbers of another type,
    /// such as the bits of f16.
    fn without_long_numbers(self) -> Self {
        let is_whole = self.shape.iter().product::<usize>() == self.numbers.len();
        let are_numbers = matches!(self.element, FLOAT32 | INT32 | INT64 | FLOAT64);
        let is_kept = is_whole && are_numbers && self.numbers.len() <= MAX_SIDES;
        Self { numbers: if is_kept { self.numbers } else { Vec::new() }, ..self }
    }
}

/// Returns the numbers of raw bytes of a type, as ONNX numbers it; none of other types than f32, f64, i32 and i64.
fn numbers(element: i64, raw: &[u8]) -> Vec<f64> {
    match element {
        FLOAT32 => raw.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect(),
        INT32 => raw.as_chunks().0.iter().map(|bytes| f64::from(i32::from_le_bytes(*bytes))).collect(),
        INT64 => raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as f64).collect(),
        FLOAT64 => raw.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        _ => Vec::new(),
    }
}

/// Returns the bytes of one element of a type, as ONNX numbers it; `None` for texts and unknown types.
pub(super) fn size_of_element(element: i64) -> Option<usize> {
    match element {
        2 | 3 | 9 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 => Some(8),
        _ => None,
    }
}

/// Reads a `TensorAnnotation`: the name of a value, and the names of the arrays that hold its scale and zero point.
fn quantization(fields: Fields<'_>) -> ParseResult<(String, Vec<String>)> {
    let (mut name, mut arrays) = (String::new(), Vec::new());
    for field in fields {
        match field? {
            (1, text) => name = text.text()?.to_owned(),
            (2, pair) => arrays.push(super::protobuf::pair(pair.fields()?)?.1.to_owned()),
            _ => {}
        }
    }
    Ok((name, arrays))
}
