//! What is to be measured, as data: the work that every shard of it shares, and what tells it from other work.

use serde::{Deserialize, Serialize};

use super::measurement::{AnyMeasurement, Scope};
use super::sample_info::SampleInfo;
use super::{EvalSet, Intervention};
use crate::data::Shard;
use crate::device::DeviceInfo;
use crate::nn::{Network, Route};
use crate::{Error, Result};

/// The version of everything that is stored. A store of another version is refused.
pub const VERSION: u32 = 3;

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
    /// A checksum of the samples alone, which tells without the network whether others are the same.
    #[serde(default)]
    pub samples_checksum: Option<String>,
    /// How the samples enter the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<SampleInfo>,
    /// The device that computes the network; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceInfo>,
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
            samples_checksum: Some(checksum_of_samples(data)),
            preprocessing: Some(SampleInfo::new(data)),
            device: network.device(),
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

    /// Returns the first difference of another plan in what both have to share: network, data, seed. `None` where there is
    /// none.
    pub(super) fn difference(&self, found: &Self) -> Option<Difference> {
        let [ours, theirs] = [&self.scope, &found.scope];
        let samples = (ours.samples != theirs.samples).then(|| Difference {
            what: String::new(),
            found: format!("{} samples", theirs.samples),
            expected: ours.samples.to_string(),
            is_plural: true,
        });
        self.network
            .difference(&found.network, "network")
            .or(samples)
            .or_else(|| self.data.difference(&found.data, self.differing_data(found)))
            .or_else(|| Difference::of("seed", &theirs.seed, &ours.seed))
            .or_else(|| Difference::of("device", found.device.as_ref()?, self.device.as_ref()?))
            .or_else(|| {
                (ours != theirs).then(|| Difference {
                    what: String::new(),
                    found: "another outline of the same network".into(),
                    expected: "the outline that it has now".into(),
                    is_plural: false,
                })
            })
    }

    /// Returns what of the data differs, where something does: the same samples may have other labels, or enter the network in
    /// another way.
    fn differing_data(&self, found: &Self) -> &'static str {
        match self.samples_checksum == found.samples_checksum {
            true if self.samples_checksum.is_none() => "data",
            true if self.preprocessing != found.preprocessing => "normalization of",
            true => "labels of",
            false => "data",
        }
    }

    /// Checks that a data set holds the samples that were measured.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Argument`] that says how they differ.
    pub(super) fn check_samples(&self, data: &EvalSet) -> Result<()> {
        let (found, expected) = (data.dataset.shape().to_vec(), self.scope.outline.input.clone());
        if found != expected {
            return Err(Error::Shape { name: "samples of the data set".into(), found, expected });
        }
        let (name, measured) = (&self.data.name, self.scope.samples);
        if data.len() != measured {
            return Err(Error::argument(
                "data",
                format!("{} samples, but {measured} of {name} were measured", data.len()),
            ));
        }
        // Networks sort arrays and number words in their own way; images are the same for all of them.
        let checksum = checksum_of_samples(data);
        match self.samples_checksum.as_ref().filter(|_| self.scope.is_image) {
            Some(expected) if *expected != checksum => {
                let why =
                    format!("other samples than those of {name} that were measured ({checksum}, expected {expected})");
                Err(Error::argument("data", why))
            }
            _ => Ok(()),
        }
    }

    /// The checksum that ties the files of a store to their plan.
    pub(super) fn checksum(&self) -> Result<u32> {
        let shared = (self.version, &self.network.checksum, &self.data.checksum, &self.scope, self.shard);
        let bytes = serde_json::to_vec(&shared).map_err(|e| Error::unsupported("the plan", e.to_string()))?;
        Ok(crc32fast::hash(&bytes))
    }
}

impl Identity {
    fn difference(&self, found: &Self, what: &str) -> Option<Difference> {
        let text = |identity: &Self| format!("{} ({})", identity.name, identity.checksum);
        if self.checksum == found.checksum { None } else { Difference::of(what, &text(found), &text(self)) }
    }
}

/// A checksum of samples alone: without their labels, the names of their classes, and how a network normalizes them.
pub(super) fn checksum_of_samples(data: &EvalSet) -> String {
    format!("{:08x}", data.dataset.fingerprint_of_samples())
}

/// How one plan differs from another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// What differs, such as `seed`; empty where the values say it.
    what: String,
    /// The value that was found, such as `3` or `50 samples`.
    found: String,
    /// The value that it should be, such as `4` or `60`.
    expected: String,
    /// Whether `expected` is a number of things.
    is_plural: bool,
}

impl Difference {
    fn of<T: std::fmt::Display + PartialEq>(what: &str, found: &T, expected: &T) -> Option<Self> {
        (found != expected).then(|| Self {
            what: format!("{what} "),
            found: found.to_string(),
            expected: expected.to_string(),
            is_plural: false,
        })
    }

    /// Returns the difference of what a directory holds from what was asked for: `holds seed 3, seed 4 was asked for`.
    pub(super) fn of_directory(&self) -> String {
        let Self { what, found, expected, is_plural } = self;
        format!("holds {what}{found}, {what}{expected} {} asked for", if *is_plural { "were" } else { "was" })
    }

    /// Returns the difference of a shard from the first one: `seed 3, expected 4`.
    pub(super) fn of_shard(&self) -> String {
        format!("{}{}, expected {}", self.what, self.found, self.expected)
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
