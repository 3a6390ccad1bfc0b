//! The gradient with respect to the weights: `dw[o, i, r, c] += Σ dy[o, y, x]·from[i, s·y + r, s·x + c]` over one image.

use super::microkernel::SQUARE;
use super::{Conv, PaddedInput, blocks, image};
use crate::kernel::simd::{LANES, Lanes};

/// Rows of the output that are summed before the next weights take their turn: two stripes fit into the cache.
const STRIPE: usize = 8;

/// Adds one image's part to packed weights.
#[inline(always)]
pub(crate) fn weight_gradient<L: Lanes>(conv: &Conv, from: &PaddedInput, gradient: &[f32], to: &mut [f32]) {
    assert_eq!((gradient.len(), to.len()), (image(conv.output), conv.packed()));
    let [out, height, width] = conv.output;
    let [channels, ..] = conv.input;
    let (in_blocks, out_blocks) = (blocks(channels), blocks(out));
    let (size, stride) = (conv.size, conv.stride);
    for top in (0..height).step_by(STRIPE) {
        let stripe = Stripe {
            width,
            rows: STRIPE.min(height - top),
            x_row: stride * from.row * LANES,
            dy_row: width * LANES,
            dy_block: height * width * LANES,
            to_block: in_blocks * size * size * SQUARE,
        };
        for i in 0..in_blocks {
            let here = (channels - i * LANES).min(LANES);
            for r in 0..size {
                let x = from.start().wrapping_add((i * from.block + (top * stride + r) * from.row) * LANES);
                let mut o = 0;
                while o < out_blocks {
                    let dy = gradient[(o * height + top) * width * LANES..].as_ptr();
                    let to = to[((o * in_blocks + i) * size + r) * size * SQUARE..].as_mut_ptr();
                    // SAFETY: the border holds every row that the window reaches; the blocks of `to` were counted.
                    o += unsafe { stripe.any::<L>(size, stride, here, out_blocks - o, x, dy, to) };
                }
            }
        }
    }
}

/// A few rows, and the steps through them.
#[derive(Clone, Copy)]
pub(super) struct Stripe {
    pub width: usize,
    pub rows: usize,
    pub x_row: usize,
    pub dy_row: usize,
    pub dy_block: usize,
    pub to_block: usize,
}

impl Stripe {
    /// One row of the window for as many blocks of the output as the registers allow, of `left` that are left; returns
    /// how many.
    ///
    /// # Safety
    /// As [`Self::windows`].
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn any<L: Lanes>(
        self,
        size: usize,
        stride: usize,
        channels: usize,
        left: usize,
        x: *const f32,
        dy: *const f32,
        to: *mut f32,
    ) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            match (L::WIDE, size, stride, left) {
                (true, 3, 1, _) => self.windows::<L>(channels, x, dy, to),
                (true, _, 1, 1) => self.columns::<L, 1, 1, 16>(size, channels, x, dy, to),
                (true, _, 1, _) => self.columns::<L, 1, 2, 8>(size, channels, x, dy, to),
                (true, _, 2, 1) => self.columns::<L, 2, 1, 16>(size, channels, x, dy, to),
                (true, _, 2, _) => self.columns::<L, 2, 2, 8>(size, channels, x, dy, to),
                (false, _, 1, _) => self.columns::<L, 1, 1, 4>(size, channels, x, dy, to),
                (false, _, 2, _) => self.columns::<L, 2, 1, 4>(size, channels, x, dy, to),
                _ => unreachable!("a stride of {stride}"),
            }
        }
    }

    /// Three columns at once for eight channels of the input: every value that is broadcast meets three gradients.
    ///
    /// # Safety
    /// The pointers must lead to all that the stripe names.
    #[inline(always)]
    unsafe fn windows<L: Lanes>(self, channels: usize, x: *const f32, dy: *const f32, to: *mut f32) -> usize {
        for start in (0..channels).step_by(8) {
            // SAFETY: the caller's promise; arrays of lanes may be zero bits, and stay in registers for it (`product`).
            unsafe {
                let mut all: [[L; 8]; 3] = std::mem::zeroed();
                for y in 0..self.rows {
                    let mut x = x.add(y * self.x_row + start);
                    let mut next = dy.add(y * self.dy_row);
                    let zero = L::splat(0.0);
                    let (mut one, mut two) = (zero, zero);
                    for _ in 0..self.width {
                        let zeroth = L::load(next);
                        unroll!(i < 8, 0 1 2 3 4 5 6 7, {
                            let value = L::splat(*x.add(i));
                            all[0][i] = all[0][i].mul_add(zeroth, value);
                            all[1][i] = all[1][i].mul_add(one, value);
                            all[2][i] = all[2][i].mul_add(two, value);
                        });
                        (one, two) = (zeroth, one);
                        x = x.add(LANES);
                        next = next.add(LANES);
                    }
                    unroll!(i < 8, 0 1 2 3 4 5 6 7, {
                        let value = L::splat(*x.add(i));
                        all[1][i] = all[1][i].mul_add(one, value);
                        all[2][i] = all[2][i].mul_add(two, value);
                        all[2][i] = all[2][i].mul_add(one, L::splat(*x.add(LANES + i)));
                    });
                }
                unroll!(c < 3, 0 1 2, {
                    unroll!(i < 8, 0 1 2 3 4 5 6 7, {
                        let to = to.add(c * SQUARE + (start + i) * LANES);
                        L::load(to).add(all[c][i]).store(to);
                    })
                });
            }
        }
        1
    }

    /// One column after the other, for `I` channels of the input and `O` blocks of the output; returns `O`.
    ///
    /// # Safety
    /// As [`Self::windows`].
    #[inline(always)]
    unsafe fn columns<L: Lanes, const S: usize, const O: usize, const I: usize>(
        self,
        size: usize,
        channels: usize,
        x: *const f32,
        dy: *const f32,
        to: *mut f32,
    ) -> usize {
        for c in 0..size {
            for start in (0..channels).step_by(I) {
                // SAFETY: as in `windows`.
                unsafe {
                    let mut all: [[L; I]; O] = std::mem::zeroed();
                    for y in 0..self.rows {
                        let mut x = x.add(y * self.x_row + c * LANES + start);
                        let mut next = dy.add(y * self.dy_row);
                        for _ in 0..self.width {
                            let mut gradient: [L; O] = std::mem::zeroed();
                            unroll!(o < O, 0 1, { gradient[o] = L::load(next.add(o * self.dy_block)) });
                            unroll!(i < I, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                                let value = L::splat(*x.add(i));
                                unroll!(o < O, 0 1, { all[o][i] = all[o][i].mul_add(gradient[o], value) });
                            });
                            x = x.add(S * LANES);
                            next = next.add(LANES);
                        }
                    }
                    unroll!(o < O, 0 1, {
                        unroll!(i < I, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                            let to = to.add(o * self.to_block + c * SQUARE + (start + i) * LANES);
                            L::load(to).add(all[o][i]).store(to);
                        })
                    });
                }
            }
        }
        O
    }
}
