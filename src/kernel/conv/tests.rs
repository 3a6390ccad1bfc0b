//! Against sums in f64, written down from the definition.

use super::*;
use crate::kernel::lanes::{Isa, Lanes, Work, dispatch};
use crate::kernel::parts::Shared;

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

/// `[channels, height, width]` to blocks and back.
fn block(plain: &[f32], [channels, height, width]: [usize; 3]) -> Vec<f32> {
    let mut all = vec![0.0; image([channels, height, width])];
    for (place, &value) in plain.iter().enumerate() {
        let (c, pixel) = (place / (height * width), place % (height * width));
        all[(c / LANES * height * width + pixel) * LANES + c % LANES] = value;
    }
    all
}

fn unblock(all: &[f32], [channels, height, width]: [usize; 3]) -> Vec<f32> {
    let area = height * width;
    (0..channels * area).map(|p| all[(p / area / LANES * area + p % area) * LANES + p / area % LANES]).collect()
}

struct Case {
    conv: Conv,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
}

/// Output, input gradient and weight gradient with some lanes, each the way that is chosen and the direct one.
struct Ours<'a>(&'a Case);

impl Work for Ours<'_> {
    type Output = Vec<(&'static str, Vec<f32>)>;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Self::Output {
        let Case { conv, x, w, dy } = self.0;
        let [c, ..] = conv.input;
        let prepared = Prepared::default();
        let packed = prepared.packed(conv, w);
        let mut one =
            One { x: block(x, conv.input), dy: block(dy, conv.output), to: vec![f32::NAN; image(conv.output)] };
        let mut all = Vec::new();
        for ready in [
            Ready::forward(conv, 0..blocks(conv.output[0]), &prepared, w),
            Ready::Direct(Direct { conv: *conv, weight: packed }),
        ] {
            let to = Shared::new(&mut one.to);
            ready.run::<L>(0..1, &mut Forward(&one, to));
            all.push(("output", unblock(&one.to, conv.output)));
        }
        one.to = vec![f32::NAN; image(conv.input)];
        for ready in [Ready::back(conv, &prepared, w), Ready::Back(InputGradient::new(conv, packed))] {
            let to = Shared::new(&mut one.to);
            ready.run::<L>(0..1, &mut Back(&one, to));
            all.push(("dx", unblock(&one.to, conv.input)));
        }
        for mut sums in [WeightGradient::new(conv), WeightGradient::Direct(vec![0.0; conv.packed()])] {
            sums.run::<L>(conv, 0..1, &one);
            all.push(("dw", unpack(&sums.finish(), conv.output[0], c, conv.size)));
        }
        all
    }
}

/// One image.
struct One {
    x: Vec<f32>,
    dy: Vec<f32>,
    to: Vec<f32>,
}

struct Forward<'a>(&'a One, Shared);
struct Back<'a>(&'a One, Shared);

impl Pairs for One {
    fn pair(&self, _: usize) -> ((&[f32], Prologue<'_>), &[f32]) {
        ((&self.x, Prologue::NONE), &self.dy)
    }
}

macro_rules! images {
    ($name:ident, $from:ident) => {
        impl Images for $name<'_> {
            fn input(&self, _: usize) -> (&[f32], Prologue<'_>) {
                (&self.0.$from, Prologue::NONE)
            }
            fn output<'b>(&self, _: usize) -> &'b mut [f32] {
                // SAFETY: nobody else looks at the values before the convolution ends.
                unsafe { self.1.part(0..self.0.to.len()) }
            }
            #[inline(always)]
            fn end<L: Lanes>(&mut self, _: usize, _: &mut [f32]) {}
        }
    };
}
images!(Forward, x);
images!(Back, dy);

/// The same from the definition.
fn definition(Case { conv, x, w, dy }: &Case) -> [Vec<f64>; 3] {
    let Conv { input: [channels, height, width], output: [out, rows, columns], size, stride, padding } = *conv;
    let mut all = [vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]];
    for o in 0..out {
        for (y, column) in (0..rows).flat_map(|y| (0..columns).map(move |c| (y, c))) {
            let to = (o * rows + y) * columns + column;
            for i in 0..channels {
                for (r, c) in (0..size).flat_map(|r| (0..size).map(move |c| (r, c))) {
                    let (at_y, at_x) = (y * stride + r, column * stride + c);
                    if at_y < padding || at_x < padding || at_y >= height + padding || at_x >= width + padding {
                        continue;
                    }
                    let from = (i * height + at_y - padding) * width + at_x - padding;
                    let weight = ((o * channels + i) * size + r) * size + c;
                    all[0][to] += f64::from(x[from]) * f64::from(w[weight]);
                    all[1][from] += f64::from(dy[to]) * f64::from(w[weight]);
                    all[2][weight] += f64::from(dy[to]) * f64::from(x[from]);
                }
            }
        }
    }
    all
}

#[test]
fn all_products_are_those_of_the_definition() {
    let mut failures = Vec::new();
    let sides = [[1, 1], [3, 5], [7, 7], [8, 8], [16, 9], [17, 33]];
    let channels = [(3, 16), (16, 16), (16, 32), (20, 40), (48, 7)];
    let windows = [(3, 1, 1), (3, 2, 1), (1, 1, 0), (1, 2, 0), (5, 1, 2), (3, 1, 0), (7, 2, 3), (2, 2, 0), (3, 1, 2)];
    for ([height, width], (input, out), (size, stride, padding)) in
        sides.into_iter().flat_map(|s| channels.into_iter().flat_map(move |c| windows.map(|w| (s, c, w))))
    {
        if height.min(width) + 2 * padding < size {
            continue;
        }
        let conv = Conv::new([input, height, width], out, size, stride, padding);
        let count = |[c, h, w]: [usize; 3]| c * h * w;
        let case = Case {
            x: draw(count(conv.input), 1),
            w: draw(out * input * size * size, 2),
            dy: draw(count(conv.output), 3),
            conv,
        };
        let expected = definition(&case);
        for isa in Isa::all() {
            let ours = dispatch(isa, Ours(&case));
            for (place, (what, ours)) in ours.iter().enumerate() {
                let expected = &expected[place / 2];
                let scale = expected.iter().fold(1e-30, |m: f64, v| m.max(v.abs()));
                let error = ours.iter().zip(expected).map(|(&a, &b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
                if error.is_nan() || error > TOLERANCE * scale || ours.len() != expected.len() {
                    failures.push(format!("{isa:?} {conv:?} {what}: {error:e} of {scale}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} wrong:\n{}", failures.len(), failures.join("\n"));
}
