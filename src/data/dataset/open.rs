//! Data sets from files and from memory.

use std::sync::Arc;

use super::super::class_names::{self, to_strings};
use super::super::folder::Folder;
use super::super::normalization::Normalization;
use super::super::npy::{self, ArrayFile, NamedArray, Values};
use super::super::spec::{DataKind, DataSpec, Split};
use super::super::text::TextDataset;
use super::super::{binary_reader, cifar, digits, idx};
use super::{DEFAULT_STREAMS, Dataset, ResizeCrop, Storage, StoredImages, three_sides};
use crate::{Error, Result};

impl Dataset {
    /// Opens one split of a data set. The images of a folder stay on disk, everything else is read into memory.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] if a file is missing, cannot be read or is not valid; [`Error::Argument`]
    /// if `resize_crop` is not possible for the data set; [`Error::Unsupported`] if it has no such split.
    pub fn open(spec: &DataSpec, split: Split, resize_crop: &ResizeCrop) -> Result<Self> {
        let (kind, path) = (spec.kind(), spec.path());
        resize_crop.check(kind)?;
        if !matches!(kind, DataKind::Digits | DataKind::Arrays) {
            binary_reader::check_directory(path)?;
        }
        if split == Split::Valid && kind != DataKind::Text {
            return Err(Error::unsupported(kind.name(), "no split 'valid'; there are train and test"));
        }
        let (images, classes) = match kind {
            DataKind::Digits => (digits::open(split)?, to_strings(&class_names::DIGITS)),
            DataKind::Mnist => (idx::open(kind, path, split)?, to_strings(&class_names::DIGITS)),
            DataKind::FashionMnist => (idx::open(kind, path, split)?, to_strings(&class_names::FASHION_MNIST)),
            DataKind::Cifar10 => (cifar::open_10(path, split)?, to_strings(&class_names::CIFAR_10)),
            DataKind::Cifar100 => (cifar::open_100(path, split)?, cifar::class_names_100(path)?),
            DataKind::Arrays => {
                let resized = npy::open(path)?.resized(resize_crop);
                return Ok(Self::from_array_file(resized.map_err(|what| Error::file(path, what))?));
            }
            DataKind::Folder => return Ok(Self::from_folder(Folder::open(path, split, *resize_crop)?)),
            DataKind::Text => return Self::from_text(TextDataset::open(path, split)?),
        };
        let white = if kind == DataKind::Digits { digits::WHITE } else { u8::MAX };
        let [channels, height, width] = images.shape;
        let sizes = resize_crop.sizes([height, width]).map_err(|what| Error::mismatch(spec, what))?;
        let stored = StoredImages { bytes: images.bytes, white, shape: images.shape, resize_crop: *resize_crop };
        Ok(Self {
            storage: Arc::new(Storage::Images(stored)),
            shape: [channels, sizes.cropped[0], sizes.cropped[1]],
            classes,
            indices: (0..images.labels.len()).collect(),
            labels: images.labels,
            normalization: Normalization::usual(kind),
            is_labelled: true,
            position_labels: None,
            streams: 1,
        })
    }

