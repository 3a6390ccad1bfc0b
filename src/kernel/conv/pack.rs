//! Packed weights: the order in which the kernels read them.

use super::{channel_blocks, microkernel::SQUARE};
use crate::kernel::simd::LANES;

/// Packs `[out, in, size, size]` to `[out / 16, in / 16, size, size, 16 in, 16 out]`. Channels that are missing are zero.
pub(crate) fn pack(weight: &[f32], out: usize, input: usize, size: usize) -> Vec<f32> {
    let mut packed = vec![0.0; channel_blocks(out) * channel_blocks(input) * size * size * SQUARE];
    let squares = packed.chunks_exact_mut(SQUARE).enumerate();
    squares
        .for_each(|(place, square)| each(place, out, input, size * size, |plain, lane| square[lane] = weight[plain]));
    packed
}

/// Returns the weights, `[out, in, size, size]`, that [`pack`] packed.
pub(crate) fn unpack(packed: &[f32], out: usize, input: usize, size: usize) -> Vec<f32> {
    let mut weight = vec![0.0; out * input * size * size];
    let squares = packed.chunks_exact(SQUARE).enumerate();
    squares
        .for_each(|(place, square)| each(place, out, input, size * size, |plain, lane| weight[plain] = square[lane]));
    weight
}

/// Calls `f` for every weight of a square of 16 times 16, with its places in the plain order and in the square.
#[inline(always)]
fn each(place: usize, out: usize, input: usize, taps: usize, mut f: impl FnMut(usize, usize)) {
    let (o, i, tap) =
        (place / taps / channel_blocks(input) * LANES, place / taps % channel_blocks(input) * LANES, place % taps);
    for row in 0..LANES.min(input - i) {
        let mut plain = (o * input + i + row) * taps + tap;
        for column in 0..LANES.min(out - o) {
            f(plain, row * LANES + column);
            plain += input * taps;
        }
    }
}

/// Returns the packed weights of the input gradient: inputs and outputs are exchanged, and the taps are reversed.
pub(crate) fn transpose(packed: &[f32], out_blocks: usize, in_blocks: usize, taps: usize) -> Vec<f32> {
    let mut transposed = vec![0.0; packed.len()];
    for (place, square) in packed.chunks_exact(SQUARE).enumerate() {
        let (o, i, tap) = (place / (in_blocks * taps), place / taps % in_blocks, place % taps);
        let to = &mut transposed[((i * out_blocks + o) * taps + taps - 1 - tap) * SQUARE..][..SQUARE];
        for (row, values) in square.chunks_exact(LANES).enumerate() {
            for (column, &value) in values.iter().enumerate() {
                to[column * LANES + row] = value;
            }
        }
    }
    transposed
}
