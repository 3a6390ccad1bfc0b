//! Feature maps, in Burn's layout or in the blocked layout of the kernels.

use std::sync::Arc;

use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Tensor, activation, module};

use super::backend::Kernels;
use super::blocked::BlockedMap;
use super::combine::Carry;
use super::conv::{COLORS, PackedWeights};
use super::functional::linear;
use super::norm::EPSILON;
use super::norm_over_ranks::normalize_over_ranks;
use super::reference;
use crate::ranks::Ranks;

/// The feature maps of a batch, `[batch, channels, height, width]`.
///
/// Normalization and ReLU are not computed when they are called. They stay pending until an operation reads the values, and
/// that operation computes them in the same pass. See [`Self::materialize`].
#[derive(Clone, Debug)]
pub struct FeatureMap(Layout);

#[derive(Clone, Debug)]
enum Layout {
    /// `[batch, channels, height, width]`.
    Plain(Box<Tensor<4>>),
    Blocked(Box<BlockedMap>),
}

/// The weights of a convolution, `[out, in, size, size]`, or of a dense layer, `[out, in, 1, 1]`, and its bias, `[out]`.
///
/// Clones share the copies of the weights that the kernels reorder for themselves.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Row-major, in one dimension: in a gradient graph a change of shape would be one more node for every layer.
    pub(super) values: Tensor<1>,
    pub(super) shape: [usize; 4],
    pub(super) bias: Option<Tensor<1>>,
    pub(super) packed: Arc<PackedWeights>,
}

impl Weights {
    /// Returns weights from row-major values.
    pub fn new(values: Tensor<1>, shape: [usize; 4], bias: Option<Tensor<1>>) -> Self {
        Self { values, shape, bias, packed: Arc::default() }
    }

    /// Returns the shape of the weights.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }
}

/// How a window moves over its input, in both directions.
#[derive(Clone, Copy, Debug)]
pub struct WindowOptions {
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Zeros on each side of the input.
    pub padding: usize,
}

/// What follows a layer, so that the layer can compute it with its own values.
#[derive(Clone, Debug)]
pub enum Epilogue {
    /// Nothing that the layer can compute.
    None,
    /// A normalization with the statistics of the batch. The layer computes the statistics.
    Normalization,
    /// The sum with other values of the same shape. The layer adds them.
    Sum(FeatureMap),
}

impl Epilogue {
    fn into_sum(self) -> Option<FeatureMap> {
        if let Self::Sum(map) = self { Some(map) } else { None }
    }
}

impl From<Tensor<4>> for FeatureMap {
    /// Converts from `[batch, channels, height, width]`.
    fn from(values: Tensor<4>) -> Self {
        Self::plain(values)
    }
}

impl FeatureMap {
    fn plain(values: Tensor<4>) -> Self {
        Self(Layout::Plain(Box::new(values)))
    }

    fn blocked(values: BlockedMap) -> Self {
        Self(Layout::Blocked(Box::new(values)))
    }

    /// Returns `[batch, channels, height, width]`.
    pub fn dims(&self) -> [usize; 4] {
        match &self.0 {
            Layout::Plain(values) => values.dims(),
            Layout::Blocked(map) => map.dims(),
        }
    }

    /// Converts into a tensor of Burn, `[batch, channels, height, width]`.
    pub fn into_plain(self) -> Tensor<4> {
        match self.0 {
            Layout::Plain(values) => *values,
            Layout::Blocked(map) => map.into_plain(),
        }
    }

    /// Converts into the blocked layout, that of dense layers if `dense`.
    fn into_blocked(self, dense: bool) -> BlockedMap {
        match self.0 {
            Layout::Blocked(map) if map.dense == dense => *map,
            other => BlockedMap::from_plain(Self(other).into_plain(), dense),
        }
    }

    /// Converts into the layout of the native kernels, so that they compute what follows.
    pub fn into_native(self) -> Self {
        Self::blocked(self.into_blocked(false))
    }

    /// Computes the pending operations.
    pub fn materialize(self) -> Self {
        match self.0 {
            Layout::Blocked(map) => Self::blocked(map.materialized()),
            Layout::Plain(_) => self,
        }
    }

