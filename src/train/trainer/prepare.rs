//! What is settled before the first step: data, network, run directory, and the state to continue from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Trainer;
use super::shared::latest_checkpoint;
use crate::data::{Dataset, Normalization, Vocabulary};
use crate::kernel::Backend;
use crate::measure::{EvalSet, ranks_shard};
use crate::model::{Metadata, Model, ModelConfig};
use crate::ranks::Ranks;
use crate::train::checks::{check_extension, check_memory};
use crate::train::initial_weights::copy_weights;
use crate::train::open_data::{as_config_error, check_augmented, open_data};
use crate::train::{DataFingerprints, Experiment, Resume, RunDirectory, TrainingSetup, TrainingState};
use crate::{Error, Result};

/// The least number of samples in a batch of the evaluation. It needs no gradients, so that larger batches fit the memory.
const MIN_EVALUATION_BATCH: usize = 250;

impl Trainer {
    /// Prepares a training, from given weights or from random ones.
    ///
    /// # Errors
    /// Those of [`Trainer::new`] and [`Trainer::from_weights`].
    pub(super) fn prepare(
        experiment: Experiment,
        weights: Option<&Model>,
        dir: &Path,
        resume: Resume,
        backend: &Backend,
        ranks: &Ranks,
    ) -> Result<Self> {
        let (samples, evaluated) = open_data(&experiment)?;
        let train = &experiment.train;
        let shape = samples.shape();
        experiment.data.augment.check(shape)?;
        let normalization = experiment.data.normalization.clone().unwrap_or_else(|| samples.normalization());
        let classes = samples.classes().len();
        let model = model_config(&experiment, &samples)?;
        // An impossible network must be found before the run directory is created.
        let uninitialized = Model::uninitialized(&model, shape, classes, backend)?;
        check_augmented(&experiment, &uninitialized, shape)?;
        check_memory(&uninitialized, train)?;
        check_ranks(&experiment, &samples, ranks, backend)?;
        let mut initial = None;
        let mut new_parameters = Vec::new();
        if let Some(source) = weights {
            let mut model = Model::new(&model, shape, classes, train.seed, backend)?;
            new_parameters = copy_weights(source, &mut model)?;
            initial = Some(model);
        }
        // After the weights, whose error for other channels is clearer.
        normalization.check(shape[0]).map_err(as_config_error)?;
        // Samples that are held out of the training split are in its fingerprint.
        let of_evaluated = (experiment.data.validation == 0).then(|| evaluated.fingerprint());
        let fingerprints = DataFingerprints { training: samples.fingerprint(), evaluated: of_evaluated };
        let setup = TrainingSetup { train: train.clone(), model: uninitialized.config().clone(), data: fingerprints };
        let mut run = match resume {
            _ if !ranks.is_first() => None,
            Resume::Never => Some(RunDirectory::create(dir, &experiment, backend, ranks)?),
            Resume::Exact | Resume::Inexact => Some(RunDirectory::resume(dir, &experiment, backend, ranks, resume)?),
        };
        let checkpoint = latest_checkpoint(ranks, run.as_ref())?;
        let read = |(path, bytes): (PathBuf, Vec<u8>)| TrainingState::from_bytes(&path, &bytes, &setup, backend);
        let checkpoint = match checkpoint.map(read).transpose() {
            Err(error) => {
                return Err(match &run {
                    Some(run) => run.with_earlier_checkpoint(error),
                    None => error,
                });
            }
            Ok(checkpoint) => checkpoint,
        };
        let mut state = match (checkpoint, initial, &train.from) {
            (Some(state), ..) => state,
            (None, Some(model), _) => TrainingState::new(model, train),
            (None, None, Some(_)) => {
                return Err(Error::config("train.from", "the weights have to be passed to the training"));
            }
            (None, None, None) => TrainingState::new(Model::new(&model, shape, classes, train.seed, backend)?, train),
        };
        if let Some(part) = ranks_shard(ranks) {
            state.recurrent_state = state.recurrent_state.part(part.range(state.recurrent_state.streams()));
        }
        if let Some(run) = &mut run {
            let per_epoch = samples.len().div_ceil(train.samples_per_step()) as u64;
            if let Some(before) = run.replaced_experiment() {
                check_extension(&before.train, train, &state, per_epoch)?;
            }
            run.write_changes(&experiment)?;
        }
        let metadata = metadata(&experiment, &samples, state.model.config().clone(), &normalization);
        let batch = train.samples_per_step().max(MIN_EVALUATION_BATCH);
        let evaluated = EvalSet { ranks: ranks.clone(), ..EvalSet::new(Arc::new(evaluated), normalization, batch) };
        let data = &experiment.data;
        let selects = data.validation > 0 || data.select_on_test || samples.vocabulary().is_some();
        let samples = Arc::new(samples);
        let ranks = ranks.clone();
        let mut trainer =
            Self { experiment, samples, evaluated, selects, fingerprints, metadata, state, ranks, run, new_parameters };
        trainer.share_model();
        Ok(trainer)
    }
}

/// Checks that several processes can share the batches, and that all are about to train the same network on the same samples.
fn check_ranks(experiment: &Experiment, samples: &Dataset, ranks: &Ranks, backend: &Backend) -> Result<()> {
    let (train, size) = (&experiment.train, ranks.size());
    if size == 1 {
        return Ok(());
    }
    let text = experiment.to_toml()?;
    let checksum = |value: u32| format!("{value:08x}");
    let parts = [("experiment", checksum(crc32fast::hash(text.as_bytes()))), ("data", checksum(samples.fingerprint()))];
    ranks.check_same(&parts)?;
    let last = samples.len() % train.batch;
    if train.batch < size || train.steps.is_none() && last > 0 && last < size {
        let smallest = if train.batch < size { train.batch } else { last };
        let what = format!("a batch has {smallest} samples; expected one for each of {size} processes");
        return Err(Error::config("train.batch", what));
    }
    if train.sync_norm && backend.device != Backend::cpu().device {
        return Err(Error::config("train.sync_norm", "is there on the CPU only; leave out --device"));
    }
    Ok(())
}

/// Returns the configuration of the network with the number of characters that the text has.
fn model_config(experiment: &Experiment, samples: &Dataset) -> Result<ModelConfig> {
    let characters = samples.vocabulary().map(Vocabulary::character_id_count);
    match (experiment.model.characters, characters) {
        (Some(asked), Some(have)) if asked != have => {
            let what = format!("{asked}, but {} has {have}; leave it to the text", experiment.data.source);
            Err(Error::config("model.characters", what))
        }
        (asked, have) => Ok(ModelConfig { characters: have.or(asked), ..experiment.model.clone() }),
    }
}

/// Returns what the model file says beside the parameters.
fn metadata(experiment: &Experiment, samples: &Dataset, model: ModelConfig, normalization: &Normalization) -> Metadata {
    Metadata {
        model,
        input: samples.shape(),
        classes: samples.classes().to_vec(),
        characters: samples.vocabulary().map(|vocabulary| vocabulary.characters.iter().collect()),
        mean: normalization.mean.clone(),
        std: normalization.std.clone(),
        data: experiment.data.source.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}
