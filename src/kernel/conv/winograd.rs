//! Winograd's convolution F(4x4, 3x3): sixteen outputs of a 3x3 window from 36 products instead of 144.
//!
//! `y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·x·B)]A` for tiles of 6x6 inputs, summed over the input's channels between the transforms
//! (Lavin and Gray 2016, with the points 0, ±1 and ±2). The sum is a 1x1 convolution of as many images as a tile has
//! places, whose pixels are the tiles. The weights' gradient is the adjoint: `dw = Gᵀ[Σ (Bᵀ·x·B) ⊙ (A·dy·Aᵀ)]G`.

mod tiling;
mod transforms;

pub(crate) use tiling::{Tiles, Tiling};
pub(super) use transforms::PLACES;
pub(crate) use transforms::{Gradient, Input, transform_back, transform_weight};

use std::borrow::Cow;
use std::ops::Range;

use super::microkernel::{Accumulators, Begin, Operands, Prefetch, SQUARE};
use super::row::row;
use super::weight_gradient::Stripe;
use super::{Images, image};
use crate::kernel::simd::{LANES, Lanes};
use tiling::Transformed;
use transforms::{IN, OUT};

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
        let Self { tiling, input, output: [channels, height, width], before, .. } = *self;
        let tiling = tiling.of(all.len());
        let mut from = Tiles::<Input, IN>::new(tiling, input, before);
        let mut to = Transformed::new(tiling, channels);
        for lines in tiling.groups(all) {
            for line in lines.clone() {
                from.take::<L>(line, line - lines.start, images.input(tiling.place(line).0));
            }
            self.sum::<L>(&from.values, &mut to, tiling.tiles(lines.len()));
            for line in lines.clone() {
                let (one, y) = tiling.place(line);
                let (added, values) = (images.added(one), images.output(one));
                assert_eq!(values.len(), image(self.output));
                to.give::<L>(tiling, [y, line - lines.start], added, self.output, values);
                let rows = y..height.min(y + OUT);
                images.rows::<L>(one, rows.start * width, rows.len() * width, self.output, values);
                if rows.end == height {
                    images.end::<L>(one, values);
                }
            }
        }
    }

    /// The products, for the first tiles of every block.
    #[inline(always)]
    fn sum<L: Lanes>(&self, from: &Transformed, to: &mut Transformed, tiles: usize) {
        let size = self.weight.len() / PLACES;
        let operands = Operands {
            taps: &[(0, 0)],
            channels: self.input[0],
            x_block: from.tiles * LANES,
            w_block: SQUARE,
            w_out: from.blocks * SQUARE,
            ahead: Some(Prefetch::WEIGHTS),
        };
        for place in 0..PLACES {
            let x = from.values[place * from.place..].as_ptr();
            let mut first = 0;
            while first < to.blocks {
                let sums = Accumulators {
                    to: to.values[place * to.place + first * to.tiles * LANES..].as_mut_ptr(),
                    pixel: LANES,
                    block: to.tiles * LANES,
                    count: tiles,
                    begin: Begin::Zero,
                    values: None,
                };
                // SAFETY: every place holds all tiles of all blocks, and slack behind the last.
                first += unsafe {
                    let w = self.weight.as_ptr().add(place * size + (self.first + first) * operands.w_out);
                    row::<L>(1, 1, to.blocks - first, x, w, operands, sums)
                };
            }
        }
    }
}

/// Adds `Σ (Bᵀ·x·B) ⊙ (A·dy·Aᵀ)` of the first tiles to transformed weights.
#[inline(always)]
pub(crate) fn weight_sums<L: Lanes>(
    Tiles { values: x, .. }: &Tiles<Input, IN>,
    Tiles { values: gradient, .. }: &Tiles<Gradient, OUT>,
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
