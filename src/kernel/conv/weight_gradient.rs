//! The gradient with respect to the weights of a convolution.

use std::ops::Range;

use super::microkernel::SQUARE;
use super::padded_input::PaddedInput;
use super::winograd::{self, GradientTransform, InputTransform, Tiles, Tiling};
use super::{Conv, ImagePairs, Prologue, channel_blocks, image_len};
use crate::kernel::simd::{F32x16, LANES, Simd};
use crate::kernel::tuning::{direct::GRADIENT_ROWS, winograd::MAX_GRADIENT};

/// The gradient with respect to the weights, summed image by image.
pub(crate) enum WeightGradient {
    /// Packed weights.
    Direct(Vec<f32>),
    /// Transformed weights.
    Winograd { tiling: Tiling, sums: Vec<f32> },
}

impl WeightGradient {
    /// Returns zeros.
    pub(crate) fn new(conv: &Conv) -> Self {
        match Tiling::new(conv).filter(|_| 4 * conv.packed_len() <= MAX_GRADIENT) {
            Some(tiling) => {
                Self::Winograd { tiling, sums: vec![0.0; winograd::weights_len(conv.input[0], conv.output[0])] }
            }
            None => Self::Direct(vec![0.0; conv.packed_len()]),
        }
    }

    /// Adds the gradients of some images.
    #[inline(always)]
    pub(crate) fn add<S: Simd>(&mut self, simd: S, conv: &Conv, all: Range<usize>, images: &impl ImagePairs) {
        match self {
            Self::Direct(sums) => {
                let mut buffer = PaddedInput::new(conv.input, conv.padding, conv.padding);
                for image in all {
                    let (x, dy) = images.pair(image);
                    buffer.fill(simd, x);
                    add_image(simd, conv, &buffer, dy, sums);
                }
            }
            Self::Winograd { tiling, sums } => {
                let tiling = tiling.limited_to(all.len());
                let mut x = Tiles::<InputTransform, _>::new(tiling, conv.input, conv.padding);
                let mut dy = Tiles::<GradientTransform, _>::new(tiling, conv.output, 0);
                for rows in tiling.groups(all) {
                    for row in rows.clone() {
                        let (input, output) = images.pair(tiling.place(row).0);
                        x.fill(simd, row, row - rows.start, input);
                        dy.fill(simd, row, row - rows.start, (output, Prologue::NONE));
                    }
                    winograd::add_weight_gradient(simd, &x, &dy, tiling.tiles(rows.len()), conv.input[0], sums);
                }
            }
        }
    }

    /// Adds the sums of another thread.
    pub(crate) fn join(&mut self, other: Self) {
        let (Self::Direct(all) | Self::Winograd { sums: all, .. }) = self;
        let (Self::Direct(more) | Self::Winograd { sums: more, .. }) = &other;
        all.iter_mut().zip(more).for_each(|(a, b)| *a += b);
    }

    /// Returns the gradient as packed weights.
    pub(crate) fn finish(self) -> Vec<f32> {
        match self {
            Self::Direct(sums) => sums,
            Self::Winograd { sums, .. } => winograd::adjoint_transform_weights(&sums),
        }
    }
}

/// Adds `dw[o, i, r, c] += Σ dy[o, y, x]·from[i, s·y + r, s·x + c]` of one image to packed weights. `from` is the padded input of
/// the convolution.
#[inline(always)]
fn add_image<S: Simd>(simd: S, conv: &Conv, from: &PaddedInput, gradient: &[f32], to: &mut [f32]) {
    assert_eq!((gradient.len(), to.len()), (image_len(conv.output), conv.packed_len()));
    let [out, height, width] = conv.output;
    let [channels, ..] = conv.input;
    let (in_blocks, out_blocks) = (channel_blocks(channels), channel_blocks(out));
    let (size, stride) = (conv.size, conv.stride);
    for top in (0..height).step_by(GRADIENT_ROWS) {
        let stripe = Stripe {
            width,
            rows: GRADIENT_ROWS.min(height - top),
            x_row: stride * from.row * LANES,
            dy_row: width * LANES,
            dy_block: height * width * LANES,
            to_block: in_blocks * size * size * SQUARE,
        };
        for i in 0..in_blocks {
            let here = (channels - i * LANES).min(LANES);
            for r in 0..size {
                let x = from.pixel(i, top * stride + r, 0).as_ptr();
                let mut o = 0;
                while o < out_blocks {
                    let dy = gradient[(o * height + top) * width * LANES..].as_ptr();
                    let to = to[((o * in_blocks + i) * size + r) * size * SQUARE..].as_mut_ptr();
                    // SAFETY: the padded input holds every row that the window reaches. Gradient and weights have the
                    // lengths that were checked, and no more than the blocks that are left are computed.
                    o += unsafe { stripe.add(simd, size, stride, here, out_blocks - o, x, dy, to) };
                }
            }
        }
    }
}

/// A few rows of the gradient of the output, and the distances between values.
#[derive(Clone, Copy)]
pub(super) struct Stripe {
    /// Pixels of a row.
    pub width: usize,
    pub rows: usize,
    /// From one row to the next, in the input and in the gradient.
    pub x_row: usize,
    pub dy_row: usize,
    /// From one channel block of the output to the next, in the gradient and in the weights.
    pub dy_block: usize,
    pub to_block: usize,
}

