//! The backward pass of a convolution.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::Convolve;
use crate::kernel::conv::{Addend, ConvPlan, ImagePairs, Images, Prologue, WeightGradient};
use crate::kernel::conv::{channel_blocks, image_len, unpack};
use crate::kernel::layout::ToBlocked;
use crate::kernel::memory::{assume_init, uninit};
use crate::kernel::norm::{Norm, NormSums};
use crate::kernel::operation::{Operation, Output, TensorView};
use crate::kernel::parallel::{Chunks, parallel_chunks};
use crate::kernel::pending::PendingOps;
use crate::kernel::simd::{self, F32x16, LANES, Simd, SimdOp};
use crate::kernel::tuning::{BACKWARD_GROUP, COST_PER_VALUE};

impl Convolve {
    /// Returns the gradients that are wanted.
    pub(super) fn run_backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let (mut x, bias, norm) = self.inputs(inputs);
        let images = x.shape[0];
        // The weight gradient reads the blocked layout.
        let blocked = self.planes.then(|| ToBlocked.forward(&inputs[..1]).remove(0));
        if let Some(Output { values, shape }) = &blocked {
            x = TensorView { values, shape };
        }
        let size = image_len(self.conv.input);
        let norm_index = 2 + usize::from(self.has_bias);
        let wants_input = wanted[0] || norm.is_some() && wanted[norm_index];
        let size_of_dx = if wants_input { size } else { 0 };
        let mut dx = uninit(images * size_of_dx);
        let plan = wants_input.then(|| ConvPlan::input_gradient(&self.conv, &self.packed, inputs[1].values));
        let chunks = Chunks::new(&mut dx, size_of_dx);
        let partial = parallel_chunks(images, self.conv.multiply_adds(), chunks, |images, dx| {
            let io = BackwardImages {
                x: x.values,
                gradient: gradient.values,
                shape: self.conv.input,
                sizes: [size, image_len(self.conv.output)],
                norm: norm.as_ref(),
                pending: self.pending,
                first: images.start,
                dx: dx.values,
                sums: NormSums::new(self.conv.input[0]),
            };
            let (weight, bias) = (wanted[1], !bias.is_empty());
            simd::run(Backward { op: self, plan: plan.as_ref(), images, weight, bias, io })
        });
        // SAFETY: if the gradient of the input is wanted, its plan wrote every image; otherwise there is none.
        let mut dx = unsafe { assume_init(dx) };
        let mut partial = partial.into_iter();
        let mut all = partial.next().expect("at least one thread");
        partial.for_each(|thread| all.join(thread));
        let mut outputs: Vec<Option<Output>> = (0..inputs.len()).map(|_| None).collect();
        let [out, ..] = self.conv.output;
        if self.has_bias {
            outputs[2] = Some(Output { values: all.bias[..out].to_vec(), shape: vec![out] });
        }
        if let (Some(norm), true) = (&norm, wants_input) {
            let count = self.pending.batch.then_some(images * self.conv.input[1] * self.conv.input[2]);
            let gradient = norm.gradient(&all.sums, count);
            gradient.apply(&mut dx, x.values, norm.mean(), self.conv.input);
            for (place, values) in [gradient.scale, gradient.shift].into_iter().enumerate() {
                outputs[norm_index + place] = Some(Output { values, shape: vec![self.conv.input[0]] });
            }
        }
        let dx = Output { values: dx, shape: x.shape.to_vec() };
        outputs[0] = Some(match self.planes && wants_input {
            true => {
                let dx = TensorView { values: &dx.values, shape: &dx.shape };
                ToBlocked.backward(&inputs[..1], dx, &[true]).remove(0)
            }
            false => dx,
        });
        let weight = unpack(&all.weight.finish(), out, self.conv.input[0], self.conv.size);
        outputs[1] = Some(Output { values: weight, shape: inputs[1].shape.to_vec() });
        if let (Some(pending), Some(true)) = (self.residual, wanted.last()) {
            let residual = inputs[inputs.len() - 1].values;
            let values = residual_gradient(residual, pending.relu, gradient.values, images);
            outputs[inputs.len() - 1] = Some(Output { values, shape: gradient.shape.to_vec() });
        }
        let wanted = outputs.into_iter().zip(wanted).filter(|(_, wanted)| **wanted);
        wanted.map(|(output, _)| output.expect("a gradient")).collect()
    }
}

/// The backward pass of some images.
struct Backward<'a> {
    op: &'a Convolve,
    /// How the gradient of the input is computed, if it is wanted.
    plan: Option<&'a ConvPlan<'a>>,
    images: Range<usize>,
    /// Whether the gradients of weight and bias are wanted.
    weight: bool,
    bias: bool,
    io: BackwardImages<'a>,
}

/// The gradients of the parameters, summed over the images of one thread.
struct ParameterGradients {
    weight: WeightGradient,
    bias: Vec<f32>,
    sums: NormSums,
}

impl ParameterGradients {
    fn join(&mut self, other: Self) {
        self.weight.join(other.weight);
        self.bias.iter_mut().zip(&other.bias).for_each(|(a, b)| *a += b);
        self.sums = NormSums::join([self.sums.clone(), other.sums]);
    }
}

