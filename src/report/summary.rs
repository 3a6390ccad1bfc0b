//! What is computed from measurements to be said about them. No sentence of a report is written without these.

use std::collections::BTreeMap;

use super::gauge::Metric;
use super::number;
use super::result::{BlockGates, Estimation, Gate, Measurements, Patches, PerBlock, Score, Shuffle, StageOutline};

/// Names of the blocks that have any result, in the order of the network.
pub(super) fn measured_blocks(measured: &Measurements) -> Vec<&str> {
    let outlined = measured.outline.stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.name());
    let has_result = |name: &str| {
        measured.estimation.as_ref().is_some_and(|blocks| blocks.contains_key(name))
            || measured.lesion.as_ref().is_some_and(|blocks| blocks.contains_key(name))
            || measured.gates.as_ref().is_some_and(|blocks| blocks.contains_key(name))
    };
    outlined.filter(|name| has_result(name)).collect()
}

/// The estimation errors of one stage with each block's number in the stage, counted from 1.
pub(super) fn stage_errors<'a>(
    blocks: &'a PerBlock<Estimation>,
    stage: &'a StageOutline,
) -> impl Iterator<Item = (usize, &'a str, &'a Estimation)> {
    let numbered = stage.blocks.iter().enumerate();
    numbered.filter_map(|(index, block)| Some((index + 1, block.name(), blocks.get(block.name())?)))
}

/// In how many of how many steps from block to block the standard deviation falls. The step to the last block is not
/// counted: its error is zero by definition.
pub(super) fn falling_steps(measured: &Measurements) -> Option<(usize, usize)> {
    let blocks = measured.estimation.as_ref()?;
    let (mut falling, mut steps) = (0, 0);
    for stage in &measured.outline.stages {
        let std: Vec<f64> = stage_errors(blocks, stage).map(|(_, _, error)| error.std).collect();
        let before_last = &std[..std.len().saturating_sub(1)];
        let finite = before_last.windows(2).filter(|pair| pair.iter().all(|value| value.is_finite()));
        for pair in finite {
            steps += 1;
            falling += usize::from(pair[1] < pair[0]);
        }
    }
    Some((falling, steps))
}

/// The mean, relative to the spread of A, that is furthest from zero, and its block.
pub(super) fn largest_mean(blocks: &PerBlock<Estimation>) -> Option<(&str, f64)> {
    let finite = blocks.iter().filter(|(_, error)| error.mean_relative.is_finite());
    finite
        .max_by(|a, b| a.1.mean_relative.abs().total_cmp(&b.1.mean_relative.abs()))
        .map(|(name, error)| (name.as_str(), error.mean_relative))
}

/// Mean of the finite values, and how many there are.
pub(super) fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let finite: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64)
}

/// Mean cost of leaving one block out.
pub(super) fn mean_cost(measured: &Measurements) -> Option<f64> {
    let gauge = Metric::of(&measured.outline);
    mean(measured.lesion.as_ref()?.values().map(|lesion| gauge.cost(lesion).value))
}

/// Orders with the same number of swaps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ShuffleGroup {
    pub(super) swaps: usize,
    pub(super) orders: usize,
    /// Mean of Kendall's tau.
    pub(super) kendall_tau: f64,
    /// Mean of what the answers are told by, as [`Metric::value`] has it.
    pub(super) mean: f64,
    /// Its standard error over the orders; one order has none.
    pub(super) error: Option<f64>,
    pub(super) gauge: Metric,
}

impl ShuffleGroup {
    /// Heads of a table of them, the first of τ.
    pub(super) fn heads(gauge: Metric, tau: &str) -> [String; 5] {
        let unit = if gauge == Metric::Accuracy { ", points" } else { "" };
        let error = format!("standard error over orders{unit}");
        ["swaps".into(), "orders".into(), tau.into(), format!("mean {}", gauge.name()), error]
    }

    /// Its cells.
    pub(super) fn cells(&self) -> [String; 5] {
        [
            self.swaps.to_string(),
            self.orders.to_string(),
            number::relative(self.kendall_tau),
            self.gauge.shown(self.mean),
            self.error.map_or_else(|| number::NONE.into(), |error| number::points(error / 100.0)),
        ]
    }
}

