//! Selects the blocks to remove: by a ranking, or greedily.

use super::criterion::{Figures, MEASURED, reported};
use super::goal::{Goal, check_reachable, unreachable};
use super::results::{Chosen, Removal};
use super::{Criterion, ProgressFn, Prunable};
use crate::measure::{EvalSet, Measure, Metric, PerBlock, Score, counted, predict_along};
use crate::nn::Outline;
use crate::nn::{BlockId, Network, Route};
use crate::{Error, Result};

/// The blocks that were selected.
pub struct Selection {
    /// The blocks to remove, in the order in which they were selected.
    pub removed: Vec<BlockId>,
    /// How they were selected.
    pub chosen: Chosen,
}

/// Returns the blocks that can be removed for good, and for the others the reason why they cannot.
pub fn removable<P: Prunable>(prunable: &P) -> (Vec<BlockId>, PerBlock<String>) {
    let outline = prunable.network().outline();
    let all = outline
        .stages
        .iter()
        .enumerate()
        .flat_map(|(stage, s)| (0..s.blocks.len()).map(move |block| BlockId { stage, block }));
    let (mut candidates, mut reasons) = (Vec::new(), PerBlock::new());
    for at in all {
        match prunable.why_not_removable(at) {
            None => candidates.push(at),
            Some(why) => {
                reasons.insert(at, why);
            }
        }
    }
    (candidates, reasons)
}

/// Returns the route without some blocks.
pub(super) fn without(outline: &Outline, removed: &[BlockId]) -> Route {
    removed.iter().fold(Route::identity(outline), |route, &at| route.without_block(at))
}

/// Returns whether the stage of a block keeps another block without it.
fn keeps_another(outline: &Outline, removed: &[BlockId], at: BlockId) -> bool {
    let gone = removed.iter().filter(|other| other.stage == at.stage).count();
    gone + 1 < outline.stages[at.stage].blocks.len()
}

/// Returns the blocks of an order that can all be removed: the last of each stage is skipped.
pub(super) fn removals(outline: &Outline, order: &[BlockId]) -> Vec<BlockId> {
    let mut removed = Vec::new();
    for &at in order {
        if keeps_another(outline, &removed, at) {
            removed.push(at);
        }
    }
    removed
}

/// Ranks the blocks on samples and selects the first ones by a criterion, as many as reach a goal. Without a goal, the scores
/// along the whole ranking are measured and no block is selected.
///
/// # Errors
/// [`Error::Argument`] for a goal that cannot be reached, or a criterion for which no block has a figure. Where samples
/// cannot be read, and as of [`Measure::run`](crate::measure::Measure::run).
pub fn select_blocks<P: Prunable>(
    prunable: &P,
    source: &EvalSet,
    criterion: Criterion,
    goal: Option<Goal>,
    seed: u64,
    progress: ProgressFn,
) -> Result<Selection> {
    let network = prunable.network();
    let outline = network.outline();
    let (candidates, _) = removable(prunable);
    check_reachable(prunable, source, goal, &removals(outline, &candidates))?;
    let mut report = |done, all| {
        progress("measuring blocks", done, all);
        std::ops::ControlFlow::Continue(())
    };
    let measure = Measure::new().only(MEASURED)?.skip_inapplicable().seed(seed);
    let measured = measure.run(network, source, &mut report)?;
    let figures = Figures::new(&measured)?;
    let order = |criterion: Criterion| {
        criterion.order(&figures, &candidates, seed).map(|(values, order)| (criterion, values, order))
    };
    let mut orders: Vec<_> = Criterion::ALL.into_iter().filter_map(order).collect();
    let baseline = measured.baseline;
    baseline.check_finite(&outline.name)?;
    let mut search = Search { prunable, source, baseline, figures: &figures, goal, progress };
    let (removed, curve, greedy) = match orders.iter().find(|(other, ..)| *other == criterion) {
        Some((.., order)) => search.follow_and_compare(&removals(outline, order), &candidates)?,
        None if criterion == Criterion::Greedy => search.greedily(&candidates)?,
        None => {
            let why = format!("{}: no block of {} has a figure for it", criterion.name(), outline.name);
            return Err(Error::argument("by", why));
        }
    };
    if !greedy.is_empty() {
        let place = orders.iter().position(|(criterion, ..)| *criterion == Criterion::Deepest).unwrap_or(orders.len());
        orders.insert(place, (Criterion::Greedy, PerBlock::new(), greedy));
    }
    let removed = if goal.is_some() { removed } else { Vec::new() };
    let by = format!("{}{}", criterion.name(), goal.map_or_else(String::new, |goal| format!(", {goal}")));
    Ok(Selection { removed, chosen: Chosen { by, baseline, curve, rankings: reported(&orders) } })
}

/// A search for blocks to remove.
struct Search<'a, 'p, P: Prunable> {
    prunable: &'a P,
    source: &'a EvalSet,
    baseline: Score,
    figures: &'a Figures,
    goal: Option<Goal>,
    progress: ProgressFn<'p>,
}

/// The removed blocks, the score after each, and the greedy order of all candidates, where it was measured.
type Removals = (Vec<BlockId>, Vec<Removal>, Vec<BlockId>);

