//! How many blocks to leave out.

use super::Prunable;
use super::choose::without;
use super::latency::latency;
use crate::measure::EvalSet;
use crate::nn::{BlockId, Network};
use crate::{Error, Result};

/// As far as what blocks are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// So many blocks.
    Remove(usize),
    /// As long as accuracy is not lower than the whole network's by more than so many points.
    KeepAccuracy(f64),
    /// As long as the loss is not higher than the whole network's by more than so many nats.
    KeepLoss(f64),
    /// Until no more than so many parameters are left.
    Parameters(u64),
    /// Until one sample takes no more than so many milliseconds.
    Latency(f64),
}

impl Goal {
    /// Whether it says how much of the score may be lost.
    pub(super) fn is_of_score(self) -> bool {
        matches!(self, Self::KeepAccuracy(_) | Self::KeepLoss(_))
    }

    /// Whether so much is left out as it asks for; that of a score never is.
    pub(super) fn is_reached<F: Prunable>(self, form: &F, source: &EvalSet, removed: &[BlockId]) -> Result<bool> {
        let slimmed = || form.slimmed(&without(form.network().outline(), removed));
        match self {
            Self::KeepAccuracy(_) | Self::KeepLoss(_) => Ok(false),
            Self::Remove(count) => Ok(removed.len() >= count),
            Self::Parameters(most) => Ok(slimmed()?.outline().parameters <= most),
            Self::Latency(most) => Ok(latency([&slimmed()?], source)?[0].value <= most),
        }
    }

    /// As it is typed.
    pub(super) fn option(self) -> String {
        match self {
            Self::Remove(count) => format!("--remove {count}"),
            Self::KeepAccuracy(points) => format!("--keep-accuracy {points}"),
            Self::KeepLoss(nats) => format!("--keep-loss {nats}"),
            Self::Parameters(count) => format!("--params {count}"),
            Self::Latency(milliseconds) => format!("--latency {milliseconds}"),
        }
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

/// Finds out before anything is measured whether a target of size holds already, or cannot be reached with all the
/// blocks that can go. Which blocks of a stage these are does not matter to it.
pub(super) fn check_reachable<F: Prunable>(
    form: &F,
    source: &EvalSet,
    target: Option<Goal>,
    all: &[BlockId],
) -> Result<()> {
    let name = &form.network().outline().name;
    let wrong = |what: String| Err(Error::Usage(what));
    match target {
        _ if all.is_empty() => wrong(format!("{name}: none of its blocks can be left out for good")),
        None | Some(Goal::KeepAccuracy(_) | Goal::KeepLoss(_)) => Ok(()),
        Some(Goal::Remove(count)) if count > all.len() => wrong(format!(
            "--remove {count}: at most {} blocks can be left out for good, every stage keeps one",
            all.len()
        )),
        Some(target) if target.is_reached(form, source, &[])? => {
            wrong(format!("{}: nothing to leave out, that holds already", target.option()))
        }
        Some(target) if !target.is_reached(form, source, all)? => Err(unreachable(form, source, target, all)),
        Some(_) => Ok(()),
    }
}

/// What a target that cannot be reached is told.
pub(super) fn unreachable<F: Prunable>(form: &F, source: &EvalSet, target: Goal, removed: &[BlockId]) -> Error {
    let slim = form.slimmed(&without(form.network().outline(), removed));
    let left = match target {
        Goal::Latency(_) => {
            slim.and_then(|slim| latency([&slim], source)).map(|found| format!("{:.4} ms", found[0].value))
        }
        _ => slim.map(|slim| format!("{} parameters", slim.outline().parameters)),
    };
    Error::Usage(format!(
        "{}: not reachable, {} remain where all {} blocks are left out that can be",
        target.option(),
        left.unwrap_or_default(),
        removed.len()
    ))
}
