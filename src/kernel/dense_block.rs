//! `t·h + c·x` where h, t and c are dense layers of x: a whole block of dense layers as one operation.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::combine::{self, Combine, CombineInput};
use super::conv::{Addend, Conv, Dense, ImagePairs, PackedWeights, Prologue, WeightGradient};
use super::conv::{channel_blocks, pad_channels, transpose, unpack};
use super::memory::{Scratch, as_uninit, assume_init, uninit};
use super::norm::NormSums;
use super::operation::{Operation, Output, TensorView};
use super::parallel::{Chunks, parallel_chunks};
use super::simd::{self, F32x16, LANES, Simd, SimdOp};
use super::tuning::BACKWARD_GROUP;

/// `t·h + c·x` of dense layers.
///
/// Inputs: x, `[images, channel blocks, 1, pixels, 16]`, and of each layer, in the order h, t and c, the weight, the values
/// of `[units, units]`, and the bias, `[units]`. Output: values of the shape of x.
#[derive(Debug)]
pub(super) struct DenseBlock {
    combine: Combine,
    /// The weights of each layer.
    packed: Vec<Arc<PackedWeights>>,
    /// Saved for the backward pass: the outputs of the layers, before ReLU and sigmoid. Of each image all of h, then all of t,
    /// then all of c.
    saved: OnceLock<Vec<f32>>,
}

/// The place of x among the inputs of [`Combine`]. h, t and c come before it.
const X: usize = 3;

impl DenseBlock {
    /// Returns the operation. `combine` says which layers there are; nothing may be pending on x.
    pub(super) fn new(combine: Combine, packed: Vec<Arc<PackedWeights>>) -> Self {
        Self { combine, packed, saved: OnceLock::new() }
    }

    fn layers(&self) -> usize {
        self.packed.len()
    }

    /// Returns the packed weights of each layer.
    fn packed(&self, conv: &Conv, inputs: &[TensorView]) -> Vec<&[f32]> {
        let layers = self.packed.iter().zip(inputs[1..].chunks_exact(2));
        layers.map(|(packed, input)| packed.direct(conv, input[0].values)).collect()
    }

    /// Returns the inputs of [`Combine`] for one image.
    fn combine_inputs<'a>(&self, layers: &'a [f32], x: &'a [f32]) -> [Option<CombineInput<'a>>; 4] {
        let mut layers = layers.chunks_exact(x.len());
        std::array::from_fn(|i| {
            let pending = self.combine.pending[i]?;
            let values = if i == X { x } else { layers.next().expect("a layer") };
            Some(CombineInput { values, pending, norm: None, index: 0 })
        })
    }
}

/// The shape of x.
#[derive(Clone, Copy)]
struct Shape {
    units: usize,
    images: usize,
    pixels: usize,
}

impl Shape {
    fn new(units: usize, x: &TensorView) -> Self {
        Self { units, images: x.shape[0], pixels: x.shape[3] }
    }

    /// Returns the number of values of an image.
    fn image_len(self) -> usize {
        channel_blocks(self.units) * self.pixels * LANES
    }

    /// Returns the shape of one image, `[1, channel blocks, 1, pixels, 16]`.
    fn image_dims(self) -> [usize; 5] {
        [1, channel_blocks(self.units), 1, self.pixels, LANES]
    }

    /// Returns the 1x1 convolution that is one layer.
    fn layer(self) -> Conv {
        Conv::new([self.units, 1, self.pixels], self.units, 1, 1, 0)
    }

    /// Returns the 1x1 convolution that is all layers, each padded to whole channel blocks.
    fn joined_layers(self, layers: usize) -> Conv {
        Conv::new([self.units, 1, self.pixels], layers * channel_blocks(self.units) * LANES, 1, 1, 0)
    }
}

