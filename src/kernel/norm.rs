//! Normalization as a factor and an offset for every channel, and its gradient from two sums for every channel.

use super::conv::{channel_blocks, image_len};
use super::parallel::{Chunks, parallel_chunks};
use super::simd::{self, F32x16, LANES, Simd, SimdOp};
use super::tuning::COST_PER_VALUE;

/// ε, added to the variance. It is PyTorch's default.
pub(crate) const EPSILON: f64 = 1e-5;

/// `(x - mean) / sqrt(variance + ε)·scale + shift` of every channel. Arrays are padded to whole channel blocks.
pub(super) struct Norm {
    channels: usize,
    /// `scale / sqrt(variance + ε)`.
    factor: Vec<f32>,
    /// `shift - mean·factor`.
    offset: Vec<f32>,
    mean: Vec<f32>,
    /// `sqrt(variance + ε)`.
    deviation: Vec<f64>,
}

impl Norm {
    /// Returns the normalization with these arrays: scale, shift, mean and variance, `[channels]` each.
    pub(super) fn new([scale, shift, mean, variance]: [&[f32]; 4]) -> Self {
        let channels = scale.len();
        let padded = channel_blocks(channels) * LANES;
        let deviation: Vec<f64> = variance.iter().map(|&v| (f64::from(v) + EPSILON).sqrt()).collect();
        let zeros = || vec![0.0; padded];
        let mut norm = Self { channels, factor: zeros(), offset: zeros(), mean: zeros(), deviation };
        for c in 0..channels {
            let factor = f64::from(scale[c]) / norm.deviation[c];
            norm.factor[c] = factor as f32;
            norm.offset[c] = (f64::from(shift[c]) - f64::from(mean[c]) * factor) as f32;
            norm.mean[c] = mean[c];
        }
        norm
    }

    /// Returns factor and offset of every channel: the normalized value is `factor·x + offset`.
    pub(super) fn affine(&self) -> (&[f32], &[f32]) {
        (&self.factor, &self.offset)
    }

    /// Returns the mean of every channel.
    pub(super) fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Returns the gradients from these sums. `count` is the number of values of a channel if the statistics are those of
    /// the values themselves, or `None` if they are constants.
    pub(super) fn gradient(&self, sums: &NormSums, count: Option<usize>) -> NormGradient {
        let padded = self.factor.len();
        let mut gradient = NormGradient {
            scale: vec![0.0; self.channels],
            shift: vec![0.0; self.channels],
            coefficients: [self.factor.clone(), vec![0.0; padded], vec![0.0; padded]],
        };
        for c in 0..self.channels {
            let (total, weighted) = (sums.total[c], sums.weighted[c] / self.deviation[c]);
            gradient.scale[c] = weighted as f32;
            gradient.shift[c] = total as f32;
            if let Some(count) = count {
                let factor = f64::from(self.factor[c]) / count as f64;
                gradient.coefficients[1][c] = (-factor * weighted / self.deviation[c]) as f32;
                gradient.coefficients[2][c] = (-factor * total) as f32;
            }
        }
        gradient
    }
}

/// The gradients of a normalization.
pub(super) struct NormGradient {
    /// With respect to the scale, `[channels]`.
    pub scale: Vec<f32>,
    /// With respect to the shift, `[channels]`.
    pub shift: Vec<f32>,
    /// a, b and c of every channel in `dx = a·dz + b·(x - mean) + c`, where dz is the gradient with respect to the normalized
    /// values.
    coefficients: [Vec<f32>; 3],
}

impl NormGradient {
    /// Replaces the gradient with respect to the normalized values by that with respect to the values `x`. Both hold images of
    /// `shape`, `[channels, height, width]`, one after the other.
    pub(super) fn apply(&self, gradient: &mut [f32], x: &[f32], mean: &[f32], shape: [usize; 3]) {
        let (size, [_, height, width]) = (image_len(shape), shape);
        parallel_chunks(x.len() / size, size * COST_PER_VALUE, Chunks::new(gradient, size), |images, gradient| {
            simd::run(ApplyGradient {
                coefficients: &self.coefficients,
                mean,
                gradient: gradient.values,
                x: &x[images.start * size..images.end * size],
                pixels: height * width,
            });
        });
    }
}

/// [`NormGradient::apply`] to some images.
struct ApplyGradient<'a> {
    coefficients: &'a [Vec<f32>; 3],
    mean: &'a [f32],
    gradient: &'a mut [f32],
    x: &'a [f32],
    pixels: usize,
}

impl SimdOp for ApplyGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let [a, b, c] = self.coefficients;
        let blocks = a.len() / LANES;
        let rows = self.gradient.chunks_exact_mut(self.pixels * LANES).zip(self.x.chunks_exact(self.pixels * LANES));
        for (place, (gradient, x)) in rows.enumerate() {
            let channels = place % blocks * LANES..(place % blocks + 1) * LANES;
            let [a, b, c, mean] = [a, b, c, self.mean].map(|all| simd.load(&all[channels.clone()]));
            let c = c.sub(b.mul(mean));
            for (gradient, x) in gradient.chunks_exact_mut(LANES).zip(x.chunks_exact(LANES)) {
                c.mul_add(b, simd.load(x)).mul_add(a, simd.load(gradient)).store(gradient);
            }
        }
    }
}

/// `Σ dz` and `Σ dz·(x - mean)` of every channel, for the gradient of a normalization. Each image is summed in f32, and the
/// sums of the images in f64.
#[derive(Clone)]
pub(super) struct NormSums {
    total: Vec<f64>,
    weighted: Vec<f64>,
    /// The sums of the image under way: total, then weighted.
    image: Vec<f32>,
}

impl NormSums {
    /// Returns sums of zero.
    pub(super) fn new(channels: usize) -> Self {
        let padded = channel_blocks(channels) * LANES;
        Self { total: vec![0.0; padded], weighted: vec![0.0; padded], image: vec![0.0; 2 * padded] }
    }

    /// Adds the sums over some pixels of a channel block.
    #[inline(always)]
    pub(super) fn add<S: Simd>(&mut self, simd: S, block: usize, total: S::Vector, weighted: S::Vector) {
        let half = self.total.len();
        for (sum, start) in [(total, block * LANES), (weighted, half + block * LANES)] {
            let to = &mut self.image[start..start + LANES];
            simd.load(to).add(sum).store(to);
        }
    }

    /// Ends an image: adds its sums to those of all images.
    pub(super) fn end_image(&mut self) {
        let half = self.total.len();
        for (sum, value) in self.total.iter_mut().zip(&mut self.image[..half]) {
            *sum += f64::from(std::mem::take(value));
        }
        for (sum, value) in self.weighted.iter_mut().zip(&mut self.image[half..]) {
            *sum += f64::from(std::mem::take(value));
        }
    }

    /// Returns `Σ dz`, `[channels]`.
    pub(super) fn total(&self, channels: usize) -> Vec<f32> {
        self.total[..channels].iter().map(|&sum| sum as f32).collect()
    }

    /// Returns the sums over the images of all threads.
    pub(super) fn join(all: impl IntoIterator<Item = Self>) -> Self {
        let join = |mut one: Self, other: Self| {
            one.total.iter_mut().zip(&other.total).for_each(|(a, b)| *a += b);
            one.weighted.iter_mut().zip(&other.weighted).for_each(|(a, b)| *a += b);
            one
        };
        all.into_iter().reduce(join).expect("at least one thread")
    }
}
