//! What passes through a network: feature maps, in the engine's layout or in that of the kernels.

use std::sync::Arc;

use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Tensor, activation, module};

use super::backend::Kernels;
use super::blocked::BlockedMap;
use super::combine::Carry;
use super::conv::{COLOURS, PackedWeights};
use super::norm::EPSILON;

/// The feature maps of some samples.
///
/// Normalization and ReLU are not computed where they are asked for: they wait for whoever reads the values next, and
/// are done on the way.
#[derive(Clone, Debug)]
pub struct FeatureMap(State);

#[derive(Clone, Debug)]
enum State {
    /// `[batch, channels, height, width]`.
    Plain(Box<Tensor<4>>),
    Blocked(Box<BlockedMap>),
}

/// The weights of a layer, `[out, in, size, size]`, of a dense one `[out, in, 1, 1]`, and its bias, `[out]`.
///
/// What the kernels make of them is kept as long as a clone of them is.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Row-major, as parameters lie: in a gradient graph another shape would be a node for every layer.
    pub(super) values: Tensor<1>,
    pub(super) shape: [usize; 4],
    pub(super) bias: Option<Tensor<1>>,
    pub(super) prepared: Arc<PackedWeights>,
}

impl Weights {
    /// From as many values as the shape has.
    pub fn new(values: Tensor<1>, shape: [usize; 4], bias: Option<Tensor<1>>) -> Self {
        Self { values, shape, bias, prepared: Arc::default() }
    }
}

/// How a convolution moves over its input.
#[derive(Clone, Copy, Debug)]
pub struct WindowOptions {
    /// Pixels between windows.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
}

/// What follows a layer.
#[derive(Clone, Debug)]
pub enum Epilogue {
    /// Whatever it is, the layer knows nothing of it.
    None,
    /// A normalization with the statistics of the batch.
    Normalization,
    /// The sum with other values of the same shape, which the layer takes as it writes its own.
    Sum(FeatureMap),
}

impl Epilogue {
    fn into_sum(self) -> Option<FeatureMap> {
        if let Self::Sum(map) = self { Some(map) } else { None }
    }
}

impl From<Tensor<4>> for FeatureMap {
    /// From `[batch, channels, height, width]`.
    fn from(values: Tensor<4>) -> Self {
        Self::plain(values)
    }
}

impl FeatureMap {
    fn plain(values: Tensor<4>) -> Self {
        Self(State::Plain(Box::new(values)))
    }

    fn blocked(values: BlockedMap) -> Self {
        Self(State::Blocked(Box::new(values)))
    }

    /// `[batch, channels, height, width]`.
    pub fn dims(&self) -> [usize; 4] {
        match &self.0 {
            State::Plain(values) => values.dims(),
            State::Blocked(map) => map.dims(),
        }
    }

    /// The values as the engine has them, `[batch, channels, height, width]`.
    pub fn into_plain(self) -> Tensor<4> {
        match self.0 {
            State::Plain(values) => *values,
            State::Blocked(map) => map.into_plain(),
        }
    }

    /// The same values in blocks. Samples of one pixel are what dense layers take and give.
    fn into_blocked(self, dense: bool) -> BlockedMap {
        match self.0 {
            State::Blocked(map) if map.dense == dense => *map,
            other => BlockedMap::from_plain(Self(other).into_plain(), dense),
        }
    }

    /// Does what waits.
    pub fn materialize(self) -> Self {
        match self.0 {
            State::Blocked(map) => Self::blocked(map.materialized()),
            State::Plain(_) => self,
        }
    }

    /// `max(x, 0)`.
    pub fn relu(self) -> Self {
        match self.0 {
            State::Plain(values) => Self::plain(activation::relu(*values)),
            State::Blocked(map) => Self::blocked(map.relu()),
        }
    }

    /// `1 / (1 + e^-x)`.
    pub fn sigmoid(self) -> Self {
        match self.0 {
            State::Plain(values) => Self::plain(activation::sigmoid(*values)),
            // Nobody but a measurement looks at a gate by itself.
            blocked => Self::plain(activation::sigmoid(Self(blocked).into_plain())),
        }
    }

    /// `(x - mean) / sqrt(variance + ε)·scale + shift` for every channel, with the statistics of these values; returns
    /// their mean and biased variance too, which have no gradient of their own.
    pub fn normalize_batch(self, scale: Tensor<1>, shift: Tensor<1>) -> (Self, [Tensor<1>; 2]) {
        match self.0 {
            State::Plain(values) => {
                let seen = module::batch_norm_train(*values, scale, shift, EPSILON);
                (Self::plain(seen.output), [seen.mean, seen.variance])
            }
            State::Blocked(map) => {
                let (map, seen) = map.normalize_batch(scale, shift);
                (Self::blocked(map), seen)
            }
        }
    }

    /// The same with statistics from elsewhere.
    pub fn normalize(self, norm: [Tensor<1>; 4]) -> Self {
        match self.0 {
            State::Plain(values) => {
                let [scale, shift, mean, variance] = norm;
                Self::plain(module::batch_norm(*values, scale, shift, mean, variance, EPSILON))
            }
            State::Blocked(map) => Self::blocked(map.normalize(norm)),
        }
    }

