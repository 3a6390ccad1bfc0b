//! Slimming of any network that was opened.

use std::path::Path;

use super::{ProgressFn, Prunable, RecoveredNetwork, Recovery, RecoveryStep};
use crate::nn::{BlockId, Route};
use crate::open::{AnyNetwork, dispatch};
use crate::{FileContents, Result};

/// A slimmed network is an [`AnyNetwork`] too: it keeps what is known of the whole one, such as the names of its classes.
impl Prunable for AnyNetwork {
    type Network = Self;

    fn network(&self) -> &Self {
        self
    }

    fn why_not_removable(&self, id: BlockId) -> Option<String> {
        dispatch!(self, opened => opened.why_not_removable(id))
    }

    fn why_not_countable(&self) -> Option<String> {
        dispatch!(self, opened => opened.why_not_countable())
    }

    fn slimmed(&self, route: &Route) -> Result<Self> {
        dispatch!(self, opened => opened.slimmed(route).map(|slim| opened.with_network(slim)))
    }

    fn draft(&self, slim: &Self, name: &str) -> Result<FileContents> {
        dispatch!(slim, opened => Prunable::draft(&**opened, opened.network(), name))
    }

    fn reopen(&self, path: &Path, slim: &Self) -> Result<Self> {
        dispatch!(slim, opened => {
            let reopened = Prunable::reopen(&**opened, path, opened.network())?;
            Ok(opened.with_network(reopened))
        })
    }

    fn constructor(&self, slim: &Self) -> String {
        dispatch!(slim, opened => opened.constructor(opened.network()))
    }

    fn why_not_recoverable(&self, step: RecoveryStep) -> Option<&'static str> {
        dispatch!(self, opened => opened.why_not_recoverable(step))
    }

    fn recover(&self, slim: &Self, recovery: &Recovery, progress: ProgressFn) -> Result<Vec<RecoveredNetwork<Self>>> {
        dispatch!(slim, opened => {
            let steps = opened.recover(opened.network(), recovery, progress)?;
            Ok(steps.into_iter().map(|step| step.map(|network| opened.with_network(network))).collect())
        })
    }
}
