//! Against sums in f64, written down from the definition.

use super::*;
use crate::kernel::parallel::SendPtr;
use crate::kernel::simd::{Isa, Lanes, Work, dispatch};

/// Sums of products in f32, at most some thousands long, of values around 1: rounding grows with the root of the length.
const TOLERANCE: f64 = 1e-5;

fn draw(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Where each value of `[images, channels, height, width]` lies in blocks.
fn places([channels, height, width]: [usize; 3]) -> impl Iterator<Item = usize> {
    let (area, size) = (height * width, image([channels, height, width]));
    let one = move |p: usize| (p / area / LANES * area + p % area) * LANES + p / area % LANES;
    (0..IMAGES).flat_map(move |image| (0..channels * area).map(move |p| image * size + one(p)))
}

fn block(plain: &[f32], shape: [usize; 3]) -> Vec<f32> {
    let mut all = vec![0.0; IMAGES * image(shape)];
    places(shape).zip(plain).for_each(|(place, &value)| all[place] = value);
    all
}

fn unblock(all: &[f32], shape: [usize; 3]) -> Vec<f32> {
    places(shape).map(|place| all[place]).collect()
}

/// Two images, and what is added to their outputs: a bias, and values past a ReLU.
struct Case {
    conv: Conv,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
    bias: Vec<f32>,
    values: Vec<f32>,
}

const IMAGES: usize = 2;

impl Case {
    fn new(conv: Conv) -> Self {
        let all = |shape: [usize; 3]| IMAGES * shape.iter().product::<usize>();
        let [input, out] = [conv.input[0], conv.output[0]];
        let (x, w) = (draw(all(conv.input), 1), draw(out * input * conv.size * conv.size, 2));
        let [dy, values] = [3, 5].map(|seed| draw(all(conv.output), seed));
        Self { conv, x, w, dy, bias: draw(out, 4), values }
    }
}

/// Output, input gradient and weight gradient with some lanes, each the way that is chosen and the direct one. The output
/// is computed once more image by image and block by block, in the place of the values that are added.
struct Ours<'a>(&'a Case);

impl Work for Ours<'_> {
    type Output = Vec<(&'static str, Vec<f32>)>;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Self::Output {
        let Case { conv, x, w, dy, bias, values } = self.0;
        let prepared = PackedWeights::default();
        let packed = prepared.packed(conv, w);
        let (x, dy, values) = (block(x, conv.input), block(dy, conv.output), block(values, conv.output));
        let bias = filled(bias);
        let some = |from, to, sizes| Part { from, sizes, to, part: 0..sizes[1], added: Addend::NONE };
        let forward = [image(conv.input), image(conv.output)];
        let mut all = Vec::new();
        let whole = 0..blocks(conv.output[0]);
        let ready = [
            ConvPlan::forward(conv, whole.clone(), &prepared, w),
            ConvPlan::Direct(Direct { conv: *conv, weight: packed }),
        ];
        for ready in ready {
            let mut to = vec![f32::NAN; values.len()];
            let added = Addend { bias: &bias, values: Some(Values { from: Some(&values), relu: true }) };
            let mut images = Part { added, ..some(&x, SendPtr::new(&mut to), forward) };
            ready.run::<L>(0..IMAGES, &mut images);
            all.push(("output", unblock(&to, conv.output)));
        }
        let mut to = values.clone();
        let shared = SendPtr::new(&mut to);
        for (one, o) in (0..IMAGES).flat_map(|one| whole.clone().map(move |o| (one, o))) {
            let place = o * conv.output[1] * conv.output[2] * LANES;
            let part = place..place + conv.output[1] * conv.output[2] * LANES;
            let values = Some(Values { from: None, relu: true });
            let mut images =
                Part { part, added: Addend { bias: &bias[o * LANES..], values }, ..some(&x, shared, forward) };
            ConvPlan::forward(conv, o..o + 1, &prepared, w).run::<L>(one..one + 1, &mut images);
        }
        all.push(("output in parts", unblock(&to, conv.output)));
        if conv.input[0] == COLOURS {
            let mut to = vec![f32::NAN; values.len()];
            let added = Addend { bias: &bias, values: Some(Values { from: Some(&values), relu: true }) };
            let (plain, sizes) = (&self.0.x, [self.0.x.len() / IMAGES, forward[1]]);
            let mut images = Part { added, ..some(plain, SendPtr::new(&mut to), sizes) };
            ConvPlan::planes(conv, whole, &prepared, w).run::<L>(0..IMAGES, &mut images);
            all.push(("output of planes", unblock(&to, conv.output)));
        }
        for ready in [ConvPlan::back(conv, &prepared, w), ConvPlan::Back(InputGradient::new(conv, packed))] {
            let mut to = vec![f32::NAN; x.len()];
            let mut images = some(&dy, SendPtr::new(&mut to), [forward[1], forward[0]]);
            ready.run::<L>(0..IMAGES, &mut images);
            all.push(("dx", unblock(&to, conv.input)));
        }
        for mut sums in [WeightGradient::new(conv), WeightGradient::Direct(vec![0.0; conv.packed()])] {
            sums.run::<L>(conv, 0..IMAGES, &Both { x: &x, dy: &dy, sizes: forward });
            all.push(("dw", unpack(&sums.finish(), conv.output[0], conv.input[0], conv.size)));
        }
        all
    }
}

