//! Maximum pooling in the blocked layout.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::conv::{channel_blocks, image_len};
use super::memory::{assume_init, uninit};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{Chunks, parallel_chunks};
use super::simd::{self, F32x16, LANES, Simd, SimdOp};

/// The maximum of every window; pixels outside the input do not count.
///
/// Input: values `[images, channel blocks, height, width, 16]`. Output: the same with the height and width of the output.
#[derive(Clone, Debug)]
pub(super) struct MaxPool {
    /// `[channels, height, width]`.
    pub input: [usize; 3],
    /// `[channels, height, width]`.
    pub output: [usize; 3],
    /// Side of the window.
    pub size: usize,
    pub stride: usize,
    pub padding: usize,
}

impl MaxPool {
    /// Returns the rows or columns of the input, of `side`, that the window of row or column `output` covers.
    fn window(&self, output: usize, side: usize) -> Range<usize> {
        let first = output * self.stride;
        first.saturating_sub(self.padding)..(first + self.size).saturating_sub(self.padding).min(side)
    }

    /// Returns the comparisons of one image.
    fn cost(&self) -> usize {
        image_len(self.output) * self.size * self.size
    }
}

impl Operation for MaxPool {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let images = inputs[0].shape[0];
        let [from_size, size] = [self.input, self.output].map(image_len);
        let mut values = uninit(images * size);
        parallel_chunks(images, self.cost(), Chunks::new(&mut values, size), |images, to| {
            let from = &inputs[0].values[images.start * from_size..images.end * from_size];
            simd::run(Forward { op: self, from, to: to.values });
        });
        // SAFETY: `Forward` wrote every pixel of every image.
        let values = unsafe { assume_init(values) };
        let [channels, height, width] = self.output;
        vec![Output { values, shape: vec![images, channel_blocks(channels), height, width, LANES] }]
    }

    /// The gradient of a window goes to its maximum, to the first of equals.
    fn backward(&self, inputs: &[TensorView], gradient: TensorView, _: &[bool]) -> Vec<Output> {
        let images = inputs[0].shape[0];
        let [size, from_size] = [self.input, self.output].map(image_len);
        let mut values = vec![0.0; images * size];
        parallel_chunks(images, self.cost(), Chunks::new(&mut values, size), |images, to| {
            let x = &inputs[0].values[images.start * size..images.end * size];
            let gradient = &gradient.values[images.start * from_size..images.end * from_size];
            self.scatter_gradient(x, gradient, to.values);
        });
        vec![Output { values, shape: inputs[0].shape.to_vec() }]
    }
}

impl MaxPool {
    /// Adds the gradients of some images' windows to those of their maxima.
    fn scatter_gradient(&self, x: &[f32], gradient: &[f32], to: &mut [f32]) {
        let ([_, height, width], [_, rows, columns]) = (self.input, self.output);
        let (area, out_area) = (height * width * LANES, rows * columns * LANES);
        let blocks = to.chunks_exact_mut(area).zip(x.chunks_exact(area)).zip(gradient.chunks_exact(out_area));
        for ((to, x), gradient) in blocks {
            for (pixel, gradient) in gradient.chunks_exact(LANES).enumerate() {
                let window_rows = self.window(pixel / columns, height);
                let window_columns = self.window(pixel % columns, width);
                for (lane, gradient) in gradient.iter().enumerate() {
                    let pixels = window_rows.clone().flat_map(|y| window_columns.clone().map(move |x| y * width + x));
                    let greatest = pixels
                        .map(|pixel| pixel * LANES + lane)
                        .reduce(|best, other| if x[other] > x[best] { other } else { best });
                    if let Some(greatest) = greatest {
                        to[greatest] += gradient;
                    }
                }
            }
        }
    }
}

/// The forward pass of some images.
struct Forward<'a> {
    op: &'a MaxPool,
    from: &'a [f32],
    to: &'a mut [MaybeUninit<f32>],
}

impl SimdOp for Forward<'_> {
    type Output = ();

    /// Writes every value of `to`.
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let ([_, height, width], [_, rows, columns]) = (self.op.input, self.op.output);
        let blocks = self.from.chunks_exact(height * width * LANES);
        for (from, to) in blocks.zip(self.to.chunks_exact_mut(rows * columns * LANES)) {
            for y in 0..rows {
                let window_rows = self.op.window(y, height);
                for x in 0..columns {
                    let mut greatest = simd.splat(f32::NEG_INFINITY);
                    for y in window_rows.clone() {
                        for x in self.op.window(x, width) {
                            greatest = greatest.max(simd.load(&from[(y * width + x) * LANES..]));
                        }
                    }
                    greatest.store(&mut to[(y * columns + x) * LANES..]);
                }
            }
        }
    }
}
