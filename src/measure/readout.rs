//! Read-outs: what the network would answer if it stopped after a block (nostalgebraist 2020; Lippl et al. 2021).

use super::tour::Tour;
use super::{Baseline, Prediction, mean, score};
use crate::nn::Outline;
use crate::nn::{BlockId, Route};
use crate::report::Readout;

/// The network's own head after every block of the last stage.
pub(super) fn tour(outline: &Outline) -> Tour {
    let identity = Route::identity(outline);
    let stage = outline.stages.len().saturating_sub(1);
    let count = outline.stages.last().map_or(0, |last| last.blocks.len());
    let blocks: Vec<BlockId> = (0..count).map(|block| BlockId { stage, block }).collect();
    let routes = blocks.iter().map(|&at| identity.truncated_after(at)).collect();
    Tour::new(routes, move |whole, answers, measured| {
        let readouts = readouts(whole, answers);
        let all = measured.readouts.get_or_insert_default();
        for (at, readout) in blocks.iter().zip(readouts) {
            all.entry(at.to_string()).or_default().head = Some(readout);
        }
    })
}

/// The figures of successive read-outs of one sort, from the answers of each.
pub(super) fn readouts(whole: &Baseline, answers: &[Vec<Prediction>]) -> Vec<Readout> {
    let mut settled = vec![true; whole.answers.len()];
    let mut found: Vec<Readout> = Vec::new();
    for answers in answers.iter().rev() {
        let agrees: Vec<bool> = answers.iter().zip(&whole.answers).map(|(a, w)| a.prediction == w.prediction).collect();
        settled.iter_mut().zip(&agrees).for_each(|(settled, agrees)| *settled &= agrees);
        found.push(Readout {
            score: score(answers),
            agreement: share(agrees.iter().copied()),
            kl_nats: mean(answers.iter().map(|a| a.kl)),
            settled: share(settled.iter().copied()).value,
        });
    }
    found.reverse();
    found
}

/// How often something is so, with its interval.
pub(super) fn share(values: impl Iterator<Item = bool> + Clone) -> crate::report::Estimate {
    mean(values.map(|value| f64::from(u8::from(value))))
}
