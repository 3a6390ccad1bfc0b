//! The way back through a convolution.

use std::ops::Range;

use super::Convolve;
use crate::kernel::conv::{ConvPlan, Images, Pairs, Prologue, WeightGradient, image, unpack};
use crate::kernel::layout::ToBlocked;
use crate::kernel::norm::{Norm, NormSums, lanes, prologue, put};
use crate::kernel::operation::{Operation, Output, TensorView};
use crate::kernel::parallel::{SendPtr, VALUE, parallel_chunks, uninit};
use crate::kernel::simd::{Isa, LANES, Lanes, Work, dispatch};

impl Convolve {
    /// The gradients that are wanted.
    pub(super) fn back(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let (mut x, bias, norm) = self.inputs(inputs);
        let images = x.shape[0];
        // The gradient of the weights takes blocks.
        let blocked = self.planes.then(|| ToBlocked.forward(&inputs[..1]).remove(0));
        if let Some(Output { values, shape }) = &blocked {
            x = TensorView { values, shape };
        }
        let size = image(self.conv.input);
        let norm_at = 2 + usize::from(self.has_bias);
        let wants_input = wanted[0] || norm.is_some() && wanted[norm_at];
        let mut dx = if wants_input { uninit(images * size) } else { Vec::new() };
        let back = wants_input.then(|| ConvPlan::back(&self.conv, &self.prepared, inputs[1].values));
        let shared = SendPtr::new(&mut dx);
        let found = parallel_chunks(images, self.conv.products(), |images| {
            let inner = Gradients {
                x: x.values,
                gradient: gradient.values,
                sizes: [size, image(self.conv.output)],
                norm: norm.as_ref(),
                relu: self.waits.relu,
                shared,
                sums: NormSums::new(self.conv.input[0]),
            };
            let (weight, bias) = (wanted[1], !bias.is_empty());
            let work = Backward { op: self, back: back.as_ref(), images, weight, bias, inner };
            dispatch(Isa::best(), work)
        });
        let mut found = found.into_iter();
        let mut all = found.next().expect("a part");
        found.for_each(|part| all.join(part));
        let mut outputs: Vec<Option<Output>> = (0..inputs.len()).map(|_| None).collect();
        let [out, ..] = self.conv.output;
        if self.has_bias {
            outputs[2] = Some(Output { values: all.bias[..out].to_vec(), shape: vec![out] });
        }
        if let (Some(norm), true) = (&norm, wants_input) {
            let count = self.waits.batch.then_some(images * self.conv.input[1] * self.conv.input[2]);
            let found = norm.gradient(&all.sums, count);
            found.materialize(&mut dx, x.values, norm.mean(), self.conv.input);
            for (place, values) in [found.scale, found.shift].into_iter().enumerate() {
                outputs[norm_at + place] = Some(Output { values, shape: vec![self.conv.input[0]] });
            }
        }
        let dx = Output { values: dx, shape: x.shape.to_vec() };
        outputs[0] = Some(match self.planes && wants_input {
            true => {
                ToBlocked.backward(&inputs[..1], TensorView { values: &dx.values, shape: &dx.shape }, &[true]).remove(0)
            }
            false => dx,
        });
        let weight = unpack(&all.weight.finish(), out, self.conv.input[0], self.conv.size);
        outputs[1] = Some(Output { values: weight, shape: inputs[1].shape.to_vec() });
        if let (Some(waits), Some(true)) = (self.summand, wanted.last()) {
            let summand = inputs[inputs.len() - 1].values;
            let values = to_summand(summand, waits.relu, gradient.values, images);
            outputs[inputs.len() - 1] = Some(Output { values, shape: gradient.shape.to_vec() });
        }
        let wanted = outputs.into_iter().zip(wanted).filter(|(_, wanted)| **wanted);
        wanted.map(|(output, _)| output.expect("a gradient")).collect()
    }
}

/// Some images on their way back.
struct Backward<'a> {
    op: &'a Convolve,
    back: Option<&'a ConvPlan<'a>>,
    images: Range<usize>,
    weight: bool,
    bias: bool,
    inner: Gradients<'a>,
}

/// What a part of the images adds to the gradients.
struct PartialGradients {
    weight: WeightGradient,
    bias: Vec<f32>,
    sums: NormSums,
}

impl PartialGradients {
    fn join(&mut self, other: Self) {
        self.weight.join(other.weight);
        self.bias.iter_mut().zip(&other.bias).for_each(|(a, b)| *a += b);
        self.sums = NormSums::join([self.sums.clone(), other.sums]);
    }
}

