//! Layers: a weighted sum, dense or convolutional, and batch normalization.

use super::ReceptiveField;
use super::{ForwardContext, ParameterId, Parameters};
use crate::kernel::{EPSILON, Epilogue, FeatureMap, Weights, WindowOptions};

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

    /// What an output sees, from what an input sees.
    pub fn field(&self, input: ReceptiveField) -> ReceptiveField {
        input.through(self.size, self.stride, self.padding)
    }
}

/// A weighted sum of its inputs: dense over all of them, or a convolution.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(crate) weight: ParameterId,
    pub(crate) bias: Option<ParameterId>,
    /// Absent in a dense layer.
    pub(crate) window: Option<Window>,
    /// Channels in and out, for the outline.
    pub(crate) channels: [usize; 2],
}

impl Layer {
    /// `[batch, in, height, width]` to `[batch, out, height', width']`; a dense layer takes every unit of a sample and
    /// gives `[batch, out, 1, 1]`.
    pub fn forward(&self, pass: &ForwardContext, x: FeatureMap) -> FeatureMap {
        self.weighted(pass, x, None, Epilogue::None)
    }

    /// The same, and the sum with `onto` where there is such.
    pub(crate) fn onto(&self, pass: &ForwardContext, x: FeatureMap, onto: Option<FeatureMap>) -> FeatureMap {
        self.weighted(pass, x, None, onto.map_or(Epilogue::None, Epilogue::Sum))
    }

    /// The layer and the normalization that follows it. A pass that does not train folds them into one layer with
    /// `W·f` and `(b - mean)·f + shift`, `f = scale / sqrt(variance + ε)`: one pass less over the activations.
    /// `onto`: in such a pass, what is added.
    pub(crate) fn normalized(
        &self,
        pass: &mut ForwardContext,
        x: FeatureMap,
        norm: &Norm,
        onto: Option<FeatureMap>,
    ) -> FeatureMap {
        if pass.is_training() {
            let y = self.weighted(pass, x, None, Epilogue::Normalization);
            return norm.forward(pass, y);
        }
        self.weighted(pass, x, Some(norm), onto.map_or(Epilogue::None, Epilogue::Sum))
    }

    /// The weighted sum, with a normalization folded into its weights.
    fn weighted(&self, pass: &ForwardContext, x: FeatureMap, folded: Option<&Norm>, next: Epilogue) -> FeatureMap {
        let (kernels, weights) = (pass.parameters.kernels(), self.ready(pass, folded));
        match self.window {
            Some(Window { stride, padding, .. }) => {
                x.convolve(kernels, weights, WindowOptions { stride, padding }, next)
            }
            None => x.linear(kernels, weights, next),
        }
    }

    /// The weights of a dense layer that has a bias.
    pub(crate) fn dense(&self, pass: &ForwardContext) -> Option<Weights> {
        (self.window.is_none() && self.bias.is_some()).then(|| self.ready(pass, None))
    }

    fn ready(&self, pass: &ForwardContext, folded: Option<&Norm>) -> Weights {
        let parameters = pass.parameters;
        if pass.is_training() {
            return self.weights(parameters, folded);
        }
        // Batch after batch is computed with the same. Blocks that share weights and scale have statistics of their own.
        parameters.kept((self.weight, folded.map(|norm| norm.mean)), || self.weights(parameters, folded))
    }

    fn weights(&self, parameters: &Parameters, folded: Option<&Norm>) -> Weights {
        let get = |id| parameters.get(id).value.clone();
        let out = self.channels[1];
        let mut shape = [1; 4];
        let own = &parameters.get(self.weight).shape;
        shape[..own.len()].copy_from_slice(own);
        let (weight, bias) = (get(self.weight), self.bias.map(get));
        let Some(norm) = folded else { return Weights::new(weight, shape, bias) };
        let factor = get(norm.scale) / (get(norm.variance) + EPSILON).sqrt();
        let centre = match bias {
            Some(bias) => bias - get(norm.mean),
            None => -get(norm.mean),
        };
        let bias = centre * factor.clone() + get(norm.shift);
        let weight = weight.reshape([out as i32, -1]) * factor.unsqueeze_dim(1);
        Weights::new(weight.flatten(0, 1), shape, Some(bias))
    }

    /// What an output sees, from what an input sees; `None` is all of a sample.
    pub fn field(&self, input: Option<ReceptiveField>) -> Option<ReceptiveField> {
        Some(self.window?.field(input?))
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
    pub(crate) scale: ParameterId,
    pub(crate) shift: ParameterId,
    pub(crate) mean: ParameterId,
    pub(crate) variance: ParameterId,
}

/// Share of a batch in the new running statistics, PyTorch's default.
pub const MOMENTUM: f64 = 0.1;

impl Norm {
    /// `[batch, channels, height, width]` to the same shape.
    pub fn forward(&self, pass: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        let get = |id| pass.parameters.get(id).value.clone();
        let (scale, shift) = (get(self.scale), get(self.shift));
        if !pass.is_training() {
            return x.normalize([scale, shift, get(self.mean), get(self.variance)]);
        }
        let [batch, _, height, width] = x.dims();
        let count = (batch * height * width) as f64;
        let (output, [seen_mean, seen_variance]) = x.normalize_batch(scale, shift);
        let unbiased = seen_variance.mul_scalar(count / (count - 1.0).max(1.0));
        pass.keep(self.mean, seen_mean);
        pass.keep(self.variance, unbiased);
        output
    }
}
