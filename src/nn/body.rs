//! The body of a block: the few layers that compute its new value `h`. A gate is a body that ends in a sigmoid.

use serde::{Deserialize, Serialize};

use super::ReceptiveField;
use super::{BatchNorm, ForwardContext, Init, Layer, NetworkBuilder, Shape, WeightForm, Window};
use crate::Result;
use crate::kernel::{FeatureMap, Weights};

/// The layers of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyKind {
    /// One dense layer.
    Dense,
    /// One 3x3 convolution.
    Conv,
    /// Two 3x3 convolutions (He et al. 2015).
    Basic,
    /// 1x1, 3x3 and 1x1 convolutions, the first two with fewer channels, usually a quarter (He et al. 2015).
    Bottleneck,
}

impl BodyKind {
    /// Returns the number of layers.
    pub fn layer_count(self) -> usize {
        match self {
            Self::Dense | Self::Conv => 1,
            Self::Basic => 2,
            Self::Bottleneck => 3,
        }
    }

    /// Returns the number of output channels for each channel of the configured width, as `expansion` in torchvision.
    pub fn expansion(self) -> usize {
        if self == Self::Bottleneck { 4 } else { 1 }
    }
}

/// The position of normalization and ReLU relative to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActivationOrder {
    /// After each layer (He et al. 2015).
    Post,
    /// Before each layer (He et al. 2016).
    Pre,
}

/// The layers of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateKind {
    /// The layers of the body, so that the gate has the receptive field of H (Section 5.1).
    #[serde(rename = "body")]
    Body,
    /// One 1x1 convolution (He et al. 2016), or one dense layer if the body is dense.
    #[serde(rename = "1x1")]
    Pointwise,
}

/// The configuration of a [`Body`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BodyConfig {
    /// The layers.
    pub kind: BodyKind,
    /// Number of output channels.
    pub out: usize,
    /// Number of channels of the 3x3 convolution of a bottleneck.
    pub narrow: usize,
    /// Number of groups of channels of the 3x3 convolution of a bottleneck.
    pub groups: usize,
    /// Stride of the one convolution that may reduce height and width.
    pub stride: usize,
    /// Whether every layer has a batch normalization.
    pub norm: bool,
    /// Position of normalization and ReLU.
    pub order: ActivationOrder,
    /// Factor on the standard deviation of the last layer's initial weights.
    pub scale: f64,
}

/// Output channels of a layer, its window unless it is dense, and the form of its weights.
type LayerShape = (usize, Option<Window>, WeightForm);

impl BodyConfig {
    fn layers(&self) -> Vec<LayerShape> {
        let conv = |out, size, stride| (out, Some(Window::same(size, stride)), WeightForm::Full);
        match self.kind {
            BodyKind::Dense => vec![(self.out, None, WeightForm::Full)],
            BodyKind::Conv => vec![conv(self.out, 3, self.stride)],
            BodyKind::Basic => vec![conv(self.out, 3, self.stride), conv(self.out, 3, 1)],
            BodyKind::Bottleneck => {
                let form = if self.groups > 1 { WeightForm::Grouped(self.groups) } else { WeightForm::Full };
                let middle = (self.narrow, Some(Window::same(3, self.stride)), form);
                vec![conv(self.narrow, 1, 1), middle, conv(self.out, 1, 1)]
            }
        }
    }
}

/// A sequence of layers, each with its normalization.
#[derive(Clone, Debug)]
pub struct Body {
    layers: Vec<(Layer, Option<BatchNorm>)>,
    order: ActivationOrder,
    last: LastActivation,
}

/// The activation after the last layer of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastActivation {
    None,
    Relu,
    /// The sigmoid of a gate. [`Body::forward`] returns its input: it is computed where the gate is applied.
    Sigmoid,
}

impl Body {
    /// Builds the body of a block, with or without a ReLU after its last layer; returns the shape of `h` too.
    pub(crate) fn new(
        builder: &mut NetworkBuilder,
        input: Shape,
        config: &BodyConfig,
        has_last_relu: bool,
    ) -> Result<(Self, Shape)> {
        let last = if has_last_relu { LastActivation::Relu } else { LastActivation::None };
        Self::from_layers(builder, input, config, config.layers(), last, 0.0)
    }

    /// Builds a gate for a block with the body `config`. `bias` is the initial value of the gate's bias: the last bias or
    /// normalization shift before its sigmoid.
    pub(crate) fn gate(
        builder: &mut NetworkBuilder,
        input: Shape,
        config: &BodyConfig,
        kind: GateKind,
        bias: f32,
    ) -> Result<Self> {
        let (layers, config) = match kind {
            GateKind::Body => (config.layers(), *config),
            GateKind::Pointwise => {
                let window = (config.kind != BodyKind::Dense).then(|| Window::same(1, config.stride));
                let bare = BodyConfig { norm: false, order: ActivationOrder::Post, ..*config };
                (vec![(config.out, window, WeightForm::Full)], bare)
            }
        };
        Ok(Self::from_layers(builder, input, &config, layers, LastActivation::Sigmoid, bias)?.0)
    }

