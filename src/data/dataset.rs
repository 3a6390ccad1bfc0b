//! One split of a data set, ready to hand out samples.

mod views;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::arrays::{self, Array, Arrays};
use super::folder::Folder;
use super::normalization::Normalization;
use super::planes::Planes;
use super::spec::{DataSpec, Kind, Split};
use super::text::{TextDataset, Vocabulary};
use super::{cifar, digits, idx, names, read};
use crate::{Error, Result};

/// How images of a folder are brought to one size; other data sets take none of it.
///
/// Without options all images must have the same size as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeCrop {
    /// The shorter side is resized to this many pixels, the longer one in proportion.
    #[serde(default)]
    pub resize: Option<usize>,
    /// After that the square of this many pixels a side is cut from the middle.
    #[serde(default)]
    pub crop: Option<usize>,
}

impl ResizeCrop {
    /// # Errors
    /// A size is 0, the crop is larger than what is left after the resize, or the data set is no folder.
    fn check(&self, kind: Kind) -> Result<()> {
        for (key, size) in [("data.resize", self.resize), ("data.crop", self.crop)] {
            match size {
                Some(_) if kind != Kind::Folder => {
                    let name = kind.name();
                    return Err(Error::config(key, format!("only for folder:DIR, the images of {name} have one size")));
                }
                Some(0) => return Err(Error::config(key, "0 pixels, expected at least 1")),
                _ => {}
            }
        }
        match (self.resize, self.crop) {
            (Some(resize), Some(crop)) if crop > resize => {
                let what = format!("{crop} pixels, expected at most the {resize} of data.resize");
                Err(Error::config("data.crop", what))
            }
            _ => Ok(()),
        }
    }
}

/// Images of one shape in memory, a byte a value.
#[derive(Debug)]
pub(super) struct Packed {
    /// `[channels, height, width]` of one image.
    pub(super) shape: [usize; 3],
    pub(super) labels: Vec<u32>,
    /// The images one after another.
    pub(super) bytes: Vec<u8>,
}

/// Where the pixels are.
#[derive(Debug)]
enum Store {
    /// In memory, with the value that means white.
    Memory(Vec<u8>, u8),
    /// In files that are decoded when asked for.
    Folder(Folder),
    /// As numbers, one row a sample.
    Arrays(Vec<Array>),
    /// As words, each of which follows another.
    Text(TextDataset),
}

/// One split of a data set: images of one shape with a label each, or rows of arrays, which may have none.
#[derive(Debug)]
pub struct Dataset {
    store: Arc<Store>,
    shape: [usize; 3],
    classes: Vec<String>,
    labels: Vec<u32>,
    /// Place of every sample in the store.
    places: Vec<usize>,
    normalization: Normalization,
    is_labelled: bool,
    streams: usize,
}

impl Dataset {
    /// Opens one split of a data set. Images of a folder stay on disk, all others are read into memory.
    ///
    /// # Errors
    /// A file is missing, cannot be read, or is not what it should be; `view` does not suit the data set.
    pub fn open(spec: &DataSpec, split: Split, view: &ResizeCrop) -> Result<Self> {
        let (kind, dir) = (spec.kind(), spec.dir());
        view.check(kind)?;
        if !matches!(kind, Kind::Digits | Kind::Arrays) {
            read::directory(dir)?;
        }
        if split == Split::Valid && kind != Kind::Text {
            return Err(Error::Usage(format!("{} has no split 'valid', but train and test", kind.name())));
        }
        let ten = |names: &[&str; 10]| Ok(names::owned(names));
        let (packed, classes) = match kind {
            Kind::Digits => (digits::open(split)?, ten(&names::DIGITS)),
            Kind::Mnist => (idx::open(kind, dir, split)?, ten(&names::DIGITS)),
            Kind::FashionMnist => (idx::open(kind, dir, split)?, ten(&names::FASHION_MNIST)),
            Kind::Cifar10 => (cifar::open_10(dir, split)?, ten(&names::CIFAR_10)),
            Kind::Cifar100 => (cifar::open_100(dir, split)?, cifar::names_100(dir)),
            Kind::Arrays => return Ok(Self::of_arrays(arrays::open(dir)?)),
            Kind::Folder => return Ok(Self::folder(Folder::open(dir, split, *view)?)),
            Kind::Text => return Self::text(TextDataset::open(dir, split)?),
        };
        let white = if kind == Kind::Digits { digits::WHITE } else { u8::MAX };
        Ok(Self {
            store: Arc::new(Store::Memory(packed.bytes, white)),
            shape: packed.shape,
            classes: classes?,
            places: (0..packed.labels.len()).collect(),
            labels: packed.labels,
            normalization: Normalization::of(kind),
            is_labelled: true,
            streams: 1,
        })
    }

    fn folder(mut folder: Folder) -> Self {
        Self {
            shape: folder.shape(),
            classes: std::mem::take(&mut folder.classes),
            places: (0..folder.labels.len()).collect(),
            labels: std::mem::take(&mut folder.labels),
            store: Arc::new(Store::Folder(folder)),
            normalization: Normalization::of(Kind::Folder),
            is_labelled: true,
            streams: 1,
        }
    }

