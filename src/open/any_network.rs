//! Any network that can be opened, behind one type.

use std::path::Path;

#[cfg(feature = "onnx")]
use super::OpenedGraph;
use super::{LoadReport, OpenOptions, OpenedModel};
use crate::data::{Normalization, Vocabulary};
use crate::device::DeviceInfo;
#[cfg(feature = "onnx")]
use crate::graph::Activation;
use crate::kernel::FeatureMap;
use crate::model::Epoch;
use crate::nn::{
    BlockActivations, BlockId, Logits, Network, Outline, PositionMask, Positions, RecurrentState, Samples, Step,
};
use crate::train::Unfinished;
use crate::{Error, Result};

/// A network that was opened: a model of this crate, or the graph of an ONNX file.
///
/// It implements [`Network`] and [`Prunable`](crate::slim::Prunable), so that it can be measured and slimmed without asking
/// which of the two it is.
///
/// # Examples
/// ```
/// use unrolled::nn::{BlockId, Network};
/// use unrolled::open::AnyNetwork;
///
/// let network = AnyNetwork::open("tests/open/cifar-a.zip.pt")?;
/// let first = network.outline().block(BlockId { stage: 0, block: 0 });
/// assert_eq!(first.source_name.as_deref(), Some("layer1.0"));
/// # Ok::<(), unrolled::Error>(())
/// ```
pub enum AnyNetwork {
    /// A model of this crate. It can be trained and written again.
    Model(Box<OpenedModel>),
    /// The graph of an ONNX file.
    #[cfg(feature = "onnx")]
    Graph(Box<OpenedGraph>),
}

/// Evaluates an expression for the network that an [`AnyNetwork`] holds. The expression is compiled once for an
/// [`OpenedModel`] and once for an [`OpenedGraph`], which have methods of the same names.
macro_rules! dispatch {
    ($network:expr, $opened:ident => $result:expr) => {
        match $network {
            $crate::open::AnyNetwork::Model($opened) => $result,
            #[cfg(feature = "onnx")]
            $crate::open::AnyNetwork::Graph($opened) => $result,
        }
    };
}
pub(crate) use dispatch;

