//! What `measure` and `compare` have in common: which measurements, and how much memory they may take.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use unrolled::Result;
use unrolled::measure::{AnyMeasurement, Measure, REGISTRY};

/// Which measurements to take.
#[derive(Args)]
pub(super) struct MeasureArgs {
    /// Take these measurements only, separated by commas [default: all that fit]
    #[arg(long, value_name = "NAMES", value_parser = names(), value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Memory for estimates, such as 512M or 4G; the number of samples at once shrinks to it [default: a quarter of the
    /// machine's]
    #[arg(long, value_name = "BYTES", value_parser = super::memory::parse)]
    memory: Option<u64>,
    /// Seed of random choices
    #[arg(long, default_value_t = 0, value_parser = super::numbers::seed)]
    seed: u64,
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
}
