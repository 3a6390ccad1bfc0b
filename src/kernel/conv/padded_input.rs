//! One image with a border of zeros, which a window may cross without asking where the image ends.

use std::ops::Range;

use super::blocks;
use crate::kernel::parallel::uninit;
use crate::kernel::simd::{LANES, Lanes};

/// What is done to values on their way into a convolution: `scale·x + shift` of their channel, and ReLU.
#[derive(Clone, Copy)]
pub(crate) struct Prologue<'a> {
    /// For every channel, with those that fill up the last block.
    pub affine: Option<(&'a [f32], &'a [f32])>,
    pub relu: bool,
}

impl Prologue<'_> {
    /// Nothing is done.
    pub(crate) const NONE: Self = Self { affine: None, relu: false };
}

/// A scratch for one image after the other.
pub(crate) struct PaddedInput {
    values: Vec<f32>,
    channels: usize,
    inner: [usize; 2],
    before: usize,
    /// Pixels of a row and of a block.
    pub row: usize,
    pub block: usize,
}

/// What a kernel may read beyond the last pixel: it computes a whole number of pixels at once.
const SLACK: usize = 32;

impl PaddedInput {
    /// For images of a shape, with so many pixels before and behind every row and column.
    pub(crate) fn new([channels, height, width]: [usize; 3], before: usize, behind: usize) -> Self {
        let (row, rows) = (width + before + behind, height + before + behind);
        let block = row * rows;
        let mut values = uninit((blocks(channels) * block + SLACK) * LANES);
        // Zeros to where the first row begins, from the end of each to where the next does, and to the end.
        let mut end = 0;
        for line in (0..blocks(channels)).flat_map(|place| (0..height).map(move |y| place * block + (y + before) * row))
        {
            values[end * LANES..(line + before) * LANES].fill(0.0);
            end = line + before + width;
        }
        values[end * LANES..].fill(0.0);
        Self { values, channels, inner: [height, width], before, row, block }
    }

    /// The first pixel of the border.
    pub(crate) fn start(&self) -> *const f32 {
        self.values.as_ptr()
    }

    /// What lies from a pixel of the border on.
    pub(crate) fn pixel(&self, block: usize, y: usize, x: usize) -> &[f32] {
        &self.values[(block * self.block + y * self.row + x) * LANES..]
    }

    /// Takes an image in.
    #[inline(always)]
    pub(crate) fn fill<L: Lanes>(&mut self, from: (&[f32], Prologue)) {
        for block in 0..blocks(self.channels) {
            self.fill_block::<L>(from, block, block);
        }
    }

    /// Takes in one block of an image, as the scratch's block `place`.
    #[inline(always)]
    pub(crate) fn fill_block<L: Lanes>(&mut self, from: (&[f32], Prologue), block: usize, place: usize) {
        self.fill_part::<L>(from, block, place, 0..self.inner[0]);
    }

    /// Takes in what lies under some rows of the scratch.
    #[inline(always)]
    pub(crate) fn fill_rows<L: Lanes>(&mut self, from: (&[f32], Prologue), rows: Range<usize>) {
        let inner = |row: usize| row.saturating_sub(self.before).min(self.inner[0]);
        let rows = inner(rows.start)..inner(rows.end);
        for block in 0..blocks(self.channels) {
            self.fill_part::<L>(from, block, block, rows.clone());
        }
    }

    #[inline(always)]
    fn fill_part<L: Lanes>(
        &mut self,
        (from, prologue): (&[f32], Prologue),
        block: usize,
        place: usize,
        rows: Range<usize>,
    ) {
        let [height, width] = self.inner;
        let from = &from[(block * height + rows.start) * width * LANES..(block * height + rows.end) * width * LANES];
        for (row, source) in rows.zip(from.chunks_exact(width * LANES)) {
            let start = (place * self.block + (row + self.before) * self.row + self.before) * LANES;
            prologue.apply::<L>(block, source, &mut self.values[start..start + width * LANES]);
        }
    }
}

impl Prologue<'_> {
    /// For some pixels of a block.
    #[inline(always)]
    pub(crate) fn apply<L: Lanes>(self, block: usize, from: &[f32], to: &mut [f32]) {
        let pairs = from.chunks_exact(LANES).zip(to.chunks_exact_mut(LANES));
        let (least, channels) = (L::splat(if self.relu { 0.0 } else { f32::NEG_INFINITY }), block * LANES..);
        // SAFETY: every chunk and every block of channels has sixteen values.
        unsafe {
            match self.affine {
                Some((scale, shift)) => {
                    let scale = L::load(scale[channels.clone()][..LANES].as_ptr());
                    let shift = L::load(shift[channels][..LANES].as_ptr());
                    for (from, to) in pairs {
                        least.max(shift.mul_add(scale, L::load(from.as_ptr()))).store(to.as_mut_ptr());
                    }
                }
                None if self.relu => {
                    for (from, to) in pairs {
                        least.max(L::load(from.as_ptr())).store(to.as_mut_ptr());
                    }
                }
                None => to.copy_from_slice(from),
            }
        }
    }
}
