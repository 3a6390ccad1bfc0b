//! Lesion: every block left out in turn (Srivastava et al. 2015, Veit et al. 2016).

use super::tour::Tour;
use super::{Prediction, mean, score};
use crate::nn::Outline;
use crate::nn::{BlockId, Route};
use crate::report::Lesion;

/// The blocks that can be left out, with the route that leaves each out.
pub fn lesions(outline: &Outline) -> Vec<(BlockId, Route)> {
    let identity = Route::identity(outline);
    let removable = removable(outline).into_iter();
    removable.map(|at| (at, identity.without_block(at))).collect()
}

/// The blocks that can be left out.
pub(super) fn removable(outline: &Outline) -> Vec<BlockId> {
    let stages = outline.stages.iter().enumerate();
    let blocks =
        stages.flat_map(|(stage, s)| s.blocks.iter().enumerate().map(move |(block, b)| (BlockId { stage, block }, b)));
    blocks.filter(|(_, block)| block.why_not_removable.is_none()).map(|(at, _)| at).collect()
}

/// What leaving out costs, paired sample by sample with the answers of the whole network.
pub fn lesion(whole: &[Prediction], without: &[Prediction]) -> Lesion {
    let pairs = whole.iter().zip(without);
    Lesion {
        score: score(without),
        accuracy_cost: mean(pairs.clone().map(|(w, o)| w.hit() - o.hit())),
        loss_cost: mean(pairs.map(|(w, o)| o.loss - w.loss)),
    }
}

/// Every block left out in turn.
pub(super) fn tour(outline: &Outline) -> Tour {
    let (blocks, routes): (Vec<BlockId>, Vec<Route>) = lesions(outline).into_iter().unzip();
    Tour::new(routes, move |whole, answers, measured| {
        let lesions = blocks.iter().zip(answers);
        measured.lesion =
            Some(lesions.map(|(at, without)| (at.to_string(), lesion(&whole.answers, without))).collect());
    })
}
