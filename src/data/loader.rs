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

/// In which order the samples come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As the data set has them, and as they are: nothing is augmented.
    Sequential,
    /// In an order, and with changes, that depend on nothing but these two numbers and the sample.
    Shuffled {
        /// The seed of the run.
        seed: u64,
        /// The epoch, from 0.
        epoch: u64,
    },
}

/// How one pass over a data set is cut into batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Samples in a batch, at least 1.
    pub batch: usize,
    /// The order of the samples.
    pub order: Order,
    /// Random changes to the samples; only with [`Order::Shuffled`].
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
    /// The number of batches of one pass over `samples` samples, including those that `start` leaves out.
    pub fn batches_of(&self, samples: usize) -> usize {
        let batch = self.batch.max(1);
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
/// The batch size is 0, or the augmentation or normalization does not fit the shape of the samples.
pub fn batches(dataset: &Arc<Dataset>, plan: &Plan) -> Result<Batches> {
    if plan.batch == 0 {
        return Err(Error::config("train.batch", "0 samples, expected at least 1"));
    }
    let [channels, ..] = dataset.shape();
    plan.augment.check(dataset.shape())?;
    plan.normalization.check(channels)?;
    let pass =
        ForwardContext { dataset: Arc::clone(dataset), order: order(plan.order, dataset.len()), plan: plan.clone() };
    let end = plan.batches_of(dataset.len());
    let workers = plan.workers.min(MAX_WORKERS);
    Ok(Batches(Prefetcher::new(plan.start, end, workers, move |number| pass.batch(number))))
}

/// The places of all samples in the order in which they come.
fn order(order: Order, samples: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..samples).collect();
    if let Order::Shuffled { seed, epoch } = order {
        shuffle(&mut stream(seed, Purpose::Order, &[epoch]), &mut places);
    }
    places
}

/// All that a worker needs to make any batch of a pass.
struct ForwardContext {
    dataset: Arc<Dataset>,
    plan: Plan,
    order: Vec<usize>,
}

impl ForwardContext {
    fn batch(&self, number: usize) -> Result<Batch> {
        let Plan { batch, augment, .. } = self.plan;
        let first = (number * batch).min(self.order.len());
        let end = first.saturating_add(batch).min(self.order.len());
        let indices = self.order[first..end].to_vec();
        let [channels, height, width] = match self.plan.order {
            Order::Sequential => self.dataset.shape(),
            Order::Shuffled { .. } => augment.shape(self.dataset.shape()),
        };
        let size = channels * height * width;
        let mut images = vec![0.0; indices.len() * size];
        for (&index, image) in indices.iter().zip(images.chunks_exact_mut(size)) {
            match self.plan.order {
                Order::Sequential => self.dataset.sample(index, image)?,
                Order::Shuffled { seed, epoch } => {
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
