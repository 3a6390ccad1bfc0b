//! Values whose size is a number in the file: a few bytes may ask for any amount of memory.

use super::ParseResult;
use super::linked_graph::{Graph, Node};
use crate::text::one_line;

/// Checks that no node gives more than so many values because an array of the file says so.
///
/// # Errors
/// The name of the node, and how many values it would give.
pub(super) fn check_sizes(graph: &Graph, most: u64) -> ParseResult<()> {
    for (index, node) in graph.nodes.iter().enumerate() {
        let count = announced(graph, node).unwrap_or(0);
        if count > most {
            let name = one_line(&graph.describe_node(index));
            return Err(format!("{name} would give {count} values, more than {most}; {}", crate::limits::advice()));
        }
    }
    Ok(())
}

/// Returns the least number of values that a node gives, as far as arrays of the file and attributes say it.
fn announced(graph: &Graph, node: &Node) -> Option<u64> {
    let integers = |place: usize| {
        let value = (*node.inputs.get(place)?)?;
        graph.values[value].array.as_ref().map(|array| array.integers.as_slice())
    };
    let size = |sides: &[i64]| sides.iter().fold(1_u64, |n, &side| n.saturating_mul(u64::try_from(side).unwrap_or(1)));
    match node.op.as_str() {
        "ConstantOfShape" => integers(0).map(size),
        "Expand" | "Tile" | "Reshape" => integers(1).map(size),
        "Resize" => integers(3).map(size),
        "Pad" => Some(padded(integers(1).unwrap_or_else(|| node.integers("pads")))),
        "Range" => {
            let [start, limit, step] =
                [0, 1, 2].map(|place| integers(place).and_then(|values| values.first().copied()));
            let (length, step) = (limit?.abs_diff(start?), step?.unsigned_abs());
            Some(length / step.max(1))
        }
        "Conv" | "ConvInteger" | "MaxPool" | "AveragePool" => Some(padded(node.integers("pads"))),
        _ => None,
    }
}

/// Returns the least number of values with these paddings: first those before each side, then those after it.
fn padded(pads: &[i64]) -> u64 {
    let (before, after) = pads.split_at(pads.len() / 2);
    let side = |(before, after): (&i64, &i64)| before.saturating_add(*after).max(0).unsigned_abs().saturating_add(1);
    before.iter().zip(after).map(side).fold(1, u64::saturating_mul)
}
