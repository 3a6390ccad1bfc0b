//! Normalization over a batch, as a factor and a summand for every channel; its gradient, as two sums.

use std::ops::Range;

use super::conv::{Prologue, blocks, image};
use super::parallel::{SendPtr, VALUE, parallel_chunks};
use super::simd::{Isa, LANES, Lanes, Work, dispatch};

/// Added to the variance, PyTorch's default.
pub(crate) const EPSILON: f64 = 1e-5;

/// `(x - mean) / sqrt(variance + ε)·scale + shift` for every channel, with the channels that fill up the last block.
pub(super) struct Norm {
    channels: usize,
    /// `scale / sqrt(variance + ε)`.
    factor: Vec<f32>,
    /// `shift - mean·factor`.
    summand: Vec<f32>,
    mean: Vec<f32>,
    deviation: Vec<f64>,
}

impl Norm {
    pub(super) fn new([scale, shift, mean, variance]: [&[f32]; 4]) -> Self {
        let channels = scale.len();
        let all = blocks(channels) * LANES;
        let deviation: Vec<f64> = variance.iter().map(|&v| (f64::from(v) + EPSILON).sqrt()).collect();
        let mut norm =
            Self { channels, factor: vec![0.0; all], summand: vec![0.0; all], mean: vec![0.0; all], deviation };
        for c in 0..channels {
            let factor = f64::from(scale[c]) / norm.deviation[c];
            norm.factor[c] = factor as f32;
            norm.summand[c] = (f64::from(shift[c]) - f64::from(mean[c]) * factor) as f32;
            norm.mean[c] = mean[c];
        }
        norm
    }

    pub(super) fn affine(&self) -> (&[f32], &[f32]) {
        (&self.factor, &self.summand)
    }

    pub(super) fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The gradients of scale and shift, and what turns the gradient of the normalized values into that of the others:
    /// `dx = a·dz + b·(x - mean) + c`. `count` values of every channel made up the statistics, or none where they are
    /// those of a training long past.
    pub(super) fn gradient(&self, sums: &NormSums, count: Option<usize>) -> NormGradient {
        let all = self.factor.len();
        let mut gradient = NormGradient {
            scale: vec![0.0; self.channels],
            shift: vec![0.0; self.channels],
            way: [self.factor.clone(), vec![0.0; all], vec![0.0; all]],
        };
        for c in 0..self.channels {
            let (total, along) = (sums.total[c], sums.along[c] / self.deviation[c]);
            gradient.scale[c] = along as f32;
            gradient.shift[c] = total as f32;
            if let Some(count) = count {
                let factor = f64::from(self.factor[c]) / count as f64;
                gradient.way[1][c] = (-factor * along / self.deviation[c]) as f32;
                gradient.way[2][c] = (-factor * total) as f32;
            }
        }
        gradient
    }
}

/// What [`Norm::gradient`] finds.
pub(super) struct NormGradient {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    way: [Vec<f32>; 3],
}

impl NormGradient {
    /// Turns the gradients of normalized values, images one behind the other, into those of the values.
    pub(super) fn materialize(&self, gradient: &mut [f32], x: &[f32], mean: &[f32], shape: [usize; 3]) {
        let size = image(shape);
        let shared = SendPtr::new(gradient);
        parallel_chunks(x.len() / size, size * VALUE, |images| {
            let range = images.start * size..images.end * size;
            // SAFETY: every part has its own images.
            let gradient = unsafe { shared.part(range.clone()) };
            let [_, height, width] = shape;
            dispatch(Isa::best(), Materialize { way: &self.way, mean, gradient, x: &x[range], pixels: height * width });
        });
    }
}

struct Materialize<'a> {
    way: &'a [Vec<f32>; 3],
    mean: &'a [f32],
    gradient: &'a mut [f32],
    x: &'a [f32],
    pixels: usize,
}