    fn from_layers(
        builder: &mut NetworkBuilder,
        input: Shape,
        config: &BodyConfig,
        layers: Vec<LayerShape>,
        last: LastActivation,
        last_bias: f32,
    ) -> Result<(Self, Shape)> {
        let mut shape = input;
        let mut built = Vec::new();
        let count = layers.len();
        for (k, (out, window, form)) in layers.into_iter().enumerate() {
            let is_last = k + 1 == count;
            let start = if is_last { last_bias } else { 0.0 };
            let init = match last {
                LastActivation::Sigmoid if is_last => Init::Glorot,
                LastActivation::Sigmoid => Init::He(1.0),
                _ if is_last => Init::He(config.scale),
                _ => Init::He(1.0),
            };
            // A normalization would subtract the bias of the layer before it. In pre-activation order nothing follows the
            // last layer of a gate that could hold the gate's bias, so this layer keeps one.
            let is_normalized = config.norm && config.order == ActivationOrder::Post;
            let is_gate_output = last == LastActivation::Sigmoid && is_last && !is_normalized;
            let has_bias = !config.norm || is_gate_output;
            let unit = builder.scope(format!("layer{}", k + 1), |b| {
                let before = (config.norm && config.order == ActivationOrder::Pre)
                    .then(|| b.scope("norm", |b| Ok(b.add_batch_norm(shape[0], 0.0))));
                let bias = has_bias.then_some(start);
                let (layer, output) = b.add_layer_of_form(shape, out, window, form, init, bias)?;
                shape = output;
                let after = is_normalized.then(|| b.scope("norm", |b| Ok(b.add_batch_norm(shape[0], start))));
                Ok((layer, before.or(after).transpose()?))
            })?;
            built.push(unit);
        }
        let body = Self { layers: built, order: config.order, last };
        Ok((body, shape))
    }

    /// Computes `h` from `[batch, channels, height, width]`; for a gate, the input of its sigmoid.
    pub fn forward(&self, context: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        self.run(context, x, None)
    }

    /// Computes `h + addend`. [`Body::can_add`] must hold.
    pub(crate) fn forward_add(&self, context: &mut ForwardContext, x: FeatureMap, addend: FeatureMap) -> FeatureMap {
        self.run(context, x, Some(addend))
    }

    /// Whether the last layer can add a value as it writes `h`: whatever follows it is folded into its weights.
    pub(crate) fn can_add(&self, context: &ForwardContext) -> bool {
        let is_folded = self.order == ActivationOrder::Pre || !context.is_training();
        self.last == LastActivation::None && (is_folded || self.layers.iter().all(|(_, norm)| norm.is_none()))
    }

    fn run(&self, context: &mut ForwardContext, x: FeatureMap, mut addend: Option<FeatureMap>) -> FeatureMap {
        let mut y = x;
        for (k, (layer, norm)) in self.layers.iter().enumerate() {
            let is_last = k + 1 == self.layers.len();
            let addend = addend.take_if(|_| is_last);
            if self.order == ActivationOrder::Pre {
                y = normalize(norm, context, y).relu();
                y = layer.forward_add(context, y, addend);
            } else {
                y = forward_layer_norm(layer, norm, context, y, addend);
                if !is_last {
                    y = y.relu();
                }
            }
        }
        match self.last {
            LastActivation::None | LastActivation::Sigmoid => y,
            LastActivation::Relu => y.relu(),
        }
    }

    /// Returns the weights if the body is a single dense layer with a bias and nothing before it.
    pub(crate) fn dense_weights(&self, context: &ForwardContext) -> Option<Weights> {
        match self.layers.as_slice() {
            [(layer, None)] if self.order == ActivationOrder::Post => layer.dense_weights(context),
            _ => None,
        }
    }

    /// Returns the receptive field of a unit of `h` from that of a unit of the input; `None` stands for the whole sample.
    pub fn receptive_field(&self, input: Option<ReceptiveField>) -> Option<ReceptiveField> {
        self.layers.iter().fold(input, |field, (layer, _)| layer.receptive_field(field))
    }

    /// Returns a description of the layers, such as `3x3 16 · 3x3 16`.
    pub fn describe(&self) -> String {
        let names: Vec<String> = self.layers.iter().map(|(layer, _)| layer.describe()).collect();
        names.join(" · ")
    }

    /// Computes the input of a projection shortcut. It is the input of the body's first layer: `x`, which a pre-activation
    /// body normalizes and passes through a ReLU (He et al. 2016).
    pub(crate) fn preactivate(&self, context: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        match self.order {
            ActivationOrder::Post => x,
            // The statistics of this normalization are recorded where the body itself runs.
            ActivationOrder::Pre => normalize(&self.layers[0].1, &mut context.without_statistics(), x).relu(),
        }
    }
}

/// Computes a layer and its normalization, if it has one, plus `addend` where [`Body::can_add`].
pub(crate) fn forward_layer_norm(
    layer: &Layer,
    norm: &Option<BatchNorm>,
    context: &mut ForwardContext,
    x: FeatureMap,
    addend: Option<FeatureMap>,
) -> FeatureMap {
    match norm {
        Some(norm) => layer.forward_norm_add(context, x, norm, addend),
        None => layer.forward_add(context, x, addend),
    }
}

/// Applies a normalization, if there is one.
pub(crate) fn normalize(norm: &Option<BatchNorm>, context: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
    match norm {
        Some(norm) => norm.forward(context, x),
        None => x,
    }
}