    fn of_arrays(Arrays { arrays, labels }: Arrays) -> Self {
        let sizes = arrays.iter().map(|array| array.shape.iter().product::<usize>());
        let shape = match arrays.as_slice() {
            [Array { shape, .. }] if shape.len() == 3 => [shape[0], shape[1], shape[2]],
            _ => [1, 1, sizes.sum()],
        };
        let rows = arrays[0].values.len() / arrays[0].shape.iter().product::<usize>().max(1);
        let is_labelled = labels.is_some();
        let labels = labels.unwrap_or_else(|| vec![0; rows]);
        let classes = (0..=labels.iter().copied().max().unwrap_or(0)).map(|class| class.to_string()).collect();
        let normalization = Normalization::of(Kind::Arrays);
        let (store, places) = (Arc::new(Store::Arrays(arrays)), (0..labels.len()).collect());
        Self { store, shape, classes, labels, places, normalization, is_labelled, streams: 1 }
    }

    fn text(passages: TextDataset) -> Result<Self> {
        let labels = passages.labels()?;
        let vocabulary = passages.vocabulary();
        let dataset = Self {
            shape: [1, 1, vocabulary.length],
            classes: vocabulary.words.clone(),
            places: (0..labels.len()).collect(),
            labels,
            normalization: Normalization::of(Kind::Text),
            is_labelled: true,
            streams: 1,
            store: Arc::new(Store::Text(passages)),
        };
        Ok(dataset.in_streams(STREAMS))
    }

    /// Of a text, the words and characters that it is told by.
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        match &*self.store {
            Store::Text(passages) => Some(passages.vocabulary()),
            _ => None,
        }
    }

    /// Of a text, how many words are told as `<unk>` although they are others.
    pub fn unknown_words(&self) -> usize {
        match &*self.store {
            Store::Text(passages) => {
                let is_stranger = passages.strangers();
                self.places.iter().filter(|&&place| is_stranger(place)).count()
            }
            _ => 0,
        }
    }

    /// How many streams the samples form: sample `n` belongs to stream `n % streams` and continues sample
    /// `n - streams`. Samples that do not follow each other form one.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// Names and shapes of the arrays that a sample is made of, one after another; `None` where it is an image.
    pub fn arrays(&self) -> Option<Vec<(&str, &[usize])>> {
        match &*self.store {
            Store::Arrays(arrays) => Some(arrays.iter().map(|a| (a.name.as_str(), a.shape.as_slice())).collect()),
            _ => None,
        }
    }

    /// Whether the samples have labels; where they have none, all are 0.
    pub fn is_labelled(&self) -> bool {
        self.is_labelled
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples; no data set opens without any.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The shape of one sample, `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The names of the classes; a label is an index into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The label of every sample.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// A checksum of what the samples are made of: shape, class names, labels, and the bytes in memory or the paths of
    /// the files. A run that is resumed must find the same.
    pub fn fingerprint(&self) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        self.shape.iter().for_each(|&side| sum.update(&(side as u64).to_le_bytes()));
        self.classes.iter().for_each(|class| sum.update(class.as_bytes()));
        self.labels.iter().for_each(|label| sum.update(&label.to_le_bytes()));
        match &*self.store {
            Store::Memory(bytes, _) => sum.update(bytes),
            Store::Text(passages) => passages.numbers().for_each(|number| sum.update(&number.to_le_bytes())),
            Store::Folder(folder) => folder.names().for_each(|name| sum.update(name.as_encoded_bytes())),
            Store::Arrays(arrays) => {
                arrays.iter().flat_map(|a| &a.values).for_each(|v| sum.update(&v.to_le_bytes()));
            }
        }
        sum.finalize()
    }

    /// The usual normalization of this data set.
    pub fn normalization(&self) -> Normalization {
        self.normalization.clone()
    }

    /// Writes sample `index` to `out`, `[channels, height, width]`, black 0 and white 1, not normalized.
    ///
    /// # Errors
    /// There is no such sample, `out` has another length than a sample, or its file cannot be decoded or has another
    /// size than the first one.
    pub fn sample(&self, index: usize, out: &mut [f32]) -> Result<()> {
        let size: usize = self.shape.iter().product();
        if out.len() != size {
            return Err(Error::Shape {
                name: format!("sample {index}"),
                found: vec![out.len()],
                expected: self.shape.to_vec(),
            });
        }
        self.in_range(index)?;
        let index = self.places[index];
        match &*self.store {
            Store::Memory(bytes, white) => {
                let white = f32::from(*white);
                let bytes = &bytes[index * size..(index + 1) * size];
                out.iter_mut().zip(bytes).for_each(|(x, &byte)| *x = f32::from(byte) / white);
            }
            Store::Folder(folder) => out.copy_from_slice(&folder.sample(index)?.pixels),
            Store::Text(passages) => passages.sample(index, out),
            Store::Arrays(arrays) => {
                let values = arrays.iter().flat_map(|array| array.row(index));
                out.iter_mut().zip(values).for_each(|(x, &value)| *x = value);
            }
        }
        Ok(())
    }

    /// Sample `index` in the size of its file, before any [`ResizeCrop`]: what a random resized crop starts from.
    pub(super) fn original(&self, index: usize) -> Result<Planes> {
        self.in_range(index)?;
        if let Store::Folder(folder) = &*self.store {
            return folder.original(self.places[index]);
        }
        let mut pixels = vec![0.0; self.shape.iter().product()];
        self.sample(index, &mut pixels)?;
        let shape = self.shape;
        Ok(Planes { shape, pixels })
    }

    fn in_range(&self, index: usize) -> Result<()> {
        match index < self.len() {
            true => Ok(()),
            false => Err(Error::Usage(format!("there is no sample {index}: the data set has {}", self.len()))),
        }
    }
}

/// Streams that a text is cut into where nothing else is said, as in Kim et al. 2015.
pub const STREAMS: usize = 20;

#[cfg(test)]
mod tests;
