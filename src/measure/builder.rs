//! The entry point: which measurements, where they are kept, and running them.

mod prepare;
mod shared;

use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use super::directory::Directory;
use super::measurement::{AnyMeasurement, REGISTRY, named};
use super::memory::limit_cache;
use super::observations::Observations;
use super::progress::{Meter, Progress};
use super::results::{Measurements, Untrained, assemble};
use super::run::Runner;
use super::score::Score;
use super::store::Store;
use super::{EvalSet, Prediction, predict};
use crate::data::Shard;
use crate::model::Epoch;
use crate::nn::Network;
use crate::{Error, Result};

/// Takes measurements of a network.
///
/// Without further options it takes all that fit the network, and keeps the results in memory.
///
/// ```
/// use unrolled::prelude::*;
///
/// let config = ModelConfig::new(ModelKind::Mlp).with_depth(5).with_width(8);
/// let network = Model::new(&config, [1, 8, 8], 10, 0, Backend::cpu())?;
/// let data = EvalSet::open("digits")?.limit(50).build()?;
/// let results = Measure::new().only(["lesion"])?.run(&network, &data, &mut ())?;
/// let lesion = results.require::<Lesion>()?;
/// assert_eq!(lesion.len(), 4);
/// # Ok::<(), unrolled::Error>(())
/// ```
#[derive(Clone)]
pub struct Measure<'a> {
    /// Measurements of this crate.
    measurements: Vec<&'a dyn AnyMeasurement>,
    /// Measurements that the caller added with [`Measure::with`].
    own: Vec<&'a dyn AnyMeasurement>,
    /// Whether the caller named the measurements of this crate.
    is_selected: bool,
    skips_inapplicable: bool,
    seed: u64,
    memory: Option<u64>,
    /// Memory that is taken by something else meanwhile, bytes.
    reserved: u64,
    directory: Option<Directory>,
    resumes: bool,
    keeps_store: bool,
    keeps_unfinished: bool,
    save_every: Duration,
    names: [String; 2],
    training: Vec<Epoch>,
    untrained: Untrained,
}

impl Default for Measure<'_> {
    fn default() -> Self {
        Self {
            measurements: REGISTRY.to_vec(),
            own: Vec::new(),
            is_selected: false,
            skips_inapplicable: false,
            seed: 0,
            memory: None,
            reserved: 0,
            directory: None,
            resumes: false,
            keeps_store: false,
            keeps_unfinished: true,
            save_every: Duration::from_secs(30),
            names: Default::default(),
            training: Vec::new(),
            untrained: Untrained::new(),
        }
    }
}

impl<'a> Measure<'a> {
    /// Returns the default: all measurements that fit, kept in memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the measurements of these names only, besides [those of your own](Measure::with).
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that none has.
    pub fn only<S: AsRef<str>>(mut self, names: impl IntoIterator<Item = S>) -> Result<Self> {
        let names: Vec<S> = names.into_iter().collect();
        names.iter().try_for_each(|name| named(name.as_ref()).map(drop))?;
        // In the order of the registry, so that the same selection is the same work.
        let is_chosen = |m: &&dyn AnyMeasurement| names.iter().any(|name| name.as_ref() == m.name());
        self.measurements = REGISTRY.iter().copied().filter(is_chosen).collect();
        self.is_selected = true;
        Ok(self)
    }

    /// Takes a measurement of your own too.
    #[must_use]
    pub fn with(mut self, measurement: &'a dyn AnyMeasurement) -> Self {
        self.own.push(measurement);
        self
    }

    /// Leaves out selected measurements that do not fit the network, which are an error otherwise.
    #[must_use]
    pub fn skip_inapplicable(self) -> Self {
        Self { skips_inapplicable: true, ..self }
    }

    /// Sets the seed of all random choices; 0 by default.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the memory that measuring may take beside the network and the samples, bytes; a quarter of the machine's by default. The
    /// number of samples at once shrinks to it.
    #[must_use]
    pub fn memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// Keeps every measurement in a directory as soon as it is finished, and what is not, from time to time. A directory that
    /// has measurements of the same network, data and seed is added to.
    #[must_use]
    pub fn directory(self, path: &Path) -> Self {
        Self { directory: Some(Directory::new(path)), ..self }
    }

