//! The gradient with respect to the input of a convolution.
//!
//! `dx[i, s·y + r - p] += weight[o, i, r]·dy[o, y]` is again a convolution for all pixels of one *phase*, those that leave the
//! same remainder when divided by the stride. Each phase has the weights that reach it.

use std::ops::Range;

use super::microkernel::{Accumulators, Initial, Operands, SQUARE};
use super::pack::transpose;
use super::padded_input::PaddedInput;
use super::row::row;
use super::{Conv, Images, channel_blocks, image_len};
use crate::kernel::simd::{LANES, Simd};

/// The input gradient of a convolution.
pub(crate) struct InputGradient {
    conv: Conv,
    /// The transposed weights.
    weight: Vec<f32>,
    phases: Vec<Phase>,
    /// Columns of a tap.
    columns: usize,
    /// Padding of the output's gradient before and after rows and columns.
    before: usize,
    after: usize,
}

/// The pixels `first + k·stride` of rows and of columns.
struct Phase {
    first: [usize; 2],
    /// The offsets of the taps in the output's gradient and in the weights.
    taps: Vec<(usize, usize)>,
}

impl InputGradient {
    /// Returns the input gradient for packed weights.
    pub(crate) fn new(conv: &Conv, packed: &[f32]) -> Self {
        assert_eq!(packed.len(), conv.packed_len());
        let &Conv { input, output, size, stride, padding } = conv;
        let weight = transpose(packed, channel_blocks(output[0]), channel_blocks(input[0]), size * size);
        let before = (size - 1).saturating_sub(padding);
        // The last pixel of the input may be reached from beyond the last pixel of the output.
        let last = |axis: usize| ((input[axis] - 1 + padding) / stride + 1).saturating_sub(output[axis]);
        let after = last(1).max(last(2));
        let row = output[2] + before + after;
        // Weight `r` reaches pixel `first` of a phase from the gradient at `(first + padding - r) / stride`.
        let reach = |first: usize| {
            let all = (0..size).rev().filter(move |r| (first + padding + stride * size - r).is_multiple_of(stride));
            all.map(move |r| (r, (first + padding + stride * before - r) / stride))
        };
        let columns = if size == 3 && stride == 1 { 3 } else { 1 };
        let phase = |y: usize, x: usize| {
            let taps = reach(y).flat_map(|at_y| reach(x).step_by(columns).map(move |at_x| (at_y, at_x)));
            // Transposed weights are in reverse order.
            let tap = |((r, y), (c, x))| ((y * row + x) * LANES, ((size - 1 - r) * size + size - 1 - c) * SQUARE);
            Phase { first: [y, x], taps: taps.map(tap).collect() }
        };
        let phases = (0..stride).flat_map(|y| (0..stride).map(move |x| (y, x))).map(|(y, x)| phase(y, x)).collect();
        Self { conv: *conv, weight, phases, columns, before, after }
    }

    /// Computes some images.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(&self, simd: S, all: Range<usize>, images: &mut impl Images) {
        let Conv { input, output, size, stride, .. } = self.conv;
        let mut buffer = PaddedInput::new(output, self.before, self.after);
        let area = size * size * SQUARE;
        for image in all {
            buffer.fill(simd, images.input(image));
            for y in 0..input[1] {
                let x = buffer.pixel(0, y / stride, 0).as_ptr();
                for phase in self.phases.iter().filter(|phase| phase.first[0] == y % stride) {
                    let operands = Operands {
                        taps: &phase.taps,
                        channels: output[0],
                        x_block: buffer.block * LANES,
                        w_block: area,
                        w_out: channel_blocks(output[0]) * area,
                        prefetch: None,
                    };
                    self.run_row(simd, [y, phase.first[1]], x, operands, images, image);
                }
                // SAFETY: all phases of the row are computed.
                unsafe { images.after_pixels(simd, image, y * input[2]..(y + 1) * input[2]) };
            }
            // SAFETY: all rows of the image are computed.
            unsafe { images.after_image(simd, image) };
        }
    }

    /// Computes one phase of one row of all channel blocks, from a column on. `x` is the row of the padded gradient that tap
    /// offsets count from.
    #[inline(always)]
    fn run_row<S: Simd>(
        &self,
        simd: S,
        [y, column]: [usize; 2],
        x: *const f32,
        operands: Operands,
        images: &mut impl Images,
        image: usize,
    ) {
        let Conv { input: [channels, height, width], stride, .. } = self.conv;
        if column >= width {
            return;
        }
        let (to, _) = images.output(image);
        assert_eq!(to.len(), image_len(self.conv.input));
        let blocks = channel_blocks(channels);
        let mut first = 0;
        while first < blocks {
            let sums = Accumulators {
                to: to[((first * height + y) * width + column) * LANES..].as_mut_ptr().cast(),
                pixel: stride * LANES,
                block: height * width * LANES,
                count: (width - column).div_ceil(stride),
                initial: Initial::Zero,
                residual: None,
            };
            // SAFETY: the padding holds every pixel that a tap of this row reaches, and slack. The weights have the length of
            // the convolution's, the output holds all channel blocks.
            first += unsafe {
                let w = self.weight.as_ptr().add(first * operands.w_out);
                row(simd, self.columns, 1, blocks - first, x, w, operands, sums)
            };
        }
    }
}
