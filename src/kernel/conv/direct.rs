//! The convolution itself.

use std::ops::Range;

use super::microkernel::{Begin, Operands, Prefetch, PrefetchRange};
use super::patch::{ImagePatch, Patch, PointwisePatch};
use super::row::row;
use super::{Conv, Images, blocks, image};
use crate::kernel::simd::{LANES, Lanes};

/// A convolution that multiplies every weight.
pub(crate) struct Direct<'a> {
    pub conv: Conv,
    /// Packed.
    pub weight: &'a [f32],
}

/// Weights of two blocks of the output that all patches of a group use before the next take their turn: they stay in the
/// first cache, and those of a large layer come from memory once a group.
const PANEL: usize = 1 << 13;
/// Values of a group's scratch and outputs, which stay in the second cache, or of weights that stay there without a group.
const GROUP: usize = 1 << 18;

impl Direct<'_> {
    /// All images of a range: `y[o, y, x] = Σ weight[o, i, r, c]·x[i, s·y + r, s·x + c]`, counted from the border's
    /// corner.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(&self, all: Range<usize>, images: &mut impl Images) {
        match (self.conv.size, self.conv.padding) {
            (1, 0) => self.groups::<L, PointwisePatch>(all, images),
            _ => self.groups::<L, ImagePatch>(all, images),
        }
    }

    #[inline(always)]
    fn groups<L: Lanes, P: Patch>(&self, all: Range<usize>, images: &mut impl Images) {
        if all.is_empty() {
            return;
        }
        assert_eq!(self.weight.len(), self.conv.packed());
        let from = blocks(self.conv.input[0]);
        let is_in_place = images.added(all.start).is_in_place();
        let panel = if is_in_place { from } else { (PANEL / (2 * self.conv.area())).clamp(1, from) };
        let mut scratch = vec![P::new(self.conv, panel)];
        let each = scratch[0].count();
        let (begin, end) = (all.start * each, all.end * each);
        let values = panel * scratch[0].steps()[0] * LANES + image(self.conv.output) / each;
        let most = if self.weight.len() > GROUP { GROUP / values } else { 1 };
        scratch.resize_with(most.clamp(1, end - begin), || P::new(self.conv, panel));
        for first in (begin..end).step_by(scratch.len()) {
            let patches = first..(first + scratch.len()).min(end);
            for start in (0..from).step_by(panel) {
                let channels = start..(start + panel).min(from);
                for (patch, scratch) in patches.clone().zip(&mut scratch) {
                    for block in channels.clone() {
                        scratch.take::<L>(patch % each, images.input(patch / each), block, block - start);
                    }
                }
                let group = Group { patches: patches.clone(), end, each, scratch: &scratch, channels };
                self.add::<L, P>(group, images);
            }
            for done in (patches.start + 1..=patches.end).filter(|done| done.is_multiple_of(each)) {
                let one = done / each - 1;
                let to = images.output(one);
                images.end::<L>(one, to);
            }
        }
    }

    /// What some blocks of the input's channels add to a group of patches.
    #[inline(always)]
    fn add<L: Lanes, P: Patch>(&self, group: Group<P>, images: &mut impl Images) {
        let [out, height, width] = self.conv.output;
        let (from, each, area) = (blocks(self.conv.input[0]), group.each, self.conv.area());
        let [block, row_step, stride] = group.scratch[0].steps();
        let (taps, columns) = self.conv.taps(row_step);
        let channels = group.channels.clone();
        let operands = Operands {
            taps: &taps,
            channels: self.conv.input[0].min(channels.end * LANES) - channels.start * LANES,
            x_block: block * LANES,
            w_block: area,
            w_out: from * area,
            ahead: None,
        };
        let mut first = 0;
        while first < blocks(out) {
            let w = self.weight[first * operands.w_out + channels.start * area..].as_ptr();
            let mut count = 0;
            for (patch, scratch) in group.patches.clone().zip(group.scratch) {
                let added = images.added(patch / each);
                added.check(self.conv.output);
                let to = images.output(patch / each);
                assert_eq!(to.len(), image(self.conv.output));
                let input = if first == 0 { group.prefetch(patch, from, images) } else { None };
                for line in 0..scratch.rows() {
                    let (x, pixel, pixels) = scratch.row(patch % each, line);
                    let start = (first * height * width + pixel) * LANES;
                    let mut sums = added.sums(first, start, height * width * LANES, pixels, to);
                    if channels.start > 0 {
                        sums.begin = Begin::There;
                    }
                    if channels.end < from {
                        sums.values = None;
                    }
                    let ahead = Prefetch { part: [line, scratch.rows()], weights: patch == group.patches.start, input };
                    let operands = Operands { ahead: Some(ahead), ..operands };
                    // SAFETY: the scratch and its slack hold what a row of pixels reads; `to` and what is added to it
                    // hold all blocks.
                    count = unsafe { row::<L>(columns, stride, blocks(out) - first, x, w, operands, sums) };
                }
            }
            first += count;
        }
    }
}

/// Patches that lie in scratches, and which blocks of their channels.
struct Group<'a, P> {
    patches: Range<usize>,
    /// Behind the last patch of all.
    end: usize,
    /// Patches of an image.
    each: usize,
    scratch: &'a [P],
    channels: Range<usize>,
}

impl<P: Patch> Group<'_, P> {
    /// What takes a patch's place in its scratch: its next channels, of so many blocks, or the first of another patch.
    fn prefetch(&self, patch: usize, blocks: usize, images: &impl Images) -> Option<PrefetchRange> {
        let last = self.channels.end == blocks;
        let (patch, block) = if last { (patch + self.scratch.len(), 0) } else { (patch, self.channels.end) };
        let is_there = patch < self.end;
        is_there
            .then(|| self.scratch[0].prefetch(patch % self.each, images.input(patch / self.each).0, block))
            .flatten()
    }
}
