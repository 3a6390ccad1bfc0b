//! Names of blocks as the exporting program had them, such as `encoder.layer.0.attention`.
//!
//! Exporters name nodes by the modules that computed them, such as `/encoder/layer.0/attention/self/query/MatMul`, and
//! arrays by their parameters, such as `encoder.layer.0.attention.self.query.bias`. The name of a block is the innermost
//! module that contains all of its layers. Other nodes do not count: the halves of a pre-norm transformer layer share
//! the module of their normalizations and sums.

use super::find_blocks::BlockMatch;
use super::layers::is_layer;
use super::linked_graph::Graph;
use super::subgraph::Subgraph;

/// Returns the name that the exporting program had for a block; `None` where neither nodes nor arrays have names of
/// modules.
pub(super) fn source_name(graph: &Graph, block: &BlockMatch) -> Option<String> {
    let nodes = Subgraph::between(graph, block.input, &[block.output]).nodes;
    let layers: Vec<usize> = nodes.iter().copied().filter(|&node| is_layer(graph, node)).collect();
    // The innermost module around a single layer is the layer: the sum tells the block.
    let named_nodes = if layers.len() > 1 { &layers } else { &nodes };
    let node_scopes = named_nodes.iter().filter_map(|&node| scope_of_node(&graph.nodes[node].name));
    common_module(node_scopes).or_else(|| {
        let adds = |node: usize| matches!(graph.nodes[node].op.as_str(), "Add" | "Sum");
        let users = nodes.iter().filter(|&&node| adds(node) || is_layer(graph, node));
        let arrays = users.flat_map(|&node| graph.nodes[node].present_inputs());
        common_module(arrays.filter_map(|value| scope_of_array(parameter_name(graph, value)?)))
    })
}

/// Returns the modules around a node, outermost first; `None` for a name without modules, such as `Conv_12`.
fn scope_of_node(name: &str) -> Option<Vec<&str>> {
    let (scope, _) = name.rsplit_once('/')?;
    let parts: Vec<&str> = scope.split('/').filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then_some(parts)
}

/// Returns the modules around a parameter, outermost first; `None` for a name without modules, such as `val_3`.
fn scope_of_array(name: &str) -> Option<Vec<&str>> {
    if name.contains("::") {
        return None;
    }
    name.rsplit_once('.').map(|(module, _)| module.split('.').collect())
}

/// Returns the name of the array of the file that a constant value is computed from.
fn parameter_name(graph: &Graph, value: usize) -> Option<&str> {
    let mut value = &graph.values[value];
    while value.is_constant {
        match value.producer {
            None => return Some(&value.name),
            Some(node) => value = &graph.values[graph.nodes[node].present_inputs().next()?],
        }
    }
    None
}

/// Returns the innermost module that contains all of some scopes, with dots between its parts. A list of modules that
/// repeats its own name, as in `layer1/layer1.0`, counts once. A name without letters says nothing.
fn common_module<'a>(scopes: impl Iterator<Item = Vec<&'a str>>) -> Option<String> {
    let common = scopes.reduce(|common, scope| {
        let length = common.iter().zip(&scope).take_while(|(a, b)| a == b).count();
        common[..length].to_vec()
    })?;
    let mut parts: Vec<&str> = Vec::new();
    for part in common {
        if parts.last().is_some_and(|last| part.strip_prefix(last).is_some_and(|rest| rest.starts_with('.'))) {
            parts.pop();
        }
        parts.push(part);
    }
    let name = crate::text::excerpt(&parts.join("."));
    name.contains(char::is_alphabetic).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_nodes(names: &[&str]) -> Option<String> {
        common_module(names.iter().filter_map(|name| scope_of_node(name)))
    }

    #[test]
    fn the_common_module_of_nodes_is_the_name() {
        for (names, expected) in [
            (
                &[
                    "/encoder/layer.0/attention/self/query/MatMul",
                    "/encoder/layer.0/attention/self/value/MatMul",
                    "/encoder/layer.0/attention/output/dense/MatMul",
                ][..],
                Some("encoder.layer.0.attention"),
            ),
            (
                &["/encoder/layer.0/intermediate/dense/MatMul", "/encoder/layer.0/output/dense/MatMul"],
                Some("encoder.layer.0"),
            ),
            (&["/layer1/layer1.0/conv1/Conv", "/layer1/layer1.0/conv2/Conv"], Some("layer1.0")),
            (&["model/block_3/expand/Conv2D", "model/block_3/project/Conv2D"], Some("model.block_3")),
            (&["Conv_3", "Conv_7"], None),
            (&["/0/0.1/Conv", "/0/0.1/Conv_1"], None),
            (&["/a/Conv", "/b/Conv"], None),
            (&["", "/layer1/layer1.0/Conv"], Some("layer1.0")),
            (&[], None),
        ] {
            assert_eq!(of_nodes(names).as_deref(), expected, "{names:?}");
        }
    }

    #[test]
    fn the_common_module_of_parameters_is_the_name() {
        let of_arrays = |names: &[&str]| common_module(names.iter().filter_map(|name| scope_of_array(name)));
        let names = ["h.3.attn.qkv.bias", "h.3.attn.out.bias", "val_12", "onnx::MatMul_7.x"];
        assert_eq!(of_arrays(&names).as_deref(), Some("h.3.attn"));
        assert_eq!(of_arrays(&["val_1", "bias"]), None);
    }
}
