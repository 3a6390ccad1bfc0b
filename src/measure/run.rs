//! The work of a plan: one pass of the samples with all probes, then the sweeps of each measurement in turn.
//!
//! Whatever is finished is saved: the pass and every sweep from time to time, every measurement as soon as it is
//! analysed. Work that was interrupted continues where it was saved, and ends with the same numbers to the bit.

use std::time::{Duration, Instant};

use super::cost::CostModel;
use super::intervention::{Change, ChangedNetwork, MeanStepProbe, MeanSteps};
use super::measurement::AnyMeasurement;
use super::observations::Observations;
use super::plan::Plan;
use super::probe::{AnyProbe, PassedBatch, run_probes};
use super::progress::Meter;
use super::sample_order::SampleList;
use super::store::{PassUnderWay, SavedPass, SavedSweep, Store};
use super::sweep::{SweepState, sweep};
use super::{EvalSet, Intervention, Prediction};
use crate::nn::{Network, RecurrentState, Route};
use crate::{Error, Result};

/// Names of the files of a store that belong to no measurement.
pub(super) const PASS: &str = "activations";
const MEAN_STEPS: &str = "mean-steps";

/// The work of one plan on one network.
pub(super) struct Runner<'a, N> {
    pub(super) network: &'a N,
    pub(super) data: &'a EvalSet,
    pub(super) plan: &'a Plan,
    pub(super) store: Store,
    /// The time between two saves.
    pub(super) save_every: Duration,
    pub(super) meter: Meter<'a>,
}

/// Routes that one sweep follows.
type Group = (Intervention, Vec<Route>);

