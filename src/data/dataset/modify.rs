//! Data sets made from another one: fewer samples, another order, other labels.

use std::sync::Arc;

use super::super::npy::NamedArray;
use super::super::text::{Vocabulary, stream_order};
use super::open::{check_labels, check_position_labels};
use super::{Dataset, Storage};
use crate::random::{Purpose, shuffle, stream};
use crate::{Error, Result};

impl Dataset {
    /// Returns the data set with the arrays of its samples in the order of `names`. A single array may have any name. Other
    /// data sets are returned as they are.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names an array that is missing, or one that is not in `names`; [`Error::Unsupported`] if
    /// another data set shares the samples.
    pub fn reorder_arrays(mut self, names: &[String]) -> Result<Self> {
        let storage = Arc::get_mut(&mut self.storage)
            .ok_or_else(|| Error::unsupported("data set", "its samples are shared with another data set"))?;
        let Storage::Arrays(arrays) = storage else { return Ok(self) };
        if names.len() == 1 && arrays.len() == 1 {
            return Ok(self);
        }
        let all_names = |arrays: &[NamedArray]| arrays.iter().map(|a| a.name.clone()).collect::<Vec<_>>().join(", ");
        for (place, name) in names.iter().enumerate() {
            let found = arrays.iter().position(|array| array.name == *name);
            let missing = || {
                let what = format!("the network takes it, but the samples consist of {}", all_names(arrays));
                Error::mismatch(format_args!("array '{name}'"), what)
            };
            let found = found.ok_or_else(missing)?;
            arrays.swap(place, found);
        }
        match arrays.get(names.len()) {
            Some(array) => {
                let subject = format!("array '{}'", array.name);
                Err(Error::mismatch(subject, format!("the network takes {}", names.join(", "))))
            }
            None => Ok(self),
        }
    }

    /// Returns the data set with these labels and with `classes` classes, whose names are their numbers.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the number of labels is not that of the samples, or a label is not less than `classes`.
    pub fn with_labels(mut self, labels: Vec<u32>, classes: usize) -> Result<Self> {
        check_labels(&labels, self.labels.len(), classes)?;
        self.classes = (0..classes).map(|class| class.to_string()).collect();
        self.labels = labels;
        self.position_labels = None;
        Ok(self)
    }

    /// Returns the data set with labels `[samples, positions]`, row-major, and with `classes` classes, whose names are their
    /// numbers. A position with the label [`Dataset::IGNORED`] does not count.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the number of labels is none of the samples, or a label is not less than `classes`.
    pub fn with_position_labels(mut self, labels: &[u32], classes: usize) -> Result<Self> {
        let positions = labels.len() / self.len().max(1);
        if positions * self.len() != labels.len() || labels.is_empty() {
            return Err(Error::mismatch("labels", format!("{} for {} samples", labels.len(), self.len())));
        }
        check_position_labels(labels, classes)?;
        if positions == 1 {
            return self.with_labels(labels.to_vec(), classes);
        }
        self.classes = (0..classes).map(|class| class.to_string()).collect();
        let counted = |labels: &[u32]| labels.iter().copied().find(|&label| label != Self::IGNORED).unwrap_or(0);
        self.labels = labels.chunks_exact(positions).map(counted).collect();
        self.position_labels = Some(labels.chunks_exact(positions).map(Arc::from).collect());
        Ok(self)
    }

    /// Returns the data set without labels, for answers of so many values that are no classes.
    #[must_use]
    pub fn without_labels(mut self, values: usize) -> Self {
        self.classes = (0..values).map(|value| value.to_string()).collect();
        self.labels.iter_mut().for_each(|label| *label = 0);
        (self.position_labels, self.is_labelled) = (None, false);
        self
    }

    /// Returns the data set with `classes` classes, whose names are their numbers, and the labels that it has.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if a label is not less than `classes`.
    pub fn with_class_count(mut self, classes: usize) -> Result<Self> {
        check_labels(&self.labels, self.len(), classes)?;
        self.position_labels.iter().flatten().try_for_each(|labels| check_position_labels(labels, classes))?;
        self.classes = (0..classes).map(|class| class.to_string()).collect();
        Ok(self)
    }

