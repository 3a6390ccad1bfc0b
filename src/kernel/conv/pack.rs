//! Weights as the kernels read them.

use super::{blocks, product::SQUARE};
use crate::kernel::lanes::LANES;

/// `[out, in, size, size]` to `[out / 16, in / 16, size, size, 16 in, 16 out]`, zeros where there are no channels.
pub(crate) fn pack(weight: &[f32], out: usize, input: usize, size: usize) -> Vec<f32> {
    let mut packed = vec![0.0; blocks(out) * blocks(input) * size * size * SQUARE];
    each(out, input, size, |plain, place| packed[place] = weight[plain]);
    packed
}

/// The other way.
pub(crate) fn unpack(packed: &[f32], out: usize, input: usize, size: usize) -> Vec<f32> {
    let mut weight = vec![0.0; out * input * size * size];
    each(out, input, size, |plain, place| weight[plain] = packed[place]);
    weight
}

/// The same weights for the way back: what was an output is an input, and the taps lie in reverse.
pub(crate) fn transpose(packed: &[f32], out_blocks: usize, in_blocks: usize, taps: usize) -> Vec<f32> {
    let mut turned = vec![0.0; packed.len()];
    for (place, square) in packed.chunks_exact(SQUARE).enumerate() {
        let (o, i, tap) = (place / (in_blocks * taps), place / taps % in_blocks, place % taps);
        let to = &mut turned[((i * out_blocks + o) * taps + taps - 1 - tap) * SQUARE..][..SQUARE];
        for (row, values) in square.chunks_exact(LANES).enumerate() {
            for (column, &value) in values.iter().enumerate() {
                to[column * LANES + row] = value;
            }
        }
    }
    turned
}

/// Calls for every weight with its place in the plain and in the packed order.
#[inline(always)]
fn each(out: usize, input: usize, size: usize, mut f: impl FnMut(usize, usize)) {
    let taps = size * size;
    let mut plain = 0;
    for o in 0..out {
        for i in 0..input {
            let mut place = (o / LANES * blocks(input) + i / LANES) * taps * SQUARE + i % LANES * LANES + o % LANES;
            for _ in 0..taps {
                f(plain, place);
                plain += 1;
                place += SQUARE;
            }
        }
    }
}
