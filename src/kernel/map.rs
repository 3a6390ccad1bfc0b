//! What passes through a network: feature maps, in the engine's layout or in that of the kernels.

use std::sync::Arc;

use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Tensor, activation, module};

use super::choice::Kernels;
use super::combine::{Carry, Combine};
use super::conv::{Conv, Prepared, blocks};
use super::convolve::{Convolve, Waits};
use super::lanes::LANES;
use super::norm::EPSILON;
use super::op::apply;
use super::pool::MaxPool;
use super::statistics::Statistics;

/// The feature maps of some samples.
///
/// Normalization and ReLU are not computed where they are asked for: they wait for whoever reads the values next, and
/// are done on the way.
#[derive(Clone, Debug)]
pub struct Map(State);

#[derive(Clone, Debug)]
enum State {
    /// `[batch, channels, height, width]`.
    Plain(Box<Tensor<4>>),
    Blocked(Box<Blocked>),
}

#[derive(Clone, Debug)]
struct Blocked {
    /// `[batch, channels / 16, height, width, 16]`; of dense layers `[images, channels / 16, 1, pixels, 16]`: a dense layer
    /// is a 1x1 convolution of a few images whose pixels are the samples.
    values: Tensor<5>,
    channels: usize,
    dense: bool,
    /// Scale, shift, mean and variance of the normalization that waits.
    norm: Option<[Tensor<1>; 4]>,
    waits: Waits,
    /// Mean and biased variance of the values, where they are known.
    statistics: Option<[Tensor<1>; 2]>,
}

/// The weights of a layer, `[out, in, size, size]`, of a dense one `[out, in, 1, 1]`, and its bias, `[out]`.
///
/// What the kernels make of them is kept as long as a clone of them is.
#[derive(Clone, Debug)]
pub struct Weights {
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    prepared: Arc<Prepared>,
}

impl Weights {
    /// From tensors.
    pub fn new(weight: Tensor<4>, bias: Option<Tensor<1>>) -> Self {
        Self { weight, bias, prepared: Arc::default() }
    }
}

/// How a convolution moves over its input.
#[derive(Clone, Copy, Debug)]
pub struct Stride {
    /// Pixels between windows.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
}

/// The carry of [`Map::combine`].
#[derive(Clone, Debug)]
pub enum Carried {
    /// `x` as it is.
    All(Map),
    /// `(1 - t)·x`.
    Rest(Map),
    /// `sigmoid(c)·x`, c first.
    Gated(Map, Map),
}

impl From<Tensor<4>> for Map {
    /// From `[batch, channels, height, width]`.
    fn from(values: Tensor<4>) -> Self {
        Self::plain(values)
    }
}

impl Map {
    fn plain(values: Tensor<4>) -> Self {
        Self(State::Plain(Box::new(values)))
    }

    /// `[batch, channels, height, width]`.
    pub fn dims(&self) -> [usize; 4] {
        match &self.0 {
            State::Plain(values) => values.dims(),
            State::Blocked(map) => {
                let [batch, _, height, width, _] = map.values.dims();
                if map.dense { [batch * width, map.channels, 1, 1] } else { [batch, map.channels, height, width] }
            }
        }
    }

    /// The values as the engine has them, `[batch, channels, height, width]`.
    pub fn into_plain(self) -> Tensor<4> {
        let map = match self.settle().0 {
            State::Plain(values) => return *values,
            State::Blocked(map) => map,
        };
        let [batch, blocks, height, width, _] = map.values.dims();
        let plain = if map.dense {
            let samples = map.values.reshape([batch, blocks, width, LANES]).permute([0, 2, 1, 3]);
            samples.reshape([batch * width, blocks * LANES, 1, 1])
        } else {
            map.values.permute([0, 1, 4, 2, 3]).reshape([batch, blocks * LANES, height, width])
        };
        if map.channels == blocks * LANES { plain } else { plain.narrow(1, 0, map.channels) }
    }

    /// The same values in blocks. Samples of one pixel are what dense layers take and give.
    fn into_blocked(self, dense: bool) -> Box<Blocked> {
        let values = match self.0 {
            State::Blocked(map) if map.dense == dense => return map,
            other => Self(other).into_plain(),
        };
        let [batch, channels, height, width] = values.dims();
        let blocks = blocks(channels);
        let missing = blocks * LANES - channels;
        let values = if missing == 0 {
            values
        } else {
            let zeros = Tensor::zeros([batch, missing, height, width], &values.device());
            Tensor::cat(vec![values, zeros], 1)
        };
        let values = if dense {
            let images = images(batch);
            let pixels = batch / images;
            let samples = values.reshape([images, pixels, blocks, LANES]).permute([0, 2, 1, 3]);
            samples.reshape([images, blocks, 1, pixels, LANES])
        } else {
            values.reshape([batch, blocks, LANES, height, width]).permute([0, 1, 3, 4, 2])
        };
        Box::new(Blocked { values, channels, dense, norm: None, waits: Waits::default(), statistics: None })
    }

