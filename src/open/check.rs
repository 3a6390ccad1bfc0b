//! The self-check: the line of stem, blocks and head is the network.

use burn::tensor::{Tensor, TensorData};

use crate::model::Model;
use crate::nn::{ForwardContext, Network, RecurrentState, Route, Samples, tensor_to_vec};
use crate::random::{Purpose, normal, stream};
use crate::{Error, Result};

/// Walks a few random samples along the identity route; the read-out after its last block has to be what the plain
/// forward pass computes, bit for bit.
///
/// # Errors
/// [`Error::Usage`] where they differ.
pub fn check(model: &Model) -> Result<()> {
    let [channels, height, width] = [0, 1, 2].map(|i| model.outline().input[i]);
    // One sample of an ImageNet network takes as long as a hundred small ones.
    let batch = if height > 64 { 1 } else { 2 };
    let shape = [batch, channels, height, width];
    let mut rng = stream(0, Purpose::SelfCheck, &[]);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| normal(&mut rng)).collect();

    let x = Tensor::from_data(TensorData::new(values.clone(), shape), model.parameters.device());
    let whole = tensor_to_vec(model.forward(&mut ForwardContext::inference(&model.parameters), x));
    compare(model, &Samples { values, shape }, &whole)
}

/// Walks samples along the identity route and compares with what the whole network computed.
pub(crate) fn compare(network: &impl Network, samples: &Samples, whole: &[f32]) -> Result<()> {
    let line =
        network.forward_along(&Route::identity(network.outline()), samples, &mut RecurrentState::default())?.values;
    if let Some(value) = whole.iter().find(|value| !value.is_finite()) {
        let what = format!("self-check: it answers random samples with {value}; some array in it is not finite");
        return Err(Error::Usage(what));
    }
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    if bits(whole) == bits(&line) {
        return Ok(());
    }
    Err(Error::Usage("self-check: block by block the network computes something else than as a whole".into()))
}
