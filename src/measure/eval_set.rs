//! The samples that a network is measured with.

use std::sync::Arc;

use super::Prediction;
use crate::data::{Augment, Batch, Batches, Dataset, LoaderConfig, Normalization, SampleOrder, batches};
use crate::nn::{Outline, Samples};
use crate::{Error, Result};

/// The samples that a network is measured with, normalized as it takes them.
#[derive(Clone, Debug)]
pub struct EvalSet {
    /// The samples.
    pub dataset: Arc<Dataset>,
    /// What the network was trained with.
    pub normalization: Normalization,
    /// The number of samples that run through the network at once. No result depends on it.
    pub batch: usize,
}

impl EvalSet {
    /// Returns the samples of a data set.
    pub fn new(dataset: Arc<Dataset>, normalization: Normalization, batch: usize) -> Self {
        Self { dataset, normalization, batch }
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
        };
        batches(&self.dataset, &config)
    }

    /// Returns the prediction for one row of logits. `whole` is the row of the whole network.
    ///
    /// Samples without labels are labelled with what the whole network predicts: a prediction is correct where it agrees,
    /// and its loss is its divergence.
    pub fn prediction(&self, logits: &[f32], label: u32, whole: &[f32]) -> Prediction {
        let prediction = Prediction::new(logits, label, whole);
        if self.dataset.is_labelled() { prediction } else { prediction.unlabelled() }
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
