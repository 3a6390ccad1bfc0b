//! The self-check of a network that was opened: block by block it computes what it computes as a whole.

use super::{Network, RecurrentState, Route, Samples};
use crate::{Error, Result};

/// Runs samples along the identity route and compares the outputs with those of the whole network, bit for bit.
///
/// `expected` are the outputs before the softmax that the whole network gives, `[batch, classes]`, row-major.
///
/// # Errors
/// [`Error::Mismatch`] where the outputs differ or are not finite.
pub(crate) fn compare_with_whole(network: &impl Network, samples: &Samples, expected: &[f32]) -> Result<()> {
    let route = Route::identity(network.outline());
    let found = network.forward_along(&route, samples, &mut RecurrentState::default())?.values;
    if let Some(value) = expected.iter().find(|value| !value.is_finite()) {
        let why = format!("it answers random samples with {value}; some array in it is not finite");
        return Err(Error::mismatch("self-check", why));
    }
    let is_equal = found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.to_bits() == e.to_bits());
    match is_equal {
        true => Ok(()),
        false => {
            let why = "block by block the network computes something else than as a whole";
            Err(Error::mismatch("self-check", why))
        }
    }
}
