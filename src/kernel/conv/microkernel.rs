//! The innermost loops of a convolution: a few pixels of a few blocks of output channels, held in registers.

use std::ops::Range;

use crate::kernel::simd::{LANES, Lanes};

/// One weight for every pair of lanes of two blocks.
pub(crate) const SQUARE: usize = LANES * LANES;

/// Where the summands of an output pixel lie. The offsets count f32 from the pixel's corner in the input and from the
/// first weight.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    /// A row of the window (or a part of it): its place in the input and in the weights.
    pub taps: &'a [(usize, usize)],
    /// Channels of the input.
    pub channels: usize,
    /// From one block of input channels to the next, in the input and in the weights.
    pub x_block: usize,
    pub w_block: usize,
    /// From one block of output channels to the next, in the weights.
    pub w_out: usize,
    /// What comes next, and is fetched from memory meanwhile.
    pub ahead: Option<Prefetch>,
}

/// What will be read after some products.
#[derive(Clone, Copy)]
pub(crate) struct Prefetch {
    /// These products fetch one part of it, of so many.
    pub part: [usize; 2],
    /// Whether it is the weights of the blocks behind.
    pub weights: bool,
    pub input: Option<PrefetchRange>,
}

/// Values of several blocks.
#[derive(Clone, Copy)]
pub(crate) struct PrefetchRange {
    pub from: *const f32,
    /// From one block to the next.
    pub step: usize,
    /// Of each block.
    pub count: usize,
}

impl Prefetch {
    /// Weights alone, all of them.
    pub(super) const WEIGHTS: Self = Self { part: [0, 1], weights: true, input: None };

    /// A part of this part.
    #[inline(always)]
    pub(super) fn part(self, part: usize, parts: usize) -> Self {
        Self { part: [self.part[0] * parts + part, self.part[1] * parts], ..self }
    }

    /// Which of so many values the part is.
    #[inline(always)]
    fn of(self, count: usize) -> Range<usize> {
        let [part, parts] = self.part;
        count * part / parts..count * (part + 1) / parts
    }
}

/// Where the sums go: the first block's first pixel, and the steps to the next pixel and the next block.
#[derive(Clone, Copy)]
pub(crate) struct Accumulators {
    pub to: *mut f32,
    pub pixel: usize,
    pub block: usize,
    /// How many of the pixels there are; what is computed beyond them is dropped.
    pub count: usize,
    pub begin: Begin,
    /// What is added to the sums once they are whole: values that lie as they do, and the least that is taken of each.
    pub values: Option<(*const f32, f32)>,
}

/// What sums begin with.
#[derive(Clone, Copy)]
pub(crate) enum Begin {
    Zero,
    /// A value for every channel of the first block and those behind it.
    Bias(*const f32),
    /// What is there already.
    There,
}

impl Accumulators {
    /// The same, so many pixels later.
    #[inline(always)]
    pub(super) fn behind(self, pixels: usize) -> Self {
        let step = pixels * self.pixel;
        let values = self.values.map(|(from, least)| (from.wrapping_add(step), least));
        Self { to: self.to.wrapping_add(step), count: self.count - pixels, values, ..self }
    }
}

/// The sums of `O` blocks of `P` pixels, `S` pixels of the input of `X` values apart; every tap has `KW` columns.
///
/// Every value of the input is broadcast once and meets all weights of its row: `(P-1)·S + KW` broadcasts and `O·KW`
/// loads feed `O·P·KW` products.
///
/// # Safety
/// All that [`Operands`] names for `P` pixels and `O` blocks must lie behind the two pointers, and all that [`Accumulators`] names
/// behind its own.
#[inline(always)]
// The first constant of every `unroll` is 0.
#[allow(clippy::absurd_extreme_comparisons)]
pub(super) unsafe fn product<
    L: Lanes,
    const X: usize,
    const KW: usize,
    const S: usize,
    const O: usize,
    const P: usize,
