//! Softmax regression onto distributions: a convex problem with one solution.

use burn::tensor::{Device, Tensor, TensorData, activation};

use crate::nn::tensor_to_vec;

/// Weight of the squared norm of the weights, on whitened features. Much less overfits a thousand samples.
const RIDGE: f64 = 1e-2;
/// Added to the diagonal of the features' covariance, relative to its mean: directions in which the features hardly
/// vary are not blown up, which a few hundred samples would overfit. On a ResNet-20 this is better than a hundredth or
/// less of it at 150, 400 and 2,000 samples.
const FLOOR: f64 = 3e-2;
/// Bound of the curvature of the loss in whitened features: the softmax's own is at most 1/2.
const CURVATURE: f64 = 0.5 + RIDGE;
/// Steps of accelerated descent. Each shrinks the distance by `1 - sqrt(RIDGE / CURVATURE)`, all together to 1e-9.
pub(super) const STEPS: usize = 150;

/// Features, whitened: centred and with unit covariance.
pub(super) struct Whitened {
    mean: Vec<f32>,
    /// `[features, features]`: whitens centred features.
    whitening: Tensor<2>,
    /// `[n, features]`: those that it was made of.
    values: Tensor<2>,
}

/// `logits = x·W + b` of whitened features.
pub(super) struct Softmax {
    weight: Tensor<2>,
    bias: Tensor<2>,
}

impl Whitened {
    /// Of features `[n, width]`, row-major.
    pub(super) fn new(values: &[f32], width: usize) -> Self {
        let mean = column_means(values, width);
        let centred = tensor(&subtract(values, &mean), width);
        let n = (values.len() / width) as f64;
        let covariance = centred.clone().transpose().matmul(centred.clone()).div_scalar(n);
        let whitening = tensor(&whitening(&tensor_to_vec(covariance), width), width);
        Self { mean, values: centred.matmul(whitening.clone()), whitening }
    }

    /// Others, whitened as these were.
    pub(super) fn others(&self, values: &[f32]) -> Tensor<2> {
        tensor(&subtract(values, &self.mean), self.mean.len()).matmul(self.whitening.clone())
    }
}

impl Softmax {
    /// Minimizes the mean cross-entropy to target distributions `[n, classes]`, row-major, from features.
    pub(super) fn fit(features: &Whitened, targets: &[f32], classes: usize) -> Self {
        let x = &features.values;
        let [n, width] = x.dims();
        let y = tensor(targets, classes);
        let device = Device::flex();
        let mut weight = Tensor::<2>::zeros([width, classes], &device);
        let mut bias = Tensor::<2>::zeros([1, classes], &device);
        let (mut ahead, mut bias_ahead) = (weight.clone(), bias.clone());
        let root = (RIDGE / CURVATURE).sqrt();
        let momentum = (1.0 - root) / (1.0 + root);
        let transposed = x.clone().transpose();
        for _ in 0..STEPS {
            let logits = x.clone().matmul(ahead.clone()) + bias_ahead.clone();
            let apart = (activation::softmax(logits, 1) - y.clone()).div_scalar(n as f64);
            let gradient = transposed.clone().matmul(apart.clone()) + ahead.clone().mul_scalar(RIDGE);
            let next = ahead - gradient.div_scalar(CURVATURE);
            let next_bias = bias_ahead - apart.sum_dim(0).div_scalar(CURVATURE);
            ahead = next.clone() + (next.clone() - weight).mul_scalar(momentum);
            bias_ahead = next_bias.clone() + (next_bias.clone() - bias).mul_scalar(momentum);
            (weight, bias) = (next, next_bias);
        }
        Self { weight, bias }
    }

    /// The logits `[n, classes]` for whitened features `[n, width]`.
    pub(super) fn logits(&self, x: &Tensor<2>) -> Vec<f32> {
        tensor_to_vec(x.clone().matmul(self.weight.clone()) + self.bias.clone())
    }
}

fn tensor(values: &[f32], width: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / width, width]), &Device::flex())
}

fn column_means(values: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; width];
    values.chunks_exact(width).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v)));
    let n = (values.len() / width) as f64;
    sums.iter().map(|sum| (sum / n) as f32).collect()
}

fn subtract(values: &[f32], mean: &[f32]) -> Vec<f32> {
    values.chunks_exact(mean.len()).flat_map(|row| row.iter().zip(mean).map(|(v, m)| v - m)).collect()
}

