//! The samples of a data set as an opened network takes them.

use std::path::Path;
use std::sync::Arc;

use super::AnyNetwork;
use crate::data::{DEFAULT_STREAMS, DataSpec, Dataset, Normalization, NormalizationSource, ResizeCrop, Split};
use crate::measure::{EvalSet, predicted_classes};
use crate::model::check_classes;
use crate::nn::{AnswerKind, Network, Positions};
use crate::train::RunDirectory;
use crate::{Error, Result};

/// The number of samples that run through a network at once, where nobody says otherwise.
pub const DEFAULT_BATCH: usize = 64;

/// Which samples of a data set to measure with.
///
/// ```
/// use unrolled::prelude::*;
///
/// let mut network = AnyNetwork::open("tests/open/cifar-a.zip.pt")?;
/// let error = EvalSet::open("digits")?.limit(100).for_network(&mut network).unwrap_err();
/// assert!(error.to_string().contains("classes"), "{error}");
/// # Ok::<(), unrolled::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EvalSetOptions {
    name: String,
    spec: DataSpec,
    split: Split,
    limit: usize,
    batch: usize,
    view: ResizeCrop,
    /// What a training used of the training split; `None` for data that is not that of a training.
    used: Option<UsedSamples>,
}

/// What a training used of the training split.
#[derive(Clone, Copy, Debug)]
struct UsedSamples {
    /// How many of the first samples; 0 for all.
    limit: usize,
    /// How many of these, the last ones, were held out.
    held_out: usize,
}

impl UsedSamples {
    /// Returns the samples of the training split that were trained with; for another split those that were held out.
    fn part(self, training: Dataset, split: Split) -> Dataset {
        let used = training.with_streams(1).limit(self.limit);
        let trained = used.len().saturating_sub(self.held_out);
        let part = if split == Split::Train { used.limit(trained) } else { used.drop_first(trained) };
        part.with_streams(DEFAULT_STREAMS)
    }
}

impl EvalSet {
    /// Returns the options for a data set, which open it, such as `digits`, `cifar10:DIR`, `folder:DIR` or `arrays:FILE`.
    ///
    /// # Errors
    /// Where the text names no data set.
    pub fn open(spec: &str) -> Result<EvalSetOptions> {
        Ok(EvalSetOptions {
            name: spec.to_owned(),
            spec: spec.parse()?,
            split: Split::Test,
            limit: 0,
            batch: DEFAULT_BATCH,
            view: ResizeCrop::default(),
            used: None,
        })
    }

    /// Returns samples in memory as a network takes them, with their own labels or none, see
    /// [`EvalSetOptions::unlabelled_for_network`]. `name` is for messages.
    ///
    /// # Errors
    /// Where the samples do not suit the network.
    pub fn fit(dataset: Dataset, name: &str, batch: usize, network: &mut AnyNetwork) -> Result<Self> {
        fitting(dataset, name, 0, batch, network)
    }

    /// Labels samples that have no labels with what a network predicts. Answers that are no classes need no labels.
    ///
    /// # Errors
    /// Where a sample cannot be read, the network fails, or another value shares the samples.
    pub fn with_predicted_labels<N: Network>(self, network: &N) -> Result<Self> {
        if self.dataset.is_labelled() || network.outline().answer.kind != AnswerKind::Classes {
            return Ok(self);
        }
        let classes = predicted_classes(network, &self)?;
        let Self { dataset, .. } = self;
        let dataset =
            Arc::into_inner(dataset).ok_or_else(|| Error::unsupported("samples", "shared with another data set"))?;
        let dataset = Arc::new(dataset.with_position_labels(&classes, network.outline().classes)?);
        Ok(Self { dataset, ..self })
    }