    /// A convolution.
    pub fn convolve(self, kernels: Kernels, weights: Weights, moves: WindowOptions, next: Epilogue) -> Self {
        let WindowOptions { stride, padding } = moves;
        let [_, _, size, width] = weights.shape;
        if kernels == Kernels::Reference || stride > 2 || size != width {
            let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
            let weight = weights.values.reshape(weights.shape);
            return Self::plain(module::conv2d(self.into_plain(), weight, weights.bias, options)).plus(next);
        }
        self.weigh_blocks(false, weights, moves, next)
    }

    /// A dense layer over all units of a sample; gives `[batch, out, 1, 1]`.
    pub fn linear(self, kernels: Kernels, weights: Weights, next: Epilogue) -> Self {
        let [batch, channels, height, width] = self.dims();
        let out = weights.shape[0];
        if self.can_run_dense_block(kernels) {
            return self.weigh_blocks(true, weights, WindowOptions { stride: 1, padding: 0 }, next);
        }
        let Weights { values, bias, .. } = weights;
        let y = self.into_plain().reshape([batch, channels * height * width]);
        let y = y.matmul(values.reshape([out, channels * height * width]).transpose());
        let y = match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        };
        Self::plain(y.reshape([batch, out, 1, 1])).plus(next)
    }

    fn weigh_blocks(self, dense: bool, weights: Weights, moves: WindowOptions, next: Epilogue) -> Self {
        let statistics = matches!(next, Epilogue::Normalization);
        let summand = next.into_sum().map(|map| map.into_blocked(dense));
        Self::blocked(match self.0 {
            State::Plain(values) if !dense && values.dims()[1] == COLOURS => {
                BlockedMap::from_planes(*values, weights, moves, statistics, summand)
            }
            other => Self(other).into_blocked(dense).convolve(weights, moves, statistics, summand),
        })
    }

    /// The sum with what follows, if that is one.
    fn plus(self, next: Epilogue) -> Self {
        match next.into_sum() {
            Some(map) => Self::plain(self.into_plain() + map.into_plain()),
            None => self,
        }
    }

    /// `t·h + c·x`, and a ReLU where one is wanted; `t` is the sigmoid of `transform`, `carried` is x and what it is
    /// weighted with.
    pub fn combine(h: Self, transform: Option<Self>, carried: Option<(Carry<Self>, Self)>, relu: bool) -> Self {
        let (carry, x) = carried.unzip();
        let (carry, c) = carry.unwrap_or(Carry::Identity).split();
        let State::Blocked(h) = h.0 else {
            let plain = |map: Self| map.into_plain();
            let sum = combine_reference(h.into_plain(), transform.map(plain), carry, c.map(plain), x.map(plain));
            return Self::plain(if relu { activation::relu(sum) } else { sum });
        };
        let dense = h.dense;
        let blocked = |map: Option<Self>| map.map(|map| map.into_blocked(dense));
        let operands = [Some(*h), blocked(transform), blocked(c), blocked(x)];
        Self::blocked(BlockedMap::combine(operands, carry, relu))
    }

    /// The same where h, t and c are dense layers of these values, each with a bias, and as wide as they are. `relu`:
    /// of h, and of the sum. Where [`Self::can_run_dense_block`] says so.
    pub fn dense_block(
        self,
        h: Weights,
        transform: Option<Weights>,
        carry: Option<Carry<Weights>>,
        relu: [bool; 2],
    ) -> Self {
        Self::blocked(self.into_blocked(true).dense_block(h, transform, carry, relu))
    }

    /// Whether these are samples of one pixel, and the kernels are those of this crate.
    pub fn can_run_dense_block(&self, kernels: Kernels) -> bool {
        let [_, _, height, width] = self.dims();
        kernels == Kernels::Native && height * width == 1
    }

    /// The greatest value of every window of `size` pixels a side. `ceil`: whether a last window that reaches over the
    /// edge counts.
    pub fn max_pool(self, size: usize, moves: WindowOptions, ceil: bool) -> Self {
        match self.0 {
            State::Blocked(map) if !map.dense => Self::blocked(map.max_pool(size, moves, ceil)),
            other => {
                let options = MaxPoolOptions::new([size; 2])
                    .with_stride([moves.stride; 2])
                    .with_padding([moves.padding; 2])
                    .with_ceil_mode(ceil);
                Self::plain(module::max_pool2d(Self(other).into_plain(), options))
            }
        }
    }

    /// Every channel's average, `[batch, channels, 1, 1]`.
    pub fn average(self) -> Self {
        let [_, _, height, width] = self.dims();
        match self.0 {
            map if height * width == 1 => Self(map).materialize(),
            State::Plain(values) => Self::plain(module::adaptive_avg_pool2d(*values, [1, 1])),
            State::Blocked(map) => Self::plain(map.average()),
        }
    }
}

/// The engine's operations for the same sum.
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
