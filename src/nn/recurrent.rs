//! The head of a language model: recurrent layers over the samples of a stream, and a classifier (Section 5.2).

use burn::tensor::Tensor;

use super::{Builder, ForwardContext, ParameterId, RecurrentState};
use crate::Result;
use crate::kernel::{self, FeatureMap};

/// A weighted sum of all units, `x·Wᵀ + b`.
#[derive(Clone, Debug)]
struct Sum {
    weight: ParameterId,
    bias: ParameterId,
}

impl Sum {
    fn new(builder: &mut Builder, name: impl Into<String>, input: usize, out: usize) -> Result<Self> {
        let [weight, bias] = builder.within(name, |b| Ok(b.weights(vec![out, input], out)))?;
        builder.flops += 2 * (input * out) as u64;
        Ok(Self { weight, bias })
    }
}

/// LSTM layers one behind the other and a classifier, each with dropout before it; the first layer has none.
///
/// A layer is `i, f, o = σ(·)`, `g = tanh(·)` of `Wₓ·x + bₓ + Wₕ·h + bₕ`, `c = f·c + i·g`, `h = o·tanh(c)`; the arrays are
/// PyTorch's, gates in the order i, f, g, o.
#[derive(Clone, Debug)]
pub struct Recurrent {
    /// The sums over the input and over h of the step before.
    layers: Vec<[Sum; 2]>,
    units: usize,
    classifier: Sum,
    dropout: [f64; 2],
}

/// What [`Recurrent`] is built from.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentConfig {
    /// LSTM layers.
    pub layers: usize,
    /// Units of each.
    pub units: usize,
    /// Probability of dropping a unit between two layers, and behind the last one.
    pub dropout: [f64; 2],
}

impl Recurrent {
    /// For so many units that come in and classes that come out.
    ///
    /// # Errors
    /// None so far: building a part may fail.
    pub fn new(builder: &mut Builder, input: usize, classes: usize, plan: &RecurrentConfig) -> Result<Self> {
        let units = plan.units;
        let mut layers = Vec::new();
        for k in 0..plan.layers {
            let from = if k == 0 { input } else { units };
            let layer = builder.within(format!("lstm{}", k + 1), |b| {
                Ok([Sum::new(b, "input", from, 4 * units)?, Sum::new(b, "recurrent", units, 4 * units)?])
            })?;
            layers.push(layer);
        }
        let classifier = Sum::new(builder, "classifier", units, classes)?;
        Ok(Self { layers, units, classifier, dropout: plan.dropout })
    }

    /// `[samples, units, 1, 1]` to `[samples, classes]`, and what is remembered moves on.
    pub fn forward(&self, pass: &mut ForwardContext, x: FeatureMap) -> Tensor<2> {
        let parameters = pass.parameters;
        let kernels = parameters.kernels();
        let array = |sum: &Sum| (parameters.tensor::<2>(sum.weight), parameters.get(sum.bias).value.clone());
        let [samples, input, ..] = x.dims();
        let mut x = x.into_plain().reshape([samples, input]);
        let mut next = RecurrentState::new(pass.memory().streams());
        for (k, [input, recurrent]) in self.layers.iter().enumerate() {
            if k > 0 {
                x = pass.dropout_rows(x, self.dropout[0]);
            }
            let ((weight, bias), (recurrent, more)) = (array(input), array(recurrent));
            let sums = kernel::linear(kernels, x, weight, bias + more);
            let state = pass.remembered(k, self.units);
            let (outputs, state) = kernel::lstm(kernels, sums, recurrent, state, pass.is_training());
            next.state.push(if pass.is_training() { state.map(Tensor::inner) } else { state });
            x = outputs;
        }
        *pass.memory_mut() = next;
        let x = pass.dropout_rows(x, self.dropout[1]);
        let (weight, bias) = array(&self.classifier);
        kernel::linear(kernels, x, weight, bias)
    }
}
