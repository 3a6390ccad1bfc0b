//! The stem: the layers before the first stage.

use serde::{Deserialize, Serialize};

use super::layers_config::LayersConfig;
use crate::Result;
use crate::kernel::FeatureMap;
use crate::nn::{
    BatchNorm, CharCnn, ForwardContext, Init, Layer, NetworkBuilder, ReceptiveField, Shape, forward_layer_norm,
};

/// The layers before the first stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StemKind {
    /// A dense layer over all values of a sample.
    #[serde(rename = "dense")]
    Dense,
    /// A 3x3 convolution, for images of about 32 pixels.
    #[serde(rename = "3x3")]
    Conv3x3,
    /// A 7x7 convolution with stride 2 and 3x3 max pooling, for images of about 224 pixels.
    #[serde(rename = "7x7-pool")]
    Conv7x7Pool,
    /// A 5x5 convolution without padding, as in the network for MNIST.
    #[serde(rename = "5x5")]
    Conv5x5,
    /// A convolutional network over the characters of a word.
    #[serde(rename = "characters")]
    CharCnn,
}

/// The layers that compute the first estimate from the samples.
#[derive(Clone, Debug)]
pub(super) enum Stem {
    /// A dense layer or a convolution, with dropout of its input, and perhaps normalization and ReLU after it.
    Layer { layer: Layer, norm: Option<BatchNorm>, relu: bool, dropout: f64 },
    /// A convolutional network over the characters of a word.
    CharCnn(CharCnn),
}

impl Stem {
    /// Builds the stem; returns the shape of the first estimate too.
    pub(super) fn new(builder: &mut NetworkBuilder, input: Shape, config: &LayersConfig) -> Result<(Self, Shape)> {
        if let Some((char_cnn, _)) = &config.char_lm {
            let (char_cnn, shape) = builder.scope("stem", |b| CharCnn::new(b, input, char_cnn))?;
            return Ok((Self::CharCnn(char_cnn), shape));
        }
        let (out, window) = config.stem;
        builder.scope("stem", |b| {
            let has_norm = config.norm && config.stem_relu;
            let (layer, shape) = b.add_layer(input, out, window, Init::He(1.0), (!config.norm).then_some(0.0))?;
            let norm = has_norm.then(|| b.scope("norm", |b| Ok(b.add_batch_norm(out, 0.0)))).transpose()?;
            Ok((Self::Layer { layer, norm, relu: config.stem_relu, dropout: config.input_dropout }, shape))
        })
    }

    /// Returns the receptive field of a unit of the first estimate; `None` stands for the whole sample.
    pub(super) fn receptive_field(&self) -> Option<ReceptiveField> {
        match self {
            Self::Layer { layer, .. } => layer.receptive_field(Some(ReceptiveField::PIXEL)),
            Self::CharCnn(_) => None,
        }
    }

    /// Whether the stem ends in a ReLU.
    pub(super) fn ends_in_relu(&self) -> bool {
        matches!(self, Self::Layer { relu: true, .. })
    }

    /// Computes the first estimate from `[batch, channels, height, width]`.
    pub(super) fn forward(&self, context: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        match self {
            Self::Layer { layer, norm, relu, dropout } => {
                let x = context.dropout(x, *dropout);
                let x = forward_layer_norm(layer, norm, context, x, None);
                let x = if *relu { x.relu() } else { x };
                // Pending operations are cheap to repeat wherever the estimate is read, but their gradient is not.
                if context.is_training() { x.materialize() } else { x }
            }
            Self::CharCnn(char_cnn) => char_cnn.forward(context, x),
        }
    }
}
