//! Convolution and batch normalization of the reference kernels: Burn's operations, with gradients that graphics cards compute
//! fast.
//!
//! Burn's own gradients suit a card when its kernels are tuned. Tuning chooses anew in every process, and other kernels round
//! differently, so it is off here. Then the gradient of a weight is one serial sum over all pixels of all samples, and so is every
//! sum of a normalization. Here the first is a matrix product for each sample, and the second is taken in two steps.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::ops::{ConvOptions, PadMode};
use burn::tensor::{Shape, Tensor};

use super::feature_map::WindowOptions;
use super::norm::EPSILON;

/// Returns the convolution of `[batch, in, height, width]` with weights `[out, in, rows, columns]`.
pub(super) fn convolve(x: Tensor<4>, weight: Tensor<4>, options: WindowOptions) -> Tensor<4> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as ReferenceBackend>::convolution(x, weight, options))
}

/// Normalizes every channel of `[batch, channels, height, width]` with the statistics of the batch. Returns also these statistics,
/// mean and biased variance, `[channels]` each, which carry no gradient.
pub(super) fn normalize(x: Tensor<4>, scale: Tensor<1>, shift: Tensor<1>) -> (Tensor<4>, [Tensor<1>; 2]) {
    let inputs = (x.into_dispatch(), scale.into_dispatch(), shift.into_dispatch());
    let outputs = <Dispatch as ReferenceBackend>::normalization(inputs.0, inputs.1, inputs.2);
    let [y, mean, variance] = outputs.try_into().expect("values, mean and variance");
    (Tensor::from_dispatch(y), [mean, variance].map(Tensor::from_dispatch))
}

/// The extension of Burn's backends by operations with gradients of their own.
#[backend_extension(Flex, Cube: cfg(feature = "wgpu"), Autodiff)]
pub(super) trait ReferenceBackend: Backend {
    /// See [`convolve`].
    fn convolution(x: FloatTensor<Self>, weight: FloatTensor<Self>, options: WindowOptions) -> FloatTensor<Self> {
        Self::conv2d(x, weight, None, options.into())
    }

    /// See [`normalize`].
    fn normalization(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
    ) -> Vec<FloatTensor<Self>> {
        let channels = x.shape()[1];
        let mean = mean_of_channels::<Self>(x.clone());
        let deviations = Self::float_sub(x.clone(), for_each_channel::<Self>(mean.clone(), channels));
        let variance = mean_of_channels::<Self>(Self::float_mul(deviations.clone(), deviations));
        let y = Self::batch_norm(x, scale, shift, mean.clone(), variance.clone(), EPSILON);
        vec![y, mean, variance]
    }
}

impl ReferenceBackend for Flex {}
#[cfg(feature = "wgpu")]
impl ReferenceBackend for burn::backend::Cube {}

impl<B: ReferenceBackend, C: CheckpointStrategy> ReferenceBackend for Autodiff<B, C> {
    fn convolution(x: FloatTensor<Self>, weight: FloatTensor<Self>, options: WindowOptions) -> FloatTensor<Self> {
        let ((x, x_guard), (weight, weight_guard)) = (x.into_parts(), weight.into_parts());
        let y = B::convolution(x.clone(), weight.clone(), options);
        let step = <Convolution as Backward<B, 2>>::prepare::<C>(Convolution, [x_guard, weight_guard]);
        match step.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, weight, options), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn normalization(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
    ) -> Vec<FloatTensor<Self>> {
        let ((x, x_guard), (scale, scale_guard), (shift, shift_guard)) =
            (x.into_parts(), scale.into_parts(), shift.into_parts());
        let outputs = B::normalization(x.clone(), scale.clone(), shift);
        let [y, mean, variance] = outputs.try_into().expect("values, mean and variance");
        let guards = [x_guard, scale_guard, shift_guard];
        let step = <Normalization as Backward<B, 3>>::prepare::<C>(Normalization, guards);
        let y = match step.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, scale, mean.clone(), variance.clone()), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        };
        let [mean, variance] = [mean, variance].map(<Self as AutodiffBackend>::from_inner);
        vec![y, mean, variance]
    }
}

/// The backward step of a convolution.
#[derive(Debug)]
struct Convolution;

impl<B: ReferenceBackend> Backward<B, 2> for Convolution {
    /// Input, weights and options.
    type State = (FloatTensor<B>, FloatTensor<B>, WindowOptions);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let ((x, weight, options), [x_node, weight_node]) = (ops.state, ops.parents);
        let shape = weight.shape();
        if let Some(node) = x_node {
            let of_x = B::conv2d_x_backward(x.clone(), weight, gradient.clone(), options.into());
            gradients.register::<B>(node.id, of_x);
        }
        if let Some(node) = weight_node {
            gradients.register::<B>(node.id, weight_gradient::<B>(x, shape, gradient, options));
        }
    }
}

