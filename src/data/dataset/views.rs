//! The same samples otherwise: fewer of them, in another order, with other labels.

use std::sync::Arc;

use super::super::arrays::Array;
use super::super::text::{self, Vocabulary};
use super::{Dataset, Store};
use crate::random::{Purpose, shuffle, stream};
use crate::{Error, Result};

impl Dataset {
    /// The same samples with their arrays in the order of these names; a single array may have any.
    ///
    /// # Errors
    /// [`Error::Usage`] that names an array that is missing or is not asked for.
    pub fn arranged(mut self, names: &[String]) -> Result<Self> {
        let store = Arc::get_mut(&mut self.store).ok_or_else(|| Error::Usage("the samples are in use".into()))?;
        let Store::Arrays(arrays) = store else { return Ok(self) };
        if names.len() == 1 && arrays.len() == 1 {
            return Ok(self);
        }
        let have = |arrays: &[Array]| arrays.iter().map(|a| a.name.clone()).collect::<Vec<_>>().join(", ");
        for (place, name) in names.iter().enumerate() {
            let found = arrays.iter().position(|array| array.name == *name);
            let what =
                || Error::Usage(format!("no array '{name}', which the network takes; there are {}", have(arrays)));
            let found = found.ok_or_else(what)?;
            arrays.swap(place, found);
        }
        match arrays.get(names.len()) {
            Some(array) => Err(Error::Usage(format!("array '{}': the network takes {}", array.name, names.join(", ")))),
            None => Ok(self),
        }
    }

    /// The same samples with other labels, of so many classes that have numbers alone.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are other labels than samples, or one is none of the classes.
    pub fn relabelled(mut self, labels: Vec<u32>, classes: usize) -> Result<Self> {
        if labels.len() != self.labels.len() {
            return Err(Error::Usage(format!("{} labels for {} samples", labels.len(), self.labels.len())));
        }
        if let Some(label) = labels.iter().find(|&&label| label as usize >= classes) {
            return Err(Error::Usage(format!("label {label}, the network answers with {classes} classes")));
        }
        self.classes = (0..classes).map(|class| class.to_string()).collect();
        self.labels = labels;
        Ok(self)
    }

    /// The same samples labelled by these classes, where each of the data set's own is the name of exactly one of them:
    /// a folder need not hold all classes of a network. Otherwise the data set as it is.
    #[must_use]
    pub fn among(mut self, classes: &[String]) -> Self {
        let place = |name: &String| {
            let mut places =
                classes.iter().enumerate().filter(|(_, class)| *class == name).map(|(place, _)| place as u32);
            places.next().filter(|_| places.next().is_none())
        };
        if let Some(places) = self.classes.iter().map(place).collect::<Option<Vec<u32>>>() {
            self.labels.iter_mut().for_each(|label| *label = places[*label as usize]);
            self.classes = classes.to_vec();
        }
        self
    }

    /// The same text for a network that knows these words and characters.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is no text, or holds a word for which the network has no place.
    pub fn read_by(self, vocabulary: Vocabulary) -> Result<Self> {
        match Arc::try_unwrap(self.store) {
            Ok(Store::Text(passages)) => Self::text(passages.read_by(vocabulary)),
            _ => Err(Error::Usage("the network takes words; give its samples as text:DIR".into())),
        }
    }

    /// The same text cut into so many streams of equal length, but for one word; samples that do not follow each other
    /// stay as they are.
    #[must_use]
    pub fn in_streams(mut self, streams: usize) -> Self {
        if self.vocabulary().is_none() {
            return self;
        }
        let mut pairs: Vec<(usize, u32)> = self.places.iter().copied().zip(self.labels.iter().copied()).collect();
        pairs.sort_unstable();
        let streams = streams.clamp(1, pairs.len().max(1));
        let order = text::in_streams(pairs.len(), streams);
        (self.places, self.labels) = order.into_iter().map(|place| pairs[place]).unzip();
        self.streams = streams;
        self
    }

    /// Keeps the first `n` samples in the data set's order; all of them where `n` is 0 or larger than the data set.
    ///
    /// In a folder the order takes one image of each class in turn, so that the first samples are balanced. Of a text the
    /// first words remain, cut into as many streams.
    pub fn limit(self, n: usize) -> Self {
        if n == 0 || n >= self.len() {
            return self;
        }
        let streams = self.streams;
        let mut all = self.in_streams(1);
        all.labels.truncate(n);
        all.places.truncate(n);
        all.in_streams(streams)
    }

    /// Leaves the first `rest` samples out.
    pub fn skip(mut self, rest: usize) -> Self {
        let rest = rest.min(self.labels.len());
        self.labels.drain(..rest);
        self.places.drain(..rest);
        self
    }

    /// Two halves that share no sample, drawn by a seed, each in the data set's order; of an odd number the second has
    /// one more. The halves of a text are the first and the second of every stream.
    pub fn halves(&self, seed: u64) -> [Self; 2] {
        let mut drawn: Vec<usize> = (0..self.len()).collect();
        let mut middle = self.len() / 2;
        if self.vocabulary().is_none() {
            shuffle(&mut stream(seed, Purpose::Chosen, &[]), &mut drawn);
        } else {
            middle = middle / self.streams * self.streams;
        }
        let (one, other) = drawn.split_at(middle);
        [one, other].map(|half| {
            let mut half = half.to_vec();
            half.sort_unstable();
            Self {
                store: Arc::clone(&self.store),
                shape: self.shape,
                classes: self.classes.clone(),
                labels: half.iter().map(|&sample| self.labels[sample]).collect(),
                places: half.iter().map(|&sample| self.places[sample]).collect(),
                normalization: self.normalization.clone(),
                is_labelled: self.is_labelled,
                streams: self.streams,
            }
        })
    }
}
