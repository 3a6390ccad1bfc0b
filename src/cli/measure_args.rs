//! What `measure` and `compare` have in common: which measurements, and how much memory they may take.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use unrolled::Result;
use unrolled::measure::{AnyMeasurement, EvalSet, Measure, REGISTRY};
use unrolled::open::AnyNetwork;

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
        let mut measure = Measure::new().seed(self.seed);
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
}
