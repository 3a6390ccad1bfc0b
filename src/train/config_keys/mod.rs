//! The keys of an experiment file: a table from which `docs/CONFIG.md` and the files of `unrolled train --init` are made.
//!
//! The table holds what the types cannot tell: a description, and for which networks a key is possible. The defaults are
//! those of the types. The tests check that the table has every key and every name that the types accept, and no others.

mod keys;
#[cfg(test)]
mod markdown;
mod template;
#[cfg(test)]
mod tests;

use burn::tensor::Device;
pub(super) use keys::KEYS;
pub(super) use template::template;

use super::{DataConfig, Experiment, TrainConfig};
use crate::Result;
use crate::model::{Model, ModelConfig, ModelKind};

/// A key of an experiment file.
pub(super) struct Key {
    /// The key with its tables, such as `data.augment.pad`.
    pub path: &'static str,
    pub value: ValueType,
    /// The kinds of network for which the key is possible.
    pub kinds: Kinds,
    /// The kinds of network for which the default depends on the data set or on other keys.
    pub derived: Kinds,
    /// A possible value, for a key without a default; otherwise empty.
    pub example: &'static str,
    /// One sentence on one line.
    pub about: &'static str,
}

/// The type of a value.
pub(super) enum ValueType {
    Integer,
    Float,
    Boolean,
    String,
    /// One of these strings.
    Choice(&'static [&'static str]),
    Integers,
    Floats,
    FloatOrFloats,
    IntegerOrString,
}

/// Some kinds of network.
pub(super) enum Kinds {
    All,
    None,
    Only(&'static [ModelKind]),
    Except(&'static [ModelKind]),
}

impl Kinds {
    pub(super) fn contain(&self, kind: ModelKind) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(kinds) => kinds.contains(&kind),
            Self::Except(kinds) => !kinds.contains(&kind),
        }
    }
}

/// Returns the experiment of a kind of network with all defaults filled in. The data set is the one that the literature
/// trains this kind on.
pub(super) fn defaults(kind: ModelKind) -> Result<Experiment> {
    let (source, input, classes) = usual_data(kind);
    let model = Model::uninitialized(&ModelConfig::new(kind), input, classes, &Device::flex())?.config().clone();
    Ok(Experiment { model, data: DataConfig::new(source), train: TrainConfig::default() })
}

/// Returns the usual data set of a kind of network, the shape of its samples and the number of its classes.
fn usual_data(kind: ModelKind) -> (&'static str, [usize; 3], usize) {
    match kind {
        ModelKind::Mlp => ("digits", [1, 8, 8], 10),
        ModelKind::Resnet | ModelKind::Highway110 => ("cifar10:data/cifar10", [3, 32, 32], 10),
        ModelKind::Imagenet | ModelKind::Highway50 | ModelKind::HighwayFull50 => {
            ("folder:data/imagenet", [3, 224, 224], 1000)
        }
        ModelKind::HighwayMnist => ("mnist:data/mnist", [1, 28, 28], 10),
        ModelKind::CharLm => ("text:data/ptb", [1, 1, 21], 10_000),
    }
}

/// Returns the value at a path of a TOML table.
pub(super) fn value_at<'t>(table: &'t toml::Table, path: &str) -> Option<&'t toml::Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = table.get(first)?;
    match rest {
        Some(rest) => value_at(value.as_table()?, rest),
        None => Some(value),
    }
}