    /// Chooses the data set that a network of this crate was trained with; `None` where the network does not know it. `path`
    /// is what the network was opened from. A run directory also knows the size of the images.
    ///
    /// Its training split is what the run was trained with, without what was held out. Of arrays, the test split is what was held
    /// out.
    ///
    /// # Errors
    /// Where the experiment file of the run cannot be read.
    pub fn of_training(path: &Path, network: &AnyNetwork) -> Result<Option<EvalSetOptions>> {
        let Some(source) = network.training_data() else { return Ok(None) };
        if !path.is_dir() {
            return Self::open(source).map(Some);
        }
        if !path.join("config.toml").exists() {
            let why = "config.toml is missing, which says what data the network was trained with; name the data";
            return Err(Error::argument("data", format!("{}: {why}", path.display())));
        }
        let data = RunDirectory::experiment(path, &[])?.data;
        let used = Some(UsedSamples { limit: data.limit, held_out: data.validation });
        let view = ResizeCrop { resize: data.resize, crop: data.crop };
        Ok(Some(EvalSetOptions { used, view, ..Self::open(&data.source)? }))
    }
}

impl EvalSetOptions {
    /// Returns the name of the data set, such as `cifar10:DIR`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes another split than the test split.
    #[must_use]
    pub fn split(self, split: Split) -> Self {
        Self { split, ..self }
    }

    /// Takes the first `n` samples only; all where `n` is 0.
    #[must_use]
    pub fn limit(self, n: usize) -> Self {
        Self { limit: n, ..self }
    }

    /// Sets the number of samples that run through the network at once; [`DEFAULT_BATCH`] by default.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// Sets how images are brought to one size.
    #[must_use]
    pub fn view(self, view: ResizeCrop) -> Self {
        Self { view, ..self }
    }

    /// Returns how images are brought to one size.
    pub fn resize_crop(&self) -> ResizeCrop {
        self.view
    }

    /// Opens the samples, normalized as is usual for the data set, for a network of your own.
    ///
    /// # Errors
    /// Where the data cannot be read.
    pub fn build(&self) -> Result<EvalSet> {
        let dataset = self.dataset()?.limit(self.limit);
        let normalization = dataset.normalization();
        Ok(EvalSet::new(Arc::new(dataset), normalization, self.batch))
    }

    /// Opens the samples as a network takes them: its words, its inputs by name, its classes by name, normalized as it was
    /// trained. Samples without labels are labelled with what it predicts.
    ///
    /// The network changes with them: a graph takes inputs of the shapes of the samples, and where each has one label, the
    /// answer at the last position counts, as of a decoder.
    ///
    /// # Errors
    /// Where the data cannot be read, or does not suit the network.
    pub fn for_network(&self, network: &mut AnyNetwork) -> Result<EvalSet> {
        self.unlabelled_for_network(network)?.with_predicted_labels(network)
    }

    /// Opens the samples as a network takes them, with their own labels or none. It changes the network as
    /// [`EvalSetOptions::for_network`] does.
    ///
    /// # Errors
    /// As [`EvalSetOptions::for_network`].
    pub fn unlabelled_for_network(&self, network: &mut AnyNetwork) -> Result<EvalSet> {
        fitting(self.dataset()?, &self.name, self.limit, self.batch, network)
    }

    /// Opens all samples of the split.
    fn dataset(&self) -> Result<Dataset> {
        let dataset = Dataset::open(&self.spec, self.split, &self.view)?;
        let is_arrays = dataset.arrays().is_some();
        match self.used {
            Some(used) if self.split == Split::Train || is_arrays && used.held_out > 0 => {
                Ok(used.part(dataset, self.split))
            }
            _ if is_arrays && self.split != Split::Test => {
                let what = format!("no split '{}', arrays are all there is", self.split);
                Err(Error::unsupported(&self.name, what))
            }
            _ => Ok(dataset),
        }
    }
}

