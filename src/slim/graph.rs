//! A graph in an ONNX file as a form.

use std::path::Path;

use super::{Healed, Healing, Progress, Prunable};
use crate::graph::GraphNetwork;
use crate::nn::{BlockId, Route};
use crate::{Error, FileContents, Result};

const NO_HEALING: &str = "is a graph that is run as it is: nothing in it can be trained or estimated again; heal the network that it was exported from";

impl Prunable for GraphNetwork {
    type Network = Self;

    fn network(&self) -> &Self {
        self
    }

    fn stays(&self, at: BlockId) -> Option<String> {
        self.stays(at)
    }

    fn slimmed(&self, route: &Route) -> Result<Self> {
        self.slimmed(route)
    }

    fn draft(&self, slim: &Self, name: &str) -> Result<FileContents> {
        slim.draft(name)
    }

    fn reopen(&self, path: &Path, written: &Self) -> Result<Self> {
        written.reopened(path)
    }

    fn builds(&self, slim: &Self) -> String {
        format!("whatever runs ONNX files: a graph of {} nodes", slim.nodes())
    }

    fn cannot_heal(&self, _: bool) -> Option<&'static str> {
        Some(NO_HEALING)
    }

    fn heal(&self, _: &Self, healing: &Healing, _: Progress) -> Result<Vec<Healed<Self>>> {
        match (&healing.samples, &healing.experiment) {
            (None, None) => Ok(Vec::new()),
            _ => Err(Error::Usage(format!("the network {NO_HEALING}"))),
        }
    }
}
