//! Healing: what a slimmed network can do about the blocks that it lost.

use std::collections::HashMap;

use burn::tensor::{Tensor, TensorData};

use super::{Healed, Progress};
use crate::data::{LoaderConfig, Normalization, SampleOrder, batches};
use crate::kernel::Backend;
use crate::measure::EvalSet;
use crate::model::{Metadata, Model};
use crate::nn::{ForwardContext, ParameterId, TrainingStep};
use crate::train::{Event, Experiment, Trainer};
use crate::{Error, Result};

/// How a slimmed network is healed.
#[derive(Default)]
pub struct Healing {
    /// Samples to estimate normalizations with.
    pub samples: Option<EvalSet>,
    /// How to train on.
    pub experiment: Option<Experiment>,
    /// Seed of the order of the samples.
    pub seed: u64,
}

/// Estimates the statistics of all normalizations again, from scratch, over the samples of a source in a random order:
/// the mean over the batches of each batch's mean and unbiased variance, as PyTorch does with `momentum=None`.
///
/// The passes are those of training, dropout included, but nothing is trained.
///
/// # Errors
/// Where samples cannot be read.
pub fn reestimate(model: &Model, source: &EvalSet, seed: u64, progress: Progress) -> Result<Healed<Model>> {
    let mut healed = model.clone();
    let plan = LoaderConfig {
        batch_size: source.batch,
        order: SampleOrder::Shuffled { seed, epoch: 0 },
        augment: Default::default(),
        normalization: source.normalization.clone(),
        // A batch of a few samples has statistics of its own, and would count as much as the others.
        drop_last: source.dataset.len() > source.batch,
        start: 0,
        workers: 1,
    };
    let mut seen: HashMap<ParameterId, f64> = HashMap::new();
    let (mut done, all) = (0, source.dataset.len() as u64);
    for (step, batch) in batches(&source.dataset, &plan)?.enumerate() {
        let batch = batch?;
        let x = Tensor::<4>::from_data(TensorData::new(batch.images, batch.shape), healed.parameters.device());
        let mut training = TrainingStep::new(seed, step as u64);
        healed.forward(&mut ForwardContext::training(&healed.parameters, &mut training), x);
        healed.parameters.update_running_statistics(training.statistics, |id| {
            let count = seen.entry(id).or_default();
            *count += 1.0;
            1.0 / *count
        });
        done += batch.labels.len() as u64;
        progress("re-estimating normalization", done, all);
    }
    Ok(Healed { name: "normalization re-estimated".into(), network: healed, epochs: Vec::new() })
}

/// Trains a slimmed network on, as an experiment says: its data and its way of training, but this network, from these
/// values, on samples normalized as the network knows them.
///
/// # Errors
/// Where the experiment does not fit the network, or training fails.
pub fn finetune(
    model: &Model,
    card: &Metadata,
    experiment: Experiment,
    backend: impl Into<Backend>,
    observe: &mut dyn FnMut(Event),
) -> Result<Healed<Model>> {
    let mut experiment = Experiment { model: model.config().clone(), ..experiment };
    experiment.data.normalization = Some(Normalization { mean: card.mean.clone(), std: card.std.clone() });
    // What a run keeps to be resumed is not worth keeping of a few epochs.
    let run = tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))?;
    let trainer = Trainer::new(experiment, &run.path().join("run"), false, backend)?.with_model(model.clone())?;
    let (network, epochs) = trainer.train(observe)?;
    Ok(Healed { name: "fine-tuned".into(), network, epochs })
}
