//! What is added to the sums of a convolution as they are computed.

use super::product::Begin;
use super::{blocks, image};
use crate::kernel::lanes::{LANES, Lanes};
use crate::kernel::norm::lanes;

/// A bias and values of the output's shape.
#[derive(Clone, Copy)]
pub(crate) struct Added<'a> {
    /// For every channel, with those that fill up the last block; or empty.
    pub bias: &'a [f32],
    /// One image's, and whether a ReLU waits on them.
    pub summand: Option<(&'a [f32], bool)>,
}

impl<'a> Added<'a> {
    /// Nothing is added.
    pub(crate) const NONE: Self = Self { bias: &[], summand: None };

    /// A bias alone.
    pub(crate) fn bias(bias: &'a [f32]) -> Self {
        Self { bias, ..Self::NONE }
    }

    /// What the sums of a block begin with.
    pub(super) fn begin(&self, block: usize) -> Begin {
        if self.bias.is_empty() { Begin::Zero } else { Begin::Bias(self.bias[block * LANES..].as_ptr()) }
    }

    /// The values for sums that begin so many f32 behind the start of the image, and the least that is added.
    pub(super) fn summand(&self, start: usize) -> Option<(*const f32, f32)> {
        self.summand.map(|(values, relu)| (values[start..].as_ptr(), least(relu)))
    }

    /// Of one pixel of a block: the bias, or 0.
    #[inline(always)]
    pub(super) fn bias_of<L: Lanes>(&self, block: usize) -> L {
        if self.bias.is_empty() { L::splat(0.0) } else { lanes(&self.bias[block * LANES..]) }
    }

    /// The sums of one pixel, which begin so many f32 behind the start of the image, with the values there.
    #[inline(always)]
    pub(super) fn onto<L: Lanes>(&self, sums: L, start: usize) -> L {
        match self.summand {
            Some((values, relu)) => sums.add(L::splat(least(relu)).max(lanes(&values[start..]))),
            None => sums,
        }
    }

    /// That it is of so many values, and of the channels that these have.
    pub(super) fn check(&self, output: [usize; 3]) {
        assert!(self.bias.is_empty() || self.bias.len() >= blocks(output[0]) * LANES);
        assert!(self.summand.is_none_or(|(values, _)| values.len() == image(output)));
    }
}

/// The least that is added of a value.
fn least(relu: bool) -> f32 {
    if relu { 0.0 } else { f32::NEG_INFINITY }
}
