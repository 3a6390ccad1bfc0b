//! Ablation: what a block adds is not left out but replaced by what says nothing about the sample, its mean over the
//! samples or what it adds to another sample.

use serde::{Deserialize, Serialize};

use super::Intervention;
use super::cost::Cost;
use super::lesion::{LesionResult, removable};
use super::measurement::{Measurement, Observed, Presented, Scope};
use super::score::PerBlock;
use crate::nn::{BlockId, Route};
use crate::report::Section;

/// A block's step `a_k - a_(k-1)` replaced by its mean over the samples, or by another sample's.
pub struct Ablation;

/// A block whose step `a_k - a_(k-1)` is replaced by what says nothing about the sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockAblation {
    /// By its mean over the samples, unit by unit.
    pub mean: LesionResult,
    /// By that of another sample.
    pub resampled: LesionResult,
}

/// The blocks whose step is defined: those that can be left out and keep the shape. Fewer than two samples have neither
/// replacement.
fn ablated(scope: &Scope) -> Vec<BlockId> {
    let blocks = if scope.samples < 2 { Vec::new() } else { removable(&scope.outline) };
    blocks.into_iter().filter(|&id| scope.outline.block(id).keeps_shape()).collect()
}

impl Measurement for Ablation {
    type Output = PerBlock<BlockAblation>;
    type Probe = ();

    const NAME: &'static str = "ablation";
    const ABOUT: &'static str = "What a block adds replaced by its mean, or by another sample's";

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        let whole = Route::identity(&scope.outline);
        let blocks = ablated(scope);
        let along = |intervention| blocks.iter().map(move |&id| (intervention, id));
        let all = along(Intervention::MeanStep).chain(along(Intervention::OtherStep));
        all.map(|(intervention, id)| (intervention, whole.without_block(id))).collect()
    }

    fn cost(&self, scope: &Scope) -> Cost {
        Cost::of_probe(&scope.outline, |_, _| 50)
    }

    fn analyse(&self, scope: &Scope, observed: &Observed<()>) -> PerBlock<BlockAblation> {
        let blocks = ablated(scope);
        let (mean, resampled) = observed.predictions.split_at(blocks.len());
        let cost = |predictions: &[_]| LesionResult::new(observed.baseline, predictions);
        let both = blocks.into_iter().zip(mean.iter().zip(resampled));
        both.map(|(id, (m, r))| (id, BlockAblation { mean: cost(m), resampled: cost(r) })).collect()
    }

    fn present(&self, _networks: &[Presented<Self::Output>]) -> Section {
        Section::default()
    }
}