    /// Returns `max(x, 0)`.
    pub fn relu(self) -> Self {
        match self.0 {
            Layout::Plain(values) => Self::plain(activation::relu(*values)),
            Layout::Blocked(map) => Self::blocked(map.relu()),
        }
    }

    /// Returns `1 / (1 + e^-x)`. Gates do not call this: [`Self::combine`] takes their sigmoids itself.
    pub fn sigmoid(self) -> Self {
        Self::plain(activation::sigmoid(self.into_plain()))
    }

    /// Returns `(x - mean) / sqrt(variance + ε)·scale + shift` of every channel with the statistics of the batch, and these
    /// statistics: mean and biased variance, `[channels]` each, which carry no gradient.
    pub fn normalize_batch(self, scale: Tensor<1>, shift: Tensor<1>) -> (Self, [Tensor<1>; 2]) {
        match self.0 {
            Layout::Plain(values) => {
                let (values, statistics) = reference::normalize(*values, scale, shift);
                (Self::plain(values), statistics)
            }
            Layout::Blocked(map) => {
                let (map, statistics) = map.normalize_batch(scale, shift);
                (Self::blocked(map), statistics)
            }
        }
    }

    /// Returns the same as [`Self::normalize_batch`], with the statistics of the batches of all processes, which have `count`
    /// values in each channel.
    pub fn normalize_over_ranks(
        self,
        scale: Tensor<1>,
        shift: Tensor<1>,
        ranks: &Ranks,
        count: f64,
    ) -> (Self, [Tensor<1>; 2]) {
        let (normalized, statistics) = normalize_over_ranks(self.into_plain(), [scale, shift], ranks, count);
        (Self::plain(normalized), statistics)
    }

    /// Returns `(x - mean) / sqrt(variance + ε)·scale + shift` of every channel, from scale, shift, mean and variance,
    /// `[channels]` each.
    pub fn normalize(self, norm: [Tensor<1>; 4]) -> Self {
        match self.0 {
            Layout::Plain(values) => {
                let [scale, shift, mean, variance] = norm;
                Self::plain(module::batch_norm(*values, scale, shift, mean, variance, EPSILON))
            }
            Layout::Blocked(map) => Self::blocked(map.normalize(norm)),
        }
    }

    /// Returns the convolution with these weights. Native kernels have square windows and strides of 1 and 2.
    pub fn convolve(self, kernels: Kernels, weights: Weights, options: WindowOptions, next: Epilogue) -> Self {
        let [_, _, size, width] = weights.shape;
        if kernels == Kernels::Reference || options.stride > 2 || size != width {
            let y = reference::convolve(self.into_plain(), weights.values.reshape(weights.shape), options);
            let y = match weights.bias {
                Some(bias) => y + bias.reshape([1, -1, 1, 1]),
                None => y,
            };
            return Self::plain(y).plus(next);
        }
        self.convolve_blocked(false, weights, options, next)
    }

    /// Returns a dense layer of all units of a sample, `[batch, out, 1, 1]`.
    pub fn linear(self, kernels: Kernels, weights: Weights, next: Epilogue) -> Self {
        let [batch, channels, height, width] = self.dims();
        let out = weights.shape[0];
        if self.can_run_dense_block(kernels) {
            return self.convolve_blocked(true, weights, WindowOptions { stride: 1, padding: 0 }, next);
        }
        let Weights { values, bias, .. } = weights;
        let x = self.into_plain().reshape([batch, channels * height * width]);
        let bias = bias.unwrap_or_else(|| Tensor::zeros([out], &x.device()));
        let y = linear(kernels, x, values.reshape([out, channels * height * width]), bias);
        Self::plain(y.reshape([batch, out, 1, 1])).plus(next)
    }

    fn convolve_blocked(self, dense: bool, weights: Weights, options: WindowOptions, next: Epilogue) -> Self {
        let statistics = matches!(next, Epilogue::Normalization);
        let residual = next.into_sum().map(|map| map.into_blocked(dense));
        Self::blocked(match self.0 {
            Layout::Plain(values) if !dense && values.dims()[1] == COLORS => {
                BlockedMap::from_planes(*values, weights, options, statistics, residual)
            }
            other => Self(other).into_blocked(dense).convolve(weights, options, statistics, residual),
        })
    }

