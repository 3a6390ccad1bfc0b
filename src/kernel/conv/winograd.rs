//! Winograd's convolution F(4x4, 3x3): sixteen outputs of a 3x3 window from 36 products instead of 144.
//!
//! `y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·x·B)]A` for tiles of 6x6 inputs, summed over the input's channels between the transforms
//! (Lavin and Gray 2016, with the points 0, ±1 and ±2). The sum is a 1x1 convolution of as many images as a tile has
//! places, whose pixels are the tiles. The weights' gradient is the adjoint: `dw = Gᵀ[Σ (Bᵀ·x·B) ⊙ (A·dy·Aᵀ)]G`.

mod transforms;

pub(super) use transforms::PLACES;
pub(crate) use transforms::{transform_back, transform_weight};

use std::borrow::Cow;
use std::ops::Range;

use super::forward::row;
use super::product::{SQUARE, Summands, Sums};
use super::weight::Stripe;
use super::{Bordered, Conv, Images, blocks, image};
use crate::kernel::lanes::{LANES, Lanes};
use crate::kernel::norm::put;
use transforms::{Gradient, IN, Input, OUT, Transform, output};

/// So many tiles are transformed before they are summed, or one image's if it has more: fewer leave registers idle.
const TILES: usize = 16;

/// How an image is cut into tiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    rows: usize,
    columns: usize,
    /// Images that are transformed together.
    group: usize,
}

/// Tiles of several blocks, transformed: `[36][blocks][tiles][16]`.
pub(crate) struct Transformed {
    values: Vec<f32>,
    blocks: usize,
    tiles: usize,
    place: usize,
}

/// What a kernel may read beyond the last tile.
const SLACK: usize = 32 * LANES;

impl Tiling {
    /// For outputs of a size; `None` where another way is better.
    pub(crate) fn new(conv: &Conv) -> Option<Self> {
        let [out, height, width] = conv.output;
        let fits = conv.size == 3 && conv.stride == 1 && height.min(width) >= OUT && out.min(conv.input[0]) >= LANES;
        let (rows, columns) = (height.div_ceil(OUT), width.div_ceil(OUT));
        fits.then(|| Self { rows, columns, group: TILES.div_ceil(rows * columns) })
    }

    fn tiles(self) -> usize {
        self.rows * self.columns
    }

    /// Transformed weights of nothing yet.
    pub(crate) fn no_weights(input: usize, output: usize) -> Vec<f32> {
        vec![0.0; PLACES * blocks(input) * blocks(output) * SQUARE]
    }

    /// Images that are transformed together.
    pub(crate) fn group(self) -> usize {
        self.group
    }

    /// Tiles of so many images.
    pub(crate) fn tiles_of(self, images: usize) -> usize {
        images * self.tiles()
    }

    /// The scratch for inputs of a shape, with zeros as far as tiles reach.
    pub(crate) fn bordered(self, [channels, height, width]: [usize; 3], before: usize) -> Bordered {
        let behind = |tiles: usize, side: usize| (tiles * OUT + IN - OUT).saturating_sub(side + before);
        Bordered::new([channels, height, width], before, behind(self.rows, height).max(behind(self.columns, width)))
    }

    pub(crate) fn transformed(self, channels: usize) -> Transformed {
        let (blocks, tiles) = (blocks(channels), self.tiles() * self.group);
        // A cache line more than a power of two: the places of a tile would share a cache set.
        let place = blocks * tiles * LANES + LANES;
        Transformed { values: vec![0.0; PLACES * place + SLACK], blocks, tiles, place }
    }

    /// `Bᵀ·x·B` for all tiles of an image that lies so many images behind the first of its group.
    #[inline(always)]
    pub(crate) fn transform_input<L: Lanes>(self, from: &Bordered, to: &mut Transformed, behind: usize) {
        self.each::<L, Input, IN>(from, to, behind);
    }

    /// `A·dy·Aᵀ` for all tiles of an image without a border before it.
    #[inline(always)]
    pub(crate) fn transform_gradient<L: Lanes>(self, from: &Bordered, to: &mut Transformed, behind: usize) {
        self.each::<L, Gradient, OUT>(from, to, behind);
    }

