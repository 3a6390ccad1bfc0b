//! `relu(t·h + c·x)` in one pass, with all that waits on its operands: the end of every block, whatever its wiring.

use std::ops::Range;

use super::conv::image;
use super::convolve::PendingOps;
use super::norm::{Norm, NormSums, lanes, put};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{SendPtr, VALUE, parallel_chunks, uninit};
use super::simd::{Isa, LANES, Lanes, Work, dispatch};

/// What the carried operand is weighted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry<Gate = ()> {
    /// 1.
    Identity,
    /// `1 - t`.
    OneMinusTransform,
    /// The sigmoid of this.
    Gate(Gate),
}

impl<Gate> Carry<Gate> {
    /// What is left when the gate is taken out.
    pub(super) fn split(self) -> (Carry, Option<Gate>) {
        match self {
            Self::Identity => (Carry::Identity, None),
            Self::OneMinusTransform => (Carry::OneMinusTransform, None),
            Self::Gate(gate) => (Carry::Gate(()), Some(gate)),
        }
    }
}

/// Inputs, each where it takes part and followed by the four of the normalization that waits on it: `h`, what `t` and
/// `c` are the sigmoids of, and `x`; all of one shape `[images, blocks, height, width, 16]`.
#[derive(Clone, Debug)]
pub(super) struct Combine {
    /// Of h, t, c and x.
    pub operands: [Option<PendingOps>; 4],
    pub carry: Carry,
    pub relu: bool,
    /// Channels that are no filling.
    pub channels: usize,
}

const H: usize = 0;
const T: usize = 1;
const C: usize = 2;
const X: usize = 3;

/// One operand.
pub(super) struct CombineInput<'a> {
    pub values: &'a [f32],
    pub waits: PendingOps,
    pub norm: Option<Norm>,
    /// Place among the inputs.
    pub place: usize,
}

impl Combine {
    fn operands<'a>(&self, inputs: &[TensorView<'a>]) -> [Option<CombineInput<'a>>; 4] {
        let mut left = inputs.iter();
        self.operands.map(|waits| {
            let waits = waits?;
            let place = inputs.len() - left.len();
            let values = left.next().expect("an input").values;
            Some(CombineInput { values, waits, norm: waits.take(&mut left), place })
        })
    }

    fn shape(&self, [_, _, height, width, _]: [usize; 5]) -> [usize; 3] {
        [self.channels, height, width]
    }
}

impl Operation for Combine {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let operands = self.operands(inputs);
        let dims: [usize; 5] = inputs[0].shape.try_into().expect("five dimensions");
        let mut values = uninit(inputs[0].values.len());
        let shared = SendPtr::new(&mut values);
        let size = image(self.shape(dims));
        parallel_chunks(dims[0], size * VALUE, |images| {
            let range = images.start * size..images.end * size;
            // SAFETY: every part has its own images.
            let to = unsafe { shared.part(range.clone()) };
            dispatch(Isa::best(), Forward { op: self, operands: &operands, dims, range, to });
        });
        vec![Output { values, shape: dims.to_vec() }]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let operands = self.operands(inputs);
        let dims: [usize; 5] = inputs[0].shape.try_into().expect("five dimensions");
        let shape = self.shape(dims);
        let size = image(shape);
        // A normalization's parameters are wanted with its values or not at all.
        let wants =
            |operand: &CombineInput| wanted[operand.place] || operand.norm.is_some() && wanted[operand.place + 1];
        let mut found: [Option<Vec<f32>>; 4] =
            std::array::from_fn(|i| operands[i].as_ref().filter(|o| wants(o)).map(|o| uninit(o.values.len())));
        let shared = found.each_mut().map(|values| values.as_mut().map(|values| SendPtr::new(values)));
        let sums = parallel_chunks(dims[0], size * VALUE, |images| {
            let range = images.start * size..images.end * size;
            // SAFETY: every part has its own images.
            let to = shared.map(|shared| shared.map(|all| unsafe { all.part(range.clone()) }));
            let gradient = &gradient.values[range.clone()];
            dispatch(Isa::best(), Backward { op: self, operands: &operands, dims, range, gradient, to })
        });
        let mut sums: Vec<_> = sums.into_iter().map(|part| part.into_iter()).collect();
        let mut outputs: Vec<Option<Output>> = (0..inputs.len()).map(|_| None).collect();
        for (operand, found) in operands.iter().zip(&mut found) {
            let sums = NormSums::join(sums.iter_mut().map(|part| part.next().expect("four")));
            let (Some(operand), Some(mut values)) = (operand, found.take()) else { continue };
            if let Some(norm) = &operand.norm {
                let count = operand.waits.batch.then_some(dims[0] * dims[2] * dims[3]);
                let gradient = norm.gradient(&sums, count);
                gradient.materialize(&mut values, operand.values, norm.mean(), shape);
                for (i, values) in [gradient.scale, gradient.shift].into_iter().enumerate() {
                    outputs[operand.place + 1 + i] = Some(Output { values, shape: vec![self.channels] });
                }
            }
            outputs[operand.place] = Some(Output { values, shape: dims.to_vec() });
        }
        let wanted = outputs.into_iter().zip(wanted).filter(|(_, wanted)| **wanted);
        wanted.map(|(output, _)| output.expect("a gradient")).collect()
    }
}

/// An operand's values for some pixels of a block.
#[derive(Clone, Copy)]
struct Row<'a, L> {
    values: &'a [f32],
    factor: L,
    summand: L,
    least: L,
    mean: L,
}

