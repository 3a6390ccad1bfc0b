//! Convolution as an operation of the engine. What waits on its input (normalization, ReLU) is done as the input is
//! read, and its gradient as the input's gradient is written: neither has a pass of its own.

use std::ops::Range;

use super::conv::{Bordered, Conv, Epilogue, InputGradient, Prologue, forward, image, pack, unpack, weight_gradient};
use super::lanes::{Isa, LANES, Lanes, Work, dispatch};
use super::norm::{Moments, Norm, NormSums, lanes, prologue, put};
use super::op::{Array, Operation, Output};
use super::parts::{Shared, parts, unwritten};

/// Inputs: values `[images, blocks, height, width, 16]`, weight `[out, in, size, size]`, where there are such the bias
/// `[out]`, and the scale, shift, mean and variance of the normalization that waits. Outputs: values, and where they
/// are asked for their mean and biased variance.
#[derive(Clone, Debug)]
pub(super) struct Convolve {
    pub conv: Conv,
    pub has_bias: bool,
    pub waits: Waits,
    pub statistics: bool,
}

/// What waits on values until somebody reads them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waits {
    pub norm: bool,
    /// Whether the normalization's statistics are those of these very values, so that its gradient knows of them.
    pub batch: bool,
    pub relu: bool,
}

impl Waits {
    /// The normalization, which the next four inputs describe.
    pub(super) fn take(self, inputs: &mut std::slice::Iter<Array>) -> Option<Norm> {
        self.norm.then(|| Norm::new(std::array::from_fn(|_| inputs.next().expect("an input").values)))
    }
}

impl Operation for Convolve {
    fn forward(&self, inputs: &[Array]) -> Vec<Output> {
        let (x, packed, bias, norm) = self.inputs(inputs);
        let images = x.shape[0];
        let mut y = unwritten(images * image(self.conv.output));
        let shared = Shared::new(&mut y);
        let moments = parts(images, |images| {
            let prologue = prologue(norm.as_ref(), self.waits.relu);
            dispatch(
                Isa::best(),
                Forward { op: self, x: x.values, packed: &packed, bias: &bias, prologue, images, shared },
            )
        });
        let [channels, height, width] = self.conv.output;
        let mut outputs =
            vec![Output { values: y, shape: vec![images, channels.div_ceil(LANES), height, width, LANES] }];
        if self.statistics {
            let both = Moments::finish(moments, channels);
            outputs.extend(both.map(|values| Output { values, shape: vec![channels] }));
        }
        outputs
    }

    fn backward(&self, inputs: &[Array], gradient: Array, wanted: &[bool]) -> Vec<Output> {
        let (x, packed, bias, norm) = self.inputs(inputs);
        let images = x.shape[0];
        let size = image(self.conv.input);
        let wants_input = wanted[0] || wanted[2 + usize::from(self.has_bias)..].contains(&true);
        let mut dx = if wants_input { unwritten(images * size) } else { Vec::new() };
        let back = wants_input.then(|| InputGradient::new(&self.conv, &packed));
        let shared = Shared::new(&mut dx);
        let found = parts(images, |images| {
            let work = Backward {
                op: self,
                x: x.values,
                gradient: gradient.values,
                back: back.as_ref(),
                norm: norm.as_ref(),
                images,
                shared,
                weight: wanted[1],
                bias: !bias.is_empty(),
            };
            dispatch(Isa::best(), work)
        });
        let mut found = found.into_iter();
        let mut all = found.next().expect("a part");
        found.for_each(|part| all.join(part));
        let mut outputs = Vec::new();
        let [out, ..] = self.conv.output;
        let mut rest = Vec::new();
        if self.has_bias {
            rest.push(Output { values: all.bias[..out].to_vec(), shape: vec![out] });
        }
        if let (Some(norm), true) = (&norm, wants_input) {
            let count = self.waits.batch.then_some(images * self.conv.input[1] * self.conv.input[2]);
            let found = norm.gradient(&all.sums, count);
            found.settle(&mut dx, x.values, norm.mean(), self.conv.input);
            let shape = || vec![self.conv.input[0]];
            rest.push(Output { values: found.scale, shape: shape() });
            rest.push(Output { values: found.shift, shape: shape() });
        }
        outputs.push(Output { values: dx, shape: x.shape.to_vec() });
        let weight = unpack(&all.weight, out, self.conv.input[0], self.conv.size);
        outputs.push(Output { values: weight, shape: inputs[1].shape.to_vec() });
        outputs.extend(rest);
        let mut wanted = wanted.iter();
        outputs.retain(|_| *wanted.next().unwrap_or(&false));
        outputs
    }
}

impl Convolve {
    /// Values, packed weights, the bias with the channels that fill up the last block, and the normalization.
    fn inputs<'a>(&self, inputs: &[Array<'a>]) -> (Array<'a>, Vec<f32>, Vec<f32>, Option<Norm>) {
        let Conv { input: [channels, ..], output: [out, ..], size, .. } = self.conv;
        let packed = pack(inputs[1].values, out, channels, size);
        let mut bias = Vec::new();
        if self.has_bias {
            bias = inputs[2].values.to_vec();
            bias.resize(out.div_ceil(LANES) * LANES, 0.0);
        }
        let norm = self.waits.take(&mut inputs[2 + usize::from(self.has_bias)..].iter());
        (inputs[0], packed, bias, norm)
    }
}

