//! What a direct convolution computes at a time: a patch of pixels of one image. Its input is first copied to a buffer, where
//! padding and pending operations are applied once.

use super::microkernel::PrefetchRange;
use super::padded_input::PaddedInput;
use super::row::SLACK;
use super::{Conv, Prologue, image_len};
use crate::kernel::memory::Scratch;
use crate::kernel::simd::{LANES, Simd};
use crate::kernel::tuning::direct::POINTWISE_PIXELS;

/// A buffer for the input of one patch after the other.
///
/// # Safety
/// [`Self::row`] must return what [`PatchRow`] promises.
pub(super) unsafe trait Patch {
    /// Returns a buffer for a number of channel blocks of the input.
    fn new(conv: Conv, panel: usize) -> Self;

    /// Returns the number of patches of an image.
    fn count(&self) -> usize;

    /// Copies a channel block of the input of a patch to the channel block `place` of the buffer.
    fn fill<S: Simd>(&mut self, simd: S, patch: usize, from: (&[f32], Prologue), block: usize, place: usize);

    /// Returns what [`Self::fill`] will read of a patch from a channel block on, if it is contiguous.
    fn prefetch_range(&self, _patch: usize, _image: &[f32], _block: usize) -> Option<PrefetchRange> {
        None
    }

    /// Returns the pixels of the buffer from one channel block to the next, from one row to the next, and from one window to
    /// the next.
    fn steps(&self) -> [usize; 3];

    /// Returns the number of rows of pixels of a patch.
    fn rows(&self) -> usize;

    /// Returns a row of a patch.
    fn row(&self, patch: usize, row: usize) -> PatchRow;
}

/// A row of pixels of a patch.
pub(super) struct PatchRow {
    /// The corner of the first pixel's window in the buffer. The windows of all pixels, in all channel blocks, and [`SLACK`]
    /// pixels behind them are in the buffer.
    pub x: *const f32,
    /// The first pixel in the output.
    pub first: usize,
    /// The number of pixels.
    pub count: usize,
}

/// A whole image with padding.
pub(super) struct ImagePatch {
    conv: Conv,
    input: PaddedInput,
}

// SAFETY: a row of the output meets `size` rows of the padded input, which the buffer holds, followed by slack.
unsafe impl Patch for ImagePatch {
    fn new(conv: Conv, panel: usize) -> Self {
        let [channels, height, width] = conv.input;
        let input = PaddedInput::new([channels.min(panel * LANES), height, width], conv.padding, conv.padding);
        Self { conv, input }
    }

    fn count(&self) -> usize {
        1
    }

    #[inline(always)]
    fn fill<S: Simd>(&mut self, simd: S, _: usize, from: (&[f32], Prologue), block: usize, place: usize) {
        self.input.fill_block(simd, from, block, place);
    }

    fn steps(&self) -> [usize; 3] {
        [self.input.block, self.input.row, self.conv.stride]
    }

    fn rows(&self) -> usize {
        self.conv.output[1]
    }

    #[inline(always)]
    fn row(&self, _: usize, row: usize) -> PatchRow {
        let count = self.conv.output[2];
        PatchRow { x: self.input.pixel(0, row * self.conv.stride, 0).as_ptr(), first: row * count, count }
    }
}

/// Some pixels of a 1x1 convolution. Only the pixels under windows are copied, so that rows and padding do not matter.
pub(super) struct PointwisePatch {
    conv: Conv,
    values: Scratch,
}

impl PointwisePatch {
    /// Returns the first pixel of a patch in the output, and the number of pixels.
    fn pixels(&self, patch: usize) -> (usize, usize) {
        let first = patch * POINTWISE_PIXELS;
        (first, POINTWISE_PIXELS.min(self.conv.output[1] * self.conv.output[2] - first))
    }
}

// SAFETY: the buffer holds all pixels of a patch in all channel blocks of the panel, followed by slack.
unsafe impl Patch for PointwisePatch {
    fn new(conv: Conv, panel: usize) -> Self {
        Self { conv, values: Scratch::new((panel * POINTWISE_PIXELS + SLACK) * LANES) }
    }

    fn count(&self) -> usize {
        (self.conv.output[1] * self.conv.output[2]).div_ceil(POINTWISE_PIXELS)
    }

    #[inline(always)]
    fn fill<S: Simd>(
        &mut self,
        simd: S,
        patch: usize,
        (from, prologue): (&[f32], Prologue),
        block: usize,
        place: usize,
    ) {
        let Conv { input, output: [_, _, columns], stride, .. } = self.conv;
        assert_eq!(from.len(), image_len(input));
        let [_, height, width] = input;
        let (first, count) = self.pixels(patch);
        let from = &from[block * height * width * LANES..][..height * width * LANES];
        let to = &mut self.values[place * POINTWISE_PIXELS * LANES..][..count * LANES];
        if stride == 1 {
            prologue.apply(simd, block, &from[first * LANES..(first + count) * LANES], to);
            return;
        }
        for (pixel, to) in (first..first + count).zip(to.chunks_exact_mut(LANES)) {
            let place = (pixel / columns * width + pixel % columns) * stride * LANES;
            prologue.apply(simd, block, &from[place..place + LANES], to);
        }
    }

    fn prefetch_range(&self, patch: usize, image: &[f32], block: usize) -> Option<PrefetchRange> {
        let (first, count) = self.pixels(patch);
        let step = self.conv.input[1] * self.conv.input[2] * LANES;
        let from = image[block * step + first * LANES..].as_ptr();
        (self.conv.stride == 1).then_some(PrefetchRange { from, step, count: count * LANES })
    }

    fn steps(&self) -> [usize; 3] {
        [POINTWISE_PIXELS, 0, 1]
    }

    fn rows(&self) -> usize {
        1
    }

    #[inline(always)]
    fn row(&self, patch: usize, _: usize) -> PatchRow {
        let (first, count) = self.pixels(patch);
        PatchRow { x: self.values.as_ptr(), first, count }
    }
}
