//! Data sets and batches.
//!
//! A [`Dataset`] is opened from a [`DataSpec`] such as `digits` or `mnist:DIR` and holds the samples of one
//! [`Split`]. [`batches`] turns it into [`Batch`]es: ordered, augmented, normalized, decoded ahead on threads.
//! Everything here is plain `Vec<f32>`, planar (`[channels, height, width]`), and knows of no tensor library.
//!
//! The images of `digits` are compiled in. They are from E. Alpaydin and C. Kaynak, *Optical Recognition of
//! Handwritten Digits* (1998), UCI Machine Learning Repository, licensed CC BY 4.0, in the selection of 1,797
//! images that scikit-learn ships. All other data sets are read from a directory.

mod ahead;
mod arrays;
mod augment;
mod cifar;
mod dataset;
mod digits;
#[cfg(feature = "fetch")]
mod fetch;
mod folder;
mod idx;
mod known;
mod loader;
mod names;
mod normalization;
mod planes;
mod read;
mod spec;
mod text;
#[cfg(feature = "fetch")]
mod unpack;

pub use augment::Augment;
pub use dataset::{Dataset, ResizeCrop, STREAMS};
#[cfg(feature = "fetch")]
pub use fetch::{Progress, fetch, fetch_from};
pub use known::{Catalog, Remote, known};
pub use loader::{Batch, Batches, Plan, SampleOrder, batches};
pub use names::cifar as cifar_classes;
pub use normalization::Normalization;
pub use spec::{DataSpec, Split};
pub use text::Vocabulary;
