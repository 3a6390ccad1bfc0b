//! Errors of experiment files: the place of a value, and what would be right.

use toml::de::{DeTable, DeValue};

use super::TrainConfig;
use super::config_keys::{KEYS, Key, ValueType, value_at};
use crate::text::toml_message;
use crate::{Error, Result};

/// An experiment file and the overrides of its values.
pub(super) struct Source<'a> {
    /// The name of the file.
    pub file: &'a str,
    pub text: &'a str,
    /// The values after all overrides.
    pub table: &'a toml::Table,
}

impl Source<'_> {
    /// Converts an error of a key, such as `train.rate`. Where the value comes from the file, the error names file and line.
    pub(super) fn locate(&self, error: Error) -> Error {
        match error {
            Error::Config { key, what } => match self.place(&key) {
                Some(place) => Error::config(format!("{place}: {key}"), what),
                None => Error::config(key, what),
            },
            other => other,
        }
    }

    /// Converts an error of serde: a key or name that is not known, a value of another type, or a key that is missing.
    pub(super) fn convert(&self, error: &toml::de::Error) -> Error {
        let message = error.message().trim();
        let path = key_path(error);
        let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        let found = value_at(self.table, &path);
        match (quoted.first(), found) {
            (Some(name), _) if message.starts_with("unknown field") => {
                self.unknown_key(&join(&path, name), &quoted[1..])
            }
            (Some(name), _) if message.starts_with("missing field") => {
                let path = join(&path, name);
                let expected = key(&path).map_or_else(String::new, |key| format!(", expected {}", expected(key)));
                Error::config(format!("{}: {path}", self.file), format!("missing{expected}"))
            }
            (Some(name), _) if message.starts_with("unknown variant") => {
                let known = quoted[1..].join(", ");
                let unknown = Error::unknown("value", *name, quoted[1..].iter().copied()).to_string();
                let known = if unknown.contains("known:") { String::new() } else { format!(" known: {known}") };
                self.locate(Error::config(path, format!("{unknown}{known}")))
            }
            (_, Some(value)) if message.starts_with("invalid ") && key(&path).is_some() => {
                let expected = key(&path).map_or_else(String::new, expected);
                self.locate(Error::config(path, format!("{}: expected {expected}", show(value))))
            }
            _ if path.is_empty() => Error::config(self.file, toml_message(error, "")),
            (_, Some(value)) if !message.starts_with("unknown") => {
                self.locate(Error::config(path, format!("{}: {}", show(value), toml_message(error, ""))))
            }
            _ => self.locate(Error::config(path, toml_message(error, ""))),
        }
    }

    fn unknown_key(&self, path: &str, known: &[&str]) -> Error {
        let (table, name) = path.rsplit_once('.').unwrap_or(("", path));
        let here: Vec<String> = known.iter().map(|name| join(table, name)).collect();
        // A key may stand in a wrong table.
        let elsewhere = KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(name));
        let unknown = match elsewhere {
            Some(key) => Error::config(path, format!("unknown key, did you mean '{}'?", key.path)),
            None => Error::unknown("key", path, here),
        };
        match self.place(path) {
            Some(place) => Error::config(place, unknown.to_string()),
            None => unknown,
        }
    }

    /// Returns the file and the line in which the value of a key, or the nearest table around it, stands; `None` where an
    /// override has replaced the value.
    fn place(&self, path: &str) -> Option<String> {
        let document = DeTable::parse(self.text).ok()?;
        let in_file: toml::Table = toml::from_str(self.text).ok()?;
        if value_at(&in_file, path) != value_at(self.table, path) {
            return None;
        }
        let (mut table, mut position) = (document.get_ref(), None);
        for name in path.split('.') {
            let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { break };
            position = Some(key.span().start);
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        let line = self.text.get(..position?)?.matches('\n').count() + 1;
        Some(format!("{}, line {line}", self.file))
    }
}

/// Returns the key of an error of serde with its tables; empty where it is about the whole file.
fn key_path(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let path = text.rsplit_once("in `").and_then(|(_, rest)| rest.split_once('`'));
    path.map_or_else(String::new, |(path, _)| path.split('[').next().unwrap_or(path).to_owned())
}

fn join(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}

