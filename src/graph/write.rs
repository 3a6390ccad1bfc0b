//! Writes the file of a graph from which blocks were removed: all bytes as they were, except those that the edit changes.
//!
//! Unknown fields are copied like all others.

use std::sync::Arc;

use super::ParseResult;
use super::edit::Edit;
use super::external_data::ExternalData;
use super::protobuf::{FieldSpans, FieldValue, Fields, field, header};
use super::raw_graph::RawGraph;
use crate::Chunk;
use crate::text::excerpt;

/// What is written in place of a field of a message.
enum Rewrite {
    /// The same field.
    Keep,
    /// Nothing.
    Remove,
    /// These encoded fields.
    Replace(Vec<u8>),
}

use Rewrite::{Keep, Remove, Replace};

/// Returns the new file as pieces, most of which are ranges of the old one. `order` are the positions of the nodes in an
/// order in which they can be computed: they are written in this order.
pub(super) fn pieces(
    bytes: &Arc<Vec<u8>>,
    (edit, order): (&Edit, &[usize]),
    external: &mut ExternalData<'_>,
) -> ParseResult<Vec<Chunk>> {
    let mut writing = GraphWriter { edit, order, external };
    let mut pieces = PieceList { bytes, done: Vec::new() };
    let mut at = 0;
    let mut graphs = 0;
    for span in FieldSpans(Fields(bytes)) {
        let (number, value, whole) = span?;
        let end = at + whole.len();
        match number {
            7 => {
                graphs += 1;
                let inner = value.bytes()?;
                let graph = writing.graph(bytes, inner, end - inner.len())?;
                let length: u64 = graph.iter().map(Chunk::length).sum();
                pieces.done.push(Chunk::Bytes(header(7, length as usize)));
                pieces.done.extend(graph);
            }
            20 if !edit.removed_nodes.is_empty() => {
                return Err("it says how to train its graph, and would not fit it any more".into());
            }
            _ => pieces.push_range(at..end),
        }
        at = end;
    }
    // Protobuf readers merge two graphs field by field.
    if graphs == 1 { Ok(pieces.done) } else { Err(format!("{graphs} graphs in one file")) }
}

/// A list of pieces of a file that is in memory. Neighbouring ranges are joined.
struct PieceList<'a> {
    bytes: &'a Arc<Vec<u8>>,
    done: Vec<Chunk>,
}

impl PieceList<'_> {
    fn push_range(&mut self, range: std::ops::Range<usize>) {
        match self.done.last_mut() {
            Some(Chunk::Slice(_, last)) if last.end == range.start => last.end = range.end,
            _ => self.done.push(Chunk::Slice(Arc::clone(self.bytes), range)),
        }
    }
}

/// Applies an edit to the messages of a graph.
struct GraphWriter<'a, 'b> {
    edit: &'a Edit,
    order: &'a [usize],
    external: &'a mut ExternalData<'b>,
}

impl GraphWriter<'_, '_> {
    /// Returns the pieces of the graph of the file, whose fields begin at the byte `from`.
    fn graph(&mut self, bytes: &Arc<Vec<u8>>, graph: &[u8], from: usize) -> ParseResult<Vec<Chunk>> {
        let mut pieces = PieceList { bytes, done: Vec::new() };
        let mut nodes = Vec::new();
        let mut at = from;
        for span in FieldSpans(Fields(graph)) {
            let (number, value, whole) = span?;
            nodes.extend((number == 1).then_some((value, at..at + whole.len())));
            at += whole.len();
        }
        let (mut at, mut written) = (from, 0);
        for span in FieldSpans(Fields(graph)) {
            let (number, value, whole) = span?;
            let next = self.order.get(written).filter(|_| number == 1);
            let node = next.and_then(|&place| Some((place, nodes.get(place)?)));
            let (place, value, range) = match node {
                Some((place, (value, range))) => (place, *value, range.clone()),
                None => (0, value, at..at + whole.len()),
            };
            match self.field(number, value, place)? {
                Keep => pieces.push_range(range),
                Remove => {}
                Replace(new) => pieces.done.push(Chunk::Bytes(new)),
            }
            at += whole.len();
            if number == 1 {
                written += 1;
                if written == nodes.len() {
                    pieces
                        .done
                        .extend(self.edit.outputs.iter().map(|(value, name)| Chunk::Bytes(identity(value, name))));
                }
            }
        }
        Ok(pieces.done)
    }

