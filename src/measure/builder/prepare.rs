//! What is settled before any sample runs: which measurements fit, the plan, and the number of samples at once.

use super::super::EvalSet;
use super::super::cost::memory_needed;
use super::super::measurement::{AnyMeasurement, REGISTRY, Scope};
use super::super::plan::Plan;
use super::Measure;
use crate::data::Shard;
use crate::nn::Network;
use crate::{Error, Result};

impl<'a> Measure<'a> {
    /// Returns the samples with a batch for which the estimates of the selected measurements fit into memory.
    ///
    /// # Errors
    /// [`Error::Argument`] where memory that was asked for is too little for one sample.
    pub fn within_memory<N: Network>(&self, network: &N, data: &EvalSet) -> Result<EvalSet> {
        Ok(self.prepare(network, data, &self.selected(network, data)?, None)?.1)
    }

    /// Returns the selected measurements that fit a network.
    ///
    /// # Errors
    /// [`Error::Argument`] where one was selected by name and does not.
    pub fn selected<N: Network>(&self, network: &N, data: &EvalSet) -> Result<Vec<&'a dyn AnyMeasurement>> {
        let scope = Scope::new(network, data, self.seed);
        let (fit, others): (Vec<_>, Vec<_>) =
            self.measurements.iter().chain(&self.own).copied().partition(|m| m.why_not(&scope).is_none());
        match others.first() {
            Some(misfit) if self.is_selected && !self.skips_inapplicable => {
                let why = misfit.why_not(&scope).unwrap_or_default();
                let possible: Vec<&str> =
                    REGISTRY.iter().filter(|m| m.why_not(&scope).is_none()).map(|m| m.name()).collect();
                let why = format!(
                    "{}: nothing to measure in {}, {why}; expected of {}",
                    misfit.name(),
                    scope.outline.name,
                    possible.join(", ")
                );
                Err(Error::argument("only", why))
            }
            _ => Ok(fit),
        }
    }

    /// The plan, and the samples with a batch that fits into memory.
    pub(super) fn prepare<N: Network>(
        &self,
        network: &N,
        data: &EvalSet,
        selected: &[&dyn AnyMeasurement],
        shard: Option<Shard>,
    ) -> Result<(Plan, EvalSet)> {
        let [name, data_name] = &self.names;
        let name = if name.is_empty() { &network.outline().name } else { name };
        let plan = Plan::new(network, data, [name, data_name], self.seed, selected, shard);
        let costs: Vec<_> = selected.iter().map(|m| m.cost(&plan.scope)).collect();
        let routes: Vec<usize> = plan.measurements.iter().map(|planned| planned.routes.len()).collect();
        let fitting = memory_needed(&plan.scope, &costs, &routes, self.reserved).samples(self.memory, name)?;
        Ok((plan, EvalSet { batch: data.batch.min(fitting), ..data.clone() }))
    }
}
