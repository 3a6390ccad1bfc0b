//! The innermost loops of a convolution: the sums of a few pixels of a few channel blocks of the output, held in registers.

use std::ops::Range;

use crate::kernel::simd::{F32x16, LANES, Simd};

/// Weights between a channel block of the input and one of the output, at one position of the window.
pub(crate) const SQUARE: usize = LANES * LANES;

/// The most pixels of any microkernel.
pub(super) const MAX_PIXELS: usize = 16;

/// The products that are summed for each pixel of the output. Offsets count values, from the corner of the pixel's window in
/// the input and from the first weight.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    /// The rows of the window, or parts of rows: their offsets in the input and in the weights.
    pub taps: &'a [(usize, usize)],
    /// Channels of the input.
    pub channels: usize,
    /// From one channel block of the input to the next, in the input.
    pub x_block: usize,
    /// From one channel block of the input to the next, in the weights.
    pub w_block: usize,
    /// From one channel block of the output to the next, in the weights.
    pub w_out: usize,
    /// What is fetched from memory meanwhile.
    pub prefetch: Option<Prefetch>,
}

/// What the next products will read. Several calls share it: each fetches one part.
#[derive(Clone, Copy)]
pub(super) struct Prefetch {
    /// The part of this call, and the number of parts.
    pub part: [usize; 2],
    /// Whether the weights of the next channel blocks of the output are fetched.
    pub weights: bool,
    pub input: Option<PrefetchRange>,
}

/// Values of several channel blocks of an input.
#[derive(Clone, Copy)]
pub(super) struct PrefetchRange {
    pub from: *const f32,
    /// From one channel block to the next.
    pub step: usize,
    /// Values of each channel block.
    pub count: usize,
}

impl Prefetch {
    /// The weights, all of them.
    pub(super) const WEIGHTS: Self = Self { part: [0, 1], weights: true, input: None };

    /// Divides this part into `parts`, and returns one of them.
    #[inline(always)]
    pub(super) fn part(self, part: usize, parts: usize) -> Self {
        Self { part: [self.part[0] * parts + part, self.part[1] * parts], ..self }
    }

    /// Returns this part of `0..count`.
    #[inline(always)]
    fn range(self, count: usize) -> Range<usize> {
        let [part, parts] = self.part;
        count * part / parts..count * (part + 1) / parts
    }
}

/// Where the sums go.
#[derive(Clone, Copy)]
pub(super) struct Accumulators {
    /// The first pixel of the first channel block.
    pub to: *mut f32,
    /// From one pixel to the next, values.
    pub pixel: usize,
    /// From one channel block to the next, values.
    pub block: usize,
    /// The number of pixels. A microkernel computes a fixed number, and drops those beyond this one.
    pub count: usize,
    /// What the sums start from.
    pub initial: Initial,
    /// What is added to the final sums: values that are laid out like `to`, and the lower bound that is applied to each.
    pub residual: Option<(*const f32, f32)>,
}

/// What sums start from.
#[derive(Clone, Copy)]
pub(super) enum Initial {
    Zero,
    /// The value of each channel, from the first channel block on.
    Bias(*const f32),
    /// The sums of the channels before, which are stored at `to`.
    Partial,
}

impl Accumulators {
    /// Skips pixels.
    #[inline(always)]
    pub(super) fn skip(self, pixels: usize) -> Self {
        let step = pixels * self.pixel;
        let residual = self.residual.map(|(from, lower)| (from.wrapping_add(step), lower));
        Self { to: self.to.wrapping_add(step), count: self.count - pixels, residual, ..self }
    }
}

/// Computes the sums of `O` channel blocks of `P` pixels. The windows of neighbouring pixels are `STRIDE` pixels of the
/// input apart, a pixel of the input has `X` values, and every tap has `KW` columns.
///
/// Each value of the input is broadcast once and multiplied by all weights of its row: `(P - 1)·STRIDE + KW` broadcasts and
/// `O·KW` loads feed `O·P·KW` multiply-adds.
///
/// # Safety
/// Everything that [`Operands`] describes for `P` pixels and `O` channel blocks must be readable and initialized behind `x`
/// and `w`. Everything that [`Accumulators`] describes for `count` pixels and `O` channel blocks must be writable at `to`,
/// readable and initialized at the bias and the residual, and initialized at `to` where the sums start from it.
#[inline(always)]
// `unroll!` compares the constant 0 with its end.
#[allow(clippy::absurd_extreme_comparisons)]
pub(super) unsafe fn microkernel<
    S: Simd,
    const X: usize,
    const KW: usize,
    const STRIDE: usize,
    const O: usize,
    const P: usize,
