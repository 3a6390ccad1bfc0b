//! `t·h + c·x` where h, t and c are dense layers of the one x: a whole block of dense layers as one operation.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::combine::{self, Combine, CombineInput};
use super::conv::{
    Addend, Conv, Dense, PackedWeights, Pairs, Prologue, WeightGradient, blocks, filled, transpose, unpack,
};
use super::convolve::{BACKWARD_GROUP, PendingOps};
use super::norm::{NormSums, lanes, put};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{SendPtr, parallel_chunks, uninit};
use super::simd::{Isa, LANES, Lanes, Work, dispatch};

/// Inputs: x, `[images, blocks, 1, pixels, 16]`, and of each layer, in the order h, t and c, the weight (its values, `[units,
/// units]`) and the bias `[units]`.
#[derive(Debug)]
pub(super) struct DenseBlock {
    mix: Combine,
    /// The weights of each layer.
    prepared: Vec<Arc<PackedWeights>>,
    /// What the layers gave, before ReLU and sigmoid: of an image all of h, then all of t, then all of c.
    saved: OnceLock<Vec<f32>>,
}

/// Where x stands among the operands; h, t and c come before it.
const X: usize = 3;

impl DenseBlock {
    /// `mix` says which layers there are; on x nothing may wait.
    pub(super) fn new(mix: Combine, prepared: Vec<Arc<PackedWeights>>) -> Self {
        Self { mix, prepared, saved: OnceLock::new() }
    }

    fn layers(&self) -> usize {
        self.prepared.len()
    }

    /// The weights of each layer as the kernels read them.
    fn packed(&self, conv: &Conv, inputs: &[TensorView]) -> Vec<&[f32]> {
        let layers = self.prepared.iter().zip(inputs[1..].chunks_exact(2));
        layers.map(|(prepared, input)| prepared.packed(conv, input[0].values)).collect()
    }

