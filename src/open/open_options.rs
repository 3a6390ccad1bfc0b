//! What a caller can say of a file that the file does not say.

use std::path::Path;

#[cfg(feature = "onnx")]
use super::OpenedGraph;
use super::{AnyNetwork, OpenedModel};
use crate::data::Normalization;
use crate::kernel::Backend;
use crate::model::{Metadata, ModelConfig};
use crate::nn::AnswerOptions;
use crate::{Error, Result};

/// Options for opening a network: what the file does not say, and where to compute.
///
/// # Examples
/// ```
/// use unrolled::nn::Network;
/// use unrolled::open::OpenOptions;
///
/// let options = OpenOptions::new().mean([0.4914, 0.4822, 0.4465]).std([0.2470, 0.2435, 0.2616]);
/// let network = options.open("tests/open/cifar-a.zip.pt")?;
/// assert_eq!(network.normalization().unwrap().mean[0], 0.4914);
/// # Ok::<(), unrolled::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub(super) arch: Option<ModelConfig>,
    pub(super) mean: Option<Vec<f32>>,
    pub(super) std: Option<Vec<f32>>,
    pub(super) labels: Option<Vec<String>>,
    pub(super) key: Option<String>,
    pub(super) partial: bool,
    #[cfg_attr(not(feature = "onnx"), expect(dead_code, reason = "only graphs have boundaries"))]
    pub(super) boundaries: Option<Vec<Vec<[String; 2]>>>,
    #[cfg_attr(not(feature = "onnx"), expect(dead_code, reason = "only graphs leave their answers open"))]
    pub(super) answers: AnswerOptions,
    pub(super) backend: Backend,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            arch: None,
            mean: None,
            std: None,
            labels: None,
            key: None,
            partial: false,
            boundaries: None,
            answers: AnswerOptions::default(),
            backend: Backend::cpu(),
        }
    }
}

/// Why one of mean and standard deviation is not taken from the caller and the other one from the file.
const ONE_ALONE: &str = "give both mean and std";

impl OpenOptions {
    /// Returns options that leave everything to the file, for a network on the CPU.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the network that a PyTorch or safetensors file holds. The shapes of its arrays fill in what the configuration
    /// leaves open.
    #[must_use]
    pub fn arch(self, arch: ModelConfig) -> Self {
        Self { arch: Some(arch), ..self }
    }

    /// Sets what is subtracted from each channel of a sample with values from 0 to 1: one value, or one a channel.
    #[must_use]
    pub fn mean(self, mean: impl Into<Vec<f32>>) -> Self {
        Self { mean: Some(mean.into()), ..self }
    }

    /// Sets what each channel is divided by after `mean` is subtracted: one value, or one a channel.
    #[must_use]
    pub fn std(self, std: impl Into<Vec<f32>>) -> Self {
        Self { std: Some(std.into()), ..self }
    }

    /// Sets the names of the classes, in the order of the outputs.
    #[must_use]
    pub fn labels(self, labels: impl Into<Vec<String>>) -> Self {
        Self { labels: Some(labels.into()), ..self }
    }

    /// Sets the key under which the network lies in a PyTorch or safetensors file, such as `teacher` or `model.ema`. It is
    /// needed where a file holds several networks.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Sets whether arrays of a PyTorch or safetensors file that the network has no place for are left out, such as those of
    /// an auxiliary classifier. Otherwise such a file is refused. Arrays in blocks are never left out: without them the
    /// blocks would compute something else.
    #[must_use]
    pub fn partial(self, partial: bool) -> Self {
        Self { partial, ..self }
    }

    /// Sets the blocks of every stage of an ONNX file, as the names of the values that enter and leave each. Otherwise
    /// blocks are found.
    #[must_use]
    pub fn boundaries(self, boundaries: impl Into<Vec<Vec<[String; 2]>>>) -> Self {
        Self { boundaries: Some(boundaries.into()), ..self }
    }

    /// Sets what an ONNX file leaves open about its answers: which output holds them, what they are, and which positions
    /// count.
    #[must_use]
    pub fn answers(self, answers: AnswerOptions) -> Self {
        Self { answers, ..self }
    }

    /// Sets where a model is computed: a device, or a device with its kernels. The default is the CPU with native kernels.
    /// Graphs always run on the CPU.
    #[must_use]
    pub fn backend(self, backend: impl Into<Backend>) -> Self {
        Self { backend: backend.into(), ..self }
    }

    /// Opens a run directory, a model file, a PyTorch or safetensors checkpoint, or an ONNX file.
    ///
    /// A directory with the index of a sharded safetensors checkpoint counts as a checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] that names the file and what is wrong with it: the arrays, or the node or value of
    /// a graph. [`Error::Argument`] or [`Error::Config`] for options that do not fit the network.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<AnyNetwork> {
        let path = path.as_ref();
        if super::is_graph_path(path) {
            self.open_graph(path)
        } else {
            Ok(AnyNetwork::Model(Box::new(OpenedModel::open(path, self)?)))
        }
    }

    /// Opens what [`OpenOptions::open`] opens, except ONNX files.
    ///
    /// # Errors
    /// As [`OpenOptions::open`]; [`Error::Unsupported`] for an ONNX file.
    ///
    /// # Examples
    /// ```
    /// use unrolled::open::OpenOptions;
    ///
    /// let opened = OpenOptions::new().open_model("tests/open/cifar-a.zip.pt")?;
    /// println!("{}", opened.load_report.unwrap());
    /// # Ok::<(), unrolled::Error>(())
    /// ```
    pub fn open_model(&self, path: impl AsRef<Path>) -> Result<OpenedModel> {
        OpenedModel::open(path.as_ref(), self)
    }

    #[cfg(feature = "onnx")]
    fn open_graph(&self, path: &Path) -> Result<AnyNetwork> {
        super::file_kinds::check_file(path)?;
        Ok(AnyNetwork::Graph(Box::new(OpenedGraph::open(path, self)?)))
    }

    #[cfg(not(feature = "onnx"))]
    fn open_graph(&self, path: &Path) -> Result<AnyNetwork> {
        Err(Error::unsupported(path.display(), "built without the feature onnx, which reads such files"))
    }

    /// Replaces in the metadata of a model what the caller said.
    ///
    /// # Errors
    /// [`Error::Argument`] for values that do not fit the network.
    pub(super) fn override_metadata(&self, metadata: &mut Metadata) -> Result<()> {
        if metadata.characters.is_some() && (self.mean.is_some() || self.std.is_some()) {
            let name = if self.mean.is_some() { "mean" } else { "std" };
            return Err(Error::argument(name, "numbers of characters are not normalized"));
        }
        match (&self.mean, &self.std) {
            (Some(mean), Some(std)) => {
                Normalization { mean: mean.clone(), std: std.clone() }.check(metadata.input[0])?;
                metadata.mean.clone_from(mean);
                metadata.std.clone_from(std);
            }
            (Some(_), None) => return Err(Error::argument("std", ONE_ALONE)),
            (None, Some(_)) => return Err(Error::argument("mean", ONE_ALONE)),
            (None, None) => {}
        }
        self.check_labels(metadata.classes.len())?;
        if let Some(labels) = &self.labels {
            metadata.classes.clone_from(labels);
        }
        Ok(())
    }

    /// Checks that there are as many labels as classes.
    pub(super) fn check_labels(&self, classes: usize) -> Result<()> {
        match &self.labels {
            Some(labels) if labels.len() != classes => {
                let why = format!("{} names, the network has {classes} classes", labels.len());
                Err(Error::argument("labels", why))
            }
            _ => Ok(()),
        }
    }
}
