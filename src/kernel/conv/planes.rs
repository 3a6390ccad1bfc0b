//! The convolution of color images in Burn's layout, plane by plane. In the blocked layout, thirteen of sixteen channels would
//! be zeros.
//!
//! The planes are first interleaved, so that the colors of a pixel lie side by side. A row of the window is then contiguous: one
//! tap of three times as many channels as the window has columns.

use std::ops::Range;

use super::microkernel::{MAX_PIXELS, Operands, SQUARE};
use super::row::{COLORS, color_row};
use super::{Conv, Images, channel_blocks, image_len};
use crate::kernel::simd::{LANES, Simd};

/// A convolution of planes.
pub(crate) struct Planes<'a> {
    pub conv: Conv,
    /// Weights that [`pack`] packed.
    pub weight: &'a [f32],
}

/// Values that are readable behind the last pixel.
const SLACK: usize = MAX_PIXELS * LANES;

impl Planes<'_> {
    /// Computes some images.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(&self, simd: S, all: Range<usize>, images: &mut impl Images) {
        let Conv { input: [_, height, width], output: [out, rows, columns], size, stride, padding } = self.conv;
        let (row, across) = ((width + 2 * padding) * COLORS, size * COLORS);
        let mut buffer = vec![0.0; (height + 2 * padding) * row + SLACK];
        let taps: Vec<_> = (0..size).map(|r| (r * row, r * across * LANES)).collect();
        let w_out = size * across * LANES;
        let operands =
            Operands { taps: &taps, channels: across, x_block: LANES, w_block: SQUARE, w_out, prefetch: None };
        assert_eq!(self.weight.len(), channel_blocks(out) * w_out);
        for image in all {
            let (from, _) = images.input(image);
            interleave(from, [height, width], &mut buffer[padding * (row + COLORS)..], row);
            let (to, addend) = images.output(image);
            addend.check(self.conv.output);
            assert_eq!(to.len(), image_len(self.conv.output));
            let mut first = 0;
            while first < channel_blocks(out) {
                let w = self.weight[first * w_out..].as_ptr();
                let mut count = 0;
                for y in 0..rows {
                    let x = buffer[y * stride * row..].as_ptr();
                    let start = (first * rows + y) * columns * LANES;
                    let sums = addend.accumulators(first, start, rows * columns * LANES, columns, to);
                    // SAFETY: the buffer holds the windows of the row and slack, the weights have the length of the
                    // convolution's. Output, bias and residual hold all channel blocks, as was checked.
                    count = unsafe { color_row(simd, stride, channel_blocks(out) - first, x, w, operands, sums) };
                }
                first += count;
            }
            // SAFETY: all rows of all channel blocks are computed.
            unsafe { images.after_image(simd, image) };
        }
    }
}

/// Copies planes to pixels, whose rows are `row` values apart.
fn interleave(planes: &[f32], [height, width]: [usize; 2], to: &mut [f32], row: usize) {
    assert_eq!(planes.len(), COLORS * height * width);
    for (y, to) in to.chunks_mut(row).take(height).enumerate() {
        let [red, green, blue] = [0, 1, 2].map(|color| &planes[(color * height + y) * width..][..width]);
        for (pixel, ((red, green), blue)) in to.chunks_exact_mut(COLORS).zip(red.iter().zip(green).zip(blue)) {
            pixel.copy_from_slice(&[*red, *green, *blue]);
        }
    }
}

/// Packs `[out, 3, size, size]` to `[out / 16, row, column, 3, 16 out]`. Channels that are missing are zero.
pub(super) fn pack(weight: &[f32], out: usize, size: usize) -> Vec<f32> {
    let area = size * size;
    let mut packed = vec![0.0; channel_blocks(out) * area * COLORS * LANES];
    for (place, &value) in weight.iter().enumerate() {
        let (o, color, tap) = (place / (COLORS * area), place / area % COLORS, place % area);
        packed[((o / LANES * area + tap) * COLORS + color) * LANES + o % LANES] = value;
    }
    packed
}
