//! Batches: which samples, in which order, changed how.

use std::sync::Arc;

use super::ahead::Prefetcher;
use super::augment::Augment;
use super::dataset::Dataset;
use super::normalization::Normalization;
use crate::random::{Purpose, shuffle, stream};
use crate::{Error, Result};

/// More workers than this bring nothing but threads.
const MAX_WORKERS: usize = 64;

/// Which samples a pass visits, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SampleOrder {
    /// All samples in the order of the data set, not augmented.
    Sequential,
    /// All samples in a random order, augmented. The order depends on `seed` and `epoch` only, the augmentation of a
    /// sample on these and on its index.
    Shuffled {
        /// The seed of the run.
        seed: u64,
        /// The epoch, from 0.
        epoch: u64,
    },
    /// The samples of these indices in this order, not augmented. An index may occur more than once.
    Listed(Arc<[usize]>),
}

impl SampleOrder {
    /// Returns the indices that a pass over a data set of `samples` samples visits.
    fn indices(&self, samples: usize) -> Vec<usize> {
        match self {
            Self::Sequential => (0..samples).collect(),
            Self::Shuffled { seed, epoch } => {
                let mut indices: Vec<usize> = (0..samples).collect();
                shuffle(&mut stream(*seed, Purpose::Order, &[*epoch]), &mut indices);
                indices
            }
            Self::Listed(indices) => indices.to_vec(),
        }
    }

    /// Returns the number of samples that a pass over a data set of `samples` samples visits.
    fn count(&self, samples: usize) -> usize {
        match self {
            Self::Sequential | Self::Shuffled { .. } => samples,
            Self::Listed(indices) => indices.len(),
        }
    }

    /// Checks that every index is one of a data set of `samples` samples.
    fn check(&self, samples: usize) -> Result<()> {
        let Self::Listed(indices) = self else { return Ok(()) };
        match indices.iter().find(|&&index| index >= samples) {
            Some(index) => Err(Error::argument("order", format!("sample {index} of a data set of {samples} samples"))),
            None => Ok(()),
        }
    }
}

/// How one pass over a data set is cut into batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Samples in a batch, at least 1.
    pub batch: usize,
    /// The order of the samples.
    pub order: SampleOrder,
    /// Random changes to the samples; only with [`SampleOrder::Shuffled`].
    pub augment: Augment,
    /// What is subtracted and divided by, after the augmentation.
    pub normalization: Normalization,
    /// Leaves out a last batch that is not full.
    pub drop_last: bool,
    /// Batches to leave out at the beginning. A run that is resumed in the middle of an epoch gives the number of
    /// batches it has seen, and gets the same rest.
    pub start: usize,
    /// Threads that prepare batches ahead. With 0 each batch is made when it is asked for; the batches are the same.
    pub workers: usize,
}

impl Plan {
    /// Returns the number of batches of one pass over a data set of `samples` samples, including those that `start`
    /// leaves out. A listed order visits as many samples as its list has, whatever `samples` is.
    pub fn batches_of(&self, samples: usize) -> usize {
        let (samples, batch) = (self.order.count(samples), self.batch.max(1));
        match self.drop_last {
            true => samples / batch,
            false => samples.div_ceil(batch),
        }
    }
}

/// Some samples of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The images, normalized, in the layout of `shape`.
    pub images: Vec<f32>,
    /// `[batch, channels, height, width]`.
    pub shape: [usize; 4],
    /// The label of each image.
    pub labels: Vec<u32>,
    /// The place of each sample in the data set.
    pub indices: Vec<usize>,
}

/// The batches of one pass, see [`batches`].
///
/// A sample that cannot be read is an error in the place of its batch; the batches after it follow. Dropping this
/// stops the threads.
pub struct Batches(Prefetcher<Result<Batch>>);

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl ExactSizeIterator for Batches {}

/// One pass over `dataset`, batch by batch.
///
/// # Errors
/// [`Error::Config`] if the batch size is 0, or if the augmentation or normalization does not fit the shape of the
/// samples; [`Error::Argument`] if a listed sample is not in the data set.
pub fn batches(dataset: &Arc<Dataset>, plan: &Plan) -> Result<Batches> {
    if plan.batch == 0 {
        return Err(Error::config("train.batch", "0 samples, expected at least 1"));
    }
    let [channels, ..] = dataset.shape();
    plan.augment.check(dataset.shape())?;
    plan.normalization.check(channels)?;
    plan.order.check(dataset.len())?;
    let indices = plan.order.indices(dataset.len());
    let pass = Pass { dataset: Arc::clone(dataset), indices, plan: plan.clone() };
    let end = plan.batches_of(dataset.len());
    let workers = plan.workers.min(MAX_WORKERS);
    Ok(Batches(Prefetcher::new(plan.start, end, workers, move |number| pass.batch(number))))
}

/// All that a worker needs to make any batch of a pass.
struct Pass {
    dataset: Arc<Dataset>,
    plan: Plan,
    indices: Vec<usize>,
}

impl Pass {
    fn batch(&self, number: usize) -> Result<Batch> {
        let Plan { batch, augment, .. } = self.plan;
        let first = number.saturating_mul(batch).min(self.indices.len());
        let end = first.saturating_add(batch).min(self.indices.len());
        let indices = self.indices[first..end].to_vec();
        let [channels, height, width] = match self.plan.order {
            SampleOrder::Sequential | SampleOrder::Listed(_) => self.dataset.shape(),
            SampleOrder::Shuffled { .. } => augment.shape(self.dataset.shape()),
        };
        let size = channels * height * width;
        let mut images = vec![0.0; indices.len() * size];
        for (&index, image) in indices.iter().zip(images.chunks_exact_mut(size)) {
            match self.plan.order {
                SampleOrder::Sequential | SampleOrder::Listed(_) => self.dataset.sample(index, image)?,
                SampleOrder::Shuffled { seed, epoch } => {
                    let mut rng = stream(seed, Purpose::Augment, &[epoch, index as u64]);
                    augment.sample(&self.dataset, index, &mut rng, image)?;
                }
            }
            self.plan.normalization.apply(channels, image);
        }
        Ok(Batch {
            shape: [indices.len(), channels, height, width],
            labels: indices.iter().map(|&index| self.dataset.labels()[index]).collect(),
            images,
            indices,
        })
    }
}

#[cfg(test)]
mod tests;
