//! The graph of an ONNX file, with what a caller said of it.

use std::path::Path;

use super::{AnyNetwork, LoadReport, OpenOptions};
use crate::data::{Normalization, Vocabulary};
use crate::graph::GraphNetwork;
use crate::model::Epoch;
use crate::nn::{Network, Positions};
use crate::train::Unfinished;
use crate::{Error, Result};

const NEEDS_BOTH: &str = "an ONNX file has none, give both mean and std";

/// The graph of an ONNX file, with what a caller said of it. Such a file does not say how samples are normalized, nor how
/// classes are called.
pub struct OpenedGraph {
    /// The network.
    pub network: GraphNetwork,
    normalization: Option<Normalization>,
    labels: Option<Vec<String>>,
    are_positions_given: bool,
}

impl OpenedGraph {
    pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        let network = GraphNetwork::open_with(path, options.boundaries.as_deref(), &[], &options.answers)?;
        options.check_labels(network.outline().classes)?;
        let normalization = match (options.mean.clone(), options.std.clone()) {
            (None, None) => None,
            (Some(mean), Some(std)) => Some(Normalization { mean, std }),
            (Some(_), None) => return Err(Error::argument("std", NEEDS_BOTH)),
            (None, Some(_)) => return Err(Error::argument("mean", NEEDS_BOTH)),
        };
        if let Some(normalization) = &normalization {
            if let Some(input) = network.inputs().iter().find(|input| input.is_integer) {
                let why = format!("input '{}' takes whole numbers, which are not normalized", input.name);
                return Err(Error::argument("mean", why));
            }
            normalization.check(network.outline().input[0])?;
        }
        let are_positions_given = options.answers.positions.is_some();
        Ok(Self { network, normalization, labels: options.labels.clone(), are_positions_given })
    }

    /// Returns the same with another network in its place, such as a slimmed one.
    pub(crate) fn with_network(&self, network: GraphNetwork) -> AnyNetwork {
        let (normalization, labels) = (self.normalization.clone(), self.labels.clone());
        let are_positions_given = self.are_positions_given;
        AnyNetwork::Graph(Box::new(Self { network, normalization, labels, are_positions_given }))
    }

    pub(crate) fn network(&self) -> &GraphNetwork {
        &self.network
    }

    pub(super) fn load_report(&self) -> Option<&LoadReport> {
        None
    }

    pub(super) fn summary(&self) -> String {
        self.network.summary()
    }

    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        None
    }

    pub(super) fn history(&self) -> &[Epoch] {
        &[]
    }

    pub(super) fn normalization(&self) -> Option<Normalization> {
        self.normalization.clone()
    }

    pub(super) fn is_normalization_given(&self) -> bool {
        self.normalization.is_some()
    }

    pub(super) fn class_names(&self) -> Option<&[String]> {
        self.labels.as_deref()
    }

    pub(super) fn vocabulary(&self) -> Option<Vocabulary> {
        None
    }

    pub(super) fn input_names(&self) -> Vec<String> {
        self.network.inputs().iter().map(|input| input.name.clone()).collect()
    }

    pub(super) fn takes_floats_alone(&self) -> bool {
        self.network.inputs().iter().all(|input| !input.is_integer)
    }

    pub(super) fn fit_inputs(&mut self, shapes: &[Vec<usize>]) -> Result<()> {
        self.network.fit_inputs(shapes)
    }

    pub(super) fn select_positions(&mut self, positions: Positions) -> Result<()> {
        self.network.select_positions(positions)
    }

    pub(super) fn are_positions_given(&self) -> bool {
        self.are_positions_given
    }

    pub(super) fn why_no_mask(&self) -> Option<&str> {
        self.network.why_no_mask()
    }

    pub(super) fn boundaries(&self) -> Option<Vec<Vec<[String; 2]>>> {
        Some(self.network.boundaries())
    }
}
