//! Several blocks left out at once: at random (Veit et al. 2016), every pair of a stage, and the last block of a stage
//! applied again (Lippl et al. 2021).

use super::lesion::{lesion, removable};
use super::readout::share;
use super::tour::{Along, Tour};
use super::{Prediction, mean, score};
use crate::nn::Outline;
use crate::nn::{BlockId, Route};
use crate::random::{Purpose, shuffle, stream};
use crate::report::{Pair, Repeat, Several};

/// Numbers of blocks left out, as far as the network has them.
const REMOVED: [usize; 12] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
/// Repetitions of each number.
const SEEDS: u64 = 5;
/// Of more pairs than this in a stage so many are drawn.
const MOST_PAIRS: usize = 200;
/// How often the last block of a stage is applied again.
pub(super) const TIMES: [usize; 8] = [1, 2, 3, 4, 6, 10, 15, 20];

/// Growing numbers of blocks left out at random; every set of its size is equally likely, and none is taken twice.
pub(super) fn several(outline: &Outline, seed: u64) -> Tour {
    let blocks = removable(outline);
    let mut drawn = Vec::new();
    let mut routes = Vec::new();
    for removed in REMOVED.into_iter().filter(|&removed| removed <= blocks.len()) {
        for repetition in 0..SEEDS {
            let mut order = blocks.clone();
            shuffle(&mut stream(seed, Purpose::MultiLesion, &[removed as u64, repetition]), &mut order);
            let route = order[..removed].iter().fold(Route::identity(outline), |route, &at| route.without(at));
            if !routes.contains(&route) {
                drawn.push((removed, repetition, route.to_string()));
                routes.push(route);
            }
        }
    }
    Tour::new(routes, move |_, answers, measured| {
        let all = drawn.into_iter().zip(answers);
        let result = |((removed, seed, route), answers): (_, &Vec<Prediction>)| Several {
            removed,
            seed,
            route,
            score: score(answers),
        };
        measured.several = Some(all.map(result).collect());
    })
}

/// Pairs of blocks of one stage, and what they cost beyond their members.
pub(super) fn pairs(outline: &Outline, seed: u64) -> Tour {
    let identity = Route::identity(outline);
    let blocks = removable(outline);
    let mut pairs: Vec<(BlockId, BlockId)> = Vec::new();
    for stage in 0..outline.stages.len() {
        let own: Vec<BlockId> = blocks.iter().copied().filter(|at| at.stage == stage).collect();
        let mut all: Vec<(BlockId, BlockId)> =
            own.iter().enumerate().flat_map(|(i, &a)| own[i + 1..].iter().map(move |&b| (a, b))).collect();
        if all.len() > MOST_PAIRS {
            shuffle(&mut stream(seed, Purpose::LesionPairs, &[stage as u64]), &mut all);
            all.truncate(MOST_PAIRS);
            all.sort();
        }
        pairs.extend(all);
    }
    let singles = blocks.iter().map(|&at| identity.without(at));
    let routes = singles.chain(pairs.iter().map(|&(a, b)| identity.without(a).without(b))).collect();
    Tour::new(routes, move |whole, answers, measured| {
        let (singles, both) = answers.split_at(blocks.len());
        let single = |at: BlockId| blocks.iter().position(|&block| block == at).map(|place| &singles[place]);
        let result = |(&(first, second), both): (&(BlockId, BlockId), &Vec<Prediction>)| {
            let beyond = |figure: fn(&Prediction) -> f64| {
                let members = single(first)?.iter().zip(single(second)?);
                let all = members.zip(both).zip(&whole.answers);
                Some(mean(all.map(|(((a, b), both), w)| figure(both) + figure(w) - figure(a) - figure(b))))
            };
            Some(Pair {
                first: first.to_string(),
                second: second.to_string(),
                lesion: lesion(&whole.answers, both),
                interaction_accuracy: beyond(|a| -a.hit())?,
                interaction_loss: beyond(|a| a.loss)?,
            })
        };
        measured.pairs = pairs.iter().zip(both).map(result).collect();
    })
}

/// The last block of every stage. One that changes the shape cannot take its own output.
pub(super) fn last_blocks(outline: &Outline) -> Vec<BlockId> {
    let stages = outline.stages.iter().enumerate();
    let last = stages.filter_map(|(stage, s)| {
        let block = s.blocks.len().checked_sub(1)?;
        s.blocks[block].keeps_shape().then_some(BlockId { stage, block })
    });
    last.collect()
}

/// The last block of every stage applied again, more and more often; as it is, and with its estimate scaled back.
pub(super) fn repeats(outline: &Outline) -> Tour {
    let identity = Route::identity(outline);
    let along = [(Along::Network, false), (Along::Rescaled, true)];
    let all: Vec<(Along, bool, BlockId, usize)> = along
        .into_iter()
        .flat_map(|(along, rescaled)| last_blocks(outline).into_iter().map(move |at| (along, rescaled, at)))
        .flat_map(|(along, rescaled, at)| TIMES.map(|times| (along, rescaled, at, times)))
        .collect();
    let legs = all.iter().map(|&(along, _, at, times)| (along, identity.repeating(at, times))).collect();
    Tour::along(legs, move |whole, answers, measured| {
        let result =
            |(&(_, rescaled, at, times), answers): (&(Along, bool, BlockId, usize), &Vec<Prediction>)| Repeat {
                block: at.to_string(),
                times,
                rescaled,
                score: score(answers),
                agreement: share(answers.iter().zip(&whole.answers).map(|(a, w)| a.prediction == w.prediction)),
            };
        measured.repeats = Some(all.iter().zip(answers).map(result).collect());
    })
}
