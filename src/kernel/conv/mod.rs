//! Convolution in blocks of sixteen channels: forward, input gradient, weight gradient.

/// Repeats a body with constants: only then do the sums stay in registers.
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
mod padded_input;
mod patch;
mod planes;
mod row;
#[cfg(test)]
mod tests;
mod weight_gradient;
mod winograd;

pub(crate) use addend::{Addend, Values};
pub(crate) use dense::Dense;
pub(crate) use pack::{pack, transpose, unpack};
pub(crate) use padded_input::{PaddedInput, Prologue};
pub(crate) use row::COLOURS;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use super::simd::{LANES, Lanes};
use direct::Direct;
use input_gradient::InputGradient;
use planes::Planes;
use winograd::{Gradient, Input, Tiles, Tiling, Winograd};

/// The images that go through a convolution. All that takes lanes must be `#[inline(always)]`.
pub(crate) trait Images {
    /// An image on its way in, and what is done to its values first.
    fn input(&self, image: usize) -> (&[f32], Prologue<'_>);
    /// Where an image's values go.
    fn output<'a>(&self, image: usize) -> &'a mut [f32];
    /// What is added to an image's sums.
    fn added(&self, _image: usize) -> Addend<'_> {
        Addend::NONE
    }
    /// For some pixels of a block of a gradient, while they lie in the cache; they begin so many values behind the start of
    /// the image.
    fn row<L: Lanes>(&mut self, _image: usize, _block: usize, _start: usize, _row: &mut [f32]) {}
    /// For an image that is done.
    fn end<L: Lanes>(&mut self, image: usize, values: &mut [f32]);

    /// [`Self::row`] for `count` pixels of every block, behind `start` others.
    #[inline(always)]
    fn rows<L: Lanes>(&mut self, image: usize, start: usize, count: usize, shape: [usize; 3], values: &mut [f32]) {
        let [channels, height, width] = shape;
        for block in 0..blocks(channels) {
            let start = (block * height * width + start) * LANES;
            self.row::<L>(image, block, start, &mut values[start..start + count * LANES]);
        }
    }
}

/// Weights in the orders that the kernels read, each made when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct PackedWeights {
    packed: OnceLock<Vec<f32>>,
    planes: OnceLock<Vec<f32>>,
    tiles: OnceLock<Vec<f32>>,
}

impl PackedWeights {
    /// [`pack`]ed.
    pub(crate) fn packed(&self, conv: &Conv, weight: &[f32]) -> &[f32] {
        self.packed.get_or_init(|| pack(weight, conv.output[0], conv.input[0], conv.size))
    }

    /// Transformed for [`Winograd`].
    fn tiles(&self, conv: &Conv, weight: &[f32]) -> &[f32] {
        self.tiles.get_or_init(|| {
            let packed = pack(weight, conv.output[0], conv.input[0], conv.size);
            winograd::transform_weight(&packed)
        })
    }
}

