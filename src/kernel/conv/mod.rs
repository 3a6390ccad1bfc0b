//! Convolution in the blocked layout: forward, input gradient and weight gradient.
//!
//! A [`ConvPlan`] is the algorithm that suits a convolution: direct, Winograd's, of planes, or an input gradient. It reads and
//! writes images through [`Images`], which says what is done to values on their way in, what is added to sums, and what happens
//! to outputs while they are still cached.

/// Repeats a body with a constant for each of the values below an end. Only constant indices keep an array of vectors in
/// registers.
macro_rules! unroll {
    ($i:ident < $end:expr, $($value:literal)*, $body:block) => {
        { $( if $value < $end { #[allow(non_upper_case_globals)] const $i: usize = $value; $body } )* }
    };
}

mod addend;
mod dense;
mod direct;
mod input_gradient;
mod microkernel;
mod pack;
mod packed_weights;
mod padded_input;
mod patch;
mod planes;
mod row;
#[cfg(test)]
mod tests;
mod weight_gradient;
mod winograd;

pub(crate) use addend::{Addend, Residual};
pub(crate) use dense::Dense;
pub(crate) use pack::{pack, transpose, unpack};
pub(crate) use packed_weights::PackedWeights;
pub(crate) use padded_input::Prologue;
pub(crate) use row::COLORS;
pub(crate) use weight_gradient::WeightGradient;

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::simd::{LANES, Simd};
use direct::Direct;
use input_gradient::InputGradient;
use planes::Planes;
use winograd::{Tiling, Winograd};

/// The images that go through a convolution.
///
/// All methods that take a token must be `#[inline(always)]`; see [`SimdOp`](super::simd::SimdOp).
pub(crate) trait Images {
    /// Returns an image of the input, and what is done to its values first.
    fn input(&self, image: usize) -> (&[f32], Prologue<'_>);

    /// Returns where the output of an image goes, and what is added to its sums.
    fn output(&mut self, image: usize) -> (&mut [MaybeUninit<f32>], Addend<'_>);

    /// Called for some pixels of all channels of an output, while they are cached.
    ///
    /// # Safety
    /// These pixels of the output must be written.
    #[inline(always)]
    unsafe fn after_pixels<S: Simd>(&mut self, _simd: S, _image: usize, _pixels: Range<usize>) {}

    /// Called for every image that is done.
    ///
    /// # Safety
    /// The output of the image must be written.
    #[inline(always)]
    unsafe fn after_image<S: Simd>(&mut self, _simd: S, _image: usize) {}
}

/// The inputs and the gradients of the outputs that a weight gradient is computed from.
pub(crate) trait ImagePairs {
    /// Returns an image of the input with what is done to it first, and the gradient of its output.
    fn pair(&self, image: usize) -> ((&[f32], Prologue<'_>), &[f32]);
}

/// An algorithm with weights: a convolution, or its input gradient.
pub(crate) enum ConvPlan<'a> {
    Direct(Direct<'a>),
    Planes(Planes<'a>),
    InputGradient(InputGradient),
    Winograd(Winograd<'a>),
}

impl<'a> ConvPlan<'a> {
    /// Returns a plan for some channel blocks of the output. The outputs of images then consist of these.
    pub(crate) fn forward(conv: &Conv, blocks: Range<usize>, packed: &'a PackedWeights, weight: &[f32]) -> Self {
        let part = conv.with_output_blocks(&blocks);
        if let Some(tiling) = Tiling::new(conv) {
            let weight = Cow::Borrowed(packed.winograd(conv, weight));
            let Conv { input, output, padding, .. } = part;
            return Self::Winograd(Winograd { tiling, weight, input, output, first: blocks.start, padding });
        }
        let each = channel_blocks(conv.input[0]) * conv.area();
        let weight = &packed.direct(conv, weight)[blocks.start * each..blocks.end * each];
        Self::Direct(Direct { conv: part, weight })
    }

    /// Returns a plan for color images that are stored plane by plane, as [`Self::forward`].
    pub(crate) fn planes(conv: &Conv, blocks: Range<usize>, packed: &'a PackedWeights, weight: &[f32]) -> Self {
        let packed = packed.planes(conv, weight);
        let each = packed.len() / channel_blocks(conv.output[0]);
        let conv = conv.with_output_blocks(&blocks);
        Self::Planes(Planes { conv, weight: &packed[blocks.start * each..blocks.end * each] })
    }

    /// Returns a plan for the gradient with respect to the input. Its inputs are the gradients of the outputs. With a stride of 1
    /// it is the convolution with the transposed weights.
    pub(crate) fn input_gradient(conv: &Conv, packed: &PackedWeights, weight: &[f32]) -> Self {
        let packed = packed.direct(conv, weight);
        let padding = 2usize.saturating_sub(conv.padding);
        let transposed = Conv { input: conv.output, output: conv.input, padding, ..*conv };
        match Tiling::new(&transposed).filter(|_| conv.padding <= 2) {
            Some(tiling) => {
                let packed = transpose(packed, channel_blocks(conv.output[0]), channel_blocks(conv.input[0]), 9);
                let weight = Cow::Owned(winograd::transform_weights(&packed));
                let Conv { input, output, .. } = transposed;
                Self::Winograd(Winograd { tiling, weight, input, output, first: 0, padding })
            }
            None => Self::InputGradient(InputGradient::new(conv, packed)),
        }
    }

    /// Computes some images. Writes every value of their outputs.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(&self, simd: S, all: Range<usize>, images: &mut impl Images) {
        match self {
            Self::Direct(direct) => direct.run(simd, all, images),
            Self::Planes(planes) => planes.run(simd, all, images),
            Self::InputGradient(gradient) => gradient.run(simd, all, images),
            Self::Winograd(winograd) => winograd.run(simd, all, images),
        }
    }
}

/// The shapes of a convolution with a square window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conv {
    /// `[channels, height, width]`.
    pub input: [usize; 3],
    /// `[channels, height, width]`.
    pub output: [usize; 3],
    /// Side of the window.
    pub size: usize,
    pub stride: usize,
    pub padding: usize,
}

/// Returns the number of channel blocks of a number of channels.
pub(crate) fn channel_blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// Returns a value for every channel, padded with zeros to whole channel blocks.
pub(crate) fn pad_channels(values: &[f32]) -> Vec<f32> {
    let mut padded = values.to_vec();
    padded.resize(channel_blocks(values.len()) * LANES, 0.0);
    padded
}

/// Returns the number of values of one image in the blocked layout.
pub(crate) fn image_len([channels, height, width]: [usize; 3]) -> usize {
    channel_blocks(channels) * height * width * LANES
}

impl Conv {
    /// Returns the shapes for an input and a number of output channels. The window must not be larger than the padded input.
    pub(crate) fn new(input: [usize; 3], out: usize, size: usize, stride: usize, padding: usize) -> Self {
        let side = |length: usize| (length + 2 * padding - size) / stride + 1;
        Self { input, output: [out, side(input[1]), side(input[2])], size, stride, padding }
    }

    /// Returns the convolution to some channel blocks of the output.
    fn with_output_blocks(&self, blocks: &Range<usize>) -> Self {
        let [out, height, width] = self.output;
        Self { output: [out.min(blocks.end * LANES) - blocks.start * LANES, height, width], ..*self }
    }

    /// Returns the multiply-adds for one image.
    pub(crate) fn multiply_adds(&self) -> usize {
        self.input[0] * self.size * self.size * self.output.iter().product::<usize>()
    }

    /// Returns the number of packed weights.
    fn packed_len(&self) -> usize {
        channel_blocks(self.input[0]) * channel_blocks(self.output[0]) * self.area()
    }

    /// Returns the number of weights that the forward pass reads.
    pub(crate) fn forward_weights_len(&self) -> usize {
        match Tiling::new(self) {
            Some(_) => winograd::weights_len(self.input[0], self.output[0]),
            None => self.packed_len(),
        }
    }

    /// Returns the number of packed weights between one channel block of the input and one of the output.
    fn area(&self) -> usize {
        self.size * self.size * microkernel::SQUARE
    }

    /// Returns the taps of a window and the columns of a tap, for rows of the input that are `row` pixels apart. A tap is a row of
    /// the window if it has three columns and a stride of 1, otherwise a single weight.
    fn taps(&self, row: usize) -> (Vec<(usize, usize)>, usize) {
        let columns = if self.size == 3 && self.stride == 1 { 3 } else { 1 };
        let rows = (0..self.size).flat_map(|r| (0..self.size).step_by(columns).map(move |c| (r, c)));
        let taps = rows.map(|(r, c)| ((r * row + c) * LANES, (r * self.size + c) * microkernel::SQUARE)).collect();
        (taps, columns)
    }
}
