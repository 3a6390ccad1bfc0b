//! The shortcut of a block: what its skip connection computes.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::body::forward_layer_norm;
use super::{
    ActivationOrder, BatchNorm, Body, BodyConfig, ForwardContext, Init, Layer, NetworkBuilder, ReceptiveField, Shape,
    Shortcut, WeightForm, Window,
};
use crate::kernel::{Epilogue, FeatureMap, Kernels, Weights, WindowOptions};
use crate::{Error, Result};

/// The shortcut of blocks that change the shape (He et al. 2015, options A and B). All other shortcuts are the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShortcutOption {
    /// Every stride-th pixel, with channels of zeros for those that are new (option A).
    ZeroPadding,
    /// A 1x1 convolution, normalized if the body is (option B).
    Projection,
    /// The same of the average over windows of the stride, so that no pixel is passed over (He et al. 2019, ResNet-D).
    PooledProjection,
}

/// The layers of a shortcut.
#[derive(Clone, Debug)]
pub(super) enum ShortcutLayers {
    Identity,
    ZeroPadding {
        stride: usize,
        channels: usize,
    },
    Projection(Layer, Option<BatchNorm>),
    /// No shortcut, as in a plain block that changes the shape.
    None,
}

impl ShortcutLayers {
    /// Builds the shortcut of a block that changes the shape from `input` to `output`.
    ///
    /// # Errors
    /// [`Error::Config`] if the option cannot make this change.
    pub(super) fn new(
        builder: &mut NetworkBuilder,
        [input, output]: [Shape; 2],
        body: &BodyConfig,
        option: ShortcutOption,
    ) -> Result<Self> {
        let stride = body.stride;
        match option {
            ShortcutOption::ZeroPadding if output[0] >= input[0] => {
                Ok(Self::ZeroPadding { stride, channels: output[0] })
            }
            ShortcutOption::ZeroPadding => Err(Error::config(
                "model.shortcut",
                format!("zero-padding cannot reduce {} channels to {}; use 'projection'", input[0], output[0]),
            )),
            ShortcutOption::Projection | ShortcutOption::PooledProjection => builder.scope("shortcut", |b| {
                // In pre-activation order the input of the projection is normalized already.
                let norm = body.norm && body.order == ActivationOrder::Post;
                let bias = (!body.norm).then_some(0.0);
                let is_pooled = option == ShortcutOption::PooledProjection && stride > 1;
                let (size, form) = if is_pooled { (stride, WeightForm::Averaged) } else { (1, WeightForm::Full) };
                let window = Some(Window { size, stride, padding: 0 });
                let init = Init::He(std::f64::consts::FRAC_1_SQRT_2);
                let (layer, found) = b.add_layer_of_form(input, output[0], window, form, init, bias)?;
                if found != output {
                    // A window that reaches over the edge would be an average of fewer pixels.
                    let even = vec![input[0], stride * output[1], stride * output[2]];
                    return Err(Error::Shape { name: "shortcut".into(), found: input.to_vec(), expected: even });
                }
                let norm = norm.then(|| b.scope("norm", |b| Ok(b.add_batch_norm(output[0], 0.0)))).transpose()?;
                Ok(Self::Projection(layer, norm))
            }),
        }
    }

    /// Computes the shortcut for the input `x` of a block with this body; `None` if there is none.
    pub(super) fn forward(&self, context: &mut ForwardContext, body: &Body, x: FeatureMap) -> Option<FeatureMap> {
        match self {
            Self::Identity => Some(x),
            Self::None => None,
            Self::ZeroPadding { stride, channels } => {
                let parameters = context.parameters;
                Some(zero_pad(x, *stride, *channels, parameters.kernels(), parameters.device()))
            }
            Self::Projection(layer, norm) => {
                let x = body.preactivate(context, x);
                Some(forward_layer_norm(layer, norm, context, x, None))
            }
        }
    }

    /// Returns the receptive field of an output from that of an input, where `None` stands for the whole sample. The outer
    /// `None` means that there is no shortcut.
    pub(super) fn receptive_field(&self, input: Option<ReceptiveField>) -> Option<Option<ReceptiveField>> {
        match self {
            Self::Identity => Some(input),
            Self::ZeroPadding { stride, .. } => {
                let window = Window { size: 1, stride: *stride, padding: 0 };
                Some(input.map(|field| field.after_window(window)))
            }
            Self::Projection(layer, _) => Some(layer.receptive_field(input)),
            Self::None => None,
        }
    }

    /// Returns the shortcut's entry in an outline.
    pub(super) fn outline(&self) -> Shortcut {
        match self {
            Self::Identity => Shortcut::Identity,
            Self::ZeroPadding { .. } => Shortcut::ZeroPadding,
            Self::Projection(..) => Shortcut::Projection,
            Self::None => Shortcut::None,
        }
    }
}

/// Takes every stride-th pixel and adds channels of zeros, half of them before and half after the existing ones, as the
/// PyTorch implementations do. It is computed as a projection whose weights are ones and zeros.
fn zero_pad(x: FeatureMap, stride: usize, channels: usize, kernels: Kernels, device: &Device) -> FeatureMap {
    let inputs = x.dims()[1];
    let before = (channels - inputs) / 2;
    let mut weight = vec![0.0f32; channels * inputs];
    (0..inputs).for_each(|c| weight[(before + c) * inputs + c] = 1.0);
    let weight = Tensor::from_data(TensorData::new(weight, [channels * inputs]), device);
    x.convolve(
        kernels,
        Weights::new(weight, [channels, inputs, 1, 1], None),
        WindowOptions { stride, padding: 0 },
        Epilogue::None,
    )
}
