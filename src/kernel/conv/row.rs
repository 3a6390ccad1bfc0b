//! Rows of pixels, computed by the microkernel that fits their number and the registers.

use super::microkernel::{Accumulators, MAX_PIXELS, Operands, microkernel};
use crate::kernel::simd::{LANES, Simd};

/// Channels of a color image.
pub(crate) const COLORS: usize = 3;

/// Pixels that must be readable behind the last one, for a window of one pixel or column: a microkernel reads a whole number of
/// tiles.
pub(super) const SLACK: usize = 2 * MAX_PIXELS;

/// Computes the sums of a row of pixels for a few of the `left` channel blocks that are left, and returns how many.
///
/// # Safety
/// As [`microkernel`], for `to.count` pixels, with [`SLACK`] pixels readable behind the last one.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn row<S: Simd>(
    simd: S,
    columns: usize,
    stride: usize,
    left: usize,
    x: *const f32,
    w: *const f32,
    operands: Operands,
    to: Accumulators,
) -> usize {
    // Pixels times channel blocks are as many as there are registers, less one row of weights and one value of the input. Of
    // the tiles that fit, the one is taken that wastes the fewest pixels.
    // SAFETY: the caller promises what each tile asks for.
    unsafe {
        match (S::HAS_32_REGISTERS, columns, stride, left) {
            (true, 3, 1, 1) => tiles::<S, LANES, 3, 1, 1, 16, 8>(simd, x, w, operands, to),
            (true, 3, 1, _) if !to.count.is_multiple_of(8) && to.count.is_multiple_of(7) => {
                tiles::<S, LANES, 3, 1, 2, 7, 4>(simd, x, w, operands, to)
            }
            (true, 3, 1, _) => tiles::<S, LANES, 3, 1, 2, 8, 4>(simd, x, w, operands, to),
            (true, _, 1, 1) => tiles::<S, LANES, 1, 1, 1, 16, 8>(simd, x, w, operands, to),
            (true, _, 1, _) if to.count.is_multiple_of(10) => {
                tiles::<S, LANES, 1, 1, 2, 10, 5>(simd, x, w, operands, to)
            }
            (true, _, 1, _) if to.count.is_multiple_of(14) || !to.count.is_multiple_of(8) => {
                tiles::<S, LANES, 1, 1, 2, 14, 7>(simd, x, w, operands, to)
            }
            (true, _, 1, _) => tiles::<S, LANES, 1, 1, 2, 8, 4>(simd, x, w, operands, to),
            (true, _, 2, 1) => tiles::<S, LANES, 1, 2, 1, 8, 4>(simd, x, w, operands, to),
            (true, _, 2, left) if left >= 3 && left != 4 && !to.count.is_multiple_of(8) => {
                tiles::<S, LANES, 1, 2, 3, 7, 4>(simd, x, w, operands, to)
            }
            (true, _, 2, _) => tiles::<S, LANES, 1, 2, 2, 8, 4>(simd, x, w, operands, to),
            (false, 3, 1, _) => tiles::<S, LANES, 3, 1, 1, 4, 2>(simd, x, w, operands, to),
            (false, _, 1, _) => tiles::<S, LANES, 1, 1, 1, 5, 3>(simd, x, w, operands, to),
            (false, _, 2, _) => tiles::<S, LANES, 1, 2, 1, 5, 3>(simd, x, w, operands, to),
            _ => unreachable!("a stride of {stride}"),
        }
    }
}

/// As [`row`], for images in which the colors of a pixel lie side by side.
///
/// # Safety
/// As [`row`].
#[inline(always)]
pub(super) unsafe fn color_row<S: Simd>(
    simd: S,
    stride: usize,
    left: usize,
    x: *const f32,
    w: *const f32,
    operands: Operands,
    to: Accumulators,
) -> usize {
    // SAFETY: the caller promises what each tile asks for.
    unsafe {
        match (S::HAS_32_REGISTERS, stride, left) {
            (true, 1, 1) => tiles::<S, COLORS, 1, 1, 1, 16, 8>(simd, x, w, operands, to),
            (true, 1, _) => tiles::<S, COLORS, 1, 1, 2, 14, 7>(simd, x, w, operands, to),
            (true, 2, 1) => tiles::<S, COLORS, 1, 2, 1, 14, 7>(simd, x, w, operands, to),
            (true, 2, _) => tiles::<S, COLORS, 1, 2, 2, 14, 7>(simd, x, w, operands, to),
            (false, 1, _) => tiles::<S, COLORS, 1, 1, 1, 5, 3>(simd, x, w, operands, to),
            (false, 2, _) => tiles::<S, COLORS, 1, 2, 1, 5, 3>(simd, x, w, operands, to),
            _ => unreachable!("a stride of {stride}"),
        }
    }
}

/// Computes `P` pixels at a time, and `T` if no more are left. Returns `O`.
///
/// # Safety
/// As [`row`].
#[inline(always)]
unsafe fn tiles<
    S: Simd,
    const X: usize,
    const KW: usize,
    const STRIDE: usize,
    const O: usize,
    const P: usize,
    const T: usize,
>(
    simd: S,
    x: *const f32,
    w: *const f32,
    operands: Operands,
    to: Accumulators,
) -> usize {
    let calls = to.count.div_ceil(P);
    for call in 0..calls {
        let start = call * P;
        let operands = Operands { prefetch: operands.prefetch.map(|next| next.part(call, calls)), ..operands };
        let to = to.skip(start);
        let x = x.wrapping_add(start * STRIDE * X);
        // SAFETY: the caller promises as many pixels, and slack for those beyond the last.
        unsafe {
            if to.count > T {
                microkernel::<S, X, KW, STRIDE, O, P>(simd, x, w, operands, to);
            } else {
                microkernel::<S, X, KW, STRIDE, O, T>(simd, x, w, operands, to);
            }
        }
    }
    O
}
