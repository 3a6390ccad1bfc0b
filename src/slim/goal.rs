//! How many blocks to remove.

use super::Prunable;
use super::latency::latency;
use super::select::{removable, without};
use crate::measure::EvalSet;
use crate::nn::{AnswerKind, BlockId, Network};
use crate::{Error, Result};

/// How many blocks are removed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// This number of blocks.
    Remove(usize),
    /// As many as lower the accuracy by at most so many percentage points.
    KeepAccuracy(f64),
    /// As many as raise the loss by at most so many nats.
    KeepLoss(f64),
    /// As many as leave at most so many parameters.
    Parameters(u64),
    /// As many as let one sample take at most so many milliseconds.
    Latency(f64),
}

impl Goal {
    /// Returns whether it limits what accuracy or loss may cost.
    pub(super) fn is_of_score(self) -> bool {
        matches!(self, Self::KeepAccuracy(_) | Self::KeepLoss(_))
    }

    /// Returns whether the network without some blocks reaches the goal. A limit of accuracy or loss is never reached: blocks
    /// are removed until the next one would exceed it.
    pub(super) fn is_reached<P: Prunable>(self, prunable: &P, source: &EvalSet, removed: &[BlockId]) -> Result<bool> {
        let slimmed = || prunable.slimmed(&without(prunable.network().outline(), removed));
        match self {
            Self::KeepAccuracy(_) | Self::KeepLoss(_) => Ok(false),
            Self::Remove(count) => Ok(removed.len() >= count),
            Self::Parameters(most) => Ok(slimmed()?.outline().parameters <= most),
            Self::Latency(most) => Ok(latency([&slimmed()?], source)?[0].value <= most),
        }
    }

    /// Makes an [`Error::Argument`] that names the goal and its value.
    pub(super) fn error(self, why: impl std::fmt::Display) -> Error {
        let (name, value) = match self {
            Self::Remove(count) => ("remove", count.to_string()),
            Self::KeepAccuracy(points) => ("keep_accuracy", points.to_string()),
            Self::KeepLoss(nats) => ("keep_loss", nats.to_string()),
            Self::Parameters(count) => ("params", count.to_string()),
            Self::Latency(milliseconds) => ("latency", milliseconds.to_string()),
        };
        Error::argument(name, format!("{value}: {why}"))
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Remove(1) => write!(f, "1 block"),
            Self::Remove(count) => write!(f, "{count} blocks"),
            Self::KeepAccuracy(1.0) => write!(f, "at most 1 point of accuracy lost"),
            Self::KeepAccuracy(points) => write!(f, "at most {points} points of accuracy lost"),
            Self::KeepLoss(nats) => write!(f, "at most {nats} nats of loss more"),
            Self::Parameters(count) => write!(f, "at most {count} parameters"),
            Self::Latency(milliseconds) => write!(f, "at most {milliseconds} ms a sample"),
        }
    }
}

/// Checks before anything is measured that there are blocks to remove, and that a goal of size is not reached already and
/// is reached without `all` blocks that can be removed together.
///
/// # Errors
/// [`Error::Argument`] that names the goal, [`Error::Unsupported`] for a network of whose blocks none can be removed.
pub(super) fn check_reachable<P: Prunable>(
    prunable: &P,
    source: &EvalSet,
    goal: Option<Goal>,
    all: &[BlockId],
) -> Result<()> {
    let name = &prunable.network().outline().name;
    match goal {
        _ if all.is_empty() => {
            let (left, reasons) = removable(prunable);
            // Every stage keeps one block, so that of stages of one block none can go.
            let first = reasons.into_iter().next().filter(|_| left.is_empty());
            let why =
                first.map_or_else(|| "every stage keeps one".to_owned(), |(block, why)| format!("{block}: {why}"));
            Err(Error::unsupported(name, format!("none of its blocks can be left out for good; {why}")))
        }
        Some(goal @ Goal::KeepAccuracy(_)) if prunable.network().outline().answer.kind != AnswerKind::Classes => {
            Err(goal.error("answers that are no classes have no accuracy; bound their distance as a loss"))
        }
        None | Some(Goal::KeepAccuracy(_) | Goal::KeepLoss(_)) => Ok(()),
        Some(goal @ Goal::Remove(count)) if count > all.len() => {
            let most = all.len();
            Err(goal.error(format!("at most {most} blocks can be left out for good, every stage keeps one")))
        }
        Some(goal @ Goal::Parameters(_)) if let Some(why) = prunable.why_not_countable() => Err(goal.error(why)),
        Some(goal) if goal.is_reached(prunable, source, &[])? => {
            Err(goal.error("nothing to leave out, that holds already"))
        }
        Some(goal) if !goal.is_reached(prunable, source, all)? => Err(unreachable(prunable, source, goal, all)),
        Some(_) => Ok(()),
    }
}

/// Makes the error for a goal that is not reached without some blocks.
pub(super) fn unreachable<P: Prunable>(prunable: &P, source: &EvalSet, goal: Goal, removed: &[BlockId]) -> Error {
    let slim = prunable.slimmed(&without(prunable.network().outline(), removed));
    let left = match goal {
        Goal::Latency(_) => {
            slim.and_then(|slim| latency([&slim], source)).map(|found| format!("{:.4} ms", found[0].value))
        }
        _ => slim.map(|slim| format!("{} parameters", slim.outline().parameters)),
    };
    let (left, count) = (left.unwrap_or_default(), removed.len());
    goal.error(format!("not reachable, {left} remain where all {count} blocks are left out that can be"))
}
