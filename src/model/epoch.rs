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
    /// Mean loss over the training samples during the epoch, nats.
    #[serde(rename = "train_loss_nats", alias = "train_loss", with = "crate::float_json")]
    pub train_loss: f64,
    /// Fraction of training samples that were classified correctly during the epoch.
    #[serde(rename = "train_accuracy_fraction", alias = "train_accuracy", with = "crate::float_json")]
    pub train_accuracy: f64,
    /// Which samples the next two figures are of; `None` in runs of versions that did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluated_on: Option<EvaluatedSplit>,
    /// Mean loss over the evaluated samples, nats.
    #[serde(
        rename = "evaluation_loss_nats",
        alias = "test_loss_nats",
        alias = "test_loss",
        with = "crate::float_json"
    )]
    pub evaluation_loss: f64,
    /// Fraction of the evaluated samples that are classified correctly.
    #[serde(
        rename = "evaluation_accuracy_fraction",
        alias = "test_accuracy_fraction",
        alias = "test_accuracy",
        with = "crate::float_json"
    )]
    pub evaluation_accuracy: f64,
    /// Wall time of the steps of the epoch, without the evaluation, seconds.
    #[serde(with = "crate::float_json")]
    pub seconds: f64,
}

/// The samples that a network is evaluated on after every epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvaluatedSplit {
    /// The test split.
    Test,
    /// Samples of the training split that are held out.
    HeldOut,
    /// The validation split of a text.
    Validation,
}

impl EvaluatedSplit {
    /// Returns its name in texts and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::HeldOut => "held-out",
            Self::Validation => "validation",
        }
    }
}

impl Epoch {
    /// Returns the name of the samples that it was evaluated on, such as `held-out`.
    pub fn evaluated_on_name(&self) -> &'static str {
        self.evaluated_on.map_or("evaluation", EvaluatedSplit::name)
    }

    /// Whether the network after this epoch is better than after another: by the loss over the evaluated samples if it is a
    /// language model, otherwise by their accuracy.
    pub fn is_better_than(&self, other: &Self, is_language_model: bool) -> bool {
        match is_language_model {
            true => self.evaluation_loss < other.evaluation_loss,
            false => self.evaluation_accuracy > other.evaluation_accuracy,
        }
    }
}
