//! A graph written again: the bytes of the file as they were, but for what an edit takes away or names anew.
//!
//! Fields that nobody here knows are copied like all others.

use std::sync::Arc;

use super::Said;
use super::edit::Edit;
use super::external::Beside;
use super::raw::RawGraph;
use super::wire::{Fields, Spans, Wire, field, header};
use crate::Chunk;

/// What becomes of a field of a message.
enum Becomes {
    Same,
    Nothing,
    /// These fields.
    Other(Vec<u8>),
}

use Becomes::{Nothing, Other, Same};

/// The pieces of a file, most of them parts of the old one.
pub(super) fn pieces(bytes: &Arc<Vec<u8>>, edit: &Edit, beside: &mut Beside<'_>) -> Said<Vec<Chunk>> {
    let mut writing = Writing { edit, beside };
    let mut pieces = Pieces { bytes, done: Vec::new() };
    let mut at = 0;
    let mut graphs = 0;
    for span in Spans(Fields(bytes)) {
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
            20 if !edit.nodes.is_empty() => {
                return Err("it says how to train its graph, and would not fit it any more".into());
            }
            _ => pieces.same(at..end),
        }
        at = end;
    }
    // Two would be merged, field by field, by whoever reads the file.
    if graphs == 1 { Ok(pieces.done) } else { Err(format!("{graphs} graphs in one file")) }
}

/// Pieces of a file that is read whole; those that follow each other are one.
struct Pieces<'a> {
    bytes: &'a Arc<Vec<u8>>,
    done: Vec<Chunk>,
}

impl Pieces<'_> {
    fn same(&mut self, range: std::ops::Range<usize>) {
        match self.done.last_mut() {
            Some(Chunk::Slice(_, last)) if last.end == range.start => last.end = range.end,
            _ => self.done.push(Chunk::Slice(Arc::clone(self.bytes), range)),
        }
    }
}

struct Writing<'a, 'b> {
    edit: &'a Edit,
    beside: &'a mut Beside<'b>,
}

impl Writing<'_, '_> {
    /// The fields of the file's graph, which begin at `from`.
    fn graph(&mut self, bytes: &Arc<Vec<u8>>, graph: &[u8], from: usize) -> Said<Vec<Chunk>> {
        let mut pieces = Pieces { bytes, done: Vec::new() };
        let nodes = Fields(graph).filter(|field| matches!(field, Ok((1, _)))).count();
        let (mut at, mut place) = (from, 0);
        for span in Spans(Fields(graph)) {
            let (number, value, whole) = span?;
            match self.part(number, value, place)? {
                Same => pieces.same(at..at + whole.len()),
                Nothing => {}
                Other(new) => pieces.done.push(Chunk::Bytes(new)),
            }
            at += whole.len();
            if number == 1 {
                place += 1;
                if place == nodes {
                    pieces
                        .done
                        .extend(self.edit.outputs.iter().map(|(value, name)| Chunk::Bytes(identity(value, name))));
                }
            }
        }
        Ok(pieces.done)
    }

    /// What becomes of a field of the file's graph; a node is the one at `place`.
    fn part(&mut self, number: u64, value: Wire<'_>, place: usize) -> Said<Becomes> {
        let is_gone = |name: &str| if self.edit.gone.contains(name) { Nothing } else { Same };
        match number {
            1 if self.edit.nodes.contains(&place) => Ok(Nothing),
            1 => self.node(value.bytes()?, self.edit).map(|node| changed(1, node)),
            5 => match is_gone(&text(value, 8)?) {
                Nothing => Ok(Nothing),
                _ => self.beside.moved(value.bytes()?).map(|array| changed(5, array)),
            },
            // Old files list their arrays among their inputs.
            11 | 13 | 14 => Ok(is_gone(&text(value, 1)?)),
            _ => Ok(Same),
        }
    }

    /// A node with the names that it takes now; `None` where nothing about it changes.
    fn node(&mut self, node: &[u8], edit: &Edit) -> Said<Option<Vec<u8>>> {
        rewritten(node, |number, value| match number {
            1 => Ok(edit.renamed.get(value.text()?).map_or(Same, |name| Other(field(1, name.as_bytes())))),
            5 => {
                let attribute = rewritten(value.bytes()?, |number, value| match number {
                    5 => self.beside.moved(value.bytes()?).map(|array| changed(5, array)),
                    6 => self.inner(value.bytes()?, edit).map(|graph| changed(6, graph)),
                    _ => Ok(Same),
                });
                attribute.map(|attribute| changed(5, attribute))
            }
            _ => Ok(Same),
        })
    }

    /// A graph in a node, which takes values from around it; names of its own are its own.
    fn inner(&mut self, graph: &[u8], edit: &Edit) -> Said<Option<Vec<u8>>> {
        let raw = RawGraph::read(graph, 0)?;
        let own = raw.own();
        let mut edit = Edit { renamed: edit.renamed.clone(), ..Edit::default() };
        edit.renamed.retain(|name, _| !own.contains(name.as_str()));
        if let Some(name) = raw.outputs.iter().find(|name| edit.renamed.contains_key(*name)) {
            let name = crate::open::one_line(name);
            return Err(format!("a graph in a node gives '{name}' from around it, which is left out"));
        }
        rewritten(graph, |number, value| match number {
            1 => self.node(value.bytes()?, &edit).map(|node| changed(1, node)),
            5 => self.beside.moved(value.bytes()?).map(|array| changed(5, array)),
            _ => Ok(Same),
        })
    }
}

/// A message some of whose fields become others; `None` where all stay the same.
fn rewritten(message: &[u8], mut becomes: impl FnMut(u64, Wire<'_>) -> Said<Becomes>) -> Said<Option<Vec<u8>>> {
    let (mut new, mut is_same) = (Vec::new(), true);
    for span in Spans(Fields(message)) {
        let (number, value, whole) = span?;
        match becomes(number, value)? {
            Same => new.extend_from_slice(whole),
            Nothing => is_same = false,
            Other(fields) => {
                is_same = false;
                new.extend(fields);
            }
        }
    }
    Ok((!is_same).then_some(new))
}

fn changed(number: u64, message: Option<Vec<u8>>) -> Becomes {
    message.map_or(Same, |message| Other(field(number, &message)))
}

/// The text of a field of a message; of several the last counts.
fn text(message: Wire<'_>, number: u64) -> Said<String> {
    let mut found = "";
    for field in message.fields()? {
        match field? {
            (other, text) if other == number => found = text.text()?,
            _ => {}
        }
    }
    Ok(found.to_owned())
}

/// A node that gives a value another name.
fn identity(value: &str, name: &str) -> Vec<u8> {
    let node = [field(1, value.as_bytes()), field(2, name.as_bytes()), field(4, b"Identity")].concat();
    field(1, &node)
}