/// Returns the gradient with respect to weights of this shape: of every sample the product of the output's gradient,
/// `[out, pixels]`, and what the windows saw, `[pixels, window·in]`, summed over the samples.
fn weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    shape: Shape,
    gradient: FloatTensor<B>,
    WindowOptions { stride, padding }: WindowOptions,
) -> FloatTensor<B> {
    let [out, channels, rows, columns] = [0, 1, 2, 3].map(|dim| shape[dim]);
    let [x, gradient] = [x, gradient].map(channels_last::<B>);
    let [batch, height, width] = [0, 1, 2].map(|dim| gradient.shape()[dim]);
    let x = match padding {
        0 => x,
        _ => B::float_pad(x, &[(0, 0), (padding, padding), (padding, padding), (0, 0)], PadMode::Constant(0.0)),
    };
    // A view, `[batch, height, width, in, rows, columns]`, until it is reshaped.
    let seen = B::float_unfold(B::float_unfold(x, 1, rows, stride), 2, columns, stride);
    let seen = B::float_permute(seen, &[0, 1, 2, 4, 5, 3]);
    let seen = B::float_reshape(seen, Shape::new([batch, height * width, rows * columns * channels]));
    let gradient = B::float_reshape(gradient, Shape::new([batch, height * width, out]));
    let products = B::float_matmul(B::float_swap_dims(gradient, 1, 2), seen);
    let sum = B::float_reshape(B::float_sum_dim(products, 0), Shape::new([out, rows, columns, channels]));
    B::float_permute(sum, &[0, 3, 1, 2])
}

/// The backward step of a normalization.
#[derive(Debug)]
struct Normalization;

impl<B: ReferenceBackend> Backward<B, 3> for Normalization {
    /// Input, scale, mean and variance.
    type State = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

    /// With `n = (x - mean) / deviation` and the gradient g: `Σ g·n` for the scale, `Σ g` for the shift, and for the input
    /// `scale / deviation · (g - mean(g) - n·mean(g·n))`.
    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (x, scale, mean, variance) = ops.state;
        let (channels, count) = (x.shape()[1], values_of_a_channel(&x.shape()) as f32);
        let each = |of_channels| for_each_channel::<B>(of_channels, channels);
        let factor = B::float_recip(B::float_sqrt(B::float_add_scalar(variance, EPSILON.into())));
        let n = B::float_mul(B::float_sub(x, each(mean)), each(factor.clone()));
        let of_shift = sum_of_channels::<B>(gradient.clone());
        let of_scale = sum_of_channels::<B>(B::float_mul(gradient.clone(), n.clone()));
        let [x_node, scale_node, shift_node] = ops.parents;
        if let Some(node) = x_node {
            let mean = |sum: &FloatTensor<B>| each(B::float_div_scalar(sum.clone(), count.into()));
            let projection = B::float_mul(n, mean(&of_scale));
            let inner = B::float_sub(B::float_sub(gradient, mean(&of_shift)), projection);
            gradients.register::<B>(node.id, B::float_mul(each(B::float_mul(scale, factor)), inner));
        }
        for (node, gradient) in [(scale_node, of_scale), (shift_node, of_shift)] {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Returns `[batch, height, width, channels]`, in which order Burn's convolutions leave their outputs in memory.
fn channels_last<B: Backend>(values: FloatTensor<B>) -> FloatTensor<B> {
    B::float_permute(values, &[0, 2, 3, 1])
}

/// Returns `[1, channels, 1, 1]`.
fn for_each_channel<B: Backend>(of_channels: FloatTensor<B>, channels: usize) -> FloatTensor<B> {
    B::float_reshape(of_channels, Shape::new([1, channels, 1, 1]))
}

/// Returns the number of values of each channel.
fn values_of_a_channel(shape: &Shape) -> usize {
    shape[0] * shape[2] * shape[3]
}

/// Returns the mean of every channel, `[channels]`.
fn mean_of_channels<B: Backend>(values: FloatTensor<B>) -> FloatTensor<B> {
    let count = values_of_a_channel(&values.shape()) as f32;
    B::float_div_scalar(sum_of_channels::<B>(values), count.into())
}

/// Returns the sum of every channel, `[channels]`: of about √values parts each, and then of these.
fn sum_of_channels<B: Backend>(values: FloatTensor<B>) -> FloatTensor<B> {
    let (channels, count) = (values.shape()[1], values_of_a_channel(&values.shape()));
    let parts = (1..=count.isqrt()).rev().find(|parts| count.is_multiple_of(*parts)).unwrap_or(1);
    let values = B::float_reshape(channels_last::<B>(values), Shape::new([parts, count / parts, channels]));
    let of_parts = B::float_reshape(B::float_sum_dim(values, 1), Shape::new([parts, channels]));
    B::float_reshape(B::float_sum_dim(of_parts, 0), Shape::new([channels]))
}

impl From<WindowOptions> for ConvOptions<2> {
    fn from(WindowOptions { stride, padding }: WindowOptions) -> Self {
        Self::new([stride; 2], [padding; 2], [1; 2], 1)
    }
}
