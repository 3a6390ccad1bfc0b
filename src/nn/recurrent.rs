//! The head of a language model: LSTM layers over the samples of a stream, and a classifier (Section 5.2).

use burn::tensor::Tensor;

use super::{ForwardContext, NetworkBuilder, ParameterId, RecurrentState};
use crate::Result;
use crate::kernel::{self, FeatureMap};

/// A dense layer, `x·Wᵀ + b`.
#[derive(Clone, Debug)]
struct Linear {
    weight: ParameterId,
    bias: ParameterId,
}

impl Linear {
    fn new(builder: &mut NetworkBuilder, name: impl Into<String>, input: usize, out: usize) -> Result<Self> {
        let [weight, bias] = builder.scope(name, |b| Ok(b.add_weight_and_bias(vec![out, input], out)))?;
        builder.flops += 2 * (input * out) as u64;
        Ok(Self { weight, bias })
    }
}

/// LSTM layers in sequence and a classifier. Dropout stands between the layers and before the classifier.
///
/// A layer computes `i, f, o = σ(·)` and `g = tanh(·)` of `Wₓ·x + bₓ + Wₕ·h + bₕ`, then `c = f·c + i·g` and
/// `h = o·tanh(c)`. The arrays are those of PyTorch, with the gates in the order i, f, g, o.
#[derive(Clone, Debug)]
pub struct Recurrent {
    /// For each layer, the sums over its input and over its h of the previous sample.
    layers: Vec<[Linear; 2]>,
    units: usize,
    classifier: Linear,
    dropout: [f64; 2],
}

/// The configuration of a [`Recurrent`] head.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentConfig {
    /// Number of LSTM layers.
    pub layers: usize,
    /// Number of units of each layer.
    pub units: usize,
    /// Probability of dropping a unit between two layers, and before the classifier.
    pub dropout: [f64; 2],
}

impl Recurrent {
    /// Builds the head for `input` units and `classes` outputs.
    ///
    /// # Errors
    /// None at present.
    pub fn new(builder: &mut NetworkBuilder, input: usize, classes: usize, config: &RecurrentConfig) -> Result<Self> {
        let units = config.units;
        let mut layers = Vec::new();
        for k in 0..config.layers {
            let inputs = if k == 0 { input } else { units };
            let layer = builder.scope(format!("lstm{}", k + 1), |b| {
                Ok([Linear::new(b, "input", inputs, 4 * units)?, Linear::new(b, "recurrent", units, 4 * units)?])
            })?;
            layers.push(layer);
        }
        let classifier = Linear::new(builder, "classifier", units, classes)?;
        Ok(Self { layers, units, classifier, dropout: config.dropout })
    }

    /// Computes `[samples, units, 1, 1]` → `[samples, classes]`, and replaces the state of `context` by that after the last
    /// sample of each stream.
    pub fn forward(&self, context: &mut ForwardContext, x: FeatureMap) -> Tensor<2> {
        let parameters = context.parameters;
        let kernels = parameters.kernels();
        let arrays =
            |linear: &Linear| (parameters.tensor::<2>(linear.weight), parameters.get(linear.bias).value.clone());
        let [samples, input, ..] = x.dims();
        let mut x = x.into_plain().reshape([samples, input]);
        let mut next = RecurrentState::new(context.state().streams());
        for (k, [input, recurrent]) in self.layers.iter().enumerate() {
            if k > 0 {
                x = context.dropout_rows(x, self.dropout[0]);
            }
            let ((weight, bias), (recurrent, recurrent_bias)) = (arrays(input), arrays(recurrent));
            let sums = kernel::linear(kernels, x, weight, bias + recurrent_bias);
            let state = context.layer_state(k, self.units);
            let (outputs, state) = kernel::lstm(kernels, sums, recurrent, state, context.is_training());
            next.layers.push(if context.is_training() { state.map(Tensor::inner) } else { state });
            x = outputs;
        }
        *context.state_mut() = next;
        let x = context.dropout_rows(x, self.dropout[1]);
        let (weight, bias) = arrays(&self.classifier);
        kernel::linear(kernels, x, weight, bias)
    }
}
