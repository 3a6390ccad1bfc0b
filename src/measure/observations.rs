//! What was observed of the samples of a plan, from which each measurement is analysed.

use std::collections::HashMap;

use super::measurement::{AnalysisInput, AnyMeasurement};
use super::plan::Plan;
use super::probe::AnyProbe;
use super::store::SavedSweep;
use super::{EvalSet, Intervention, Prediction};
use crate::{Error, Result};

/// What was observed of the samples of a plan.
#[derive(Default)]
pub(super) struct Observations {
    /// The whole network's prediction for every sample, in the data set's order.
    pub(super) baseline: Vec<Prediction>,
    /// The probe of each measurement.
    pub(super) probes: HashMap<String, Box<dyn AnyProbe>>,
    /// The predictions along each route, in the data set's order, and how many of them are known.
    pub(super) routes: HashMap<(Intervention, String), (Vec<Prediction>, usize)>,
}

impl Observations {
    /// Returns what one measurement makes of them.
    pub(super) fn analyse(
        &mut self,
        measurement: &dyn AnyMeasurement,
        plan: &Plan,
        data: Option<&EvalSet>,
    ) -> Result<serde_json::Value> {
        let probe = self.probes.remove(measurement.name());
        let planned = plan.measurements.iter().find(|planned| planned.name == measurement.name());
        let keys = planned.iter().flat_map(|planned| &planned.routes);
        let samples = plan.scope.samples;
        let predictions = keys.map(|key| match self.routes.get(key) {
            Some((predictions, known)) if *known == samples => Ok(predictions.as_slice()),
            found => {
                let known = found.map_or(0, |(_, known)| *known);
                let what = format!("unfinished, {known} of {samples} samples are known along the route {}", key.1);
                Err(Error::mismatch(measurement.name(), what))
            }
        });
        let predictions = predictions.collect::<Result<_>>()?;
        measurement.analyse(&plan.scope, AnalysisInput { baseline: &self.baseline, probe, predictions }, data)
    }
}

impl SavedSweep {
    /// Puts the predictions where they belong among those of all samples.
    pub(super) fn scatter(&self, samples: usize, found: &mut Observations) {
        let Some((_, routes)) = self.predictions.split_first() else { return };
        for (route, predictions) in self.routes.iter().zip(routes) {
            let all = found.routes.entry((self.intervention, route.clone()));
            let (all, known) = all.or_insert_with(|| (vec![Prediction::default(); samples], 0));
            self.samples.iter().zip(predictions).for_each(|(&sample, &prediction)| all[sample] = prediction);
            *known += predictions.len();
        }
    }
}
