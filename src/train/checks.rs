//! What is checked before a training begins or goes on.

use super::{TrainConfig, TrainingState};
use crate::measure::machine_memory;
use crate::model::Model;
use crate::nn::Network;
use crate::{Error, Result};

/// Checks that a run can be continued with another number of epochs: every step so far would have had the same rate.
pub(super) fn check_extension(
    before: &TrainConfig,
    now: &TrainConfig,
    state: &TrainingState,
    per_epoch: u64,
) -> Result<()> {
    // A checkpoint within an epoch has the parameters of no finished one.
    let [done, begun] = [state.progress.epoch, u64::from(state.progress.batch > 0)];
    if now.epochs < done + begun {
        let begun_epoch = if begun > 0 { ", and part of another" } else { "" };
        let what = format!(
            "{}: epochs that are finished: {done}{begun_epoch}; expected at least {}",
            now.epochs,
            done + begun
        );
        return Err(Error::config("train.epochs", what));
    }
    let rate = |config: &TrainConfig, step| state.schedule.rate(config, step, per_epoch);
    if (0..state.progress.step).all(|step| rate(before, step) == rate(now, step)) {
        return Ok(());
    }
    let what = format!(
        "was {}, now {}: the schedule cosine would have given other rates to the steps so far; begin another run, from these \
         weights or anew",
        before.epochs, now.epochs
    );
    Err(Error::config("train.epochs", what))
}

/// Checks that the machine has memory for parameters, gradient, moments and average.
pub(super) fn check_memory(model: &Model, train: &TrainConfig) -> Result<()> {
    let arrays = 2 + train.moments() as u64 + u64::from(train.ema > 0.0);
    let (needed, Some(there)) = (4 * arrays * model.outline().parameters, machine_memory()) else { return Ok(()) };
    if needed <= there {
        return Ok(());
    }
    let gibibytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let what = format!(
        "{} trained values take {:.1} GiB in training, the machine has {:.1} GiB; lower model.width",
        model.outline().parameters,
        gibibytes(needed),
        gibibytes(there)
    );
    Err(Error::config("model", what))
}
