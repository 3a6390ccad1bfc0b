//! The constants that fit the kernels to processors, each with its reason.
//!
//! They were found by timing ResNets, Highway networks and language models on x86-64 processors with 32 KiB of first-level
//! and 1 to 2 MiB of second-level cache per core. Other values give the same results up to rounding, only more slowly. The
//! shapes of the register tiles are in `conv/row.rs` and `conv/weight_gradient.rs`, beside the code that is compiled for
//! each.

/// Fewest multiply-adds of a share of work: about twenty microseconds, as long as it takes to wake a thread.
pub(super) const MIN_SHARE: usize = 1 << 21;

/// Multiply-adds that take as long as it takes to read one value, change it and write it back.
pub(super) const COST_PER_VALUE: usize = 8;

/// Most values that a thread keeps as scratch buffers for later operations: 8 MiB, enough for a convolution of any layer
/// of the usual networks.
pub(super) const MAX_KEPT_SCRATCH: usize = 1 << 21;

/// Parameters of a chunk of an optimizer step. Its five arrays fit the first-level cache. Norms are summed chunk by chunk,
/// so that they do not depend on the number of threads.
pub(super) const OPTIMIZER_CHUNK: usize = 2048;

/// Samples of an image of a dense layer, at least. Fewer would reuse the weights too rarely while they are in registers.
pub(super) const MIN_DENSE_SAMPLES: usize = 28;

/// Images of a group of a backward pass. The gradients of the weights and of the input are computed for one group after the
/// other, so that the group's gradients are still cached when they are read again.
pub(super) const BACKWARD_GROUP: usize = 8;

/// Constants of convolutions that multiply every weight.
pub(super) mod direct {
    /// Weights that all patches of a group use before the next weights are loaded: 32 KiB, the first-level cache.
    pub(in crate::kernel) const PANEL_WEIGHTS: usize = 1 << 13;

    /// Values of a group of patches, inputs and outputs: 1 MiB, the second-level cache. Layers with fewer weights than this
    /// need no groups, because the weights themselves stay in that cache.
    pub(in crate::kernel) const GROUP_VALUES: usize = 1 << 18;

    /// Pixels of a patch of a 1x1 convolution. With a few hundred channels they fit the second-level cache, and 56 is a
    /// multiple of the 14, 8 and 7 pixels of the register tiles.
    pub(in crate::kernel) const POINTWISE_PIXELS: usize = 56;

    /// Rows of the output whose part of a weight gradient is summed before the next weights: input and gradient of so many
    /// rows fit the first-level cache.
    pub(in crate::kernel) const GRADIENT_ROWS: usize = 8;
}

/// Constants of Winograd convolutions.
pub(super) mod winograd {
    /// Fewest tiles that are transformed before their products are summed, if the weights stay in the second-level cache.
    /// Fewer would leave registers unused.
    pub(in crate::kernel) const MIN_TILES: usize = 16;

    /// The same if the weights come from memory again for every group of tiles.
    pub(in crate::kernel) const MIN_TILES_LARGE: usize = 64;

    /// Transformed weights that stay in the second-level cache, at most: 1 MiB.
    pub(in crate::kernel) const CACHED_WEIGHTS: usize = 1 << 18;

    /// Values of transformed tiles, inputs and outputs: 512 KiB, half of the second-level cache.
    pub(in crate::kernel) const CACHED_TILES: usize = 1 << 17;

    /// Values of a transformed weight gradient, at most. It is four times as large as the plain one, and beyond 2 MiB it
    /// would no longer be cached.
    pub(in crate::kernel) const MAX_GRADIENT: usize = 1 << 19;
}

/// Constants of the allocator.
pub(super) mod allocation {
    /// A cache line, bytes. Every block of the allocator is aligned to it.
    pub(in crate::kernel) const CACHE_LINE: usize = 64;

    /// A large page of the processor, bytes. Blocks of at least this size are mapped by large pages, because small pages cost a
    /// miss of the address cache for every 4 KiB that a kernel walks through.
    pub(in crate::kernel) const LARGE_PAGE: usize = 2 << 20;

    /// Smallest block that is kept, bytes. The system's allocator itself keeps smaller ones.
    pub(in crate::kernel) const MIN_BLOCK: usize = 64 * 1024;

    /// Size classes between one power of two and the next: at most an eighth of a block is wasted, and most requests
    /// find a block that fits.
    pub(in crate::kernel) const STEPS_PER_POWER: u32 = 8;

    /// Free blocks of a size class that are kept, at most.
    pub(in crate::kernel) const MAX_FREE: usize = 256;
}
