//! Images in tiles: there, transformed, and back.

use std::marker::PhantomData;
use std::ops::Range;

use super::transforms::{IN, OUT, PLACES, Transform, output};
use crate::kernel::conv::microkernel::SQUARE;
use crate::kernel::conv::{Addend, Conv, PaddedInput, Prologue, blocks};
use crate::kernel::parallel::uninit;
use crate::kernel::simd::{LANES, Lanes};

/// So many tiles at least are transformed before they are summed, where the weights are few and where they are many: fewer
/// leave registers idle, and let many weights come from memory more often.
const TILES: [usize; 2] = [16, 64];
/// Values of tiles that are transformed before they are summed: they stay in the second cache.
const CACHED: usize = 1 << 17;
/// Weights that are few: they stay there too.
const FEW: usize = 1 << 18;

/// How images are cut into tiles. All rows of tiles of all images are numbered, image by image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    rows: usize,
    columns: usize,
    /// Rows of tiles that are transformed together.
    together: usize,
}

impl Tiling {
    /// For outputs of a size; `None` where another way is better.
    pub(crate) fn new(conv: &Conv) -> Option<Self> {
        let [out, height, width] = conv.output;
        let fits = conv.size == 3 && conv.stride == 1 && height.min(width) >= OUT && out.min(conv.input[0]) >= LANES;
        let (rows, columns) = (height.div_ceil(OUT), width.div_ceil(OUT));
        let (from, to) = (blocks(conv.input[0]), blocks(out));
        let least = TILES[usize::from(PLACES * from * to * SQUARE > FEW)];
        let cached = CACHED / (PLACES * (from + to) * LANES);
        fits.then(|| Self { rows, columns, together: (cached / columns).max(least.div_ceil(columns)) })
    }

    /// For so few images, which have fewer rows than are transformed together.
    pub(crate) fn of(self, images: usize) -> Self {
        Self { together: self.together.min(images * self.rows).max(1), ..self }
    }

    /// Transformed weights of nothing yet.
    pub(crate) fn no_weights(input: usize, output: usize) -> Vec<f32> {
        vec![0.0; PLACES * blocks(input) * blocks(output) * SQUARE]
    }

    /// The rows of tiles of some images, as many at a time as are transformed together.
    pub(crate) fn groups(self, images: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let end = images.end * self.rows;
        (images.start * self.rows..end).step_by(self.together).map(move |first| first..(first + self.together).min(end))
    }

    /// The image of a row of tiles, and the first row of its outputs.
    pub(crate) fn place(self, line: usize) -> (usize, usize) {
        (line / self.rows, line % self.rows * OUT)
    }

    /// Tiles of so many rows.
    pub(crate) fn tiles(self, lines: usize) -> usize {
        lines * self.columns
    }
}

/// Tiles of several blocks, transformed: `[36][blocks][tiles][16]`.
pub(crate) struct Transformed {
    pub values: Vec<f32>,
    pub blocks: usize,
    pub tiles: usize,
    pub place: usize,
}

/// What a kernel may read beyond the last tile.
const SLACK: usize = 32 * LANES;

impl Transformed {
    /// Room for as many as are transformed together.
    pub(crate) fn new(tiling: Tiling, channels: usize) -> Self {
        let (blocks, tiles) = (blocks(channels), tiling.tiles(tiling.together));
        // A cache line more than a power of two: the places of a tile would share a cache set.
        let place = blocks * tiles * LANES + LANES;
        let mut values = uninit(PLACES * place + SLACK);
        values[PLACES * place..].fill(0.0);
        Self { values, blocks, tiles, place }
    }