    /// Continues work that was interrupted. It ends with the same numbers, to the bit, as work that was not.
    #[must_use]
    pub fn resume(self, resumes: bool) -> Self {
        Self { resumes, ..self }
    }

    /// Keeps predictions and probe states in the directory when all is finished.
    #[must_use]
    pub fn keep_store(self, keeps: bool) -> Self {
        Self { keeps_store: keeps, ..self }
    }

    /// Sets whether the directory keeps work that is not finished, which [`Measure::resume`] continues, beside the measurements
    /// that are; it does by default.
    #[must_use]
    pub fn keep_unfinished(self, keeps: bool) -> Self {
        Self { keeps_unfinished: keeps, ..self }
    }

    /// Sets the time between two saves of unfinished work; 30 s by default.
    #[must_use]
    pub fn save_every(self, time: Duration) -> Self {
        Self { save_every: time, ..self }
    }

    /// Sets the names of the network and of the data in results.
    #[must_use]
    pub fn names(self, network: &str, data: &str) -> Self {
        Self { names: [network.to_owned(), data.to_owned()], ..self }
    }

    /// Sets the history of the training that made the network; a report shows it.
    #[must_use]
    pub fn training(self, epochs: Vec<Epoch>) -> Self {
        Self { training: epochs, ..self }
    }

    /// Sets what the same network with its initial weights shows, see [`Measure::measure_untrained`]; a report shows it.
    #[must_use]
    pub fn untrained(self, outputs: Untrained) -> Self {
        Self { untrained: outputs, ..self }
    }

