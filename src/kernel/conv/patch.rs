//! What a convolution computes at a time: pixels of one image, from values that are gathered in a scratch, so that no
//! border matters to the products and what waits on the values is done once.

use super::microkernel::PrefetchRange;
use super::{Conv, PaddedInput, Prologue, image};
use crate::kernel::simd::{LANES, Lanes};

/// A scratch for one patch of an image after the other.
pub(super) trait Patch {
    /// For so many blocks of the input's channels at a time.
    fn new(conv: Conv, panel: usize) -> Self;
    /// How many an image has.
    fn count(&self) -> usize;
    /// Takes in a block of channels of an image's patch, as the scratch's block `place`.
    fn take<L: Lanes>(&mut self, patch: usize, from: (&[f32], Prologue), block: usize, place: usize);
    /// What will be taken in of a patch from a block on, if it lies in one piece.
    fn prefetch(&self, _patch: usize, _image: &[f32], _block: usize) -> Option<PrefetchRange> {
        None
    }
    /// Pixels of the scratch from one block to the next, from one row to the next, and from one window to the next.
    fn steps(&self) -> [usize; 3];
    /// Rows of pixels that a patch has.
    fn rows(&self) -> usize;
    /// A row of a patch: its first value, and which pixels of the output it stands for, from which on and how many.
    fn row(&self, patch: usize, row: usize) -> (*const f32, usize, usize);
}

/// An image and its border.
pub(super) struct ImagePatch {
    conv: Conv,
    scratch: PaddedInput,
}

impl Patch for ImagePatch {
    fn new(conv: Conv, panel: usize) -> Self {
        let [channels, height, width] = conv.input;
        let scratch = PaddedInput::new([channels.min(panel * LANES), height, width], conv.padding, conv.padding);
        Self { conv, scratch }
    }

    fn count(&self) -> usize {
        1
    }

    #[inline(always)]
    fn take<L: Lanes>(&mut self, _: usize, from: (&[f32], Prologue), block: usize, place: usize) {
        self.scratch.fill_block::<L>(from, block, place);
    }

    fn steps(&self) -> [usize; 3] {
        [self.scratch.block, self.scratch.row, self.conv.stride]
    }

    fn rows(&self) -> usize {
        self.conv.output[1]
    }

    #[inline(always)]
    fn row(&self, _: usize, row: usize) -> (*const f32, usize, usize) {
        let width = self.conv.output[2];
        (self.scratch.start().wrapping_add(row * self.conv.stride * self.scratch.row * LANES), row * width, width)
    }
}

/// Pixels under windows of one pixel: each by itself, so that neither border nor row matters.
pub(super) struct PointwisePatch {
    conv: Conv,
    values: Vec<[f32; LANES]>,
}

/// With a few hundred channels they fit the second cache.
const PIXELS: usize = 56;
/// What a kernel may read beyond the last pixel.
const SLACK: usize = 32;

impl Patch for PointwisePatch {
    fn new(conv: Conv, panel: usize) -> Self {
        Self { conv, values: vec![[0.0; LANES]; panel * PIXELS + SLACK] }
    }

    fn count(&self) -> usize {
        (self.conv.output[1] * self.conv.output[2]).div_ceil(PIXELS)
    }

    #[inline(always)]
    fn take<L: Lanes>(&mut self, patch: usize, (from, prologue): (&[f32], Prologue), block: usize, place: usize) {
        let Conv { input, output: [_, _, columns], stride, .. } = self.conv;
        assert_eq!(from.len(), image(input));
        let [_, height, width] = input;
        let (_, start, count) = self.row(patch, 0);
        let from = &from[block * height * width * LANES..][..height * width * LANES];
        let to = &mut self.values[place * PIXELS..][..count];
        if stride == 1 {
            let from = &from[start * LANES..(start + count) * LANES];
            prologue.apply::<L>(block, from, to.as_flattened_mut());
            return;
        }
        for (pixel, to) in (start..start + count).zip(to) {
            let place = (pixel / columns * width + pixel % columns) * stride * LANES;
            prologue.apply::<L>(block, &from[place..place + LANES], to);
        }
    }

    fn prefetch(&self, patch: usize, image: &[f32], block: usize) -> Option<PrefetchRange> {
        let (_, start, count) = self.row(patch, 0);
        let step = self.conv.input[1] * self.conv.input[2] * LANES;
        let from = image[block * step + start * LANES..].as_ptr();
        (self.conv.stride == 1).then_some(PrefetchRange { from, step, count: count * LANES })
    }

    fn steps(&self) -> [usize; 3] {
        [PIXELS, 0, 1]
    }

    fn rows(&self) -> usize {
        1
    }

    #[inline(always)]
    fn row(&self, patch: usize, _: usize) -> (*const f32, usize, usize) {
        let first = patch * PIXELS;
        (self.values.as_ptr().cast(), first, PIXELS.min(self.conv.output[1] * self.conv.output[2] - first))
    }
}
