//! Layers: a weighted sum, dense or convolutional, and batch normalization.

use burn::tensor::{Tensor, TensorData};

use super::ReceptiveField;
use super::{ForwardContext, ParameterId, Parameters};
use crate::kernel::{EPSILON, Epilogue, FeatureMap, Weights, WindowOptions};

/// The distribution of the initial values of a weight.
///
/// `fan_in` is the number of inputs that an output sums over, `fan_out` the number of outputs that an input reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Normal with variance `2 / fan_in`, for a layer before a ReLU (He et al. 2015). The standard deviation is multiplied
    /// by the given factor.
    He(f64),
    /// Normal with variance `2 / (fan_in + fan_out)`, for a layer before a sigmoid (Glorot and Bengio 2010).
    Glorot,
    /// Uniform in `±1/sqrt(fan_in)`, PyTorch's default, for the classifier.
    Uniform,
}

/// The window of a convolution or pooling: square, with equal padding on all sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Side, in pixels.
    pub size: usize,
    /// Distance between neighbouring windows, in pixels.
    pub stride: usize,
    /// Padding on each side, in pixels.
    pub padding: usize,
}

impl Window {
    /// Returns a window of odd size whose padding preserves height and width at stride 1.
    pub fn same(size: usize, stride: usize) -> Self {
        Self { size, stride, padding: size / 2 }
    }

    /// Returns the side of the output for a side of the input; `None` if the window does not fit.
    pub fn output_size(&self, side: usize) -> Option<usize> {
        let last = (side + 2 * self.padding).checked_sub(self.size)?;
        Some(last / self.stride + 1)
    }
}

/// How the array of a convolution holds its weights. The convolution itself always has a weight for every pair of channels and
/// every pixel of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightForm {
    /// As they are, `[out, in, size, size]`.
    #[default]
    Full,
    /// In so many groups of channels, `[out, in / groups, size, size]`; the weights between different groups are 0.
    Grouped(usize),
    /// For the average over the window, `[out, in, 1, 1]`.
    Averaged,
}

impl WeightForm {
    /// Returns the shape of the array for the weights `[out, in, size, size]`.
    pub(super) fn shape(self, [out, channels, size, _]: [usize; 4]) -> Vec<usize> {
        match self {
            Self::Full => vec![out, channels, size, size],
            Self::Grouped(groups) => vec![out, channels / groups, size, size],
            Self::Averaged => vec![out, channels, 1, 1],
        }
    }

    /// Computes the weights `[out, in, size, size]`, row-major, from the array.
    fn expand(self, array: Tensor<1>, [out, channels, size, _]: [usize; 4]) -> Tensor<1> {
        let area = size * size;
        match self {
            Self::Full => array,
            Self::Grouped(groups) => {
                let (own, each) = (channels / groups, out / groups);
                let is_same = |pair: usize| (pair / channels) / each == (pair % channels) / own;
                let mask: Vec<f32> = (0..out * channels).map(|pair| f32::from(u8::from(is_same(pair)))).collect();
                let mask = Tensor::<3>::from_data(TensorData::new(mask, [out, channels, 1]), &array.device());
                (array.reshape([out, own, area]).repeat_dim(1, groups) * mask).flatten::<1>(0, 2)
            }
            Self::Averaged => {
                let pixels = array.reshape([out * channels, 1]).repeat_dim(1, area);
                pixels.div_scalar(area as f64).flatten::<1>(0, 1)
            }
        }
    }
}

/// A weighted sum of its inputs: a dense layer or a convolution.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(crate) weight: ParameterId,
    pub(crate) bias: Option<ParameterId>,
    /// Window of a convolution; `None` for a dense layer.
    pub(crate) window: Option<Window>,
    /// How the array holds the weights.
    pub(crate) form: WeightForm,
    /// Number of channels of input and output.
    pub(crate) channels: [usize; 2],
}

impl Layer {
    /// Computes `[batch, in, height, width]` → `[batch, out, height', width']`. A dense layer takes all units of a sample
    /// and returns `[batch, out, 1, 1]`.
    pub fn forward(&self, context: &ForwardContext, x: FeatureMap) -> FeatureMap {
        self.apply(context, x, None, Epilogue::None)
    }

    /// Computes the layer, plus `addend` if there is one.
    pub(crate) fn forward_add(
        &self,
        context: &ForwardContext,
        x: FeatureMap,
        addend: Option<FeatureMap>,
    ) -> FeatureMap {
        self.apply(context, x, None, addend.map_or(Epilogue::None, Epilogue::Sum))
    }