    /// One image's operands of the sum.
    fn operands<'a>(&self, layers: &'a [f32], x: &'a [f32]) -> [Option<CombineInput<'a>>; 4] {
        let mut layers = layers.chunks_exact(x.len());
        std::array::from_fn(|i| {
            let waits: PendingOps = self.mix.operands[i]?;
            let values = if i == X { x } else { layers.next().expect("a layer") };
            Some(CombineInput { values, waits, norm: None, place: 0 })
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

    /// Values of an image.
    fn size(self) -> usize {
        blocks(self.units) * self.pixels * LANES
    }

    fn dims(self) -> [usize; 5] {
        [1, blocks(self.units), 1, self.pixels, LANES]
    }

    /// As many layers as one: each fills whole blocks.
    fn joined(self, layers: usize) -> Conv {
        Conv::new([self.units, 1, self.pixels], layers * blocks(self.units) * LANES, 1, 1, 0)
    }
}

impl Operation for DenseBlock {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let x = inputs[0];
        let shape = Shape::new(self.mix.channels, &x);
        let (size, layers) = (shape.size(), self.layers());
        let conv = Conv::new([shape.units, 1, shape.pixels], shape.units, 1, 1, 0);
        let packed = self.packed(&conv, inputs);
        let biases: Vec<Vec<f32>> = inputs[1..].chunks_exact(2).map(|layer| filled(layer[1].values)).collect();
        let (mut y, mut saved) = (uninit(x.values.len()), uninit(layers * x.values.len()));
        let shared = [SendPtr::new(&mut y), SendPtr::new(&mut saved)];
        parallel_chunks(shape.images, layers * conv.products(), |images| {
            // SAFETY: every part has its own images.
            let [y, saved] =
                unsafe { [(1, shared[0]), (layers, shared[1])].map(|(n, all)| all.part(part(&images, n * size))) };
            let x = &x.values[part(&images, size)];
            dispatch(Isa::best(), Forward { op: self, shape, packed: &packed, biases: &biases, x, saved, y });
        });
        self.saved.get_or_init(|| saved);
        vec![Output { values: y, shape: x.shape.to_vec() }]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let x = inputs[0];
        let shape = Shape::new(self.mix.channels, &x);
        let (size, layers, units) = (shape.size(), self.layers(), shape.units);
        let conv = shape.joined(layers);
        let turned = transpose(&self.packed(&conv, inputs).concat(), layers * blocks(units), blocks(units), 1);
        let saved = self.saved.get().expect("forward came before");
        let mut dx = uninit(x.values.len());
        let shared = SendPtr::new(&mut dx);
        let found = parallel_chunks(shape.images, 2 * conv.products(), |images| {
            // SAFETY: every part has its own images.
            let dx = unsafe { shared.part(part(&images, size)) };
            let (x, gradient) = (&x.values[part(&images, size)], &gradient.values[part(&images, size)]);
            let saved = &saved[part(&images, layers * size)];
            dispatch(Isa::best(), Backward { op: self, shape, conv: &conv, turned: &turned, x, saved, gradient, dx })
        });
        let join = |mut one: PartialGradients, other: PartialGradients| {
            one.weight.join(other.weight);
            let sums = one.sums.into_iter().zip(other.sums);
            PartialGradients { weight: one.weight, sums: sums.map(|(a, b)| NormSums::join([a, b])).collect() }
        };
        let all = found.into_iter().reduce(join).expect("a part");
        let weights = all.weight.finish();
        let mut outputs = vec![Output { values: dx, shape: x.shape.to_vec() }];
        for (k, (weight, sums)) in weights.chunks_exact(weights.len() / layers).zip(&all.sums).enumerate() {
            let shape = inputs[1 + 2 * k].shape.to_vec();
            outputs.push(Output { values: unpack(weight, units, units, 1), shape });
            outputs.push(Output { values: sums.total(units), shape: vec![units] });
        }
        let mut wanted = wanted.iter();
        outputs.retain(|_| *wanted.next().expect("as many inputs"));
        outputs
    }
}

/// The values of some images.
fn part(images: &Range<usize>, size: usize) -> Range<usize> {
    images.start * size..images.end * size
}

/// Some images on their way forward.
struct Forward<'a> {
    op: &'a DenseBlock,
    shape: Shape,
    packed: &'a [&'a [f32]],
    biases: &'a [Vec<f32>],
    x: &'a [f32],
    saved: &'a mut [f32],
    y: &'a mut [f32],
}

impl Work for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let (size, pixels, units) = (self.shape.size(), self.shape.pixels, self.shape.units);
        let mut room = vec![0.0; size + Dense::SLACK];
        let images = self.x.chunks_exact(size).zip(self.saved.chunks_exact_mut(self.op.layers() * size));
        for ((x, saved), y) in images.zip(self.y.chunks_exact_mut(size)) {
            room[..size].copy_from_slice(x);
            for ((weight, bias), to) in self.packed.iter().zip(self.biases).zip(saved.chunks_exact_mut(size)) {
                Dense { input: units, output: blocks(units), weight }.run::<L>(&room, pixels, Addend::bias(bias), to);
            }
            let operands = self.op.operands(saved, x);
            let (op, dims) = (&self.op.mix, self.shape.dims());
            combine::Forward { op, operands: &operands, dims, range: 0..size, to: y }.run::<L>();
        }
    }
}

/// Some images on their way back.
struct Backward<'a> {
    op: &'a DenseBlock,
    shape: Shape,
    /// All layers as one.
    conv: &'a Conv,
    /// Their weights, turned round.
    turned: &'a [f32],
    x: &'a [f32],
    saved: &'a [f32],
    gradient: &'a [f32],
    dx: &'a mut [f32],
}

/// What a part of the images adds to the gradients.
struct PartialGradients {
    weight: WeightGradient,
    /// Of what each layer gave.
    sums: Vec<NormSums>,
}

