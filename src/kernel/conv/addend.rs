//! What is added to the sums of a convolution as they are computed.

use super::microkernel::{Accumulators, Begin};
use super::{blocks, image};
use crate::kernel::norm::{lanes, put};
use crate::kernel::simd::{LANES, Lanes};

/// A bias and values of the output's shape.
#[derive(Clone, Copy)]
pub(crate) struct Addend<'a> {
    /// For every channel, with those that fill up the last block; or empty.
    pub bias: &'a [f32],
    pub values: Option<Values<'a>>,
}

/// Values of an image of the output's shape.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    /// Where they lie; `None` where the sums go, which takes their place.
    pub from: Option<&'a [f32]>,
    /// Whether a ReLU waits on them.
    pub relu: bool,
}

impl Values<'_> {
    /// The least that is added of each.
    fn least(self) -> f32 {
        if self.relu { 0.0 } else { f32::NEG_INFINITY }
    }
}

impl<'a> Addend<'a> {
    /// Nothing is added.
    pub(crate) const NONE: Self = Self { bias: &[], values: None };

    /// A bias alone.
    pub(crate) fn bias(bias: &'a [f32]) -> Self {
        Self { bias, ..Self::NONE }
    }

    /// Sums of so many pixels of a block and those behind it, that begin so many f32 behind the start of the image; `step`
    /// f32 lie from block to block.
    pub(super) fn sums(&self, block: usize, start: usize, step: usize, count: usize, to: &mut [f32]) -> Accumulators {
        let to = to[start..].as_mut_ptr();
        let bias = (!self.bias.is_empty()).then(|| self.bias[block * LANES..].as_ptr());
        let place =
            |values: Values| (values.from.map_or(to.cast_const(), |from| from[start..].as_ptr()), values.least());
        let (begin, values) = (bias.map_or(Begin::Zero, Begin::Bias), self.values.map(place));
        Accumulators { to, pixel: LANES, block: step, count, begin, values }
    }

    /// Whether values lie where the sums go, so that there must be none before they are whole.
    pub(super) fn is_in_place(&self) -> bool {
        self.values.is_some_and(|values| values.from.is_none())
    }

    /// Of one pixel of a block: the bias, or 0.
    #[inline(always)]
    pub(super) fn bias_of<L: Lanes>(&self, block: usize) -> L {
        if self.bias.is_empty() { L::splat(0.0) } else { lanes(&self.bias[block * LANES..]) }
    }

    /// Writes the sums of one pixel, so many f32 behind the start of the image.
    #[inline(always)]
    pub(super) fn put<L: Lanes>(&self, sums: L, start: usize, to: &mut [f32]) {
        let to = &mut to[start..];
        let sums = match self.values {
            Some(values) => {
                let value = lanes(values.from.map_or(&*to, |from| &from[start..]));
                sums.add(L::splat(values.least()).max(value))
            }
            None => sums,
        };
        put(sums, to);
    }

    /// That it is of so many values, and of the channels that these have.
    pub(super) fn check(&self, output: [usize; 3]) {
        assert!(self.bias.is_empty() || self.bias.len() >= blocks(output[0]) * LANES);
        let from = self.values.and_then(|values| values.from);
        assert!(from.is_none_or(|from| from.len() == image(output)));
    }
}
