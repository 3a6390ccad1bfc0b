//! Opens the training samples and the evaluated samples of an experiment.

use super::{DataConfig, Experiment};
use crate::data::{DEFAULT_STREAMS, DataSpec, Dataset, ResizeCrop, Split};
use crate::model::{EvaluatedSplit, Model};
use crate::nn::Network;
use crate::{Error, Result};

/// Returns the training samples and the samples to evaluate: the test split (of a text, `valid`), or the last samples of
/// the training split.
pub(super) fn open_data(experiment: &Experiment) -> Result<(Dataset, Dataset)> {
    let data = &experiment.data;
    let spec: DataSpec = data.source.parse()?;
    let resize_crop = ResizeCrop { resize: data.resize, crop: data.crop };
    let open = |split| Dataset::open(&spec, split, &resize_crop).map_err(as_config_error);
    let mut samples = open(Split::Train)?.with_streams(1);
    experiment.check_text(samples.vocabulary().is_some())?;
    if data.limit > 0 {
        samples = samples.limit(data.limit);
    }
    let streams = experiment.train.batch;
    let trained = samples.len().saturating_sub(data.validation);
    let is_too_short = trained < streams && (trained > 0 || data.validation == 0);
    if samples.vocabulary().is_some() && is_too_short {
        let what = format!("{streams} streams of a text of {trained} words; expected a word for each");
        return Err(Error::config("train.batch", what));
    }
    if data.validation == 0 && samples.arrays().is_some() {
        return Err(Error::config("data.validation", "0: arrays have no test split, some of them have to be held out"));
    }
    if data.validation == 0 {
        let is_text = samples.vocabulary().is_some();
        let test = open(if is_text { Split::Valid } else { Split::Test })?;
        if test.shape() != samples.shape() {
            return Err(Error::Shape {
                name: format!("test split of {}, [channels, height, width]", data.source),
                found: test.shape().to_vec(),
                expected: samples.shape().to_vec(),
            });
        }
        return Ok((samples.with_streams(streams), test));
    }
    let kept = samples.len().checked_sub(data.validation).filter(|&kept| kept > 0).ok_or_else(|| {
        Error::config(
            "data.validation",
            format!("{} of {} samples leaves none to train with", data.validation, samples.len()),
        )
    })?;
    let held_out =
        open(Split::Train)?.with_streams(1).limit(samples.len()).drop_first(kept).with_streams(DEFAULT_STREAMS);
    Ok((samples.limit(kept).with_streams(streams), held_out))
}

/// Returns which samples are evaluated.
pub(super) fn evaluated_on(data: &DataConfig, is_text: bool) -> EvaluatedSplit {
    match (data.validation, is_text) {
        (1.., _) => EvaluatedSplit::HeldOut,
        (0, true) => EvaluatedSplit::Validation,
        (0, false) => EvaluatedSplit::Test,
    }
}

/// Returns an error about an argument as one about the key of the experiment.
pub(super) fn as_config_error(error: Error) -> Error {
    match error {
        Error::Argument { name: name @ ("resize" | "crop"), why } => Error::config(format!("data.{name}"), why),
        Error::Argument { name: name @ ("mean" | "std"), why } => {
            Error::config(format!("data.normalization.{name}"), why)
        }
        other => other,
    }
}

/// Checks that a network takes augmented samples. A network with global average pooling takes any size.
pub(super) fn check_augmented(experiment: &Experiment, model: &Model, shape: [usize; 3]) -> Result<()> {
    let augmented = experiment.data.augment.shape(shape);
    let has_same_shapes = |other: Model| {
        let shapes = |m: &Model| m.parameters.iter().map(|(_, p)| p.shape.clone()).collect::<Vec<_>>();
        shapes(&other) == shapes(model)
    };
    if augmented == shape
        || Model::uninitialized(model.config(), augmented, model.outline().classes, model.parameters.device())
            .is_ok_and(has_same_shapes)
    {
        return Ok(());
    }
    let [_, height, width] = shape;
    let what = format!("this network takes images of {height}x{width} pixels and of no other size");
    Err(Error::config("data.augment.random_resized_crop", what))
}
