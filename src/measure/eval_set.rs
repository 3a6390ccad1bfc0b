//! The samples that a network is measured with.

use std::sync::Arc;

use rayon::prelude::*;

use super::Prediction;
use crate::data::{
    Augment, Batch, Batches, Dataset, LoaderConfig, Normalization, NormalizationSource, SampleOrder, batches,
};
use crate::nn::{AnswerKind, Logits, Outline, Samples};
use crate::ranks::Ranks;
use crate::report::counted;
use crate::{Error, Result};

/// The samples that a network is measured with, normalized as it takes them.
#[derive(Clone, Debug)]
pub struct EvalSet {
    /// The samples.
    pub dataset: Arc<Dataset>,
    /// What the network was trained with.
    pub normalization: Normalization,
    /// Where the normalization comes from.
    pub normalization_source: NormalizationSource,
    /// The number of samples that run through the network at once. No result depends on it.
    pub batch: usize,
    /// The processes that share the samples. Each computes a part of them, and gets the results of all.
    pub ranks: Ranks,
}

impl EvalSet {
    /// Returns the samples of a data set.
    pub fn new(dataset: Arc<Dataset>, normalization: Normalization, batch: usize) -> Self {
        let normalization_source = NormalizationSource::default();
        Self { dataset, normalization, normalization_source, batch, ranks: Ranks::default() }
    }

    /// Returns the same samples for this process alone.
    pub(super) fn unshared(&self) -> Self {
        Self { ranks: Ranks::default(), ..self.clone() }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.dataset.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.dataset.is_empty()
    }

    /// Returns all samples in the data set's order, batch by batch. One worker prepares batches in advance.
    ///
    /// # Errors
    /// [`Error::Config`] where the normalization does not fit.
    pub fn batches(&self) -> Result<Batches> {
        let streams = self.dataset.streams();
        self.batches_with((0..self.len()).collect(), (self.batch / streams).max(1) * streams)
    }

    /// Returns the samples of a list in its order, so many at once.
    pub(super) fn batches_with(&self, list: Arc<[usize]>, batch: usize) -> Result<Batches> {
        let config = LoaderConfig {
            batch_size: batch,
            order: SampleOrder::Listed(list),
            augment: Augment::default(),
            normalization: self.normalization.clone(),
            drop_last: false,
            start: 0,
            workers: 1,
            part: None,
        };
        batches(&self.dataset, &config)
    }

    /// Returns the prediction for each sample of a batch. `samples` are their places in the data set, `whole` the outputs of
    /// the whole network.
    ///
    /// Samples without labels are labelled with what the whole network predicts: a prediction is correct where it agrees,
    /// and its loss is its divergence. A position counts where it is neither masked nor [ignored](Dataset::IGNORED).
    pub fn predictions(&self, kind: AnswerKind, samples: &[usize], logits: &Logits, whole: &Logits) -> Vec<Prediction> {
        let is_labelled = self.dataset.is_labelled();
        let prediction = |(row, &sample): (usize, &usize)| {
            let (answers, wholes) = (logits.sample(row), whole.sample(row));
            let is_whole = std::ptr::eq(logits, whole);
            let answers = answers.chunks_exact(logits.classes).zip(wholes.chunks_exact(whole.classes)).enumerate();
            let at = |(position, (answer, whole)): (usize, (&[f32], &[f32]))| {
                let whole = if is_whole { answer } else { whole };
                if !logits.counts(row, position) {
                    return None;
                }
                if kind != AnswerKind::Classes {
                    return Some(Prediction::distance(kind, answer, whole));
                }
                let label = self.dataset.label_at(sample, logits.place(row, position))?;
                let prediction = Prediction::new(answer, label, whole);
                Some(if is_labelled { prediction } else { prediction.unlabelled() })
            };
            Prediction { group: self.dataset.group(sample), ..Prediction::mean(answers.filter_map(at)) }
        };
        samples.par_iter().enumerate().map(prediction).collect()
    }

    /// Checks that a network takes these samples and has as many classes.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Mismatch`] that names both sides.
    pub fn check(&self, outline: &Outline) -> Result<()> {
        if outline.input != self.dataset.shape() {
            return Err(Error::Shape {
                name: "samples of the data set, [channels, height, width]".into(),
                found: self.dataset.shape().to_vec(),
                expected: outline.input.clone(),
            });
        }
        let positions = outline.answer.positions;
        if let Some(have) = self.dataset.label_positions().filter(|&have| have != positions) {
            let why =
                format!("the data set has {have} a sample, the network answers at {}", counted(positions, "position"));
            return Err(Error::mismatch("labels", why));
        }
        let (have, need) = (self.dataset.classes().len(), outline.classes);
        if have != need {
            return Err(Error::mismatch(
                "classes",
                format!("the data set has {have}, the network answers with {need}"),
            ));
        }
        Ok(())
    }
}

/// Returns the samples of a batch as a network takes them, and their labels.
pub fn samples(batch: Batch) -> (Samples, Vec<u32>) {
    (Samples { values: batch.images, shape: batch.shape }, batch.labels)
}
