//! The convolution that multiplies every weight.

use std::ops::Range;

use super::microkernel::{Initial, Operands, Prefetch, PrefetchRange};
use super::patch::{ImagePatch, Patch, PatchRow, PointwisePatch};
use super::row::row;
use super::{Conv, Images, channel_blocks, image_len};
use crate::kernel::simd::{LANES, Simd};
use crate::kernel::tuning::direct::{GROUP_VALUES, PANEL_WEIGHTS};

/// A direct convolution: `y[o, y, x] = Σ weight[o, i, r, c]·x[i, s·y + r, s·x + c]`, counted from the corner of the padding.
pub(crate) struct Direct<'a> {
    pub conv: Conv,
    /// Packed weights.
    pub weight: &'a [f32],
}

impl Direct<'_> {
    /// Computes some images.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(&self, simd: S, all: Range<usize>, images: &mut impl Images) {
        match (self.conv.size, self.conv.padding) {
            (1, 0) => self.run_groups::<S, PointwisePatch>(simd, all, images),
            _ => self.run_groups::<S, ImagePatch>(simd, all, images),
        }
    }

    /// Computes some images, group by group. The patches of a group share the weights of a panel of channels before those of the
    /// next panel are read.
    #[inline(always)]
    fn run_groups<S: Simd, P: Patch>(&self, simd: S, all: Range<usize>, images: &mut impl Images) {
        if all.is_empty() {
            return;
        }
        assert_eq!(self.weight.len(), self.conv.packed_len());
        let blocks = channel_blocks(self.conv.input[0]);
        let is_in_place = images.output(all.start).1.is_in_place();
        let panel = if is_in_place { blocks } else { (PANEL_WEIGHTS / (2 * self.conv.area())).clamp(1, blocks) };
        let mut buffers = vec![P::new(self.conv, panel)];
        let each = buffers[0].count();
        let (begin, end) = (all.start * each, all.end * each);
        let values = panel * buffers[0].steps()[0] * LANES + image_len(self.conv.output) / each;
        let most = if self.weight.len() > GROUP_VALUES { GROUP_VALUES / values } else { 1 };
        buffers.resize_with(most.clamp(1, end - begin), || P::new(self.conv, panel));
        for first in (begin..end).step_by(buffers.len()) {
            let patches = first..(first + buffers.len()).min(end);
            for start in (0..blocks).step_by(panel) {
                let channels = start..(start + panel).min(blocks);
                for (patch, buffer) in patches.clone().zip(&mut buffers) {
                    for block in channels.clone() {
                        buffer.fill(simd, patch % each, images.input(patch / each), block, block - start);
                    }
                }
                let group = Group { patches: patches.clone(), end, each, buffers: &buffers, channels };
                self.add_channels(simd, group, images);
            }
            for done in (patches.start + 1..=patches.end).filter(|done| done.is_multiple_of(each)) {
                // SAFETY: all patches of the image are computed, with all channels.
                unsafe { images.after_image(simd, done / each - 1) };
            }
        }
    }

    /// Adds the products of some channels of the input to the outputs of a group.
    #[inline(always)]
    fn add_channels<S: Simd, P: Patch>(&self, simd: S, group: Group<P>, images: &mut impl Images) {
        let [out, height, width] = self.conv.output;
        let (blocks, each, area) = (channel_blocks(self.conv.input[0]), group.each, self.conv.area());
        let [block, row_step, stride] = group.buffers[0].steps();
        let (taps, columns) = self.conv.taps(row_step);
        let channels = group.channels.clone();
        let operands = Operands {
            taps: &taps,
            channels: self.conv.input[0].min(channels.end * LANES) - channels.start * LANES,
            x_block: block * LANES,
            w_block: area,
            w_out: blocks * area,
            prefetch: None,
        };
        let mut first = 0;
        while first < channel_blocks(out) {
            let w = self.weight[first * operands.w_out + channels.start * area..].as_ptr();
            let mut count = 0;
            for (patch, buffer) in group.patches.clone().zip(group.buffers) {
                let input = if first == 0 { group.next_input(patch, blocks, images) } else { None };
                let (to, addend) = images.output(patch / each);
                addend.check(self.conv.output);
                assert_eq!(to.len(), image_len(self.conv.output));
                for line in 0..buffer.rows() {
                    let PatchRow { x, first: pixel, count: pixels } = buffer.row(patch % each, line);
                    let start = (first * height * width + pixel) * LANES;
                    let mut sums = addend.accumulators(first, start, height * width * LANES, pixels, to);
                    if channels.start > 0 {
                        sums.initial = Initial::Partial;
                    }
                    if channels.end < blocks {
                        sums.residual = None;
                    }
                    let part = [line, buffer.rows()];
                    let prefetch = Prefetch { part, weights: patch == group.patches.start, input };
                    let operands = Operands { prefetch: Some(prefetch), ..operands };
                    // SAFETY: the buffer holds the windows of the row and slack, the weights have the length of
                    // the convolution's. Output, bias and residual hold all channel blocks, as was checked. Partial
                    // sums were stored with the panel of channels before.
                    count = unsafe { row(simd, columns, stride, channel_blocks(out) - first, x, w, operands, sums) };
                }
            }
            first += count;
        }
    }
}

/// A group of patches, and the channel blocks of them that are in the buffers.
struct Group<'a, P> {
    patches: Range<usize>,
    /// The end of all patches.
    end: usize,
    /// Patches of an image.
    each: usize,
    buffers: &'a [P],
    channels: Range<usize>,
}

impl<P: Patch> Group<'_, P> {
    /// Returns what is copied next to the buffer of a patch: its next channels, or the first channels of another patch. `blocks`
    /// is the number of channel blocks.
    fn next_input(&self, patch: usize, blocks: usize, images: &impl Images) -> Option<PrefetchRange> {
        let is_last = self.channels.end == blocks;
        let (patch, block) = if is_last { (patch + self.buffers.len(), 0) } else { (patch, self.channels.end) };
        if patch >= self.end {
            return None;
        }
        self.buffers[0].prefetch_range(patch % self.each, images.input(patch / self.each).0, block)
    }
}
