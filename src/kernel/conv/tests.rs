//! All convolution algorithms on all instruction sets, against sums in f64 that are written down from the definition.

use super::*;
use crate::kernel::simd::{InstructionSet, SimdOp};

/// Sums of products in f32, of values around 1 and at most some thousands long. Rounding grows with the root of the length.
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

/// Returns where each value of `[images, channels, height, width]` is in the blocked layout.
fn places([channels, height, width]: [usize; 3]) -> impl Iterator<Item = usize> {
    let (area, size) = (height * width, image_len([channels, height, width]));
    let one = move |p: usize| (p / area / LANES * area + p % area) * LANES + p / area % LANES;
    (0..IMAGES).flat_map(move |image| (0..channels * area).map(move |p| image * size + one(p)))
}

fn block(plain: &[f32], shape: [usize; 3]) -> Vec<f32> {
    let mut all = vec![0.0; IMAGES * image_len(shape)];
    places(shape).zip(plain).for_each(|(place, &value)| all[place] = value);
    all
}

fn unblock(all: &[f32], shape: [usize; 3]) -> Vec<f32> {
    places(shape).map(|place| all[place]).collect()
}

/// The arrays of a convolution of two images: input, weights, gradient of the output, bias, and a residual with a pending ReLU.
struct Case {
    conv: Conv,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
    bias: Vec<f32>,
    residual: Vec<f32>,
}

const IMAGES: usize = 2;

impl Case {
    fn new(conv: Conv) -> Self {
        let all = |shape: [usize; 3]| IMAGES * shape.iter().product::<usize>();
        let [input, out] = [conv.input[0], conv.output[0]];
        let (x, w) = (draw(all(conv.input), 1), draw(out * input * conv.size * conv.size, 2));
        let [dy, residual] = [3, 5].map(|seed| draw(all(conv.output), seed));
        Self { conv, x, w, dy, bias: draw(out, 4), residual }
    }
}

/// Output, input gradient and weight gradient, each by the algorithm that is chosen and by the direct one. The output is
/// computed once more image by image and channel block by channel block, with the residual in place.
struct AllAlgorithms<'a>(&'a Case);

impl SimdOp for AllAlgorithms<'_> {
    type Output = Vec<(&'static str, Vec<f32>)>;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> Self::Output {
        let Case { conv, x: plain_x, w, dy, bias, residual } = self.0;
        let weights = PackedWeights::default();
        let packed = weights.direct(conv, w);
        let (x, dy) = (block(plain_x, conv.input), block(dy, conv.output));
        let (residual, bias) = (block(residual, conv.output), pad_channels(bias));
        let [x_size, y_size] = [image_len(conv.input), image_len(conv.output)];
        let addend = Addend { bias: &bias, residual: Some(Residual::new(&residual, true)) };
        let all_blocks = 0..channel_blocks(conv.output[0]);
        let mut all = Vec::new();
        let direct = ConvPlan::Direct(Direct { conv: *conv, weight: packed });
        for plan in [ConvPlan::forward(conv, all_blocks.clone(), &weights, w), direct] {
            let mut io = TestImages::new(&x, [x_size, y_size], addend);
            plan.run(simd, 0..IMAGES, &mut io);
            all.push(("output", unblock(&io.finish(), conv.output)));
        }
        let area = conv.output[1] * conv.output[2] * LANES;
        let mut in_place = residual.clone();
        for (place, to) in in_place.chunks_exact_mut(area).enumerate() {
            let (image, block) = (place / all_blocks.len(), place % all_blocks.len());
            // SAFETY: the output of the images begins as the initialized residual.
            let residual = Some(unsafe { Residual::in_place(true) });
            let addend = Addend { bias: &bias[block * LANES..], residual };
            let mut io = TestImages::new(&x, [x_size, y_size], addend);
            io.outputs[image] = to.iter().map(|&value| MaybeUninit::new(value)).collect();
            ConvPlan::forward(conv, block..block + 1, &weights, w).run(simd, image..image + 1, &mut io);
            to.copy_from_slice(&initialized(&io.outputs[image]));
        }
        all.push(("output in parts", unblock(&in_place, conv.output)));
        if conv.input[0] == COLORS {
            let mut io = TestImages::new(plain_x, [plain_x.len() / IMAGES, y_size], addend);
            ConvPlan::planes(conv, all_blocks, &weights, w).run(simd, 0..IMAGES, &mut io);
            all.push(("output of planes", unblock(&io.finish(), conv.output)));
        }
        let direct = ConvPlan::InputGradient(InputGradient::new(conv, packed));
        for plan in [ConvPlan::input_gradient(conv, &weights, w), direct] {
            let mut io = TestImages::new(&dy, [y_size, x_size], Addend::NONE);
            plan.run(simd, 0..IMAGES, &mut io);
            all.push(("dx", unblock(&io.finish(), conv.input)));
        }
        for mut sums in [WeightGradient::new(conv), WeightGradient::Direct(vec![0.0; conv.packed_len()])] {
            sums.add(simd, conv, 0..IMAGES, &Pairs { x: &x, dy: &dy, sizes: [x_size, y_size] });
            all.push(("dw", unpack(&sums.finish(), conv.output[0], conv.input[0], conv.size)));
        }
        all
    }
}

