//! The body of a block: the few layers that compute its new value `h`; gates are bodies that end in a sigmoid.

use serde::{Deserialize, Serialize};

use super::ReceptiveField;
use super::{Builder, ForwardContext, Init, Layer, Norm, Shape, Window};
use crate::Result;
use crate::kernel::{FeatureMap, Weights};

/// Which layers a body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyKind {
    /// One dense layer.
    Dense,
    /// One 3x3 convolution.
    Conv,
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 and 1x1 convolutions, the first two with a quarter of the channels.
    Bottleneck,
}

impl BodyKind {
    /// How many layers.
    pub fn layers(self) -> usize {
        match self {
            Self::Dense | Self::Conv => 1,
            Self::Basic => 2,
            Self::Bottleneck => 3,
        }
    }

    /// Channels that come out over those that the configuration's width names.
    pub fn spread(self) -> usize {
        if self == Self::Bottleneck { 4 } else { 1 }
    }
}

/// Where normalization and ReLU stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// After each layer (He et al. 2015).
    Post,
    /// Before each layer (He et al. 2016).
    Pre,
}

/// Which layers a gate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateKind {
    /// The layers of the body: the receptive field of H (Section 5.1).
    #[serde(rename = "body")]
    Body,
    /// One 1x1 convolution (He et al. 2016), or the dense layer of a dense body.
    #[serde(rename = "1x1")]
    Pointwise,
}

/// What a body is built from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BodyConfig {
    /// Which layers.
    pub kind: BodyKind,
    /// Channels that come out.
    pub out: usize,
    /// Step of the one convolution that may reduce height and width.
    pub stride: usize,
    /// Whether every layer has a batch normalization.
    pub norm: bool,
    /// Where normalization and ReLU stand.
    pub order: Order,
    /// Factor on the deviation of the last layer's initial weights.
    pub scale: f64,
}

impl BodyConfig {
    /// Channels out and window of each layer. A bottleneck strides in its 3x3 convolution.
    fn layers(&self) -> Vec<(usize, Option<Window>)> {
        let conv = |out, size, stride| (out, Some(Window::same(size, stride)));
        match self.kind {
            BodyKind::Dense => vec![(self.out, None)],
            BodyKind::Conv => vec![conv(self.out, 3, self.stride)],
            BodyKind::Basic => vec![conv(self.out, 3, self.stride), conv(self.out, 3, 1)],
            BodyKind::Bottleneck => {
                let narrow = (self.out / 4).max(1);
                vec![conv(narrow, 1, 1), conv(narrow, 3, self.stride), conv(self.out, 1, 1)]
            }
        }
    }
}

/// Layers in a row, each with its normalization.
#[derive(Clone, Debug)]
pub struct Body {
    layers: Vec<(Layer, Option<Norm>)>,
    order: Order,
    last: Last,
}

/// What stands after the last layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Nothing,
    Relu,
    Sigmoid,
}

impl Body {
    /// The body of a block, with a ReLU at its very end or not.
    pub(crate) fn new(
        builder: &mut Builder,
        input: Shape,
        plan: &BodyConfig,
        last_relu: bool,
    ) -> Result<(Self, Shape)> {
        let last = if last_relu { Last::Relu } else { Last::Nothing };
        Self::with(builder, input, plan, plan.layers(), last, 0.0)
    }

    /// A gate for a block with that body. Its bias, the last shift or bias before the sigmoid, starts at `bias`.
    pub(crate) fn gate(
        builder: &mut Builder,
        input: Shape,
        plan: &BodyConfig,
        kind: GateKind,
        bias: f32,
    ) -> Result<Self> {
        let (layers, plan) = match kind {
            GateKind::Body => (plan.layers(), *plan),
            GateKind::Pointwise => {
                let window = (plan.kind != BodyKind::Dense).then(|| Window::same(1, plan.stride));
                let bare = BodyConfig { norm: false, order: Order::Post, ..*plan };
                (vec![(plan.out, window)], bare)
            }
        };
        Ok(Self::with(builder, input, &plan, layers, Last::Sigmoid, bias)?.0)
    }