struct Forward<'a> {
    op: &'a Convolve,
    x: &'a [f32],
    packed: &'a [f32],
    bias: &'a [f32],
    prologue: Prologue<'a>,
    images: Range<usize>,
    shared: Shared,
}

impl Work for Forward<'_> {
    type Output = Moments;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Moments {
        let conv = &self.op.conv;
        let (from, to) = (image(conv.input), image(conv.output));
        let [channels, height, width] = conv.output;
        let mut moments = Moments::new(channels);
        let mut scratch = conv.bordered();
        for one in self.images {
            scratch.fill::<L>(&self.x[one * from..(one + 1) * from], self.prologue);
            // SAFETY: every part has its own images.
            let y = unsafe { self.shared.part(one * to..(one + 1) * to) };
            forward::<L>(conv, self.packed, &scratch, y, &mut Bias(self.bias));
            if self.op.statistics {
                moments.add::<L>(y, height * width);
            }
        }
        moments
    }
}

/// Adds a bias, where there is one.
struct Bias<'a>(&'a [f32]);

impl Epilogue for Bias<'_> {
    #[inline(always)]
    fn row<L: Lanes>(&mut self, block: usize, _: usize, row: &mut [f32]) {
        if self.0.is_empty() {
            return;
        }
        let bias = lanes::<L>(&self.0[block * LANES..]);
        for pixel in row.chunks_exact_mut(LANES) {
            put(lanes::<L>(pixel).add(bias), pixel);
        }
    }
}

struct Backward<'a> {
    op: &'a Convolve,
    x: &'a [f32],
    gradient: &'a [f32],
    back: Option<&'a InputGradient>,
    norm: Option<&'a Norm>,
    images: Range<usize>,
    shared: Shared,
    weight: bool,
    bias: bool,
}

/// What a part of the images adds to the gradients.
struct Found {
    weight: Vec<f32>,
    bias: Vec<f32>,
    sums: NormSums,
}

impl Found {
    fn join(&mut self, other: Self) {
        self.weight.iter_mut().zip(&other.weight).for_each(|(a, b)| *a += b);
        self.bias.iter_mut().zip(&other.bias).for_each(|(a, b)| *a += b);
        self.sums = NormSums::join([self.sums.clone(), other.sums]);
    }
}

impl Work for Backward<'_> {
    type Output = Found;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Found {
        let conv = &self.op.conv;
        let (from, to) = (image(conv.input), image(conv.output));
        let pixels = conv.output[1] * conv.output[2];
        let mut found = Found {
            weight: vec![0.0; conv.packed()],
            bias: vec![0.0; conv.output[0].div_ceil(LANES) * LANES],
            sums: NormSums::new(conv.input[0]),
        };
        let mut input = conv.bordered();
        let mut output = self.back.map(InputGradient::bordered);
        let waits = prologue(self.norm, self.op.waits.relu);
        for one in self.images {
            let gradient = &self.gradient[one * to..(one + 1) * to];
            let x = &self.x[one * from..(one + 1) * from];
            if self.weight || self.op.waits.relu {
                input.fill::<L>(x, waits);
            }
            if self.weight {
                weight_gradient::<L>(conv, &input, gradient, &mut found.weight);
            }
            if self.bias {
                for (block, rows) in gradient.chunks_exact(pixels * LANES).enumerate() {
                    let sum = rows.chunks_exact(LANES).fold(L::splat(0.0), |sum, pixel| sum.add(lanes(pixel)));
                    let to = &mut found.bias[block * LANES..];
                    put(lanes::<L>(to).add(sum), to);
                }
            }
            if let (Some(back), Some(output)) = (self.back, &mut output) {
                output.fill::<L>(gradient, Prologue::NONE);
                // SAFETY: every part has its own images.
                let dx = unsafe { self.shared.part(one * from..(one + 1) * from) };
                let mut mask = Mask {
                    input: self.op.waits.relu.then_some(&input),
                    x,
                    width: conv.input[2],
                    height: conv.input[1],
                    mean: self.norm.map(Norm::mean),
                    sums: &mut found.sums,
                };
                back.image::<L>(output, dx, &mut mask);
                found.sums.end_image();
            }
        }
        found
    }
}

/// Back through the ReLU, and the sums for the normalization.
struct Mask<'a> {
    /// What went into the convolution, where a ReLU stands before it.
    input: Option<&'a Bordered>,
    x: &'a [f32],
    height: usize,
    width: usize,
    mean: Option<&'a [f32]>,
    sums: &'a mut NormSums,
}

impl Epilogue for Mask<'_> {
    #[inline(always)]
    fn row<L: Lanes>(&mut self, block: usize, start: usize, row: &mut [f32]) {
        if let Some(input) = self.input {
            let values = input.row_of(block, start / (self.width * LANES) % self.height);
            for (gradient, value) in row.chunks_exact_mut(LANES).zip(values.chunks_exact(LANES)) {
                put(lanes::<L>(gradient).where_positive(lanes(value)), gradient);
            }
        }
        if let Some(mean) = self.mean {
            let mean = lanes::<L>(&mean[block * LANES..]);
            let (mut total, mut along) = (L::splat(0.0), L::splat(0.0));
            let x = &self.x[start..start + row.len()];
            for (gradient, x) in row.chunks_exact(LANES).zip(x.chunks_exact(LANES)) {
                let gradient = lanes::<L>(gradient);
                total = total.add(gradient);
                along = along.mul_add(gradient, lanes::<L>(x).sub(mean));
            }
            self.sums.add(block, total, along);
        }
    }
}
