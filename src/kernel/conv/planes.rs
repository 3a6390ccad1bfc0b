//! The convolution of images in colours as the engine has them, plane by plane: in blocks of sixteen channels thirteen
//! would be zeros.
//!
//! A row of the window lies in one piece once the colours of a pixel lie side by side, so that it is one tap of three times
//! as many channels as the window has columns.

use std::ops::Range;

use super::microkernel::{Operands, SQUARE};
use super::row::{COLOURS, row_of_colours};
use super::{Conv, Images, blocks, image};
use crate::kernel::simd::{LANES, Lanes};

/// A convolution of planes.
pub(crate) struct Planes<'a> {
    pub conv: Conv,
    /// [`packed`](pack).
    pub weight: &'a [f32],
}

/// What a kernel may read beyond the last pixel.
const SLACK: usize = 16 * LANES;

impl Planes<'_> {
    /// All images of a range.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&self, all: Range<usize>, images: &mut impl Images) {
        let Conv { input: [_, height, width], output: [out, rows, columns], size, stride, padding } = self.conv;
        let (row, across) = ((width + 2 * padding) * COLOURS, size * COLOURS);
        let mut scratch = vec![0.0; (height + 2 * padding) * row + SLACK];
        let taps: Vec<_> = (0..size).map(|r| (r * row, r * across * LANES)).collect();
        let w_out = size * across * LANES;
        let operands = Operands { taps: &taps, channels: across, x_block: LANES, w_block: SQUARE, w_out, ahead: None };
        assert_eq!(self.weight.len(), blocks(out) * w_out);
        for one in all {
            let (from, _) = images.input(one);
            gather(from, [height, width], &mut scratch[padding * (row + COLOURS)..], row);
            let (added, to) = (images.added(one), images.output(one));
            added.check(self.conv.output);
            assert_eq!(to.len(), image(self.conv.output));
            let mut first = 0;
            while first < blocks(out) {
                let w = self.weight[first * w_out..].as_ptr();
                let mut count = 0;
                for y in 0..rows {
                    let x = scratch[y * stride * row..].as_ptr();
                    let start = (first * rows + y) * columns * LANES;
                    let sums = added.sums(first, start, rows * columns * LANES, columns, to);
                    // SAFETY: the border and its slack hold what a row of pixels reads; `to` and what is added to it hold
                    // all blocks.
                    count = unsafe { row_of_colours::<L>(stride, blocks(out) - first, x, w, operands, sums) };
                }
                first += count;
            }
            images.end::<L>(one, to);
        }
    }
}

/// Planes to pixels, row by row.
fn gather(planes: &[f32], [height, width]: [usize; 2], to: &mut [f32], row: usize) {
    assert_eq!(planes.len(), COLOURS * height * width);
    for (y, to) in to.chunks_mut(row).take(height).enumerate() {
        let [red, green, blue] = [0, 1, 2].map(|colour| &planes[(colour * height + y) * width..][..width]);
        for (pixel, ((red, green), blue)) in to.chunks_exact_mut(COLOURS).zip(red.iter().zip(green).zip(blue)) {
            pixel.copy_from_slice(&[*red, *green, *blue]);
        }
    }
}

/// `[out, 3, size, size]` to `[out / 16, row, column, 3, 16 out]`, zeros where there are no channels.
pub(super) fn pack(weight: &[f32], out: usize, size: usize) -> Vec<f32> {
    let area = size * size;
    let mut packed = vec![0.0; blocks(out) * area * COLOURS * LANES];
    for (place, &value) in weight.iter().enumerate() {
        let (o, colour, tap) = (place / (COLOURS * area), place / area % COLOURS, place % area);
        packed[((o / LANES * area + tap) * COLOURS + colour) * LANES + o % LANES] = value;
    }
    packed
}
