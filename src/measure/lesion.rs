//! Lesion: every block left out in turn (Srivastava et al. 2015, Veit et al. 2016).

use serde::{Deserialize, Serialize};

use super::measurement::{Measurement, Observed, Presented, Scope};
use super::score::{Estimate, PerBlock, Score, mean};
use super::{Intervention, Prediction};
use crate::nn::{BlockId, Outline, Route};
use crate::report::Section;

/// Accuracy and loss with each block left out in turn; its shortcut stays.
pub struct Lesion;

/// A network run with one block left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LesionResult {
    /// The score without the block.
    #[serde(flatten)]
    pub score: Score,
    /// Baseline accuracy minus this accuracy, with its interval paired sample by sample.
    pub accuracy_cost: Estimate,
    /// This loss minus baseline loss, with its interval paired sample by sample.
    pub loss_cost: Estimate,
}

impl LesionResult {
    /// Returns what leaving out costs, compared sample by sample with the predictions of the whole network.
    pub fn new(whole: &[Prediction], without: &[Prediction]) -> Self {
        let pairs = whole.iter().zip(without);
        Self {
            score: Score::of(without),
            accuracy_cost: mean(pairs.clone().map(|(w, o)| w.hit() - o.hit())),
            loss_cost: mean(pairs.map(|(w, o)| o.loss - w.loss)),
        }
    }
}

/// Returns the blocks that can be left out.
pub fn removable(outline: &Outline) -> Vec<BlockId> {
    outline.blocks().filter(|(_, block)| block.why_not_removable.is_none()).map(|(id, _)| id).collect()
}

impl Measurement for Lesion {
    type Output = PerBlock<LesionResult>;
    type Probe = ();

    const NAME: &'static str = "lesion";
    const ABOUT: &'static str = "Every block left out in turn";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        removable(&scope.outline).is_empty().then(|| "no block can be left out".into())
    }

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        let whole = Route::identity(&scope.outline);
        removable(&scope.outline).into_iter().map(|id| (Intervention::None, whole.without_block(id))).collect()
    }

    fn analyse(&self, scope: &Scope, observed: &Observed<()>) -> PerBlock<LesionResult> {
        let lesions = removable(&scope.outline).into_iter().zip(&observed.predictions);
        lesions.map(|(id, without)| (id, LesionResult::new(observed.baseline, without))).collect()
    }

    fn present(&self, _networks: &[Presented<Self::Output>]) -> Section {
        Section::default()
    }
}
