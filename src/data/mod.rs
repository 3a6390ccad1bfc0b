//! Data sets and batches.
//!
//! A [`Dataset`] is opened from a [`DataSpec`] such as `digits` or `mnist:DIR` and holds the samples of one [`Split`];
//! [`Dataset::from_arrays`] makes one of values in memory. [`batches`] returns its samples in [`Batch`]es: ordered,
//! augmented, normalized, and prepared in advance by worker threads. All values are plain `Vec<f32>` of the layout
//! `[channels, height, width]`, independent of any tensor library.
//!
//! The images of `digits` are compiled in. They are from E. Alpaydin and C. Kaynak, *Optical Recognition of
//! Handwritten Digits* (1998), UCI Machine Learning Repository, licensed CC BY 4.0, in the selection of 1,797
//! images that scikit-learn ships. All other data sets are read from files.

mod augment;
mod binary_reader;
mod catalog;
mod cifar;
mod class_names;
mod dataset;
mod digits;
#[cfg(feature = "fetch")]
mod fetch;
mod folder;
mod idx;
mod loader;
mod normalization;
mod npy;
mod planar_image;
mod prefetch;
mod shard;
mod spec;
mod text;
#[cfg(feature = "fetch")]
mod unpack;

pub use augment::Augment;
pub use catalog::{CatalogEntry, RemoteFile, catalog};
pub use class_names::cifar_class_names;
#[cfg(feature = "onnx")]
pub(crate) use dataset::three_sides;
pub use dataset::{DEFAULT_STREAMS, Dataset, ResizeCrop};
#[cfg(feature = "fetch")]
pub use fetch::{DownloadProgress, fetch, fetch_from};
pub use loader::{Batch, Batches, LoaderConfig, SampleOrder, batches};
pub use normalization::{Normalization, NormalizationSource};
pub use shard::Shard;
pub use spec::{DataSpec, Split};
pub use text::Vocabulary;
