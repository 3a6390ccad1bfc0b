//! The form in which a network came, and in which it is written again.

use std::path::Path;

use burn::tensor::Device;

use crate::model::Model;
use crate::nn::{At, Network, Route};
use crate::open::{Opened, Options, open};
use crate::{Error, Result};

/// A network in the form in which it came: what slimming asks beyond passes of samples.
pub trait Form {
    /// The network.
    type Network: Network + 'static;

    /// The network as it came.
    fn network(&self) -> &Self::Network;

    /// Why a block cannot be left out for good in this form; `None` where it can, as long as its stage keeps another.
    fn stays(&self, at: At) -> Option<String>;

    /// The network along a route, for good.
    ///
    /// # Errors
    /// Where the form cannot say it.
    fn slimmed(&self, route: &Route) -> Result<Self::Network>;

    /// The bytes of the file of a slimmed network.
    ///
    /// # Errors
    /// Where the form has no place for something in it.
    fn to_bytes(&self, slim: &Self::Network) -> Result<Vec<u8>>;

    /// Opens what was written, with what the caller said of the first file.
    ///
    /// # Errors
    /// Where it cannot be opened, or is another network than was written.
    fn reopen(&self, path: &Path, written: &Self::Network) -> Result<Self::Network>;

    /// How the code that the network came from builds a slimmed one.
    fn builds(&self, slim: &Self::Network) -> String;
}

/// A run, a model file, or somebody else's state dict.
pub struct Came {
    /// The network and what was found around it.
    pub opened: Opened,
    /// What the caller said of the file.
    pub options: Options,
    /// Where it is computed.
    pub device: Device,
}

impl Form for Came {
    type Network = Model;

    fn network(&self) -> &Model {
        &self.opened.model
    }

    fn stays(&self, at: At) -> Option<String> {
        self.opened.model.stays(at)
    }

    fn slimmed(&self, route: &Route) -> Result<Model> {
        self.opened.model.slimmed(route)
    }

    fn to_bytes(&self, slim: &Model) -> Result<Vec<u8>> {
        self.opened.to_bytes(slim)
    }

    fn reopen(&self, path: &Path, written: &Model) -> Result<Model> {
        // A depth that was given is that of the whole network.
        let arch = self.options.arch.as_ref().map(|_| written.config().clone());
        let model = open(path, &Options { arch, ..self.options.clone() }, &self.device)?.model;
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
}
