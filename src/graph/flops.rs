//! Floating-point operations of nodes.

use std::collections::HashMap;

use super::layers::shape_of_value;
use super::linked_graph::{Graph, Node};

/// Operations whose multiply-adds are counted.
const COUNTED: [&str; 11] = [
    "Attention",
    "Conv",
    "ConvInteger",
    "ConvTranspose",
    "Einsum",
    "GRU",
    "Gemm",
    "LSTM",
    "MatMul",
    "MatMulInteger",
    "RNN",
];

/// Returns the multiply-adds of a node times two, for the whole batch; 0 for a node that is not counted. `shapes` are those
/// of a run.
pub(super) fn flops(graph: &Graph, index: usize, shapes: &HashMap<usize, Vec<usize>>) -> u64 {
    count(graph, &graph.nodes[index], shapes).unwrap_or(0)
}

fn count(graph: &Graph, node: &Node, shapes: &HashMap<usize, Vec<usize>>) -> Option<u64> {
    if !COUNTED.contains(&node.op.as_str()) {
        return None;
    }
    let input = |place: usize| shape_of_value(graph, shapes, (*node.inputs.get(place)?)?);
    let size = |shape: &[usize]| shape.iter().fold(1_u64, |size, &side| size.saturating_mul(side as u64));
    let out = shape_of_value(graph, shapes, *node.outputs.first()?)?;
    let products = match node.op.as_str() {
        // Weight [out, in / groups, window…].
        "Conv" | "ConvInteger" => size(&out).saturating_mul(size(input(1)?.get(1..)?)),
        // Weight [in, out / groups, window…].
        "ConvTranspose" => size(&input(0)?).saturating_mul(size(input(1)?.get(1..)?)),
        "Gemm" => {
            let first = input(0)?;
            let axis = usize::from(node.integer("transA") != Some(1)).min(first.len().checked_sub(1)?);
            size(&out).saturating_mul(first[axis] as u64)
        }
        "MatMul" | "MatMulInteger" => size(&out).saturating_mul(*input(0)?.last()? as u64),
        // Input [positions, batch, in], weights [directions, gates, in] and [directions, gates, out].
        "LSTM" | "GRU" | "RNN" => {
            let rows = size(input(0)?.get(..2)?);
            rows.saturating_mul(size(&input(1)?).saturating_add(size(&input(2)?)))
        }
        // Keys and values [batch, positions, …] or [batch, heads, positions, channels].
        "Attention" => {
            let (queries, keys) = (input(0)?, input(1)?);
            let positions = *keys.get(keys.len().checked_sub(2)?)? as u64;
            size(&queries).saturating_add(size(&out)).saturating_mul(positions)
        }
        _ => einsum(node.text("equation")?, &(0..node.inputs.len()).map(input).collect::<Option<Vec<_>>>()?)?,
    };
    Some(products.saturating_mul(2))
}

/// Returns the number of products of an `Einsum`: the product of the sizes of all of its indices. One operand alone is
/// only summed.
fn einsum(equation: &str, operands: &[Vec<usize>]) -> Option<u64> {
    if operands.len() < 2 {
        return Some(0);
    }
    let terms = equation.split("->").next()?.split(',');
    let mut sizes: HashMap<(char, usize), usize> = HashMap::new();
    for (term, shape) in terms.zip(operands) {
        let (before, after) = term.split_once("...").unwrap_or((term, ""));
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).map(|c| (c, 0)).collect::<Vec<_>>();
        let (before, after) = (letters(before), letters(after));
        // Axes that the ellipsis stands for are numbered from the last one.
        let others = shape.len().checked_sub(before.len() + after.len())?;
        let ellipsis = (0..others).rev().map(|axis| ('.', axis));
        for (index, &side) in before.into_iter().chain(ellipsis).chain(after).zip(shape) {
            let size = sizes.entry(index).or_insert(1);
            *size = side.max(*size);
        }
    }
    Some(sizes.values().fold(1_u64, |product, &size| product.saturating_mul(size as u64)))
}

/// Returns the values whose shapes [`flops`] and the description of layers need.
pub(super) fn values_with_shapes(graph: &Graph) -> impl Iterator<Item = usize> + '_ {
    let counted = graph.nodes.iter().filter(|node| COUNTED.contains(&node.op.as_str()));
    let no_shapes = HashMap::new();
    counted
        .flat_map(|node| node.outputs.iter().take(1).copied().chain(node.present_inputs()))
        .filter(move |&value| shape_of_value(graph, &no_shapes, value).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_einsum_has_as_many_products_as_its_indices_have_values() {
        assert_eq!(einsum("bij, jk -> bik", &[vec![2, 3, 4], vec![4, 5]]), Some(2 * 3 * 4 * 5));
        assert_eq!(einsum("...i,...ij->...j", &[vec![2, 7, 3], vec![7, 3, 5]]), Some(2 * 7 * 3 * 5));
        assert_eq!(einsum("ii->i", &[vec![3, 3]]), Some(0));
        assert_eq!(einsum("bij,jk->bik", &[vec![2], vec![4, 5]]), None);
    }
}
