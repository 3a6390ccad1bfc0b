//! The history of a training.

use serde::{Deserialize, Serialize};

use crate::float_json;

/// One epoch of training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: u64,
    /// Learning rate at the epoch's end.
    #[serde(with = "float_json")]
    pub rate: f64,
    /// Mean loss over the epoch's batches, nats.
    #[serde(with = "float_json")]
    pub train_loss: f64,
    /// Share of training samples answered correctly, while training.
    #[serde(with = "float_json")]
    pub train_accuracy: f64,
    /// Mean loss over the test split, nats.
    #[serde(with = "float_json")]
    pub test_loss: f64,
    /// Share of test samples answered correctly.
    #[serde(with = "float_json")]
    pub test_accuracy: f64,
    /// Wall time of the epoch, seconds.
    #[serde(with = "float_json")]
    pub seconds: f64,
}

impl Epoch {
    /// Whether the network after this epoch is better than after another: it has more of the held-out samples right, or of
    /// a language model loses less over them.
    pub fn beats(&self, other: &Self, is_language_model: bool) -> bool {
        match is_language_model {
            true => self.test_loss < other.test_loss,
            false => self.test_accuracy > other.test_accuracy,
        }
    }
}
