//! One split of a data set, which hands out single samples.

mod modify;
mod open;
mod resize_crop;
mod same_samples;

use std::sync::Arc;

pub use resize_crop::ResizeCrop;
pub(super) use resize_crop::format_size;

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

/// Images in memory that are resized and cropped when a sample is asked for.
#[derive(Debug)]
struct StoredImages {
    /// The images one after another.
    bytes: Vec<u8>,
    /// The byte that means white.
    white: u8,
    /// The shape of one image, `[channels, height, width]`.
    shape: [usize; 3],
    resize_crop: ResizeCrop,
}

impl StoredImages {
    /// Returns image `index` in its own size. `index` must be in range.
    fn full_size(&self, index: usize) -> PlanarImage {
        let size: usize = self.shape.iter().product();
        let white = f32::from(self.white);
        let bytes = &self.bytes[index * size..(index + 1) * size];
        PlanarImage { shape: self.shape, pixels: bytes.iter().map(|&byte| f32::from(byte) / white).collect() }
    }

    /// Returns image `index` resized and cropped. `index` must be in range.
    fn sample(&self, index: usize) -> Result<PlanarImage> {
        let [_, height, width] = self.shape;
        let sizes = self.resize_crop.sizes([height, width]).map_err(|what| Error::mismatch("images", what))?;
        Ok(self.resize_crop.apply(self.full_size(index), &sizes))
    }
}

/// Where the values of the samples are.
#[derive(Debug)]
enum Storage {
    /// Images in memory.
    Images(StoredImages),
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
    /// The labels at the positions of each sample, where there are several.
    position_labels: Option<Vec<Arc<[u32]>>>,
    streams: usize,
}

impl Dataset {
    /// The label of a position that does not count, -100 in files.
    pub const IGNORED: u32 = u32::MAX;

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

    /// Returns the part of the data that a sample belongs to: the sentence of a word, else the sample itself. Samples of
    /// different parts are independent. `sample` must be in range.
    pub fn group(&self, sample: usize) -> u32 {
        let index = self.indices[sample];
        match &*self.storage {
            Storage::Text(text) => text.sentence(index),
            _ => index as u32,
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

    /// Returns the number of labels of a sample, where it has one at each of its positions.
    pub fn label_positions(&self) -> Option<usize> {
        Some(self.position_labels.as_ref()?.first()?.len())
    }

    /// Returns the label at a position of a sample; `None` where the position does not count. A sample with a single label
    /// has it at every position.
    pub fn label_at(&self, sample: usize, position: usize) -> Option<u32> {
        match &self.position_labels {
            Some(labels) => Some(labels[sample][position]).filter(|&label| label != Self::IGNORED),
            None => Some(self.labels[sample]),
        }
    }

    /// Returns a CRC-32 of the content: shape, class names, labels, and the values in memory or the names of the image
    /// files. A training that is resumed compares it with that of its checkpoint.
    pub fn fingerprint(&self) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        self.add_shape(&mut sum);
        self.classes.iter().for_each(|class| sum.update(class.as_bytes()));
        self.labels.iter().for_each(|label| sum.update(&label.to_le_bytes()));
        let position_labels = self.position_labels.iter().flatten().flat_map(|labels| labels.iter());
        position_labels.for_each(|label| sum.update(&label.to_le_bytes()));
        self.add_samples(&mut sum);
        sum.finalize()
    }

    /// Returns a CRC-32 of the samples alone: shape, and the values in memory or the names of the image files.
    pub fn fingerprint_of_samples(&self) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        self.add_shape(&mut sum);
        self.add_samples(&mut sum);
        sum.finalize()
    }

    fn add_shape(&self, sum: &mut crc32fast::Hasher) {
        self.shape.iter().for_each(|&side| sum.update(&(side as u64).to_le_bytes()));
    }

    fn add_samples(&self, sum: &mut crc32fast::Hasher) {
        match &*self.storage {
            Storage::Images(images) => sum.update(&images.bytes),
            Storage::Text(text) => text.content().for_each(|number| sum.update(&number.to_le_bytes())),
            Storage::Folder(folder) => folder.names().for_each(|name| sum.update(name.as_encoded_bytes())),
            Storage::Arrays(arrays) => {
                // What cannot be read is an error where it is asked for.
                let chunks = arrays.iter().flat_map(|array| array.values.chunks()).flatten();
                chunks.for_each(|chunk| chunk.iter().for_each(|value| sum.update(&value.to_le_bytes())));
            }
        }
        // The shape does not tell a resized image from a cropped one.
        if let Some(resize_crop) = self.resize_crop().filter(|resize_crop| !resize_crop.is_identity()) {
            sum.update(format!("{resize_crop:?}").as_bytes());
        }
    }

    /// Returns how images are brought to one size; `None` for arrays, which hold the values at their size, and for texts.
    pub fn resize_crop(&self) -> Option<ResizeCrop> {
        match &*self.storage {
            Storage::Images(images) => Some(images.resize_crop),
            Storage::Folder(folder) => Some(folder.resize_crop()),
            // Arrays hold the resized values.
            Storage::Arrays(_) | Storage::Text(_) => None,
        }
    }

    /// Returns whether the samples are bytes of images in an array, from 0 to 255.
    pub fn holds_bytes(&self) -> bool {
        let [_, height, width] = self.shape;
        matches!(&*self.storage, Storage::Arrays(arrays) if arrays.iter().all(|array| array.is_bytes))
            && height * width > 1
    }

    /// Returns the entries of a folder that are no images of a class, such as files with other suffixes and hidden ones,
    /// relative to the directory of the split. Empty for other data sets.
    pub fn passed_over(&self) -> &[String] {
        match &*self.storage {
            Storage::Folder(folder) => &folder.passed_over,
            _ => &[],
        }
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
            Storage::Images(images) => out.copy_from_slice(&images.sample(index)?.pixels),
            Storage::Folder(folder) => out.copy_from_slice(&folder.sample(index)?.pixels),
            Storage::Text(text) => text.sample(index, out),
            Storage::Arrays(arrays) => {
                let mut rest = out;
                for array in arrays {
                    let values = array.row(index).map_err(|what| Error::mismatch("samples", what))?;
                    let (own, others) = rest.split_at_mut(values.len());
                    own.copy_from_slice(&values);
                    rest = others;
                }
            }
        }
        Ok(())
    }

    /// Returns sample `index` in the size of its file, before any [`ResizeCrop`]. A random resized crop starts from it.
    pub(super) fn full_size(&self, index: usize) -> Result<PlanarImage> {
        self.check_index(index)?;
        match &*self.storage {
            Storage::Folder(folder) => return folder.full_size(self.indices[index]),
            Storage::Images(images) => return Ok(images.full_size(self.indices[index])),
            Storage::Arrays(_) | Storage::Text(_) => {}
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
