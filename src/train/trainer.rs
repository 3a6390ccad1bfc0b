//! The training loop.

mod prepare;
mod shared;
mod step;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use step::not_finite;

use super::open_data::evaluated_on;
use super::{DataFingerprints, Experiment, Resume, RunDirectory, TrainingState};
use crate::data::{Dataset, LoaderConfig, Normalization, SampleOrder, batches};
use crate::kernel::Backend;
use crate::measure::{EvalSet, evaluate, ranks_shard};
use crate::model::{Epoch, EvaluatedSplit, Metadata, Model};
use crate::nn::{Network, RecurrentState};
use crate::ranks::Ranks;
use crate::{Error, Result};

/// An event of a running training.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A step is finished.
    Step {
        /// The number of steps since the beginning.
        step: u64,
        /// The number of steps of the whole training.
        steps: u64,
        /// The current epoch, counted from 1.
        epoch: u64,
        /// The mean loss over the epoch so far, in nats.
        loss: f64,
        /// The accuracy over the epoch so far, from 0 to 1.
        accuracy: f64,
        /// The number of samples of this step.
        samples: usize,
    },
    /// An epoch is finished.
    Epoch(&'a Epoch),
}

/// A training: its data, its state and its run directory.
pub struct Trainer {
    experiment: Experiment,
    samples: Arc<Dataset>,
    /// What the network is evaluated on after every epoch.
    evaluated: EvalSet,
    /// Whether the best epoch is selected and kept: not on a test split, unless the experiment asks for it.
    selects: bool,
    /// What tells the data from others, for checkpoints.
    fingerprints: DataFingerprints,
    metadata: Metadata,
    state: TrainingState,
    /// The processes that share every batch.
    ranks: Ranks,
    /// The run directory, which the first process alone has.
    run: Option<RunDirectory>,
    /// The parameters that do not start from the weights that were given.
    new_parameters: Vec<String>,
}

impl Trainer {
    /// Prepares a training in the run directory `dir`. With `resume` it continues from the latest checkpoint there: `true` stands
    /// for [`Resume::Exact`]. The directory is created only if everything else succeeds.
    ///
    /// # Errors
    /// If data, network and configuration do not fit together, or the checkpoint cannot be used.
    pub fn new(
        experiment: Experiment,
        dir: &Path,
        resume: impl Into<Resume>,
        backend: impl Into<Backend>,
    ) -> Result<Self> {
        Self::prepare(experiment, None, dir, resume.into(), &backend.into(), &Ranks::default())
    }

    /// Prepares a training as [`Trainer::new`] does, which starts from the weights of another network. Where the
    /// number of classes differs, the classifier is new. A checkpoint in `dir` takes precedence.
    ///
    /// # Errors
    /// Those of [`Trainer::new`], and [`Error::Config`], [`Error::Mismatch`] or [`Error::Shape`] where `weights` are those of
    /// another network.
    pub fn from_weights(
        experiment: Experiment,
        weights: &Model,
        dir: &Path,
        resume: impl Into<Resume>,
        backend: impl Into<Backend>,
    ) -> Result<Self> {
        Self::prepare(experiment, Some(weights), dir, resume.into(), &backend.into(), &Ranks::default())
    }

    /// Prepares a training as [`Trainer::new`] and [`Trainer::from_weights`] do, whose batches several processes share. The
    /// first one alone has the run directory and writes there.
    ///
    /// Every process takes a part of each batch, and the gradients are added in the order of the ranks, so that all have the
    /// same parameters. Batch normalization takes the statistics of the process's own samples, or with `train.sync_norm`
    /// those of the whole batch; the running statistics are those of the first process.
    ///
    /// # Errors
    /// Those of [`Trainer::from_weights`]; [`Error::Config`] for a batch with fewer samples than processes;
    /// [`Error::Mismatch`] where the processes have different experiments or data.
    pub fn shared(
        experiment: Experiment,
        weights: Option<&Model>,
        dir: &Path,
        resume: impl Into<Resume>,
        backend: impl Into<Backend>,
        ranks: &Ranks,
    ) -> Result<Self> {
        Self::prepare(experiment, weights, dir, resume.into(), &backend.into(), ranks)
    }

    /// Returns the parameters that keep their initial values, because the weights that the training starts from are those of
    /// another number of classes.
    pub fn new_parameters(&self) -> &[String] {
        &self.new_parameters
    }

    /// Returns the number of finished epochs, and of all.
    pub fn epochs(&self) -> [u64; 2] {
        [self.state.progress.epoch, self.experiment.train.epochs]
    }

    /// Returns the samples that the network is trained with, and those that it is evaluated with after every epoch.
    pub fn data(&self) -> [&Dataset; 2] {
        [&self.samples, &self.evaluated.dataset]
    }

    /// Returns which samples the network is evaluated on after every epoch.
    pub fn evaluated_on(&self) -> EvaluatedSplit {
        evaluated_on(&self.experiment.data, self.samples.vocabulary().is_some())
    }

    /// Returns the training with the parameters of `model` as initial values.
    ///
    /// # Errors
    /// [`Error::Config`] if `model` is not the network of the experiment.
    pub fn with_model(mut self, model: Model) -> Result<Self> {
        if model.config() != self.state.model.config() {
            let what = format!("{} is to be trained from {}", self.model().outline().name, model.outline().name);
            return Err(Error::config("model", what));
        }
        self.state = TrainingState::new(model, &self.experiment.train);
        Ok(self)
    }

