//! What is to be measured, as data: the work that every shard of it shares, and what tells it from other work.

use serde::{Deserialize, Serialize};

use super::measurement::{AnyMeasurement, Scope};
use super::sample_order::Shard;
use super::{EvalSet, Intervention};
use crate::nn::{Network, Route};
use crate::{Error, Result};

/// The version of everything that is stored. A store of another version is refused.
pub const VERSION: u32 = 1;

/// A network or a data set: its name, and a checksum of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// How the caller named it.
    pub name: String,
    /// A checksum of its content.
    pub checksum: String,
}

/// What is to be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of the store, [`VERSION`].
    pub version: u32,
    /// The network.
    pub network: Identity,
    /// The samples, as they enter the network.
    pub data: Identity,
    /// What the measurements are planned for.
    pub scope: Scope,
    /// The measurements, with the routes that each follows.
    pub measurements: Vec<PlannedMeasurement>,
    /// The part of the samples that is worked on; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

/// One measurement of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedMeasurement {
    /// Its name.
    pub name: String,
    /// The printed form of the routes that it follows, each with what else is changed.
    pub routes: Vec<(Intervention, String)>,
}

impl Plan {
    /// Returns the plan of some measurements. Those for which the network has nothing to measure are left out.
    pub(super) fn new<N: Network>(
        network: &N,
        data: &EvalSet,
        names: [&str; 2],
        seed: u64,
        measurements: &[&dyn AnyMeasurement],
        shard: Option<Shard>,
    ) -> Self {
        let scope = Scope::new(network, data, seed);
        let [network_name, data_name] = names.map(str::to_owned);
        let normalization = format!("{:?}", data.normalization);
        let data_checksum = crc32fast::hash(normalization.as_bytes()) ^ data.dataset.fingerprint();
        let planned = measurements.iter().filter(|m| m.why_not(&scope).is_none()).map(|m| PlannedMeasurement {
            name: m.name().to_owned(),
            routes: m.routes(&scope).into_iter().map(|(change, route)| (change, route.to_string())).collect(),
        });
        Self {
            version: VERSION,
            network: Identity { name: network_name, checksum: format!("{:08x}", network.fingerprint()) },
            data: Identity { name: data_name, checksum: format!("{data_checksum:08x}") },
            measurements: planned.collect(),
            scope,
            shard,
        }
    }

    /// Returns the routes of one measurement, read from their printed form.
    ///
    /// # Errors
    /// Where a route is none of the network's.
    pub(super) fn routes(&self, name: &str) -> Result<Vec<(Intervention, Route)>> {
        let own = self.measurements.iter().find(|planned| planned.name == name);
        let routes = own.map_or(&[][..], |planned| &planned.routes);
        let parsed = |(change, text): &(Intervention, String)| Ok((*change, Route::parse(text, &self.scope.outline)?));
        routes.iter().map(parsed).collect()
    }

    /// Says how another plan differs in what both have to share: version, network, data, seed. `None` where it does not.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let differs = |what: &str, ours: &str, theirs: &str| {
            (ours != theirs).then(|| format!("{what} {theirs}, expected {ours}"))
        };
        differs("written by store version", &self.version.to_string(), &other.version.to_string())
            .or_else(|| self.network.difference(&other.network, "network"))
            .or_else(|| self.data.difference(&other.data, "data"))
            .or_else(|| differs("seed", &self.scope.seed.to_string(), &other.scope.seed.to_string()))
            .or_else(|| (self.scope != other.scope).then(|| "another outline of the same network".to_owned()))
    }

    /// The checksum that ties the files of a store to their plan.
    pub(super) fn checksum(&self) -> Result<u32> {
        let shared = (self.version, &self.network.checksum, &self.data.checksum, &self.scope, self.shard);
        let bytes = serde_json::to_vec(&shared).map_err(|e| Error::unsupported("the plan", e.to_string()))?;
        Ok(crc32fast::hash(&bytes))
    }
}

impl Identity {
    fn difference(&self, other: &Self, what: &str) -> Option<String> {
        let Self { name, checksum } = other;
        let is_other = self.checksum != *checksum;
        is_other.then(|| format!("{what} {name} ({checksum}), expected {} ({})", self.name, self.checksum))
    }
}

impl Scope {
    /// Returns the scope of a network and its samples.
    pub fn new<N: Network>(network: &N, data: &EvalSet, seed: u64) -> Self {
        Self {
            outline: network.outline().clone(),
            samples: data.len(),
            seed,
            has_gradients: network.has_gradients(),
            is_image: data.dataset.arrays().is_none() && !network.outline().is_language_model,
            classes: data.dataset.classes().to_vec(),
        }
    }
}