    /// Does what waits.
    pub fn settle(self) -> Self {
        match self.0 {
            State::Blocked(map) if map.waits.norm || map.waits.relu => {
                Self(State::Blocked(combine([Some(map), None, None, None], Carry::All, false)))
            }
            _ => self,
        }
    }

    /// `max(x, 0)`.
    pub fn relu(self) -> Self {
        match self.0 {
            State::Plain(values) => Self::plain(activation::relu(*values)),
            State::Blocked(mut map) => {
                map.waits.relu = true;
                map.statistics = None;
                Self(State::Blocked(map))
            }
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
                let mut map = settled(map);
                let known = map.statistics.take();
                let seen = known.unwrap_or_else(|| {
                    let statistics = Statistics { channels: map.channels };
                    let (mean, rest) = apply::<1>(statistics, vec![map.values.clone().detach().into_dispatch()]);
                    [mean, rest.into_iter().next().expect("the variance")]
                });
                let [mean, variance] = seen.clone();
                map.norm = Some([scale, shift, mean, variance]);
                (map.waits.norm, map.waits.batch) = (true, true);
                (Self(State::Blocked(map)), seen)
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
            State::Blocked(map) => {
                let mut map = settled(map);
                map.norm = Some(norm);
                (map.waits.norm, map.waits.batch, map.statistics) = (true, false, None);
                Self(State::Blocked(map))
            }
        }
    }

    /// A convolution. `statistics`: a normalization with the statistics of the
    /// batch follows.
    pub fn convolve(
        self,
        kernels: Kernels,
        weights: Weights,
        Stride { stride, padding }: Stride,
        statistics: bool,
    ) -> Self {
        let [out, _, size, width] = weights.weight.dims();
        if kernels == Kernels::Stock || stride > 2 || size != width {
            let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
            return Self::plain(module::conv2d(self.into_plain(), weights.weight, weights.bias, options));
        }
        let [_, channels, height, width] = self.dims();
        let conv = Conv::new([channels, height, width], out, size, stride, padding);
        Self(State::Blocked(convolve(self.into_blocked(false), conv, weights, statistics)))
    }

    /// A dense layer over all units of a sample; gives `[batch, out, 1, 1]`.
    pub fn weigh(self, kernels: Kernels, weights: Weights, statistics: bool) -> Self {
        let [batch, channels, height, width] = self.dims();
        let out = weights.weight.dims()[0];
        if kernels == Kernels::Own && height * width == 1 {
            let conv = Conv::new([channels, 1, batch / images(batch)], out, 1, 1, 0);
            return Self(State::Blocked(convolve(self.into_blocked(true), conv, weights, statistics)));
        }
        let Weights { weight, bias, .. } = weights;
        let y = self.into_plain().reshape([batch, channels * height * width]);
        let y = y.matmul(weight.reshape([out, channels * height * width]).transpose());
        let y = match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        };
        Self::plain(y.reshape([batch, out, 1, 1]))
    }

    /// `t·h + c·x`, and a ReLU where one is wanted; `t` is the sigmoid of `transform`.
    pub fn combine(h: Self, transform: Option<Self>, carried: Option<Carried>, relu: bool) -> Self {
        let (carry, c, x) = match carried {
            None => (Carry::All, None, None),
            Some(Carried::All(x)) => (Carry::All, None, Some(x)),
            Some(Carried::Rest(x)) => (Carry::Rest, None, Some(x)),
            Some(Carried::Gated(c, x)) => (Carry::Gate, Some(c), Some(x)),
        };
        let State::Blocked(h) = h.0 else {
            let plain = |map: Self| map.into_plain();
            let sum = stock(h.into_plain(), transform.map(plain), carry, c.map(plain), x.map(plain));
            return Self::plain(if relu { activation::relu(sum) } else { sum });
        };
        let dense = h.dense;
        let blocked = |map: Option<Self>| map.map(|map| map.into_blocked(dense));
        let operands = [Some(h), blocked(transform), blocked(c), blocked(x)];
        Self(State::Blocked(combine(operands, carry, relu)))
    }

    /// The greatest value of every window of `size` pixels a side. `ceil`: whether a last window that reaches over the
    /// edge counts.
    pub fn max_pool(self, size: usize, Stride { stride, padding }: Stride, ceil: bool) -> Self {
        match self.0 {
            State::Blocked(map) if !map.dense => {
                // The greatest of what a ReLU leaves is what it leaves of the greatest.
                let mut map = if map.waits.norm { settled(map) } else { map };
                let [_, _, height, width, _] = map.values.dims();
                let side = |length: usize| {
                    let room = length + 2 * padding - size;
                    room / stride + 1 + usize::from(ceil && !room.is_multiple_of(stride))
                };
                let input = [map.channels, height, width];
                let output = [map.channels, side(height), side(width)];
                let pool = MaxPool { input, output, size, stride, padding };
                map.values = apply::<5>(pool, vec![map.values.into_dispatch()]).0;
                map.statistics = None;
                Self(State::Blocked(map))
            }
            other => {
                let options = MaxPoolOptions::new([size; 2])
                    .with_stride([stride; 2])
                    .with_padding([padding; 2])
                    .with_ceil_mode(ceil);
                Self::plain(module::max_pool2d(Self(other).into_plain(), options))
            }
        }
    }

    /// Every channel's average, `[batch, channels, 1, 1]`.
    pub fn average(self) -> Self {
        let [batch, channels, height, width] = self.dims();
        match self.settle().0 {
            map if height * width == 1 => Self(map),
            State::Plain(values) => Self::plain(module::adaptive_avg_pool2d(*values, [1, 1])),
            State::Blocked(map) => {
                let blocks = blocks(channels);
                let sums = map.values.reshape([batch * blocks, height * width, LANES]).mean_dim(1);
                let all = sums.reshape([batch, blocks * LANES, 1, 1]);
                Self::plain(if channels == blocks * LANES { all } else { all.narrow(1, 0, channels) })
            }
        }
    }
}

