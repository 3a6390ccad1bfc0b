//! How iterative a stage is, as three indices (after Lippl et al. 2021): of convergence, recurrence and divergence.

use super::Prediction;
use super::score::mean;
use super::together::{TIMES, last_blocks};
use super::tour::{Along, Tour};
use crate::nn::Outline;
use crate::nn::{BlockId, Route};
use crate::random::{Purpose, shuffle, stream};
use crate::report::{Estimate, Iteration};

/// Of more pairs than this in a stage so many are drawn.
const MOST_EXCHANGES: usize = 20;

/// Places on a curve: where in the answers of the tour each is, and how much it counts. The weights sum to 1.
#[derive(Default)]
struct Curve(Vec<(usize, f64)>);

/// The curves of one stage.
struct Curves {
    stage: String,
    convergence: Curve,
    recurrence: Curve,
    divergence: Curve,
    rescaled: Curve,
}

/// The routes of the three indices, for every stage.
pub(super) fn tour(outline: &Outline, seed: u64) -> Tour {
    let identity = Route::identity(outline);
    let mut legs: Vec<(Along, Route)> = Vec::new();
    let mut curve = |along: Along, routes: Vec<(Route, f64)>| {
        let total: f64 = routes.iter().map(|(_, weight)| weight).sum();
        let place = |(route, weight): (Route, f64)| {
            legs.push((along, route));
            (legs.len() - 1, weight / total)
        };
        Curve(routes.into_iter().map(place).collect())
    };
    let last = last_blocks(outline);
    let stages = outline.stages.iter().enumerate().map(|(stage, s)| {
        let early = (0..s.blocks.len().saturating_sub(1)).map(|block| (identity.until(BlockId { stage, block }), 1.0));
        let exchanged = exchanges(&identity, stage, seed).into_iter().map(|route| (route, 1.0));
        let again: Vec<(Route, f64)> = match last.iter().find(|at| at.stage == stage) {
            Some(&at) => weights(&TIMES).map(|(times, weight)| (identity.repeating(at, times), weight)).collect(),
            None => Vec::new(),
        };
        Curves {
            stage: s.name.clone(),
            convergence: curve(Along::Network, early.collect()),
            recurrence: curve(Along::Network, exchanged.collect()),
            divergence: curve(Along::Network, again.clone()),
            rescaled: curve(Along::Rescaled, again),
        }
    });
    let stages: Vec<Curves> = stages.collect();
    let classes = outline.classes as f64;
    let (told, chance): (fn(&Prediction) -> f64, f64) = match outline.is_language_model {
        true => (|answer| -answer.loss, -classes.ln()),
        false => (Prediction::hit, 1.0 / classes),
    };
    Tour::along(legs, move |whole, answers, measured| {
        let figures = |curves: Curves| {
            let figure = |curve: Curve| index(&whole.answers, &curve, answers, (told, chance));
            let found = Iteration {
                convergence: figure(curves.convergence),
                recurrence: figure(curves.recurrence),
                divergence: figure(curves.divergence),
                divergence_rescaled: figure(curves.rescaled),
            };
            (curves.stage, found)
        };
        measured.iteration = Some(stages.into_iter().map(figures).collect());
    })
}

/// The orders in which two blocks of a stage have changed places.
fn exchanges(identity: &Route, stage: usize, seed: u64) -> Vec<Route> {
    let places = identity.movable()[stage].clone();
    let mut pairs: Vec<(usize, usize)> =
        places.clone().flat_map(|one| (one + 1..places.end).map(move |other| (one, other))).collect();
    if pairs.len() > MOST_EXCHANGES {
        shuffle(&mut stream(seed, Purpose::BlockSwaps, &[stage as u64]), &mut pairs);
        pairs.truncate(MOST_EXCHANGES);
    }
    let exchanged = |(one, other)| {
        let mut route = identity.clone();
        route.swap(stage, one, other);
        route
    };
    pairs.into_iter().map(exchanged).collect()
}

/// How much each point counts in the area under lines from point to point, from 0 to the last; the point at 0, as the
/// network is, adds nothing.
fn weights(points: &'static [usize]) -> impl Iterator<Item = (usize, f64)> {
    points.iter().enumerate().map(|(i, &point)| {
        let before = if i == 0 { 0 } else { points[i - 1] };
        let after = points.get(i + 1).copied().unwrap_or(point);
        (point, 0.5 * (after - before) as f64)
    })
}

/// `Σ w·(accuracy of the network - accuracy at the point) / (accuracy of the network - chance)`, held between 0 and 1; of a
/// language model with the logarithm of the probability that it gives to the word in the place of accuracy. Its interval is
/// that of a ratio of two means over the same samples, by the first order of its expansion. `None` without points; NaN where
/// the network is no better than chance.
fn index(
    whole: &[Prediction],
    curve: &Curve,
    answers: &[Vec<Prediction>],
    (told, chance): (fn(&Prediction) -> f64, f64),
) -> Option<Estimate> {
    if curve.0.is_empty() {
        return None;
    }
    let lost = |n: usize| -> f64 {
        curve.0.iter().map(|&(place, weight)| weight * (told(&whole[n]) - told(&answers[place][n]))).sum()
    };
    let had = |n: usize| told(&whole[n]) - chance;
    let samples = 0..whole.len();
    let base = mean(samples.clone().map(had)).value;
    if base <= 0.0 {
        return Some(Estimate { value: f64::NAN, ci95: f64::NAN });
    }
    let ratio = mean(samples.clone().map(lost)).value / base;
    let ci95 = mean(samples.map(|n| (lost(n) - ratio * had(n)) / base)).ci95;
    Some(Estimate { value: ratio.clamp(0.0, 1.0), ci95 })
}