impl Stripe {
    /// Adds one row of the window for a channel block of the input, and for as many of the `left` channel blocks of the output as
    /// the registers hold; returns how many.
    ///
    /// # Safety
    /// For all rows and columns of the stripe, `channels` values must be readable and initialized in the input at `x` for
    /// every column of the window, and sixteen in the gradient at `dy` for every channel block; the weights of the row must
    /// be readable, initialized and writable at `to`.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn add<S: Simd>(
        self,
        simd: S,
        size: usize,
        stride: usize,
        channels: usize,
        left: usize,
        x: *const f32,
        dy: *const f32,
        to: *mut f32,
    ) -> usize {
        // SAFETY: the caller promises what each of them asks for.
        unsafe {
            match (S::HAS_32_REGISTERS, size, stride, left) {
                (true, 3, 1, _) => self.add_windows(simd, channels, x, dy, to),
                (true, _, 1, 1) => self.add_columns::<S, 1, 1, 16>(simd, size, channels, x, dy, to),
                (true, _, 1, _) => self.add_columns::<S, 1, 2, 8>(simd, size, channels, x, dy, to),
                (true, _, 2, 1) => self.add_columns::<S, 2, 1, 16>(simd, size, channels, x, dy, to),
                (true, _, 2, _) => self.add_columns::<S, 2, 2, 8>(simd, size, channels, x, dy, to),
                (false, _, 1, _) => self.add_columns::<S, 1, 1, 4>(simd, size, channels, x, dy, to),
                (false, _, 2, _) => self.add_columns::<S, 2, 1, 4>(simd, size, channels, x, dy, to),
                _ => unreachable!("a stride of {stride}"),
            }
        }
    }

    /// Adds three columns at once, for eight channels of the input at a time: each value that is broadcast is multiplied by
    /// three gradients. Returns 1.
    ///
    /// # Safety
    /// As [`Self::add`]. `channels` is rounded up to a multiple of eight.
    #[inline(always)]
    unsafe fn add_windows<S: Simd>(
        self,
        simd: S,
        channels: usize,
        x: *const f32,
        dy: *const f32,
        to: *mut f32,
    ) -> usize {
        for start in (0..channels).step_by(8) {
            let mut sums: [[S::Vector; 8]; 3] = simd.zeros_2d();
            // SAFETY: the caller promises input, gradient and weights.
            unsafe {
                for y in 0..self.rows {
                    let mut x = x.add(y * self.x_row + start);
                    let mut next = dy.add(y * self.dy_row);
                    let zero = simd.splat(0.0);
                    // The gradients one and two pixels to the left.
                    let (mut one, mut two) = (zero, zero);
                    for _ in 0..self.width {
                        let here = simd.load_ptr(next);
                        unroll!(i < 8, 0 1 2 3 4 5 6 7, {
                            let value = simd.splat(*x.add(i));
                            sums[0][i] = sums[0][i].mul_add(here, value);
                            sums[1][i] = sums[1][i].mul_add(one, value);
                            sums[2][i] = sums[2][i].mul_add(two, value);
                        });
                        (one, two) = (here, one);
                        x = x.add(LANES);
                        next = next.add(LANES);
                    }
                    unroll!(i < 8, 0 1 2 3 4 5 6 7, {
                        let value = simd.splat(*x.add(i));
                        sums[1][i] = sums[1][i].mul_add(one, value);
                        sums[2][i] = sums[2][i].mul_add(two, value);
                        sums[2][i] = sums[2][i].mul_add(one, simd.splat(*x.add(LANES + i)));
                    });
                }
                unroll!(c < 3, 0 1 2, {
                    unroll!(i < 8, 0 1 2 3 4 5 6 7, {
                        let to = to.add(c * SQUARE + (start + i) * LANES);
                        simd.load_ptr(to).add(sums[c][i]).store_ptr(to);
                    })
                });
            }
        }
        1
    }

    /// Adds one column after the other, for `I` channels of the input and `O` channel blocks of the output at a time; returns
    /// `O`.
    ///
    /// # Safety
    /// As [`Self::add`]. `channels` is rounded up to a multiple of `I`, and `O` channel blocks must be left.
    #[inline(always)]
    unsafe fn add_columns<S: Simd, const STRIDE: usize, const O: usize, const I: usize>(
        self,
        simd: S,
        size: usize,
        channels: usize,
        x: *const f32,
        dy: *const f32,
        to: *mut f32,
    ) -> usize {
        for c in 0..size {
            for start in (0..channels).step_by(I) {
                let mut sums: [[S::Vector; I]; O] = simd.zeros_2d();
                // SAFETY: the caller promises input, gradient and weights.
                unsafe {
                    for y in 0..self.rows {
                        let mut x = x.add(y * self.x_row + c * LANES + start);
                        let mut next = dy.add(y * self.dy_row);
                        for _ in 0..self.width {
                            let mut gradient: [S::Vector; O] = simd.zeros();
                            unroll!(o < O, 0 1, { gradient[o] = simd.load_ptr(next.add(o * self.dy_block)) });
                            unroll!(i < I, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                                let value = simd.splat(*x.add(i));
                                unroll!(o < O, 0 1, { sums[o][i] = sums[o][i].mul_add(gradient[o], value) });
                            });
                            x = x.add(STRIDE * LANES);
                            next = next.add(LANES);
                        }
                    }
                    unroll!(o < O, 0 1, {
                        unroll!(i < I, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                            let to = to.add(o * self.to_block + c * SQUARE + (start + i) * LANES);
                            simd.load_ptr(to).add(sums[o][i]).store_ptr(to);
                        })
                    });
                }
            }
        }
        O
    }
}