/// Images that so many samples of dense layers are laid out as, so that threads can share them: as many as leave each at
/// least [`FEWEST`] pixels. A number of samples that cannot be divided is one image.
fn images(samples: usize) -> usize {
    (2..=samples / FEWEST).rev().find(|&images| samples.is_multiple_of(images)).unwrap_or(1)
}

/// Fewer pixels would use the weights too seldom while they lie in registers.
const FEWEST: usize = 28;

/// A map on which nothing waits.
fn settled(map: Box<Blocked>) -> Box<Blocked> {
    match Map(State::Blocked(map)).settle().0 {
        State::Blocked(map) => map,
        State::Plain(_) => unreachable!("blocks stay blocks"),
    }
}

fn convolve(map: Box<Blocked>, conv: Conv, weights: Weights, statistics: bool) -> Box<Blocked> {
    let (channels, dense) = (conv.output[0], map.dense);
    let Weights { weight, bias, prepared } = weights;
    let operation = Convolve { conv, has_bias: bias.is_some(), waits: map.waits, statistics, prepared };
    let Blocked { values, norm, .. } = *map;
    let mut inputs = vec![values.into_dispatch(), weight.into_dispatch()];
    inputs.extend(bias.map(Tensor::into_dispatch));
    inputs.extend(norm.into_iter().flatten().map(Tensor::into_dispatch));
    let (values, seen) = apply::<5>(operation, inputs);
    let statistics = <[Tensor<1>; 2]>::try_from(seen).ok();
    Box::new(Blocked { values, channels, dense, norm: None, waits: Waits::default(), statistics })
}

fn combine(operands: [Option<Box<Blocked>>; 4], carry: Carry, relu: bool) -> Box<Blocked> {
    let waits = operands.each_ref().map(|map| map.as_ref().map(|map| map.waits));
    let (channels, dense) = operands[0].as_ref().map(|map| (map.channels, map.dense)).expect("h");
    let mut inputs = Vec::new();
    for map in operands.into_iter().flatten() {
        let Blocked { values, norm, .. } = *map;
        inputs.push(values.into_dispatch());
        inputs.extend(norm.into_iter().flatten().map(Tensor::into_dispatch));
    }
    let (values, _) = apply::<5>(Combine { operands: waits, carry, relu, channels }, inputs);
    Box::new(Blocked { values, channels, dense, norm: None, waits: Waits::default(), statistics: None })
}

/// The engine's operations for the same sum.
fn stock(
    h: Tensor<4>,
    transform: Option<Tensor<4>>,
    carry: Carry,
    c: Option<Tensor<4>>,
    x: Option<Tensor<4>>,
) -> Tensor<4> {
    let t = transform.map(activation::sigmoid);
    match (carry, t, c.map(activation::sigmoid), x) {
        (Carry::Rest, Some(t), _, Some(x)) => t * (h - x.clone()) + x,
        (Carry::Gate, Some(t), Some(c), Some(x)) => t * h + c * x,
        (Carry::Gate, None, Some(c), Some(x)) => h + c * x,
        (_, Some(t), _, Some(x)) => t * h + x,
        (_, None, _, Some(x)) => h + x,
        (_, Some(t), _, None) => t * h,
        (_, None, _, None) => h,
    }
}
