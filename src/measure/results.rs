//! What was measured of one network.

use std::path::Path;

use indexmap::IndexMap;
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::directory::{Directory, check_output, read_json};
use super::measurement::{Measurement, REGISTRY};
use super::plan::Plan;
use super::sample_info::SampleInfo;
use super::score::Score;
use crate::device::DeviceInfo;
use crate::model::Epoch;
use crate::nn::{BlockId, Outline};
use crate::{Error, Result};

/// The version of the JSON form.
const VERSION: u64 = 3;

/// Everything that was measured of one network.
///
/// The JSON form is an object with the keys `version`, `target`, `data`, `preprocessing`, `device`, `seed`, `outline`, `baseline`, the keys
/// of each measurement, `training` and `untrained`.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurements {
    /// The run directory or file that was opened.
    pub target: String,
    /// The data, as the caller named them.
    pub data: String,
    /// How the samples entered the network; `None` in files of earlier versions.
    pub preprocessing: Option<SampleInfo>,
    /// The device that computed the network; `None` where it is not known, as in files of earlier versions.
    pub device: Option<DeviceInfo>,
    /// The seed of all random choices.
    pub seed: u64,
    /// The network's stages and blocks.
    pub outline: Outline,
    /// The score of the whole network.
    pub baseline: Score,
    /// The output of each measurement by its name.
    pub outputs: IndexMap<String, Value>,
    /// The epochs of the training that made the network, where they are known.
    pub training: Vec<Epoch>,
    /// The outputs of the same network with its initial weights; empty where it was not measured.
    pub untrained: Untrained,
}

/// Outputs of a network with its initial weights, by the name of the measurement: one for each seed.
pub type Untrained = IndexMap<String, Vec<Value>>;

impl Measurements {
    /// Returns the output of one measurement; `None` where it was not made.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where the output is none of this measurement.
    pub fn get<M: Measurement>(&self) -> Result<Option<M::Output>> {
        let Some(value) = self.outputs.get(M::NAME) else { return Ok(None) };
        let output = serde_json::from_value(value.clone());
        output.map(Some).map_err(|e| Error::mismatch(format!("{}, {}", self.target, M::NAME), e.to_string()))
    }

    /// Returns the output of a measurement that must have been made.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where it was not.
    pub fn require<M: Measurement>(&self) -> Result<M::Output> {
        self.get::<M>()?.ok_or_else(|| Error::unsupported(&self.target, format!("{} was not measured", M::NAME)))
    }

    /// Reads the measurements of a directory that was written by [`Measure`](super::Measure) or with a `measurements.json`, or
    /// of such a file: one, or as many as were compared.
    ///
    /// # Errors
    /// [`Error::File`] for what is none or not finished, [`Error::Io`] for what cannot be read.
    pub fn read(path: &Path) -> Result<Vec<Self>> {
        let directory = Directory::new(path);
        let plan = if path.is_dir() { directory.plan()? } else { None };
        if let Some(plan) = plan {
            let Some(score) = directory.baseline()? else {
                let what = "holds no finished measurement; resume it, or merge its shards";
                return Err(Error::file(path, what));
            };
            let measured = assemble(&plan, score, directory.outputs()?);
            let (training, untrained) = (directory.training()?, directory.untrained()?);
            let measured = Self { training, untrained, ..measured };
            measured.check_blocks().map_err(|what| Error::file(path, what))?;
            return Ok(vec![measured]);
        }
        let file = if path.is_dir() { path.join("measurements.json") } else { path.to_owned() };
        let Some(value) = read_json::<Value>(&file)? else { return Err(Error::file(file, "no such file")) };
        let is_several = value.is_array();
        let several = if is_several { value } else { Value::Array(vec![value]) };
        let wrong = |e: String| Error::file(&file, format!("no measurements: {e}"));
        let all: Vec<Self> = serde_json::from_value(several).map_err(|e| wrong(e.to_string()))?;
        let outputs = all.iter().flat_map(|measured| &measured.outputs);
        outputs
            .filter(|(_, output)| !output.is_null())
            .try_for_each(|(name, output)| check_output(name, output))
            .map_err(wrong)?;
        all.iter().try_for_each(Self::check_blocks).map_err(wrong)?;
        Ok(all)
    }

    /// Checks that all blocks in the outputs are blocks of the network.
    fn check_blocks(&self) -> std::result::Result<(), String> {
        let untrained = self.untrained.iter().flat_map(|(name, all)| all.iter().map(move |output| (name, output)));
        let find = |(name, output)| Some((name, unknown_block(output, &self.outline)?));
        match self.outputs.iter().chain(untrained).find_map(find) {
            Some((name, block)) => Err(format!("{name}: {block}, which is no block of the network")),
            None => Ok(()),
        }
    }

