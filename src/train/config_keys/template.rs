//! A commented experiment file for a kind of network.

use super::{KEYS, ValueType, defaults, value_at};
use crate::model::ModelKind;
use crate::{Error, Result};

/// Values that differ from the defaults, because a kind of network could not be trained without them.
fn needed_values(kind: ModelKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        ModelKind::Mlp | ModelKind::HighwayMnist => &[("train.clip_norm", "1.0")],
        ModelKind::Resnet | ModelKind::Highway110 => &[],
        ModelKind::Imagenet | ModelKind::Highway50 | ModelKind::HighwayFull50 => {
            &[("data.resize", "256"), ("data.crop", "224")]
        }
        // The training of Kim et al. 2015.
        ModelKind::CharLm => &[
            ("train.epochs", "25"),
            ("train.batch", "20"),
            ("train.steps", "35"),
            ("train.rate", "1.0"),
            ("train.momentum", "0.0"),
            ("train.schedule", "\"plateau\""),
            ("train.factor", "0.5"),
            ("train.threshold", "1.0"),
            ("train.clip_norm", "5.0"),
        ],
    }
}

/// Returns an experiment file with every key that is possible for a kind of network, its default, and a line of comment.
///
/// Keys without a default, and keys whose default depends on others, are commented out.
pub(in crate::train) fn template(kind: ModelKind) -> Result<String> {
    let defaults = toml::Table::try_from(defaults(kind)?).map_err(|e| Error::config("experiment", e.to_string()))?;
    let needed = needed_values(kind);
    let mut text = format!(
        "# An experiment file for the kind of network '{}', with all defaults. Values after # are examples, or defaults that\n\
         # depend on other keys or on the data set.\n",
        kind.name()
    );
    let mut current = "";
    for key in KEYS.iter().filter(|key| key.kinds.contain(kind)) {
        let (table, name) = key.path.split_once('.').unwrap_or((key.path, ""));
        if table != current {
            text += &format!("\n[{table}]\n");
            current = table;
        }
        let default = value_at(&defaults, key.path).map(ToString::to_string);
        let value = needed.iter().find(|(path, _)| *path == key.path).map(|(_, value)| (*value).to_owned());
        let is_set = value.is_some() || (default.is_some() && !key.derived.contain(kind));
        let mut about = key.about.to_owned();
        if let ValueType::Choice(names) = key.value {
            about += &format!(" [{}]", names.join(", "));
        }
        if let (Some(_), Some(default)) = (&value, &default) {
            about += &format!(" [default: {default}]");
        }
        let value = value.or(default).unwrap_or_else(|| key.example.to_owned());
        let comment = if is_set { "" } else { "# " };
        text += &format!("# {about}\n{comment}{name} = {value}\n");
    }
    Ok(text)
}
