//! What `measure` and `compare` have in common: which measurements, how much memory they may take, and how they are resumed.

use std::path::Path;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use unrolled::measure::{AnyMeasurement, EvalSet, Measure, REGISTRY};
use unrolled::open::AnyNetwork;
use unrolled::{Error, Result};

use super::output;
use super::progress::Bar;

/// Which measurements to take.
#[derive(Args)]
pub(super) struct MeasureArgs {
    /// Take these measurements only, separated by commas [default: all that fit]
    #[arg(long, value_name = "NAMES", value_parser = names(), value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Memory that measuring may take beside the network and the samples, such as 512M or 4G; the number of samples at once shrinks to
    /// it [default: a quarter of the machine's]
    #[arg(long, value_name = "BYTES", value_parser = super::memory::parse)]
    memory: Option<u64>,
    /// Seed of random choices
    #[arg(long, default_value_t = 0, value_parser = super::numbers::seed)]
    seed: u64,
    /// The null model beside figures that can arise without learning: networks with initial weights, where the network can be
    /// initialized, or none
    #[arg(long, value_enum, default_value_t = NullModel::Untrained)]
    null: NullModel,
    /// Networks with initial weights, each with a seed of its own
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    null_seeds: u64,
    /// Continue measurements that were stopped, by Ctrl-C or a kill; they end as if they had never stopped
    #[arg(long, requires = "out")]
    resume: bool,
    /// Seconds between two saves of unfinished work
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, requires = "out", value_parser = super::numbers::seconds)]
    save_every: f64,
}

/// What is measured beside a trained network.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NullModel {
    Untrained,
    None,
}

/// Lists the measurements with what they show in the help text.
fn names() -> impl TypedValueParser<Value = String> {
    let value = |measurement: &&dyn AnyMeasurement| PossibleValue::new(measurement.name()).help(measurement.about());
    PossibleValuesParser::new(REGISTRY.iter().map(value))
}

impl MeasureArgs {
    /// Returns what the arguments ask for.
    pub(super) fn measure(&self) -> Result<Measure<'static>> {
        let save_every = Duration::from_secs_f64(self.save_every);
        let mut measure = Measure::new().seed(self.seed).resume(self.resume).save_every(save_every);
        if !self.only.is_empty() {
            measure = measure.only(&self.only)?;
        }
        Ok(self.memory.map_or(measure.clone(), |bytes| measure.memory(bytes)))
    }

    /// Measures the same network with initial weights, where that is asked for and possible, and returns `measure` with what
    /// they show. `name` is the network's in the progress bar.
    pub(super) fn with_untrained<'a>(
        &self,
        measure: Measure<'a>,
        network: &AnyNetwork,
        data: &EvalSet,
        name: &str,
    ) -> Result<Measure<'a>> {
        if self.null == NullModel::None {
            return Ok(measure);
        }
        let mut bar = Bar::new(&format!("{name}, untrained"));
        let untrained = network.measure_untrained(&measure, self.null_seeds, data, &mut bar);
        bar.finish();
        Ok(measure.untrained(untrained?))
    }

    /// Checks that there is something in a directory that is to be resumed.
    ///
    /// # Errors
    /// [`Error::File`] that names the directory.
    pub(super) fn check_resumable(&self, out: Option<&Path>) -> Result<()> {
        match out.filter(|out| self.resume && !out.exists()) {
            Some(out) => Err(Error::file(out, "nothing to resume, there is no such directory")),
            None => Ok(()),
        }
    }

    /// Says how to go on, where work was interrupted.
    pub(super) fn say_how_to_resume<T>(&self, outcome: Result<T>, out: Option<&Path>) -> Result<T> {
        if let (Err(Error::Interrupted), Some(dir)) = (&outcome, out) {
            let how = if self.resume { "run the same command again" } else { "run the same command with --resume" };
            output::say(&format!("{} keeps what is finished; to go on {how}", dir.display()));
        }
        outcome
    }
}
