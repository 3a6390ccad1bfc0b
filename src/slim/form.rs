//! The form in which a network came, and in which it is written again.

use std::path::Path;

use super::{Healed, Healing, Progress, finetune, reestimate};
use crate::kernel::Backend;
use crate::model::Model;
use crate::nn::{BlockId, Network, Route};
use crate::open::{OpenOptions, Opened, open};
use crate::train::Event;
use crate::{Error, FileContents, Result};

/// A network in the form in which it came: what slimming asks beyond passes of samples.
pub trait Prunable {
    /// The network.
    type Network: Network + 'static;

    /// The network as it came.
    fn network(&self) -> &Self::Network;

    /// Why a block cannot be left out for good in this form; `None` where it can, as long as its stage keeps another.
    fn stays(&self, at: BlockId) -> Option<String>;

    /// The network along a route, for good.
    ///
    /// # Errors
    /// Where the form cannot say it.
    fn slimmed(&self, route: &Route) -> Result<Self::Network>;

    /// The file of a slimmed network, and of what lies beside it under that name.
    ///
    /// # Errors
    /// Where the form has no place for something in it.
    fn draft(&self, slim: &Self::Network, name: &str) -> Result<FileContents>;

    /// Opens what was written, with what the caller said of the first file.
    ///
    /// # Errors
    /// Where it cannot be opened, or is another network than was written.
    fn reopen(&self, path: &Path, written: &Self::Network) -> Result<Self::Network>;

    /// How the code that the network came from builds a slimmed one.
    fn builds(&self, slim: &Self::Network) -> String;

    /// Why a slimmed network cannot be healed, its normalizations alone or by training, as what follows its name;
    /// `None` where it can.
    fn cannot_heal(&self, norms_alone: bool) -> Option<&'static str>;

    /// The slimmed network after each step of healing that is asked for.
    ///
    /// # Errors
    /// Where samples cannot be read, or training fails.
    fn heal(
        &self,
        planned: &Self::Network,
        healing: &Healing,
        progress: Progress,
    ) -> Result<Vec<Healed<Self::Network>>>;
}

/// A run, a model file, or somebody else's state dict.
pub struct Checkpoint {
    /// The network and what was found around it.
    pub opened: Opened,
    /// What the caller said of the file.
    pub options: OpenOptions,
    /// Where and with which kernels it is computed.
    pub backend: Backend,
}

impl Prunable for Checkpoint {
    type Network = Model;

    fn network(&self) -> &Model {
        &self.opened.model
    }

    fn stays(&self, at: BlockId) -> Option<String> {
        self.opened.model.why_not_prunable(at)
    }

    fn slimmed(&self, route: &Route) -> Result<Model> {
        self.opened.model.slimmed(route)
    }

    fn draft(&self, slim: &Model, _: &str) -> Result<FileContents> {
        self.opened.to_bytes(slim).map(FileContents::from)
    }

    fn reopen(&self, path: &Path, written: &Model) -> Result<Model> {
        // A depth that was given is that of the whole network.
        let arch = self.options.arch.as_ref().map(|_| written.config().clone());
        let model = open(path, &OpenOptions { arch, ..self.options.clone() }, &self.backend)?.model;
        // What no shape tells, such as where initial values came from, does not count.
        match model.outline() == written.outline() {
            true => Ok(model),
            false => Err(Error::file(path, format!("opens as another network, {}", model.outline().name))),
        }
    }

    fn builds(&self, slim: &Model) -> String {
        match &self.opened.naming {
            Some(naming) => naming.builds(slim),
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
    fn cannot_heal(&self, norms_alone: bool) -> Option<&'static str> {
        let has_none = self.opened.model.parameters.iter().all(|(_, parameter)| parameter.is_trainable());
        (norms_alone && has_none).then_some("has no normalization")
    }

    fn heal(&self, planned: &Model, healing: &Healing, progress: Progress) -> Result<Vec<Healed<Model>>> {
        let mut healed: Vec<Healed<Model>> = Vec::new();
        if let Some(samples) = &healing.samples {
            healed.push(reestimate(planned, samples, healing.seed, progress)?);
        }
        if let Some(experiment) = &healing.experiment {
            let start = healed.last().map_or(planned, |step| &step.network);
            let observe = &mut |event: Event| {
                if let Event::Step { step, steps, .. } = event {
                    progress("fine-tuning", step, steps);
                }
            };
            healed.push(finetune(start, &self.opened.card, experiment.clone(), &self.backend, observe)?);
        }
        Ok(healed)
    }
}