impl Operation for DenseBlock {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let x = inputs[0];
        let shape = Shape::new(self.combine.channels, &x);
        let (size, layers) = (shape.image_len(), self.layers());
        let conv = shape.layer();
        let packed = self.packed(&conv, inputs);
        let biases: Vec<Vec<f32>> = inputs[1..].chunks_exact(2).map(|layer| pad_channels(layer[1].values)).collect();
        let (mut y, mut saved) = (uninit(shape.images * size), uninit(shape.images * layers * size));
        let chunks = [Chunks::new(&mut y, size), Chunks::new(&mut saved, layers * size)];
        parallel_chunks(shape.images, layers * conv.multiply_adds(), chunks, |images, [y, saved]| {
            let x = &x.values[values_of(&images, size)];
            let (y, saved) = (y.values, saved.values);
            simd::run(Forward { op: self, shape, packed: &packed, biases: &biases, x, saved, y });
        });
        // SAFETY: `Forward` wrote every image of both.
        let (y, saved) = unsafe { (assume_init(y), assume_init(saved)) };
        self.saved.get_or_init(|| saved);
        vec![Output { values: y, shape: x.shape.to_vec() }]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let x = inputs[0];
        let shape = Shape::new(self.combine.channels, &x);
        let (size, layers, units) = (shape.image_len(), self.layers(), shape.units);
        let (conv, blocks) = (shape.joined_layers(layers), channel_blocks(units));
        let transposed = transpose(&self.packed(&shape.layer(), inputs).concat(), layers * blocks, blocks, 1);
        let saved = self.saved.get().expect("forward came before");
        let mut dx = uninit(shape.images * size);
        let chunks = Chunks::new(&mut dx, size);
        let partial = parallel_chunks(shape.images, 2 * conv.multiply_adds(), chunks, |images, dx| {
            let (x, gradient) = (&x.values[values_of(&images, size)], &gradient.values[values_of(&images, size)]);
            let (saved, dx) = (&saved[values_of(&images, layers * size)], dx.values);
            simd::run(Backward { op: self, shape, conv: &conv, transposed: &transposed, x, saved, gradient, dx })
        });
        // SAFETY: `Backward` wrote every image.
        let dx = unsafe { assume_init(dx) };
        let all = partial.into_iter().reduce(LayerGradients::join).expect("at least one thread");
        let weights = all.weight.finish();
        let mut outputs = vec![Output { values: dx, shape: x.shape.to_vec() }];
        for (k, (weight, sums)) in weights.chunks_exact(weights.len() / layers).zip(&all.sums).enumerate() {
            let shape = inputs[1 + 2 * k].shape.to_vec();
            outputs.push(Output { values: unpack(weight, units, units, 1), shape });
            outputs.push(Output { values: sums.total(units), shape: vec![units] });
        }
        let mut wanted = wanted.iter();
        outputs.retain(|_| *wanted.next().expect("as many as inputs"));
        outputs
    }
}

/// Returns where the values of some images are.
fn values_of(images: &Range<usize>, size: usize) -> Range<usize> {
    images.start * size..images.end * size
}

/// The forward pass of some images.
struct Forward<'a> {
    op: &'a DenseBlock,
    shape: Shape,
    packed: &'a [&'a [f32]],
    biases: &'a [Vec<f32>],
    x: &'a [f32],
    saved: &'a mut [MaybeUninit<f32>],
    y: &'a mut [MaybeUninit<f32>],
}

impl SimdOp for Forward<'_> {
    type Output = ();

    /// Writes every value of `saved` and `y`.
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let (size, pixels, units) = (self.shape.image_len(), self.shape.pixels, self.shape.units);
        let mut scratch = Scratch::new(size + Dense::SLACK);
        let images = self.x.chunks_exact(size).zip(self.saved.chunks_exact_mut(self.op.layers() * size));
        for ((x, saved), y) in images.zip(self.y.chunks_exact_mut(size)) {
            scratch[..size].copy_from_slice(x);
            for ((weight, bias), to) in self.packed.iter().zip(self.biases).zip(saved.chunks_exact_mut(size)) {
                let layer = Dense { input: units, output: channel_blocks(units), weight };
                layer.run(simd, &scratch, pixels, Addend::bias(bias), to);
            }
            // SAFETY: there are as many weights and biases as layers, and each layer wrote all of its outputs.
            let saved = unsafe { saved.assume_init_ref() };
            let inputs = self.op.combine_inputs(saved, x);
            let (op, dims) = (&self.op.combine, self.shape.image_dims());
            combine::Forward { op, inputs: &inputs, dims, range: 0..size, to: y }.eval(simd);
        }
    }
}

/// The backward pass of some images.
struct Backward<'a> {
    op: &'a DenseBlock,
    shape: Shape,
    /// All layers as one.
    conv: &'a Conv,
    /// The transposed weights of all layers.
    transposed: &'a [f32],
    x: &'a [f32],
    saved: &'a [f32],
    gradient: &'a [f32],
    dx: &'a mut [MaybeUninit<f32>],
}

/// The gradients of the parameters, summed over the images of one thread.
struct LayerGradients {
    weight: WeightGradient,
    /// The sums of the gradients of each layer's output.
    sums: Vec<NormSums>,
}