    /// A transform in both directions, of tiles of side `N` that lie four pixels apart.
    #[inline(always)]
    fn each<L: Lanes, T: Transform<N>, const N: usize>(self, from: &Bordered, to: &mut Transformed, behind: usize) {
        for block in 0..to.blocks {
            for tile in 0..self.tiles() {
                let (y, x) = (tile / self.columns * OUT, tile % self.columns * OUT);
                let start = from.pixel(block, y, x);
                assert!(start.len() >= ((N - 1) * from.row + N) * LANES);
                let place = (block * to.tiles + behind * self.tiles() + tile) * LANES;
                assert!(to.values.len() >= (PLACES - 1) * to.place + place + LANES);
                // SAFETY: both ends were just checked; arrays of lanes may be zero bits, and are filled with them so that
                // they stay in registers (`product`).
                unsafe {
                    let (start, to_tile) = (start.as_ptr(), to.values.as_mut_ptr().add(place));
                    let mut half: [[L; N]; IN] = std::mem::zeroed();
                    unroll!(c < N, 0 1 2 3 4 5, {
                        let mut column: [L; N] = std::mem::zeroed();
                        unroll!(r < N, 0 1 2 3 4 5, { column[r] = L::load(start.add((r * from.row + c) * LANES)) });
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

    /// `Aᵀ·m·A`: the outputs of an image.
    #[inline(always)]
    fn output<L: Lanes>(self, from: &Transformed, behind: usize, [_, height, width]: [usize; 3], to: &mut [f32]) {
        for block in 0..from.blocks {
            for tile in 0..self.tiles() {
                let place = (block * from.tiles + behind * self.tiles() + tile) * LANES;
                assert!(from.values.len() >= (PLACES - 1) * from.place + place + LANES);
                let (y, x) = (tile / self.columns * OUT, tile % self.columns * OUT);
                let to = &mut to[(block * height + y) * width * LANES..];
                // SAFETY: the places were just checked; see `each`.
                let mut half: [[L; IN]; OUT] = unsafe { std::mem::zeroed() };
                unroll!(c < IN, 0 1 2 3 4 5, {
                    // SAFETY: as above.
                    let column = unsafe {
                        let mut column: [L; IN] = std::mem::zeroed();
                        unroll!(r < IN, 0 1 2 3 4 5, {
                            column[r] = L::load(from.values.as_ptr().add((r * IN + c) * from.place + place))
                        });
                        output(column)
                    };
                    unroll!(r < OUT, 0 1 2 3, { half[r][c] = column[r] });
                });
                unroll!(r < OUT, 0 1 2 3, {
                    if y + r < height {
                        let row = output(half[r]);
                        let to = &mut to[(r * width + x) * LANES..];
                        unroll!(c < OUT, 0 1 2 3, {
                            if x + c < width {
                                put(row[c], &mut to[c * LANES..]);
                            }
                        });
                    }
                });
            }
        }
    }
}

/// A convolution whose weights are transformed.
pub(crate) struct Winograd<'a> {
    pub tiling: Tiling,
    /// By [`transform_weight`].
    pub weight: Cow<'a, [f32]>,
    /// `[channels, height, width]`.
    pub input: [usize; 3],
    /// `[channels, height, width]`.
    pub output: [usize; 3],
    /// Which block of the weights gives the first of the output.
    pub first: usize,
    /// Padding before rows and columns.
    pub before: usize,
}

impl Winograd<'_> {
    /// All images of a range.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&self, all: Range<usize>, images: &mut impl Images) {
        let mut scratch = self.tiling.bordered(self.input, self.before);
        let (mut from, mut to) = (self.tiling.transformed(self.input[0]), self.tiling.transformed(self.output[0]));
        let [_, height, width] = self.output;
        for first in all.clone().step_by(self.tiling.group) {
            let group = first..(first + self.tiling.group).min(all.end);
            for one in group.clone() {
                scratch.fill::<L>(images.input(one));
                self.tiling.transform_input::<L>(&scratch, &mut from, one - first);
            }
            self.sum::<L>(&from, &mut to, group.len() * self.tiling.tiles());
            for one in group {
                let values = images.output(one);
                assert_eq!(values.len(), image(self.output));
                self.tiling.output::<L>(&to, one - first, self.output, values);
                for y in 0..height {
                    images.rows::<L>(one, y * width, width, self.output, values);
                }
                images.end::<L>(one, values);
            }
        }
    }

    /// The products, for the first tiles of every block.
    #[inline(always)]
    fn sum<L: Lanes>(&self, from: &Transformed, to: &mut Transformed, tiles: usize) {
        let size = self.weight.len() / PLACES;
        let summands = Summands {
            taps: &[(0, 0)],
            channels: self.input[0],
            x_block: from.tiles * LANES,
            w_block: SQUARE,
            w_out: from.blocks * SQUARE,
        };
        for place in 0..PLACES {
            let x = from.values[place * from.place..].as_ptr();
            let mut first = 0;
            while first < to.blocks {
                let sums = Sums {
                    to: to.values[place * to.place + first * to.tiles * LANES..].as_mut_ptr(),
                    pixel: LANES,
                    block: to.tiles * LANES,
                    count: tiles,
                    onto: false,
                };
                // SAFETY: every place holds all tiles of all blocks, and slack behind the last.
                first += unsafe {
                    let w = self.weight.as_ptr().add(place * size + (self.first + first) * summands.w_out);
                    row::<L>(1, 1, to.blocks - first, x, w, summands, sums)
                };
            }
        }
    }
}

/// Adds `Σ (Bᵀ·x·B) ⊙ (A·dy·Aᵀ)` of the first tiles to transformed weights.
#[inline(always)]
pub(crate) fn weight_sums<L: Lanes>(
    x: &Transformed,
    gradient: &Transformed,
    tiles: usize,
    channels: usize,
    to: &mut [f32],
) {
    let size = to.len() / PLACES;
    let stripe = Stripe {
        width: tiles,
        rows: 1,
        x_row: 0,
        dy_row: 0,
        dy_block: gradient.tiles * LANES,
        to_block: x.blocks * SQUARE,
    };
    for place in 0..PLACES {
        for i in 0..x.blocks {
            let here = (channels - i * LANES).min(LANES);
            let from = x.values[place * x.place + i * x.tiles * LANES..].as_ptr();
            let mut o = 0;
            while o < gradient.blocks {
                let dy = gradient.values[place * gradient.place + o * gradient.tiles * LANES..].as_ptr();
                let to = to[place * size + (o * x.blocks + i) * SQUARE..].as_mut_ptr();
                // SAFETY: both hold so many tiles; the blocks of `to` were counted.
                o += unsafe { stripe.any::<L>(1, 1, here, gradient.blocks - o, from, dy, to) };
            }
        }
    }
}
