//! What is added to the sums of a convolution as they are computed.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::microkernel::{Accumulators, Initial};
use super::{channel_blocks, image_len};
use crate::kernel::simd::{F32x16, LANES, Simd};

/// A bias and a residual.
#[derive(Clone, Copy)]
pub(crate) struct Addend<'a> {
    /// A value for every channel, padded to whole channel blocks; or empty.
    pub bias: &'a [f32],
    pub residual: Option<Residual<'a>>,
}

/// An image of the shape of the output, which may have a ReLU pending.
#[derive(Clone, Copy)]
pub(crate) struct Residual<'a> {
    /// The values; `None` if they are stored where the sums go, which replace them.
    values: Option<&'a [f32]>,
    relu: bool,
}

impl<'a> Residual<'a> {
    /// Returns a residual of these values.
    pub(crate) fn new(values: &'a [f32], relu: bool) -> Self {
        Self { values: Some(values), relu }
    }

    /// Returns a residual that is stored in the output itself.
    ///
    /// # Safety
    /// The output that it is added to must be initialized.
    pub(crate) unsafe fn in_place(relu: bool) -> Self {
        Self { values: None, relu }
    }

    /// Returns a part of the residual.
    pub(crate) fn slice(self, range: Range<usize>) -> Self {
        Self { values: self.values.map(|values| &values[range]), ..self }
    }

    /// Returns the lower bound of the values that are added.
    fn lower(self) -> f32 {
        if self.relu { 0.0 } else { f32::NEG_INFINITY }
    }
}

impl<'a> Addend<'a> {
    /// Adds nothing.
    pub(crate) const NONE: Self = Self { bias: &[], residual: None };

    /// Adds a bias only.
    pub(crate) fn bias(bias: &'a [f32]) -> Self {
        Self { bias, ..Self::NONE }
    }

    /// Checks that bias and residual fit the output, `[channels, height, width]`. What [`Self::accumulators`] returns is
    /// readable only then.
    pub(super) fn check(&self, output: [usize; 3]) {
        assert!(self.bias.is_empty() || self.bias.len() >= channel_blocks(output[0]) * LANES);
        let values = self.residual.and_then(|residual| residual.values);
        assert!(values.is_none_or(|values| values.len() == image_len(output)));
    }

    /// Returns the accumulators for `count` pixels of a channel block and of those that follow, which are `step` values apart.
    /// They begin `start` values behind the start of the image `to`.
    pub(super) fn accumulators(
        &self,
        block: usize,
        start: usize,
        step: usize,
        count: usize,
        to: &mut [MaybeUninit<f32>],
    ) -> Accumulators {
        let to = to[start..].as_mut_ptr().cast::<f32>();
        let bias = (!self.bias.is_empty()).then(|| self.bias[block * LANES..].as_ptr());
        let place = |residual: Residual| {
            let values = residual.values.map_or(to.cast_const(), |values| values[start..].as_ptr());
            (values, residual.lower())
        };
        let (initial, residual) = (bias.map_or(Initial::Zero, Initial::Bias), self.residual.map(place));
        Accumulators { to, pixel: LANES, block: step, count, initial, residual }
    }

    /// Returns whether the residual is stored where the sums go, so that no partial sums may be stored there.
    pub(super) fn is_in_place(&self) -> bool {
        self.residual.is_some_and(|residual| residual.values.is_none())
    }

    /// Returns the bias of a channel block, or zeros.
    #[inline(always)]
    pub(super) fn bias_of<S: Simd>(&self, simd: S, block: usize) -> S::Vector {
        if self.bias.is_empty() { simd.splat(0.0) } else { simd.load(&self.bias[block * LANES..]) }
    }

    /// Adds the residual to the sums of one pixel and stores them, `start` values behind the start of the image `to`.
    #[inline(always)]
    pub(super) fn store<S: Simd>(&self, simd: S, sums: S::Vector, start: usize, to: &mut [MaybeUninit<f32>]) {
        let to = &mut to[start..start + LANES];
        let sums = match self.residual {
            Some(residual) => {
                let value = match residual.values {
                    Some(values) => simd.load(&values[start..]),
                    // SAFETY: whoever made a residual in place promised that the output is initialized.
                    None => simd.load(unsafe { to.assume_init_ref() }),
                };
                sums.add(simd.splat(residual.lower()).max(value))
            }
            None => sums,
        };
        sums.store(to);
    }
}
