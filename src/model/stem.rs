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
    /// Three 3x3 convolutions, the first with stride 2 and all but the last with half of the channels, and 3x3 max pooling (He
    /// et al. 2019, ResNet-C).
    #[serde(rename = "deep-pool")]
    DeepPool,
    /// A 5x5 convolution without padding, as in the network for MNIST.
    #[serde(rename = "5x5")]
    Conv5x5,
    /// A convolutional network over the characters of a word.
    #[serde(rename = "characters")]
    CharCnn,
}

impl StemKind {
    /// Whether the first stage begins with max pooling, as in networks for images of about 224 pixels.
    pub(crate) fn has_pool(self) -> bool {
        matches!(self, Self::Conv7x7Pool | Self::DeepPool)
    }
}

/// The layers that compute the first estimate from the samples.
#[derive(Clone, Debug)]
pub(super) enum Stem {
    /// Layers with dropout of their input, the last perhaps with normalization and ReLU after it.
    Layers {
        /// The layers before the last, each with a ReLU after it.
        first: Vec<(Layer, Option<BatchNorm>)>,
        layer: Layer,
        norm: Option<BatchNorm>,
        relu: bool,
        dropout: f64,
    },
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
            let mut input = input;
            let mut first = Vec::new();
            for (k, (out, window)) in config.deep_stem.iter().enumerate() {
                let unit = b.scope(format!("layer{}", k + 1), |b| {
                    let bias = (!config.norm).then_some(0.0);
                    let (layer, shape) = b.add_layer(input, *out, Some(*window), Init::He(1.0), bias)?;
                    input = shape;
                    let norm = config.norm.then(|| b.scope("norm", |b| Ok(b.add_batch_norm(*out, 0.0)))).transpose()?;
                    Ok((layer, norm))
                })?;
                first.push(unit);
            }
            let has_norm = config.norm && config.stem_relu;
            let (layer, shape) = b.add_layer(input, out, window, Init::He(1.0), (!config.norm).then_some(0.0))?;
            let norm = has_norm.then(|| b.scope("norm", |b| Ok(b.add_batch_norm(out, 0.0)))).transpose()?;
            Ok((Self::Layers { first, layer, norm, relu: config.stem_relu, dropout: config.input_dropout }, shape))
        })
    }

    /// Returns the receptive field of a unit of the first estimate; `None` stands for the whole sample.
    pub(super) fn receptive_field(&self) -> Option<ReceptiveField> {
        match self {
            Self::Layers { first, layer, .. } => {
                let mut layers = first.iter().map(|(layer, _)| layer).chain([layer]);
                layers.try_fold(ReceptiveField::PIXEL, |field, layer| layer.receptive_field(Some(field)))
            }
            Self::CharCnn(_) => None,
        }
    }

    /// Whether the stem ends in a ReLU.
    pub(super) fn ends_in_relu(&self) -> bool {
        matches!(self, Self::Layers { relu: true, .. })
    }

    /// Computes the first estimate from `[batch, channels, height, width]`.
    pub(super) fn forward(&self, context: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        match self {
            Self::Layers { first, layer, norm, relu, dropout } => {
                let x = context.dropout(x, *dropout);
                let x =
                    first.iter().fold(x, |x, (layer, norm)| forward_layer_norm(layer, norm, context, x, None).relu());
                let x = forward_layer_norm(layer, norm, context, x, None);
                let x = if *relu { x.relu() } else { x };
                // Pending operations are cheap to repeat wherever the estimate is read, but their gradient is not.
                if context.is_training() { x.materialize() } else { x }
            }
            Self::CharCnn(char_cnn) => char_cnn.forward(context, x),
        }
    }
}
