//! Whether blocks step down the loss: the cosine between `F_k` and the negative gradient of the loss with respect to
//! what enters the block (Jastrzebski et al. 2018).

use super::influence::{dot, residual};
use super::moments::Stream;
use super::walk::{Baseline, Probe, StageActivations};
use crate::Result;
use crate::nn::Outline;
use crate::nn::{BlockActivations, BlockId, Network, Step, Wiring};
use crate::report::Measurements;

/// Streams the cosines of all blocks that keep the shape.
pub struct GradientProbe<N: Network> {
    blocks: Vec<(BlockId, Option<Wiring>, Stream)>,
    /// Of the batch under way: every step with what entered it, and of blocks that keep the shape `F`.
    taken: Vec<(Step, N::Estimate, Option<Vec<f32>>)>,
    last: Option<N::Estimate>,
}

impl<N: Network> GradientProbe<N> {
    /// For a network.
    pub fn new(outline: &Outline) -> Self {
        let stages = outline.stages.iter().enumerate();
        let blocks = stages.flat_map(|(stage, s)| {
            let keeping = s.blocks.iter().enumerate().filter(|(_, block)| block.keeps_shape());
            keeping.map(move |(block, b)| (BlockId { stage, block }, Some(b.wiring), Stream::default()))
        });
        Self { blocks: blocks.collect(), taken: Vec::new(), last: None }
    }
}

impl<N: Network> Probe<N> for GradientProbe<N> {
    fn enter(&mut self, _: &N, stage: usize, estimate: &N::Estimate) {
        // What enters the first stage is the stem's, and nothing before it is asked for.
        if let Some(before) = self.last.replace(estimate.clone()) {
            self.taken.push((Step::Enter(stage), before, None));
        }
    }

    fn block(&mut self, network: &N, at: BlockId, inside: &BlockActivations<N::Estimate>, seen: &StageActivations) {
        let Some(before) = self.last.replace(inside.estimate.clone()) else { return };
        let keeps = self.blocks.iter().find(|(block, ..)| *block == at);
        let f = keeps.map(|(_, wiring, _)| residual(network, *wiring, inside, seen));
        self.taken.push((Step::Run(at), before, f));
    }

    fn end(&mut self, network: &N, labels: &[u32]) -> Result<()> {
        let taken = std::mem::take(&mut self.taken);
        let Some(last) = self.last.take() else { return Ok(()) };
        let Some(mut gradient) = network.head_gradient(&last, labels)? else { return Ok(()) };
        for (step, entering, f) in taken.into_iter().rev() {
            let Some(before) = network.backward_step(step, &entering, &gradient)? else { return Ok(()) };
            gradient = before;
            let (Step::Run(at), Some(f)) = (step, f) else { continue };
            let g = network.values(&gradient).0;
            let units = g.len() / labels.len();
            let Some((.., cosines)) = self.blocks.iter_mut().find(|(block, ..)| *block == at) else { continue };
            for (f, g) in f.chunks_exact(units).zip(g.chunks_exact(units)) {
                let sizes = (dot(f, f) * dot(g, g)).sqrt();
                // A sample that is answered with certainty has no gradient, and no direction.
                if sizes > 0.0 {
                    cosines.add((-dot(f, g) / sizes).clamp(-1.0, 1.0));
                }
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Baseline, measured: &mut Measurements, _: &mut dyn FnMut(u64)) -> Result<()> {
        let measurable = self.blocks.into_iter().filter(|(.., cosines)| !cosines.is_empty());
        measured.gradients = Some(measurable.map(|(at, _, cosines)| (at.to_string(), cosines.estimate())).collect());
        Ok(())
    }
}
