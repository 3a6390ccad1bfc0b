//! Whether two data sets hold the same samples.

use std::sync::Arc;

use super::super::npy::NamedArray;
use super::{Dataset, Storage};

impl Dataset {
    /// Returns whether another data set has the same samples with the same labels, in the same order. In what size images are
    /// seen, the order of arrays and the vocabulary of a text belong to the network, and do not count. Images in folders are
    /// the same where their files are.
    pub fn has_same_samples(&self, other: &Self) -> bool {
        let are_labels_same = (self.is_labelled, &self.labels, &self.position_labels)
            == (other.is_labelled, &other.labels, &other.position_labels);
        are_labels_same
            && self.indices == other.indices
            && (Arc::ptr_eq(&self.storage, &other.storage) || self.storage.is_same(&other.storage))
    }
}

impl Storage {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Images(one), Self::Images(other)) => (one.shape, &one.bytes) == (other.shape, &other.bytes),
            (Self::Folder(one), Self::Folder(other)) => one.has_same_files(other),
            (Self::Text(one), Self::Text(other)) => one.has_same_words(other),
            (Self::Arrays(one), Self::Arrays(other)) => are_same_arrays(one, other),
            _ => false,
        }
    }
}

/// Some values of an array, or why they cannot be read.
type Chunk<'a> = std::result::Result<std::borrow::Cow<'a, [f32]>, String>;

/// Returns whether arrays are the same, in any order.
fn are_same_arrays(one: &[NamedArray], other: &[NamedArray]) -> bool {
    let has_same_values = |one: &NamedArray, other: &NamedArray| {
        let mut pairs = one.values.chunks().zip(other.values.chunks());
        let is_same = |pair: (Chunk, Chunk)| matches!(pair, (Ok(one), Ok(other)) if are_same_bits(&one, &other));
        one.values.len() == other.values.len() && pairs.all(is_same)
    };
    let has_same = |array: &NamedArray| {
        let found = other.iter().find(|other| other.name == array.name);
        found.is_some_and(|found| found.shape == array.shape && has_same_values(found, array))
    };
    one.len() == other.len() && one.iter().all(has_same)
}

/// Returns whether values are the same bit for bit.
fn are_same_bits(one: &[f32], other: &[f32]) -> bool {
    one.iter().map(|value| value.to_bits()).eq(other.iter().map(|value| value.to_bits()))
}
