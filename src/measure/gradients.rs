//! Whether blocks step down the loss: the cosine between `F_k` and the negative gradient of the loss with respect to what
//! enters the block (Jastrzebski et al. 2018).

use serde::{Deserialize, Serialize};

use super::activations::dot;
use super::cost::{Cost, CostModel, estimate_bytes};
use super::measurement::{Measurement, Observed, Presented, Scope};
use super::moments::RunningMean;
use super::probe::Probe;
use super::score::{Estimate, PerBlock};
use crate::nn::{BlockId, Route};
use crate::report::Section;

/// The cosine of every block's residual with the negative gradient of the loss; above zero the block steps down the loss.
pub struct Gradients;

/// Running cosines of all blocks, stage by stage.
#[derive(Serialize, Deserialize)]
pub struct GradientProbe {
    stages: Vec<Vec<RunningMean>>,
}

impl Measurement for Gradients {
    type Output = PerBlock<Estimate>;
    type Probe = GradientProbe;

    const NAME: &'static str = "gradients";
    const ABOUT: &'static str = "Whether blocks step down the loss";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        if scope.outline.is_language_model {
            // The loss of a word is no function of its own estimate alone.
            return Some("the loss of a word depends on the words before it".into());
        }
        if !scope.has_gradients {
            return Some("it has no gradients".into());
        }
        let keeps_shape = scope.outline.blocks().any(|(_, block)| block.keeps_shape());
        (!keeps_shape).then(|| "every block changes the shape".into())
    }

    fn probe(&self, scope: &Scope) -> Option<GradientProbe> {
        let stages = scope.outline.stages.iter();
        Some(GradientProbe { stages: stages.map(|s| vec![RunningMean::default(); s.blocks.len()]).collect() })
    }

    fn cost(&self, scope: &Scope) -> Cost {
        let run = CostModel::new(&scope.outline).sweep(&[Route::identity(&scope.outline)]);
        // Every step again, and back; every estimate is kept, and every residual.
        Cost { probe: 3 * run, bytes: 2 * estimate_bytes(&scope.outline).1, analysis: 0 }
    }

    fn analyse(&self, scope: &Scope, observed: &Observed<GradientProbe>) -> PerBlock<Estimate> {
        let cosines = observed.probe.iter().flat_map(|probe| probe.stages.iter().flatten());
        let blocks = scope.outline.blocks().zip(cosines).filter(|(_, cosine)| !cosine.is_empty());
        blocks.map(|((id, _), cosine)| (id, cosine.estimate())).collect()
    }

    fn present(&self, _networks: &[Presented<Self::Output>]) -> Section {
        Section::default()
    }
}

impl Probe for GradientProbe {
    fn needs_gradients(&self) -> bool {
        true
    }

    fn gradient(&mut self, block: BlockId, residual: &[f32], gradient: &[f32], units: usize) {
        let cosines = &mut self.stages[block.stage][block.block];
        for (f, g) in residual.chunks_exact(units).zip(gradient.chunks_exact(units)) {
            let sizes = (dot(f, f) * dot(g, g)).sqrt();
            // A sample that is predicted with certainty has no gradient, and no direction.
            if sizes > 0.0 {
                cosines.add((-dot(f, g) / sizes).clamp(-1.0, 1.0));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        let pairs = self.stages.iter_mut().flatten().zip(other.stages.iter().flatten());
        pairs.for_each(|(own, other)| own.merge(other));
    }
}