    /// Rewrites a field of the graph of the file; a node is the one at position `place`.
    fn field(&mut self, number: u64, value: FieldValue<'_>, place: usize) -> ParseResult<Rewrite> {
        let unless_removed = |name: &str| if self.edit.removed_values.contains(name) { Remove } else { Keep };
        match number {
            1 if self.edit.removed_nodes.contains(&place) => Ok(Remove),
            1 => self.node(value.bytes()?, self.edit).map(|node| changed(1, node)),
            5 => match unless_removed(&text(value, 8)?) {
                Remove => Ok(Remove),
                _ => self.external.add(value.bytes()?).map(|array| changed(5, array)),
            },
            // Files of IR version 3 list their initializers among the inputs.
            11 | 13 | 14 => Ok(unless_removed(&text(value, 1)?)),
            _ => Ok(Keep),
        }
    }

    /// Rewrites the inputs and attributes of a node; `None` where nothing changes.
    fn node(&mut self, node: &[u8], edit: &Edit) -> ParseResult<Option<Vec<u8>>> {
        rewritten(node, |number, value| match number {
            1 => Ok(edit.replaced.get(value.text()?).map_or(Keep, |name| Replace(field(1, name.as_bytes())))),
            5 => {
                let attribute = rewritten(value.bytes()?, |number, value| match number {
                    5 => self.external.add(value.bytes()?).map(|array| changed(5, array)),
                    6 => self.subgraph(value.bytes()?, edit).map(|graph| changed(6, graph)),
                    _ => Ok(Keep),
                });
                attribute.map(|attribute| changed(5, attribute))
            }
            _ => Ok(Keep),
        })
    }

    /// Rewrites a subgraph, which can consume values of the outer graph. Names that it defines hide those of the outer
    /// graph.
    fn subgraph(&mut self, graph: &[u8], edit: &Edit) -> ParseResult<Option<Vec<u8>>> {
        let raw = RawGraph::read(graph, 0)?;
        let own_names = raw.defined_names();
        let mut edit = Edit { replaced: edit.replaced.clone(), ..Edit::default() };
        edit.replaced.retain(|name, _| !own_names.contains(name.as_str()));
        if let Some(name) = raw.outputs.iter().find(|name| edit.replaced.contains_key(*name)) {
            let name = excerpt(name);
            return Err(format!("a graph in a node gives '{name}' from around it, which is left out"));
        }
        rewritten(graph, |number, value| match number {
            1 => self.node(value.bytes()?, &edit).map(|node| changed(1, node)),
            5 => self.external.add(value.bytes()?).map(|array| changed(5, array)),
            _ => Ok(Keep),
        })
    }
}

/// Rewrites the fields of a message; `None` where all are kept.
fn rewritten(
    message: &[u8],
    mut rewrite: impl FnMut(u64, FieldValue<'_>) -> ParseResult<Rewrite>,
) -> ParseResult<Option<Vec<u8>>> {
    let (mut new, mut is_same) = (Vec::new(), true);
    for span in FieldSpans(Fields(message)) {
        let (number, value, whole) = span?;
        match rewrite(number, value)? {
            Keep => new.extend_from_slice(whole),
            Remove => is_same = false,
            Replace(fields) => {
                is_same = false;
                new.extend(fields);
            }
        }
    }
    Ok((!is_same).then_some(new))
}

/// Replaces a field by a message that was rewritten; keeps it where nothing changed.
fn changed(number: u64, message: Option<Vec<u8>>) -> Rewrite {
    message.map_or(Keep, |message| Replace(field(number, &message)))
}

/// Returns the text of a field of a message; the last one counts where the field occurs several times.
fn text(message: FieldValue<'_>, number: u64) -> ParseResult<String> {
    let mut found = "";
    for field in message.fields()? {
        match field? {
            (other, text) if other == number => found = text.text()?,
            _ => {}
        }
    }
    Ok(found.to_owned())
}

/// Encodes an `Identity` node that gives a value another name.
fn identity(value: &str, name: &str) -> Vec<u8> {
    let node = [field(1, value.as_bytes()), field(2, name.as_bytes()), field(4, b"Identity")].concat();
    field(1, &node)
}
