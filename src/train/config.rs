//! The tables `[data]` and `[train]` of an experiment file.

use serde::{Deserialize, Serialize};

use crate::data::{Augment, Normalization};

/// The `[data]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Such as `digits` or `mnist:DIR`.
    pub source: String,
    /// For a folder: the shorter side is resized to this many pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    /// For a folder: then the square of this many pixels a side is cut from the middle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Random changes of training images.
    #[serde(default)]
    pub augment: Augment,
    /// Left open: that of the data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalization: Option<Normalization>,
    /// Number of training samples to use; 0 for all.
    #[serde(default)]
    pub limit: usize,
    /// Number of training samples, the last ones, that are held out and evaluated instead of the test split.
    #[serde(default)]
    pub validation: usize,
    /// Threads that prepare batches ahead.
    #[serde(default = "one")]
    pub workers: usize,
}

fn one() -> usize {
    1
}

/// The `[train]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training samples.
    pub epochs: u64,
    /// Samples a step; of a text the streams that are read side by side.
    pub batch: usize,
    /// Of a text: words of every stream that a step goes back through (truncated backpropagation through time). Their losses
    /// are added up, so that the gradient is so many times that of one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Seed of initial values, order, augmentation and dropout.
    pub seed: u64,
    /// `sgd` or `adamw`.
    pub optimizer: Method,
    /// Learning rate before the schedule.
    pub rate: f64,
    /// Momentum of `sgd`.
    pub momentum: f64,
    /// Whether the momentum of `sgd` is Nesterov's.
    pub nesterov: bool,
    /// Decay of the two moments of `adamw`.
    pub betas: [f64; 2],
    /// Weight decay: added to the gradient in `sgd`, decoupled in `adamw`.
    pub weight_decay: f64,
    /// What decays: `weights` spares biases and normalizations, `all` spares nothing.
    pub decay: Decay,
    /// How the learning rate changes: `constant`, `step`, `cosine`, `plateau`.
    pub schedule: ScheduleKind,
    /// Epochs over which the rate grows linearly at the beginning; fractions count.
    pub warmup: f64,
    /// Epochs after which `step` multiplies the rate by `factor`.
    pub milestones: Vec<u64>,
    /// Factor of `step` and `plateau`.
    pub factor: f64,
    /// `plateau` multiplies the rate when the evaluated loss, of a language model the perplexity, did not fall by at least
    /// this much in an epoch.
    pub threshold: f64,
    /// Largest norm of the gradient over all parameters; 0 for no limit.
    pub clip_norm: f64,
    /// Share of the target that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// Decay of an exponential moving average of the parameters, which is then what is evaluated and kept; 0 for none.
    pub ema: f64,
    /// Steps between checkpoints within an epoch; 0 for none. There is always one at an epoch's end.
    pub checkpoint_steps: u64,
    /// Number of checkpoints kept, the latest ones.
    pub keep: usize,
}

/// How a gradient changes parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW,
}

/// What weight decay applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Weights of layers only.
    Weights,
    /// Every trained parameter.
    All,
}

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// Not at all.
    Constant,
    /// Multiplied by `factor` at every milestone.
    Step,
    /// Along half a cosine down to 0.
    Cosine,
    /// Multiplied by `factor` after an epoch whose loss did not fall.
    Plateau,
}

impl TrainConfig {
    /// How many arrays the optimizer remembers.
    pub(super) fn moments(&self) -> usize {
        match self.optimizer {
            Method::Sgd => usize::from(self.momentum > 0.0),
            Method::AdamW => 2,
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch: 128,
            steps: None,
            seed: 0,
            optimizer: Method::Sgd,
            rate: 0.1,
            momentum: 0.9,
            nesterov: false,
            betas: [0.9, 0.999],
            weight_decay: 0.0,
            decay: Decay::Weights,
            schedule: ScheduleKind::Constant,
            warmup: 0.0,
            milestones: Vec::new(),
            factor: 0.1,
            threshold: 0.0,
            clip_norm: 0.0,
            label_smoothing: 0.0,
            ema: 0.0,
            checkpoint_steps: 0,
            keep: 2,
        }
    }
}
