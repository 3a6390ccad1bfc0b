//! The experiment file: a TOML file with the tables `[model]`, `[data]` and `[train]`.

use serde::{Deserialize, Serialize};

use super::config_errors::{Source, parse_table};
use super::config_keys::template;
use super::{DataConfig, TrainConfig};
use crate::data::Augment;
use crate::model::{ModelConfig, ModelKind};
use crate::text::without_byte_order_mark;
use crate::{Error, Result};

/// An experiment file: everything that determines the result of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The network.
    pub model: ModelConfig,
    /// The data set and how its samples are prepared.
    pub data: DataConfig,
    /// The optimizer and its schedule.
    #[serde(default)]
    pub train: TrainConfig,
}

/// A key whose value differs between two experiments.
pub(super) struct Difference {
    pub key: String,
    /// The values before and now.
    pub values: [String; 2],
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [before, now] = &self.values;
        write!(f, "{} was {before}, now {now}", self.key)
    }
}

/// The longest warm-up in epochs. A warm-up longer than the training is harmless, but this one would make every rate 0.
const MAX_WARMUP: f64 = 1e6;

impl Experiment {
    /// Parses the text of an experiment file. Each of `overrides`, written `key=value`, then replaces a value. `file` is the
    /// name of the file in errors, which also name the line.
    ///
    /// ```
    /// use unrolled::train::Experiment;
    ///
    /// let text = "model.kind = 'mlp'\ndata.source = 'digits'";
    /// let experiment = Experiment::parse(text, &["train.epochs=3".to_owned()], "digits.toml")?;
    /// assert_eq!(experiment.train.epochs, 3);
    /// # Ok::<(), unrolled::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown key or name, or a value that is not possible; [`Error::Unknown`] for an override of an
    /// unknown key; [`Error::Argument`] for an override that is not of the form `key=value`.
    pub fn parse(text: &str, overrides: &[String], file: &str) -> Result<Self> {
        let text = without_byte_order_mark(text);
        let mut table = parse_table(text, file)?;
        for entry in overrides {
            override_value(&mut table, entry)?;
        }
        let source = Source { file, text, table: &table };
        let experiment = Self::deserialize(toml::Value::Table(table.clone())).map_err(|e| source.convert(&e))?;
        experiment.check().map_err(|e| source.locate(e))?;
        Ok(experiment)
    }

    /// Returns the text of a commented experiment file for a kind of network: every key that is possible for it, its default
    /// and its meaning.
    ///
    /// ```
    /// use unrolled::model::ModelKind;
    /// use unrolled::train::Experiment;
    ///
    /// let text = Experiment::template(ModelKind::Resnet)?;
    /// assert_eq!(Experiment::parse(&text, &[], "resnet.toml")?.model.depth, Some(20));
    /// # Ok::<(), unrolled::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] if a value cannot be written as TOML.
    pub fn template(kind: ModelKind) -> Result<String> {
        template(kind)
    }

