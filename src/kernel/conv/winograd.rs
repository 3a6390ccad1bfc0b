//! Winograd's convolution F(4x4, 3x3): sixteen outputs of a 3x3 window from 36 products instead of 144.
//!
//! `y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·x·B)]A` for tiles of 6x6 inputs, summed over the channels of the input between the transforms (Lavin
//! and Gray 2016, with the points 0, ±1 and ±2). The sum is a 1x1 convolution of as many images as a tile has places, 36,
//! whose pixels are the tiles. The gradient of the weights is the adjoint: `dw = Gᵀ[Σ (Bᵀ·x·B) ⊙ (A·dy·Aᵀ)]G`.

mod tiling;
mod transforms;

pub(super) use tiling::{Tiles, Tiling};
pub(super) use transforms::{
    GradientTransform, InputTransform, PLACES, adjoint_transform_weights, transform_weights, weights_len,
};

use std::borrow::Cow;
use std::ops::Range;

use super::microkernel::{Accumulators, Initial, Operands, Prefetch, SQUARE};
use super::row::row;
use super::weight_gradient::Stripe;
use super::{Images, image_len};
use crate::kernel::simd::{LANES, Simd};
use tiling::Transformed;
use transforms::{IN, OUT};

/// A convolution with transformed weights.
pub(crate) struct Winograd<'a> {
    pub tiling: Tiling,
    /// Weights that [`transform_weights`] transformed.
    pub weight: Cow<'a, [f32]>,
    /// `[channels, height, width]`.
    pub input: [usize; 3],
    /// `[channels, height, width]` of the channels that are computed.
    pub output: [usize; 3],
    /// The channel block of the weights that gives the first of the output.
    pub first: usize,
    /// Zeros before rows and columns.
    pub padding: usize,
}

impl Winograd<'_> {
    /// Computes some images.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(&self, simd: S, all: Range<usize>, images: &mut impl Images) {
        let Self { tiling, input, output: [channels, height, width], padding, .. } = *self;
        let tiling = tiling.limited_to(all.len());
        let mut from = Tiles::<InputTransform, IN>::new(tiling, input, padding);
        let mut to = Transformed::new(tiling, channels);
        for rows in tiling.groups(all) {
            for row in rows.clone() {
                from.fill(simd, row, row - rows.start, images.input(tiling.place(row).0));
            }
            self.multiply(simd, &from.values, &mut to, tiling.tiles(rows.len()));
            for row in rows.clone() {
                let (image, y) = tiling.place(row);
                let (values, addend) = images.output(image);
                assert_eq!(values.len(), image_len(self.output));
                to.store_row(simd, tiling, [y, row - rows.start], addend, self.output, values);
                let end = height.min(y + OUT);
                // SAFETY: the row of tiles holds all channels of these pixels, and so do the rows before.
                unsafe {
                    images.after_pixels(simd, image, y * width..end * width);
                    if end == height {
                        images.after_image(simd, image);
                    }
                }
            }
        }
    }

    /// Computes the products for the first tiles of every channel block.
    #[inline(always)]
    fn multiply<S: Simd>(&self, simd: S, from: &Transformed, to: &mut Transformed, tiles: usize) {
        let size = self.weight.len() / PLACES;
        let operands = Operands {
            taps: &[(0, 0)],
            channels: self.input[0],
            x_block: from.tiles * LANES,
            w_block: SQUARE,
            w_out: from.blocks * SQUARE,
            prefetch: Some(Prefetch::WEIGHTS),
        };
        assert!(tiles <= from.tiles.min(to.tiles) && (self.first + to.blocks) * operands.w_out <= size);
        for place in 0..PLACES {
            let x = from.values[place * from.place..].as_ptr();
            let mut first = 0;
            while first < to.blocks {
                let sums = Accumulators {
                    to: to.values[place * to.place + first * to.tiles * LANES..].as_mut_ptr(),
                    pixel: LANES,
                    block: to.tiles * LANES,
                    count: tiles,
                    initial: Initial::Zero,
                    residual: None,
                };
                // SAFETY: every place holds all channel blocks of as many tiles as was checked, and slack follows the last.
                // The weights hold all channel blocks, as was checked.
                first += unsafe {
                    let w = self.weight.as_ptr().add(place * size + (self.first + first) * operands.w_out);
                    row(simd, 1, 1, to.blocks - first, x, w, operands, sums)
                };
            }
        }
    }
}

/// Adds `Σ (Bᵀ·x·B) ⊙ (A·dy·Aᵀ)` of the first tiles to transformed weights.
#[inline(always)]
pub(super) fn add_weight_gradient<S: Simd>(
    simd: S,
    Tiles { values: x, .. }: &Tiles<InputTransform, IN>,
    Tiles { values: gradient, .. }: &Tiles<GradientTransform, OUT>,
    tiles: usize,
    channels: usize,
    to: &mut [f32],
) {
    let size = to.len() / PLACES;
    assert!(tiles <= x.tiles.min(gradient.tiles) && gradient.blocks * x.blocks * SQUARE <= size);
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
                // SAFETY: every place holds as many tiles as was checked, and the weights all channel blocks.
                o += unsafe { stripe.add(simd, 1, 1, here, gradient.blocks - o, from, dy, to) };
            }
        }
    }
}
