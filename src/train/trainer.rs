//! The one training loop.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Tensor, TensorData};

use super::samples::{check_augmented, open_data};
use super::{Experiment, Origin, Run, State};
use crate::data::{Batch, Dataset, Normalization, Order, Plan, Vocabulary, batches};
use crate::kernel::Backend;
use crate::measure::{EvalSet, evaluate};
use crate::model::{Metadata, Model, ModelConfig};
use crate::nn::{ForwardContext, MOMENTUM, Network, RecurrentState, Training, cross_entropy};
use crate::report::Epoch;
use crate::{Error, Result};

/// What a training tells while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A step was taken.
    Step {
        /// Steps since the beginning, and steps in all.
        step: u64,
        /// See `step`.
        steps: u64,
        /// The epoch under way, counted from 1.
        epoch: u64,
        /// Mean loss over the epoch so far, nats.
        loss: f64,
        /// Share of correct answers over the epoch so far.
        accuracy: f64,
        /// Samples of this step.
        samples: usize,
    },
    /// An epoch is finished.
    Epoch(&'a Epoch),
}

/// A training under way: its data, its state and its run directory.
pub struct Trainer {
    experiment: Experiment,
    samples: Arc<Dataset>,
    held_out: EvalSet,
    /// Fingerprint of the training samples.
    data: u32,
    card: Metadata,
    state: State,
    run: Run,
}

