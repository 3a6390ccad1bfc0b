//! Any network that can be opened: one that is built from our parts, or a graph that is run as it is.

use std::path::Path;

use super::{OpenOptions, Opened, open};
use crate::Result;
use crate::kernel::Backend;
use crate::nn::Network;
use crate::nn::Outline;
#[cfg(feature = "onnx")]
use crate::{data::Normalization, graph::GraphNetwork};

/// Any network that can be opened.
pub enum AnyNetwork {
    /// Built from our parts: it can be trained and written out again.
    Trained(Box<Opened>),
    /// A graph in an ONNX file.
    #[cfg(feature = "onnx")]
    Graph(Box<OpenedGraph>),
}

/// A graph that was opened.
#[cfg(feature = "onnx")]
pub struct OpenedGraph {
    /// The network.
    pub network: GraphNetwork,
    /// What its samples were normalized with, where somebody said so: no such file does.
    pub normalization: Option<Normalization>,
    /// Names of its classes, where somebody said them.
    pub labels: Option<Vec<String>>,
}

impl AnyNetwork {
    /// The network's stages and blocks.
    pub fn outline(&self) -> &Outline {
        match self {
            Self::Trained(opened) => opened.model.outline(),
            #[cfg(feature = "onnx")]
            Self::Graph(opened) => opened.network.outline(),
        }
    }
}

impl AnyNetwork {
    /// Whether it is a file of somebody else's with arrays by names, of which a caller can say what it leaves open.
    pub fn is_foreign(&self) -> bool {
        match self {
            Self::Trained(opened) => opened.opening.is_some(),
            #[cfg(feature = "onnx")]
            Self::Graph(_) => false,
        }
    }
}

/// Whether a path is that of an ONNX file, by its name.
pub fn is_graph(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
}

/// Opens what [`open`] opens, and ONNX files.
///
/// # Errors
/// As [`open`]; [`crate::Error::File`] that names the node, value or array at fault in a graph.
pub fn any(target: &Path, options: &OpenOptions, backend: impl Into<Backend>) -> Result<AnyNetwork> {
    if is_graph(target) {
        graph(target, options)
    } else {
        Ok(AnyNetwork::Trained(Box::new(open(target, options, backend)?)))
    }
}

#[cfg(not(feature = "onnx"))]
fn graph(target: &Path, _: &OpenOptions) -> Result<AnyNetwork> {
    let what = "built without the feature onnx, which reads such files";
    Err(crate::Error::Usage(format!("{}: {what}", target.display())))
}

#[cfg(feature = "onnx")]
fn graph(target: &Path, options: &OpenOptions) -> Result<AnyNetwork> {
    let network = GraphNetwork::open(target, options.cut.as_deref(), &[])?;
    let classes = network.outline().classes;
    if let Some(labels) = options.labels.as_ref().filter(|labels| labels.len() != classes) {
        let what = format!("--labels: {} names, the network has {classes} classes", labels.len());
        return Err(crate::Error::Usage(what));
    }
    let channels = network.outline().input[0];
    let normalization = match (options.mean.clone(), options.std.clone()) {
        (None, None) => None,
        (Some(mean), Some(std)) => Some(Normalization { mean, std }),
        _ => return Err(crate::Error::Usage("--mean and --std: an ONNX file has neither, give both".into())),
    };
    if let (true, Some(whole)) = (normalization.is_some(), network.inputs().iter().find(|input| input.is_whole)) {
        let what = format!("--mean, --std: input '{}' takes whole numbers, which are not normalized", whole.name);
        return Err(crate::Error::Usage(what));
    }
    if let Some(normalization) = &normalization {
        normalization.check(channels).map_err(super::options::as_option)?;
    }
    Ok(AnyNetwork::Graph(Box::new(OpenedGraph { network, normalization, labels: options.labels.clone() })))
}
