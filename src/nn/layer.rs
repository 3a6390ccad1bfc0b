//! Layers: a weighted sum, dense or convolutional, and batch normalization.

use burn::tensor::{Tensor, module, ops::ConvOptions};

use super::{Id, Pass};

/// How the initial values of a weight are drawn; `fan_in` and `fan_out` are the summands of an output and the uses of an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Normal with variance `2 / fan_in`, times a factor on the deviation (He et al. 2015): for what a ReLU follows.
    He(f64),
    /// Normal with variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010): for what a sigmoid follows.
    Glorot,
    /// Uniform in `±1/sqrt(fan_in)`: for the classifier, as PyTorch does.
    Uniform,
}

/// The window of a convolution or pooling: square, with equal padding on all sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Side, in pixels.
    pub size: usize,
    /// Step between windows, in pixels.
    pub stride: usize,
    /// Pixels added on each side.
    pub padding: usize,
}

impl Window {
    /// A window that keeps height and width where the stride is 1.
    pub fn same(size: usize, stride: usize) -> Self {
        Self { size, stride, padding: size / 2 }
    }

    /// The side of the output for a side of the input; `None` where the window does not fit.
    pub fn output(&self, side: usize) -> Option<usize> {
        let room = (side + 2 * self.padding).checked_sub(self.size)?;
        Some(room / self.stride + 1)
    }
}

/// A weighted sum of its inputs: dense over all of them, or a convolution.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(crate) weight: Id,
    pub(crate) bias: Option<Id>,
    /// Absent in a dense layer.
    pub(crate) window: Option<Window>,
    /// Channels in and out, for the outline.
    pub(crate) channels: [usize; 2],
}

impl Layer {
    /// `[batch, in, height, width]` to `[batch, out, height', width']`; a dense layer takes every unit of a sample and gives `[batch, out, 1, 1]`.
    pub fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.map(|id| pass.parameters.tensor::<1>(id));
        match self.window {
            Some(_) => self.convolve(x, pass.parameters.tensor(self.weight), bias),
            None => self.weigh(x, pass.parameters.tensor(self.weight), bias),
        }
    }

    /// The layer and the normalization that follows it. A pass that does not train folds them into one layer with
    /// `W·f` and `(b - mean)·f + shift`, `f = scale / sqrt(variance + ε)`: one pass less over the activations.
    pub(crate) fn normalized(&self, pass: &mut Pass, x: Tensor<4>, norm: &Norm) -> Tensor<4> {
        if pass.is_training() {
            let y = self.forward(pass, x);
            return norm.forward(pass, y);
        }
        let get = |id| pass.parameters.tensor::<1>(id);
        let factor = get(norm.scale) / (get(norm.variance) + EPSILON).sqrt();
        let centre = match self.bias {
            Some(bias) => get(bias) - get(norm.mean),
            None => -get(norm.mean),
        };
        let bias = Some(centre * factor.clone() + get(norm.shift));
        let out = self.channels[1];
        match self.window {
            Some(_) => {
                let weight: Tensor<4> = pass.parameters.tensor(self.weight);
                self.convolve(x, weight * factor.reshape([out, 1, 1, 1]), bias)
            }
            None => {
                let weight: Tensor<2> = pass.parameters.tensor(self.weight);
                self.weigh(x, weight * factor.reshape([out, 1]), bias)
            }
        }
    }

    fn convolve(&self, x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
        let (stride, padding) = self.window.map_or((1, 0), |w| (w.stride, w.padding));
        module::conv2d(x, weight, bias, ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1))
    }

    fn weigh(&self, x: Tensor<4>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let y = x.reshape([batch, channels * height * width]).matmul(weight.transpose());
        let y = match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        };
        y.reshape([batch, self.channels[1], 1, 1])
    }

    /// Such as `3x3 16` or `dense 50`.
    pub fn describe(&self) -> String {
        match self.window {
            Some(w) if w.stride > 1 => format!("{0}x{0}/{1} {2}", w.size, w.stride, self.channels[1]),
            Some(w) => format!("{0}x{0} {1}", w.size, self.channels[1]),
            None => format!("dense {}", self.channels[1]),
        }
    }
}

/// Batch normalization over batch, height and width: `(x - mean) / sqrt(variance + ε) · scale + shift`.
///
/// As in PyTorch, the running variance is the unbiased one, ε is 1e-5 and a batch moves the running statistics by a tenth
/// ([`MOMENTUM`]).
#[derive(Clone, Debug)]
pub struct Norm {
    pub(crate) scale: Id,
    pub(crate) shift: Id,
    pub(crate) mean: Id,
    pub(crate) variance: Id,
}

/// Added to the variance, PyTorch's default.
const EPSILON: f64 = 1e-5;
/// Share of a batch in the new running statistics, PyTorch's default.
pub const MOMENTUM: f64 = 0.1;

impl Norm {
    /// `[batch, channels, height, width]` to the same shape.
    pub fn forward(&self, pass: &mut Pass, x: Tensor<4>) -> Tensor<4> {
        let get = |id| pass.parameters.tensor::<1>(id);
        let (scale, shift) = (get(self.scale), get(self.shift));
        if !pass.is_training() {
            return module::batch_norm(x, scale, shift, get(self.mean), get(self.variance), EPSILON);
        }
        let [batch, _, height, width] = x.dims();
        let count = (batch * height * width) as f64;
        let seen = module::batch_norm_train(x, scale, shift, EPSILON);
        let unbiased = seen.variance.mul_scalar(count / (count - 1.0).max(1.0));
        pass.keep(self.mean, seen.mean);
        pass.keep(self.variance, unbiased);
        seen.output
    }
}
