//! `relu(t·h + c·x)` in one pass, together with everything that is pending on its inputs: the end of every block of a
//! network, whatever its wiring.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::conv::image_len;
use super::memory::{assume_init, uninit};
use super::norm::{Norm, NormSums};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{Chunks, parallel_chunks};
use super::pending::PendingOps;
use super::simd::{self, F32x16, LANES, Simd, SimdOp};
use super::tuning::COST_PER_VALUE;

/// The factor c of the skip connection in `t·h + c·x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry<Gate = ()> {
    /// 1.
    Identity,
    /// `1 - t`, where t is the transform gate.
    OneMinusTransform,
    /// A carry gate: the sigmoid of these values.
    Gate(Gate),
}

impl<Gate> Carry<Gate> {
    /// Separates the kind of carry from the values of its gate.
    pub(super) fn split(self) -> (Carry, Option<Gate>) {
        match self {
            Self::Identity => (Carry::Identity, None),
            Self::OneMinusTransform => (Carry::OneMinusTransform, None),
            Self::Gate(gate) => (Carry::Gate(()), Some(gate)),
        }
    }
}

/// `relu(t·h + c·x)`.
///
/// Inputs: `h`, the values of which `t` and `c` are the sigmoids, and `x`, as far as they take part, each followed by the
/// four arrays of the normalization that is pending on it. All have the shape `[images, channel blocks, height, width, 16]`.
#[derive(Clone, Debug)]
pub(super) struct Combine {
    /// What is pending on h, t, c and x; `None` for those that take no part.
    pub pending: [Option<PendingOps>; 4],
    pub carry: Carry,
    /// Whether a ReLU follows.
    pub relu: bool,
    /// Channels without padding.
    pub channels: usize,
}

const H: usize = 0;
const T: usize = 1;
const C: usize = 2;
const X: usize = 3;

/// One of h, t, c and x.
pub(super) struct CombineInput<'a> {
    pub values: &'a [f32],
    pub pending: PendingOps,
    pub norm: Option<Norm>,
    /// The place of the values among the inputs of the operation.
    pub index: usize,
}

impl Combine {
    fn inputs<'a>(&self, inputs: &[TensorView<'a>]) -> [Option<CombineInput<'a>>; 4] {
        let mut left = inputs.iter();
        self.pending.map(|pending| {
            let pending = pending?;
            let index = inputs.len() - left.len();
            let values = left.next().expect("an input").values;
            Some(CombineInput { values, pending, norm: pending.take_norm(&mut left), index })
        })
    }

    fn image_shape(&self, [_, _, height, width, _]: [usize; 5]) -> [usize; 3] {
        [self.channels, height, width]
    }

    /// Returns the sums that [`Backward::add`] adds to.
    pub(super) fn zero_sums(&self) -> [NormSums; 4] {
        std::array::from_fn(|_| NormSums::new(self.channels))
    }
}

impl Operation for Combine {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let parts = self.inputs(inputs);
        let dims: [usize; 5] = inputs[0].shape.try_into().expect("five dimensions");
        let size = image_len(self.image_shape(dims));
        let mut values = uninit(dims[0] * size);
        parallel_chunks(dims[0], size * COST_PER_VALUE, Chunks::new(&mut values, size), |images, to| {
            let range = images.start * size..images.end * size;
            simd::run(Forward { op: self, inputs: &parts, dims, range, to: to.values });
        });
        // SAFETY: `Forward` wrote every pixel of every image.
        let values = unsafe { assume_init(values) };
        vec![Output { values, shape: dims.to_vec() }]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let parts = self.inputs(inputs);
        let dims: [usize; 5] = inputs[0].shape.try_into().expect("five dimensions");
        let shape = self.image_shape(dims);
        let size = image_len(shape);
        // The arrays of a normalization are wanted with its values or not at all.
        let is_wanted = |input: &CombineInput| wanted[input.index] || input.norm.is_some() && wanted[input.index + 1];
        let mut gradients =
            parts.each_ref().map(|input| input.as_ref().filter(|i| is_wanted(i)).map(|_| uninit(dims[0] * size)));
        let chunks = gradients.each_mut().map(|to| to.as_mut().map(|to| Chunks::new(to, size)));
        let sums = parallel_chunks(dims[0], size * COST_PER_VALUE, chunks, |images, to| {
            let range = images.start * size..images.end * size;
            let (gradient, to) = (&gradient.values[range.clone()], to.map(|to| to.map(|to| to.values)));
            simd::run(Backward { op: self, inputs: &parts, dims, range, gradient, to })
        });
        let mut sums: Vec<_> = sums.into_iter().map(|thread| thread.into_iter()).collect();
        let mut outputs: Vec<Option<Output>> = (0..inputs.len()).map(|_| None).collect();
        for (input, values) in parts.iter().zip(gradients) {
            let sums = NormSums::join(sums.iter_mut().map(|thread| thread.next().expect("four")));
            let (Some(input), Some(values)) = (input, values) else { continue };
            // SAFETY: `Backward` wrote every pixel of every image of each gradient that is there.
            let mut values = unsafe { assume_init(values) };
            if let Some(norm) = &input.norm {
                let count = input.pending.batch.then_some(dims[0] * dims[2] * dims[3]);
                let gradient = norm.gradient(&sums, count);
                gradient.apply(&mut values, input.values, norm.mean(), shape);
                for (i, values) in [gradient.scale, gradient.shift].into_iter().enumerate() {
                    outputs[input.index + 1 + i] = Some(Output { values, shape: vec![self.channels] });
                }
            }
            outputs[input.index] = Some(Output { values, shape: dims.to_vec() });
        }
        let wanted = outputs.into_iter().zip(wanted).filter(|(_, wanted)| **wanted);
        wanted.map(|(output, _)| output.expect("a gradient")).collect()
    }
}