impl Work for Materialize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let [a, b, c] = self.way;
        let blocks = a.len() / LANES;
        let rows = self.gradient.chunks_exact_mut(self.pixels * LANES).zip(self.x.chunks_exact(self.pixels * LANES));
        for (place, (gradient, x)) in rows.enumerate() {
            let channels = place % blocks * LANES..(place % blocks + 1) * LANES;
            let [a, b, c, mean] = [a, b, c, self.mean].map(|all| lanes::<L>(&all[channels.clone()]));
            let c = c.sub(b.mul(mean));
            for (gradient, x) in gradient.chunks_exact_mut(LANES).zip(x.chunks_exact(LANES)) {
                put(c.mul_add(b, lanes(x)).mul_add(a, lanes(gradient)), gradient);
            }
        }
    }
}

/// The first sixteen values.
#[inline(always)]
pub(super) fn lanes<L: Lanes>(from: &[f32]) -> L {
    assert!(from.len() >= LANES);
    // SAFETY: they are there.
    unsafe { L::load(from.as_ptr()) }
}

/// Replaces the first sixteen values.
#[inline(always)]
pub(super) fn put<L: Lanes>(value: L, to: &mut [f32]) {
    assert!(to.len() >= LANES);
    // SAFETY: they are there.
    unsafe { value.store(to.as_mut_ptr()) }
}

/// Sixteen values of a row, zeros where it ends before.
#[inline(always)]
pub(super) fn take<L: Lanes>(row: &[f32], range: Range<usize>) -> L {
    if range.len() == LANES {
        return lanes(&row[range]);
    }
    let mut all = [0.0; LANES];
    all[..range.len()].copy_from_slice(&row[range]);
    lanes(&all)
}

/// The other way.
#[inline(always)]
pub(super) fn give<L: Lanes>(value: L, row: &mut [f32], range: Range<usize>) {
    if range.len() == LANES {
        return put(value, &mut row[range]);
    }
    let mut all = [0.0; LANES];
    put(value, &mut all);
    let count = range.len();
    row[range].copy_from_slice(&all[..count]);
}

/// `Σ dz` and `Σ dz·(x - mean)` for every channel.
#[derive(Clone)]
pub(super) struct NormSums {
    total: Vec<f64>,
    along: Vec<f64>,
    image: Vec<f32>,
}

impl NormSums {
    pub(super) fn new(channels: usize) -> Self {
        let all = blocks(channels) * LANES;
        Self { total: vec![0.0; all], along: vec![0.0; all], image: vec![0.0; 2 * all] }
    }

    /// Adds what a row of a block sums up to.
    #[inline(always)]
    pub(super) fn add<L: Lanes>(&mut self, block: usize, total: L, along: L) {
        let half = self.total.len();
        for (sum, start) in [(total, block * LANES), (along, half + block * LANES)] {
            let to = &mut self.image[start..start + LANES];
            put(lanes::<L>(to).add(sum), to);
        }
    }

    /// Ends an image: its sums in f32 join those in f64.
    pub(super) fn end_image(&mut self) {
        let half = self.total.len();
        for (sum, value) in self.total.iter_mut().zip(&mut self.image[..half]) {
            *sum += f64::from(std::mem::take(value));
        }
        for (sum, value) in self.along.iter_mut().zip(&mut self.image[half..]) {
            *sum += f64::from(std::mem::take(value));
        }
    }

    /// `Σ dz`, of what is no filling.
    pub(super) fn total(&self, channels: usize) -> Vec<f32> {
        self.total[..channels].iter().map(|&sum| sum as f32).collect()
    }

    /// The sums of all parts.
    pub(super) fn join(all: impl IntoIterator<Item = Self>) -> Self {
        let join = |mut one: Self, other: Self| {
            one.total.iter_mut().zip(&other.total).for_each(|(a, b)| *a += b);
            one.along.iter_mut().zip(&other.along).for_each(|(a, b)| *a += b);
            one
        };
        all.into_iter().reduce(join).expect("a part")
    }
}

