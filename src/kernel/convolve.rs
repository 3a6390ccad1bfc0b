//! Convolution as an operation of the gradient graph. What is pending on its input is computed as the input is read, and its
//! gradient as the gradient of the input is written: neither has a pass of its own.

mod backward;

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use super::conv::{Addend, Conv, ConvPlan, Images, PackedWeights, Prologue, Residual};
use super::conv::{channel_blocks, image_len, pad_channels};
use super::memory::{as_uninit, assume_init, uninit};
use super::norm::Norm;
use super::operation::{Operation, Output, TensorView};
use super::parallel::{Chunks, parallel_chunks};
use super::pending::PendingOps;
use super::simd::{self, LANES, Simd, SimdOp};
use super::statistics::Moments;

/// A convolution.
///
/// Inputs: values `[images, channel blocks, height, width, 16]` or planes `[images, 3, height, width]`; the weight, the
/// row-major values of `[out, in, size, size]` in any shape; and if they are there the bias `[out]`, the scale, shift, mean
/// and variance of the normalization that is pending on the values, and a residual of the shape of the output.
/// Outputs: values, and if they are asked for their mean and biased variance.
#[derive(Clone, Debug)]
pub(super) struct Convolve {
    pub conv: Conv,
    /// Whether the images are planes of colors.
    pub planes: bool,
    pub has_bias: bool,
    /// What is pending on the values.
    pub pending: PendingOps,
    /// Whether the statistics of the output are asked for.
    pub statistics: bool,
    /// What is pending on the residual. It has no pending normalization.
    pub residual: Option<PendingOps>,
    pub packed: Arc<PackedWeights>,
}

impl Operation for Convolve {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let images = inputs[0].shape[0];
        let [channels, height, width] = self.conv.output;
        let mut y = uninit(images * image_len(self.conv.output));
        let moments = self.convolve(inputs, self.residual(inputs), &mut y);
        // SAFETY: `convolve` wrote all of it.
        let values = unsafe { assume_init(y) };
        let mut outputs = vec![Output { values, shape: vec![images, channel_blocks(channels), height, width, LANES] }];
        if self.statistics {
            let statistics = Moments::finish(moments, channels);
            outputs.extend(statistics.map(|values| Output { values, shape: vec![channels] }));
        }
        outputs
    }

    /// Adds the residual in place, if there is one.
    fn run_in_place(&self, inputs: &[TensorView], last: &mut [f32]) -> bool {
        let Some(pending) = self.residual.filter(|_| !self.statistics) else { return false };
        // SAFETY: `last` is initialized, so that the residual may be read from there, and it stays so, because
        // `convolve` writes nothing but sums.
        unsafe { self.convolve(inputs, Some(Residual::in_place(pending.relu)), as_uninit(last)) };
        true
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        self.run_backward(inputs, gradient, wanted)
    }
}

impl Convolve {
    /// Writes every value of the output, and returns its moments if they are asked for.
    fn convolve(&self, inputs: &[TensorView], residual: Option<Residual>, y: &mut [MaybeUninit<f32>]) -> Vec<Moments> {
        let (x, bias, norm) = self.inputs(inputs);
        let images = x.shape[0];
        let [channels, height, width] = self.conv.output;
        let (size, area, blocks) = (image_len(self.conv.output), height * width * LANES, channel_blocks(channels));
        assert_eq!(y.len(), images * size);
        let run = |images: Range<usize>, blocks: Range<usize>, outputs: Vec<&mut [MaybeUninit<f32>]>| {
            let plan = if self.planes { ConvPlan::planes } else { ConvPlan::forward };
            let plan = &plan(&self.conv, blocks.clone(), &self.packed, inputs[1].values);
            let io = ForwardImages {
                x: x.values,
                sizes: [x.values.len() / x.shape[0].max(1), size],
                first: images.start,
                outputs,
                range: blocks.start * area..blocks.end * area,
                prologue: self.pending.prologue(norm.as_ref()),
                addend: Addend { bias: bias.get(blocks.start * LANES..).unwrap_or(&[]), residual },
                pixels: self.statistics.then_some(height * width),
                moments: Moments::new(channels),
            };
            simd::run(Forward { plan, images, io })
        };
        let cost = self.conv.multiply_adds() * images;
        if self.is_shared_by_channels(images) {
            let outputs: Vec<_> = y.chunks_exact_mut(size).map(|image| Chunks::new(image, area)).collect();
            parallel_chunks(blocks, cost / blocks.max(1), outputs, |blocks, outputs| {
                run(0..images, blocks, outputs.into_iter().map(|image| image.values).collect())
            })
        } else {
            parallel_chunks(images, cost / images.max(1), Chunks::new(y, size), |images, outputs| {
                run(images, 0..blocks, outputs.values.chunks_exact_mut(size).collect())
            })
        }
    }