/// `L^-T` of the Cholesky factor `L` of a covariance, row-major: `x·L^-T` has unit covariance.
fn whitening(covariance: &[f32], width: usize) -> Vec<f32> {
    let at = |i: usize, j: usize| i * width + j;
    let mean = (0..width).map(|i| f64::from(covariance[at(i, i)])).sum::<f64>() / width as f64;
    // A covariance of nothing but zeros leaves zeros, whatever it is multiplied with.
    let floor = if mean > 0.0 { FLOOR * mean } else { 1.0 };
    let mut lower = vec![0.0_f64; width * width];
    for i in 0..width {
        for j in 0..=i {
            let rest = f64::from(covariance[at(i, j)]) - dot(&lower[at(i, 0)..at(i, j)], &lower[at(j, 0)..at(j, j)]);
            lower[at(i, j)] = if i == j { (rest + floor).max(floor).sqrt() } else { rest / lower[at(j, j)] };
        }
    }
    // The columns of L^-1 by forward substitution; row-major L^-T holds them as rows.
    let mut inverse = vec![0.0_f64; width * width];
    for column in 0..width {
        for i in column..width {
            let unit = if i == column { 1.0 } else { 0.0 };
            let known = dot(&lower[at(i, column)..at(i, i)], &inverse[at(column, column)..at(column, i)]);
            inverse[at(column, i)] = (unit - known) / lower[at(i, i)];
        }
    }
    inverse.iter().map(|&v| v as f32).collect()
}

/// In eight sums side by side: one alone would wait for itself.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (ones, others) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = ones.remainder().iter().zip(others.remainder()).map(|(a, b)| a * b).sum();
    for (ones, others) in ones.zip(others) {
        for ((sum, a), b) in sums.iter_mut().zip(ones).zip(others) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So wide that all sums side by side are used, with numbers whose products no sum rounds.
    #[test]
    fn a_dot_product_is_that_of_its_definition() {
        for width in [0, 7, 8, 21] {
            let a: Vec<f64> = (0..width).map(|i| f64::from(i * i)).collect();
            let b: Vec<f64> = (0..width).map(|i| f64::from(3 - i)).collect();
            let expected: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert_eq!(dot(&a, &b), expected, "{width}");
        }
    }

    #[test]
    fn whitened_features_have_unit_covariance() {
        let covariance = [4.0, 1.0, 1.0, 1.0];
        let w: Vec<f64> = whitening(&covariance, 2).iter().map(|&v| f64::from(v)).collect();
        let floor = FLOOR * 2.5;
        let raised = [4.0 + floor, 1.0, 1.0, 1.0 + floor];
        let mut product = [0.0; 4];
        for (i, j, k, l) in (0..16).map(|n| (n & 1, n >> 1 & 1, n >> 2 & 1, n >> 3)) {
            product[i * 2 + j] += w[k * 2 + i] * raised[k * 2 + l] * w[l * 2 + j];
        }
        for (found, expected) in product.iter().zip([1.0, 0.0, 0.0, 1.0]) {
            assert!((found - expected).abs() < 1e-6, "{product:?}");
        }
    }

    /// Two classes along one of two features, with a gap between them; the other feature is constant.
    #[test]
    fn the_solution_is_stationary_and_tells_the_classes_apart() {
        let place = |i: i32| (i as f32 - 19.5) / 10.0 + if i < 20 { -1.0 } else { 1.0 };
        let values: Vec<f32> = (0..40).flat_map(|i| [place(i), 7.0]).collect();
        let targets: Vec<f32> = (0..40).flat_map(|i| if i < 20 { [0.9, 0.1] } else { [0.2, 0.8] }).collect();
        let features = Whitened::new(&values, 2);
        let fitted = Softmax::fit(&features, &targets, 2);
        let logits = fitted.logits(&features.others(&values));
        let right = logits.chunks_exact(2).enumerate().filter(|(i, row)| (row[0] > row[1]) == (*i < 20)).count();
        assert_eq!(right, 40);
        // Of the bias, which no ridge holds back: the mean of the answers is the mean of the targets.
        let first: f64 = logits.chunks_exact(2).map(|row| 1.0 / (1.0 + f64::from(row[1] - row[0]).exp())).sum();
        assert!((first / 40.0 - 0.55).abs() < 1e-5, "{}", first / 40.0);
    }
}
