//! Feature maps in the blocked layout, with the operations that are pending on them.

use burn::backend::DispatchTensor;
use burn::tensor::Tensor;

use super::combine::{Carry, Combine};
use super::conv::{Conv, channel_blocks};
use super::convolve::Convolve;
use super::dense_block::DenseBlock;
use super::feature_map::{Weights, WindowOptions};
use super::layout::{FromBlocked, ToBlocked};
use super::max_pool::MaxPool;
use super::operation::apply;
use super::pending::PendingOps;
use super::simd::LANES;
use super::statistics::BatchStatistics;
use super::tuning::MIN_DENSE_SAMPLES;

/// A feature map in the blocked layout.
#[derive(Clone, Debug)]
pub(super) struct BlockedMap {
    /// `[batch, channel blocks, height, width, 16]`. For dense layers `[images, channel blocks, 1, pixels, 16]`: a dense layer is
    /// a 1x1 convolution of a few images whose pixels are the samples.
    values: Tensor<5>,
    channels: usize,
    /// Whether the values are laid out for dense layers.
    pub(super) dense: bool,
    /// Scale, shift, mean and variance of the pending normalization.
    norm: Option<[Tensor<1>; 4]>,
    pending: PendingOps,
    /// Mean and biased variance of the values, if they are known.
    statistics: Option<[Tensor<1>; 2]>,
}

impl BlockedMap {
    /// Returns values on which nothing is pending.
    fn new(values: Tensor<5>, channels: usize, dense: bool) -> Self {
        Self { values, channels, dense, norm: None, pending: PendingOps::default(), statistics: None }
    }

    /// Converts from `[batch, channels, height, width]`.
    pub(super) fn from_plain(values: Tensor<4>, dense: bool) -> Self {
        let [batch, channels, ..] = values.dims();
        let values = if dense {
            let (blocks, images) = (channel_blocks(channels), dense_images(batch));
            let samples = pad_channels(values, blocks * LANES).reshape([images, batch / images, blocks, LANES]);
            samples.permute([0, 2, 1, 3]).reshape([images, blocks, 1, batch / images, LANES])
        } else {
            apply::<5>(ToBlocked, vec![values.into_dispatch()]).0
        };
        Self::new(values, channels, dense)
    }

    /// Computes the pending operations and converts into `[batch, channels, height, width]`.
    pub(super) fn into_plain(self) -> Tensor<4> {
        let Self { values, channels, dense, .. } = self.materialized();
        let [batch, blocks, _, width, _] = values.dims();
        if dense {
            let samples = values.reshape([batch, blocks, width, LANES]).permute([0, 2, 1, 3]);
            without_padding(samples.reshape([batch * width, blocks * LANES, 1, 1]), channels)
        } else {
            apply::<4>(FromBlocked(channels), vec![values.into_dispatch()]).0
        }
    }

    /// Returns `[batch, channels, height, width]`.
    pub(super) fn dims(&self) -> [usize; 4] {
        let [batch, _, height, width, _] = self.values.dims();
        if self.dense { [batch * width, self.channels, 1, 1] } else { [batch, self.channels, height, width] }
    }

    /// Computes the pending operations.
    pub(super) fn materialized(self) -> Self {
        if self.pending.norm || self.pending.relu {
            return Self::combine([Some(self), None, None, None], Carry::Identity, false);
        }
        self
    }

    pub(super) fn relu(mut self) -> Self {
        self.pending.relu = true;
        self.statistics = None;
        self
    }

    /// Normalizes with the statistics of these values, and returns these too.
    pub(super) fn normalize_batch(self, scale: Tensor<1>, shift: Tensor<1>) -> (Self, [Tensor<1>; 2]) {
        let mut map = self.materialized();
        let known = map.statistics.take();
        let statistics = known.unwrap_or_else(|| {
            let statistics = BatchStatistics { channels: map.channels };
            let (mean, rest) = apply::<1>(statistics, vec![map.values.clone().detach().into_dispatch()]);
            [mean, rest.into_iter().next().expect("the variance")]
        });
        let [mean, variance] = statistics.clone();
        map.norm = Some([scale, shift, mean, variance]);
        (map.pending.norm, map.pending.batch) = (true, true);
        (map, statistics)
    }

    /// Normalizes with scale, shift, mean and variance.
    pub(super) fn normalize(self, norm: [Tensor<1>; 4]) -> Self {
        let mut map = self.materialized();
        map.norm = Some(norm);
        (map.pending.norm, map.pending.batch, map.statistics) = (true, false, None);
        map
    }

    /// Returns the convolution, or the dense layer if the values are laid out for one. `statistics` says whether the statistics
    /// of the result are computed, `residual` is added to it.
    pub(super) fn convolve(
        self,
        weights: Weights,
        options: WindowOptions,
        statistics: bool,
        residual: Option<Self>,
    ) -> Self {
        let [_, _, height, width, _] = self.values.dims();
        let (shape, values) = ([self.channels, height, width], self.values.into_dispatch());
        let input = ConvInput { values, shape, planes: false, pending: self.pending, norm: self.norm };
        input.convolve(self.dense, weights, options, statistics, residual)
    }

    /// Returns the convolution of color images, `[batch, 3, height, width]`.
    pub(super) fn from_planes(
        values: Tensor<4>,
        weights: Weights,
        options: WindowOptions,
        statistics: bool,
        residual: Option<Self>,
    ) -> Self {
        let [_, channels, height, width] = values.dims();
        let (shape, values) = ([channels, height, width], values.into_dispatch());
        let input = ConvInput { values, shape, planes: true, pending: PendingOps::default(), norm: None };
        input.convolve(false, weights, options, statistics, residual)
    }

