//! Images as tiles: cutting, transforming and joining them.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::transforms::{IN, OUT, PLACES, Transform, output_transform, weights_len};
use crate::kernel::conv::padded_input::{PaddedInput, Prologue};
use crate::kernel::conv::row::SLACK;
use crate::kernel::conv::{Addend, Conv, channel_blocks};
use crate::kernel::memory::Scratch;
use crate::kernel::simd::{F32x16, LANES, Simd};
use crate::kernel::tuning::winograd::{CACHED_TILES, CACHED_WEIGHTS, MIN_TILES, MIN_TILES_LARGE};

/// How images are cut into tiles. The rows of tiles of all images are numbered, image by image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    /// Rows of tiles of an image.
    rows: usize,
    /// Tiles of a row.
    columns: usize,
    /// Rows of tiles that are transformed together.
    group: usize,
}

impl Tiling {
    /// Returns the tiling of a convolution, or `None` if Winograd's algorithm does not fit it or would not be faster.
    pub(crate) fn new(conv: &Conv) -> Option<Self> {
        let [out, height, width] = conv.output;
        let fits = conv.size == 3 && conv.stride == 1 && height.min(width) >= OUT && out.min(conv.input[0]) >= LANES;
        let (rows, columns) = (height.div_ceil(OUT), width.div_ceil(OUT));
        let is_large = weights_len(conv.input[0], out) > CACHED_WEIGHTS;
        let least: usize = if is_large { MIN_TILES_LARGE } else { MIN_TILES };
        let cached = CACHED_TILES / (PLACES * (channel_blocks(conv.input[0]) + channel_blocks(out)) * LANES);
        fits.then(|| Self { rows, columns, group: (cached / columns).max(least.div_ceil(columns)) })
    }

    /// Returns the tiling for a number of images that may have fewer rows than are transformed together.
    pub(crate) fn limited_to(self, images: usize) -> Self {
        Self { group: self.group.min(images * self.rows).max(1), ..self }
    }

    /// Returns the rows of tiles of some images, as many at a time as are transformed together.
    pub(crate) fn groups(self, images: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let end = images.end * self.rows;
        (images.start * self.rows..end).step_by(self.group).map(move |first| first..(first + self.group).min(end))
    }

    /// Returns the image of a row of tiles, and the first row of its outputs.
    pub(crate) fn place(self, row: usize) -> (usize, usize) {
        (row / self.rows, row % self.rows * OUT)
    }

    /// Returns the number of tiles of `rows` rows.
    pub(crate) fn tiles(self, rows: usize) -> usize {
        rows * self.columns
    }
}

/// The transformed tiles of several channel blocks: `[36, channel blocks, tiles, 16]`.
pub(crate) struct Transformed {
    pub values: Scratch,
    pub blocks: usize,
    pub tiles: usize,
    /// From one place of a tile to the next, values.
    pub place: usize,
}

impl Transformed {
    /// Returns a buffer for as many tiles as are transformed together.
    pub(crate) fn new(tiling: Tiling, channels: usize) -> Self {
        let (blocks, tiles) = (channel_blocks(channels), tiling.tiles(tiling.group));
        // The extra cache line avoids distances that are powers of two: the places of a tile would share a cache set.
        let place = blocks * tiles * LANES + LANES;
        Self { values: Scratch::new(PLACES * place + SLACK * LANES), blocks, tiles, place }
    }

    /// Returns where a tile begins in the first place. Panics if the buffer does not hold all places of it.
    #[inline(always)]
    fn tile(&self, block: usize, tile: usize) -> usize {
        let start = (block * self.tiles + tile) * LANES;
        assert!(self.values.len() >= (PLACES - 1) * self.place + start + LANES);
        start
    }

