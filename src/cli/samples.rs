//! The samples that a command names, as a network takes them.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use unrolled::Error;
use unrolled::data::{DataSpec, Dataset, Normalization, ResizeCrop, Split};
use unrolled::measure::{self, EvalSet};
#[cfg(feature = "onnx")]
use unrolled::model::check_classes;
use unrolled::open::AnyNetwork;

use super::output;

/// The samples to use.
#[derive(Args)]
pub(super) struct DataArgs {
    /// digits, mnist:DIR, fashion-mnist:DIR, cifar10:DIR, cifar100:DIR, folder:DIR; text:DIR with train.txt, valid.txt and
    /// test.txt; or arrays:FILE: a .npz file with an array for each input of the network and maybe one named labels, or a
    /// .npy file
    #[arg(long, value_name = "SPEC")]
    pub(super) data: String,
    /// Which part of the data
    #[arg(long, value_enum, default_value_t = Part::Test)]
    pub(super) split: Part,
    /// Use the first N samples only
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<std::num::NonZeroUsize>,
    /// Samples that run through the network at once
    #[arg(long, value_name = "N", default_value = "64")]
    pub(super) batch: std::num::NonZeroUsize,
    /// For a folder: resize the shorter side to so many pixels
    #[arg(long, value_name = "PIXELS")]
    pub(super) resize: Option<usize>,
    /// For a folder: then cut out the middle, so many pixels a side
    #[arg(long, value_name = "PIXELS")]
    pub(super) crop: Option<usize>,
}

impl DataArgs {
    /// One split of the data, all of it.
    pub(super) fn open(&self, split: Split) -> Result<Dataset, Error> {
        let spec: DataSpec = self.data.parse()?;
        let dataset = Dataset::open(&spec, split, &ResizeCrop { resize: self.resize, crop: self.crop })?;
        if split != Split::Test && dataset.arrays().is_some() {
            return Err(Error::Usage(format!("{}: no split '{split}', arrays are all there is", self.data)));
        }
        Ok(dataset)
    }

    /// The samples as the network of this name takes them; those without labels are labelled with what it
    /// says.
    pub(super) fn source(&self, name: &str, opened: &mut AnyNetwork) -> anyhow::Result<EvalSet> {
        let source = self.samples(name, opened)?;
        labelled(opened, source)
    }

    /// The samples, normalized as the network was trained, once they are known to suit it.
    pub(super) fn samples(&self, name: &str, opened: &mut AnyNetwork) -> anyhow::Result<EvalSet> {
        let named = |e: Error| Error::Usage(format!("{name} and {}: {e}", self.data));
        let dataset = self.open(self.split.into())?;
        let dataset = match opened {
            AnyNetwork::Trained(opened) => match opened.card.vocabulary() {
                Some(vocabulary) => dataset.with_vocabulary(vocabulary).map_err(named)?,
                None if opened.names_classes => dataset.with_classes(&opened.card.classes),
                None => dataset,
            },
            #[cfg(feature = "onnx")]
            AnyNetwork::Graph(_) => dataset,
        };
        let dataset = dataset.limit(self.limit.map_or(0, usize::from));
        let dataset = suited(opened, dataset).map_err(named)?;
        let is_image = dataset.arrays().is_none();
        let normalization = match opened {
            // Arrays are what the network takes.
            AnyNetwork::Trained(opened) if !is_image && !opened.says_normalization => Normalization::uniform(0.0, 1.0),
            AnyNetwork::Trained(opened) => {
                Normalization { mean: opened.card.mean.clone(), std: opened.card.std.clone() }
            }
            #[cfg(feature = "onnx")]
            AnyNetwork::Graph(opened) => match &opened.normalization {
                Some(normalization) => normalization.clone(),
                None if !is_image => Normalization::uniform(0.0, 1.0),
                None => {
                    let what = "how its samples were normalized is not in an ONNX file: give --mean and --std";
                    return Err(Error::Usage(format!("{name}: {what}")).into());
                }
            },
        };
        let source = EvalSet::new(Arc::new(dataset), normalization, self.batch.into());
        let classes = source.dataset.classes();
        let names_fit = match opened {
            #[cfg(feature = "onnx")]
            AnyNetwork::Graph(opened) if !is_image && opened.labels.is_some() => {
                Err(Error::Usage("--labels names the classes of images; the labels of arrays are numbers".into()))
            }
            _ if !is_image => Ok(()),
            // A network without names for its classes answers with as many numbers, and the data's order has to do.
            AnyNetwork::Trained(opened) if !opened.names_classes && opened.card.classes.len() == classes.len() => {
                Ok(())
            }
            AnyNetwork::Trained(opened) => opened.card.check_classes(classes),
            #[cfg(feature = "onnx")]
            AnyNetwork::Graph(opened) => opened.labels.as_ref().map_or(Ok(()), |labels| check_classes(labels, classes)),
        };
        let fits = names_fit.and_then(|()| source.check(opened.outline()));
        fits.map_err(named)?;
        let unknown = source.dataset.unknown_words();
        if unknown > 0 {
            let words = source.dataset.len();
            output::say(&format!("{}: {unknown} of {words} words are unknown to {name}, told as <unk>", self.data));
        }
        Ok(source)
    }

    /// The data as a report names them.
    pub(super) fn describe(&self, is_labelled: bool) -> String {
        let part = match self.split {
            _ if !is_labelled => {
                "without labels: accuracy is agreement with the whole network, loss divergence from it"
            }
            _ if self.data.starts_with("arrays:") => "with labels",
            Part::Train => "training split",
            Part::Valid => "validation split",
            Part::Test => "test split",
        };
        format!("{}, {part}", self.data)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    Train,
    /// Of a text
    Valid,
    Test,
}

impl From<Part> for Split {
    fn from(part: Part) -> Self {
        match part {
            Part::Train => Self::Train,
            Part::Valid => Self::Valid,
            Part::Test => Self::Test,
        }
    }
}

/// Arrays in the order in which the network takes them, and a graph for samples of their shape.
fn suited(opened: &mut AnyNetwork, dataset: Dataset) -> Result<Dataset, Error> {
    #[cfg(feature = "onnx")]
    let dataset = if let AnyNetwork::Graph(graph) = opened {
        let names: Vec<String> = graph.network.inputs().iter().map(|input| input.name.clone()).collect();
        let dataset = dataset.reorder_arrays(&names)?;
        let shapes = dataset.arrays().map(|all| all.iter().map(|(_, shape)| shape.to_vec()).collect());
        graph.network.fit(&shapes.unwrap_or_else(|| vec![dataset.shape().to_vec()]))?;
        dataset
    } else {
        dataset
    };
    if dataset.arrays().is_none() {
        return Ok(dataset);
    }
    let labels = dataset.labels().to_vec();
    dataset.with_labels(labels, opened.outline().classes)
}

/// Samples without labels are labelled with what the whole network says.
fn labelled(opened: &AnyNetwork, source: EvalSet) -> anyhow::Result<EvalSet> {
    if source.dataset.is_labelled() {
        return Ok(source);
    }
    let predictions = match opened {
        AnyNetwork::Trained(opened) => measure::predictions(&opened.model, &source),
        #[cfg(feature = "onnx")]
        AnyNetwork::Graph(opened) => measure::predictions(&opened.network, &source),
    }?;
    let EvalSet { dataset, normalization, batch, .. } = source;
    let dataset = Arc::into_inner(dataset).ok_or_else(|| Error::Usage("the samples are in use".into()))?;
    let dataset = dataset.with_labels(predictions, opened.outline().classes)?;
    Ok(EvalSet::new(Arc::new(dataset), normalization, batch))
}