    /// Computes the layer and the batch normalization that follows it, plus `addend` if there is one.
    ///
    /// In inference the two are one layer with the weights `W·f` and the bias `(b - mean)·f + shift`, where
    /// `f = scale / sqrt(variance + ε)`. This saves a pass over the activations. In training there must be no `addend`.
    pub(crate) fn forward_norm_add(
        &self,
        context: &mut ForwardContext,
        x: FeatureMap,
        norm: &BatchNorm,
        addend: Option<FeatureMap>,
    ) -> FeatureMap {
        if context.is_training() {
            let y = self.apply(context, x, None, Epilogue::Normalization);
            return norm.forward(context, y);
        }
        self.apply(context, x, Some(norm), addend.map_or(Epilogue::None, Epilogue::Sum))
    }

    /// Computes the layer with the batch normalization `folded` into its weights.
    fn apply(
        &self,
        context: &ForwardContext,
        x: FeatureMap,
        folded: Option<&BatchNorm>,
        epilogue: Epilogue,
    ) -> FeatureMap {
        let (kernels, weights) = (context.parameters.kernels(), self.weights(context, folded));
        match self.window {
            Some(Window { stride, padding, .. }) => {
                x.convolve(kernels, weights, WindowOptions { stride, padding }, epilogue)
            }
            None => x.linear(kernels, weights, epilogue),
        }
    }

    /// Returns the weights if this is a dense layer with a bias.
    pub(crate) fn dense_weights(&self, context: &ForwardContext) -> Option<Weights> {
        (self.window.is_none() && self.bias.is_some()).then(|| self.weights(context, None))
    }

    fn weights(&self, context: &ForwardContext, folded: Option<&BatchNorm>) -> Weights {
        let parameters = context.parameters;
        if context.is_training() {
            return self.make_weights(parameters, folded);
        }
        // The mean is part of the key because blocks that share weights and scale still have statistics of their own.
        let key = (self.weight, folded.map(|norm| norm.mean));
        parameters.cached_weights(key, || self.make_weights(parameters, folded))
    }

    fn make_weights(&self, parameters: &Parameters, folded: Option<&BatchNorm>) -> Weights {
        let get = |id| parameters.get(id).value.clone();
        let [channels, out] = self.channels;
        let shape = match self.window {
            Some(window) => [out, channels, window.size, window.size],
            None => [out, parameters.get(self.weight).shape[1], 1, 1],
        };
        let (weight, bias) = (self.form.expand(get(self.weight), shape), self.bias.map(get));
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

    /// Returns the receptive field of an output from that of an input; `None` stands for the whole sample.
    pub fn receptive_field(&self, input: Option<ReceptiveField>) -> Option<ReceptiveField> {
        Some(input?.after_window(self.window?))
    }

    /// Returns a description such as `3x3 16`, `3x3/2 32` with the stride, `3x3 128 in 32 groups`, or `dense 50`.
    pub fn describe(&self) -> String {
        let groups = match self.form {
            WeightForm::Grouped(groups) => format!(" in {groups} groups"),
            _ => String::new(),
        };
        match self.window {
            Some(w) if w.stride > 1 => format!("{0}x{0}/{1} {2}{groups}", w.size, w.stride, self.channels[1]),
            Some(w) => format!("{0}x{0} {1}{groups}", w.size, self.channels[1]),
            None => format!("dense {}", self.channels[1]),
        }
    }
}

/// Batch normalization over batch, height and width: `(x - mean) / sqrt(variance + ε) · scale + shift`.
///
/// As in PyTorch, the running variance is unbiased, ε is 1e-5, and the momentum of the running statistics is
/// [`BATCH_NORM_MOMENTUM`].
#[derive(Clone, Debug)]
pub struct BatchNorm {
    pub(crate) scale: ParameterId,
    pub(crate) shift: ParameterId,
    pub(crate) mean: ParameterId,
    pub(crate) variance: ParameterId,
}

/// Share of a batch in the new running statistics, PyTorch's default.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

impl BatchNorm {
    /// Normalizes `[batch, channels, height, width]`: with the statistics of the batch in training, with the running
    /// statistics otherwise.
    pub fn forward(&self, context: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        let get = |id| context.parameters.get(id).value.clone();
        let (scale, shift) = (get(self.scale), get(self.shift));
        if !context.is_training() {
            return x.normalize([scale, shift, get(self.mean), get(self.variance)]);
        }
        let [batch, _, height, width] = x.dims();
        let mut count = (batch * height * width) as f64;
        let (output, [mean, variance]) = match context.norm_ranks() {
            Some(ranks) => {
                [count] = ranks.sum_f64([count]);
                x.normalize_over_ranks(scale, shift, ranks, count)
            }
            None => x.normalize_batch(scale, shift),
        };
        let unbiased = variance.mul_scalar(count / (count - 1.0).max(1.0));
        context.record_statistic(self.mean, mean);
        context.record_statistic(self.variance, unbiased);
        output
    }
}