/// A part of some images.
struct Part<'a> {
    from: &'a [f32],
    /// Values of an image on its way in and out.
    sizes: [usize; 2],
    part: Range<usize>,
    added: Addend<'a>,
    to: SendPtr,
}

impl<'a> Images for Part<'a> {
    fn input(&self, one: usize) -> (&[f32], Prologue<'_>) {
        (&self.from[one * self.sizes[0]..(one + 1) * self.sizes[0]], Prologue::NONE)
    }

    fn output<'b>(&self, one: usize) -> &'b mut [f32] {
        let start = one * self.sizes[1];
        // SAFETY: nobody else looks at the values before the convolution ends.
        unsafe { self.to.part(start + self.part.start..start + self.part.end) }
    }

    fn added(&self, one: usize) -> Addend<'_> {
        let own = |from: &'a [f32]| &from[one * self.sizes[1]..(one + 1) * self.sizes[1]];
        Addend { values: self.added.values.map(|values| Values { from: values.from.map(own), ..values }), ..self.added }
    }

    #[inline(always)]
    fn end<L: Lanes>(&mut self, _: usize, _: &mut [f32]) {}
}

/// Inputs and gradients of outputs.
struct Both<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    sizes: [usize; 2],
}

impl Pairs for Both<'_> {
    fn pair(&self, one: usize) -> ((&[f32], Prologue<'_>), &[f32]) {
        let [x, dy] = self.sizes.map(|size| one * size..(one + 1) * size);
        ((&self.x[x], Prologue::NONE), &self.dy[dy])
    }
}

/// The same from the definition: output, dx and dw.
fn definition(Case { conv, x, w, dy, bias, values }: &Case) -> [Vec<f64>; 3] {
    let Conv { input: [channels, height, width], output: [out, rows, columns], size, stride, padding } = *conv;
    let mut all = [vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]];
    let pixels = || (0..rows).flat_map(|y| (0..columns).map(move |c| (y, c)));
    for (one, o, (y, column)) in (0..IMAGES * out).flat_map(|p| pixels().map(move |pixel| (p / out, p % out, pixel))) {
        let to = ((one * out + o) * rows + y) * columns + column;
        all[0][to] += f64::from(bias[o]) + f64::from(values[to].max(0.0));
        for (i, r, c) in (0..channels * size * size).map(|t| (t / size / size, t / size % size, t % size)) {
            let (at_y, at_x) = (y * stride + r, column * stride + c);
            if at_y < padding || at_x < padding || at_y >= height + padding || at_x >= width + padding {
                continue;
            }
            let from = ((one * channels + i) * height + at_y - padding) * width + at_x - padding;
            let weight = ((o * channels + i) * size + r) * size + c;
            all[0][to] += f64::from(x[from]) * f64::from(w[weight]);
            all[1][from] += f64::from(dy[to]) * f64::from(w[weight]);
            all[2][weight] += f64::from(dy[to]) * f64::from(x[from]);
        }
    }
    all
}

/// What is wrong with a convolution.
fn failures(conv: Conv) -> Vec<String> {
    let case = Case::new(conv);
    let expected = definition(&case);
    let mut failures = Vec::new();
    for isa in Isa::all() {
        let ours = dispatch(isa, Ours(&case));
        for (what, ours) in &ours {
            let expected = match *what {
                "dx" => &expected[1],
                "dw" => &expected[2],
                _ => &expected[0],
            };
            let scale = expected.iter().fold(1e-30, |m: f64, v| m.max(v.abs()));
            let error = ours.iter().zip(expected).map(|(&a, &b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
            if error.is_nan() || error > TOLERANCE * scale || ours.len() != expected.len() {
                failures.push(format!("{isa:?} {conv:?} {what}: {error:e} of {scale}"));
            }
        }
        // Whoever shares the work and however, the sums are the same.
        if ours[0].1 != ours[2].1 {
            failures.push(format!("{isa:?} {conv:?}: not the same in parts"));
        }
    }
    failures
}

fn check(all: impl Iterator<Item = Conv>) {
    let failures: Vec<String> = all.flat_map(failures).collect();
    assert!(failures.is_empty(), "{} wrong:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn all_products_are_those_of_the_definition() {
    let sides = [[1, 1], [3, 5], [7, 7], [8, 8], [16, 9], [17, 33]];
    let channels = [(3, 16), (3, 36), (16, 16), (16, 32), (20, 40), (48, 7)];
    let windows = [(3, 1, 1), (3, 2, 1), (1, 1, 0), (1, 2, 0), (5, 1, 2), (3, 1, 0), (7, 2, 3), (2, 2, 0), (3, 1, 2)];
    let all = sides
        .into_iter()
        .flat_map(|side| channels.into_iter().flat_map(move |c| windows.map(|window| (side, c, window))));
    let fits = all.filter(|([height, width], _, (size, _, padding))| height.min(width) + 2 * padding >= *size);
    check(fits.map(|([height, width], (input, out), (size, stride, padding))| {
        Conv::new([input, height, width], out, size, stride, padding)
    }));
}

/// So many that groups of patches share them, and that the channels of the input come panel by panel.
#[test]
fn many_weights_too() {
    let all = [(1, 1, 0, 530, 520), (1, 2, 0, 530, 520), (3, 2, 1, 180, 180), (3, 1, 1, 180, 100), (3, 1, 0, 90, 90)];
    check(
        all.into_iter().map(|(size, stride, padding, input, out)| Conv::new([input, 7, 9], out, size, stride, padding)),
    );
}
