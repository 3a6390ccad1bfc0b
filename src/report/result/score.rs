//! How well a network answers.

use serde::{Deserialize, Serialize};

use crate::float_json as exact;

/// How well a network answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Share of samples whose highest output is their class.
    #[serde(with = "exact")]
    pub accuracy: f64,
    /// Mean cross-entropy, nats.
    #[serde(with = "exact")]
    pub loss: f64,
    /// Number of samples.
    pub samples: u64,
    /// Wilson score interval of the accuracy.
    #[serde(with = "exact")]
    pub accuracy_ci95: [f64; 2],
    /// Half width of the loss's interval, from the spread over samples.
    #[serde(with = "exact")]
    pub loss_ci95: f64,
}

/// A figure with its uncertainty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure over all samples.
    #[serde(with = "exact")]
    pub value: f64,
    /// Half width of its interval, from its spread over groups of samples.
    #[serde(with = "exact")]
    pub ci95: f64,
}
