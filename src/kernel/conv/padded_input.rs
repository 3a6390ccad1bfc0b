//! An image with a border of zeros, so that windows need not know where the image ends.

use std::ops::Range;

use super::channel_blocks;
use super::row::SLACK;
use crate::kernel::memory::Scratch;
use crate::kernel::simd::{F32x16, LANES, Simd};

/// What is done to values on their way into a convolution: `factor·x + offset` of every channel, then ReLU.
#[derive(Clone, Copy)]
pub(crate) struct Prologue<'a> {
    /// Factors and offsets, padded to whole channel blocks.
    pub affine: Option<(&'a [f32], &'a [f32])>,
    pub relu: bool,
}

impl Prologue<'_> {
    /// Does nothing.
    pub(crate) const NONE: Self = Self { affine: None, relu: false };

    /// Applies it to some pixels of a channel block. `from` and `to` must be equally long.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(self, simd: S, block: usize, from: &[f32], to: &mut [f32]) {
        let pairs = from.chunks_exact(LANES).zip(to.chunks_exact_mut(LANES));
        let (lower, channels) = (simd.splat(if self.relu { 0.0 } else { f32::NEG_INFINITY }), block * LANES..);
        match self.affine {
            Some((factor, offset)) => {
                let (factor, offset) = (simd.load(&factor[channels.clone()]), simd.load(&offset[channels]));
                for (from, to) in pairs {
                    lower.max(offset.mul_add(factor, simd.load(from))).store(to);
                }
            }
            None if self.relu => {
                for (from, to) in pairs {
                    lower.max(simd.load(from)).store(to);
                }
            }
            None => to.copy_from_slice(from),
        }
    }
}

/// A buffer for one padded image after the other: `[channel blocks, height, width, 16]` with the padding, and slack.
pub(super) struct PaddedInput {
    values: Scratch,
    channels: usize,
    /// Height and width without padding.
    inner: [usize; 2],
    before: usize,
    /// Pixels of a padded row.
    pub row: usize,
    /// Pixels of a padded channel block.
    pub block: usize,
}

impl PaddedInput {
    /// Returns a buffer for images of a shape, `[channels, height, width]`, with a number of zeros before and after every row
    /// and column.
    pub(super) fn new([channels, height, width]: [usize; 3], before: usize, after: usize) -> Self {
        let (row, rows) = (width + before + after, height + before + after);
        let (block, blocks) = (row * rows, channel_blocks(channels));
        let mut values = Scratch::new((blocks * block + SLACK) * LANES);
        // Zeros up to where the first row begins, from the end of each row to the begin of the next, and to the end.
        let mut end = 0;
        for line in (0..blocks).flat_map(|place| (0..height).map(move |y| place * block + (y + before) * row)) {
            values[end * LANES..(line + before) * LANES].fill(0.0);
            end = line + before + width;
        }
        values[end * LANES..].fill(0.0);
        Self { values, channels, inner: [height, width], before, row, block }
    }

    /// Returns the values from a pixel of a channel block on, padding included.
    #[inline(always)]
    pub(super) fn pixel(&self, block: usize, y: usize, x: usize) -> &[f32] {
        &self.values[(block * self.block + y * self.row + x) * LANES..]
    }

    /// Copies an image.
    #[inline(always)]
    pub(super) fn fill<S: Simd>(&mut self, simd: S, from: (&[f32], Prologue)) {
        for block in 0..channel_blocks(self.channels) {
            self.fill_block(simd, from, block, block);
        }
    }

    /// Copies one channel block of an image to the channel block `place` of the buffer.
    #[inline(always)]
    pub(super) fn fill_block<S: Simd>(&mut self, simd: S, from: (&[f32], Prologue), block: usize, place: usize) {
        self.fill_part(simd, from, block, place, 0..self.inner[0]);
    }

    /// Copies the part of an image that belongs to some rows of the buffer.
    #[inline(always)]
    pub(super) fn fill_rows<S: Simd>(&mut self, simd: S, from: (&[f32], Prologue), rows: Range<usize>) {
        let inner = |row: usize| row.saturating_sub(self.before).min(self.inner[0]);
        let rows = inner(rows.start)..inner(rows.end);
        for block in 0..channel_blocks(self.channels) {
            self.fill_part(simd, from, block, block, rows.clone());
        }
    }

    #[inline(always)]
    fn fill_part<S: Simd>(
        &mut self,
        simd: S,
        (from, prologue): (&[f32], Prologue),
        block: usize,
        place: usize,
        rows: Range<usize>,
    ) {
        let [height, width] = self.inner;
        let from = &from[(block * height + rows.start) * width * LANES..(block * height + rows.end) * width * LANES];
        for (row, source) in rows.zip(from.chunks_exact(width * LANES)) {
            let start = (place * self.block + (row + self.before) * self.row + self.before) * LANES;
            prologue.apply(simd, block, source, &mut self.values[start..start + width * LANES]);
        }
    }
}