    /// Returns a data set of values in memory, as the network takes them: its normalization changes nothing.
    ///
    /// `values` has the shape `[samples, channels, height, width]` and is in row-major order. A label is an index into
    /// `classes`, the names of the classes of the network. Without `labels` all labels are 0, and [`Dataset::is_labelled`]
    /// is false.
    ///
    /// ```
    /// use unrolled::data::Dataset;
    ///
    /// let values = (0..2 * 3 * 4 * 4).map(|i| i as f32).collect();
    /// let classes = ["cat", "dog"].map(str::to_owned).to_vec();
    /// let data = Dataset::from_arrays(values, [2, 3, 4, 4], Some(vec![1, 0]), classes)?;
    /// assert_eq!((data.len(), data.shape(), data.labels()), (2, [3, 4, 4], &[1, 0][..]));
    ///
    /// let mut sample = [0.0; 48];
    /// data.sample(1, &mut sample)?;
    /// assert_eq!(sample[..2], [48.0, 49.0]);
    /// # Ok::<(), unrolled::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if `values` has not the length of its shape; [`Error::Argument`] if there is no sample or class, or a
    /// value is not finite; [`Error::Mismatch`] if the number of labels is not that of the samples, or a label is no class.
    pub fn from_arrays(
        values: Vec<f32>,
        shape: [usize; 4],
        labels: Option<Vec<u32>>,
        classes: Vec<String>,
    ) -> Result<Self> {
        let [samples, channels, height, width] = shape;
        let size = shape.iter().try_fold(1_usize, |size, &side| size.checked_mul(side));
        if size != Some(values.len()) {
            let (found, expected) = (vec![values.len()], shape.to_vec());
            return Err(Error::Shape { name: "values".into(), found, expected });
        }
        if values.is_empty() {
            return Err(Error::argument("values", "no samples, expected at least one"));
        }
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let sample = place / (channels * height * width);
            let what = format!("{} in sample {sample}, expected finite numbers", values[place]);
            return Err(Error::argument("values", what));
        }
        if classes.is_empty() {
            return Err(Error::argument("classes", "no names, expected one for each class of the network"));
        }
        let shape = [channels, height, width];
        let values = Values::Memory(values);
        let array = NamedArray { name: "array".into(), shape: shape.to_vec(), values, is_bytes: false };
        let mut dataset = Self::from_array_file(ArrayFile { arrays: vec![array], labels: None, position_labels: None });
        if let Some(labels) = labels {
            check_labels(&labels, samples, classes.len())?;
            dataset.labels = labels;
            dataset.is_labelled = true;
        }
        dataset.classes = classes;
        Ok(dataset)
    }

    /// Returns a data set of named arrays in memory, as those of a `.npz` file: an array for each input of the network, and
    /// maybe one named `labels`, with one label a sample or one for each of its positions, of which -100 does not count.
    ///
    /// An array is given as name, shape `[samples, …]`, and values in row-major order. The network takes the values as they
    /// are.
    ///
    /// ```
    /// use unrolled::data::Dataset;
    ///
    /// let words = ("words".to_owned(), vec![2, 3], vec![5.0, 1.0, 2.0, 5.0, 3.0, 0.0]);
    /// let labels = ("labels".to_owned(), vec![2], vec![1.0, 0.0]);
    /// let data = Dataset::from_named_arrays(vec![words, labels])?;
    /// assert_eq!((data.len(), data.shape(), data.labels()), (2, [1, 1, 3], &[1, 0][..]));
    /// # Ok::<(), unrolled::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if an array has not the length of its shape; [`Error::Mismatch`] if arrays have different numbers of
    /// rows, there is no sample, a value is not finite, or a label is none.
    pub fn from_named_arrays(arrays: Vec<(String, Vec<usize>, Vec<f32>)>) -> Result<Self> {
        let rows = |(name, shape, values): (String, Vec<usize>, Vec<f32>)| {
            let size = shape.iter().try_fold(1_usize, |size, &side| size.checked_mul(side));
            match shape.split_first() {
                Some((&rows, row)) if size == Some(values.len()) => {
                    let values = Values::Memory(values);
                    Ok((NamedArray { name, shape: row.to_vec(), values, is_bytes: false }, rows))
                }
                _ => Err(Error::Shape { name, found: vec![values.len()], expected: shape }),
            }
        };
        let arrays = arrays.into_iter().map(rows).collect::<Result<_>>()?;
        let file = ArrayFile::new(arrays).map_err(|what| Error::mismatch("arrays", what))?;
        Ok(Self::from_array_file(file))
    }

    fn from_folder(mut folder: Folder) -> Self {
        Self {
            shape: folder.shape(),
            classes: std::mem::take(&mut folder.classes),
            indices: (0..folder.labels.len()).collect(),
            labels: std::mem::take(&mut folder.labels),
            storage: Arc::new(Storage::Folder(folder)),
            normalization: Normalization::usual(DataKind::Folder),
            is_labelled: true,
            position_labels: None,
            streams: 1,
        }
    }

    fn from_array_file(ArrayFile { arrays, labels, position_labels }: ArrayFile) -> Self {
        let sizes = arrays.iter().map(|array| array.shape.iter().product::<usize>());
        let shape = match arrays.as_slice() {
            [NamedArray { shape, .. }] => three_sides(shape),
            _ => [1, 1, sizes.sum()],
        };
        let rows = arrays[0].rows();
        let is_labelled = labels.is_some() || position_labels.is_some();
        let counted = |labels: &Arc<[u32]>| labels.iter().copied().find(|&label| label != Self::IGNORED).unwrap_or(0);
        let first = position_labels.as_ref().map(|samples| samples.iter().map(counted).collect());
        let labels = labels.or(first).unwrap_or_else(|| vec![0; rows]);
        let all = position_labels.iter().flatten().flat_map(|labels| labels.iter()).chain(&labels);
        let greatest = all.copied().filter(|&label| label != Self::IGNORED).max().unwrap_or(0);
        let classes = (0..=greatest).map(|class| class.to_string()).collect();
        let normalization = Normalization::usual(DataKind::Arrays);
        let (storage, indices) = (Arc::new(Storage::Arrays(arrays)), (0..labels.len()).collect());
        Self { storage, shape, classes, labels, indices, normalization, is_labelled, position_labels, streams: 1 }
    }

    pub(super) fn from_text(text: TextDataset) -> Result<Self> {
        let labels = text.labels()?;
        let vocabulary = text.vocabulary();
        let dataset = Self {
            shape: [1, 1, vocabulary.length],
            classes: vocabulary.words.clone(),
            indices: (0..labels.len()).collect(),
            labels,
            normalization: Normalization::usual(DataKind::Text),
            is_labelled: true,
            position_labels: None,
            streams: 1,
            storage: Arc::new(Storage::Text(text)),
        };
        Ok(dataset.with_streams(DEFAULT_STREAMS))
    }
}

/// Checks that there is one label per sample and that each is a class.
pub(super) fn check_labels(labels: &[u32], samples: usize, classes: usize) -> Result<()> {
    if labels.len() != samples {
        return Err(Error::mismatch("labels", format!("{} for {samples} samples", labels.len())));
    }
    match labels.iter().find(|&&label| label as usize >= classes) {
        Some(label) => Err(no_class(*label, classes)),
        None => Ok(()),
    }
}

/// Checks that the label of each position is a class or [ignored](Dataset::IGNORED).
pub(super) fn check_position_labels(labels: &[u32], classes: usize) -> Result<()> {
    match labels.iter().find(|&&label| label != Dataset::IGNORED && label as usize >= classes) {
        Some(label) => Err(no_class(*label, classes)),
        None => Ok(()),
    }
}

fn no_class(label: u32, classes: usize) -> Error {
    Error::mismatch(format_args!("label {label}"), format!("there are {classes} classes"))
}
