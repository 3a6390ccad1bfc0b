//! Lesion: every block left out in turn (Srivastava et al. 2015, Veit et al. 2016).

use super::{Answer, mean, score};
use crate::nn::{At, Route};
use crate::report::{Lesion, Outline, PerBlock};

/// The blocks that can be left out, with the route that leaves each out.
pub fn lesions(outline: &Outline) -> Vec<(String, Route)> {
    let identity = Route::identity(outline);
    let mut routes = Vec::new();
    for (s, stage) in outline.stages.iter().enumerate() {
        for (b, block) in stage.blocks.iter().enumerate().filter(|(_, block)| block.fixed.is_none()) {
            routes.push((block.name.clone(), identity.without(At { stage: s, block: b })));
        }
    }
    routes
}

/// What leaving a block out costs, paired sample by sample with the answers of the whole network.
pub fn lesion(whole: &[Answer], without: &[Answer]) -> Lesion {
    let pairs = whole.iter().zip(without);
    let correct = |a: &Answer| f64::from(u8::from(a.correct));
    Lesion {
        score: score(without),
        accuracy_cost: mean(pairs.clone().map(|(w, o)| correct(w) - correct(o))),
        loss_cost: mean(pairs.map(|(w, o)| o.loss - w.loss)),
    }
}

/// All lesions, from the answers along the routes of [`lesions`].
pub(super) fn all(whole: &[Answer], names: Vec<String>, answers: &[Vec<Answer>]) -> PerBlock<Lesion> {
    names.into_iter().zip(answers).map(|(name, without)| (name, lesion(whole, without))).collect()
}
