//! The head: the layers after the last stage.

use burn::tensor::Tensor;

use super::layers_config::LayersConfig;
use crate::Result;
use crate::kernel::FeatureMap;
use crate::nn::{BatchNorm, ForwardContext, Init, Layer, NetworkBuilder, Pool, Recurrent, Shape, normalize};

/// The layers that compute the outputs from the last estimate.
#[derive(Clone, Debug)]
pub(super) enum Head {
    /// A dense layer, after normalization, ReLU, pooling, dropout and averaging, as far as configured.
    Classifier {
        norm: Option<BatchNorm>,
        relu: bool,
        pool: Option<Pool>,
        dropout: f64,
        average: bool,
        classifier: Layer,
    },
    /// LSTM layers over the samples of a stream, and a classifier.
    Recurrent(Recurrent),
}

impl Head {
    /// Builds the head for estimates of a shape.
    pub(super) fn new(
        builder: &mut NetworkBuilder,
        mut shape: Shape,
        classes: usize,
        config: &LayersConfig,
    ) -> Result<Self> {
        if let Some((_, recurrent)) = &config.char_lm {
            let head = builder.scope("head", |b| Recurrent::new(b, shape[0], classes, recurrent))?;
            return Ok(Self::Recurrent(head));
        }
        let norm = if config.last_norm && config.norm {
            Some(builder.scope("head", |b| b.scope("norm", |b| Ok(b.add_batch_norm(shape[0], 0.0))))?)
        } else {
            None
        };
        if let Some(pool) = &config.last_pool {
            shape = pool.output_shape("head", shape)?;
        }
        if config.average {
            shape = [shape[0], 1, 1];
        }
        let (classifier, _) = builder.scope("head", |b| b.add_layer(shape, classes, None, Init::Uniform, Some(0.0)))?;
        let (relu, pool, dropout, average) = (config.last_norm, config.last_pool, config.last_dropout, config.average);
        Ok(Self::Classifier { norm, relu, pool, dropout, average, classifier })
    }

    /// Whether the outputs depend on the previous samples.
    pub(super) fn is_recurrent(&self) -> bool {
        matches!(self, Self::Recurrent(_))
    }

    /// Computes the outputs before the softmax, `[batch, classes]`.
    pub(super) fn forward(&self, context: &mut ForwardContext, mut x: FeatureMap) -> Tensor<2> {
        match self {
            Self::Recurrent(recurrent) => recurrent.forward(context, x),
            Self::Classifier { norm, relu, pool, dropout, average, classifier } => {
                x = normalize(norm, context, x);
                if *relu {
                    x = x.relu();
                }
                if let Some(pool) = pool {
                    x = pool.forward(x);
                }
                x = context.dropout(x, *dropout);
                if *average {
                    x = x.average();
                }
                let logits = classifier.forward(context, x).into_plain();
                let [batch, classes, ..] = logits.dims();
                logits.reshape([batch, classes])
            }
        }
    }
}