/// Mean and summed squared deviation of every channel, as images pass.
#[derive(Clone)]
pub(super) struct Moments {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    pub(super) fn new(channels: usize) -> Self {
        let all = blocks(channels) * LANES;
        Self { count: 0.0, mean: vec![0.0; all], squares: vec![0.0; all] }
    }

    /// Adds an image: its mean first, then the deviations from it, so that nothing cancels.
    #[inline(always)]
    pub(super) fn add<L: Lanes>(&mut self, image: &[f32], pixels: usize) {
        let count = self.count;
        for (block, values) in image.chunks_exact(pixels * LANES).enumerate() {
            let mean = sum::<L>(values, |x| x).mul(L::splat(1.0 / pixels as f32));
            let squares = sum::<L>(values, |x| x.sub(mean).mul(x.sub(mean)));
            let (mut means, mut all) = ([0.0; LANES], [0.0; LANES]);
            put(mean, &mut means);
            put(squares, &mut all);
            for (lane, (&mean, &squares)) in means.iter().zip(&all).enumerate() {
                let c = block * LANES + lane;
                self.one(c, count, pixels as f64, f64::from(mean), f64::from(squares));
            }
        }
        self.count += pixels as f64;
    }

    /// Chan's rule for one channel.
    fn one(&mut self, c: usize, have: f64, count: f64, mean: f64, squares: f64) {
        let step = mean - self.mean[c];
        self.mean[c] += step * count / (have + count);
        self.squares[c] += squares + step * step * have * count / (have + count);
    }

    fn join(mut self, other: Self) -> Self {
        if other.count > 0.0 {
            for c in 0..self.mean.len() {
                self.one(c, self.count, other.count, other.mean[c], other.squares[c]);
            }
            self.count += other.count;
        }
        self
    }

    /// Mean and biased variance of every channel, from those of all parts.
    pub(super) fn finish(all: impl IntoIterator<Item = Self>, channels: usize) -> [Vec<f32>; 2] {
        let all = all.into_iter().reduce(Self::join).expect("a part");
        let mean = all.mean[..channels].iter().map(|&m| m as f32).collect();
        [mean, all.squares[..channels].iter().map(|s| (s / all.count) as f32).collect()]
    }
}

/// The sum over all pixels, in four chains.
#[inline(always)]
fn sum<L: Lanes>(values: &[f32], f: impl Fn(L) -> L) -> L {
    let mut sums = [L::splat(0.0); 4];
    let mut four = values.chunks_exact(4 * LANES);
    for chunk in &mut four {
        for (sum, x) in sums.iter_mut().zip(chunk.chunks_exact(LANES)) {
            *sum = sum.add(f(lanes(x)));
        }
    }
    for (sum, x) in sums.iter_mut().zip(four.remainder().chunks_exact(LANES)) {
        *sum = sum.add(f(lanes(x)));
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3]))
}

/// Mean and biased variance of every channel.
pub(super) fn statistics(x: &[f32], shape: [usize; 3]) -> [Vec<f32>; 2] {
    let size = image(shape);
    let each =
        |images: Range<usize>| dispatch(Isa::best(), Measure { x: &x[images.start * size..images.end * size], shape });
    Moments::finish(parallel_chunks(x.len() / size, size * VALUE, each), shape[0])
}

struct Measure<'a> {
    x: &'a [f32],
    shape: [usize; 3],
}

impl Work for Measure<'_> {
    type Output = Moments;

    #[inline(always)]
    fn run<L: Lanes>(self) -> Moments {
        let mut moments = Moments::new(self.shape[0]);
        for one in self.x.chunks_exact(image(self.shape)) {
            moments.add::<L>(one, self.shape[1] * self.shape[2]);
        }
        moments
    }
}

/// A normalization that waits for whoever reads the values next, and the ReLU after it.
pub(super) fn prologue(norm: Option<&Norm>, relu: bool) -> Prologue<'_> {
    Prologue { affine: norm.map(Norm::affine), relu }
}