    /// Takes those of the measurements whose figures can arise without learning, of networks with initial weights: one for
    /// each seed. They are a null model of the trained network.
    ///
    /// # Errors
    /// As [`Measure::run`].
    pub fn measure_untrained<N: Network>(
        &self,
        networks: impl IntoIterator<Item = Result<N>>,
        data: &EvalSet,
        progress: &mut dyn Progress,
    ) -> Result<Untrained> {
        let with_null =
            |all: &[&'a dyn AnyMeasurement]| all.iter().copied().filter(|m| m.has_null()).collect::<Vec<_>>();
        let [measurements, own] = [&self.measurements, &self.own].map(|all| with_null(all));
        let measure = Self { measurements, own, skips_inapplicable: true, directory: None, ..self.clone() };
        let mut all = Untrained::new();
        for network in networks {
            if measure.measurements.is_empty() && measure.own.is_empty() {
                break;
            }
            let network = network?;
            // The network's own arrays, and those that its kernels prepare: it stands beside the trained one.
            let reserved = 2 * size_of::<f32>() as u64 * network.outline().parameters;
            let measure = Self { reserved, ..measure.clone() };
            for (name, output) in measure.run(&network, data, progress)?.outputs {
                all.entry(name).or_default().push(output);
            }
        }
        Ok(all)
    }

    /// Takes the measurements.
    ///
    /// # Errors
    /// Where the samples do not fit the network or cannot be read, a selected measurement does not fit, the directory holds
    /// other work, or `progress` asks to stop ([`Error::Interrupted`]).
    pub fn run<N: Network>(&self, network: &N, data: &EvalSet, progress: &mut dyn Progress) -> Result<Measurements> {
        Ok(self.run_and_observe(network, data, progress)?.0)
    }

    /// Takes the measurements, and returns beside them what the whole network predicts for every sample, in the data set's
    /// order.
    ///
    /// # Errors
    /// As [`Measure::run`].
    pub fn run_with_predictions<N: Network>(
        &self,
        network: &N,
        data: &EvalSet,
        progress: &mut dyn Progress,
    ) -> Result<(Measurements, Vec<Prediction>)> {
        let (measured, predictions) = self.run_and_observe(network, data, progress)?;
        // A directory that has all of the measurements keeps their results, not what was predicted.
        let predictions = predictions.map_or_else(|| predict(network, data, |_| ()), Ok)?;
        Ok((measured, predictions))
    }

    /// Takes the measurements, and returns what the whole network predicted meanwhile; `None` where nothing was left to do.
    fn run_and_observe<N: Network>(
        &self,
        network: &N,
        data: &EvalSet,
        progress: &mut dyn Progress,
    ) -> Result<(Measurements, Option<Vec<Prediction>>)> {
        if data.ranks.size() > 1 {
            return shared::run_shared(self, network, data, progress);
        }
        let selected = self.selected(network, data)?;
        let (plan, data) = self.prepare(network, data, &selected, None)?;
        let _limit = limit_cache(self.memory);
        let stored = self.directory.as_ref().filter(|_| self.keeps_unfinished);
        let store = Store::new(stored.map(Directory::path), &plan)?;
        let mut finished: IndexMap<String, Value> = IndexMap::new();
        let mut baseline = None;
        let mut _lock = None;
        if let Some(directory) = &self.directory {
            _lock = Some(directory.begin(&plan, &store, self.resumes)?);
            finished = directory.outputs()?;
            baseline = directory.baseline()?;
        }
        let todo: Vec<&dyn AnyMeasurement> =
            selected.iter().copied().filter(|m| !finished.contains_key(m.name())).collect();
        let (score, predictions) = match baseline {
            Some(score) if todo.is_empty() => (score, None),
            _ => {
                let meter = Meter::new(progress);
                let mut runner = Runner {
                    network,
                    data: &data,
                    plan: &plan,
                    store: store.clone(),
                    save_every: self.save_every,
                    meter,
                };
                let finish = |measurement: &dyn AnyMeasurement, observations: &mut Observations| {
                    let output = observations.analyse(measurement, &plan, Some(&data))?;
                    if let Some(directory) = &self.directory {
                        // First, so that what is finished can be read however the work ends.
                        directory.save_baseline(&Score::of(&observations.baseline))?;
                        directory.save(measurement.name(), &output)?;
                    }
                    finished.insert(measurement.name().to_owned(), output);
                    Ok(())
                };
                let observations = store.resume(|| runner.run(&todo, finish))?;
                (Score::of(&observations.baseline), Some(observations.baseline))
            }
        };
        if let Some(directory) = &self.directory {
            directory.save_baseline(&score)?;
            directory.save_training(&self.training)?;
            directory.save_untrained(&self.untrained)?;
            if !self.keeps_store {
                store.remove()?;
            }
        }
        let (training, untrained) = match &self.directory {
            Some(directory) => (directory.training()?, directory.untrained()?),
            None => (self.training.clone(), self.untrained.clone()),
        };
        let measured = Measurements { training, untrained, ..assemble(&plan, score, finished) };
        Ok((measured, predictions))
    }

    /// Observes one part of the samples, and keeps what is seen in the directory. [`merge`](super::merge()) makes
    /// measurements of all parts.
    ///
    /// # Errors
    /// As [`Measure::run`]; [`Error::Argument`] without a directory.
    pub fn run_shard<N: Network>(
        &self,
        network: &N,
        data: &EvalSet,
        shard: Shard,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let Some(directory) = &self.directory else {
            return Err(Error::argument("shard", "needs a directory for what is observed"));
        };
        let selected = self.selected(network, data)?;
        let (plan, data) = self.prepare(network, data, &selected, Some(shard))?;
        let _limit = limit_cache(self.memory);
        let store = Store::new(Some(directory.path()), &plan)?;
        let _lock = directory.begin(&plan, &store, self.resumes)?;
        directory.save_training(&self.training)?;
        directory.save_untrained(&self.untrained)?;
        let meter = Meter::new(progress);
        let mut runner =
            Runner { network, data: &data, plan: &plan, store: store.clone(), save_every: self.save_every, meter };
        store.resume(|| runner.run(&selected, |_, _| Ok(()))).map(drop)
    }
}