/// Returns the first samples of a data set as a network takes them, with their own labels or none; all where `limit` is 0.
/// `name` is for messages.
fn fitting(mut dataset: Dataset, name: &str, limit: usize, batch: usize, network: &mut AnyNetwork) -> Result<EvalSet> {
    let named = |e: Error| Error::mismatch(name, e.to_string());
    let names = network.class_names().map(<[String]>::to_vec);
    if let Some(vocabulary) = network.vocabulary() {
        dataset = dataset.with_vocabulary(vocabulary).map_err(named)?;
    } else if let Some(classes) = names.as_ref().filter(|_| dataset.arrays().is_none()) {
        dataset = dataset.with_classes(classes);
    }
    let mut dataset = suited(network, dataset.limit(limit)).map_err(named)?;
    let is_image = dataset.arrays().is_none();
    if dataset.holds_bytes() && network.takes_floats_alone() {
        let why = "holds bytes (uint8), and the graph takes float32: store what it takes, such as x / 255, normalized";
        return Err(Error::mismatch(name, why));
    }
    // A graph of whole numbers, or a network that was trained here, takes bytes as they are.
    let is_scaled = dataset.holds_bytes() && network.is_foreign();
    if is_scaled {
        dataset = dataset.with_scaled_bytes()?;
    }
    let (normalization, source) = match network.normalization() {
        // Arrays are what the network takes, unless the caller says otherwise or they are bytes of images.
        _ if !is_image && !is_scaled && !network.is_normalization_given() => {
            (Normalization::uniform(0.0, 1.0), NormalizationSource::AsIs)
        }
        // Numbers of characters are no values.
        Some(normalization) if network.vocabulary().is_some() => (normalization, NormalizationSource::AsIs),
        Some(normalization) => (normalization, source_of_normalization(network)),
        None => {
            let why =
                "how its samples were normalized is not in the file; give mean and std, such as those of the training";
            return Err(Error::argument("mean", why));
        }
    };
    let data = EvalSet { normalization_source: source, ..EvalSet::new(Arc::new(dataset), normalization, batch) };
    let classes = data.dataset.classes();
    match (&names, is_image) {
        (Some(_), false) if network.is_graph() => {
            let why = "name the classes of images; the labels of arrays are numbers";
            return Err(Error::argument("labels", why));
        }
        (Some(names), true) => check_classes(names, classes).map_err(named)?,
        (None, true) if classes.len() < network.outline().classes => {
            let (have, need) = (classes.len(), network.outline().classes);
            let why = format!(
                "the data set has {have}, the network answers with {need}; name the network's classes, so that those of \
                 the data are found among them"
            );
            return Err(Error::argument("labels", why));
        }
        _ => {}
    }
    data.check(network.outline()).map_err(named)?;
    Ok(data)
}

/// Returns where the normalization of a network comes from.
fn source_of_normalization(network: &AnyNetwork) -> NormalizationSource {
    match network {
        _ if network.is_normalization_given() => NormalizationSource::Given,
        _ if network.is_foreign() => NormalizationSource::Customary,
        _ => NormalizationSource::Network,
    }
}

/// Puts arrays in the order in which the network takes them. Makes a graph take samples of their shape, and a network that is
/// asked for one label a sample answer at its last position.
fn suited(network: &mut AnyNetwork, mut dataset: Dataset) -> Result<Dataset> {
    if network.is_graph() {
        dataset = dataset.reorder_arrays(&network.input_names())?;
        let shapes = dataset.arrays().map(|all| all.iter().map(|(_, shape)| shape.to_vec()).collect());
        network.fit_inputs(&shapes.unwrap_or_else(|| vec![dataset.shape().to_vec()]))?;
    }
    let (answer, classes) = (network.outline().answer, network.outline().classes);
    if answer.kind != AnswerKind::Classes {
        return Ok(dataset.without_labels(classes));
    }
    let has_one_label = dataset.is_labelled() && dataset.label_positions().is_none();
    if has_one_label && answer.count() > 1 && !network.are_positions_given() {
        // As of a decoder, which is asked for the next token.
        network.select_positions(Positions::Last)?;
    }
    if dataset.arrays().is_some() { dataset.with_class_count(classes) } else { Ok(dataset) }
}