impl<P: Prunable> Search<'_, '_, P> {
    /// Follows an order, then selects as many blocks greedily: the report compares the order with the greedy one.
    fn follow_and_compare(&mut self, order: &[BlockId], candidates: &[BlockId]) -> Result<Removals> {
        let (removed, curve) = self.follow(order)?;
        if self.goal.is_none() {
            return Ok((removed, curve, Vec::new()));
        }
        self.goal = Some(Goal::Remove(removed.len()));
        Ok((removed, curve, self.greedily(candidates)?.2))
    }

    /// Returns the first blocks of an order that reach the goal, and the score after each.
    fn follow(&mut self, order: &[BlockId]) -> Result<(Vec<BlockId>, Vec<Removal>)> {
        let mut count = 0;
        if let Some(goal) = self.goal.filter(|goal| !goal.is_of_score()) {
            while !self.is_reached(&order[..count])? {
                if count == order.len() {
                    return Err(unreachable(self.prunable, self.source, goal, order));
                }
                count += 1;
            }
        }
        let count = if count > 0 { count } else { order.len() };
        let sets: Vec<&[BlockId]> = (1..=count).map(|count| &order[..count]).collect();
        let scores = self.scores(&sets)?;
        let kept = scores.iter().take_while(|score| !self.loses_too_much(score)).count();
        if kept == 0 {
            return Err(self.unreachable_alone(&order[..1]));
        }
        let curve = order.iter().zip(scores).take(kept).map(|(at, score)| Removal { block: *at, score });
        Ok((order[..kept].to_vec(), curve.collect()))
    }

    /// Removes one block after the other, each time the one that costs the least accuracy, and among equals the least loss.
    /// Blocks that remain follow in the order of the last round.
    ///
    /// By loss alone, blocks that make a network overconfident would be removed first, whatever that costs in accuracy. For
    /// a language model the loss alone counts.
    fn greedily(&mut self, candidates: &[BlockId]) -> Result<Removals> {
        let outline = self.prunable.network().outline();
        let (mut removed, mut curve, mut rest) = (Vec::new(), Vec::new(), candidates.to_vec());
        while self.goal.is_none() || !self.is_reached(&removed)? {
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
            ranked.sort_by(|(_, a), (_, b)| match Metric::of(outline) {
                Metric::Perplexity | Metric::Distance(_) => by_loss(a, b),
                Metric::Accuracy => b.accuracy.total_cmp(&a.accuracy).then(by_loss(a, b)),
            });
            let best = ranked.first().filter(|(_, score)| !self.loses_too_much(score)).copied();
            // The last block of a stage is not ranked and keeps its place at the end.
            rest.retain(|at| !ranked.iter().any(|(other, _)| other == at));
            rest.splice(0..0, ranked.into_iter().map(|(at, _)| at));
            let Some((best, score)) = best else { break };
            rest.retain(|at| *at != best);
            removed.push(best);
            curve.push(Removal { block: best, score });
        }
        match self.goal {
            Some(goal) if goal.is_of_score() && removed.is_empty() => return Err(self.unreachable_alone(&rest)),
            Some(goal @ (Goal::Parameters(_) | Goal::Latency(_))) if !self.is_reached(&removed)? => {
                return Err(unreachable(self.prunable, self.source, goal, &removed));
            }
            _ => {}
        }
        let order = [removed.as_slice(), &rest].concat();
        Ok((removed, curve, order))
    }

    /// Returns the score of the network without each of some sets of blocks.
    fn scores(&mut self, sets: &[impl AsRef<[BlockId]>]) -> Result<Vec<Score>> {
        let network = self.prunable.network();
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
        self.goal.map_or(Ok(false), |goal| goal.is_reached(self.prunable, self.source, removed))
    }

    fn loses_too_much(&self, score: &Score) -> bool {
        let whole = &self.baseline;
        match self.goal {
            // Accuracies are multiples of one sample: a difference of 1e-9 points is rounding.
            Some(Goal::KeepAccuracy(points)) => 100.0 * (whole.accuracy - score.accuracy) - 1e-9 > points,
            // A NaN loss compares as false.
            Some(Goal::KeepLoss(nats)) => score.loss.is_nan() || score.loss - whole.loss > nats,
            _ => false,
        }
    }

    /// Makes the error for a goal that allows none of these blocks to be removed. It names the block that costs the least.
    fn unreachable_alone(&self, blocks: &[BlockId]) -> Error {
        let whole = &self.baseline;
        let is_loss = matches!(self.goal, Some(Goal::KeepLoss(_)));
        let score = |at: &BlockId| self.figures.lesion.as_ref().map(|lesion| lesion[at].score);
        let lost =
            |score: Score| if is_loss { score.loss - whole.loss } else { 100.0 * (whole.accuracy - score.accuracy) };
        let lost = |at: &BlockId| score(at).map_or(f64::NAN, lost);
        let least = blocks.iter().map(|at| (lost(at), at)).min_by(|a, b| a.0.total_cmp(&b.0));
        let (lost, at) = least.map_or((f64::NAN, String::new()), |(lost, at)| (lost, at.to_string()));
        let lost = if is_loss { format!("{lost:.4} nats") } else { format!("{lost:.2} points") };
        let goal = self.goal.unwrap_or(Goal::Remove(1));
        let samples = counted(whole.samples as usize, "sample");
        let chooses = if whole.samples == 1 { "chooses" } else { "choose" };
        goal.error(format!("not reachable, leaving out {at} alone costs {lost} on the {samples} that {chooses}"))
    }
}
