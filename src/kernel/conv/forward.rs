//! The convolution itself.

use std::ops::Range;

use super::patch::{Band, Patch, Whole};
use super::product::{Begin, Summands, Sums, row};
use super::{Conv, Images, blocks, image};
use crate::kernel::lanes::{LANES, Lanes};

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
            (1, 0) => self.groups::<L, Band>(all, images),
            _ => self.groups::<L, Whole>(all, images),
        }
    }

    #[inline(always)]
    fn groups<L: Lanes, P: Patch>(&self, all: Range<usize>, images: &mut impl Images) {
        assert_eq!(self.weight.len(), self.conv.packed());
        let from = blocks(self.conv.input[0]);
        let is_in_place = images.added(all.start).is_in_place();
        let panel = if is_in_place { from } else { (PANEL / (2 * self.conv.area())).clamp(1, from) };
        let mut group = vec![P::new(self.conv, panel)];
        let each = group[0].count();
        let patches = all.start * each..all.end * each;
        let values = panel * group[0].steps()[0] * LANES + image(self.conv.output) / each;
        let most = if self.weight.len() > GROUP { GROUP / values } else { 1 };
        group.resize_with(most.clamp(1, patches.len().max(1)), || P::new(self.conv, panel));
        for first in patches.clone().step_by(group.len()) {
            let some = first..(first + group.len()).min(patches.end);
            for start in (0..from).step_by(panel) {
                let channels = start..(start + panel).min(from);
                for (patch, scratch) in some.clone().zip(&mut group) {
                    for block in channels.clone() {
                        scratch.take::<L>(patch % each, images.input(patch / each), block, block - start);
                    }
                }
                self.add::<L, P>(some.clone(), patches.end, &group, channels, images);
            }
            for done in (some.start + 1..=some.end).filter(|done| done.is_multiple_of(each)) {
                let one = done / each - 1;
                let to = images.output(one);
                images.end::<L>(one, to);
            }
        }
    }

    /// What some blocks of the input's channels add to some patches.
    #[inline(always)]
    fn add<L: Lanes, P: Patch>(
        &self,
        some: Range<usize>,
        end: usize,
        group: &[P],
        channels: Range<usize>,
        images: &mut impl Images,
    ) {
        let [out, height, width] = self.conv.output;
        let (from, each, area) = (blocks(self.conv.input[0]), group[0].count(), self.conv.area());
        let [block, row_step, stride] = group[0].steps();
        let (taps, columns) = self.conv.taps(row_step);
        let summands = Summands {
            taps: &taps,
            channels: self.conv.input[0].min(channels.end * LANES) - channels.start * LANES,
            x_block: block * LANES,
            w_block: area,
            w_out: from * area,
            ahead: None,
            coming: None,
        };
        let area_in = self.conv.input[1] * self.conv.input[2] * LANES;
        let mut first = 0;
        while first < blocks(out) {
            let w = self.weight[first * summands.w_out + channels.start * area..].as_ptr();
            let mut count = 0;
            for (patch, scratch) in some.clone().zip(group) {
                let added = images.added(patch / each);
                added.check(self.conv.output);
                let to = images.output(patch / each);
                assert_eq!(to.len(), image(self.conv.output));
                // The same patch's next channels, or the first of the patch that takes its place.
                let next = if channels.end < from { (patch, channels.end) } else { (patch + group.len(), 0) };
                let coming = (first == 0 && next.0 < end).then(|| {
                    let (image, _) = images.input(next.0 / each);
                    scratch.coming(next.0 % each, image, next.1)
                });
                let coming = coming.flatten().map(|(from, count)| (from, area_in, count));
                for line in 0..scratch.rows() {
                    let (x, pixel, pixels) = scratch.row(patch % each, line);
                    let start = (first * height * width + pixel) * LANES;
                    let place = to[start..].as_mut_ptr();
                    let sums = Sums {
                        to: place,
                        pixel: LANES,
                        block: height * width * LANES,
                        count: pixels,
                        begin: if channels.start > 0 { Begin::There } else { added.begin(first) },
                        values: added.values(start, place).filter(|_| channels.end == from),
                    };
                    let ahead = Some([line, scratch.rows()]).filter(|_| patch == some.start || coming.is_some());
                    let summands = Summands { ahead, coming, ..summands };
                    // SAFETY: the scratch and its slack hold what a row of pixels reads; `to` and what is added to it
                    // hold all blocks.
                    count = unsafe { row::<L>(columns, stride, blocks(out) - first, x, w, summands, sums) };
                }
            }
            first += count;
        }
    }
}
