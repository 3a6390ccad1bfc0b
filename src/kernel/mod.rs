//! Fast operations for the CPU, with their gradients. This room knows nothing of networks.
//!
//! Activations lie in blocks of sixteen channels, `[batch, channels / 16, height, width, 16]`: a block of one pixel fills
//! one register of AVX-512. Channels that are missing from the last block are zeros. Convolution, its input gradient and
//! its weight gradient all read and write this layout; nothing is ever transposed between them.

mod blocked;
mod char_cnn;
mod choice;
mod combine;
mod conv;
mod convolve;
mod dense_block;
mod descent;
mod keeping;
mod lanes;
mod layout;
mod likelihood;
mod lstm;
mod map;
mod matrix;
mod norm;
mod op;
mod parts;
mod pool;
mod rows;
mod statistics;

pub use choice::Kernels;
pub use combine::Carry;
pub use descent::Sgd;
pub use keeping::CachingAllocator;
pub use map::{Epilogue, FeatureMap, Stride, Weights};
pub(crate) use norm::EPSILON;
pub use rows::{CrossEntropy, likelihood, linear, lstm, spelling};
