//! The batches of one pass over a data set.

use std::sync::Arc;

use super::augment::Augment;
use super::dataset::Dataset;
use super::normalization::Normalization;
use super::prefetch::Prefetcher;
use super::shard::Shard;
use crate::random::{Purpose, shuffle, stream};
use crate::{Error, Result};

/// The most worker threads: more of them prepare no batch earlier.
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
                shuffle(&mut stream(*seed, Purpose::SampleOrder, &[*epoch]), &mut indices);
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

/// Which samples a pass over a data set visits, and how they become batches.
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderConfig {
    /// The number of samples in a batch, at least 1.
    pub batch_size: usize,
    /// Which samples, and in which order.
    pub order: SampleOrder,
    /// Random changes to the samples, made with [`SampleOrder::Shuffled`] only.
    pub augment: Augment,
    /// The normalization of the samples, after the augmentation.
    pub normalization: Normalization,
    /// Whether a last batch that is not full is left out.
    pub drop_last: bool,
    /// The number of the first batch that is returned, from 0. A training that is resumed in the middle of an epoch starts
    /// at the number of batches it has finished, and gets the same remaining batches.
    pub start: usize,
    /// The number of threads that prepare batches in advance. With 0, each batch is prepared when it is asked for. The
    /// batches do not depend on it.
    pub workers: usize,
    /// The part of every batch that is made; `None` for all of it. Of a text it is a part of the streams.
    pub part: Option<Shard>,
}

impl LoaderConfig {
    /// Returns the number of batches of one pass over a data set of `samples` samples, including those that `start`
    /// leaves out. A listed order visits as many samples as its list has, whatever `samples` is.
    pub fn batch_count(&self, samples: usize) -> usize {
        let (samples, batch) = (self.order.count(samples), self.batch_size.max(1));
        match self.drop_last {
            true => samples / batch,
            false => samples.div_ceil(batch),
        }
    }
}

/// Some samples of a data set, as a network takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The samples, normalized, in row-major order.
    pub images: Vec<f32>,
    /// The shape of `images`, `[batch, channels, height, width]`.
    pub shape: [usize; 4],
    /// The label of each sample.
    pub labels: Vec<u32>,
    /// The index of each sample in the data set.
    pub indices: Vec<usize>,
}

/// An iterator over the batches of one pass, see [`batches`].
///
/// A batch with a sample that cannot be read is an error; the batches after it follow. Dropping the iterator stops the
/// worker threads.
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

/// Returns the batches of one pass over `dataset`.
///
/// # Errors
/// [`Error::Config`] if the batch size is 0, or if the augmentation does not fit the shape of the samples; [`Error::Argument`]
/// if the normalization does not fit it, or a listed sample is not in the data set.
pub fn batches(dataset: &Arc<Dataset>, config: &LoaderConfig) -> Result<Batches> {
    if config.batch_size == 0 {
        return Err(Error::config("train.batch", "0 samples, expected at least 1"));
    }
    let [channels, ..] = dataset.shape();
    config.augment.check(dataset.shape())?;
    config.normalization.check(channels)?;
    config.order.check(dataset.len())?;
    let indices = config.order.indices(dataset.len());
    let pass = Pass { dataset: Arc::clone(dataset), indices, config: config.clone() };
    let end = config.batch_count(dataset.len());
    let workers = config.workers.min(MAX_WORKERS);
    Ok(Batches(Prefetcher::new(config.start, end, workers, move |number| pass.batch(number))))
}

/// One pass over a data set, from which any batch can be made.
struct Pass {
    dataset: Arc<Dataset>,
    config: LoaderConfig,
    indices: Vec<usize>,
}

impl Pass {
    /// Returns the indices of the samples of a batch, or of the part of it that is asked for.
    fn batch_indices(&self, number: usize) -> Vec<usize> {
        let first = number.saturating_mul(self.config.batch_size).min(self.indices.len());
        let end = first.saturating_add(self.config.batch_size).min(self.indices.len());
        let indices = &self.indices[first..end];
        match (self.config.part, self.dataset.streams()) {
            (None, _) => indices.to_vec(),
            (Some(part), 1) => indices[part.range(indices.len())].to_vec(),
            (Some(part), streams) => {
                let own = part.range(streams);
                let rows = (first..end).zip(indices);
                rows.filter(|(row, _)| own.contains(&(row % streams))).map(|(_, &index)| index).collect()
            }
        }
    }

    fn batch(&self, number: usize) -> Result<Batch> {
        let augment = self.config.augment;
        let indices = self.batch_indices(number);
        let [channels, height, width] = match self.config.order {
            SampleOrder::Sequential | SampleOrder::Listed(_) => self.dataset.shape(),
            SampleOrder::Shuffled { .. } => augment.shape(self.dataset.shape()),
        };
        let size = channels * height * width;
        let mut images = Vec::new();
        let values = indices.len().saturating_mul(size);
        images.try_reserve_exact(values).map_err(|_| {
            let why = format!("{} samples of {size} values do not fit into memory at once; take fewer", indices.len());
            Error::argument("batch", why)
        })?;
        images.resize(values, 0.0);
        for (&index, image) in indices.iter().zip(images.chunks_exact_mut(size)) {
            match self.config.order {
                SampleOrder::Sequential | SampleOrder::Listed(_) => self.dataset.sample(index, image)?,
                SampleOrder::Shuffled { seed, epoch } => {
                    let mut rng = stream(seed, Purpose::Augment, &[epoch, index as u64]);
                    augment.sample(&self.dataset, index, &mut rng, image)?;
                }
            }
            self.config.normalization.apply(channels, image);
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
