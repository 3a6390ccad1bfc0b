//! Operations that are not computed when they are called, but when somebody reads the values.

use super::conv::Prologue;
use super::norm::Norm;
use super::operation::TensorView;

/// The operations that are pending on values: a normalization, then a ReLU.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PendingOps {
    /// Whether a normalization is pending. Its four arrays then follow the values among the inputs of an operation.
    pub norm: bool,
    /// Whether the statistics of that normalization are those of these very values, so that they have a gradient too.
    pub batch: bool,
    /// Whether a ReLU is pending.
    pub relu: bool,
}

impl PendingOps {
    /// Takes the arrays of the pending normalization from the inputs: scale, shift, mean and variance.
    pub(super) fn take_norm(self, inputs: &mut std::slice::Iter<TensorView>) -> Option<Norm> {
        self.norm.then(|| Norm::new(std::array::from_fn(|_| inputs.next().expect("an input").values)))
    }

    /// Returns what a convolution does to the values as it reads them.
    pub(super) fn prologue(self, norm: Option<&Norm>) -> Prologue<'_> {
        Prologue { affine: norm.map(Norm::affine), relu: self.relu }
    }
}