impl<N: Network> Runner<'_, N> {
    /// Observes everything that some measurements ask for. `finished` is called for each as soon as all of it is
    /// observed.
    pub(super) fn run(
        &mut self,
        measurements: &[&dyn AnyMeasurement],
        mut finished: impl FnMut(&dyn AnyMeasurement, &mut Observations) -> Result<()>,
    ) -> Result<Observations> {
        let mut found = Observations::default();
        let mut probes: Vec<(String, Box<dyn AnyProbe>)> = Vec::new();
        for measurement in measurements {
            probes.extend(measurement.probe(&self.plan.scope).map(|probe| (measurement.name().to_owned(), probe)));
        }
        let groups = self.groups(measurements)?;
        let all = || groups.iter().flatten();
        let needs_means = all().any(|group| group.0 == Intervention::MeanStep);
        // Without probes the first sweep finds the whole network's predictions on its way.
        let needs_pass = !probes.is_empty() || needs_means || !all().any(|group| group.0 != Intervention::OtherStep);
        let needs_second_pass = needs_means && self.plan.shard.is_some();
        self.meter.total = self.work(measurements, &groups, [needs_pass, needs_second_pass]);
        let mut means = MeanSteps::default();
        if needs_pass {
            if needs_means && !needs_second_pass {
                probes.push((MEAN_STEPS.to_owned(), Box::new(MeanStepProbe::default())));
            }
            let list = SampleList::of_shard(self.data, self.plan.shard);
            found.baseline = self.pass(PASS, &list, &mut probes, measurements)?;
            if needs_second_pass {
                // The mean is that over all samples, whatever part of them is this shard's.
                let mut probe: Vec<(String, Box<dyn AnyProbe>)> =
                    vec![(MEAN_STEPS.to_owned(), Box::new(MeanStepProbe::default()))];
                self.pass(MEAN_STEPS, &SampleList::all(self.data), &mut probe, &[])?;
                probes.extend(probe);
            }
            found.probes = probes.into_iter().collect();
            if let Some(probe) =
                found.probes.remove(MEAN_STEPS).and_then(|p| p.into_any().downcast::<MeanStepProbe>().ok())
            {
                means = probe.means();
            }
        }
        let analysis = |m: &dyn AnyMeasurement, plan: &Plan| m.cost(&plan.scope).analysis;
        for (number, (measurement, groups)) in measurements.iter().zip(&groups).enumerate() {
            self.meter.progress.started(measurement.name(), number + 1, measurements.len());
            self.sweeps(measurement.name(), groups, &means, &mut found)?;
            if self.plan.shard.is_none() {
                finished(*measurement, &mut found)?;
                self.meter.advance(analysis(*measurement, self.plan))?;
                self.meter.progress.finished(measurement.name());
            }
        }
        Ok(found)
    }

    /// The sweeps of each measurement: those that were begun before, then the routes that no sweep before follows, by
    /// intervention.
    ///
    /// A sweep that was begun keeps its routes, whichever measurements are taken now.
    fn groups(&self, measurements: &[&dyn AnyMeasurement]) -> Result<Vec<Vec<Group>>> {
        let mut taken = std::collections::HashSet::new();
        let mut groups = Vec::new();
        for measurement in measurements {
            let saved: Vec<SavedSweep> = self.store.load(measurement.name())?.unwrap_or_default();
            let mut own = Vec::new();
            for sweep in saved {
                let parse = |text: &String| Route::parse(text, &self.plan.scope.outline);
                own.push((sweep.intervention, sweep.routes.iter().map(parse).collect::<Result<Vec<_>>>()?));
                taken.extend(sweep.routes.into_iter().map(|route| (sweep.intervention, route)));
            }
            let routes = self.plan.routes(measurement.name())?;
            let new = Intervention::ALL.map(|intervention| {
                let own = routes.iter().filter(|(other, _)| *other == intervention).map(|(_, route)| route);
                (intervention, own.filter(|route| taken.insert((intervention, route.to_string()))).cloned().collect())
            });
            own.extend(new.into_iter().filter(|(_, routes): &Group| !routes.is_empty()));
            groups.push(own);
        }
        Ok(groups)
    }

    /// Returns all work: that of the pass with the probes and of the second pass of a shard, where there are any, of the
    /// sweeps, and of the analysis.
    fn work(&self, measurements: &[&dyn AnyMeasurement], groups: &[Vec<Group>], passes: [bool; 2]) -> u64 {
        let scope = &self.plan.scope;
        let model = CostModel::new(&scope.outline);
        let whole = Route::identity(&scope.outline);
        let sweeps = groups.iter().flatten().map(|(intervention, routes)| {
            let samples = self.list(*intervention).0.samples.len() as u64;
            samples * model.sweep(&[std::slice::from_ref(&whole), routes.as_slice()].concat())
        });
        let of_shard = SampleList::of_shard(self.data, self.plan.shard).samples.len() as u64;
        let lists = [(of_shard, measurements), (self.data.len() as u64, &[])];
        let passes = lists.into_iter().zip(passes).filter(|(_, is_needed)| *is_needed);
        let passes = passes.map(|((samples, probed), _)| samples * self.work_per_sample(probed));
        let analysis: u64 = measurements.iter().map(|m| m.cost(scope).analysis).sum();
        passes.sum::<u64>() + sweeps.sum::<u64>() + if self.plan.shard.is_none() { analysis } else { 0 }
    }

    /// Returns the work of a pass for one sample, with the probes of some measurements.
    fn work_per_sample(&self, measurements: &[&dyn AnyMeasurement]) -> u64 {
        let scope = &self.plan.scope;
        let probes = measurements.iter().map(|m| m.cost(scope).probe).sum::<u64>();
        CostModel::new(&scope.outline).sweep(&[Route::identity(&scope.outline)]) + probes
    }

    /// The samples that follow the routes of an intervention, and how many of them form a group.
    fn list(&self, intervention: Intervention) -> (SampleList, usize) {
        match intervention {
            Intervention::OtherStep => SampleList::in_shuffled_groups(self.data, self.plan.scope.seed, self.plan.shard),
            _ => (SampleList::of_shard(self.data, self.plan.shard), 1),
        }
    }

    /// One pass through the whole network; returns its predictions in the order of the list.
    fn pass(
        &mut self,
        file: &str,
        list: &SampleList,
        probes: &mut [(String, Box<dyn AnyProbe>)],
        measurements: &[&dyn AnyMeasurement],
    ) -> Result<Vec<Prediction>> {
        // A pass that has not fed all of these probes begins anew: a probe has to see every sample.
        let has = |saved: &SavedPass, probe: &str| saved.probes.iter().any(|(name, _)| name == probe);
        let saved: Option<SavedPass> = self.store.load(file)?;
        let saved = saved.filter(|saved| probes.iter().all(|(name, _)| has(saved, name))).unwrap_or_default();
        let mut predictions = saved.predictions;
        predictions.reserve_exact(list.samples.len().saturating_sub(predictions.len()));
        let state = if predictions.is_empty() { list.start_state() } else { RecurrentState::restore(&saved.recurrent) };
        for (name, bytes) in saved.probes {
            if let Some((_, probe)) = probes.iter_mut().find(|(other, _)| *other == name) {
                probe.load(&bytes).map_err(|e| Error::mismatch(format!("{file}, {name}"), e))?;
            }
        }
        let each = self.work_per_sample(measurements);
        self.meter.restore(predictions.len() as u64 * each)?;
        let (names, mut own): (Vec<String>, Vec<Box<dyn AnyProbe>>) = split(probes);
        let rest = list.skip(predictions.len());
        let mut last = Instant::now();
        let Self { network, data, store, save_every, meter, .. } = self;
        if list.samples.is_empty() {
            // No batch comes that would be saved, and a shard without samples is finished all the same.
            store.save(file, &PassUnderWay::new(list, &predictions, &state, &names, &own))?;
        }
        let outcome = run_probes(*network, data, &rest, state, &mut own, |batch: PassedBatch| {
            predictions.extend(&batch.predictions);
            let outcome = meter.advance(batch.predictions.len() as u64 * each);
            let is_last = predictions.len() == list.samples.len();
            if store.is_kept() && (outcome.is_err() || is_last || last.elapsed() >= *save_every) {
                store.save(file, &PassUnderWay::new(list, &predictions, batch.state, &names, batch.probes))?;
                last = Instant::now();
            }
            outcome
        });
        probes.iter_mut().zip(own).for_each(|(place, probe)| place.1 = probe);
        outcome.map(|()| predictions)
    }

    /// The sweeps of one measurement.
    fn sweeps(&mut self, name: &str, groups: &[Group], means: &MeanSteps, found: &mut Observations) -> Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        let mut saved: Vec<SavedSweep> = self.store.load(name)?.unwrap_or_default();
        for (place, (intervention, routes)) in groups.iter().enumerate() {
            let (list, group) = self.list(*intervention);
            if saved.len() <= place {
                saved.push(SavedSweep {
                    intervention: *intervention,
                    routes: routes.iter().map(ToString::to_string).collect(),
                    samples: list.samples.to_vec(),
                    ..SavedSweep::default()
                });
            }
            let change = match intervention {
                Intervention::None => None,
                Intervention::MeanStep => Some(Change::MeanStep(means)),
                Intervention::OtherStep => Some(Change::OtherStep(group)),
                Intervention::Rescaled => Some(Change::Rescaled),
            };
            match change {
                Some(change) => {
                    let network = ChangedNetwork { network: self.network, change };
                    self.sweep(&network, name, place, &mut saved, (&list, routes))?;
                }
                None => self.sweep(self.network, name, place, &mut saved, (&list, routes))?,
            }
            if self.plan.shard.is_none() {
                saved[place].scatter(self.data.len(), found);
                if found.baseline.is_empty() && *intervention != Intervention::OtherStep {
                    found.baseline = saved[place].predictions[0].clone();
                }
            }
        }
        Ok(())
    }

    /// One sweep; what it predicts is put in its place in `saved`.
    fn sweep<M: Network>(
        &mut self,
        network: &M,
        name: &str,
        place: usize,
        saved: &mut [SavedSweep],
        (list, routes): (&SampleList, &[Route]),
    ) -> Result<()> {
        let mut state = SweepState::new(routes.len(), list);
        if !saved[place].predictions.is_empty() {
            state.predictions = std::mem::take(&mut saved[place].predictions);
            state.recurrent = saved[place].recurrent.iter().map(RecurrentState::restore).collect();
        }
        let each = CostModel::new(network.outline()).sweep(&with_whole(network, routes));
        self.meter.restore(state.done() as u64 * each)?;
        let (store, save_every, meter) = (&self.store, self.save_every, &mut self.meter);
        if list.samples.is_empty() {
            saved[place].keep(state);
            return store.save(name, &saved);
        }
        let mut last = Instant::now();
        let outcome = sweep(
            network,
            self.data,
            list,
            routes,
            &mut state,
            |work| meter.advance(work),
            |state| {
                let is_last = state.done() == list.samples.len();
                if store.is_kept() && (is_last || last.elapsed() >= save_every) {
                    saved[place].keep(state.clone());
                    store.save(name, &saved)?;
                    last = Instant::now();
                }
                Ok(())
            },
        );
        saved[place].keep(state);
        if matches!(outcome, Err(Error::Interrupted)) {
            store.save(name, &saved)?;
        }
        outcome
    }
}

/// The route of the whole network, and others.
fn with_whole<N: Network>(network: &N, routes: &[Route]) -> Vec<Route> {
    std::iter::once(Route::identity(network.outline())).chain(routes.iter().cloned()).collect()
}

/// Takes the probes out of their list, and their names.
fn split(probes: &mut [(String, Box<dyn AnyProbe>)]) -> (Vec<String>, Vec<Box<dyn AnyProbe>>) {
    let nothing = || Box::new(()) as Box<dyn AnyProbe>;
    probes.iter_mut().map(|(name, probe)| (name.clone(), std::mem::replace(probe, nothing()))).unzip()
}
