//! Which blocks to leave out: by an order, or greedily.

use super::ranking::{Figures, MEASURED, reported};
use super::results::{Chosen, Removal};
use super::target::{Goal, check_reachable, unreachable};
use super::{Criterion, Progress, Prunable};
use crate::measure::{EvalSet, Measure, PerBlock, Score, predict_along};
use crate::nn::Outline;
use crate::nn::{BlockId, Network, Route};
use crate::{Error, Result};

/// What was chosen.
pub struct Choice {
    /// The blocks that are left out, in the order in which they were chosen.
    pub removed: Vec<BlockId>,
    /// How.
    pub chosen: Chosen,
}

/// The blocks that can be left out for good, and the others with the reason.
pub fn removable<F: Prunable>(form: &F) -> (Vec<BlockId>, PerBlock<String>) {
    let outline = form.network().outline();
    let all = outline
        .stages
        .iter()
        .enumerate()
        .flat_map(|(stage, s)| (0..s.blocks.len()).map(move |block| BlockId { stage, block }));
    let (mut candidates, mut stays) = (Vec::new(), PerBlock::new());
    for at in all {
        match form.stays(at) {
            None => candidates.push(at),
            Some(why) => {
                stays.insert(at, why);
            }
        }
    }
    (candidates, stays)
}

/// The route that is left.
pub(super) fn without(outline: &Outline, removed: &[BlockId]) -> Route {
    removed.iter().fold(Route::identity(outline), |route, &at| route.without_block(at))
}

/// Whether the stage of a block keeps another.
fn keeps_another(outline: &Outline, removed: &[BlockId], at: BlockId) -> bool {
    let gone = removed.iter().filter(|other| other.stage == at.stage).count();
    gone + 1 < outline.stages[at.stage].blocks.len()
}

/// The blocks of an order that can all go: of each stage one is kept.
pub(super) fn removals(outline: &Outline, order: &[BlockId]) -> Vec<BlockId> {
    let mut removed = Vec::new();
    for &at in order {
        if keeps_another(outline, &removed, at) {
            removed.push(at);
        }
    }
    removed
}

/// Ranks the blocks on the samples that choose, and follows one ranking as far as the target says. Without a target the
/// ranking is followed to its end, and nothing is left out.
///
/// # Errors
/// [`Error::Usage`] for a target that cannot be reached; whatever measuring may fail with.
pub fn choose<F: Prunable>(
    form: &F,
    source: &EvalSet,
    by: Criterion,
    target: Option<Goal>,
    seed: u64,
    progress: Progress,
) -> Result<Choice> {
    let network = form.network();
    let outline = network.outline();
    let (candidates, _) = removable(form);
    check_reachable(form, source, target, &removals(outline, &candidates))?;
    let mut hear = |done, all| {
        progress("measuring blocks", done, all);
        std::ops::ControlFlow::Continue(())
    };
    let measure = Measure::new().only(MEASURED)?.skip_inapplicable().seed(seed);
    let measured = measure.run(network, source, &mut hear)?;
    let figures = Figures::new(&measured)?;
    let order = |by: Criterion| by.order(&figures, &candidates, seed).map(|(values, order)| (by, values, order));
    let mut orders: Vec<_> = Criterion::ALL.into_iter().filter_map(order).collect();
    let baseline = measured.baseline;
    let mut search = Search { form, source, baseline, figures: &figures, target, progress };
    let (removed, curve, greedy) = match orders.iter().find(|(other, ..)| *other == by) {
        Some((.., order)) => search.follow_and_compare(&removals(outline, order), &candidates)?,
        None if by == Criterion::Greedy => search.greedily(&candidates)?,
        None => {
            return Err(Error::Usage(format!("--by {}: no block of {} has a figure for it", by.name(), outline.name)));
        }
    };
    if !greedy.is_empty() {
        let place = orders.iter().position(|(by, ..)| *by == Criterion::Deepest).unwrap_or(orders.len());
        orders.insert(place, (Criterion::Greedy, PerBlock::new(), greedy));
    }
    let removed = if target.is_some() { removed } else { Vec::new() };
    let by = format!("{}{}", by.name(), target.map_or_else(String::new, |target| format!(", {target}")));
    Ok(Choice { removed, chosen: Chosen { by, baseline, curve, rankings: reported(&orders) } })
}

struct Search<'a, 'p, F: Prunable> {
    form: &'a F,
    source: &'a EvalSet,
    baseline: Score,
    figures: &'a Figures,
    target: Option<Goal>,
    progress: Progress<'p>,
}

/// What goes, the score after each, and the greedy order of all candidates, which may be empty.
type Found = (Vec<BlockId>, Vec<Removal>, Vec<BlockId>);

impl<F: Prunable> Search<'_, '_, F> {
    /// Follows an order, and goes greedily as far as it went: the best order is worth comparing with.
    fn follow_and_compare(&mut self, order: &[BlockId], candidates: &[BlockId]) -> Result<Found> {
        let (removed, curve) = self.follow(order)?;
        if self.target.is_none() {
            return Ok((removed, curve, Vec::new()));
        }
        self.target = Some(Goal::Remove(removed.len()));
        Ok((removed, curve, self.greedily(candidates)?.2))
    }

