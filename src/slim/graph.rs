//! Slimming of the graph of an ONNX file.

use std::path::Path;

use super::{ProgressFn, Prunable, RecoveredNetwork, Recovery, RecoveryStep};
use crate::graph::GraphNetwork;
use crate::nn::{BlockId, Network, Route};
use crate::open::OpenedGraph;
use crate::{Error, FileContents, Result};

const NO_RECOVERY: &str = "is a graph that is run as it is: nothing in it can be trained or estimated again; fine-tune the network that it was exported from";

impl Prunable for GraphNetwork {
    type Network = Self;

    fn network(&self) -> &Self {
        self
    }

    fn why_not_removable(&self, id: BlockId) -> Option<String> {
        self.why_not_removable(id)
    }

    fn why_not_countable(&self) -> Option<String> {
        self.why_not_countable()
    }

    fn slimmed(&self, route: &Route) -> Result<Self> {
        self.slimmed(route)
    }

    fn draft(&self, slim: &Self, name: &str) -> Result<FileContents> {
        slim.draft(name)
    }

    fn reopen(&self, path: &Path, slim: &Self) -> Result<Self> {
        slim.reopen(path)
    }

    fn constructor(&self, slim: &Self) -> String {
        format!("whatever runs ONNX files: a graph of {} nodes", slim.node_count())
    }

    fn why_not_recoverable(&self, _: RecoveryStep) -> Option<&'static str> {
        Some(NO_RECOVERY)
    }

    fn recover(&self, slim: &Self, recovery: &Recovery, _: ProgressFn) -> Result<Vec<RecoveredNetwork<Self>>> {
        match (&recovery.recalibration, &recovery.finetuning) {
            (None, None) => Ok(Vec::new()),
            _ => Err(Error::unsupported(&slim.outline().name, NO_RECOVERY)),
        }
    }
}

impl Prunable for OpenedGraph {
    type Network = GraphNetwork;

    fn network(&self) -> &GraphNetwork {
        &self.network
    }

    fn why_not_removable(&self, id: BlockId) -> Option<String> {
        self.network.why_not_removable(id)
    }

    fn why_not_countable(&self) -> Option<String> {
        self.network.why_not_countable()
    }

    fn slimmed(&self, route: &Route) -> Result<GraphNetwork> {
        self.network.slimmed(route)
    }

    fn draft(&self, slim: &GraphNetwork, name: &str) -> Result<FileContents> {
        slim.draft(name)
    }

    fn reopen(&self, path: &Path, slim: &GraphNetwork) -> Result<GraphNetwork> {
        slim.reopen(path)
    }

    fn constructor(&self, slim: &GraphNetwork) -> String {
        self.network.constructor(slim)
    }

    fn why_not_recoverable(&self, step: RecoveryStep) -> Option<&'static str> {
        self.network.why_not_recoverable(step)
    }

    fn recover(
        &self,
        slim: &GraphNetwork,
        recovery: &Recovery,
        progress: ProgressFn,
    ) -> Result<Vec<RecoveredNetwork<GraphNetwork>>> {
        self.network.recover(slim, recovery, progress)
    }
}
