//! Fast operations for the CPU, with their gradients. This module knows nothing of networks.
//!
//! Feature maps are stored in the *blocked layout*, `[batch, channels / 16, height, width, 16]` (oneDNN's `nChw16c`): the
//! sixteen channels of a *channel block* lie side by side, so that those of one pixel fill one register of AVX-512. The last
//! channel block is padded with zeros. Convolution, its input gradient and its weight gradient all read and write this layout,
//! and nothing is transposed between them.
//!
//! * [`FeatureMap`] is the entry: it runs an operation by native kernels or by Burn's, as the [`Backend`] says.
//! * `operation` connects a native operation to Burn's gradient graph; `convolve`, `combine`, `dense_block` and others
//!   are the operations.
//! * `conv` holds the convolution algorithms: direct, Winograd's, and those of the gradients.
//! * `simd`, `parallel` and `memory` hold what is `unsafe` about vectors, threads and uninitialized memory behind safe
//!   interfaces. `tuning` holds the constants that fit all this to processors.

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
mod memory;
mod norm;
mod norm_over_ranks;
mod operation;
mod parallel;
mod pending;
mod reference;
mod sgd;
mod simd;
mod statistics;
mod tuning;

pub use allocator::{CacheLimit, CachingAllocator, fail_without_memory};
pub use backend::{Backend, Kernels};
pub use combine::Carry;
pub use feature_map::{Epilogue, FeatureMap, Weights, WindowOptions};
pub use functional::{CrossEntropy, char_cnn, cross_entropy, linear, lstm};
pub(crate) use norm::EPSILON;
pub use sgd::Sgd;
pub use simd::{instruction_set, instruction_sets};