impl Work for Backward<'_> {
    type Output = PartialGradients;

    #[inline(always)]
    fn run<L: Lanes>(self) -> PartialGradients {
        let (size, layers) = (self.shape.size(), self.op.layers());
        let count = self.x.len() / size;
        let mut gradient = uninit(BACKWARD_GROUP.min(count) * layers * size + Dense::SLACK);
        gradient.iter_mut().rev().take(Dense::SLACK).for_each(|value| *value = 0.0);
        let mut few = ImageGroup { x: self.x, sizes: [size, layers * size], first: 0, gradient };
        let mut back = uninit(size);
        let filled = blocks(self.shape.units);
        let dense = Dense { input: layers * filled * LANES, output: filled, weight: self.turned };
        let (mut weight, mut sums) = (WeightGradient::new(self.conv), self.op.mix.no_sums());
        // A few images at a time: their gradients stay in the cache from the sum to the input.
        for (group, dx) in self.dx.chunks_mut(BACKWARD_GROUP * size).enumerate() {
            few.first = group * BACKWARD_GROUP;
            for (place, dx) in dx.chunks_exact_mut(size).enumerate() {
                let to = &mut few.gradient[place * layers * size..][..layers * size];
                self.op.back::<L>(
                    self.shape,
                    [self.x, self.saved, self.gradient],
                    few.first + place,
                    to,
                    dx,
                    &mut sums,
                );
            }
            weight.run::<L>(self.conv, few.first..few.first + dx.len() / size, &few);
            for (place, dx) in dx.chunks_exact_mut(size).enumerate() {
                dense.run::<L>(&few.gradient[place * layers * size..], self.shape.pixels, Addend::NONE, &mut back);
                for (to, from) in dx.chunks_exact_mut(LANES).zip(back.chunks_exact(LANES)) {
                    put(lanes::<L>(to).add(lanes(from)), to);
                }
            }
        }
        let operands = self.op.mix.operands[..X].iter();
        let sums = operands.zip(sums).filter_map(|(operand, sums)| operand.map(|_| sums)).collect();
        PartialGradients { weight, sums }
    }
}

impl DenseBlock {
    /// Back through the sum of one of the images with these x, values of the layers and gradients: to what the layers
    /// gave, and to x.
    #[inline(always)]
    fn back<L: Lanes>(
        &self,
        shape: Shape,
        [x, saved, gradient]: [&[f32]; 3],
        one: usize,
        layers: &mut [f32],
        dx: &mut [f32],
        sums: &mut [NormSums; 4],
    ) {
        let size = shape.size();
        let range = one * size..(one + 1) * size;
        let operands = self.operands(&saved[one * layers.len()..][..layers.len()], &x[range.clone()]);
        let mut to: [Option<&mut [f32]>; 4] = [None, None, None, None];
        let mut layers = layers.chunks_exact_mut(size);
        for (operand, to) in operands.iter().zip(&mut to).take(X) {
            *to = operand.as_ref().and_then(|_| layers.next());
        }
        match &operands[X] {
            Some(_) => to[X] = Some(dx),
            None => dx.fill(0.0),
        }
        let (gradient, dims) = (&gradient[range], shape.dims());
        combine::Backward { op: &self.mix, operands: &operands, dims, range: 0..size, gradient, to }.add::<L>(sums);
    }
}

/// The images, and of a few of them the gradients of what the layers gave.
struct ImageGroup<'a> {
    x: &'a [f32],
    /// Values of an image of x and of the layers.
    sizes: [usize; 2],
    first: usize,
    gradient: Vec<f32>,
}

impl Pairs for ImageGroup<'_> {
    fn pair(&self, one: usize) -> ((&[f32], Prologue<'_>), &[f32]) {
        let [x, layers] = self.sizes;
        let gradient = &self.gradient[(one - self.first) * layers..][..layers];
        ((&self.x[one * x..(one + 1) * x], Prologue::NONE), gradient)
    }
}
