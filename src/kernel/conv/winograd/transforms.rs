//! The transforms of tiles and of weights.

use crate::kernel::conv::channel_blocks;
use crate::kernel::conv::microkernel::SQUARE;
use crate::kernel::simd::{F32x16, Simd};

/// Side of the outputs of a tile.
pub(super) const OUT: usize = 4;
/// Side of the inputs of a tile.
pub(super) const IN: usize = 6;
/// Places of a transformed tile.
pub(crate) const PLACES: usize = IN * IN;

/// A transform of a tile of `N` times `N` pixels to one of 6 times 6 places. It is applied to the columns and then to the rows.
pub(crate) trait Transform<const N: usize> {
    /// Transforms a column or a row.
    fn apply<S: Simd>(simd: S, values: [S::Vector; N]) -> [S::Vector; IN];
}

/// `Bᵀ·d`.
pub(crate) struct InputTransform;

impl Transform<IN> for InputTransform {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, [d0, d1, d2, d3, d4, d5]: [S::Vector; IN]) -> [S::Vector; IN] {
        let (two, four, five) = (simd.splat(2.0), simd.splat(-4.0), simd.splat(-5.0));
        let (even, odd) = (d4.mul_add(four, d2), d3.mul_add(four, d1));
        let (near, far) = (d4.sub(d2), d3.sub(d1).mul(two));
        [
            d4.mul_add(five, d2).sub(d0.mul(four)),
            even.add(odd),
            even.sub(odd),
            near.add(far),
            near.sub(far),
            d5.mul_add(five, d3).sub(d1.mul(four)),
        ]
    }
}

/// `A·y`.
pub(crate) struct GradientTransform;

impl Transform<OUT> for GradientTransform {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, [y0, y1, y2, y3]: [S::Vector; OUT]) -> [S::Vector; IN] {
        let (even, odd) = (y0.add(y2), y1.add(y3));
        let far_even = y0.mul_add(simd.splat(4.0), y2);
        let far_odd = y1.mul(simd.splat(2.0)).mul_add(simd.splat(8.0), y3);
        [y0, even.add(odd), even.sub(odd), far_even.add(far_odd), far_even.sub(far_odd), y3]
    }
}

/// Returns `Aᵀ·m`.
#[inline(always)]
pub(super) fn output_transform<S: Simd>(simd: S, [m0, m1, m2, m3, m4, m5]: [S::Vector; IN]) -> [S::Vector; OUT] {
    let (sum, difference) = (m1.add(m2), m1.sub(m2));
    let (sums, differences) = (m3.add(m4), m3.sub(m4));
    [
        m0.add(sum).add(sums),
        difference.mul_add(simd.splat(2.0), differences),
        sum.mul_add(simd.splat(4.0), sums),
        difference.mul_add(simd.splat(8.0), differences).add(m5),
    ]
}

/// `G`, row by row.
const G: [[f32; 3]; IN] = [
    [0.25, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// Returns the number of transformed weights between a number of channels of the input and of the output.
pub(crate) fn weights_len(input: usize, output: usize) -> usize {
    PLACES * channel_blocks(input) * channel_blocks(output) * SQUARE
}

/// Returns `G·w·Gᵀ` of packed weights: `[36, out / 16, in / 16, 16 in, 16 out]`.
pub(crate) fn transform_weights(packed: &[f32]) -> Vec<f32> {
    let size = packed.len() / 9;
    let mut all = vec![0.0; PLACES * size];
    for (square, window) in packed.chunks_exact(9 * SQUARE).enumerate() {
        for place in 0..PLACES {
            let to = &mut all[place * size + square * SQUARE..][..SQUARE];
            for (tap, weights) in window.chunks_exact(SQUARE).enumerate() {
                let factor = G[place / IN][tap / 3] * G[place % IN][tap % 3];
                if factor != 0.0 {
                    to.iter_mut().zip(weights).for_each(|(to, w)| *to += factor * w);
                }
            }
        }
    }
    all
}

/// Returns `Gᵀ·u·G` of transformed weights, packed.
pub(crate) fn adjoint_transform_weights(all: &[f32]) -> Vec<f32> {
    let size = all.len() / PLACES;
    let mut packed = vec![0.0; 9 * size];
    for (square, window) in packed.chunks_exact_mut(9 * SQUARE).enumerate() {
        for (tap, to) in window.chunks_exact_mut(SQUARE).enumerate() {
            for place in 0..PLACES {
                let factor = G[place / IN][tap / 3] * G[place % IN][tap % 3];
                let from = &all[place * size + square * SQUARE..][..SQUARE];
                if factor != 0.0 {
                    to.iter_mut().zip(from).for_each(|(to, u)| *to += factor * u);
                }
            }
        }
    }
    packed
}
