//! Optional attributes of convolutions and poolings that the inference engine needs to be there.
//!
//! The ONNX specification gives strides, dilations and padding a value for each spatial axis where a node does not have
//! them. The engine learns the number of axes from `kernel_shape` alone. The missing attributes are added to the bytes that
//! the engine loads; the file stays as it is.

use std::collections::HashMap;

use super::ParseResult;
use super::layers::shape_of_value;
use super::linked_graph::{Graph, Node};
use super::protobuf::{FieldSpans, FieldValue, Fields, field, header};

/// The field that says that an attribute is a list of integers.
const IS_INTEGERS: [u8; 3] = [0xa0, 0x01, 7];

/// Encoded attributes of nodes, by the name of each node's first output.
pub(super) type Attributes<'a> = HashMap<&'a str, Vec<u8>>;

/// Returns the attributes that the nodes of a graph lack.
pub(super) fn missing_attributes(graph: &Graph) -> Attributes<'_> {
    let of_node = |node| (node, attributes_missing_in(graph, node));
    let missing = graph.nodes.iter().map(of_node).filter(|(_, attributes)| !attributes.is_empty());
    missing
        .filter_map(|(node, attributes)| Some((graph.values[*node.outputs.first()?].name.as_str(), attributes)))
        .collect()
}

/// Returns the bytes of a file with the missing attributes.
pub(super) fn completed(bytes: &[u8], missing: &Attributes<'_>) -> ParseResult<Vec<u8>> {
    let mut new = Vec::with_capacity(bytes.len());
    for span in FieldSpans(Fields(bytes)) {
        match span? {
            (7, message, _) => {
                let graph = completed_graph(message.bytes()?, missing)?;
                new.extend(header(7, graph.len()));
                new.extend(graph);
            }
            (.., whole) => new.extend_from_slice(whole),
        }
    }
    Ok(new)
}

/// Returns a graph whose nodes have the missing attributes, which are given by the first output of each node.
fn completed_graph(graph: &[u8], missing: &Attributes<'_>) -> ParseResult<Vec<u8>> {
    let mut new = Vec::with_capacity(graph.len());
    for span in FieldSpans(Fields(graph)) {
        let (number, message, whole) = span?;
        match if number == 1 { attributes_of(message, missing)? } else { None } {
            Some(attributes) => new.extend(field(1, &[message.bytes()?, attributes].concat())),
            None => new.extend_from_slice(whole),
        }
    }
    Ok(new)
}

/// Returns the attributes that a node lacks.
fn attributes_of<'a>(node: FieldValue<'_>, missing: &'a Attributes<'_>) -> ParseResult<Option<&'a [u8]>> {
    for part in node.fields()? {
        if let (2, name) = part? {
            return Ok(missing.get(name.text()?).map(Vec::as_slice));
        }
    }
    Ok(None)
}

/// Returns the attributes that a convolution or a pooling lacks, encoded; nothing for other nodes.
fn attributes_missing_in(graph: &Graph, node: &Node) -> Vec<u8> {
    let convolves = matches!(node.op.as_str(), "Conv" | "ConvInteger" | "ConvTranspose");
    if !convolves && !matches!(node.op.as_str(), "MaxPool" | "AveragePool") {
        return Vec::new();
    }
    let axes =
        |name: &str, values_per_axis: usize| Some(node.integers(name).len() / values_per_axis).filter(|&axes| axes > 0);
    let of_weight = || {
        let value = node.inputs.get(1).copied().flatten().filter(|_| convolves)?;
        shape_of_value(graph, &HashMap::new(), value)?.len().checked_sub(2)
    };
    let known = [("kernel_shape", 1), ("strides", 1), ("dilations", 1), ("pads", 2)];
    let known = known.into_iter().find_map(|(name, values_per_axis)| axes(name, values_per_axis));
    let Some(count) = known.or_else(of_weight) else { return Vec::new() };
    let lacks = |name: &str| node.integers(name).is_empty();
    let mut attributes = Vec::new();
    if lacks("strides") {
        attributes.extend(integers_attribute("strides", 1, count));
    }
    if convolves && lacks("dilations") {
        attributes.extend(integers_attribute("dilations", 1, count));
    }
    if lacks("pads") && matches!(node.text("auto_pad"), None | Some("NOTSET" | "VALID")) {
        attributes.extend(integers_attribute("pads", 0, 2 * count));
    }
    attributes
}

/// Encodes an attribute of a node: a list of equal integers below 128, each a field of its own, as ONNX has them.
fn integers_attribute(name: &str, value: u8, count: usize) -> Vec<u8> {
    let integers = [8 << 3, value].repeat(count);
    field(5, &[field(1, name.as_bytes()), integers, IS_INTEGERS.to_vec()].concat())
}