/// The orders by their number of swaps, fewest first.
pub(super) fn shuffle_groups(measured: &Measurements) -> Vec<ShuffleGroup> {
    let (orders, gauge) = (measured.shuffle.as_deref().unwrap_or_default(), Metric::of(&measured.outline));
    let mut groups: BTreeMap<usize, Vec<&Shuffle>> = BTreeMap::new();
    for order in orders {
        groups.entry(order.swaps).or_default().push(order);
    }
    let group = |(swaps, orders): (usize, Vec<&Shuffle>)| {
        let count = orders.len() as f64;
        let mean = orders.iter().map(|order| gauge.value(&order.score)).sum::<f64>() / count;
        let squares: f64 = orders.iter().map(|order| (gauge.value(&order.score) - mean).powi(2)).sum();
        ShuffleGroup {
            swaps,
            orders: orders.len(),
            kendall_tau: orders.iter().map(|order| order.kendall_tau).sum::<f64>() / count,
            mean,
            error: (orders.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt()),
            gauge,
        }
    };
    groups.into_iter().map(group).collect()
}

/// The patches of one stage: of every block its name, and how many of the last block's samples are among its own.
pub(super) fn shared_patches<'a>(
    blocks: &'a PerBlock<Patches>,
    stage: &'a StageOutline,
) -> Vec<(&'a str, &'a Patches, usize)> {
    let found = stage.blocks.iter().filter_map(|block| Some((block.name(), blocks.get(block.name())?)));
    let found: Vec<_> = found.collect();
    let Some(&(_, last)) = found.last() else { return Vec::new() };
    let has = |patches: &Patches, sample| patches.patches.iter().any(|patch| patch.sample == sample);
    let shared = |patches: &Patches| last.patches.iter().filter(|patch| has(patches, patch.sample)).count();
    found.into_iter().map(|(name, patches)| (name, patches, shared(patches))).collect()
}

/// One of the two gates of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Transform,
    Carry,
}

impl Kind {
    /// The letter that the paper has for it.
    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::Transform => "T",
            Self::Carry => "C",
        }
    }

    /// This gate of a block.
    pub(super) fn of(self, gates: &BlockGates) -> Option<&Gate> {
        match self {
            Self::Transform => gates.transform.as_ref(),
            Self::Carry => gates.carry.as_ref(),
        }
    }
}

/// The gates of one kind, each with its block's number in the network, counted from 1, and its name.
pub(super) fn gates(measured: &Measurements, kind: Kind) -> Vec<(usize, &str, &Gate)> {
    let Some(gates) = &measured.gates else { return Vec::new() };
    let blocks = measured.outline.stages.iter().flat_map(|stage| &stage.blocks).enumerate();
    blocks.filter_map(|(index, block)| Some((index + 1, block.name(), kind.of(gates.get(block.name())?)?))).collect()
}

/// How many figures of these scores are not finite.
pub(super) fn not_finite<'a>(scores: impl IntoIterator<Item = &'a Score>) -> usize {
    scores.into_iter().flat_map(|score| [score.accuracy, score.loss]).filter(|value| !value.is_finite()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_step_to_the_last_block_does_not_count() {
        let mut network = sample::residual();
        let blocks = network.estimation.as_mut().unwrap();
        for (index, error) in blocks.values_mut().enumerate() {
            error.std = if index % 9 == 8 { 0.0 } else { 1.0 + (index % 9) as f64 };
        }
        assert_eq!(falling_steps(&network), Some((0, 21)));
        network.estimation.as_mut().unwrap()[1].std = 0.5;
        assert_eq!(falling_steps(&network), Some((1, 21)));
        network.estimation.as_mut().unwrap()[0].std = f64::NAN;
        assert_eq!(falling_steps(&network), Some((0, 20)));
    }

    #[test]
    fn orders_are_grouped_with_their_standard_error() {
        let mut network = sample::residual();
        let orders = network.shuffle.as_mut().unwrap();
        orders.truncate(3);
        for (order, (swaps, accuracy)) in orders.iter_mut().zip([(2, 0.5), (1, 0.9), (2, 0.7)]) {
            (order.swaps, order.score.accuracy) = (swaps, accuracy);
        }
        let groups = shuffle_groups(&network);
        assert_eq!((groups[0].swaps, groups[0].error), (1, None));
        assert_eq!((groups[1].swaps, groups[1].orders), (2, 2));
        assert!((groups[1].mean - 60.0).abs() < 1e-9);
        assert!((groups[1].error.unwrap() - 10.0).abs() < 1e-9);
    }

    #[test]
    fn means_pass_over_what_is_not_finite() {
        assert_eq!(mean([1.0, f64::NAN, 3.0]), Some(2.0));
        assert_eq!(mean([f64::INFINITY]), None);
    }
}