impl AnyNetwork {
    /// Opens a run directory, a model file, a PyTorch or safetensors checkpoint, or an ONNX file, on the CPU.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        OpenOptions::new().open(path)
    }

    /// Returns whether it is the graph of an ONNX file.
    pub fn is_graph(&self) -> bool {
        !matches!(self, Self::Model(_))
    }

    /// Returns whether it comes from a PyTorch or safetensors file of another program. The options `arch` and `partial`
    /// apply to such files only.
    pub fn is_foreign(&self) -> bool {
        self.load_report().is_some()
    }

    /// Returns how arrays of a file of another program were matched; `None` for files of this crate and for graphs.
    pub fn load_report(&self) -> Option<&LoadReport> {
        dispatch!(self, opened => opened.load_report())
    }

    /// Returns what was found in a file of another program, as text of several lines; empty for files of this crate.
    pub fn summary(&self) -> String {
        dispatch!(self, opened => opened.summary())
    }

    /// Returns the epochs of its training; empty where they are not known.
    pub fn history(&self) -> &[Epoch] {
        dispatch!(self, opened => opened.history())
    }

    /// Returns what to call the network where `name` is what it was opened from: `name`, or `name (unfinished: 5 of 40 epochs)`
    /// where its run was stopped before its end.
    pub fn label(&self, name: &str) -> String {
        match self.unfinished() {
            Some(unfinished) => format!("{name} ({unfinished})"),
            None => name.to_owned(),
        }
    }

    /// Returns how far a run was trained that was stopped before its end; `None` for all other networks. Of such a run the latest
    /// checkpoint is opened.
    pub fn unfinished(&self) -> Option<Unfinished> {
        dispatch!(self, opened => opened.unfinished())
    }

    /// Returns the data set that it was trained with, as it was named; `None` for networks of other programs.
    pub fn training_data(&self) -> Option<&str> {
        match self {
            Self::Model(opened) if opened.load_report.is_none() => {
                Some(opened.metadata.data.as_str()).filter(|data| !data.is_empty())
            }
            _ => None,
        }
    }

    /// Returns how samples have to be normalized: what the caller said, or else what the network was trained with; `None`
    /// where neither is known, as for an ONNX file.
    pub fn normalization(&self) -> Option<Normalization> {
        dispatch!(self, opened => opened.normalization())
    }

    /// Returns whether the caller said how samples are normalized.
    pub fn is_normalization_given(&self) -> bool {
        dispatch!(self, opened => opened.is_normalization_given())
    }

    /// Returns the names of its classes, in the order of the outputs; `None` where they are not known.
    pub fn class_names(&self) -> Option<&[String]> {
        dispatch!(self, opened => opened.class_names())
    }

    /// Returns the words and characters that a language model knows; `None` for other networks.
    pub fn vocabulary(&self) -> Option<Vocabulary> {
        dispatch!(self, opened => opened.vocabulary())
    }

    /// Returns the names of its inputs, in the order in which a sample holds their values; empty where inputs have no
    /// names.
    pub fn input_names(&self) -> Vec<String> {
        dispatch!(self, opened => opened.input_names())
    }

    /// Returns whether it is a graph whose inputs are all floats, so that bytes of images are not what it takes.
    pub fn takes_floats_alone(&self) -> bool {
        match self {
            Self::Model(_) => false,
            #[cfg(feature = "onnx")]
            Self::Graph(opened) => opened.takes_floats_alone(),
        }
    }

    /// Makes the network take inputs of these shapes, without the batch, where its file leaves dimensions free.
    ///
    /// # Errors
    /// [`Error::Shape`] where the graph takes other shapes. The inputs of a model are checked when samples enter it.
    pub fn fit_inputs(&mut self, shapes: &[Vec<usize>]) -> Result<()> {
        dispatch!(self, opened => opened.fit_inputs(shapes))
    }

    /// Counts these positions of a sample only.
    ///
    /// # Errors
    /// [`Error::Argument`] for a position that a sample does not have, and for a network that answers once a sample.
    pub fn select_positions(&mut self, positions: Positions) -> Result<()> {
        dispatch!(self, opened => opened.select_positions(positions))
    }

    /// Returns whether the caller said which positions count.
    pub fn are_positions_given(&self) -> bool {
        dispatch!(self, opened => opened.are_positions_given())
    }

    /// Returns why an input that is called a mask does not say which positions count; `None` where there is no such input.
    pub fn why_no_mask(&self) -> Option<&str> {
        dispatch!(self, opened => opened.why_no_mask())
    }

    /// Returns the blocks of every stage of a graph, as the names of the values that enter and leave each; `None` for a
    /// model.
    pub fn boundaries(&self) -> Option<Vec<Vec<[String; 2]>>> {
        dispatch!(self, opened => opened.boundaries())
    }
}

/// Returns whether a path is that of an ONNX file, by its extension.
pub fn is_graph_path(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
}

/// An estimate of an [`AnyNetwork`].
#[derive(Clone)]
pub enum AnyEstimate {
    /// The estimate of a model.
    Model(FeatureMap),
    /// The estimate of a graph.
    #[cfg(feature = "onnx")]
    Graph(Activation),
}

/// Converts between [`AnyEstimate`] and the estimate of one kind of network.
macro_rules! convert_estimate {
    ($kind:ident, $estimate:ty) => {
        impl From<$estimate> for AnyEstimate {
            fn from(estimate: $estimate) -> Self {
                Self::$kind(estimate)
            }
        }

        impl TryFrom<AnyEstimate> for $estimate {
            type Error = Error;

            #[allow(unreachable_patterns)]
            fn try_from(estimate: AnyEstimate) -> Result<Self> {
                match estimate {
                    AnyEstimate::$kind(estimate) => Ok(estimate),
                    _ => Err(wrong_estimate()),
                }
            }
        }

        impl<'a> TryFrom<&'a AnyEstimate> for &'a $estimate {
            type Error = Error;

            #[allow(unreachable_patterns)]
            fn try_from(estimate: &'a AnyEstimate) -> Result<Self> {
                match estimate {
                    AnyEstimate::$kind(estimate) => Ok(estimate),
                    _ => Err(wrong_estimate()),
                }
            }
        }
    };
}