>(
    simd: S,
    x: *const f32,
    w: *const f32,
    operands: Operands,
    to: Accumulators,
) {
    let mut sums: [[S::Vector; P]; O] = simd.zeros_2d();
    // SAFETY: the caller promises bias and partial sums.
    unsafe {
        match to.initial {
            Initial::Zero => (),
            Initial::Bias(bias) => unroll!(o < O, 0 1 2 3, {
                let bias = simd.load_ptr(bias.add(o * LANES));
                unroll!(p < P, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, { sums[o][p] = bias })
            }),
            Initial::Partial => unroll!(p < P, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                if p < to.count {
                    unroll!(o < O, 0 1 2 3, { sums[o][p] = simd.load_ptr(to.to.add(o * to.block + p * to.pixel)) })
                }
            }),
        }
    }
    if let Some((from, _)) = to.residual {
        unroll!(o < O, 0 1 2 3, {
            unroll!(p < P, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                simd.prefetch(from.wrapping_add(o * to.block + p * to.pixel))
            })
        });
    }
    let next_weights = operands.prefetch.filter(|next| next.weights).map_or(0..0, |next| next.range(operands.w_block));
    let next_input = operands.prefetch.and_then(|next| Some((next.input?, next)));
    let (mut next_input, next_step, next_values) =
        next_input.map_or((x, 0, 0..0), |(input, next)| (input.from, input.step, next.range(input.count)));
    let mut left = operands.channels;
    let (mut x, mut w) = (x, w);
    while left > 0 {
        let here = left.min(LANES);
        for &(x_tap, w_tap) in operands.taps {
            // SAFETY: the caller promises the input and the weights of every tap and channel.
            unsafe {
                let (mut x, mut w) = (x.add(x_tap), w.add(w_tap));
                for _ in 0..here {
                    let mut weights: [[S::Vector; KW]; O] = simd.zeros_2d();
                    unroll!(o < O, 0 1 2 3, {
                        unroll!(kw < KW, 0 1 2, { weights[o][kw] = simd.load_ptr(w.add(o * operands.w_out + kw * SQUARE)) })
                    });
                    unroll!(j < (P - 1) * STRIDE + KW, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27, {
                        let value = simd.splat(*x.add(j * X));
                        unroll!(kw < KW, 0 1 2, {
                            if j >= kw && (j - kw).is_multiple_of(STRIDE) && (j - kw) / STRIDE < P {
                                unroll!(o < O, 0 1 2 3, {
                                    sums[o][(j - kw) / STRIDE] = sums[o][(j - kw) / STRIDE].mul_add(weights[o][kw], value);
                                })
                            }
                        })
                    });
                    x = x.add(1);
                    w = w.add(LANES);
                }
            }
        }
        // Iterators would not be inlined here.
        let mut place = next_weights.start;
        while place < next_weights.end {
            unroll!(o < O, 0 1 2 3, { simd.prefetch(w.wrapping_add((O + o) * operands.w_out + place)) });
            place += LANES;
        }
        let mut place = next_values.start;
        while place < next_values.end {
            simd.prefetch(next_input.wrapping_add(place));
            place += LANES;
        }
        next_input = next_input.wrapping_add(next_step);
        left -= here;
        // Behind the last channel block, the pointers are not read.
        (x, w) = (x.wrapping_add(operands.x_block), w.wrapping_add(operands.w_block));
    }
    // SAFETY: the caller promises residual and outputs.
    unsafe {
        if let Some((from, lower)) = to.residual {
            let lower = simd.splat(lower);
            unroll!(p < P, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                if p < to.count {
                    unroll!(o < O, 0 1 2 3, {
                        let value = simd.load_ptr(from.add(o * to.block + p * to.pixel));
                        sums[o][p] = sums[o][p].add(lower.max(value));
                    })
                }
            })
        }
        unroll!(p < P, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
            if p < to.count {
                unroll!(o < O, 0 1 2 3, { sums[o][p].store_ptr(to.to.add(o * to.block + p * to.pixel)) })
            }
        })
    }
}
