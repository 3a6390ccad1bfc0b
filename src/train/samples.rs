//! What a training learns from, and what it is evaluated on.

use super::Experiment;
use crate::data::{DataSpec, Dataset, ResizeCrop, STREAMS, Split};
use crate::model::Model;
use crate::nn::Network;
use crate::{Error, Result};

/// The samples to train with and those to evaluate: the test split, or the last of the training split.
pub(super) fn open_data(experiment: &Experiment) -> Result<(Dataset, Dataset)> {
    let data = &experiment.data;
    let spec: DataSpec = data.source.parse()?;
    let view = ResizeCrop { resize: data.resize, crop: data.crop };
    let open = |split| Dataset::open(&spec, split, &view);
    let mut samples = open(Split::Train)?.in_streams(1);
    experiment.check_words(samples.vocabulary().is_some())?;
    if data.limit > 0 {
        samples = samples.limit(data.limit);
    }
    let streams = experiment.train.batch;
    if samples.vocabulary().is_some() && samples.len() < streams {
        return Err(Error::config("train.batch", format!("{streams} streams of a text of {} words", samples.len())));
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
        return Ok((samples.in_streams(streams), test));
    }
    let rest = samples.len().checked_sub(data.validation).filter(|&rest| rest > 0).ok_or_else(|| {
        Error::config(
            "data.validation",
            format!("{} of {} samples leaves none to train with", data.validation, samples.len()),
        )
    })?;
    let held_out = open(Split::Train)?.in_streams(1).limit(samples.len()).skip(rest).in_streams(STREAMS);
    Ok((samples.limit(rest).in_streams(streams), held_out))
}

/// Checks that a network takes the samples that augmentation makes: one that averages each channel takes any size.
pub(super) fn check_augmented(experiment: &Experiment, model: &Model, shape: [usize; 3]) -> Result<()> {
    let augmented = experiment.data.augment.shape(shape);
    let same = |other: Model| {
        let shapes = |m: &Model| m.parameters.iter().map(|(_, p)| p.shape.clone()).collect::<Vec<_>>();
        shapes(&other) == shapes(model)
    };
    if augmented == shape
        || Model::unset(model.config(), augmented, model.outline().classes, model.parameters.backend()).is_ok_and(same)
    {
        return Ok(());
    }
    let [_, height, width] = shape;
    let what = format!("this network takes images of {height}x{width} pixels and of no other size");
    Err(Error::config("data.augment.random_resized_crop", what))
}