fn key(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Returns what the value of a key has to be, with an example.
fn expected(key: &Key) -> String {
    let defaults = toml::Table::try_from(TrainConfig::default()).unwrap_or_default();
    let default = key.path.strip_prefix("train.").and_then(|name| defaults.get(name)).map(ToString::to_string);
    let example = default.or_else(|| Some(key.example.to_owned()).filter(|example| !example.is_empty()));
    let such_as = example.map_or_else(String::new, |example| format!(", such as {example}"));
    match key.value {
        ValueType::Integer => format!("a whole number of at least 0{such_as}"),
        ValueType::Float => format!("a number{such_as}"),
        ValueType::Boolean => "true or false".to_owned(),
        ValueType::String => format!("a text{such_as}"),
        ValueType::Choice(names) => format!("one of {}", names.join(", ")),
        ValueType::Integers => {
            format!("a list of whole numbers{}", such_as.replace(", such as []", ", such as [60, 80]"))
        }
        ValueType::Floats => format!("a list of numbers{such_as}"),
        ValueType::FloatOrFloats => "a number, or a list of numbers such as [0.1, 0.2]".to_owned(),
        ValueType::IntegerOrString => "a whole number, or a text such as \"match:residual\"".to_owned(),
    }
}

/// Returns a value as it is quoted in messages.
fn show(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    }
}

/// Parses the text of a TOML file.
pub(super) fn parse_table(text: &str, file: &str) -> Result<toml::Table> {
    toml::from_str(text).map_err(|e| Error::config(file, toml_message(&e, text)))
}

#[cfg(test)]
mod tests {
    use super::super::Experiment;

    const TEXT: &str = "[model]\nkind = 'mlp'\n\n[data]\nsource = 'digits'\n\n[train]\n";

    fn message(text: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|&entry| entry.to_owned()).collect();
        Experiment::parse(text, &overrides, "a.toml").unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_file_line_and_key_and_what_would_be_right() {
        for (line, expected) in [
            ("rate = 'abc'", "a.toml, line 8: train.rate: 'abc': expected a number, such as 0.1"),
            ("seed = -1", "a.toml, line 8: train.seed: -1: expected a whole number of at least 0, such as 0"),
            ("nesterov = 1", "a.toml, line 8: train.nesterov: 1: expected true or false"),
            ("betas = [0.9]", "a.toml, line 8: train.betas: [0.9]: expected a list of numbers, such as [0.9, 0.999]"),
            (
                "optimizer = 'adam'",
                "a.toml, line 8: train.optimizer: unknown value 'adam', did you mean 'adamw'? known: sgd, adamw",
            ),
            ("optimizer = 'x'", "a.toml, line 8: train.optimizer: unknown value 'x', known: sgd, adamw"),
            ("epoch = 3", "a.toml, line 8: unknown key 'train.epoch', did you mean 'train.epochs'?"),
            ("wiring = 'plain'", "a.toml, line 8: train.wiring: unknown key, did you mean 'model.wiring'?"),
            ("batch = 0", "a.toml, line 8: train.batch: 0: at least 1 sample a step is needed"),
            ("rate = ", "a.toml: line 8, column 8: string values must be quoted, expected literal string"),
        ] {
            assert_eq!(message(&format!("{TEXT}{line}\n"), &[]), expected);
        }
    }

    #[test]
    fn an_error_of_an_override_names_the_key() {
        for (entry, expected) in [
            ("train.rate=abc", "train.rate: 'abc': expected a number, such as 0.1"),
            ("train.seed=-1", "train.seed: -1: expected a whole number of at least 0, such as 0"),
            ("train.epoch=3", "unknown key 'train.epoch', did you mean 'train.epochs'?"),
            ("train.rate=-.5", "train.rate: -0.5: a number of at least 0 is needed"),
            ("model.width=abc", "model.width: 'abc': a width is a number, 'match:residual' or 'match:residual@64'"),
            ("train.milestones=3", "train.milestones: 3: expected a list of whole numbers, such as [60, 80]"),
        ] {
            assert_eq!(message(TEXT, &[entry]), expected);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            message("[model]\nkind = 'mlp'\n[data]\n", &[]),
            "a.toml: data.source: missing, expected a text, such as \"digits\""
        );
        assert!(message("[data]\nsource = 'digits'\n", &[]).starts_with("a.toml: model: missing"));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_file() {
        assert!(Experiment::parse(&format!("\u{feff}{TEXT}"), &[], "a.toml").is_ok());
    }
}
