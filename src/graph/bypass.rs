//! Says why the sums of a graph do not make blocks.

use super::find_blocks::NoBlocks;
use super::layers::mixes_units;
use super::linked_graph::Graph;
use super::post_dominators::PostDominators;
use super::subgraph::Subgraph;

const NO_SKIP: &str = "no skip connections in its graph: there are no blocks that could be left out";
/// Sums that are looked at. A graph without blocks rarely has more.
const MAX_SUMS: usize = 1000;
/// Nodes that a message names.
const MAX_NAMED: usize = 3;

/// Returns why no blocks were found on the way to an output, as text that follows the name of the file.
pub(super) fn explain(graph: &Graph, output: usize, why: &NoBlocks) -> String {
    let dominators = PostDominators::new(graph, output);
    let sums: Vec<(usize, usize)> =
        (0..graph.nodes.len()).filter_map(|node| skip_of_sum(&dominators, node)).take(MAX_SUMS).collect();
    let mut around: Vec<usize> = sums.iter().filter_map(|&(x, sum)| bypass(&dominators, x, sum)).collect();
    around.sort_unstable();
    around.dedup();
    let named: Vec<String> = around.iter().take(MAX_NAMED).map(|&node| graph.describe_node(node)).collect();
    let more = around.len().saturating_sub(named.len());
    let named = named.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() };
    match (why, sums.len(), around.is_empty()) {
        (NoBlocks::NoSkip, 0, _) => NO_SKIP.into(),
        (NoBlocks::PathAround(node, count), _, true) => format!(
            "cannot be cut into blocks: {count} sums with a skip, but no two in sequence: the output of {} bypasses them. \
             List the blocks in a file of boundaries",
            graph.describe_node(*node)
        ),
        (NoBlocks::PathAround(_, count), _, false) => format!(
            "cannot be cut into blocks: {count} sums with a skip, bypassed by {named}. List the blocks in a file of boundaries"
        ),
        (NoBlocks::NoSkip, count, false) => {
            format!("{}, bypassed by {named}: no block can be cut out", sums_text(count))
        }
        (NoBlocks::NoSkip, count, true) => {
            let (sums_text, sum) = (sums_text(count), graph.describe_node(sums[0].1));
            let first = if count == 1 { "" } else { "the first " };
            format!(
                "{sums_text}, {first}{sum}: none begins and ends where all paths pass. List the blocks in a file of boundaries"
            )
        }
    }
}

/// Returns a text such as `3 sums with a skip`.
fn sums_text(count: usize) -> String {
    format!("{count} sum{} with a skip", if count == 1 { "" } else { "s" })
}

/// Returns the value that a sum adds to what is computed from this value, and the node of the sum.
fn skip_of_sum(dominators: &PostDominators<'_>, sum: usize) -> Option<(usize, usize)> {
    let graph = dominators.graph;
    let node = &graph.nodes[sum];
    if !matches!(node.op.as_str(), "Add" | "Sum") || !node.outputs.iter().any(|&value| dominators.reaches_output(value))
    {
        return None;
    }
    let terms: Vec<usize> = node.present_inputs().filter(|&value| dominators.depends_on_input(value)).collect();
    let is_skip = |x: usize| {
        let others = terms.iter().filter(|&&other| other != x);
        others
            .into_iter()
            .any(|&other| Subgraph::between(graph, x, &[other]).nodes.iter().any(|&node| mixes_units(graph, node)))
    };
    terms.iter().copied().find(|&x| is_skip(x)).map(|x| (x, sum))
}

/// Returns the first node that takes a value from between `x` and a sum and does not lead to the sum.
fn bypass(dominators: &PostDominators<'_>, x: usize, sum: usize) -> Option<usize> {
    let graph = dominators.graph;
    let inside = Subgraph::between(graph, x, &graph.nodes[sum].outputs).nodes;
    let values = inside.iter().filter(|&&node| node != sum).flat_map(|&node| &graph.nodes[node].outputs);
    let consumers = values.chain([&x]).flat_map(|&value| &graph.values[value].consumers);
    let is_around = |node: &usize| {
        inside.binary_search(node).is_err()
            && graph.nodes[*node].outputs.iter().any(|&value| dominators.reaches_output(value))
    };
    consumers.copied().filter(is_around).min()
}
