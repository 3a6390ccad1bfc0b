//! Convolution as an operation of the engine. What waits on its input (normalization, ReLU) is done as the input is
//! read, and its gradient as the input's gradient is written: neither has a pass of its own.

mod backward;

pub(super) use backward::BACKWARD_GROUP;

use std::ops::Range;
use std::sync::Arc;

use super::conv::{Addend, Conv, ConvPlan, Images, PackedWeights, Prologue, Values, blocks, filled, image};
use super::norm::{Moments, Norm, prologue};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{SendPtr, parallel_chunks, uninit};
use super::simd::{Isa, LANES, Lanes, Work, dispatch};

/// Inputs: values `[images, blocks, height, width, 16]` or planes `[images, 3, height, width]`, weight (its values, `[out, in, size, size]`, in any shape), and
/// where there are such the bias `[out]`, the scale, shift, mean and variance of the normalization that waits, and a summand
/// of the output's shape. Outputs: values, and where they are asked for their mean and biased variance.
#[derive(Clone, Debug)]
pub(super) struct Convolve {
    pub conv: Conv,
    /// Whether the images are planes of colours.
    pub planes: bool,
    pub has_bias: bool,
    pub waits: PendingOps,
    pub statistics: bool,
    /// What waits on the summand.
    pub summand: Option<PendingOps>,
    pub prepared: Arc<PackedWeights>,
}

/// What waits on values until somebody reads them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PendingOps {
    pub norm: bool,
    /// Whether the normalization's statistics are those of these very values, so that its gradient knows of them.
    pub batch: bool,
    pub relu: bool,
}

impl PendingOps {
    /// The normalization, which the next four inputs describe.
    pub(super) fn take(self, inputs: &mut std::slice::Iter<TensorView>) -> Option<Norm> {
        self.norm.then(|| Norm::new(std::array::from_fn(|_| inputs.next().expect("an input").values)))
    }
}

impl Operation for Convolve {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let images = inputs[0].shape[0];
        let [channels, height, width] = self.conv.output;
        let mut y = uninit(images * image(self.conv.output));
        let moments = self.convolve(inputs, self.summand(inputs), &mut y);
        let mut outputs = vec![Output { values: y, shape: vec![images, blocks(channels), height, width, LANES] }];
        if self.statistics {
            let both = Moments::finish(moments, channels);
            outputs.extend(both.map(|values| Output { values, shape: vec![channels] }));
        }
        outputs
    }

    fn run_in_place(&self, inputs: &[TensorView], last: &mut [f32]) -> bool {
        let does = self.summand.is_some() && !self.statistics;
        if does {
            self.convolve(inputs, self.summand.map(|waits| Values { from: None, relu: waits.relu }), last);
        }
        does
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        self.back(inputs, gradient, wanted)
    }
}

impl Convolve {
    /// The output, and its moments where they are asked for.
    fn convolve(&self, inputs: &[TensorView], values: Option<Values>, y: &mut [f32]) -> Vec<Moments> {
        let (x, bias, norm) = self.inputs(inputs);
        let images = x.shape[0];
        let shared = SendPtr::new(y);
        let [channels, height, width] = self.conv.output;
        let by_blocks = self.is_shared_by_blocks(images);
        let (count, others) = if by_blocks { (blocks(channels), images) } else { (images, blocks(channels)) };
        parallel_chunks(count, self.conv.products() * images / count.max(1), |part| {
            let (images, blocks) = if by_blocks { (0..others, part) } else { (part, 0..others) };
            let way = if self.planes { ConvPlan::planes } else { ConvPlan::forward };
            let ready = &way(&self.conv, blocks.clone(), &self.prepared, inputs[1].values);
            let inner = Outputs {
                x: x.values,
                sizes: [x.values.len() / x.shape[0].max(1), image(self.conv.output)],
                blocks: [blocks.start, blocks.end].map(|block| block * height * width * LANES),
                prologue: prologue(norm.as_ref(), self.waits.relu),
                added: Addend { bias: bias.get(blocks.start * LANES..).unwrap_or(&[]), values },
                shared,
                pixels: self.statistics.then_some(height * width),
                moments: Moments::new(channels),
            };
            dispatch(Isa::best(), Forward { ready, images, inner })
        })
    }

    /// Whether threads share the blocks of the output and not the images: each then reads its own weights alone, but all
    /// of the input.
    fn is_shared_by_blocks(&self, images: usize) -> bool {
        let threads = rayon::current_num_threads();
        let fits = !self.statistics && blocks(self.conv.output[0]) >= threads;
        fits && (images < threads || self.conv.prepared() > 2 * images * image(self.conv.input))
    }

    /// Values, the bias with the channels that fill up the last block, and the normalization.
    fn inputs<'a>(&self, inputs: &[TensorView<'a>]) -> (TensorView<'a>, Vec<f32>, Option<Norm>) {
        let bias = if self.has_bias { filled(inputs[2].values) } else { Vec::new() };
        let norm = self.waits.take(&mut inputs[2 + usize::from(self.has_bias)..].iter());
        (inputs[0], bias, norm)
    }

    /// The summand, the last of the inputs.
    fn summand<'a>(&self, inputs: &[TensorView<'a>]) -> Option<Values<'a>> {
        self.summand.map(|waits| Values { from: inputs.last().map(|last| last.values), relu: waits.relu })
    }
}

struct Forward<'a> {
    ready: &'a ConvPlan<'a>,
    images: Range<usize>,
    inner: Outputs<'a>,
}

impl Work for Forward<'_> {
    type Output = Moments;

    #[inline(always)]
    fn run<L: Lanes>(mut self) -> Moments {
        self.ready.run::<L>(self.images, &mut self.inner);
        self.inner.moments
    }
}

/// The images on their way forward.
struct Outputs<'a> {
    x: &'a [f32],
    /// Values of an input and of an output.
    sizes: [usize; 2],
    /// From where to where the blocks that are computed lie in an output.
    blocks: [usize; 2],
    prologue: Prologue<'a>,
    /// To all images.
    added: Addend<'a>,
    shared: SendPtr,
    /// Pixels of an output whose moments are asked for.
    pixels: Option<usize>,
    moments: Moments,
}

impl<'a> Images for Outputs<'a> {
    fn input(&self, one: usize) -> (&[f32], Prologue<'_>) {
        (&self.x[one * self.sizes[0]..(one + 1) * self.sizes[0]], self.prologue)
    }

    fn output<'b>(&self, one: usize) -> &'b mut [f32] {
        let [start, end] = self.blocks.map(|place| one * self.sizes[1] + place);
        // SAFETY: every part has its own images, or its own blocks of all.
        unsafe { self.shared.part(start..end) }
    }

    fn added(&self, one: usize) -> Addend<'_> {
        let [start, end] = self.blocks.map(|place| one * self.sizes[1] + place);
        let one = |values: Values<'a>| Values { from: values.from.map(|from| &from[start..end]), ..values };
        Addend { values: self.added.values.map(one), ..self.added }
    }

    #[inline(always)]
    fn end<L: Lanes>(&mut self, _: usize, values: &mut [f32]) {
        if let Some(pixels) = self.pixels {
            self.moments.add::<L>(values, pixels);
        }
    }
}