/// Images whose outputs are NaN until they are written.
struct TestImages<'a> {
    from: &'a [f32],
    /// Values of an image of the input and of the output.
    sizes: [usize; 2],
    addend: Addend<'a>,
    outputs: Vec<Vec<MaybeUninit<f32>>>,
}

impl<'a> TestImages<'a> {
    fn new(from: &'a [f32], sizes: [usize; 2], addend: Addend<'a>) -> Self {
        Self { from, sizes, addend, outputs: vec![vec![MaybeUninit::new(f32::NAN); sizes[1]]; IMAGES] }
    }

    fn finish(self) -> Vec<f32> {
        self.outputs.iter().flat_map(|output| initialized(output)).collect()
    }
}

fn initialized(output: &[MaybeUninit<f32>]) -> Vec<f32> {
    // SAFETY: outputs begin with initialized values.
    output.iter().map(|value| unsafe { value.assume_init() }).collect()
}

impl Images for TestImages<'_> {
    fn input(&self, image: usize) -> (&[f32], Prologue<'_>) {
        (&self.from[image * self.sizes[0]..(image + 1) * self.sizes[0]], Prologue::NONE)
    }

    fn output(&mut self, image: usize) -> (&mut [MaybeUninit<f32>], Addend<'_>) {
        let range = image * self.sizes[1]..(image + 1) * self.sizes[1];
        let residual = self.addend.residual.map(|residual| residual.slice(range));
        (&mut self.outputs[image], Addend { residual, ..self.addend })
    }
}

/// Inputs and gradients of outputs.
struct Pairs<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    sizes: [usize; 2],
}

impl ImagePairs for Pairs<'_> {
    fn pair(&self, image: usize) -> ((&[f32], Prologue<'_>), &[f32]) {
        let [x, dy] = self.sizes.map(|size| image * size..(image + 1) * size);
        ((&self.x[x], Prologue::NONE), &self.dy[dy])
    }
}

/// Returns output, dx and dw from the definition.
fn definition(Case { conv, x, w, dy, bias, residual }: &Case) -> [Vec<f64>; 3] {
    let Conv { input: [channels, height, width], output: [out, rows, columns], size, stride, padding } = *conv;
    let mut all = [vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]];
    let pixels = || (0..rows).flat_map(|y| (0..columns).map(move |c| (y, c)));
    for (image, o, (y, column)) in (0..IMAGES * out).flat_map(|p| pixels().map(move |pixel| (p / out, p % out, pixel)))
    {
        let to = ((image * out + o) * rows + y) * columns + column;
        all[0][to] += f64::from(bias[o]) + f64::from(residual[to].max(0.0));
        for (i, r, c) in (0..channels * size * size).map(|t| (t / size / size, t / size % size, t % size)) {
            let (at_y, at_x) = (y * stride + r, column * stride + c);
            if at_y < padding || at_x < padding || at_y >= height + padding || at_x >= width + padding {
                continue;
            }
            let from = ((image * channels + i) * height + at_y - padding) * width + at_x - padding;
            let weight = ((o * channels + i) * size + r) * size + c;
            all[0][to] += f64::from(x[from]) * f64::from(w[weight]);
            all[1][from] += f64::from(dy[to]) * f64::from(w[weight]);
            all[2][weight] += f64::from(dy[to]) * f64::from(x[from]);
        }
    }
    all
}

/// Returns a line for everything that is wrong with a convolution.
fn failures(conv: Conv) -> Vec<String> {
    let case = Case::new(conv);
    let expected = definition(&case);
    let mut failures = Vec::new();
    for set in InstructionSet::available() {
        let found = set.run(AllAlgorithms(&case));
        for (what, found) in &found {
            let expected = match *what {
                "dx" => &expected[1],
                "dw" => &expected[2],
                _ => &expected[0],
            };
            let scale = expected.iter().fold(1e-30, |m: f64, v| m.max(v.abs()));
            let error = found.iter().zip(expected).map(|(&a, &b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
            if error.is_nan() || error > TOLERANCE * scale || found.len() != expected.len() {
                failures.push(format!("{set:?} {conv:?} {what}: {error:e} of {scale}"));
            }
        }
        // However the work is shared, the sums are the same.
        if found[0].1 != found[2].1 {
            failures.push(format!("{set:?} {conv:?}: not the same in parts"));
        }
    }
    failures
}

fn check(all: impl Iterator<Item = Conv>) {
    let failures: Vec<String> = all.flat_map(failures).collect();
    assert!(failures.is_empty(), "{} wrong:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn all_algorithms_agree_with_the_definition() {
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

/// So many weights that groups of patches share them, and that the channels of the input are added panel by panel.
#[test]
fn layers_with_many_weights_agree_too() {
    let all = [(1, 1, 0, 530, 520), (1, 2, 0, 530, 520), (3, 2, 1, 180, 180), (3, 1, 1, 180, 100), (3, 1, 0, 90, 90)];
    check(
        all.into_iter().map(|(size, stride, padding, input, out)| Conv::new([input, 7, 9], out, size, stride, padding)),
    );
}