    /// Adds the values of an [`Epilogue::Sum`].
    fn plus(self, next: Epilogue) -> Self {
        match next.into_sum() {
            Some(map) => Self::plain(self.into_plain() + map.into_plain()),
            None => self,
        }
    }

    /// Returns `t·h + c·x`, with a ReLU if `relu`. t is the sigmoid of `transform`, or 1; `carried` is x with its factor c.
    pub fn combine(h: Self, transform: Option<Self>, carried: Option<(Carry<Self>, Self)>, relu: bool) -> Self {
        let (carry, x) = carried.unzip();
        let (carry, c) = carry.unwrap_or(Carry::Identity).split();
        let Layout::Blocked(h) = h.0 else {
            let plain = |map: Self| map.into_plain();
            let sum = combine_reference(h.into_plain(), transform.map(plain), carry, c.map(plain), x.map(plain));
            return Self::plain(if relu { activation::relu(sum) } else { sum });
        };
        let dense = h.dense;
        let blocked = |map: Option<Self>| map.map(|map| map.into_blocked(dense));
        let inputs = [Some(*h), blocked(transform), blocked(c), blocked(x)];
        Self::blocked(BlockedMap::combine(inputs, carry, relu))
    }

    /// Returns `t·h + c·x` where h, t and c are dense layers of x, each with a bias and as wide as x. `relu` says whether a
    /// ReLU follows h, and whether one follows the sum.
    ///
    /// The values must pass [`Self::can_run_dense_block`].
    pub fn dense_block(
        self,
        h: Weights,
        transform: Option<Weights>,
        carry: Option<Carry<Weights>>,
        relu: [bool; 2],
    ) -> Self {
        Self::blocked(self.into_blocked(true).dense_block(h, transform, carry, relu))
    }

    /// Returns whether these are samples of one pixel, computed by native kernels: what [`Self::dense_block`] takes.
    pub fn can_run_dense_block(&self, kernels: Kernels) -> bool {
        let [_, _, height, width] = self.dims();
        kernels == Kernels::Native && height * width == 1
    }

    /// Returns the maximum of every window of `size` times `size` pixels. With `ceil`, a last window that is partly outside
    /// counts too.
    pub fn max_pool(self, size: usize, options: WindowOptions, ceil: bool) -> Self {
        match self.0 {
            Layout::Blocked(map) if !map.dense => Self::blocked(map.max_pool(size, options, ceil)),
            other => {
                let options = MaxPoolOptions::new([size; 2])
                    .with_stride([options.stride; 2])
                    .with_padding([options.padding; 2])
                    .with_ceil_mode(ceil);
                Self::plain(module::max_pool2d(Self(other).into_plain(), options))
            }
        }
    }

    /// Returns the average of every channel, `[batch, channels, 1, 1]`.
    pub fn average(self) -> Self {
        let [_, _, height, width] = self.dims();
        match self.0 {
            map if height * width == 1 => Self(map).materialize(),
            Layout::Plain(values) => Self::plain(module::adaptive_avg_pool2d(*values, [1, 1])),
            Layout::Blocked(map) => Self::plain(map.average()),
        }
    }
}

/// Returns `t·h + c·x` by Burn's operations.
fn combine_reference(
    h: Tensor<4>,
    transform: Option<Tensor<4>>,
    carry: Carry,
    c: Option<Tensor<4>>,
    x: Option<Tensor<4>>,
) -> Tensor<4> {
    let t = transform.map(activation::sigmoid);
    match (carry, t, c.map(activation::sigmoid), x) {
        (Carry::OneMinusTransform, Some(t), _, Some(x)) => t * (h - x.clone()) + x,
        (Carry::Gate(()), Some(t), Some(c), Some(x)) => t * h + c * x,
        (Carry::Gate(()), None, Some(c), Some(x)) => h + c * x,
        (_, Some(t), _, Some(x)) => t * h + x,
        (_, None, _, Some(x)) => h + x,
        (_, Some(t), _, None) => t * h,
        (_, None, _, None) => h,
    }
}
