//! The null model of a trained network: the same network with initial weights.

use super::AnyNetwork;
use crate::Result;
use crate::measure::{EvalSet, Measure, Progress, Untrained};

impl AnyNetwork {
    /// Runs the measurements that have a null model on the same network with initial weights, once for each seed from 1 to
    /// `seeds`. Empty for a network that cannot be initialized, such as an ONNX file.
    ///
    /// # Errors
    /// As [`Measure::run`].
    pub fn measure_untrained(
        &self,
        measure: &Measure,
        seeds: u64,
        data: &EvalSet,
        progress: &mut dyn Progress,
    ) -> Result<Untrained> {
        match self {
            Self::Model(model) => {
                measure.measure_untrained((1..=seeds).map(|seed| model.untrained(seed)), data, progress)
            }
            _ => Ok(Untrained::new()),
        }
    }
}