impl<'a, L: Lanes> Row<'a, L> {
    #[inline(always)]
    fn new(operand: &CombineInput<'a>, block: usize, start: usize, count: usize) -> Self {
        let mut row = Self {
            values: &operand.values[start..start + count],
            factor: L::splat(1.0),
            summand: L::splat(0.0),
            least: L::splat(if operand.waits.relu { 0.0 } else { f32::NEG_INFINITY }),
            mean: L::splat(0.0),
        };
        if let Some(norm) = &operand.norm {
            let (factor, summand) = norm.affine();
            (row.factor, row.summand) = (lanes(&factor[block * LANES..]), lanes(&summand[block * LANES..]));
            row.mean = lanes(&norm.mean()[block * LANES..]);
        }
        row
    }

    #[inline(always)]
    fn raw(&self, pixel: usize) -> L {
        // SAFETY: `new` cut as many values as there are pixels.
        unsafe { L::load(self.values.as_ptr().add(pixel * LANES)) }
    }

    /// Normalized, before the ReLU.
    #[inline(always)]
    fn normal(&self, raw: L) -> L {
        self.summand.mul_add(self.factor, raw)
    }
}

/// For some of the values.
pub(super) struct Forward<'a> {
    pub op: &'a Combine,
    pub operands: &'a [Option<CombineInput<'a>>; 4],
    pub dims: [usize; 5],
    pub range: Range<usize>,
    pub to: &'a mut [f32],
}

/// Everything that a pixel's new value is made of.
struct Pixel<L> {
    raw: [L; 4],
    /// After normalization, before ReLU or sigmoid.
    normal: [L; 4],
    value: [L; 4],
    /// `t·h + c·x`.
    sum: L,
}

impl<L: Lanes> Pixel<L> {
    #[inline(always)]
    fn new(op: &Combine, rows: &[Option<Row<L>>; 4], pixel: usize) -> Self {
        let one = L::splat(1.0);
        let mut all = Self { raw: [one; 4], normal: [one; 4], value: [one; 4], sum: one };
        for i in [H, T, C, X] {
            if let Some(row) = &rows[i] {
                all.raw[i] = row.raw(pixel);
                all.normal[i] = row.normal(all.raw[i]);
                all.value[i] = if i == H || i == X { row.least.max(all.normal[i]) } else { all.normal[i].sigmoid() };
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

impl Work for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let [_, blocks, height, width, _] = self.dims;
        let count = height * width * LANES;
        let least = L::splat(if self.op.relu { 0.0 } else { f32::NEG_INFINITY });
        for (place, to) in self.to.chunks_exact_mut(count).enumerate() {
            let start = self.range.start + place * count;
            let mut rows: [Option<Row<L>>; 4] = [None; 4];
            for i in [H, T, C, X] {
                rows[i] = self.operands[i].as_ref().map(|o| Row::new(o, place % blocks, start, count));
            }
            for (pixel, to) in to.chunks_exact_mut(LANES).enumerate() {
                put(least.max(Pixel::new(self.op, &rows, pixel).sum), to);
            }
        }
    }
}

/// For some of the values.
pub(super) struct Backward<'a> {
    pub op: &'a Combine,
    pub operands: &'a [Option<CombineInput<'a>>; 4],
    pub dims: [usize; 5],
    pub range: Range<usize>,
    pub gradient: &'a [f32],
    pub to: [Option<&'a mut [f32]>; 4],
}

impl Work for Backward<'_> {
    type Output = [NormSums; 4];

    #[inline(always)]
    fn run<L: Lanes>(self) -> [NormSums; 4] {
        let mut sums = self.op.no_sums();
        self.add::<L>(&mut sums);
        sums
    }
}

impl Combine {
    /// What [`Backward::add`] adds to.
    pub(super) fn no_sums(&self) -> [NormSums; 4] {
        std::array::from_fn(|_| NormSums::new(self.channels))
    }
}

impl Backward<'_> {
    /// Writes the gradients and adds their sums.
    #[inline(always)]
    pub(super) fn add<L: Lanes>(mut self, all: &mut [NormSums; 4]) {
        let [_, blocks, height, width, _] = self.dims;
        let count = height * width * LANES;
        let one = L::splat(1.0);
        for (place, gradients) in self.gradient.chunks_exact(count).enumerate() {
            let (start, block) = (self.range.start + place * count, place % blocks);
            let mut rows: [Option<Row<L>>; 4] = [None; 4];
            for i in [H, T, C, X] {
                rows[i] = self.operands[i].as_ref().map(|o| Row::new(o, block, start, count));
            }
            let mut sums = [[L::splat(0.0); 2]; 4];
            for (pixel, gradient) in gradients.chunks_exact(LANES).enumerate() {
                let all = Pixel::new(self.op, &rows, pixel);
                let mut gradient = lanes::<L>(gradient);
                if self.op.relu {
                    gradient = gradient.where_positive(all.sum);
                }
                let [h, t, c, x] = all.value;
                let by_sum = [
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
                        let mut own = gradient.mul(by_sum[i]);
                        if i == T || i == C {
                            own = own.mul(all.value[i].mul(one.sub(all.value[i])));
                        } else if self.operands[i].as_ref().is_some_and(|o| o.waits.relu) {
                            own = own.where_positive(all.normal[i]);
                        }
                        let [total, along] = sums[i];
                        sums[i] = [total.add(own), along.mul_add(own, all.raw[i].sub(row.mean))];
                        put(own, &mut to[place * count + pixel * LANES..]);
                    }
                }
            }
            for (all, [total, along]) in all.iter_mut().zip(sums) {
                all.add(block, total, along);
                if block + 1 == blocks {
                    all.end_image();
                }
            }
        }
    }
}
