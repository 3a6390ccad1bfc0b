//! Lets the kernels compute the parts of a network of convolutions.

use std::sync::Arc;

use super::engine::{shape_of, to_floats};
use super::network::{Block, GraphNetwork, NetworkParts, Stage};
use super::partition::Part;
use super::program::{Constants, Program};
use crate::nn::{Network, RecurrentState, Route, Samples};

/// Largest difference from the engine's answers, relative to the largest of these: both add up f32 in their own order, over all
/// layers of a network.
const TOLERANCE: f32 = 1e-4;

impl GraphNetwork {
    /// Lets the kernels compute the network, where they can compute all of it from the first block to the last, so that an estimate
    /// has one layout. `asked` says whether to; where it is `None`, they do if their answers to some samples agree with those of
    /// the engine, `expected`, within [`TOLERANCE`].
    pub(super) fn use_kernels(&mut self, samples: &Samples, expected: &[f32], asked: Option<bool>) {
        if asked == Some(false) {
            return;
        }
        let read = |value: usize| self.constant(value);
        let Some(mut parts) = self.parts_for_kernels(&Constants::new(&read)) else { return };
        let mut programs = parts.stages.iter().flat_map(|stage| &stage.blocks).filter_map(|b| b.step.program.as_ref());
        if asked.is_none() && !programs.any(|program| program.has_convolutions()) {
            return;
        }
        std::mem::swap(&mut self.parts, &mut parts);
        self.uses_kernels = asked == Some(true) || self.agrees(samples, expected);
        if !self.uses_kernels {
            self.parts = parts;
        }
    }

    /// Returns whether the answers to some samples are close to others.
    fn agrees(&self, samples: &Samples, expected: &[f32]) -> bool {
        let route = Route::identity(&self.outline);
        let Ok(found) = self.forward_along(&route, samples, &mut RecurrentState::default()) else { return false };
        let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let is_close = |(found, expected): (&f32, &f32)| (found - expected).abs() <= TOLERANCE * largest;
        found.values.len() == expected.len() && found.values.iter().zip(expected).all(is_close)
    }

    fn parts_for_kernels(&self, constants: &Constants) -> Option<NetworkParts> {
        let stages =
            self.parts.stages.iter().map(|stage| self.stage_for_kernels(constants, stage)).collect::<Option<_>>()?;
        let (stem, after_stem) = self.stem_for_kernels(constants);
        let (before_head, head) = self.head_for_kernels(constants);
        let after_last_stage = self.parts.after_last_stage.iter().cloned().chain(before_head).collect();
        Some(NetworkParts { stem, after_stem, stages, after_last_stage, head })
    }

    /// Splits the nodes with which the stem ends, as far as the kernels can compute them, from the stem. What follows it rounds alike
    /// then, where a block that is removed leaves its shortcut to the stem.
    fn stem_for_kernels(&self, constants: &Constants) -> (Part, Vec<Part>) {
        let program = self.program(constants, &self.parts.stem);
        let &[to] = &self.parts.stem.to[..] else { return (self.parts.stem.clone(), Vec::new()) };
        if program.is_some() {
            return (Part { program, ..self.parts.stem.clone() }, Vec::new());
        }
        match Program::suffix(&self.graph, constants, &|value| self.shape_of_sample(value), to) {
            None => (self.parts.stem.clone(), Vec::new()),
            Some((program, from)) => {
                let program = Some(Arc::new(program));
                let end = Part { from: Some(from), to: vec![to], side_inputs: Vec::new(), program };
                (Part { to: vec![from], ..self.parts.stem.clone() }, vec![end])
            }
        }
    }

    /// Splits the nodes with which the head begins, as far as the kernels can compute them, from the head. A normalization before the
    /// classifier rounds alike then, whether it belongs to the head or to the last block.
    fn head_for_kernels(&self, constants: &Constants) -> (Option<Part>, Part) {
        let begin = || {
            let from = self.parts.head.from?;
            let shape = self.shape_of_sample(from)?;
            let (program, value) = Program::prefix(&self.graph, constants, (from, &shape), &self.parts.head.to)?;
            Some((from, value, Arc::new(program)))
        };
        match begin() {
            None => (None, self.parts.head.clone()),
            Some((from, value, program)) => {
                let side_inputs = Vec::new();
                let begin = Part { from: Some(from), to: vec![value], side_inputs, program: Some(program) };
                (Some(begin), Part { from: Some(value), ..self.parts.head.clone() })
            }
        }
    }

    fn stage_for_kernels(&self, constants: &Constants, stage: &Stage) -> Option<Stage> {
        let part = |part: &Part| Some(Part { program: Some(self.program(constants, part)?), ..part.clone() });
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
    fn program(&self, constants: &Constants, part: &Part) -> Option<Arc<Program>> {
        let (from, shape) = match (part.from, &self.inputs[..], &self.graph.inputs[..]) {
            (Some(from), ..) => (from, self.shape_of_sample(from)?),
            (None, [input], &[value]) => (value, input.shape.clone()),
            _ => return None,
        };
        let has_single_input = part.side_inputs.is_empty() && (part.from.is_some() || part.to.len() == 1);
        has_single_input.then(|| Program::new(&self.graph, constants, (from, &shape), &part.to)).flatten().map(Arc::new)
    }

    /// Returns the shape of a value without the samples, where it is known.
    fn shape_of_sample(&self, value: usize) -> Option<Vec<usize>> {
        Some(self.shapes.0.get(&value)?.get(1..)?.to_vec())
    }

    /// Returns the shape and the floats of a constant value.
    fn constant(&self, value: usize) -> Option<(Vec<usize>, Vec<f32>)> {
        let computed = self.graph.values[value].is_constant.then(|| self.engine.run(&self.graph, &[], &[value]))?;
        let array = computed.ok()?.pop()?;
        Some((shape_of(&array), to_floats(&array)?))
    }
}
