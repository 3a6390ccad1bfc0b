//! Feature maps in blocks of sixteen channels, with what waits on them.

use burn::backend::DispatchTensor;
use burn::tensor::Tensor;

use super::combine::{Carry, Combine};
use super::conv::{Conv, blocks};
use super::convolve::{Convolve, PendingOps};
use super::dense_block::DenseBlock;
use super::feature_map::{Weights, WindowOptions};
use super::layout::ToBlocked;
use super::max_pool::MaxPool;
use super::operation::apply;
use super::simd::LANES;
use super::statistics::Statistics;

#[derive(Clone, Debug)]
pub(super) struct BlockedMap {
    /// `[batch, channels / 16, height, width, 16]`; of dense layers `[images, channels / 16, 1, pixels, 16]`: a dense layer
    /// is a 1x1 convolution of a few images whose pixels are the samples.
    values: Tensor<5>,
    channels: usize,
    pub(super) dense: bool,
    /// Scale, shift, mean and variance of the normalization that waits.
    norm: Option<[Tensor<1>; 4]>,
    waits: PendingOps,
    /// Mean and biased variance of the values, where they are known.
    statistics: Option<[Tensor<1>; 2]>,
}

impl BlockedMap {
    /// Values on which nothing waits.
    fn new(values: Tensor<5>, channels: usize, dense: bool) -> Self {
        Self { values, channels, dense, norm: None, waits: PendingOps::default(), statistics: None }
    }

    /// From `[batch, channels, height, width]`.
    pub(super) fn from_plain(values: Tensor<4>, dense: bool) -> Self {
        let [batch, channels, ..] = values.dims();
        let values = if dense {
            let (blocks, images) = (blocks(channels), images(batch));
            let samples = filled(values, blocks * LANES).reshape([images, batch / images, blocks, LANES]);
            samples.permute([0, 2, 1, 3]).reshape([images, blocks, 1, batch / images, LANES])
        } else {
            apply::<5>(ToBlocked, vec![values.into_dispatch()]).0
        };
        Self::new(values, channels, dense)
    }

    /// `[batch, channels, height, width]`, once nothing waits.
    pub(super) fn into_plain(self) -> Tensor<4> {
        let Self { values, channels, dense, .. } = self.materialized();
        let [batch, blocks, height, width, _] = values.dims();
        let plain = if dense {
            let samples = values.reshape([batch, blocks, width, LANES]).permute([0, 2, 1, 3]);
            samples.reshape([batch * width, blocks * LANES, 1, 1])
        } else {
            values.permute([0, 1, 4, 2, 3]).reshape([batch, blocks * LANES, height, width])
        };
        narrowed(plain, channels)
    }

    /// `[batch, channels, height, width]`.
    pub(super) fn dims(&self) -> [usize; 4] {
        let [batch, _, height, width, _] = self.values.dims();
        if self.dense { [batch * width, self.channels, 1, 1] } else { [batch, self.channels, height, width] }
    }

    /// The same values, nothing waiting.
    pub(super) fn materialized(self) -> Self {
        if self.waits.norm || self.waits.relu {
            return Self::combine([Some(self), None, None, None], Carry::Identity, false);
        }
        self
    }

    pub(super) fn relu(mut self) -> Self {
        self.waits.relu = true;
        self.statistics = None;
        self
    }

    /// The normalization with the statistics of these values, and those.
    pub(super) fn normalize_batch(self, scale: Tensor<1>, shift: Tensor<1>) -> (Self, [Tensor<1>; 2]) {
        let mut map = self.materialized();
        let known = map.statistics.take();
        let seen = known.unwrap_or_else(|| {
            let statistics = Statistics { channels: map.channels };
            let (mean, rest) = apply::<1>(statistics, vec![map.values.clone().detach().into_dispatch()]);
            [mean, rest.into_iter().next().expect("the variance")]
        });
        let [mean, variance] = seen.clone();
        map.norm = Some([scale, shift, mean, variance]);
        (map.waits.norm, map.waits.batch) = (true, true);
        (map, seen)
    }

    /// The normalization with statistics from elsewhere: scale, shift, mean and variance.
    pub(super) fn normalize(self, norm: [Tensor<1>; 4]) -> Self {
        let mut map = self.materialized();
        map.norm = Some(norm);
        (map.waits.norm, map.waits.batch, map.statistics) = (true, false, None);
        map
    }

    /// A dense layer where the samples are laid out for one, otherwise a convolution.
    pub(super) fn convolve(
        self,
        weights: Weights,
        moves: WindowOptions,
        statistics: bool,
        summand: Option<Self>,
    ) -> Self {
        let [_, _, height, width, _] = self.values.dims();
        let (shape, values) = ([self.channels, height, width], self.values.into_dispatch());
        let source = ConvInput { values, shape, planes: false, waits: self.waits, norm: self.norm };
        source.convolve(self.dense, weights, moves, statistics, summand)
    }

    /// A convolution of images in colours, `[batch, 3, height, width]`.
    pub(super) fn from_planes(
        values: Tensor<4>,
        weights: Weights,
        moves: WindowOptions,
        statistics: bool,
        summand: Option<Self>,
    ) -> Self {
        let [_, channels, height, width] = values.dims();
        let (shape, values) = ([channels, height, width], values.into_dispatch());
        let source = ConvInput { values, shape, planes: true, waits: PendingOps::default(), norm: None };
        source.convolve(false, weights, moves, statistics, summand)
    }