    /// Returns whether threads share the channels of the output instead of the images. Each thread then reads only its own
    /// weights, but all of the input.
    fn is_shared_by_channels(&self, images: usize) -> bool {
        let threads = rayon::current_num_threads();
        let fits = !self.statistics && channel_blocks(self.conv.output[0]) >= threads;
        fits && (images < threads || self.conv.forward_weights_len() > 2 * images * image_len(self.conv.input))
    }

    /// Returns the values, the padded bias or nothing, and the pending normalization.
    fn inputs<'a>(&self, inputs: &[TensorView<'a>]) -> (TensorView<'a>, Vec<f32>, Option<Norm>) {
        let bias = if self.has_bias { pad_channels(inputs[2].values) } else { Vec::new() };
        let norm = self.pending.take_norm(&mut inputs[2 + usize::from(self.has_bias)..].iter());
        (inputs[0], bias, norm)
    }

    /// Returns the residual, which is the last of the inputs.
    fn residual<'a>(&self, inputs: &[TensorView<'a>]) -> Option<Residual<'a>> {
        let values = inputs.last().expect("inputs").values;
        self.residual.map(|pending| Residual::new(values, pending.relu))
    }
}

/// The forward pass of some images.
struct Forward<'a> {
    plan: &'a ConvPlan<'a>,
    images: Range<usize>,
    io: ForwardImages<'a>,
}

impl SimdOp for Forward<'_> {
    type Output = Moments;

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S) -> Moments {
        self.plan.run(simd, self.images, &mut self.io);
        self.io.moments
    }
}

/// Inputs and outputs of the forward pass.
struct ForwardImages<'a> {
    x: &'a [f32],
    /// Values of an image of the input and of the output.
    sizes: [usize; 2],
    /// The first image of `outputs`.
    first: usize,
    /// The channel blocks that are computed, of every image that is.
    outputs: Vec<&'a mut [MaybeUninit<f32>]>,
    /// The values of these channel blocks within an image of the output.
    range: Range<usize>,
    prologue: Prologue<'a>,
    /// What is added, for all images.
    addend: Addend<'a>,
    /// Pixels of an output, if its moments are asked for.
    pixels: Option<usize>,
    moments: Moments,
}

impl Images for ForwardImages<'_> {
    fn input(&self, image: usize) -> (&[f32], Prologue<'_>) {
        (&self.x[image * self.sizes[0]..(image + 1) * self.sizes[0]], self.prologue)
    }

    fn output(&mut self, image: usize) -> (&mut [MaybeUninit<f32>], Addend<'_>) {
        let start = image * self.sizes[1];
        let range = start + self.range.start..start + self.range.end;
        let residual = self.addend.residual.map(|residual| residual.slice(range));
        (self.outputs[image - self.first], Addend { residual, ..self.addend })
    }

    #[inline(always)]
    unsafe fn after_image<S: Simd>(&mut self, simd: S, image: usize) {
        if let Some(pixels) = self.pixels {
            // SAFETY: the caller promises that the output of this image is written.
            let values = unsafe { self.outputs[image - self.first].assume_init_ref() };
            self.moments.add(simd, values, pixels);
        }
    }
}
