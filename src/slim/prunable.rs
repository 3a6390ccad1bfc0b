//! What slimming needs of a network besides running it.

use std::path::Path;

use super::{ProgressFn, RecoveredNetwork, Recovery, RecoveryStep, finetune, recalibrate};
use crate::model::Model;
use crate::nn::{BlockId, Network, Route};
use crate::open::OpenedModel;
use crate::train::Event;
use crate::{FileContents, Result};

/// A network whose blocks can be removed for good.
///
/// [`AnyNetwork`](crate::open::AnyNetwork) implements it for every network that can be opened. `slim` is a network that
/// [`Prunable::slimmed`] or [`Prunable::recover`] returned.
pub trait Prunable {
    /// The type of the network, and of the slimmed one.
    type Network: Network + 'static;

    /// Returns the whole network.
    fn network(&self) -> &Self::Network;

    /// Returns why a block cannot be removed for good; `None` where it can, as long as its stage keeps another block.
    fn why_not_removable(&self, id: BlockId) -> Option<String>;

    /// Returns why the parameters of its blocks cannot be counted; `None` where they can.
    fn why_not_countable(&self) -> Option<String> {
        None
    }

    /// Returns the network along a route, for good. Its outputs are those along the route, bit for bit.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) where the format of the network cannot express the route.
    fn slimmed(&self, route: &Route) -> Result<Self::Network>;

    /// Returns the contents of the file of a slimmed network, in the format of the whole one. `name` is the name of the
    /// file: another file that it refers to is named after it.
    ///
    /// # Errors
    /// Where the format has no place for something in the network.
    fn draft(&self, slim: &Self::Network, name: &str) -> Result<FileContents>;

    /// Opens the file that a slimmed network was written to, with the options that the whole network was opened with.
    ///
    /// # Errors
    /// Where the file cannot be opened, or holds another network than was written.
    fn reopen(&self, path: &Path, slim: &Self::Network) -> Result<Self::Network>;

    /// Returns how the code that the network comes from constructs a slimmed network.
    fn constructor(&self, slim: &Self::Network) -> String;

    /// Returns why a step of recovery is not possible, as text that follows the name of the network; `None` where it is.
    fn why_not_recoverable(&self, step: RecoveryStep) -> Option<&'static str>;

    /// Takes the steps of a recovery, and returns the network after each.
    ///
    /// # Errors
    /// Where samples cannot be read, training fails, or the network cannot be trained.
    fn recover(
        &self,
        slim: &Self::Network,
        recovery: &Recovery,
        progress: ProgressFn,
    ) -> Result<Vec<RecoveredNetwork<Self::Network>>>;
}

impl Prunable for OpenedModel {
    type Network = Model;

    fn network(&self) -> &Model {
        &self.model
    }

    fn why_not_removable(&self, id: BlockId) -> Option<String> {
        self.model.why_not_prunable(id)
    }

    fn slimmed(&self, route: &Route) -> Result<Model> {
        self.slimmed(route)
    }

    fn draft(&self, slim: &Model, _: &str) -> Result<FileContents> {
        self.to_bytes(slim).map(FileContents::from)
    }

    fn reopen(&self, path: &Path, slim: &Model) -> Result<Model> {
        self.reopen(path, slim)
    }

    fn constructor(&self, slim: &Model) -> String {
        match &self.name_map {
            Some(names) => names.constructor(slim),
            None => {
                let config = slim.config();
                let depth = match (&config.blocks, config.depth) {
                    (Some(blocks), _) => format!("blocks = {blocks:?}"),
                    (None, depth) => format!("depth = {}", depth.unwrap_or_default()),
                };
                format!("[model] kind = \"{}\", {depth}; the file says all of it", config.kind.name())
            }
        }
    }

    fn why_not_recoverable(&self, step: RecoveryStep) -> Option<&'static str> {
        let has_no_statistics = self.model.parameters.iter().all(|(_, parameter)| parameter.is_trainable());
        (step == RecoveryStep::Recalibrate && has_no_statistics).then_some("has no normalization")
    }

    fn recover(&self, slim: &Model, recovery: &Recovery, progress: ProgressFn) -> Result<Vec<RecoveredNetwork<Model>>> {
        let mut recovered: Vec<RecoveredNetwork<Model>> = Vec::new();
        if let Some(samples) = &recovery.recalibration {
            recovered.push(recalibrate(slim, samples, recovery.seed, progress)?);
        }
        if let Some(experiment) = &recovery.finetuning {
            let start = recovered.last().map_or(slim, |step| &step.network);
            let observe = &mut |event: Event| {
                if let Event::Step { step, steps, .. } = event {
                    progress("fine-tuning", step, steps);
                }
            };
            recovered.push(finetune(start, &self.metadata, experiment.clone(), self.backend(), observe)?);
        }
        Ok(recovered)
    }
}
