//! The figures of one epoch of training.

use serde::{Deserialize, Serialize};

/// The figures of one epoch of training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: u64,
    /// Learning rate at the end of the epoch.
    #[serde(with = "crate::float_json")]
    pub rate: f64,
    /// Mean loss over the batches of the epoch, nats.
    #[serde(rename = "train_loss_nats", alias = "train_loss", with = "crate::float_json")]
    pub train_loss: f64,
    /// Fraction of training samples that were classified correctly during the epoch.
    #[serde(rename = "train_accuracy_fraction", alias = "train_accuracy", with = "crate::float_json")]
    pub train_accuracy: f64,
    /// Mean loss over the test split, nats.
    #[serde(rename = "test_loss_nats", alias = "test_loss", with = "crate::float_json")]
    pub test_loss: f64,
    /// Fraction of test samples that are classified correctly.
    #[serde(rename = "test_accuracy_fraction", alias = "test_accuracy", with = "crate::float_json")]
    pub test_accuracy: f64,
    /// Wall time of the epoch, seconds.
    #[serde(with = "crate::float_json")]
    pub seconds: f64,
}

impl Epoch {
    /// Whether the network after this epoch is better than after another: by test loss if it is a language model, otherwise
    /// by test accuracy.
    pub fn is_better_than(&self, other: &Self, is_language_model: bool) -> bool {
        match is_language_model {
            true => self.test_loss < other.test_loss,
            false => self.test_accuracy > other.test_accuracy,
        }
    }
}
