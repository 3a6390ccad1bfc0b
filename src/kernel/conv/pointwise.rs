//! A window of one pixel: every pixel by itself, so that no border and no row matters.

use std::borrow::Cow;
use std::ops::Range;

use super::forward::row;
use super::product::{SQUARE, Summands, Sums};
use super::{Conv, Images, Prologue, blocks, image};
use crate::kernel::lanes::{LANES, Lanes};

/// Pixels whose channels are gathered at once: with a few hundred channels they fit the second cache.
const BAND: usize = 56;
/// What a kernel may read beyond the last pixel.
const SLACK: usize = 32;

/// A convolution with a window of one pixel and no padding.
pub(crate) struct Pointwise<'a> {
    pub conv: &'a Conv,
    /// Packed.
    pub weight: Cow<'a, [f32]>,
}

impl Pointwise<'_> {
    /// All images of a range.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&self, all: Range<usize>, images: &mut impl Images) {
        let [out, height, width] = self.conv.output;
        let (from, pixels) = (blocks(self.conv.input[0]), height * width);
        let mut band = vec![[0.0; LANES]; from * BAND + SLACK];
        let summands = Summands {
            taps: &[(0, 0)],
            channels: self.conv.input[0],
            x_block: BAND * LANES,
            w_block: SQUARE,
            w_out: from * SQUARE,
        };
        assert_eq!(self.weight.len(), self.conv.packed());
        for one in all {
            let to = images.output(one);
            assert_eq!(to.len(), image(self.conv.output));
            for start in (0..pixels).step_by(BAND) {
                let count = BAND.min(pixels - start);
                self.gather::<L>(images.input(one), start..start + count, &mut band);
                let mut first = 0;
                while first < blocks(out) {
                    let sums = Sums {
                        to: to[(first * pixels + start) * LANES..].as_mut_ptr(),
                        pixel: LANES,
                        block: pixels * LANES,
                        count,
                    };
                    // SAFETY: the band and its slack hold what is read; `to` holds all blocks.
                    first += unsafe {
                        let w = self.weight.as_ptr().add(first * summands.w_out);
                        row::<L>(1, 1, blocks(out) - first, band.as_ptr().cast(), w, summands, sums)
                    };
                }
                images.rows::<L>(one, start, count, self.conv.output, to);
            }
            images.end::<L>(one, to);
        }
    }

    /// Takes in the pixels that some pixels of the output stand over.
    #[inline(always)]
    fn gather<L: Lanes>(&self, (from, prologue): (&[f32], Prologue), pixels: Range<usize>, band: &mut [[f32; LANES]]) {
        let Conv { input: [channels, height, width], output: [_, _, columns], stride, .. } = *self.conv;
        for block in 0..blocks(channels) {
            let from = &from[block * height * width * LANES..][..height * width * LANES];
            let to = &mut band[block * BAND..][..pixels.len()];
            if stride == 1 {
                let from = &from[pixels.start * LANES..pixels.end * LANES];
                prologue.apply::<L>(block, from, to.as_flattened_mut());
                continue;
            }
            for (pixel, to) in pixels.clone().zip(to) {
                let place = (pixel / columns * width + pixel % columns) * stride * LANES;
                prologue.apply::<L>(block, &from[place..place + LANES], to);
            }
        }
    }
}
