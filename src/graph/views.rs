//! Views: values that hold the same numbers as another value, in another shape, order or number format.

use std::collections::HashMap;

use super::linked_graph::{Graph, Node};
use super::subgraph::Subgraph;

/// Operations whose output holds the values of their first input. `Identity` is not among them: the graph has no such
/// nodes.
const VIEWS: [&str; 9] = [
    "Cast",
    "Dropout",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "QuantizeLinear",
    "DequantizeLinear",
];

/// Returns whether a node gives a view of its first input.
pub(super) fn is_view(node: &Node) -> bool {
    VIEWS.contains(&node.op.as_str())
}

/// Returns the value that another value is a view of; `None` where the other is no view.
pub(super) fn viewed(graph: &Graph, value: usize) -> Option<usize> {
    let node = &graph.nodes[graph.values[value].producer?];
    is_view(node).then(|| node.inputs.first().copied().flatten()).flatten()
}

/// Returns whether a value is another value or a view of it, or a view of a view and so on.
pub(super) fn is_view_of(graph: &Graph, value: usize, other: usize) -> bool {
    std::iter::successors(Some(value), |&value| viewed(graph, value)).any(|value| value == other)
}

/// Returns the value that a value is a view of in the end; the same value where it is no view.
pub(super) fn source(graph: &Graph, value: usize) -> usize {
    std::iter::successors(Some(value), |&value| viewed(graph, value)).last().unwrap_or(value)
}

/// The order of the units of a sample: for each unit of a value, in row-major order, its position in another order. `None`
/// is the order itself.
pub(super) type Order = Option<Vec<u32>>;

/// Returns the order of the units of `to`, which is computed from `from` by views and by operations that keep the shape.
/// `order` is that of the units of `from`. Returns `None` where the order cannot be told, because a transposition moves
/// the batch or a shape is not known.
pub(super) fn order_after(
    graph: &Graph,
    shapes: &HashMap<usize, Vec<usize>>,
    (from, to): (usize, usize),
    order: Order,
) -> Option<Order> {
    let inside = Subgraph::between(graph, from, &[to]).nodes;
    let is_inside = |value: &usize| {
        *value == from || graph.values[*value].producer.is_some_and(|node| inside.binary_search(&node).is_ok())
    };
    let mut transpositions = Vec::new();
    let mut value = to;
    while value != from {
        let node = &graph.nodes[graph.values[value].producer?];
        let input = node.present_inputs().find(is_inside)?;
        if node.op == "Transpose" {
            transpositions.push((input, node.integers("perm")));
        }
        value = input;
    }
    transpositions.into_iter().rev().try_fold(order, |order, (input, axes)| {
        let shape = shapes.get(&input)?;
        let axes: Vec<usize> = match axes.is_empty() {
            true => (0..shape.len()).rev().collect(),
            false => axes.iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<_>>()?,
        };
        transposed(shape, &axes, order)
    })
}

/// Returns the order of the units after a transposition of a value of this shape. The batch has to stay first.
fn transposed(shape: &[usize], axes: &[usize], order: Order) -> Option<Order> {
    if axes.first() != Some(&0) || axes.len() != shape.len() || axes.iter().any(|&axis| axis >= shape.len()) {
        return None;
    }
    let sides: Vec<usize> = axes[1..].iter().map(|&axis| shape[axis]).collect();
    let stride = |axis: usize| shape[axis + 1..].iter().product::<usize>();
    let strides: Vec<usize> = axes[1..].iter().map(|&axis| stride(axis)).collect();
    let count: usize = sides.iter().product();
    if order.as_ref().is_some_and(|order| order.len() != count) {
        return None;
    }
    let mut index = vec![0; sides.len()];
    let mut next = Vec::with_capacity(count);
    for _ in 0..count {
        let place: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
        next.push(order.as_ref().map_or(u32::try_from(place).ok()?, |order| order[place]));
        for axis in (0..sides.len()).rev() {
            index[axis] += 1;
            if index[axis] < sides[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Some(Some(next).filter(|order| order.iter().enumerate().any(|(i, &place)| i != place as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transpositions_there_and_back_restore_the_order() {
        let there = transposed(&[2, 3, 4, 5], &[0, 2, 3, 1], None).unwrap();
        let order = there.clone().unwrap();
        // Unit [1, 2, 0] of [4, 5, 3] is unit [0, 1, 2] of [3, 4, 5].
        assert_eq!(order[(5 + 2) * 3], 7);
        assert_eq!(transposed(&[2, 4, 5, 3], &[0, 3, 1, 2], there), Some(None));
        assert_eq!(transposed(&[2, 3, 1], &[0, 2, 1], None), Some(None));
        for axes in [&[1, 0, 2][..], &[0, 1], &[0, 1, 3], &[]] {
            assert_eq!(transposed(&[2, 3, 4], axes, None), None, "{axes:?}");
        }
    }
}
