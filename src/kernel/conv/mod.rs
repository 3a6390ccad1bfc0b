//! Convolution in blocks of sixteen channels: forward, input gradient, weight gradient.

/// Repeats a body with constants: only then do the sums stay in registers.
macro_rules! unroll {
    ($i:ident < $end:expr, $($value:literal)*, $body:block) => {
        { $( if $value < $end { #[allow(non_upper_case_globals)] const $i: usize = $value; $body } )* }
    };
}

mod bordered;
mod forward;
mod input;
mod pack;
mod product;
#[cfg(test)]
mod tests;
mod weight;
mod winograd;

pub(crate) use bordered::{Bordered, Prologue};
pub(crate) use pack::{pack, unpack};

use std::ops::Range;

use super::lanes::{LANES, Lanes};
use forward::Direct;
use input::InputGradient;
use winograd::{Tiling, Winograd};

/// The images that go through a convolution. All that takes lanes must be `#[inline(always)]`.
pub(crate) trait Images {
    /// Takes an image in.
    fn fill<L: Lanes>(&mut self, image: usize, scratch: &mut Bordered);
    /// Where an image's values go.
    fn output<'a>(&mut self, image: usize) -> &'a mut [f32];
    /// For a row of a block, while it lies in the cache; it begins so many values behind the start of the image.
    fn row<L: Lanes>(&mut self, image: usize, block: usize, start: usize, row: &mut [f32]);
    /// For an image that is done.
    fn end<L: Lanes>(&mut self, image: usize, values: &mut [f32]);

    /// [`Self::row`] for one row of every block.
    #[inline(always)]
    fn rows<L: Lanes>(&mut self, image: usize, y: usize, shape: [usize; 3], values: &mut [f32]) {
        let [channels, height, width] = shape;
        for block in 0..blocks(channels) {
            let start = (block * height + y) * width * LANES;
            self.row::<L>(image, block, start, &mut values[start..start + width * LANES]);
        }
    }
}

/// A convolution with its weights made ready, forward or back to the input.
pub(crate) enum Ready<'a> {
    Direct(Direct<'a>),
    Back(InputGradient),
    Winograd(Winograd),
}

impl<'a> Ready<'a> {
    /// Forward, with packed weights.
    pub(crate) fn forward(conv: &'a Conv, packed: &'a [f32]) -> Self {
        match Tiling::new(conv) {
            Some(tiling) => Self::Winograd(Winograd::new(tiling, packed, conv.input, conv.output, conv.padding)),
            None => Self::Direct(Direct { conv, weight: packed }),
        }
    }

    /// The gradient with respect to the input: of a stride of 1, the convolution with the weights turned round.
    pub(crate) fn back(conv: &Conv, packed: &[f32]) -> Self {
        let turned =
            Conv { input: conv.output, output: conv.input, padding: 2usize.saturating_sub(conv.padding), ..*conv };
        match Tiling::new(&turned).filter(|_| conv.padding <= 2) {
            Some(tiling) => {
                let packed = pack::transpose(packed, blocks(conv.output[0]), blocks(conv.input[0]), 9);
                Self::Winograd(Winograd::new(tiling, &packed, turned.input, turned.output, turned.padding))
            }
            None => Self::Back(InputGradient::new(conv, packed)),
        }
    }

    /// All images of a range.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&self, all: Range<usize>, images: &mut impl Images) {
        match self {
            Self::Direct(direct) => direct.run::<L>(all, images),
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

    /// Adds the images of a range: `x` takes one's input in, `dy` has its gradient.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&mut self, conv: &Conv, all: Range<usize>, images: &impl Pairs) {
        match self {
            Self::Direct(sums) => {
                let mut scratch = conv.bordered();
                for one in all {
                    images.fill::<L>(one, &mut scratch);
                    weight::weight_gradient::<L>(conv, &scratch, images.gradient(one), sums);
                }
            }
            Self::Winograd { tiling, sums } => {
                let mut scratch = tiling.bordered(conv.input, conv.padding);
                let mut gradient = tiling.bordered(conv.output, 0);
                let (mut x, mut dy) = (tiling.transformed(conv.input[0]), tiling.transformed(conv.output[0]));
                for first in all.clone().step_by(tiling.group()) {
                    let group = first..(first + tiling.group()).min(all.end);
                    for one in group.clone() {
                        images.fill::<L>(one, &mut scratch);
                        tiling.transform_input::<L>(&scratch, &mut x, one - first);
                        gradient.fill::<L>(images.gradient(one), Prologue::NONE);
                        tiling.transform_gradient::<L>(&gradient, &mut dy, one - first);
                    }
                    winograd::weight_sums::<L>(&x, &dy, tiling.tiles_of(group.len()), conv.input[0], sums);
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
    /// Takes an image's input in. Must be `#[inline(always)]`.
    fn fill<L: Lanes>(&self, image: usize, scratch: &mut Bordered);
    /// The gradient of an image's output.
    fn gradient(&self, image: usize) -> &[f32];
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

    /// Values of the packed weights.
    pub(crate) fn packed(&self) -> usize {
        blocks(self.input[0]) * blocks(self.output[0]) * self.size * self.size * product::SQUARE
    }

    /// The scratch that takes inputs in.
    pub(crate) fn bordered(&self) -> Bordered {
        Bordered::new(self.input, self.padding, self.padding)
    }

    /// A tap for every row of the window where it has three columns and moves by one, or else for every weight; and the
    /// columns of a tap.
    fn taps(&self, row: usize) -> (Vec<(usize, usize)>, usize) {
        let columns = if self.size == 3 && self.stride == 1 { 3 } else { 1 };
        let rows = (0..self.size).flat_map(|r| (0..self.size).step_by(columns).map(move |c| (r, c)));
        let taps = rows.map(|(r, c)| ((r * row + c) * LANES, (r * self.size + c) * product::SQUARE)).collect();
        (taps, columns)
    }
}
