//! The transforms of tiles and of weights.

use crate::kernel::conv::microkernel::SQUARE;
use crate::kernel::simd::Lanes;

/// Side of a tile's outputs and of its inputs.
pub(crate) const OUT: usize = 4;
pub(crate) const IN: usize = 6;
/// Places of a transformed tile.
pub(crate) const PLACES: usize = IN * IN;
/// The transform of a column or of a row.
pub(crate) trait Transform<const N: usize> {
    fn apply<L: Lanes>(values: [L; N]) -> [L; IN];
}

/// `Bᵀ·d`.
pub(crate) struct Input;

impl Transform<IN> for Input {
    #[inline(always)]
    fn apply<L: Lanes>([d0, d1, d2, d3, d4, d5]: [L; IN]) -> [L; IN] {
        let (two, four, five) = (L::splat(2.0), L::splat(-4.0), L::splat(-5.0));
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
pub(crate) struct Gradient;

impl Transform<OUT> for Gradient {
    #[inline(always)]
    fn apply<L: Lanes>([y0, y1, y2, y3]: [L; OUT]) -> [L; IN] {
        let (even, odd) = (y0.add(y2), y1.add(y3));
        let far_even = y0.mul_add(L::splat(4.0), y2);
        let far_odd = y1.mul(L::splat(2.0)).mul_add(L::splat(8.0), y3);
        [y0, even.add(odd), even.sub(odd), far_even.add(far_odd), far_even.sub(far_odd), y3]
    }
}

/// `Aᵀ·m`.
#[inline(always)]
pub(super) fn output<L: Lanes>([m0, m1, m2, m3, m4, m5]: [L; IN]) -> [L; OUT] {
    let (sum, difference) = (m1.add(m2), m1.sub(m2));
    let (sums, differences) = (m3.add(m4), m3.sub(m4));
    [
        m0.add(sum).add(sums),
        difference.mul_add(L::splat(2.0), differences),
        sum.mul_add(L::splat(4.0), sums),
        difference.mul_add(L::splat(8.0), differences).add(m5),
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

/// `G·w·Gᵀ` of packed weights, `[36][out][in][16][16]` in blocks.
pub(crate) fn transform_weight(packed: &[f32]) -> Vec<f32> {
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

/// `Gᵀ·u·G`: back to packed weights.
pub(crate) fn transform_back(all: &[f32]) -> Vec<f32> {
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