    /// Stores the outputs `Aᵀ·m·A` of a row of tiles, with what is added to them: row `y` and those below of an image
    /// `[channels, height, width]`. `row` counts the rows of tiles that are transformed together.
    #[inline(always)]
    pub(crate) fn store_row<S: Simd>(
        &self,
        simd: S,
        tiling: Tiling,
        [y, row]: [usize; 2],
        addend: Addend,
        [_, height, width]: [usize; 3],
        to: &mut [MaybeUninit<f32>],
    ) {
        let from = self.values.as_ptr();
        for block in 0..self.blocks {
            let bias = addend.bias_of(simd, block);
            for column in 0..tiling.columns {
                let tile = self.tile(block, row * tiling.columns + column);
                let x = column * OUT;
                let mut half: [[S::Vector; IN]; OUT] = simd.zeros_2d();
                unroll!(c < IN, 0 1 2 3 4 5, {
                    let mut m: [S::Vector; IN] = simd.zeros();
                    unroll!(r < IN, 0 1 2 3 4 5, {
                        // SAFETY: `tile` checked that the buffer holds every place of the tile.
                        m[r] = unsafe { simd.load_ptr(from.add((r * IN + c) * self.place + tile)) }
                    });
                    let m = output_transform(simd, m);
                    unroll!(r < OUT, 0 1 2 3, { half[r][c] = m[r] });
                });
                unroll!(r < OUT, 0 1 2 3, {
                    if y + r < height {
                        let outputs = output_transform(simd, half[r]);
                        let start = (((block * height + y + r) * width) + x) * LANES;
                        unroll!(c < OUT, 0 1 2 3, {
                            if x + c < width {
                                addend.store(simd, outputs[c].add(bias), start + c * LANES, to);
                            }
                        });
                    }
                });
            }
        }
    }
}

/// The tiles of images, transformed by `T`. They have `N` times `N` pixels and lie four pixels apart.
pub(crate) struct Tiles<T, const N: usize> {
    tiling: Tiling,
    input: PaddedInput,
    pub values: Transformed,
    transform: PhantomData<T>,
}

impl<T: Transform<N>, const N: usize> Tiles<T, N> {
    /// Returns buffers for images of a shape, with `padding` zeros before them and as many after them as tiles reach.
    pub(crate) fn new(tiling: Tiling, shape: [usize; 3], padding: usize) -> Self {
        let [_, height, width] = shape;
        let after = |tiles: usize, side: usize| (tiles * OUT + IN - OUT).saturating_sub(side + padding);
        let after = after(tiling.rows, height).max(after(tiling.columns, width));
        let values = Transformed::new(tiling, shape[0]);
        Self { tiling, input: PaddedInput::new(shape, padding, after), values, transform: PhantomData }
    }

    /// Transforms a row of tiles of an image, in both directions, to the `place`th row of those that are transformed together.
    /// The rows of an image must come in order.
    #[inline(always)]
    pub(crate) fn fill<S: Simd>(&mut self, simd: S, row: usize, place: usize, from: (&[f32], Prologue)) {
        let Self { tiling, input, values: to, .. } = self;
        let (_, y) = tiling.place(row);
        // The row of tiles before has copied the pixels that both reach.
        let begin = if y == 0 { 0 } else { y + N - OUT };
        input.fill_rows(simd, from, begin..y + N);
        for block in 0..to.blocks {
            for column in 0..tiling.columns {
                let pixels = input.pixel(block, y, column * OUT);
                assert!(pixels.len() >= ((N - 1) * input.row + N) * LANES);
                let tile = to.tile(block, place * tiling.columns + column);
                let pixels = pixels.as_ptr();
                let mut half: [[S::Vector; N]; IN] = simd.zeros_2d();
                unroll!(c < N, 0 1 2 3 4 5, {
                    let mut d: [S::Vector; N] = simd.zeros();
                    unroll!(r < N, 0 1 2 3 4 5, {
                        // SAFETY: the assertion above checked that the pixels of the tile are there.
                        d[r] = unsafe { simd.load_ptr(pixels.add((r * input.row + c) * LANES)) }
                    });
                    let d = T::apply(simd, d);
                    unroll!(r < IN, 0 1 2 3 4 5, { half[r][c] = d[r] });
                });
                let to_tile = to.values.as_mut_ptr();
                unroll!(r < IN, 0 1 2 3 4 5, {
                    let transformed = T::apply(simd, half[r]);
                    unroll!(c < IN, 0 1 2 3 4 5, {
                        // SAFETY: `tile` checked that the buffer holds every place of the tile.
                        unsafe { transformed[c].store_ptr(to_tile.add((r * IN + c) * to.place + tile)) }
                    });
                });
            }
        }
    }
}