impl Trainer {
    /// Prepares a training in a run directory, with `resume` from its latest checkpoint. The directory is made only
    /// when all fits.
    ///
    /// # Errors
    /// Where data, network and configuration do not fit together, or the checkpoint cannot be used.
    pub fn new(experiment: Experiment, dir: &Path, resume: bool, backend: impl Into<Backend>) -> Result<Self> {
        let backend = &backend.into();
        let (samples, held_out) = open_data(&experiment)?;
        let train = &experiment.train;
        let shape = samples.shape();
        experiment.data.augment.check(shape)?;
        let normalization = experiment.data.normalization.clone().unwrap_or_else(|| samples.normalization());
        normalization.check(shape[0])?;
        let classes = samples.classes().len();
        let characters = samples.vocabulary().map(Vocabulary::numbers);
        if let (Some(asked), Some(have)) = (experiment.model.characters, characters)
            && asked != have
        {
            let what = format!("{asked}, but {} has {have}; leave it to the text", experiment.data.source);
            return Err(Error::config("model.characters", what));
        }
        let model = ModelConfig { characters: characters.or(experiment.model.characters), ..experiment.model.clone() };
        // No run directory for a network that cannot be.
        let planned = Model::unset(&model, shape, classes, backend)?;
        check_augmented(&experiment, &planned, shape)?;
        let origin = Origin { train: train.clone(), model: planned.config().clone(), data: samples.fingerprint() };
        let kernels = backend.preferred;
        let run =
            if resume { Run::resume(dir, &experiment, kernels)? } else { Run::create(dir, &experiment, kernels)? };
        let state = match run.latest(&origin, backend)? {
            Some(state) => state,
            None => State::new(Model::new(&model, shape, classes, train.seed, backend)?, train),
        };
        let card = Metadata {
            model: state.model.config().clone(),
            input: shape,
            classes: samples.classes().to_vec(),
            characters: samples.vocabulary().map(|known| known.characters.iter().collect()),
            mean: normalization.mean.clone(),
            std: normalization.std.clone(),
            data: experiment.data.source.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let held_out = EvalSet::new(
            Arc::new(held_out),
            normalization,
            (train.batch * train.steps.unwrap_or(1)).max(EVALUATED_AT_ONCE),
        );
        Ok(Self { experiment, samples: Arc::new(samples), held_out, data: origin.data, card, state, run })
    }

    /// The same training, begun with the values of a network in place of random ones.
    ///
    /// # Errors
    /// [`Error::Config`] for another network than that of the experiment.
    pub fn starting_from(mut self, model: Model) -> Result<Self> {
        if model.config() != self.state.model.config() {
            let what = format!("{} is to be trained from {}", self.model().outline().name, model.outline().name);
            return Err(Error::config("model", what));
        }
        self.state = State::new(model, &self.experiment.train);
        Ok(self)
    }

    /// The network as it stands.
    pub fn model(&self) -> &Model {
        &self.state.model
    }

    /// Trains to the last epoch and writes the finished model.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the loss stops being a number; [`Error::Io`] where a file cannot be read or written.
    pub fn train(mut self, observe: &mut dyn FnMut(Event)) -> Result<(Model, Vec<Epoch>)> {
        while self.state.position.epoch < self.experiment.train.epochs {
            self.epoch(observe)?;
            self.end_epoch()?;
            self.run.metrics(&self.state.history)?;
            if self.is_best() {
                self.run.best(&self.state.averaged(), &self.card)?;
            }
            self.checkpoint()?;
            if let Some(epoch) = self.state.history.last() {
                observe(Event::Epoch(epoch));
            }
        }
        let model = self.state.averaged();
        self.run.finish(&model, &self.card)?;
        Ok((model, self.state.history))
    }

    /// The steps of an epoch, or those that are left of it.
    fn epoch(&mut self, observe: &mut dyn FnMut(Event)) -> Result<()> {
        let plan = self.plan();
        let begun = Instant::now();
        let before = self.state.position.seconds;
        let left = batches(&self.samples, &plan)?;
        let per_epoch = self.state.position.batch + left.len() as u64;
        for batch in left {
            let batch = batch?;
            let samples = batch.labels.len();
            self.step(batch, per_epoch)?;
            let position = &mut self.state.position;
            position.seconds = before + begun.elapsed().as_secs_f64();
            observe(Event::Step {
                step: position.step,
                steps: per_epoch * self.experiment.train.epochs,
                epoch: position.epoch + 1,
                loss: position.loss_sum / position.seen as f64,
                accuracy: position.correct as f64 / position.seen as f64,
                samples,
            });
            let every = self.experiment.train.checkpoint_steps;
            if every > 0 && position.step.is_multiple_of(every) {
                self.checkpoint()?;
            }
        }
        Ok(())
    }

    /// Forward, backward, and one step of the optimizer.
    fn step(&mut self, batch: Batch, per_epoch: u64) -> Result<()> {
        let train = &self.experiment.train;
        let state = &mut self.state;
        let rate = state.schedule.rate(train, state.position.step, per_epoch);
        let leaves = state.model.parameters.tracked();
        let x = Tensor::<4>::from_data(TensorData::new(batch.images, batch.shape), leaves.device());
        let before = std::mem::take(&mut state.memory);
        let mut training = Training::new(train.seed, state.position.step).with_state(before.clone());

        let logits = state.model.forward(&mut ForwardContext::training(&leaves, &mut training), x.clone());
        let loss = cross_entropy(state.model.parameters.kernels(), logits, &batch.labels, train.label_smoothing);
        let value: f32 = loss.mean.clone().into_scalar();
        if !value.is_finite() {
            let mut again = Training::new(train.seed, state.position.step).with_state(before);
            let place = state.model.first_not_finite(&mut ForwardContext::training(&leaves, &mut again), x);
            let what = format!("the loss is {value}; the first value that is not finite is in {place}");
            return Err(Error::NonFinite { step: state.position.step + 1, what });
        }
        let streams = if train.steps.is_some() { train.batch } else { batch.labels.len() };
        let gradient = leaves.gradient(&loss.of_streams(streams).backward());
        let values = state.optimizer.step(train, rate, state.model.parameters.flatten(), gradient);

        state.model.parameters.unflatten(&values);
        state.model.parameters.update_running_statistics(std::mem::take(&mut training.statistics), |_| MOMENTUM);
        if let Some(average) = state.average.take() {
            state.average = Some(average.mul_scalar(train.ema) + values.mul_scalar(1.0 - train.ema));
        }
        state.memory = training.memory;
        let position = &mut state.position;
        position.loss_sum += loss.each.iter().sum::<f64>();
        position.correct += loss.correct;
        position.seen += batch.labels.len() as u64;
        position.batch += 1;
        position.step += 1;
        Ok(())
    }

    /// Evaluates, and takes note of the epoch.
    fn end_epoch(&mut self) -> Result<()> {
        let score = evaluate(&self.state.averaged(), &self.held_out, |_| ())?;
        if !score.loss.is_finite() {
            let what = format!("after it the loss over the held-out samples is {}", score.loss);
            return Err(Error::NonFinite { step: self.state.position.step, what });
        }
        let train = &self.experiment.train;
        let State { position, schedule, history, memory, .. } = &mut self.state;
        *memory = RecurrentState::new(memory.streams());
        history.push(Epoch {
            epoch: position.epoch + 1,
            rate: schedule.rate(train, position.step.saturating_sub(1), position.batch),
            train_loss: position.loss_sum / position.seen as f64,
            train_accuracy: position.correct as f64 / position.seen as f64,
            test_loss: score.loss,
            test_accuracy: score.accuracy,
            seconds: position.seconds,
        });
        // The threshold is in units of the score.
        let score_of = |loss: f64| if self.card.characters.is_some() { loss.exp() } else { loss };
        schedule.epoch_ended(train, score_of(score.loss));
        *position = super::Position { epoch: position.epoch + 1, step: position.step, ..Default::default() };
        Ok(())
    }

    /// Whether the last epoch beats all before it.
    fn is_best(&self) -> bool {
        let is_language_model = self.model().outline().is_language_model;
        let history = self.state.history.split_last();
        history.is_some_and(|(last, earlier)| earlier.iter().all(|epoch| last.beats(epoch, is_language_model)))
    }

    fn checkpoint(&self) -> Result<()> {
        self.run.checkpoint(&self.state, &self.card, self.data, self.experiment.train.keep)
    }

    fn plan(&self) -> Plan {
        let Experiment { data, train, .. } = &self.experiment;
        Plan {
            batch: train.batch * train.steps.unwrap_or(1),
            order: match self.card.characters {
                // Words have to follow each other.
                Some(_) => Order::Sequential,
                None => Order::Shuffled { seed: train.seed, epoch: self.state.position.epoch },
            },
            augment: data.augment,
            normalization: Normalization { mean: self.card.mean.clone(), std: self.card.std.clone() },
            drop_last: false,
            start: self.state.position.batch as usize,
            workers: data.workers,
        }
    }
}

/// Evaluating needs no gradients, so that larger batches than those of training fit.
const EVALUATED_AT_ONCE: usize = 250;