impl LayerGradients {
    fn join(mut self, other: Self) -> Self {
        self.weight.join(other.weight);
        let sums = self.sums.into_iter().zip(other.sums);
        Self { weight: self.weight, sums: sums.map(|(a, b)| NormSums::join([a, b])).collect() }
    }
}

impl SimdOp for Backward<'_> {
    type Output = LayerGradients;

    /// Writes every value of `dx`.
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> LayerGradients {
        let (size, layers) = (self.shape.image_len(), self.op.layers());
        let count = self.x.len() / size;
        let gradient = Scratch::new(BACKWARD_GROUP.min(count) * layers * size + Dense::SLACK);
        let mut group = ImageGroup { x: self.x, sizes: [size, layers * size], first: 0, gradient };
        let mut through_layers = Scratch::new(size);
        let blocks = channel_blocks(self.shape.units);
        let dense = Dense { input: layers * blocks * LANES, output: blocks, weight: self.transposed };
        let (mut weight, mut sums) = (WeightGradient::new(self.conv), self.op.combine.zero_sums());
        for (place, dx) in self.dx.chunks_mut(BACKWARD_GROUP * size).enumerate() {
            group.first = place * BACKWARD_GROUP;
            for (place, dx) in dx.chunks_exact_mut(size).enumerate() {
                let to = &mut group.gradient[place * layers * size..][..layers * size];
                let all = [self.x, self.saved, self.gradient];
                self.op.combine_backward(simd, self.shape, all, group.first + place, to, dx, &mut sums);
            }
            weight.add(simd, self.conv, group.first..group.first + dx.len() / size, &group);
            for (place, dx) in dx.chunks_exact_mut(size).enumerate() {
                let gradient = &group.gradient[place * layers * size..];
                // SAFETY: `through_layers` is initialized, and a layer writes nothing but sums.
                let to = unsafe { as_uninit(&mut through_layers) };
                dense.run(simd, gradient, self.shape.pixels, Addend::NONE, to);
                // SAFETY: `combine_backward` wrote all of it.
                let dx = unsafe { dx.assume_init_mut() };
                for (to, from) in dx.chunks_exact_mut(LANES).zip(through_layers.chunks_exact(LANES)) {
                    simd.load(to).add(simd.load(from)).store(to);
                }
            }
        }
        let pending = self.op.combine.pending[..X].iter();
        let sums = pending.zip(sums).filter_map(|(pending, sums)| pending.map(|_| sums)).collect();
        LayerGradients { weight, sums }
    }
}

impl DenseBlock {
    /// Runs the backward pass of [`Combine`] for one of the images whose x, layer outputs and gradients are given. Writes every
    /// value of `layers`, the gradients of the layers' outputs, and of `dx`, the gradient of x past the layers.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn combine_backward<S: Simd>(
        &self,
        simd: S,
        shape: Shape,
        [x, saved, gradient]: [&[f32]; 3],
        image: usize,
        layers: &mut [f32],
        dx: &mut [MaybeUninit<f32>],
        sums: &mut [NormSums; 4],
    ) {
        let size = shape.image_len();
        let range = image * size..(image + 1) * size;
        let inputs = self.combine_inputs(&saved[image * layers.len()..][..layers.len()], &x[range.clone()]);
        let mut to: [Option<&mut [MaybeUninit<f32>]>; 4] = [None, None, None, None];
        // SAFETY: `layers` is initialized, and nothing but gradients is written to it.
        let mut layers = unsafe { as_uninit(layers) }.chunks_exact_mut(size);
        for (input, to) in inputs.iter().zip(&mut to).take(X) {
            *to = input.as_ref().and_then(|_| layers.next());
        }
        match &inputs[X] {
            Some(_) => to[X] = Some(dx),
            None => dx.fill(MaybeUninit::new(0.0)),
        }
        let (gradient, dims) = (&gradient[range], shape.image_dims());
        let op = &self.combine;
        combine::Backward { op, inputs: &inputs, dims, range: 0..size, gradient, to }.add(simd, sums);
    }
}

/// A group of images, and the gradients of their layers' outputs.
struct ImageGroup<'a> {
    /// x of all images.
    x: &'a [f32],
    /// Values of an image of x and of the layers.
    sizes: [usize; 2],
    /// The first image of the group.
    first: usize,
    gradient: Scratch,
}

impl ImagePairs for ImageGroup<'_> {
    fn pair(&self, image: usize) -> ((&[f32], Prologue<'_>), &[f32]) {
        let [x, layers] = self.sizes;
        let gradient = &self.gradient[(image - self.first) * layers..][..layers];
        ((&self.x[image * x..(image + 1) * x], Prologue::NONE), gradient)
    }
}
