//! Recovers what a network lost with its blocks: normalizations are recalibrated, and the network is fine-tuned.

use std::collections::HashMap;

use burn::tensor::{Tensor, TensorData};

use super::ProgressFn;
use crate::data::{LoaderConfig, Normalization, SampleOrder, batches};
use crate::kernel::Backend;
use crate::measure::EvalSet;
use crate::model::{Epoch, Metadata, Model};
use crate::nn::{ForwardContext, Network, ParameterId, TrainingStep};
use crate::train::{Event, Experiment, Trainer};
use crate::{Error, Result};

/// The steps that a slimmed network is to take, in this order. The default takes none.
#[derive(Clone, Default)]
pub struct Recovery {
    /// Samples to recalibrate the normalizations with.
    pub recalibration: Option<EvalSet>,
    /// How to fine-tune.
    pub finetuning: Option<Experiment>,
    /// Seed of the order of the samples.
    pub seed: u64,
}

/// A step of a recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryStep {
    /// Estimate the statistics of the normalizations again, see [`recalibrate`].
    Recalibrate,
    /// Train the network, see [`finetune`].
    Finetune,
}

/// A slimmed network after a step of its recovery.
pub struct RecoveredNetwork<N> {
    /// The step that was taken: `normalization re-estimated` or `fine-tuned`.
    pub name: String,
    /// The network after it.
    pub network: N,
    /// The epochs of fine-tuning; empty for other steps.
    pub epochs: Vec<Epoch>,
}

impl<N> RecoveredNetwork<N> {
    /// Converts the network.
    pub(super) fn map<M>(self, convert: impl FnOnce(N) -> M) -> RecoveredNetwork<M> {
        RecoveredNetwork { name: self.name, network: convert(self.network), epochs: self.epochs }
    }
}

/// Estimates the statistics of all normalizations again, over samples in a random order: the averages over all batches of
/// the mean and the unbiased variance of each batch, as PyTorch does with `momentum=None`.
///
/// The forward passes are those of training, with dropout. Nothing is trained.
///
/// # Errors
/// Where samples cannot be read.
pub fn recalibrate(
    model: &Model,
    source: &EvalSet,
    seed: u64,
    progress: ProgressFn,
) -> Result<RecoveredNetwork<Model>> {
    let mut recalibrated = model.clone();
    let plan = LoaderConfig {
        batch_size: source.batch,
        order: SampleOrder::Shuffled { seed, epoch: 0 },
        augment: Default::default(),
        normalization: source.normalization.clone(),
        // A last batch of few samples has inaccurate statistics, and would count as much as the others.
        drop_last: source.dataset.len() > source.batch,
        start: 0,
        workers: 1,
        part: None,
    };
    let mut counts: HashMap<ParameterId, f64> = HashMap::new();
    let (mut done, all) = (0, source.dataset.len() as u64);
    for (step, batch) in batches(&source.dataset, &plan)?.enumerate() {
        let batch = batch?;
        let x = Tensor::<4>::from_data(TensorData::new(batch.images, batch.shape), recalibrated.parameters.device());
        let mut training = TrainingStep::new(seed, step as u64);
        recalibrated.forward(&mut ForwardContext::training(&recalibrated.parameters, &mut training), x);
        recalibrated.parameters.update_running_statistics(training.statistics, |id| {
            let count = counts.entry(id).or_default();
            *count += 1.0;
            1.0 / *count
        });
        done += batch.labels.len() as u64;
        progress("re-estimating normalization", done, all);
    }
    Ok(RecoveredNetwork { name: "normalization re-estimated".into(), network: recalibrated, epochs: Vec::new() })
}

/// Trains a slimmed network from its current values, with the data and the training settings of an experiment. Samples are
/// normalized as `metadata` says. The model of the experiment does not count.
///
/// # Errors
/// Where the experiment does not fit the network, or training fails.
pub fn finetune(
    model: &Model,
    metadata: &Metadata,
    experiment: Experiment,
    backend: impl Into<Backend>,
    observe: &mut dyn FnMut(Event),
) -> Result<RecoveredNetwork<Model>> {
    let mut experiment = Experiment { model: model.config().clone(), ..experiment };
    experiment.train.from = None;
    // Numbers of characters are not normalized.
    let normalization = Normalization { mean: metadata.mean.clone(), std: metadata.std.clone() };
    experiment.data.normalization = (!model.outline().is_language_model).then_some(normalization);
    // The run directory is deleted afterwards: a few epochs need not be resumed.
    let run = tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))?;
    let trainer = Trainer::new(experiment, &run.path().join("run"), false, backend)?.with_model(model.clone())?;
    let (network, epochs) = trainer.train(observe)?;
    Ok(RecoveredNetwork { name: "fine-tuned".into(), network, epochs })
}
