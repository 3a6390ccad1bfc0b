//! Mean and variance of every channel over a batch.

use super::conv::{channel_blocks, image_len};
use super::operation::{Operation, Output, TensorView};
use super::parallel::parallel;
use super::simd::{self, F32x16, LANES, Simd, SimdOp};
use super::tuning::COST_PER_VALUE;

/// The statistics of values that no convolution has just computed.
///
/// Input: values `[images, channel blocks, height, width, 16]`. Outputs: mean and biased variance, `[channels]` each.
#[derive(Clone, Debug)]
pub(super) struct BatchStatistics {
    pub channels: usize,
}

impl Operation for BatchStatistics {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let [_, _, height, width, _] = *inputs[0].shape else { unreachable!("five dimensions") };
        let shape = [self.channels, height, width];
        let (x, size) = (inputs[0].values, image_len(shape));
        let moments = parallel(x.len() / size, size * COST_PER_VALUE, |images| {
            simd::run(ImageMoments { x: &x[images.start * size..images.end * size], shape })
        });
        Moments::finish(moments, self.channels).map(|values| Output { values, shape: vec![self.channels] }).into()
    }

    fn backward(&self, _: &[TensorView], _: TensorView, _: &[bool]) -> Vec<Output> {
        unreachable!("the gradient of a normalization includes that of its statistics")
    }
}

/// The moments of some images of a shape.
struct ImageMoments<'a> {
    x: &'a [f32],
    /// `[channels, height, width]`.
    shape: [usize; 3],
}

impl SimdOp for ImageMoments<'_> {
    type Output = Moments;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> Moments {
        let mut moments = Moments::new(self.shape[0]);
        for image in self.x.chunks_exact(image_len(self.shape)) {
            moments.add(simd, image, self.shape[1] * self.shape[2]);
        }
        moments
    }
}

/// Mean and sum of squared deviations of every channel, updated image by image.
#[derive(Clone)]
pub(super) struct Moments {
    /// Values of a channel so far.
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// Returns the moments of no values.
    pub(super) fn new(channels: usize) -> Self {
        let padded = channel_blocks(channels) * LANES;
        Self { count: 0.0, mean: vec![0.0; padded], squares: vec![0.0; padded] }
    }

    /// Adds an image. Its mean is computed first and then the deviations from it, so that no digits cancel.
    #[inline(always)]
    pub(super) fn add<S: Simd>(&mut self, simd: S, image: &[f32], pixels: usize) {
        let count = self.count;
        for (block, values) in image.chunks_exact(pixels * LANES).enumerate() {
            let mean = sum(simd, values, |x| x).mul(simd.splat(1.0 / pixels as f32));
            let squares = sum(simd, values, |x| x.sub(mean).mul(x.sub(mean)));
            let (means, squares) = (mean.to_array(), squares.to_array());
            for (lane, (&mean, &squares)) in means.iter().zip(&squares).enumerate() {
                let c = block * LANES + lane;
                self.merge(c, count, pixels as f64, f64::from(mean), f64::from(squares));
            }
        }
        self.count += pixels as f64;
    }

    /// Merges the moments of `count` values into those of `before` values of a channel, by the formula of Chan, Golub and
    /// LeVeque (1979).
    fn merge(&mut self, c: usize, before: f64, count: f64, mean: f64, squares: f64) {
        let step = mean - self.mean[c];
        self.mean[c] += step * count / (before + count);
        self.squares[c] += squares + step * step * before * count / (before + count);
    }

    fn join(mut self, other: Self) -> Self {
        if other.count > 0.0 {
            for c in 0..self.mean.len() {
                self.merge(c, self.count, other.count, other.mean[c], other.squares[c]);
            }
            self.count += other.count;
        }
        self
    }

    /// Returns mean and biased variance of every channel from the moments of all threads.
    pub(super) fn finish(all: impl IntoIterator<Item = Self>, channels: usize) -> [Vec<f32>; 2] {
        let all = all.into_iter().reduce(Self::join).expect("at least one thread");
        let mean = all.mean[..channels].iter().map(|&m| m as f32).collect();
        [mean, all.squares[..channels].iter().map(|s| (s / all.count) as f32).collect()]
    }
}

/// Returns the sum of `f` of all pixels, in four independent chains of additions.
#[inline(always)]
fn sum<S: Simd>(simd: S, values: &[f32], f: impl Fn(S::Vector) -> S::Vector) -> S::Vector {
    let mut sums = [simd.splat(0.0); 4];
    let mut four = values.chunks_exact(4 * LANES);
    for chunk in &mut four {
        for (sum, x) in sums.iter_mut().zip(chunk.chunks_exact(LANES)) {
            *sum = sum.add(f(simd.load(x)));
        }
    }
    for (sum, x) in sums.iter_mut().zip(four.remainder().chunks_exact(LANES)) {
        *sum = sum.add(f(simd.load(x)));
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3]))
}