/// The pixels of a channel block of one input.
#[derive(Clone, Copy)]
struct PixelRow<'a, V> {
    pixels: &'a [[f32; LANES]],
    /// The pending normalization: `factor·x + offset`.
    factor: V,
    offset: V,
    mean: V,
    /// The lower bound of the values: 0 for a pending ReLU, otherwise -∞.
    lower: V,
}

impl<'a, V: F32x16> PixelRow<'a, V> {
    #[inline(always)]
    fn new<S: Simd<Vector = V>>(simd: S, input: &CombineInput<'a>, block: usize, start: usize, len: usize) -> Self {
        let mut row = Self {
            pixels: input.values[start..start + len].as_chunks().0,
            factor: simd.splat(1.0),
            offset: simd.splat(0.0),
            mean: simd.splat(0.0),
            lower: simd.splat(if input.pending.relu { 0.0 } else { f32::NEG_INFINITY }),
        };
        if let Some(norm) = &input.norm {
            let (factor, offset) = norm.affine();
            (row.factor, row.offset) = (simd.load(&factor[block * LANES..]), simd.load(&offset[block * LANES..]));
            row.mean = simd.load(&norm.mean()[block * LANES..]);
        }
        row
    }
}

/// Everything that the result at one pixel is computed from. Inputs that take no part are 1.
struct Pixel<V> {
    /// h, t, c and x as they are stored.
    raw: [V; 4],
    /// After the normalization, before ReLU or sigmoid.
    normalized: [V; 4],
    /// After ReLU or sigmoid.
    value: [V; 4],
    /// `t·h + c·x`.
    sum: V,
}

impl<V: F32x16> Pixel<V> {
    #[inline(always)]
    fn new<S: Simd<Vector = V>>(simd: S, op: &Combine, rows: &[Option<PixelRow<V>>; 4], pixel: usize) -> Self {
        let one = simd.splat(1.0);
        let mut all = Self { raw: [one; 4], normalized: [one; 4], value: [one; 4], sum: one };
        for i in [H, T, C, X] {
            if let Some(row) = &rows[i] {
                all.raw[i] = simd.load(&row.pixels[pixel]);
                all.normalized[i] = row.offset.mul_add(row.factor, all.raw[i]);
                let is_gate = i == T || i == C;
                all.value[i] = if is_gate { simd.sigmoid(all.normalized[i]) } else { row.lower.max(all.normalized[i]) };
            }
        }
        let [h, t, c, x] = all.value;
        let new = if rows[T].is_some() { t.mul(h) } else { h };
        all.sum = match (op.carry, rows[X].is_some()) {
            (_, false) => new,
            (Carry::Identity, _) => new.add(x),
            (Carry::OneMinusTransform, _) => x.mul_add(t, h.sub(x)),
            (Carry::Gate(()), _) => new.mul_add(c, x),
        };
        all
    }
}

