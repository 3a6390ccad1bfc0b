//! One split of a data set, which hands out single samples.

mod modify;
mod open;
mod resize_crop;

use std::sync::Arc;

pub use resize_crop::ResizeCrop;

use super::folder::Folder;
use super::normalization::Normalization;
use super::npy::NamedArray;
use super::planar_image::PlanarImage;
use super::text::{TextDataset, Vocabulary};
use crate::{Error, Result};

/// The number of streams that a text is cut into by default, as in Kim et al. 2015.
pub const DEFAULT_STREAMS: usize = 20;

/// Returns the shape of a sample in three sides: with leading ones, or one row where it has more than three.
pub(crate) fn three_sides(shape: &[usize]) -> [usize; 3] {
    match *shape {
        [] => [1, 1, 1],
        [length] => [1, 1, length],
        [height, width] => [1, height, width],
        [channels, height, width] => [channels, height, width],
        _ => [1, 1, shape.iter().product()],
    }
}

/// Images of one shape in memory, one byte per value.
#[derive(Debug)]
pub(super) struct ImageBytes {
    /// The shape of one image, `[channels, height, width]`.
    pub(super) shape: [usize; 3],
    /// The label of each image.
    pub(super) labels: Vec<u32>,
    /// The images one after another.
    pub(super) bytes: Vec<u8>,
}

/// Where the values of the samples are.
#[derive(Debug)]
enum Storage {
    /// Bytes in memory, and the byte that means white.
    Bytes(Vec<u8>, u8),
    /// Image files that are decoded when a sample is asked for.
    Folder(Folder),
    /// Arrays with one row per sample.
    Arrays(Vec<NamedArray>),
    /// The words of a text.
    Text(TextDataset),
}

/// One split of a data set: samples of one shape with a label each. Samples from arrays may have no labels.
#[derive(Debug)]
pub struct Dataset {
    storage: Arc<Storage>,
    shape: [usize; 3],
    classes: Vec<String>,
    labels: Vec<u32>,
    /// The index of each sample in the storage.
    indices: Vec<usize>,
    normalization: Normalization,
    is_labelled: bool,
    streams: usize,
}

impl Dataset {
    /// Returns the words and characters of a text; `None` for other data sets.
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        match &*self.storage {
            Storage::Text(text) => Some(text.vocabulary()),
            _ => None,
        }
    }

    /// Returns how many words of a text are not in its vocabulary and are replaced by `<unk>`; 0 for other data sets.
    pub fn unknown_words(&self) -> usize {
        match &*self.storage {
            Storage::Text(text) => text.count_unknown(&self.indices),
            _ => 0,
        }
    }

    /// Returns the number of streams that the samples form: sample `n` belongs to stream `n % streams` and follows sample
    /// `n - streams`. Samples that do not follow each other form one stream.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// Returns the name and the shape of each array that a sample consists of; `None` if a sample is an image or a word.
    pub fn arrays(&self) -> Option<Vec<(&str, &[usize])>> {
        match &*self.storage {
            Storage::Arrays(arrays) => Some(arrays.iter().map(|a| (a.name.as_str(), a.shape.as_slice())).collect()),
            _ => None,
        }
    }

    /// Returns whether the samples have labels. If not, all labels are 0.
    pub fn is_labelled(&self) -> bool {
        self.is_labelled
    }

    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns whether there are no samples. A data set that was just opened has at least one.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the shape of one sample, `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Returns the names of the classes. A label is an index into them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Returns the label of every sample.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Returns a CRC-32 of the content: shape, class names, labels, and the values in memory or the names of the image
    /// files. A training that is resumed compares it with that of its checkpoint.
    pub fn fingerprint(&self) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        self.shape.iter().for_each(|&side| sum.update(&(side as u64).to_le_bytes()));
        self.classes.iter().for_each(|class| sum.update(class.as_bytes()));
        self.labels.iter().for_each(|label| sum.update(&label.to_le_bytes()));
        match &*self.storage {
            Storage::Bytes(bytes, _) => sum.update(bytes),
            Storage::Text(text) => text.content().for_each(|number| sum.update(&number.to_le_bytes())),
            Storage::Folder(folder) => folder.names().for_each(|name| sum.update(name.as_encoded_bytes())),
            Storage::Arrays(arrays) => {
                arrays.iter().flat_map(|a| &a.values).for_each(|v| sum.update(&v.to_le_bytes()));
            }
        }
        sum.finalize()
    }

    /// Returns the usual normalization of this data set.
    pub fn normalization(&self) -> Normalization {
        self.normalization.clone()
    }

    /// Writes sample `index`, `[channels, height, width]`, to `out`. It is not normalized: in images, black is 0 and white
    /// is 1.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if there is no such sample; [`Error::Shape`] if `out` has not the length of a sample;
    /// [`Error::File`] if an image file cannot be decoded or has another size than the first one.
    pub fn sample(&self, index: usize, out: &mut [f32]) -> Result<()> {
        let size: usize = self.shape.iter().product();
        if out.len() != size {
            return Err(Error::Shape {
                name: format!("sample {index}"),
                found: vec![out.len()],
                expected: self.shape.to_vec(),
            });
        }
        self.check_index(index)?;
        let index = self.indices[index];
        match &*self.storage {
            Storage::Bytes(bytes, white) => {
                let white = f32::from(*white);
                let bytes = &bytes[index * size..(index + 1) * size];
                out.iter_mut().zip(bytes).for_each(|(x, &byte)| *x = f32::from(byte) / white);
            }
            Storage::Folder(folder) => out.copy_from_slice(&folder.sample(index)?.pixels),
            Storage::Text(text) => text.sample(index, out),
            Storage::Arrays(arrays) => {
                let values = arrays.iter().flat_map(|array| array.row(index));
                out.iter_mut().zip(values).for_each(|(x, &value)| *x = value);
            }
        }
        Ok(())
    }

    /// Returns sample `index` in the size of its file, before any [`ResizeCrop`]. A random resized crop starts from it.
    pub(super) fn full_size(&self, index: usize) -> Result<PlanarImage> {
        self.check_index(index)?;
        if let Storage::Folder(folder) = &*self.storage {
            return folder.full_size(self.indices[index]);
        }
        let mut pixels = vec![0.0; self.shape.iter().product()];
        self.sample(index, &mut pixels)?;
        let shape = self.shape;
        Ok(PlanarImage { shape, pixels })
    }

    fn check_index(&self, index: usize) -> Result<()> {
        match index < self.len() {
            true => Ok(()),
            false => {
                Err(Error::mismatch(format_args!("sample {index}"), format!("the data set has {} samples", self.len())))
            }
        }
    }
}

#[cfg(test)]
mod tests;