    /// Returns `t·h + c·x` from h, t, c and x, as far as they take part. See [`Combine`].
    pub(super) fn combine(inputs: [Option<Self>; 4], carry: Carry, relu: bool) -> Self {
        let pending = inputs.each_ref().map(|map| map.as_ref().map(|map| map.pending));
        let (channels, dense) = inputs[0].as_ref().map(|map| (map.channels, map.dense)).expect("h");
        let mut tensors = Vec::new();
        for Self { values, norm, .. } in inputs.into_iter().flatten() {
            tensors.push(values.into_dispatch());
            tensors.extend(norm.into_iter().flatten().map(Tensor::into_dispatch));
        }
        let (values, _) = apply::<5>(Combine { pending, carry, relu, channels }, tensors);
        Self::new(values, channels, dense)
    }

    /// Returns `t·h + c·x` of dense layers of x. See [`DenseBlock`].
    pub(super) fn dense_block(
        self,
        h: Weights,
        transform: Option<Weights>,
        carry: Option<Carry<Weights>>,
        [h_relu, relu]: [bool; 2],
    ) -> Self {
        let Self { values, channels, dense, .. } = self.materialized();
        let x = carry.is_some().then(PendingOps::default);
        let (carry, c) = carry.unwrap_or(Carry::Identity).split();
        let gate = |gate: &Option<Weights>| gate.as_ref().map(|_| PendingOps::default());
        let h_pending = PendingOps { relu: h_relu, ..PendingOps::default() };
        let pending = [Some(h_pending), gate(&transform), gate(&c), x];
        let mut inputs = vec![values.into_dispatch()];
        let mut all_packed = Vec::new();
        for Weights { values, bias, packed, .. } in [Some(h), transform, c].into_iter().flatten() {
            inputs.extend([values.into_dispatch(), bias.expect("a bias").into_dispatch()]);
            all_packed.push(packed);
        }
        let combine = Combine { pending, carry, relu, channels };
        let (values, _) = apply::<5>(DenseBlock::new(combine, all_packed), inputs);
        Self::new(values, channels, dense)
    }

    /// Returns the maximum of every window. With `ceil`, a last window that is partly outside counts too.
    pub(super) fn max_pool(self, size: usize, options: WindowOptions, ceil: bool) -> Self {
        // Maximum and ReLU commute, so that a ReLU may stay pending.
        let mut map = if self.pending.norm { self.materialized() } else { self };
        let WindowOptions { stride, padding } = options;
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

    /// Returns the average of every channel, `[batch, channels, 1, 1]`.
    pub(super) fn average(self) -> Tensor<4> {
        let Self { values, channels, .. } = self.materialized();
        let [batch, blocks, height, width, _] = values.dims();
        let means = values.reshape([batch * blocks, height * width, LANES]).mean_dim(1);
        without_padding(means.reshape([batch, blocks * LANES, 1, 1]), channels)
    }
}

/// The input of a convolution.
struct ConvInput {
    values: DispatchTensor,
    /// `[channels, height, width]`.
    shape: [usize; 3],
    /// Whether the values are color images in Burn's layout.
    planes: bool,
    pending: PendingOps,
    norm: Option<[Tensor<1>; 4]>,
}

impl ConvInput {
    fn convolve(
        self,
        dense: bool,
        weights: Weights,
        options: WindowOptions,
        statistics: bool,
        residual: Option<BlockedMap>,
    ) -> BlockedMap {
        let Self { values, shape, planes, pending, norm } = self;
        let [out, _, size, _] = weights.shape;
        let conv = Conv::new(shape, out, size, options.stride, options.padding);
        let Weights { values: weight, bias, packed, .. } = weights;
        let residual = residual.map(|map| if map.pending.norm { map.materialized() } else { map });
        let operation = Convolve {
            conv,
            planes,
            has_bias: bias.is_some(),
            pending,
            statistics,
            residual: residual.as_ref().map(|map| map.pending),
            packed,
        };
        let mut inputs = vec![values, weight.into_dispatch()];
        inputs.extend(bias.map(Tensor::into_dispatch));
        inputs.extend(norm.into_iter().flatten().map(Tensor::into_dispatch));
        inputs.extend(residual.map(|map| map.values.into_dispatch()));
        let (values, statistics) = apply::<5>(operation, inputs);
        BlockedMap { statistics: statistics.try_into().ok(), ..BlockedMap::new(values, out, dense) }
    }
}

/// Appends channels of zeros up to `padded` channels.
fn pad_channels(values: Tensor<4>, padded: usize) -> Tensor<4> {
    let [batch, channels, height, width] = values.dims();
    if channels == padded {
        return values;
    }
    let zeros = Tensor::zeros([batch, padded - channels, height, width], &values.device());
    Tensor::cat(vec![values, zeros], 1)
}

/// Removes the channels that pad the last channel block.
fn without_padding(values: Tensor<4>, channels: usize) -> Tensor<4> {
    if values.dims()[1] == channels { values } else { values.narrow(1, 0, channels) }
}

/// Returns the number of images that the samples of dense layers are laid out as, so that threads can share them: as many as
/// leave each at least [`MIN_DENSE_SAMPLES`] samples. Samples that cannot be divided equally are one image.
fn dense_images(samples: usize) -> usize {
    (2..=samples / MIN_DENSE_SAMPLES).rev().find(|&images| samples.is_multiple_of(images)).unwrap_or(1)
}
