//! The tables `[data]` and `[train]` of an experiment file. `docs/CONFIG.md` lists all keys.

use serde::{Deserialize, Serialize};

use crate::data::{Augment, Normalization};

/// The `[data]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The data set, such as `digits` or `mnist:DIR`; see [`DataSpec`](crate::data::DataSpec).
    pub source: String,
    /// The length in pixels that the shorter side of every image is resized to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    /// The side in pixels of the square that is cut from the center after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Random changes to training images.
    #[serde(default)]
    pub augment: Augment,
    /// The normalization of the samples. By default that of the data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalization: Option<Normalization>,
    /// The number of training samples to use, the first ones; 0 for all.
    #[serde(default)]
    pub limit: usize,
    /// The number of training samples, the last ones, that are held out and evaluated instead of the test split.
    #[serde(default)]
    pub validation: usize,
    /// Whether the best epoch is selected on the test split where no training samples are held out. Its figures are then too
    /// good on average. Of a text, the validation split selects.
    #[serde(default)]
    pub select_on_test: bool,
    /// The number of threads that prepare batches in advance.
    #[serde(default = "one")]
    pub workers: usize,
}

fn one() -> usize {
    1
}

impl DataConfig {
    /// Returns the configuration of a data set with all defaults.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            resize: None,
            crop: None,
            augment: Augment::default(),
            normalization: None,
            limit: 0,
            validation: 0,
            select_on_test: false,
            workers: one(),
        }
    }
}

/// The `[train]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// The number of passes over the training samples.
    pub epochs: u64,
    /// The number of samples per step; for a text, the number of streams that are read in parallel.
    pub batch: usize,
    /// The number of words of every stream per step, through which the gradient is propagated back (truncated
    /// backpropagation through time); for texts only. The losses of the words of a stream are summed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// The seed of the initial values, the order of the samples, augmentation and dropout.
    pub seed: u64,
    /// The run or file whose weights are the initial values. By default initial values are drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The optimizer.
    pub optimizer: OptimizerKind,
    /// The learning rate, which the schedule multiplies by a factor.
    pub rate: f64,
    /// The momentum of `sgd`.
    pub momentum: f64,
    /// Whether `sgd` uses Nesterov momentum.
    pub nesterov: bool,
    /// The decay rates of the two moments of `adamw`.
    pub betas: [f64; 2],
    /// The weight decay: added to the gradient by `sgd`, decoupled in `adamw`.
    pub weight_decay: f64,
    /// Which parameters the weight decay applies to.
    pub decay: DecayScope,
    /// How the learning rate changes.
    pub schedule: ScheduleKind,
    /// The number of epochs, not necessarily whole, over which the rate grows linearly at the beginning.
    pub warmup: f64,
    /// The epochs after which the schedule `step` multiplies the rate by `factor`.
    pub milestones: Vec<u64>,
    /// The factor of the schedules `step` and `plateau`.
    pub factor: f64,
    /// The schedule `plateau` multiplies the rate by `factor` after an epoch in which the evaluated loss (of a language
    /// model, the perplexity) did not fall by at least this much.
    pub threshold: f64,
    /// The largest norm of the gradient over all parameters, to which larger gradients are scaled down; 0 for no limit.
    pub clip_norm: f64,
    /// The share of the target distribution that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// Whether several processes take the statistics of batch normalization over the whole batch; otherwise each over its own
    /// samples.
    pub sync_norm: bool,
    /// The decay of an exponential moving average of the parameters. The averaged network is evaluated and saved; 0 for no
    /// average.
    pub ema: f64,
    /// The number of steps between two checkpoints; 0 for none but the one at the end of every epoch.
    pub checkpoint_steps: u64,
    /// The number of checkpoints that are kept, the latest ones.
    pub keep: usize,
}

/// The optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW,
}

/// Which parameters weight decay applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecayScope {
    /// The weights of layers: not biases, nor parameters of normalizations.
    Weights,
    /// All trained parameters.
    All,
}

/// How the learning rate changes during the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// It stays the same.
    Constant,
    /// It is multiplied by `factor` at every milestone.
    Step,
    /// It falls to 0 along half a cosine.
    Cosine,
    /// It is multiplied by `factor` after an epoch whose loss did not fall.
    Plateau,
}

impl TrainConfig {
    /// Returns the number of samples in a step; of a text, the number of words.
    pub(super) fn samples_per_step(&self) -> usize {
        self.batch * self.steps.unwrap_or(1)
    }

    /// Returns the number of moments of the gradient that the optimizer keeps.
    pub(super) fn moments(&self) -> usize {
        match self.optimizer {
            OptimizerKind::Sgd => usize::from(self.momentum > 0.0),
            OptimizerKind::AdamW => 2,
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
            from: None,
            optimizer: OptimizerKind::Sgd,
            rate: 0.1,
            momentum: 0.9,
            nesterov: false,
            betas: [0.9, 0.999],
            weight_decay: 0.0,
            decay: DecayScope::Weights,
            schedule: ScheduleKind::Constant,
            warmup: 0.0,
            milestones: Vec::new(),
            factor: 0.1,
            threshold: 0.0,
            clip_norm: 0.0,
            label_smoothing: 0.0,
            sync_norm: false,
            ema: 0.0,
            checkpoint_steps: 0,
            keep: 2,
        }
    }
}