    /// Returns the text of an experiment file with these values.
    ///
    /// # Errors
    /// [`Error::Config`] if a value cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::config("experiment", e.to_string()))
    }

    /// Checks the keys that are possible for texts only, or not for texts.
    pub(super) fn check_text(&self, is_text: bool) -> Result<()> {
        if is_text && self.data.normalization.is_some() {
            return Err(Error::config("data.normalization", "numbers of characters are not normalized"));
        }
        if is_text && self.data.augment != Augment::default() {
            return Err(Error::config("data.augment", "changes images, not texts"));
        }
        let is_language_model = self.model.kind.family() == crate::model::ModelFamily::CharLm;
        match self.train.steps {
            _ if is_text != is_language_model => Err(Error::config(
                "model.kind",
                format!(
                    "'{}' and {}: a text is for 'char-lm', and that for a text",
                    self.model.kind.name(),
                    self.data.source
                ),
            )),
            Some(0) => Err(Error::config("train.steps", "0: at least 1 is needed")),
            Some(_) if !is_text => {
                Err(Error::config("train.steps", "for texts only, model.kind = 'char-lm'; remove it"))
            }
            None if is_text => Err(Error::config(
                "train.steps",
                "missing; set the number of words of each stream in a step, such as 35",
            )),
            _ => Ok(()),
        }
    }

    /// Returns the keys whose values differ, such as `train.epochs`, each with both values.
    pub(super) fn differences(before: &Self, now: &Self) -> Result<Vec<Difference>> {
        let failed = |e: toml::ser::Error| Error::config("experiment", e.to_string());
        let before = toml::Table::try_from(before).map_err(failed)?;
        let now = toml::Table::try_from(now).map_err(failed)?;
        let empty = toml::Table::new();
        let mut differences = Vec::new();
        for (name, table) in &now {
            let old = before.get(name).and_then(|t| t.as_table()).unwrap_or(&empty);
            let new = table.as_table().unwrap_or(&empty);
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys.into_iter().filter(|&key| old.get(key) != new.get(key)) {
                let show = |v: Option<&toml::Value>| v.map_or("left open".to_owned(), ToString::to_string);
                let values = [show(old.get(key)), show(new.get(key))];
                differences.push(Difference { key: format!("{name}.{key}"), values });
            }
        }
        Ok(differences)
    }

    fn check(&self) -> Result<()> {
        let train = &self.train;
        let wrong = |key: &str, what: String| Err(Error::config(format!("train.{key}"), what));
        if train.batch == 0 {
            return wrong("batch", "0: at least 1 sample a step is needed".into());
        }
        if !(train.rate.is_finite() && train.rate >= 0.0) {
            return wrong("rate", format!("{}: a number of at least 0 is needed", train.rate));
        }
        if train.keep == 0 {
            return wrong("keep", "0: at least the latest checkpoint is kept".into());
        }
        let shares = [
            ("momentum", train.momentum),
            ("betas", train.betas[0]),
            ("betas", train.betas[1]),
            ("label_smoothing", train.label_smoothing),
            ("ema", train.ema),
        ];
        for (key, value) in shares {
            if !(0.0..1.0).contains(&value) {
                return wrong(key, format!("{value}: a number from 0 to below 1 is needed"));
            }
        }
        let positive = [
            ("weight_decay", train.weight_decay),
            ("clip_norm", train.clip_norm),
            ("warmup", train.warmup),
            ("factor", train.factor),
            ("threshold", train.threshold),
        ];
        for (key, value) in positive {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(key, format!("{value}: a number of at least 0 is needed"));
            }
        }
        if train.warmup > MAX_WARMUP {
            return wrong("warmup", format!("{}: at most {MAX_WARMUP} epochs are possible", train.warmup));
        }
        if train.nesterov && train.momentum == 0.0 {
            return wrong("nesterov", "needs train.momentum above 0".into());
        }
        Ok(())
    }
}

/// Applies an override `a.b.c=value`. A value that is not TOML is a string, so that `data.source=mnist:DIR` needs no quotes.
fn override_value(table: &mut toml::Table, entry: &str) -> Result<()> {
    let (path, text) = entry
        .split_once('=')
        .ok_or_else(|| Error::argument("set", format!("{entry}: expected KEY=VALUE, such as train.epochs=3")))?;
    if text.parse::<i64>().is_err() && text.parse::<i128>().is_ok() {
        return Err(Error::config(path, format!("{text}: whole numbers up to {} are possible", i64::MAX)));
    }
    let value = toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut t| t.remove("value"))
        // TOML wants a digit on both sides of the point.
        .or_else(|| text.trim().parse().ok().filter(|number: &f64| number.is_finite()).map(toml::Value::Float))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()));
    let keys: Vec<&str> = path.trim().split('.').collect();
    let (last, parents) = keys.split_last().ok_or_else(|| Error::argument("set", format!("{entry}: no key")))?;
    let mut table = table;
    for key in parents {
        let next = table.entry(*key).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        table = next.as_table_mut().ok_or_else(|| Error::config(path, format!("'{key}' is no table")))?;
    }
    table.insert((*last).to_owned(), value);
    Ok(())
}