    /// Returns the same without pictures, which only a report shows.
    #[must_use]
    pub fn without_pictures(mut self) -> Self {
        self.outputs.values_mut().for_each(remove_pictures);
        self
    }
}

/// Puts outputs together, in the order of the registry, those of other programs last.
pub(super) fn assemble(plan: &Plan, baseline: Score, mut finished: IndexMap<String, Value>) -> Measurements {
    let known = REGISTRY.iter().filter_map(|m| finished.shift_remove_entry(m.name()));
    let mut outputs: IndexMap<String, Value> = known.collect();
    outputs.extend(finished);
    Measurements {
        target: plan.network.name.clone(),
        data: plan.data.name.clone(),
        preprocessing: plan.preprocessing.clone(),
        device: plan.device.clone(),
        seed: plan.scope.seed,
        outline: plan.scope.outline.clone(),
        baseline,
        outputs,
        training: Vec::new(),
        untrained: Untrained::new(),
    }
}

/// Returns a block in an output, a key or a text, that is none of the network's.
fn unknown_block(value: &Value, outline: &Outline) -> Option<BlockId> {
    let unknown = |text: &str| text.parse::<BlockId>().ok().filter(|id| !outline.has_block(*id));
    match value {
        Value::String(text) => unknown(text),
        Value::Array(items) => items.iter().find_map(|item| unknown_block(item, outline)),
        Value::Object(fields) => {
            fields.iter().find_map(|(key, field)| unknown(key).or_else(|| unknown_block(field, outline)))
        }
        _ => None,
    }
}

/// Removes every field whose value is the address of a picture.
fn remove_pictures(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.as_str().is_some_and(|text| text.starts_with("data:image/")));
            fields.values_mut().for_each(remove_pictures);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_pictures),
        _ => {}
    }
}

impl Serialize for Measurements {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &VERSION)?;
        map.serialize_entry("target", &self.target)?;
        map.serialize_entry("data", &self.data)?;
        if let Some(preprocessing) = &self.preprocessing {
            map.serialize_entry("preprocessing", preprocessing)?;
        }
        if let Some(device) = &self.device {
            map.serialize_entry("device", device)?;
        }
        map.serialize_entry("seed", &self.seed)?;
        map.serialize_entry("outline", &self.outline)?;
        map.serialize_entry("baseline", &self.baseline)?;
        for (name, output) in &self.outputs {
            let keys = REGISTRY.iter().find(|m| m.name() == name).map(|m| m.keys());
            match (keys, output) {
                (_, Value::Null) => {}
                (Some(keys @ [_, _, ..]), Value::Object(fields)) => {
                    let own = keys.iter().filter_map(|key| Some((key, fields.get(*key)?)));
                    for (key, value) in own {
                        map.serialize_entry(key, value)?;
                    }
                }
                _ => map.serialize_entry(name, output)?,
            }
        }
        if !self.training.is_empty() {
            map.serialize_entry("training", &self.training)?;
        }
        if !self.untrained.is_empty() {
            map.serialize_entry("untrained", &self.untrained)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Measurements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut fields = Map::<String, Value>::deserialize(deserializer)?;
        // Files of before have no version; their keys are the same.
        match fields.remove("version").map_or(Some(1), |version| version.as_u64()) {
            Some(1..=VERSION) => {}
            _ => return Err(D::Error::custom(format!("written by another version, expected at most {VERSION}"))),
        }
        let mut take = |key: &str| fields.remove(key).unwrap_or(Value::Null);
        fn read<T: serde::de::DeserializeOwned, E: serde::de::Error>(
            key: &str,
            value: Value,
        ) -> std::result::Result<T, E> {
            serde_json::from_value(value).map_err(|e| E::custom(format!("{key}: {e}")))
        }
        let (training, untrained) = (take("training"), take("untrained"));
        let mut measured = Self {
            target: read("target", take("target"))?,
            data: read("data", take("data"))?,
            preprocessing: read("preprocessing", take("preprocessing"))?,
            device: read("device", take("device"))?,
            seed: read("seed", take("seed"))?,
            outline: read("outline", take("outline"))?,
            baseline: read("baseline", take("baseline"))?,
            outputs: IndexMap::new(),
            training: if training.is_null() { Vec::new() } else { read("training", training)? },
            untrained: if untrained.is_null() { Untrained::new() } else { read("untrained", untrained)? },
        };
        for measurement in REGISTRY {
            let keys = measurement.keys();
            let own: Map<String, Value> = keys.iter().filter_map(|key| fields.remove_entry(*key)).collect();
            match keys {
                _ if own.is_empty() => {}
                [_] => {
                    measured.outputs.extend(own.into_iter().map(|(_, value)| (measurement.name().to_owned(), value)))
                }
                _ => drop(measured.outputs.insert(measurement.name().to_owned(), Value::Object(own))),
            }
        }
        // Measurements of other programs.
        measured.outputs.extend(fields);
        Ok(measured)
    }
}
