//! Parameters and FLOPs of nodes.

use std::collections::{HashMap, HashSet};

use super::flops::flops;
use super::layers::arrays_of;
use super::linked_graph::Graph;
use crate::nn::Outline;

/// The cost of some nodes for one sample.
#[derive(Default)]
pub(super) struct Cost {
    /// Trained values.
    pub parameters: u64,
    /// Multiply-adds times two.
    pub flops: u64,
}

/// Counts costs. A parameter that several nodes share counts where it occurs first.
#[derive(Default)]
pub(super) struct CostCounter {
    /// Values whose parameters are counted already.
    counted: HashSet<usize>,
}

impl CostCounter {
    /// Returns the cost of some nodes: the values of the arrays that they use, without running statistics, and the FLOPs of
    /// their convolutions and matrix products. `shapes` are those of a run of `batch` samples. A node that computes from
    /// arrays alone has no cost: its arrays count where its output is used.
    pub(super) fn cost(
        &mut self,
        graph: &Graph,
        nodes: &[usize],
        shapes: &HashMap<usize, Vec<usize>>,
        batch: usize,
    ) -> Cost {
        let mut cost = Cost::default();
        for &index in nodes {
            let node = &graph.nodes[index];
            if node.outputs.iter().all(|&value| graph.values[value].is_constant) {
                continue;
            }
            for (value, array) in arrays_of(graph, node) {
                if self.counted.insert(value) {
                    cost.parameters += array.shape.iter().product::<usize>() as u64;
                }
            }
            cost.flops += flops(graph, index, shapes) / batch.max(1) as u64;
        }
        cost
    }

    /// Completes an outline whose stem and blocks are counted: the parameters of the remaining nodes are those of the head.
    pub(super) fn complete(
        mut self,
        outline: Outline,
        graph: &Graph,
        all: &[usize],
        shapes: &HashMap<usize, Vec<usize>>,
        batch: usize,
    ) -> Outline {
        let head_parameters = self.cost(graph, all, shapes, batch).parameters;
        let blocks: u64 = outline.stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.parameters).sum();
        Outline {
            parameters: outline.stem_parameters + blocks + head_parameters,
            flops: Self::default().cost(graph, all, shapes, batch).flops,
            head_parameters,
            ..outline
        }
    }
}
