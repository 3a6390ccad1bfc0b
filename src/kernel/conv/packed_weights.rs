//! The weights of a layer in the orders that the algorithms read.

use std::sync::OnceLock;

use super::{Conv, pack, planes, winograd};

/// The weights of one layer, in each order that was asked for. Each is made when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct PackedWeights {
    direct: OnceLock<Vec<f32>>,
    planes: OnceLock<Vec<f32>>,
    winograd: OnceLock<Vec<f32>>,
}

impl PackedWeights {
    /// Returns the weights that [`pack`] packs.
    pub(crate) fn direct(&self, conv: &Conv, weight: &[f32]) -> &[f32] {
        self.direct.get_or_init(|| pack(weight, conv.output[0], conv.input[0], conv.size))
    }

    /// Returns the weights for images that are stored plane by plane.
    pub(super) fn planes(&self, conv: &Conv, weight: &[f32]) -> &[f32] {
        self.planes.get_or_init(|| planes::pack(weight, conv.output[0], conv.size))
    }

    /// Returns the weights that Winograd's algorithm transforms.
    pub(super) fn winograd(&self, conv: &Conv, weight: &[f32]) -> &[f32] {
        self.winograd.get_or_init(|| {
            let packed = pack(weight, conv.output[0], conv.input[0], conv.size);
            winograd::transform_weights(&packed)
        })
    }
}