/// The forward pass of some images.
pub(super) struct Forward<'a> {
    pub op: &'a Combine,
    pub inputs: &'a [Option<CombineInput<'a>>; 4],
    /// `[images, channel blocks, height, width, 16]` of all images.
    pub dims: [usize; 5],
    /// The values of these images among those of all.
    pub range: Range<usize>,
    pub to: &'a mut [MaybeUninit<f32>],
}

impl SimdOp for Forward<'_> {
    type Output = ();

    /// Writes every value of `to`.
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let [_, blocks, height, width, _] = self.dims;
        let len = height * width * LANES;
        let lower = simd.splat(if self.op.relu { 0.0 } else { f32::NEG_INFINITY });
        for (place, to) in self.to.chunks_exact_mut(len).enumerate() {
            let start = self.range.start + place * len;
            let mut rows: [Option<PixelRow<S::Vector>>; 4] = [None; 4];
            for i in [H, T, C, X] {
                rows[i] = self.inputs[i].as_ref().map(|o| PixelRow::new(simd, o, place % blocks, start, len));
            }
            for (pixel, to) in to.chunks_exact_mut(LANES).enumerate() {
                lower.max(Pixel::new(simd, self.op, &rows, pixel).sum).store(to);
            }
        }
    }
}

/// The backward pass of some images.
pub(super) struct Backward<'a> {
    pub op: &'a Combine,
    pub inputs: &'a [Option<CombineInput<'a>>; 4],
    /// `[images, channel blocks, height, width, 16]` of all images.
    pub dims: [usize; 5],
    /// The values of these images among those of all.
    pub range: Range<usize>,
    /// The gradient with respect to the result, of these images.
    pub gradient: &'a [f32],
    /// Where the gradients with respect to h, t, c and x go, if they are wanted.
    pub to: [Option<&'a mut [MaybeUninit<f32>]>; 4],
}

impl SimdOp for Backward<'_> {
    type Output = [NormSums; 4];

    /// Writes every value of `to` and returns the sums of the gradients.
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> [NormSums; 4] {
        let mut sums = self.op.zero_sums();
        self.add(simd, &mut sums);
        sums
    }
}

impl Backward<'_> {
    /// Writes every value of `to` and adds the sums of the gradients.
    #[inline(always)]
    pub(super) fn add<S: Simd>(mut self, simd: S, all: &mut [NormSums; 4]) {
        let [_, blocks, height, width, _] = self.dims;
        let len = height * width * LANES;
        let one = simd.splat(1.0);
        for (place, gradients) in self.gradient.chunks_exact(len).enumerate() {
            let (start, block) = (self.range.start + place * len, place % blocks);
            let mut rows: [Option<PixelRow<S::Vector>>; 4] = [None; 4];
            for i in [H, T, C, X] {
                rows[i] = self.inputs[i].as_ref().map(|o| PixelRow::new(simd, o, block, start, len));
            }
            let mut sums = [[simd.splat(0.0); 2]; 4];
            for (pixel, gradient) in gradients.chunks_exact(LANES).enumerate() {
                let all = Pixel::new(simd, self.op, &rows, pixel);
                let mut gradient = simd.load(gradient);
                if self.op.relu {
                    gradient = gradient.where_positive(all.sum);
                }
                let [h, t, c, x] = all.value;
                // The derivatives of the sum with respect to h, t, c and x.
                let derivatives = [
                    if rows[T].is_some() { t } else { one },
                    if self.op.carry == Carry::OneMinusTransform { h.sub(x) } else { h },
                    x,
                    match self.op.carry {
                        Carry::Identity => one,
                        Carry::OneMinusTransform => one.sub(t),
                        Carry::Gate(()) => c,
                    },
                ];
                for i in [H, T, C, X] {
                    if let (Some(row), Some(to)) = (&rows[i], &mut self.to[i]) {
                        let mut own = gradient.mul(derivatives[i]);
                        if i == T || i == C {
                            own = own.mul(all.value[i].mul(one.sub(all.value[i])));
                        } else if self.inputs[i].as_ref().is_some_and(|o| o.pending.relu) {
                            own = own.where_positive(all.normalized[i]);
                        }
                        let [total, weighted] = sums[i];
                        sums[i] = [total.add(own), weighted.mul_add(own, all.raw[i].sub(row.mean))];
                        own.store(&mut to[place * len + pixel * LANES..]);
                    }
                }
            }
            for (all, [total, weighted]) in all.iter_mut().zip(sums) {
                all.add(simd, block, total, weighted);
                if block + 1 == blocks {
                    all.end_image();
                }
            }
        }
    }
}
