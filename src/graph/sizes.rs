//! Values whose size is a number in the file: a few bytes may ask for any amount of memory.

use super::ParseResult;
use super::linked_graph::{Graph, Node};
use super::raw_graph::FLOAT32;
use crate::text::excerpt;

/// Checks that no node gives more than so many values because an array of the file says so.
///
/// # Errors
/// The name of the node, and how many values it would give.
pub(super) fn check_sizes(graph: &Graph, most: u64) -> ParseResult<()> {
    for (index, node) in graph.nodes.iter().enumerate() {
        let count = announced(graph, node).unwrap_or(0);
        if count > most {
            let name = excerpt(&graph.describe_node(index));
            return Err(format!("{name} would give {count} values, more than {most}; {}", crate::limits::advice()));
        }
    }
    Ok(())
}

/// Returns the least number of values that a node gives, as far as arrays of the file, attributes and the shapes of inputs say it.
fn announced(graph: &Graph, node: &Node) -> Option<u64> {
    let numbers = |place: usize| {
        let value = (*node.inputs.get(place)?)?;
        graph.values[value].array.as_ref().map(|array| array.numbers.as_slice())
    };
    let input = || known_size(graph, node);
    let larger = |factors: &[f64]| product(factors).saturating_mul(input());
    match node.op.as_str() {
        "ConstantOfShape" => numbers(0).map(product),
        "Expand" | "Reshape" => numbers(1).map(product),
        "Tile" => numbers(1).map(larger),
        "OneHot" => numbers(1).map(larger),
        "Resize" => {
            let sizes = numbers(3).map(product);
            sizes.max(numbers(2).map(larger))
        }
        "Upsample" => numbers(1).or_else(|| node.floats("scales")).map(larger),
        "Pad" => Some(padded(numbers(1).unwrap_or(&as_numbers(node.integers("pads"))))),
        "Range" => {
            let [start, limit, step] = [0, 1, 2].map(|place| numbers(place).and_then(|values| values.first().copied()));
            let first = graph.values[(*node.inputs.first()?)?].array.as_ref()?;
            Some(steps(start?, limit?, step?, first.element == FLOAT32))
        }
        "Conv" | "ConvInteger" | "MaxPool" | "AveragePool" => Some(padded(&as_numbers(node.integers("pads")))),
        "ConvTranspose" => Some(upsampled(node)),
        _ => None,
    }
}

/// Returns the number of values of a node's first input: 1 where the file does not say it.
fn known_size(graph: &Graph, node: &Node) -> u64 {
    let Some(Some(value)) = node.inputs.first() else { return 1 };
    let value = &graph.values[*value];
    let sides: Vec<f64> = match &value.array {
        Some(array) => array.shape.iter().map(|&side| side as f64).collect(),
        None => value.dims.iter().filter_map(|side| side.size()).map(|side| side as f64).collect(),
    };
    product(&sides)
}

/// Returns the product of sides or scales, rounded down. A side that is not known, and so no positive number, is at least 1.
fn product(sides: &[f64]) -> u64 {
    sides.iter().map(|&side| (side as u64).max(1)).fold(1, u64::saturating_mul)
}

fn as_numbers(integers: &[i64]) -> Vec<f64> {
    integers.iter().map(|&i| i as f64).collect()
}

/// Returns the least number of values with these paddings: first those before each side, then those after it.
fn padded(pads: &[f64]) -> u64 {
    let (before, after) = pads.split_at(pads.len() / 2);
    product(&before.iter().zip(after).map(|(before, after)| before + after + 1.0).collect::<Vec<_>>())
}

/// Returns how many values there are from `start` to `limit`. Steps that do not lead there never end: those that are lost in the
/// rounding of f32, and those beyond the integers of 32 bits, by which the engine computes.
fn steps(start: f64, limit: f64, step: f64, is_float: bool) -> u64 {
    let count = ((limit - start) / step).ceil();
    // The value before the last, where f32 is coarsest, and the one at which it ends.
    let largest = (start.abs().max(limit.abs()) - step.abs()) as f32;
    let end = start + count * step;
    let is_endless = match is_float {
        true => largest + step.abs() as f32 == largest,
        false => end.abs() > f64::from(i32::MAX),
    };
    if is_endless && count > 0.0 { u64::MAX } else { count as u64 }
}

/// Returns the number of values that a transposed convolution makes of one, if its input is larger than one value a side.
fn upsampled(node: &Node) -> u64 {
    let of = |name: &str, more: f64| node.integers(name).iter().map(|&i| i as f64 + more).collect::<Vec<_>>();
    let [strides, padding, sides] =
        [("strides", 0.0), ("output_padding", 1.0), ("output_shape", 0.0)].map(|(name, more)| product(&of(name, more)));
    strides.max(padding).max(sides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_as_the_engine_takes_them() {
        assert_eq!([steps(0.0, 10.0, 3.0, false), steps(0.0, 16_777_216.0, 1.0, true)], [4, 16_777_216]);
        assert_eq!([steps(10.0, 0.0, -2.5, true), steps(0.0, 10.0, -1.0, true)], [4, 0]);
        // 2^24 + 0.5 is 2^24 in f32; 2^31 is beyond i32.
        assert_eq!(steps(16_777_000.0, 16_777_216.0, 0.5, true), u64::MAX);
        assert_eq!(steps(0.0, 2_147_483_647.0, 1_073_741_825.0, false), u64::MAX);
        assert_eq!([steps(0.0, 1.0, 0.0, true), steps(f64::NAN, 1.0, 1.0, true)], [u64::MAX, 0]);
    }
}
