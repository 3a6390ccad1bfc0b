//! What stands before the first stage and behind the last.

use burn::tensor::Tensor;

use super::plan::Plan;
use crate::Result;
use crate::kernel::FeatureMap;
use crate::nn::ReceptiveField;
use crate::nn::{
    Builder, CharCnn, ForwardContext, Init, Layer, Norm, Pool, Recurrent, Shape, layer_and_norm, normalize,
};

/// From samples to the first estimate.
#[derive(Clone, Debug)]
pub(super) enum Stem {
    /// A layer over an image, or over all units of a sample, with normalization and ReLU where they stand.
    Layer { layer: Layer, norm: Option<Norm>, relu: bool, dropout: f64 },
    /// Words from their characters.
    CharCnn(CharCnn),
}

impl Stem {
    /// Builds it; returns the shape of the first estimate too.
    pub(super) fn new(builder: &mut Builder, input: Shape, plan: &Plan) -> Result<(Self, Shape)> {
        if let Some((spelling, _)) = &plan.words {
            let (spelling, shape) = builder.within("stem", |b| CharCnn::new(b, input, spelling))?;
            return Ok((Self::CharCnn(spelling), shape));
        }
        let (out, window) = plan.stem;
        builder.within("stem", |b| {
            let has_norm = plan.norm && plan.stem_relu;
            let (layer, shape) = b.layer(input, out, window, Init::He(1.0), (!plan.norm).then_some(0.0))?;
            let norm = has_norm.then(|| b.within("norm", |b| Ok(b.norm(out, 0.0)))).transpose()?;
            Ok((Self::Layer { layer, norm, relu: plan.stem_relu, dropout: plan.input_dropout }, shape))
        })
    }

    /// What a unit of the first estimate sees; `None` is all of a sample.
    pub(super) fn field(&self) -> Option<ReceptiveField> {
        match self {
            Self::Layer { layer, .. } => layer.field(Some(ReceptiveField::PIXEL)),
            Self::CharCnn(_) => None,
        }
    }

    /// Whether what leaves it went through a ReLU.
    pub(super) fn ends_in_relu(&self) -> bool {
        matches!(self, Self::Layer { relu: true, .. })
    }

    pub(super) fn forward(&self, pass: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        match self {
            Self::Layer { layer, norm, relu, dropout } => {
                let x = pass.dropout(x, *dropout);
                let x = layer_and_norm(layer, norm, pass, x, None);
                let x = if *relu { x.relu() } else { x };
                // What waits is cheap to do again wherever the estimate is read, but its gradient is not.
                if pass.is_training() { x.materialize() } else { x }
            }
            Self::CharCnn(spelling) => spelling.forward(pass, x),
        }
    }
}

/// From the last estimate to the outputs.
#[derive(Clone, Debug)]
pub(super) enum Head {
    /// A dense layer, and what stands before it.
    Classifier { norm: Option<Norm>, relu: bool, pool: Option<Pool>, dropout: f64, average: bool, classifier: Layer },
    /// Recurrent layers over the samples of a stream.
    Recurrent(Recurrent),
}

impl Head {
    pub(super) fn new(builder: &mut Builder, mut shape: Shape, classes: usize, plan: &Plan) -> Result<Self> {
        if let Some((_, recurrent)) = &plan.words {
            let head = builder.within("head", |b| Recurrent::new(b, shape[0], classes, recurrent))?;
            return Ok(Self::Recurrent(head));
        }
        let norm = if plan.last_norm && plan.norm {
            Some(builder.within("head", |b| b.within("norm", |b| Ok(b.norm(shape[0], 0.0))))?)
        } else {
            None
        };
        if let Some(pool) = &plan.last_pool {
            shape = pool.output("head", shape)?;
        }
        if plan.average {
            shape = [shape[0], 1, 1];
        }
        let (classifier, _) = builder.within("head", |b| b.layer(shape, classes, None, Init::Uniform, Some(0.0)))?;
        let (relu, pool, dropout, average) = (plan.last_norm, plan.last_pool, plan.last_dropout, plan.average);
        Ok(Self::Classifier { norm, relu, pool, dropout, average, classifier })
    }

    /// Whether outputs depend on the samples before.
    pub(super) fn remembers(&self) -> bool {
        matches!(self, Self::Recurrent(_))
    }

    /// `[batch, classes]`.
    pub(super) fn forward(&self, pass: &mut ForwardContext, mut x: FeatureMap) -> Tensor<2> {
        match self {
            Self::Recurrent(recurrent) => recurrent.forward(pass, x),
            Self::Classifier { norm, relu, pool, dropout, average, classifier } => {
                x = normalize(norm, pass, x);
                if *relu {
                    x = x.relu();
                }
                if let Some(pool) = pool {
                    x = pool.forward(x);
                }
                x = pass.dropout(x, *dropout);
                if *average {
                    x = x.average();
                }
                let logits = classifier.forward(pass, x).into_plain();
                let [batch, classes, ..] = logits.dims();
                logits.reshape([batch, classes])
            }
        }
    }
}