    /// Returns the data set with labels that are indices into `classes`, matched by the names of the classes: a folder
    /// need not hold all classes of a network.
    ///
    /// If the name of one of its classes is missing in `classes` or occurs there twice, the data set is returned as it is.
    #[must_use]
    pub fn with_classes(mut self, classes: &[String]) -> Self {
        let only_index = |name: &String| {
            let mut indices = (0..).zip(classes).filter(|(_, class)| *class == name).map(|(index, _)| index);
            indices.next().filter(|_| indices.next().is_none())
        };
        if let Some(new_labels) = self.classes.iter().map(only_index).collect::<Option<Vec<u32>>>() {
            self.labels.iter_mut().for_each(|label| *label = new_labels[*label as usize]);
            self.classes = classes.to_vec();
        }
        self
    }

    /// Returns the text with labels and characters of another vocabulary, that of the network which reads it.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the data set is no text, or if it has a word that is not in the vocabulary and the vocabulary
    /// has no `<unk>`.
    pub fn with_vocabulary(self, vocabulary: Vocabulary) -> Result<Self> {
        match Arc::try_unwrap(self.storage) {
            Ok(Storage::Text(text)) => Self::from_text(text.with_vocabulary(vocabulary)),
            _ => Err(Error::mismatch("samples", "the network takes words; give them as text:DIR")),
        }
    }

    /// Returns arrays of bytes with values from 0 to 1, as those of images.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where another data set shares the arrays.
    pub fn with_scaled_bytes(mut self) -> Result<Self> {
        let shared = || Error::mismatch("samples", "they are in use and cannot be scaled");
        let storage = Arc::get_mut(&mut self.storage).ok_or_else(shared)?;
        if let Storage::Arrays(arrays) = storage {
            for array in arrays.iter_mut().filter(|array| array.is_bytes) {
                array.values.divide(255.0);
                array.is_bytes = false;
            }
        }
        Ok(self)
    }

    /// Returns the text cut into this many streams. Their lengths differ by one word at most. Data sets whose samples do
    /// not follow each other are returned as they are.
    #[must_use]
    pub fn with_streams(mut self, streams: usize) -> Self {
        if self.vocabulary().is_none() {
            return self;
        }
        let mut pairs: Vec<(usize, u32)> = self.indices.iter().copied().zip(self.labels.iter().copied()).collect();
        pairs.sort_unstable();
        let streams = streams.clamp(1, pairs.len().max(1));
        let order = stream_order(pairs.len(), streams);
        (self.indices, self.labels) = order.into_iter().map(|place| pairs[place]).unzip();
        self.streams = streams;
        self
    }

    /// Returns the first `n` samples; all samples if `n` is 0 or larger than the data set.
    ///
    /// A folder is ordered so that its classes alternate: its first samples are balanced. Of a text the first words are
    /// kept, cut into as many streams as before.
    pub fn limit(self, n: usize) -> Self {
        if n == 0 || n >= self.len() {
            return self;
        }
        let streams = self.streams;
        let mut all = self.with_streams(1);
        all.labels.truncate(n);
        all.indices.truncate(n);
        all.position_labels.iter_mut().for_each(|labels| labels.truncate(n));
        all.with_streams(streams)
    }

    /// Returns the samples after the first `n`.
    pub fn drop_first(mut self, n: usize) -> Self {
        let n = n.min(self.labels.len());
        self.labels.drain(..n);
        self.indices.drain(..n);
        self.position_labels.iter_mut().for_each(|labels| drop(labels.drain(..n)));
        self
    }

    /// Returns two halves that share no sample, drawn at random by a seed, each in the order of the data set. Of an odd
    /// number of samples the second half has one more. The halves of a text are the first and the second one of every
    /// stream.
    pub fn split_half(&self, seed: u64) -> [Self; 2] {
        let mut drawn: Vec<usize> = (0..self.len()).collect();
        let mut middle = self.len() / 2;
        if self.vocabulary().is_none() {
            shuffle(&mut stream(seed, Purpose::VerificationSplit, &[]), &mut drawn);
        } else {
            middle = middle / self.streams * self.streams;
        }
        let (first, second) = drawn.split_at(middle);
        [first, second].map(|half| {
            let mut half = half.to_vec();
            half.sort_unstable();
            Self {
                storage: Arc::clone(&self.storage),
                shape: self.shape,
                classes: self.classes.clone(),
                labels: half.iter().map(|&sample| self.labels[sample]).collect(),
                indices: half.iter().map(|&sample| self.indices[sample]).collect(),
                normalization: self.normalization.clone(),
                is_labelled: self.is_labelled,
                position_labels: (self.position_labels.as_ref())
                    .map(|labels| half.iter().map(|&sample| Arc::clone(&labels[sample])).collect()),
                streams: self.streams,
            }
        })
    }
}