    fn with(
        builder: &mut Builder,
        input: Shape,
        plan: &BodyConfig,
        layers: Vec<(usize, Option<Window>)>,
        last: Last,
        last_bias: f32,
    ) -> Result<(Self, Shape)> {
        let mut shape = input;
        let mut built = Vec::new();
        let count = layers.len();
        for (k, (out, window)) in layers.into_iter().enumerate() {
            let is_last = k + 1 == count;
            let start = if is_last { last_bias } else { 0.0 };
            let init = match last {
                Last::Sigmoid if is_last => Init::Glorot,
                Last::Sigmoid => Init::He(1.0),
                _ if is_last => Init::He(plan.scale),
                _ => Init::He(1.0),
            };
            // A bias before a normalization would be subtracted again. In pre-order the last layer of a gate has
            // nothing after it that could hold the gate's bias.
            let normalized_after = plan.norm && plan.order == Order::Post;
            let has_bias = !plan.norm || (last == Last::Sigmoid && is_last && !normalized_after);
            let unit = builder.within(format!("layer{}", k + 1), |b| {
                let before =
                    (plan.norm && plan.order == Order::Pre).then(|| b.within("norm", |b| Ok(b.norm(shape[0], 0.0))));
                let (layer, output) = b.layer(shape, out, window, init, has_bias.then_some(start))?;
                shape = output;
                let after = normalized_after.then(|| b.within("norm", |b| Ok(b.norm(shape[0], start))));
                Ok((layer, before.or(after).transpose()?))
            })?;
            built.push(unit);
        }
        let body = Self { layers: built, order: plan.order, last };
        Ok((body, shape))
    }

    /// `[batch, channels, height, width]` to the shape of `h`; of a gate what its sigmoid takes.
    pub fn forward(&self, pass: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        self.run(pass, x, None)
    }

    /// `h + onto`, in a pass for which [`Self::can_add`].
    pub(crate) fn onto(&self, pass: &mut ForwardContext, x: FeatureMap, onto: FeatureMap) -> FeatureMap {
        self.run(pass, x, Some(onto))
    }

    /// Whether the last layer can take a sum as it writes `h`: nothing stands behind it that is not folded into it.
    pub(crate) fn can_add(&self, pass: &ForwardContext) -> bool {
        let is_folded = self.order == Order::Pre || !pass.is_training();
        self.last == Last::Nothing && (is_folded || self.layers.iter().all(|(_, norm)| norm.is_none()))
    }

    fn run(&self, pass: &mut ForwardContext, x: FeatureMap, mut onto: Option<FeatureMap>) -> FeatureMap {
        let mut y = x;
        for (k, (layer, norm)) in self.layers.iter().enumerate() {
            let is_last = k + 1 == self.layers.len();
            let onto = onto.take_if(|_| is_last);
            if self.order == Order::Pre {
                y = normalize(norm, pass, y).relu();
                y = layer.onto(pass, y, onto);
            } else {
                y = layer_and_norm(layer, norm, pass, y, onto);
                if !is_last {
                    y = y.relu();
                }
            }
        }
        match self.last {
            Last::Nothing | Last::Sigmoid => y,
            Last::Relu => y.relu(),
        }
    }

    /// The weights of what is one dense layer, and nothing before it.
    pub(crate) fn dense(&self, pass: &ForwardContext) -> Option<Weights> {
        match self.layers.as_slice() {
            [(layer, None)] if self.order == Order::Post => layer.dense(pass),
            _ => None,
        }
    }

    /// What a unit of `h` sees, from what a unit of the input sees; `None` is all of a sample.
    pub fn field(&self, input: Option<ReceptiveField>) -> Option<ReceptiveField> {
        self.layers.iter().fold(input, |field, (layer, _)| layer.field(field))
    }

    /// Such as `3x3 16 · 3x3 16`.
    pub fn describe(&self) -> String {
        let names: Vec<String> = self.layers.iter().map(|(layer, _)| layer.describe()).collect();
        names.join(" · ")
    }

    /// The normalization that a pre-activation body starts with; its output goes to a projection too (He et al. 2016).
    pub(crate) fn first_norm(&self) -> Option<&Norm> {
        self.layers[0].1.as_ref().filter(|_| self.order == Order::Pre)
    }
}

/// A layer and its normalization where there is one, and the sum with `onto` where [`Body::can_add`].
pub(crate) fn layer_and_norm(
    layer: &Layer,
    norm: &Option<Norm>,
    pass: &mut ForwardContext,
    x: FeatureMap,
    onto: Option<FeatureMap>,
) -> FeatureMap {
    match norm {
        Some(norm) => layer.normalized(pass, x, norm, onto),
        None => layer.onto(pass, x, onto),
    }
}

/// Applies a normalization where there is one.
pub(crate) fn normalize(norm: &Option<Norm>, pass: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
    match norm {
        Some(norm) => norm.forward(pass, x),
        None => x,
    }
}