convert_estimate!(Model, FeatureMap);
#[cfg(feature = "onnx")]
convert_estimate!(Graph, Activation);

fn wrong_estimate() -> Error {
    Error::mismatch("estimate", "comes from another kind of network; pass estimates to the network that computed them")
}

/// The estimate of one kind of network.
///
/// # Panics
/// Where the estimate comes from another kind of network.
fn estimate_of<'a, E>(estimate: &'a AnyEstimate) -> E
where
    E: TryFrom<&'a AnyEstimate, Error = Error>,
{
    E::try_from(estimate).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs the network that was opened.
///
/// An estimate has to come from the same kind of network. Where it does not, methods return [`Error::Mismatch`], and
/// [`Network::values`] and [`Network::rebuild`] panic.
impl Network for AnyNetwork {
    type Estimate = AnyEstimate;

    fn outline(&self) -> &Outline {
        dispatch!(self, opened => opened.network().outline())
    }

    fn stem(&self, samples: &Samples) -> Result<AnyEstimate> {
        dispatch!(self, opened => Ok(opened.network().stem(samples)?.into()))
    }

    fn enter_stage(&self, stage: usize, estimate: AnyEstimate) -> Result<AnyEstimate> {
        dispatch!(self, opened => Ok(opened.network().enter_stage(stage, estimate.try_into()?)?.into()))
    }

    fn block_activations(&self, id: BlockId, estimate: AnyEstimate) -> Result<BlockActivations<AnyEstimate>> {
        dispatch!(self, opened => {
            let BlockActivations { h, transform, carry, estimate } =
                opened.network().block_activations(id, estimate.try_into()?)?;
            let [transform, carry] = [transform, carry].map(|gate| gate.map(Into::into));
            Ok(BlockActivations { h: h.into(), transform, carry, estimate: estimate.into() })
        })
    }

    fn block(&self, id: BlockId, estimate: AnyEstimate) -> Result<AnyEstimate> {
        dispatch!(self, opened => Ok(opened.network().block(id, estimate.try_into()?)?.into()))
    }

    fn repeat_block(&self, id: BlockId, estimate: AnyEstimate) -> Result<AnyEstimate> {
        dispatch!(self, opened => Ok(opened.network().repeat_block(id, estimate.try_into()?)?.into()))
    }

    fn shortcut(&self, id: BlockId, estimate: AnyEstimate) -> Result<AnyEstimate> {
        dispatch!(self, opened => Ok(opened.network().shortcut(id, estimate.try_into()?)?.into()))
    }

    fn head(&self, estimate: AnyEstimate, state: &mut RecurrentState) -> Result<Logits> {
        dispatch!(self, opened => opened.network().head(estimate.try_into()?, state))
    }

    fn head_gradient(&self, estimate: &AnyEstimate, labels: &[u32]) -> Result<Option<AnyEstimate>> {
        dispatch!(self, opened => {
            let gradient = opened.network().head_gradient(estimate.try_into()?, labels)?;
            Ok(gradient.map(Into::into))
        })
    }

    fn backward_step(&self, step: Step, entering: &AnyEstimate, gradient: &AnyEstimate) -> Result<Option<AnyEstimate>> {
        dispatch!(self, opened => {
            let gradient = opened.network().backward_step(step, entering.try_into()?, gradient.try_into()?)?;
            Ok(gradient.map(Into::into))
        })
    }

    fn device(&self) -> Option<DeviceInfo> {
        dispatch!(self, opened => opened.network().device())
    }

    fn fingerprint(&self) -> u32 {
        dispatch!(self, opened => opened.network().fingerprint())
    }

    fn has_gradients(&self) -> bool {
        dispatch!(self, opened => opened.network().has_gradients())
    }

    fn values(&self, estimate: &AnyEstimate) -> (Vec<f32>, usize) {
        dispatch!(self, opened => opened.network().values(estimate_of(estimate)))
    }

    fn position_mask(&self, estimate: &AnyEstimate) -> Option<PositionMask> {
        dispatch!(self, opened => opened.network().position_mask(estimate_of(estimate)))
    }

    fn rebuild(&self, like: &AnyEstimate, values: Vec<f32>) -> AnyEstimate {
        dispatch!(self, opened => opened.network().rebuild(estimate_of(like), values).into())
    }
}