/// A convolution with its weights made ready, forward or back to the input.
pub(crate) enum ConvPlan<'a> {
    Direct(Direct<'a>),
    Planes(Planes<'a>),
    Back(InputGradient),
    Winograd(Winograd<'a>),
}

impl<'a> ConvPlan<'a> {
    /// Forward, to some blocks of the output, which images then consist of.
    pub(crate) fn forward(conv: &Conv, some: Range<usize>, prepared: &'a PackedWeights, weight: &[f32]) -> Self {
        let part = conv.part(&some);
        if let Some(tiling) = Tiling::new(conv) {
            let weight = Cow::Borrowed(prepared.tiles(conv, weight));
            let Conv { input, output, padding: before, .. } = part;
            return Self::Winograd(Winograd { tiling, weight, input, output, first: some.start, before });
        }
        let each = blocks(conv.input[0]) * conv.area();
        let weight = &prepared.packed(conv, weight)[some.start * each..some.end * each];
        Self::Direct(Direct { conv: part, weight })
    }

    /// Forward, of images in colours that lie plane by plane.
    pub(crate) fn planes(conv: &Conv, some: Range<usize>, prepared: &'a PackedWeights, weight: &[f32]) -> Self {
        let packed = prepared.planes.get_or_init(|| planes::pack(weight, conv.output[0], conv.size));
        let each = packed.len() / blocks(conv.output[0]);
        Self::Planes(Planes { conv: conv.part(&some), weight: &packed[some.start * each..some.end * each] })
    }

    /// The gradient with respect to the input: of a stride of 1, the convolution with the weights turned round.
    pub(crate) fn back(conv: &'a Conv, prepared: &PackedWeights, weight: &[f32]) -> Self {
        let packed = prepared.packed(conv, weight);
        let before = 2usize.saturating_sub(conv.padding);
        let turned = Conv { input: conv.output, output: conv.input, padding: before, ..*conv };
        match Tiling::new(&turned).filter(|_| conv.padding <= 2) {
            Some(tiling) => {
                let packed = pack::transpose(packed, blocks(conv.output[0]), blocks(conv.input[0]), 9);
                let weight = Cow::Owned(winograd::transform_weight(&packed));
                Self::Winograd(Winograd {
                    tiling,
                    weight,
                    input: turned.input,
                    output: turned.output,
                    first: 0,
                    before,
                })
            }
            None => Self::Back(InputGradient::new(conv, packed)),
        }
    }

    /// All images of a range.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&self, all: Range<usize>, images: &mut impl Images) {
        match self {
            Self::Direct(direct) => direct.run::<L>(all, images),
            Self::Planes(planes) => planes.run::<L>(all, images),
            Self::Back(back) => back.run::<L>(all, images),
            Self::Winograd(winograd) => winograd.run::<L>(all, images),
        }
    }
}

/// The gradient with respect to the weights, summed as the images pass.
pub(crate) enum WeightGradient {
    Direct(Vec<f32>),
    Winograd { tiling: Tiling, sums: Vec<f32> },
}

/// A weight gradient of transformed tiles has four times the size; beyond this many values it would not fit the cache.
const MOST_SUMS: usize = 1 << 19;

impl WeightGradient {
    /// Of no image yet.
    pub(crate) fn new(conv: &Conv) -> Self {
        match Tiling::new(conv).filter(|_| 4 * conv.packed() <= MOST_SUMS) {
            Some(tiling) => Self::Winograd { tiling, sums: Tiling::no_weights(conv.input[0], conv.output[0]) },
            None => Self::Direct(vec![0.0; conv.packed()]),
        }
    }

    /// Adds the images of a range.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&mut self, conv: &Conv, all: Range<usize>, images: &impl Pairs) {
        match self {
            Self::Direct(sums) => {
                let mut scratch = conv.padded_input();
                for one in all {
                    let (x, dy) = images.pair(one);
                    scratch.fill::<L>(x);
                    weight_gradient::weight_gradient::<L>(conv, &scratch, dy, sums);
                }
            }
            Self::Winograd { tiling, sums } => {
                let tiling = tiling.of(all.len());
                let mut x = Tiles::<Input, _>::new(tiling, conv.input, conv.padding);
                let mut dy = Tiles::<Gradient, _>::new(tiling, conv.output, 0);
                for lines in tiling.groups(all) {
                    for line in lines.clone() {
                        let (input, output) = images.pair(tiling.place(line).0);
                        x.take::<L>(line, line - lines.start, input);
                        dy.take::<L>(line, line - lines.start, (output, Prologue::NONE));
                    }
                    winograd::weight_sums::<L>(&x, &dy, tiling.tiles(lines.len()), conv.input[0], sums);
                }
            }
        }
    }

    /// Adds the sums of another part.
    pub(crate) fn join(&mut self, other: Self) {
        let (Self::Direct(all) | Self::Winograd { sums: all, .. }) = self;
        let (Self::Direct(more) | Self::Winograd { sums: more, .. }) = &other;
        all.iter_mut().zip(more).for_each(|(a, b)| *a += b);
    }

    /// Packed.
    pub(crate) fn finish(self) -> Vec<f32> {
        match self {
            Self::Direct(sums) => sums,
            Self::Winograd { sums, .. } => winograd::transform_back(&sums),
        }
    }
}

/// Inputs and gradients of outputs, for the gradient of the weights.
pub(crate) trait Pairs {
    /// An image's input with what is done to it first, and the gradient of its output.
    fn pair(&self, image: usize) -> ((&[f32], Prologue<'_>), &[f32]);
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

/// Blocks of sixteen channels that hold so many.
pub(crate) fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// With zeros to the end of the last block.
pub(crate) fn filled(values: &[f32]) -> Vec<f32> {
    let mut all = values.to_vec();
    all.resize(blocks(values.len()) * LANES, 0.0);
    all
}

/// Values of one image, with those that fill up the last block.
pub(crate) fn image([channels, height, width]: [usize; 3]) -> usize {
    blocks(channels) * height * width * LANES
}

impl Conv {
    /// For an input and a number of output channels; the window must fit.
    pub(crate) fn new(input: [usize; 3], out: usize, size: usize, stride: usize, padding: usize) -> Self {
        let side = |length: usize| (length + 2 * padding - size) / stride + 1;
        Self { input, output: [out, side(input[1]), side(input[2])], size, stride, padding }
    }

    /// To some blocks of the output.
    fn part(&self, some: &Range<usize>) -> Self {
        let [out, height, width] = self.output;
        Self { output: [out.min(some.end * LANES) - some.start * LANES, height, width], ..*self }
    }

    /// Multiply-adds for one image.
    pub(crate) fn products(&self) -> usize {
        self.input[0] * self.size * self.size * self.output.iter().product::<usize>()
    }

    /// Values of the packed weights.
    pub(crate) fn packed(&self) -> usize {
        blocks(self.input[0]) * blocks(self.output[0]) * self.area()
    }

    /// Values of the weights that the way forward reads.
    pub(crate) fn prepared(&self) -> usize {
        let tiles = Tiling::new(self).map(|_| winograd::PLACES * microkernel::SQUARE / self.area());
        self.packed() * tiles.unwrap_or(1)
    }

    /// Values of the packed weights between a block of the input and one of the output.
    fn area(&self) -> usize {
        self.size * self.size * microkernel::SQUARE
    }

    /// The scratch that takes inputs in.
    pub(crate) fn padded_input(&self) -> PaddedInput {
        PaddedInput::new(self.input, self.padding, self.padding)
    }

    /// A tap for every row of the window where it has three columns and moves by one, or else for every weight; and the
    /// columns of a tap.
    fn taps(&self, row: usize) -> (Vec<(usize, usize)>, usize) {
        let columns = if self.size == 3 && self.stride == 1 { 3 } else { 1 };
        let rows = (0..self.size).flat_map(|r| (0..self.size).step_by(columns).map(move |c| (r, c)));
        let taps = rows.map(|(r, c)| ((r * row + c) * LANES, (r * self.size + c) * microkernel::SQUARE)).collect();
        (taps, columns)
    }
}