impl Work for Backward<'_> {
    type Output = PartialGradients;

    #[inline(always)]
    fn run<L: Lanes>(mut self) -> PartialGradients {
        let conv = &self.op.conv;
        let pixels = conv.output[1] * conv.output[2];
        let mut weight = WeightGradient::new(conv);
        let mut bias = vec![0.0; conv.output[0].div_ceil(LANES) * LANES];
        // A few images at a time: their gradients stay in the cache from the weights to the input.
        for first in self.images.clone().step_by(BACKWARD_GROUP) {
            let few = first..(first + BACKWARD_GROUP).min(self.images.end);
            if self.weight {
                weight.run::<L>(conv, few.clone(), &self.inner);
            }
            if let Some(back) = self.back {
                back.run::<L>(few, &mut self.inner);
            }
        }
        if self.bias {
            for one in self.images {
                for (block, rows) in self.inner.gradient(one).chunks_exact(pixels * LANES).enumerate() {
                    let sum = rows.chunks_exact(LANES).fold(L::splat(0.0), |sum, pixel| sum.add(lanes(pixel)));
                    let to = &mut bias[block * LANES..];
                    put(lanes::<L>(to).add(sum), to);
                }
            }
        }
        PartialGradients { weight, bias, sums: self.inner.sums }
    }
}

/// Images between which the gradients of weights and input take turns.
pub(in crate::kernel) const BACKWARD_GROUP: usize = 8;

/// The images on their way back.
struct Gradients<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    /// Values of an input and of an output.
    sizes: [usize; 2],
    norm: Option<&'a Norm>,
    relu: bool,
    shared: SendPtr,
    sums: NormSums,
}

impl Pairs for Gradients<'_> {
    fn pair(&self, one: usize) -> ((&[f32], Prologue<'_>), &[f32]) {
        let x = &self.x[one * self.sizes[0]..(one + 1) * self.sizes[0]];
        ((x, prologue(self.norm, self.relu)), self.gradient(one))
    }
}

impl Gradients<'_> {
    fn gradient(&self, one: usize) -> &[f32] {
        &self.gradient[one * self.sizes[1]..(one + 1) * self.sizes[1]]
    }
}

impl Images for Gradients<'_> {
    fn input(&self, one: usize) -> (&[f32], Prologue<'_>) {
        (self.gradient(one), Prologue::NONE)
    }

    fn output<'b>(&self, one: usize) -> &'b mut [f32] {
        // SAFETY: every part has its own images.
        unsafe { self.shared.part(one * self.sizes[0]..(one + 1) * self.sizes[0]) }
    }

    /// Back through the ReLU, and the sums for the normalization.
    #[inline(always)]
    fn row<L: Lanes>(&mut self, one: usize, block: usize, start: usize, row: &mut [f32]) {
        let zero = L::splat(0.0);
        let (mut factor, mut summand, mut mean) = (L::splat(1.0), zero, zero);
        if let Some(norm) = self.norm {
            let (factors, summands) = norm.affine();
            (factor, summand) = (lanes(&factors[block * LANES..]), lanes(&summands[block * LANES..]));
            mean = lanes(&norm.mean()[block * LANES..]);
        } else if !self.relu {
            return;
        }
        let x = &self.x[one * self.sizes[0] + start..][..row.len()];
        let (mut total, mut along) = (zero, zero);
        for (gradient, x) in row.chunks_exact_mut(LANES).zip(x.chunks_exact(LANES)) {
            let (mut own, x) = (lanes::<L>(gradient), lanes::<L>(x));
            if self.relu {
                own = own.where_positive(summand.mul_add(factor, x));
                put(own, gradient);
            }
            total = total.add(own);
            along = along.mul_add(own, x.sub(mean));
        }
        self.sums.add(block, total, along);
    }

    #[inline(always)]
    fn end<L: Lanes>(&mut self, _: usize, _: &mut [f32]) {
        self.sums.end_image();
    }
}

/// The gradient with respect to a summand, past the ReLU that waits on it.
fn to_summand(summand: &[f32], relu: bool, gradient: &[f32], images: usize) -> Vec<f32> {
    let size = gradient.len() / images.max(1);
    let mut values = uninit(gradient.len());
    let shared = SendPtr::new(&mut values);
    parallel_chunks(images, size * VALUE, |images| {
        let range = images.start * size..images.end * size;
        // SAFETY: every part has its own images.
        let to = unsafe { shared.part(range.clone()) };
        let pairs = gradient[range.clone()].iter().zip(&summand[range]);
        for (to, (&gradient, &value)) in to.iter_mut().zip(pairs) {
            *to = if relu && value <= 0.0 { 0.0 } else { gradient };
        }
    });
    values
}
