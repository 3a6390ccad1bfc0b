//! Fast operations for the CPU, with their gradients. This room knows nothing of networks.
//!
//! Activations lie in blocks of sixteen channels, `[batch, channels / 16, height, width, 16]`: a block of one pixel fills
//! one register of AVX-512. Channels that are missing from the last block are zeros. Convolution, its input gradient and
//! its weight gradient all read and write this layout; nothing is ever transposed between them.

mod allocator;
mod backend;
mod blocked;
mod char_cnn;
mod combine;
mod conv;
mod convolve;
mod cross_entropy;
mod dense_block;
mod feature_map;
mod functional;
mod layout;
mod lstm;
mod matrix;
mod max_pool;
mod norm;
mod operation;
mod parallel;
mod sgd;
mod simd;
mod statistics;

pub use allocator::CachingAllocator;
pub use backend::{Backend, Kernels};
pub use combine::Carry;
pub use feature_map::{Epilogue, FeatureMap, Weights, WindowOptions};
pub use functional::{CrossEntropy, char_cnn, cross_entropy, linear, lstm};
pub(crate) use norm::EPSILON;
pub use sgd::Sgd;
