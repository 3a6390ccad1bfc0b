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

pub(crate) use bordered::{Bordered, Prologue};
pub(crate) use forward::{Epilogue, forward};
pub(crate) use input::InputGradient;
pub(crate) use pack::{pack, unpack};
pub(crate) use weight::weight_gradient;

use super::lanes::LANES;

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
