//! Lets the kernels compute the parts of a network of convolutions.

use std::sync::Arc;

use super::engine::{shape_of, to_floats};
use super::network::{Block, GraphNetwork, Stage};
use super::partition::Part;
use super::program::Program;
use crate::Result;
use crate::nn::{Network, RecurrentState, Route, Samples};

/// Largest difference from the engine's answers, relative to the largest of these: both add up f32 in their own order, over all
/// layers of a network.
const TOLERANCE: f32 = 1e-4;

impl GraphNetwork {
    /// Lets the kernels compute the network, where they can compute all of it from the first block to the last, so that an estimate
    /// has one layout, and where their answers to some samples are those of the engine, `expected`.
    pub(super) fn use_kernels(&mut self, samples: &Samples, expected: &[f32]) -> Result<()> {
        let stages: Option<Vec<Stage>> = self.stages.iter().map(|stage| self.stage_for_kernels(stage)).collect();
        let Some(mut stages) = stages else { return Ok(()) };
        let mut programs =
            stages.iter().flat_map(|stage| &stage.blocks).filter_map(|block| block.step.program.as_ref());
        if !programs.any(|program| program.has_convolutions()) {
            return Ok(());
        }
        let before = (self.stem.clone(), self.after_last_stage.clone(), self.head.clone());
        self.stem.program = self.program(&self.stem);
        self.use_kernels_in_head();
        std::mem::swap(&mut self.stages, &mut stages);
        let route = Route::identity(&self.outline);
        let found = self.forward_along(&route, samples, &mut RecurrentState::default())?.values;
        let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let is_close = |(found, expected): (&f32, &f32)| (found - expected).abs() <= TOLERANCE * largest;
        if found.len() != expected.len() || !found.iter().zip(expected).all(is_close) {
            self.stages = stages;
            (self.stem, self.after_last_stage, self.head) = before;
        }
        Ok(())
    }

    /// Splits the nodes with which the head begins, as far as the kernels can compute them, from the head. A normalization before the
    /// classifier rounds alike then, whether it belongs to the head or to the last block.
    fn use_kernels_in_head(&mut self) {
        let Part { from: Some(from), to, side_inputs, .. } = &self.head else { return };
        let Some(shape) = self.shapes.0.get(from).and_then(|shape| shape.get(1..)) else { return };
        let constant = |value: usize| self.constant(value);
        let Some((program, value)) = Program::beginning(&self.graph, &constant, (*from, shape), to) else { return };
        let head = Part { from: Some(value), to: to.clone(), side_inputs: side_inputs.clone(), program: None };
        let program = Some(Arc::new(program));
        self.after_last_stage.push(Part { from: Some(*from), to: vec![value], side_inputs: Vec::new(), program });
        self.head = head;
    }

    fn stage_for_kernels(&self, stage: &Stage) -> Option<Stage> {
        let part = |part: &Part| Some(Part { program: Some(self.program(part)?), ..part.clone() });
        let optional = |of: &Option<Part>| of.as_ref().map_or(Some(None), |of| part(of).map(Some));
        let block = |block: &Block| {
            Some(Block {
                step: part(&block.step)?,
                body: part(&block.body)?,
                shortcut: optional(&block.shortcut)?,
                after_sum: optional(&block.after_sum)?,
                ..block.clone()
            })
        };
        let enter = stage.enter.iter().map(part).collect::<Option<_>>()?;
        Some(Stage { enter, blocks: stage.blocks.iter().map(block).collect::<Option<_>>()? })
    }

    /// Returns the program of a part; `None` where the kernels cannot compute it.
    fn program(&self, part: &Part) -> Option<Arc<Program>> {
        let constant = |value: usize| self.constant(value);
        let (from, shape) = match (part.from, &self.inputs[..], &self.graph.inputs[..]) {
            (Some(from), ..) => (from, self.shapes.0.get(&from)?.get(1..)?),
            (None, [input], &[value]) => (value, input.shape.as_slice()),
            _ => return None,
        };
        let is_alone = part.side_inputs.is_empty() && (part.from.is_some() || part.to.len() == 1);
        is_alone.then(|| Program::new(&self.graph, &constant, (from, shape), &part.to)).flatten().map(Arc::new)
    }

    /// Returns the shape and the floats of a constant value.
    fn constant(&self, value: usize) -> Option<(Vec<usize>, Vec<f32>)> {
        let computed = self.graph.values[value].is_constant.then(|| self.engine.run(&self.graph, &[], &[value]))?;
        let array = computed.ok()?.pop()?;
        Some((shape_of(&array), to_floats(&array)?))
    }
}
