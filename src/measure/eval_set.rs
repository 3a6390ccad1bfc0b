//! The samples that a network is measured with.

use std::sync::Arc;

use rayon::prelude::*;

use super::Prediction;
use super::prediction::WholeAnswer;
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
    /// The shape of a sample where the values only stand for it, as an index does; `None` where they are the sample.
    pub stands_for: Option<Vec<usize>>,
}

impl EvalSet {
    /// Returns the samples of a data set.
    pub fn new(dataset: Arc<Dataset>, normalization: Normalization, batch: usize) -> Self {
        let normalization_source = NormalizationSource::default();
        Self { dataset, normalization, normalization_source, batch, ranks: Ranks::default(), stands_for: None }
    }

    /// Returns the same samples where each stands for one of another shape, which the network has.
    pub fn standing_for(self, shape: &[usize]) -> Self {
        Self { stands_for: Some(shape.to_vec()), ..self }
    }

    /// Returns the shape of a sample as it enters the network.
    fn shape(&self) -> Vec<usize> {
        self.stands_for.clone().unwrap_or_else(|| self.dataset.shape().to_vec())
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

    /// Returns the predictions for the samples of a batch along routes, `[route][sample]`. `samples` are their places in
    /// the data set, `whole` the outputs of the whole network; it may be one of the `routes`.
    ///
    /// Samples without labels are labelled with what the whole network predicts: a prediction is correct where it agrees,
    /// and its loss is its divergence. A position counts where it is neither masked nor [ignored](Dataset::IGNORED).
    pub fn predictions(
        &self,
        kind: AnswerKind,
        samples: &[usize],
        whole: &Logits,
        routes: &[Logits],
    ) -> Vec<Vec<Prediction>> {
        let of_sample = |(row, &sample)| self.predictions_of_sample(kind, (row, sample), whole, routes);
        let of_samples: Vec<Vec<Prediction>> = samples.par_iter().enumerate().map(of_sample).collect();
        (0..routes.len()).map(|route| of_samples.iter().map(|of_sample| of_sample[route]).collect()).collect()
    }

    /// Returns the predictions for one sample along routes. `row` is its place in the batch, `sample` in the data set.
    fn predictions_of_sample(
        &self,
        kind: AnswerKind,
        (row, sample): (usize, usize),
        whole: &Logits,
        routes: &[Logits],
    ) -> Vec<Prediction> {
        let is_labelled = self.dataset.is_labelled();
        let mut found = vec![Vec::with_capacity(whole.positions); routes.len()];
        for (position, whole) in whole.sample(row).chunks_exact(whole.classes).enumerate() {
            // All routes are compared with one answer of the whole network.
            let mut classes = (kind == AnswerKind::Classes).then(|| WholeAnswer::new(whole));
            for (found, logits) in found.iter_mut().zip(routes).filter(|(_, logits)| logits.counts(row, position)) {
                let answer = &logits.sample(row)[position * logits.classes..][..logits.classes];
                let Some(classes) = &mut classes else {
                    found.push(Prediction::distance(kind, answer, whole));
                    continue;
                };
                if let Some(label) = self.dataset.label_at(sample, logits.place(row, position)) {
                    let prediction = classes.prediction(answer, label);
                    found.push(if is_labelled { prediction } else { prediction.unlabelled() });
                }
            }
        }
        let group = self.dataset.group(sample);
        found.into_iter().map(|found| Prediction { group, ..Prediction::mean(found.into_iter()) }).collect()
    }

    /// Checks that a network takes these samples and has as many classes.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Mismatch`] that names both sides.
    pub fn check(&self, outline: &Outline) -> Result<()> {
        if outline.input != self.shape() {
            return Err(Error::Shape {
                name: "samples of the data set, [channels, height, width]".into(),
                found: self.shape(),
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
