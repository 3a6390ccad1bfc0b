//! Maximum pooling in blocks of sixteen channels.

use std::ops::Range;

use super::conv::image;
use super::norm::{lanes, put};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{SendPtr, parallel_chunks};
use super::simd::{Isa, LANES, Lanes, Work, dispatch};

/// Input: values `[images, blocks, height, width, 16]`. Output: the greatest value of every window; pixels beyond the
/// edge do not count.
#[derive(Clone, Debug)]
pub(super) struct MaxPool {
    /// `[channels, height, width]`.
    pub input: [usize; 3],
    /// `[channels, height, width]`.
    pub output: [usize; 3],
    pub size: usize,
    pub stride: usize,
    pub padding: usize,
}

impl MaxPool {
    /// Rows or columns of the input, of so many, that the window of an output reaches.
    fn reach(&self, output: usize, side: usize) -> Range<usize> {
        let first = output * self.stride;
        first.saturating_sub(self.padding)..(first + self.size).saturating_sub(self.padding).min(side)
    }

    /// Calls for every pixel of an output with its place and the places of the window's, in pixels of a block.
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(usize, Range<usize>, Range<usize>)) {
        let ([_, height, width], [_, rows, columns]) = (self.input, self.output);
        for y in 0..rows {
            let down = self.reach(y, height);
            for x in 0..columns {
                f(y * columns + x, down.clone(), self.reach(x, width));
            }
        }
    }
}

impl Operation for MaxPool {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let images = inputs[0].shape[0];
        let size = image(self.output);
        let mut values = vec![0.0; images * size];
        let shared = SendPtr::new(&mut values);
        parallel_chunks(images, image(self.output) * self.size * self.size, |images| {
            // SAFETY: every part has its own images.
            let to = unsafe { shared.part(images.start * size..images.end * size) };
            let from = &inputs[0].values[images.start * image(self.input)..images.end * image(self.input)];
            dispatch(Isa::best(), Forward { op: self, from, to });
        });
        let [channels, height, width] = self.output;
        vec![Output { values, shape: vec![images, channels.div_ceil(LANES), height, width, LANES] }]
    }

    /// The gradient goes to the first greatest value of its window.
    fn backward(&self, inputs: &[TensorView], gradient: TensorView, _: &[bool]) -> Vec<Output> {
        let images = inputs[0].shape[0];
        let mut values = vec![0.0; inputs[0].values.len()];
        let (from, size) = (image(self.input), image(self.output));
        let shared = SendPtr::new(&mut values);
        let ([_, height, width], [_, rows, columns]) = (self.input, self.output);
        let (area, out_area) = (height * width * LANES, rows * columns * LANES);
        parallel_chunks(images, image(self.output) * self.size * self.size, |images| {
            for one in images {
                // SAFETY: every part has its own images.
                let to = unsafe { shared.part(one * from..(one + 1) * from) };
                let x = &inputs[0].values[one * from..(one + 1) * from];
                let gradient = &gradient.values[one * size..(one + 1) * size];
                let blocks = to.chunks_exact_mut(area).zip(x.chunks_exact(area)).zip(gradient.chunks_exact(out_area));
                for ((to, x), gradient) in blocks {
                    self.each(|place, down, across| {
                        for lane in 0..LANES {
                            let window = down.clone().flat_map(|y| across.clone().map(move |x| y * width + x));
                            let greatest = window
                                .map(|pixel| pixel * LANES + lane)
                                .reduce(|best, other| if x[other] > x[best] { other } else { best });
                            if let Some(greatest) = greatest {
                                to[greatest] += gradient[place * LANES + lane];
                            }
                        }
                    });
                }
            }
        });
        vec![Output { values, shape: inputs[0].shape.to_vec() }]
    }
}

struct Forward<'a> {
    op: &'a MaxPool,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Work for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let ([_, height, width], [_, rows, columns]) = (self.op.input, self.op.output);
        let blocks = self.from.chunks_exact(height * width * LANES);
        for (from, to) in blocks.zip(self.to.chunks_exact_mut(rows * columns * LANES)) {
            for y in 0..rows {
                let down = self.op.reach(y, height);
                for x in 0..columns {
                    let mut greatest = L::splat(f32::NEG_INFINITY);
                    for y in down.clone() {
                        for x in self.op.reach(x, width) {
                            greatest = greatest.max(lanes(&from[(y * width + x) * LANES..]));
                        }
                    }
                    put(greatest, &mut to[(y * columns + x) * LANES..]);
                }
            }
        }
    }
}