    /// `t·h + c·x`, from h and where they take part t, c and x.
    pub(super) fn combine(operands: [Option<Self>; 4], carry: Carry, relu: bool) -> Self {
        let waits = operands.each_ref().map(|map| map.as_ref().map(|map| map.waits));
        let (channels, dense) = operands[0].as_ref().map(|map| (map.channels, map.dense)).expect("h");
        let mut inputs = Vec::new();
        for Self { values, norm, .. } in operands.into_iter().flatten() {
            inputs.push(values.into_dispatch());
            inputs.extend(norm.into_iter().flatten().map(Tensor::into_dispatch));
        }
        let (values, _) = apply::<5>(Combine { operands: waits, carry, relu, channels }, inputs);
        Self::new(values, channels, dense)
    }

    /// `t·h + c·x` of dense layers of x. `relu`: of h, and of the sum.
    pub(super) fn dense_block(
        self,
        h: Weights,
        transform: Option<Weights>,
        carry: Option<Carry<Weights>>,
        [relu, last_relu]: [bool; 2],
    ) -> Self {
        let Self { values, channels, dense, .. } = self.materialized();
        let x = carry.is_some().then(PendingOps::default);
        let (carry, c) = carry.unwrap_or(Carry::Identity).split();
        let waits = |gate: &Option<Weights>| gate.as_ref().map(|_| PendingOps::default());
        let h_waits = PendingOps { relu, ..PendingOps::default() };
        let operands = [Some(h_waits), waits(&transform), waits(&c), x];
        let mut inputs = vec![values.into_dispatch()];
        let mut prepared = Vec::new();
        for Weights { values, bias, prepared: own, .. } in [Some(h), transform, c].into_iter().flatten() {
            inputs.extend([values.into_dispatch(), bias.expect("a bias").into_dispatch()]);
            prepared.push(own);
        }
        let mix = Combine { operands, carry, relu: last_relu, channels };
        let (values, _) = apply::<5>(DenseBlock::new(mix, prepared), inputs);
        Self::new(values, channels, dense)
    }

    /// The greatest value of every window. `ceil`: whether a last window that reaches over the edge counts.
    pub(super) fn max_pool(self, size: usize, WindowOptions { stride, padding }: WindowOptions, ceil: bool) -> Self {
        // The greatest of what a ReLU leaves is what it leaves of the greatest.
        let mut map = if self.waits.norm { self.materialized() } else { self };
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
        map
    }

    /// Every channel's average, `[batch, channels, 1, 1]`.
    pub(super) fn average(self) -> Tensor<4> {
        let Self { values, channels, .. } = self.materialized();
        let [batch, blocks, height, width, _] = values.dims();
        let sums = values.reshape([batch * blocks, height * width, LANES]).mean_dim(1);
        narrowed(sums.reshape([batch, blocks * LANES, 1, 1]), channels)
    }
}

/// What a convolution reads.
struct ConvInput {
    values: DispatchTensor,
    /// `[channels, height, width]`.
    shape: [usize; 3],
    planes: bool,
    waits: PendingOps,
    norm: Option<[Tensor<1>; 4]>,
}

impl ConvInput {
    fn convolve(
        self,
        dense: bool,
        weights: Weights,
        moves: WindowOptions,
        statistics: bool,
        summand: Option<BlockedMap>,
    ) -> BlockedMap {
        let Self { values, shape, planes, waits, norm } = self;
        let [out, _, size, _] = weights.shape;
        let conv = Conv::new(shape, out, size, moves.stride, moves.padding);
        let Weights { values: weight, bias, prepared, .. } = weights;
        let summand = summand.map(|map| if map.waits.norm { map.materialized() } else { map });
        let summand_waits = summand.as_ref().map(|map| map.waits);
        let has_bias = bias.is_some();
        let operation = Convolve { conv, planes, has_bias, waits, statistics, summand: summand_waits, prepared };
        let mut inputs = vec![values, weight.into_dispatch()];
        inputs.extend(bias.map(Tensor::into_dispatch));
        inputs.extend(norm.into_iter().flatten().map(Tensor::into_dispatch));
        inputs.extend(summand.map(|map| map.values.into_dispatch()));
        let (values, seen) = apply::<5>(operation, inputs);
        BlockedMap { statistics: seen.try_into().ok(), ..BlockedMap::new(values, out, dense) }
    }
}

/// With channels of zeros behind those that there are.
fn filled(values: Tensor<4>, all: usize) -> Tensor<4> {
    let [batch, channels, height, width] = values.dims();
    if channels == all {
        return values;
    }
    let zeros = Tensor::zeros([batch, all - channels, height, width], &values.device());
    Tensor::cat(vec![values, zeros], 1)
}

/// Without the channels that fill up the last block.
fn narrowed(values: Tensor<4>, channels: usize) -> Tensor<4> {
    if values.dims()[1] == channels { values } else { values.narrow(1, 0, channels) }
}

/// Images that so many samples of dense layers are laid out as, so that threads can share them: as many as leave each at
/// least [`FEWEST`] pixels. A number of samples that cannot be divided is one image.
fn images(samples: usize) -> usize {
    (2..=samples / FEWEST).rev().find(|&images| samples.is_multiple_of(images)).unwrap_or(1)
}

/// Fewer pixels would use the weights too seldom while they lie in registers.
const FEWEST: usize = 28;