    /// The first blocks of an order, as many as the target asks for, and the score after each.
    fn follow(&mut self, order: &[BlockId]) -> Result<(Vec<BlockId>, Vec<Removal>)> {
        let mut count = 0;
        if let Some(target) = self.target.filter(|target| !target.is_of_score()) {
            while !self.is_reached(&order[..count])? {
                if count == order.len() {
                    return Err(unreachable(self.form, self.source, target, order));
                }
                count += 1;
            }
        }
        let count = if count > 0 { count } else { order.len() };
        let sets: Vec<&[BlockId]> = (1..=count).map(|count| &order[..count]).collect();
        let scores = self.scores(&sets)?;
        let kept = scores.iter().take_while(|score| !self.loses_too_much(score)).count();
        if kept == 0 {
            return Err(self.too_dear(&order[..1]));
        }
        let curve = order.iter().zip(scores).take(kept).map(|(at, score)| Removal { block: *at, score });
        Ok((order[..kept].to_vec(), curve.collect()))
    }

    /// Leaves out the block that costs the least accuracy, and of equals the least loss, again and again: what went, the
    /// score after each, and the order of all candidates, in which those that stay come as the last round ranked them.
    ///
    /// Loss alone would first take what makes a network too certain of itself, whatever that costs in answers. Of a language
    /// model loss is all that counts.
    fn greedily(&mut self, candidates: &[BlockId]) -> Result<Found> {
        let outline = self.form.network().outline();
        let (mut removed, mut curve, mut rest) = (Vec::new(), Vec::new(), candidates.to_vec());
        while self.target.is_none() || !self.is_reached(&removed)? {
            let open: Vec<BlockId> = rest.iter().copied().filter(|&at| keeps_another(outline, &removed, at)).collect();
            if open.is_empty() {
                break;
            }
            let sets: Vec<Vec<BlockId>> = open.iter().map(|&at| [removed.as_slice(), &[at]].concat()).collect();
            let scores = match (&self.figures.lesion, removed.is_empty()) {
                (Some(lesion), true) => open.iter().map(|at| lesion[at].score).collect(),
                _ => self.scores(&sets)?,
            };
            let mut ranked: Vec<(BlockId, Score)> = open.into_iter().zip(scores).collect();
            let by_loss = |a: &Score, b: &Score| a.loss.total_cmp(&b.loss);
            ranked.sort_by(|(_, a), (_, b)| match outline.is_language_model {
                true => by_loss(a, b),
                false => b.accuracy.total_cmp(&a.accuracy).then(by_loss(a, b)),
            });
            let best = ranked.first().filter(|(_, score)| !self.loses_too_much(score)).copied();
            // Those that are the last of their stage stay whatever happens.
            rest.retain(|at| !ranked.iter().any(|(other, _)| other == at));
            rest.splice(0..0, ranked.into_iter().map(|(at, _)| at));
            let Some((best, score)) = best else { break };
            rest.retain(|at| *at != best);
            removed.push(best);
            curve.push(Removal { block: best, score });
        }
        match self.target {
            Some(target) if target.is_of_score() && removed.is_empty() => return Err(self.too_dear(&rest)),
            Some(target @ (Goal::Parameters(_) | Goal::Latency(_))) if !self.is_reached(&removed)? => {
                return Err(unreachable(self.form, self.source, target, &removed));
            }
            _ => {}
        }
        let order = [removed.as_slice(), &rest].concat();
        Ok((removed, curve, order))
    }

    /// The network without each of some sets of blocks.
    fn scores(&mut self, sets: &[impl AsRef<[BlockId]>]) -> Result<Vec<Score>> {
        let network = self.form.network();
        let routes: Vec<Route> = sets.iter().map(|set| without(network.outline(), set.as_ref())).collect();
        let all = (self.source.dataset.len() * routes.len()) as u64;
        let mut done = 0;
        let predictions = predict_along(network, self.source, &routes, |samples| {
            done += samples;
            (self.progress)("leaving out blocks", done, all);
        })?;
        Ok(predictions.iter().map(|predictions| Score::of(predictions)).collect())
    }

    fn is_reached(&self, removed: &[BlockId]) -> Result<bool> {
        self.target.map_or(Ok(false), |target| target.is_reached(self.form, self.source, removed))
    }

    fn loses_too_much(&self, score: &Score) -> bool {
        let whole = &self.baseline;
        match self.target {
            // Accuracies are multiples of one sample; what is rounded in their difference is no sample.
            Some(Goal::KeepAccuracy(points)) => 100.0 * (whole.accuracy - score.accuracy) - 1e-9 > points,
            // A loss that is no number is none that may be kept.
            Some(Goal::KeepLoss(nats)) => score.loss.is_nan() || score.loss - whole.loss > nats,
            _ => false,
        }
    }

    /// None of these blocks can be left out within the target: names the one that costs the least.
    fn too_dear(&self, blocks: &[BlockId]) -> Error {
        let whole = &self.baseline;
        let is_loss = matches!(self.target, Some(Goal::KeepLoss(_)));
        let score = |at: &BlockId| self.figures.lesion.as_ref().map(|lesion| lesion[at].score);
        let lost =
            |score: Score| if is_loss { score.loss - whole.loss } else { 100.0 * (whole.accuracy - score.accuracy) };
        let lost = |at: &BlockId| score(at).map_or(f64::NAN, lost);
        let least = blocks.iter().map(|at| (lost(at), at)).min_by(|a, b| a.0.total_cmp(&b.0));
        let (lost, at) = least.map_or((f64::NAN, String::new()), |(lost, at)| (lost, at.to_string()));
        let lost = if is_loss { format!("{lost:.4} nats") } else { format!("{lost:.2} points") };
        Error::Usage(format!(
            "{}: not reachable, leaving out {at} alone costs {lost} on the {} samples that choose",
            self.target.map_or_else(String::new, Goal::option),
            whole.samples
        ))
    }
}