    /// Returns why nothing keeps another process from training in the run directory: its file system has no locks.
    pub fn why_unlocked(&self) -> Option<&str> {
        self.run.as_ref().and_then(RunDirectory::why_unlocked)
    }

    /// Returns the network after the last step.
    pub fn model(&self) -> &Model {
        &self.state.model
    }

    /// Trains to the last epoch, writes the trained model, and returns it with the metrics of all epochs. `observe` is called
    /// after every step and every epoch.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the loss stops being finite; [`Error::Io`] if a file cannot be read or written.
    pub fn train(mut self, observe: &mut dyn FnMut(Event)) -> Result<(Model, Vec<Epoch>)> {
        // A process that was killed between its last checkpoint and the metrics has left out an epoch, which the checkpoint has.
        self.write_metrics()?;
        while self.state.progress.epoch < self.experiment.train.epochs {
            self.epoch(observe)?;
            self.end_epoch()?;
            // The best model, then the checkpoint, then the metrics: where the process is killed in between, resuming writes what
            // is missing.
            if let Some(run) = &self.run
                && self.selects
                && self.is_best()
            {
                run.write_best_model(&self.state.evaluated_model(), &self.metadata)?;
            }
            self.write_checkpoint()?;
            self.write_metrics()?;
            if let Some(epoch) = self.state.history.last() {
                observe(Event::Epoch(epoch));
            }
        }
        let model = self.state.evaluated_model();
        if let Some(run) = &self.run {
            // A process that was killed right after a checkpoint has left one too many.
            run.remove_old_checkpoints(self.experiment.train.keep)?;
            run.write_model(&model, &self.metadata)?;
        }
        Ok((model, self.state.history))
    }

    /// Runs the remaining steps of an epoch.
    fn epoch(&mut self, observe: &mut dyn FnMut(Event)) -> Result<()> {
        let config = self.loader_config();
        let begun = Instant::now();
        let before = self.state.progress.seconds;
        let remaining = batches(&self.samples, &config)?;
        let per_epoch = self.state.progress.batch + remaining.len() as u64;
        for batch in remaining {
            let batch = batch?;
            let samples = self.batch_len(self.state.progress.batch);
            self.step(batch, per_epoch)?;
            let progress = &mut self.state.progress;
            progress.seconds = before + begun.elapsed().as_secs_f64();
            observe(Event::Step {
                step: progress.step,
                steps: per_epoch * self.experiment.train.epochs,
                epoch: progress.epoch + 1,
                loss: progress.loss_sum / progress.seen as f64,
                accuracy: progress.correct as f64 / progress.seen as f64,
                samples,
            });
            let every = self.experiment.train.checkpoint_steps;
            if every > 0 && progress.step.is_multiple_of(every) {
                self.write_checkpoint()?;
            }
        }
        Ok(())
    }

    /// Evaluates the network and adds the epoch to the history.
    fn end_epoch(&mut self) -> Result<()> {
        self.share_model();
        let score = evaluate(&self.state.evaluated_model(), &self.evaluated, |_| ())?;
        let evaluated_on = self.evaluated_on();
        if !score.loss.is_finite() {
            let what =
                format!("after it the loss over the {} samples is not finite: {}", evaluated_on.name(), score.loss);
            return Err(not_finite(self.state.progress.step, &what));
        }
        let train = &self.experiment.train;
        let TrainingState { progress, schedule, history, recurrent_state, .. } = &mut self.state;
        *recurrent_state = RecurrentState::new(recurrent_state.streams());
        history.push(Epoch {
            epoch: progress.epoch + 1,
            rate: schedule.rate(train, progress.step.saturating_sub(1), progress.batch),
            train_loss: progress.loss_sum / progress.seen as f64,
            train_accuracy: progress.correct as f64 / progress.seen as f64,
            evaluated_on: Some(evaluated_on),
            evaluation_loss: score.loss,
            evaluation_accuracy: score.accuracy,
            seconds: progress.seconds,
        });
        // The threshold of the plateau is a loss, or a perplexity for language models.
        let score_of = |loss: f64| if self.metadata.characters.is_some() { loss.exp() } else { loss };
        schedule.end_epoch(train, score_of(score.loss));
        *progress = super::TrainingProgress { epoch: progress.epoch + 1, step: progress.step, ..Default::default() };
        Ok(())
    }

    /// Returns whether the last epoch is better than all before it.
    fn is_best(&self) -> bool {
        let is_language_model = self.model().outline().is_language_model;
        let history = self.state.history.split_last();
        history.is_some_and(|(last, earlier)| earlier.iter().all(|epoch| last.is_better_than(epoch, is_language_model)))
    }

    fn loader_config(&self) -> LoaderConfig {
        let Experiment { data, train, .. } = &self.experiment;
        LoaderConfig {
            batch_size: train.samples_per_step(),
            order: match self.metadata.characters {
                // The words of a text must follow each other.
                Some(_) => SampleOrder::Sequential,
                None => SampleOrder::Shuffled { seed: train.seed, epoch: self.state.progress.epoch },
            },
            augment: data.augment,
            normalization: Normalization { mean: self.metadata.mean.clone(), std: self.metadata.std.clone() },
            drop_last: false,
            start: self.state.progress.batch as usize,
            workers: data.workers,
            part: ranks_shard(&self.ranks),
        }
    }
}
