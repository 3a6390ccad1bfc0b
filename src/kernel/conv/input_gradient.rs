//! The gradient with respect to the input.
//!
//! `dx[i, s·y + r - p] += weight[o, i, r]·dy[o, y]` is again a convolution for all pixels of one phase, those that leave
//! the same remainder when divided by the stride: each phase has the weights that reach it.

use std::ops::Range;

use super::microkernel::{Accumulators, Begin, Operands, SQUARE};
use super::pack::transpose;
use super::row::row;
use super::{Conv, Images, PaddedInput, blocks, image};
use crate::kernel::simd::{LANES, Lanes};

/// The transposed weights and the phases of a convolution.
pub(crate) struct InputGradient {
    conv: Conv,
    weight: Vec<f32>,
    phases: Vec<Phase>,
    columns: usize,
    before: usize,
    behind: usize,
}

/// Pixels `first + k·stride` of rows and of columns, and where their summands lie in the gradient and in the weights.
struct Phase {
    first: [usize; 2],
    taps: Vec<(usize, usize)>,
}

impl InputGradient {
    /// From packed weights.
    pub(crate) fn new(conv: &Conv, packed: &[f32]) -> Self {
        let &Conv { input, output, size, stride, padding } = conv;
        let weight = transpose(packed, blocks(output[0]), blocks(input[0]), size * size);
        let before = (size - 1).saturating_sub(padding);
        // The last pixel of the input may be reached from beyond the last of the output.
        let last = |axis: usize| ((input[axis] - 1 + padding) / stride + 1).saturating_sub(output[axis]);
        let behind = last(1).max(last(2));
        let row = output[2] + before + behind;
        // Pixel `first` of a phase is reached through weight `r` from the gradient at `(first + padding - r) / stride`.
        let reach = |first: usize| {
            let all = (0..size).rev().filter(move |r| (first + padding + stride * size - r).is_multiple_of(stride));
            all.map(move |r| (r, (first + padding + stride * before - r) / stride))
        };
        let columns = if size == 3 && stride == 1 { 3 } else { 1 };
        let phase = |y: usize, x: usize| {
            let taps = reach(y).flat_map(|at_y| reach(x).step_by(columns).map(move |at_x| (at_y, at_x)));
            // Transposed weights lie in reverse.
            let tap = |((r, y), (c, x))| ((y * row + x) * LANES, ((size - 1 - r) * size + size - 1 - c) * SQUARE);
            Phase { first: [y, x], taps: taps.map(tap).collect() }
        };
        let phases = (0..stride).flat_map(|y| (0..stride).map(move |x| (y, x))).map(|(y, x)| phase(y, x)).collect();
        Self { conv: *conv, weight, phases, columns, before, behind }
    }

    /// All images of a range.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&self, all: Range<usize>, images: &mut impl Images) {
        let Conv { input, output, size, stride, .. } = self.conv;
        let mut scratch = PaddedInput::new(output, self.before, self.behind);
        let area = size * size * SQUARE;
        for one in all {
            scratch.fill::<L>(images.input(one));
            let to = images.output(one);
            assert_eq!(to.len(), image(input));
            for y in 0..input[1] {
                let x = scratch.start().wrapping_add(y / stride * scratch.row * LANES);
                for phase in self.phases.iter().filter(|phase| phase.first[0] == y % stride) {
                    let operands = Operands {
                        taps: &phase.taps,
                        channels: output[0],
                        x_block: scratch.block * LANES,
                        w_block: area,
                        w_out: blocks(output[0]) * area,
                        ahead: None,
                    };
                    self.row::<L>(phase.first[1], x, y, operands, to);
                }
                images.rows::<L>(one, y * input[2], input[2], input, to);
            }
            images.end::<L>(one, to);
        }
    }

    /// One phase of one row of all blocks, from a column on.
    #[inline(always)]
    fn row<L: Lanes>(&self, column: usize, x: *const f32, y: usize, operands: Operands, to: &mut [f32]) {
        let Conv { input: [channels, height, width], stride, .. } = self.conv;
        if column >= width {
            return;
        }
        let all = blocks(channels);
        let mut first = 0;
        while first < all {
            let sums = Accumulators {
                to: to[((first * height + y) * width + column) * LANES..].as_mut_ptr(),
                pixel: stride * LANES,
                block: height * width * LANES,
                count: (width - column).div_ceil(stride),
                begin: Begin::Zero,
                values: None,
            };
            // SAFETY: the border and its slack hold what a row of pixels reads; `to` holds all blocks.
            first += unsafe {
                let w = self.weight.as_ptr().add(first * operands.w_out);
                row::<L>(self.columns, 1, all - first, x, w, operands, sums)
            };
        }
    }
}