>(
    x: *const f32,
    w: *const f32,
    sum: Operands,
    sums: Accumulators,
) {
    // An array stays in registers only if every access has a constant index: hence `unroll` throughout, and the fill
    // with zero bits.
    // SAFETY: zero bits are sums of 0.
    let mut all: [[L; P]; O] = unsafe { std::mem::zeroed() };
    // SAFETY: the caller's promise.
    unsafe {
        match sums.begin {
            Begin::Zero => (),
            Begin::Bias(bias) => unroll!(o < O, 0 1 2 3, {
                let bias = L::load(bias.add(o * LANES));
                unroll!(p < P, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, { all[o][p] = bias })
            }),
            Begin::There => unroll!(p < P, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                if p < sums.count {
                    unroll!(o < O, 0 1 2 3, { all[o][p] = L::load(sums.to.add(o * sums.block + p * sums.pixel)) })
                }
            }),
        }
    }
    if let Some((from, _)) = sums.values {
        unroll!(o < O, 0 1 2 3, {
            unroll!(p < P, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                L::fetch(from.wrapping_add(o * sums.block + p * sums.pixel))
            })
        });
    }
    let next = sum.ahead.filter(|ahead| ahead.weights).map_or(0..0, |ahead| ahead.of(sum.w_block));
    let coming = sum.ahead.and_then(|ahead| Some((ahead.input?, ahead)));
    let (mut coming, step, some) =
        coming.map_or((x, 0, 0..0), |(input, ahead)| (input.from, input.step, ahead.of(input.count)));
    let mut left = sum.channels;
    let (mut x, mut w) = (x, w);
    while left > 0 {
        let here = left.min(LANES);
        for &(x_tap, w_tap) in sum.taps {
            // SAFETY: the caller's promise.
            unsafe {
                let (mut x, mut w) = (x.add(x_tap), w.add(w_tap));
                for _ in 0..here {
                    let mut weights: [[L; KW]; O] = std::mem::zeroed();
                    unroll!(o < O, 0 1 2 3, {
                        unroll!(kw < KW, 0 1 2, { weights[o][kw] = L::load(w.add(o * sum.w_out + kw * SQUARE)) })
                    });
                    unroll!(j < (P - 1) * S + KW, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27, {
                        let value = L::splat(*x.add(j * X));
                        unroll!(kw < KW, 0 1 2, {
                            if j >= kw && (j - kw).is_multiple_of(S) && (j - kw) / S < P {
                                unroll!(o < O, 0 1 2 3, {
                                    all[o][(j - kw) / S] = all[o][(j - kw) / S].mul_add(weights[o][kw], value);
                                })
                            }
                        })
                    });
                    x = x.add(1);
                    w = w.add(LANES);
                }
            }
        }
        // Not as iterators, which are not inlined here.
        let mut place = next.start;
        while place < next.end {
            unroll!(o < O, 0 1 2 3, { L::fetch(w.wrapping_add((O + o) * sum.w_out + place)) });
            place += LANES;
        }
        let mut place = some.start;
        while place < some.end {
            L::fetch(coming.wrapping_add(place));
            place += LANES;
        }
        coming = coming.wrapping_add(step);
        left -= here;
        // SAFETY: only as far as there are channels.
        unsafe {
            x = x.add(sum.x_block);
            w = w.add(sum.w_block);
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        if let Some((from, least)) = sums.values {
            let least = L::splat(least);
            unroll!(p < P, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
                if p < sums.count {
                    unroll!(o < O, 0 1 2 3, {
                        let value = L::load(from.add(o * sums.block + p * sums.pixel));
                        all[o][p] = all[o][p].add(least.max(value));
                    })
                }
            })
        }
        unroll!(p < P, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15, {
            if p < sums.count {
                unroll!(o < O, 0 1 2 3, {
                    all[o][p].store(sums.to.add(o * sums.block + p * sums.pixel));
                })
            }
        })
    }
}