impl SimdOp for Backward<'_> {
    type Output = ParameterGradients;

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S) -> ParameterGradients {
        let conv = &self.op.conv;
        let pixels = conv.output[1] * conv.output[2];
        let mut weight = WeightGradient::new(conv);
        let mut bias = vec![0.0; conv.output[0].div_ceil(LANES) * LANES];
        for first in self.images.clone().step_by(BACKWARD_GROUP) {
            let group = first..(first + BACKWARD_GROUP).min(self.images.end);
            if self.weight {
                weight.add(simd, conv, group.clone(), &self.io);
            }
            if let Some(plan) = self.plan {
                plan.run(simd, group, &mut self.io);
            }
        }
        if self.bias {
            for image in self.images {
                for (block, rows) in self.io.gradient(image).chunks_exact(pixels * LANES).enumerate() {
                    let zero = simd.splat(0.0);
                    let sum = rows.chunks_exact(LANES).fold(zero, |sum, pixel| sum.add(simd.load(pixel)));
                    let to = &mut bias[block * LANES..];
                    simd.load(to).add(sum).store(to);
                }
            }
        }
        ParameterGradients { weight, bias, sums: self.io.sums }
    }
}

/// Inputs and outputs of the backward pass.
struct BackwardImages<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    /// `[channels, height, width]` of the input.
    shape: [usize; 3],
    /// Values of an image of the input and of the output.
    sizes: [usize; 2],
    norm: Option<&'a Norm>,
    pending: PendingOps,
    /// The first image of `dx`.
    first: usize,
    /// The gradient of the input.
    dx: &'a mut [MaybeUninit<f32>],
    sums: NormSums,
}

impl ImagePairs for BackwardImages<'_> {
    fn pair(&self, image: usize) -> ((&[f32], Prologue<'_>), &[f32]) {
        let x = &self.x[image * self.sizes[0]..(image + 1) * self.sizes[0]];
        ((x, self.pending.prologue(self.norm)), self.gradient(image))
    }
}

impl BackwardImages<'_> {
    fn gradient(&self, image: usize) -> &[f32] {
        &self.gradient[image * self.sizes[1]..(image + 1) * self.sizes[1]]
    }
}

impl Images for BackwardImages<'_> {
    fn input(&self, image: usize) -> (&[f32], Prologue<'_>) {
        (self.gradient(image), Prologue::NONE)
    }

    fn output(&mut self, image: usize) -> (&mut [MaybeUninit<f32>], Addend<'_>) {
        (&mut self.dx[(image - self.first) * self.sizes[0]..][..self.sizes[0]], Addend::NONE)
    }

    /// Applies the gradient of the pending ReLU, and adds the sums for that of the normalization.
    #[inline(always)]
    unsafe fn after_pixels<S: Simd>(&mut self, simd: S, image: usize, pixels: Range<usize>) {
        if self.norm.is_none() && !self.pending.relu {
            return;
        }
        let [channels, height, width] = self.shape;
        for block in 0..channel_blocks(channels) {
            let start = block * height * width;
            let range = (start + pixels.start) * LANES..(start + pixels.end) * LANES;
            let dx = &mut self.dx[(image - self.first) * self.sizes[0]..][range.clone()];
            // SAFETY: the caller promises that these pixels are written.
            let dx = unsafe { dx.assume_init_mut() };
            let zero = simd.splat(0.0);
            let (mut factor, mut offset, mut mean) = (simd.splat(1.0), zero, zero);
            if let Some(norm) = self.norm {
                let (factors, offsets) = norm.affine();
                (factor, offset) = (simd.load(&factors[block * LANES..]), simd.load(&offsets[block * LANES..]));
                mean = simd.load(&norm.mean()[block * LANES..]);
            }
            let x = &self.x[image * self.sizes[0]..][range];
            let (mut total, mut weighted) = (zero, zero);
            for (gradient, x) in dx.chunks_exact_mut(LANES).zip(x.chunks_exact(LANES)) {
                let (mut own, x) = (simd.load(gradient), simd.load(x));
                if self.pending.relu {
                    own = own.where_positive(offset.mul_add(factor, x));
                    own.store(gradient);
                }
                total = total.add(own);
                weighted = weighted.mul_add(own, x.sub(mean));
            }
            self.sums.add(simd, block, total, weighted);
        }
    }

    #[inline(always)]
    unsafe fn after_image<S: Simd>(&mut self, _: S, _: usize) {
        self.sums.end_image();
    }
}

/// Returns the gradient with respect to the residual, through the ReLU that is pending on it.
fn residual_gradient(residual: &[f32], relu: bool, gradient: &[f32], images: usize) -> Vec<f32> {
    assert_eq!(residual.len(), gradient.len());
    let size = gradient.len() / images.max(1);
    let mut values = uninit(images * size);
    parallel_chunks(images, size * COST_PER_VALUE, Chunks::new(&mut values, size), |images, to| {
        let range = images.start * size..images.end * size;
        let pairs = gradient[range.clone()].iter().zip(&residual[range]);
        for (to, (&gradient, &value)) in to.values.iter_mut().zip(pairs) {
            to.write(if relu && value <= 0.0 { 0.0 } else { gradient });
        }
    });
    // SAFETY: the loops wrote every value of every image.
    unsafe { assume_init(values) }
}