    /// `Aᵀ·m·A` and what is added: the outputs of a row of tiles that begins at a row of an image, the `at`th of those
    /// together.
    #[inline(always)]
    pub(crate) fn give<L: Lanes>(
        &self,
        tiling: Tiling,
        [y, at]: [usize; 2],
        added: Addend,
        [_, height, width]: [usize; 3],
        to: &mut [f32],
    ) {
        for block in 0..self.blocks {
            let bias = added.bias_of::<L>(block);
            for column in 0..tiling.columns {
                let place = (block * self.tiles + at * tiling.columns + column) * LANES;
                assert!(self.values.len() >= (PLACES - 1) * self.place + place + LANES);
                let x = column * OUT;
                // SAFETY: the places were just checked; see `take`.
                let mut half: [[L; IN]; OUT] = unsafe { std::mem::zeroed() };
                unroll!(c < IN, 0 1 2 3 4 5, {
                    // SAFETY: as above.
                    let column = unsafe {
                        let mut column: [L; IN] = std::mem::zeroed();
                        unroll!(r < IN, 0 1 2 3 4 5, {
                            column[r] = L::load(self.values.as_ptr().add((r * IN + c) * self.place + place))
                        });
                        output(column)
                    };
                    unroll!(r < OUT, 0 1 2 3, { half[r][c] = column[r] });
                });
                unroll!(r < OUT, 0 1 2 3, {
                    if y + r < height {
                        let row = output(half[r]);
                        let start = (((block * height + y + r) * width) + x) * LANES;
                        unroll!(c < OUT, 0 1 2 3, {
                            if x + c < width {
                                let start = start + c * LANES;
                                added.put(row[c].add(bias), start, to);
                            }
                        });
                    }
                });
            }
        }
    }
}

/// Tiles on their way in, by a transform of tiles of side `N` that lie four pixels apart.
pub(crate) struct Tiles<T, const N: usize> {
    tiling: Tiling,
    scratch: PaddedInput,
    pub values: Transformed,
    transform: PhantomData<T>,
}

impl<T: Transform<N>, const N: usize> Tiles<T, N> {
    /// For images of a shape, with zeros before it and as far as tiles reach.
    pub(crate) fn new(tiling: Tiling, shape: [usize; 3], before: usize) -> Self {
        let [channels, height, width] = shape;
        let behind = |tiles: usize, side: usize| (tiles * OUT + IN - OUT).saturating_sub(side + before);
        let behind = behind(tiling.rows, height).max(behind(tiling.columns, width));
        let values = Transformed::new(tiling, channels);
        Self { tiling, scratch: PaddedInput::new(shape, before, behind), values, transform: PhantomData }
    }

    /// Transforms a row of tiles in both directions, as the `at`th of those together. The rows of an image must come in
    /// turn.
    #[inline(always)]
    pub(crate) fn take<L: Lanes>(&mut self, line: usize, at: usize, from: (&[f32], Prologue)) {
        let Self { tiling, scratch, values: to, .. } = self;
        let (_, y) = tiling.place(line);
        // What the row of tiles before reached is there.
        let begin = if y == 0 { 0 } else { y + N - OUT };
        scratch.fill_rows::<L>(from, begin..y + N);
        for block in 0..to.blocks {
            for column in 0..tiling.columns {
                let start = scratch.pixel(block, y, column * OUT);
                assert!(start.len() >= ((N - 1) * scratch.row + N) * LANES);
                let place = (block * to.tiles + at * tiling.columns + column) * LANES;
                assert!(to.values.len() >= (PLACES - 1) * to.place + place + LANES);
                // SAFETY: both ends were just checked; arrays of lanes may be zero bits, and are filled with them so that
                // they stay in registers (`product`).
                unsafe {
                    let (start, to_tile) = (start.as_ptr(), to.values.as_mut_ptr().add(place));
                    let mut half: [[L; N]; IN] = std::mem::zeroed();
                    unroll!(c < N, 0 1 2 3 4 5, {
                        let mut column: [L; N] = std::mem::zeroed();
                        unroll!(r < N, 0 1 2 3 4 5, { column[r] = L::load(start.add((r * scratch.row + c) * LANES)) });
                        let column = T::apply(column);
                        unroll!(r < IN, 0 1 2 3 4 5, { half[r][c] = column[r] });
                    });
                    unroll!(r < IN, 0 1 2 3 4 5, {
                        let row = T::apply(half[r]);
                        unroll!(c < IN, 0 1 2 3 4 5, { row[c].store(to_tile.add((r * IN + c) * to.place)) });
                    });
                }
            }
        }
    }
}
