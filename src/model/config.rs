//! The `[model]` table of an experiment file. What it leaves open is filled in by the kind of network.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Kind, Size, StemKind};
use crate::nn::{BodyKind, GateKind, LastRelu, Order, ShortcutKind, Wiring};

/// Which network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Named network; it decides the layout and all defaults.
    pub kind: Kind,
    /// Layers, counted as the literature does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// Blocks of each stage, in place of a depth: for networks for images, any number of stages (three in
    /// `highway-mnist`); for language models one stage, or `[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<usize>>,
    /// Of a language model: `small` or `large`, the sizes of Kim et al. 2015, for what is left open below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Of a language model: maps of the filters over one character, over two, and so on; their sum is the width of its
    /// blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maps: Option<Vec<usize>>,
    /// Of a language model: units of each LSTM layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<usize>,
    /// Of a language model: different characters, those that mark a word's ends and none among them. The data set decides
    /// it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<usize>,
    /// The layer before the first stage: `3x3` or `7x7-pool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stem: Option<StemKind>,
    /// Units of a dense block, or channels of the stem: a number, or `match:WIRING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<Width>,
    /// Channels of the first stage over those of the stem, the k of Wide ResNets (Zagoruyko and Komodakis 2016).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widen: Option<usize>,
    /// How blocks combine `h` and `x`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wiring: Option<Wiring>,
    /// The layers of H.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyKind>,
    /// Whether layers have batch normalization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<bool>,
    /// Whether normalization and ReLU stand after a layer (`post`) or before it (`pre`).
    #[serde(default = "post")]
    pub order: Order,
    /// Where the last ReLU of a block stands: `sum`, `h` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_relu: Option<LastRelu>,
    /// Whether, in `pre` order, normalization and ReLU stand before the classifier, as in He et al. 2016; some
    /// networks leave them out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_norm: Option<bool>,
    /// What stands on the skip where a block changes the shape: `zero-padding` (option A) or `projection` (B).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortcut: Option<ShortcutKind>,
    /// The layers of T and C: `body`, as H, or `1x1`.
    #[serde(default = "as_body")]
    pub gate: GateKind,
    /// Where the bias of T starts; that of a free C starts at its negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate_bias: Option<f32>,
    /// Factor on the initial weights of the last layer of every body. Left open: `1/sqrt(blocks)` where the wiring adds
    /// the whole input and nothing normalizes (Hanin and Rolnick 2018; Zhang et al. 2019), otherwise 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_scale: Option<f64>,
    /// Probability that layer dropout leaves out the last block in training; it grows linearly from the first (Huang et al. 2016).
    #[serde(default)]
    pub layer_dropout: f64,
    /// Probability that layer dropout keeps each block in training, one number a block in order, in place of
    /// `layer_dropout`: what a slimmed network has, whose blocks keep the probabilities they were trained with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub survival: Vec<f64>,
    /// Whether the blocks of a stage share their parameters, their normalization statistics apart.
    #[serde(default)]
    pub share_weights: bool,
    /// Probabilities of dropping units of the input, of what enters each later stage, and of what the classifier sees; in
    /// language models between the LSTM layers and of what the classifier sees. One number stands for all.
    #[serde(default, deserialize_with = "one_or_all")]
    pub dropout: Vec<f64>,
}

fn post() -> Order {
    Order::Post
}

fn one_or_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Raw {
        One(f64),
        All(Vec<f64>),
    }
    let raw =
        Raw::deserialize(deserializer).map_err(|_| D::Error::custom("dropout is a number, or a list of numbers"))?;
    Ok(match raw {
        Raw::One(p) => vec![p],
        Raw::All(all) => all,
    })
}

fn as_body() -> GateKind {
    GateKind::Body
}

impl ModelConfig {
    /// A network of this kind with all its defaults.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            depth: None,
            blocks: None,
            size: None,
            maps: None,
            units: None,
            characters: None,
            stem: None,
            width: None,
            widen: None,
            wiring: None,
            body: None,
            norm: None,
            order: Order::Post,
            last_relu: None,
            last_norm: None,
            shortcut: None,
            gate: GateKind::Body,
            gate_bias: None,
            body_scale: None,
            layer_dropout: 0.0,
            survival: Vec::new(),
            share_weights: false,
            dropout: Vec::new(),
        }
    }

    /// The same with another depth.
    #[must_use]
    pub fn with_depth(self, depth: usize) -> Self {
        Self { depth: Some(depth), ..self }
    }

    /// The same with another width.
    #[must_use]
    pub fn with_width(self, units: usize) -> Self {
        Self { width: Some(Width::Units(units)), ..self }
    }

    /// The same with another wiring.
    #[must_use]
    pub fn with_wiring(self, wiring: Wiring) -> Self {
        Self { wiring: Some(wiring), ..self }
    }
}

/// The width of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Units of a dense block, or channels of the stem.
    Units(usize),
    /// The width whose parameter count is nearest to that of another wiring at its width:
    /// `match:residual`, or `match:residual@71` where that width is not the kind's own.
    Match {
        /// The wiring to compare with.
        wiring: Wiring,
        /// Its width; 0 for the kind's own.
        units: usize,
    },
}

impl Serialize for Width {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Units(units) => serializer.serialize_u64(*units as u64),
            Self::Match { wiring, units: 0 } => serializer.collect_str(&format_args!("match:{wiring}")),
            Self::Match { wiring, units } => serializer.collect_str(&format_args!("match:{wiring}@{units}")),
        }
    }
}

impl<'de> Deserialize<'de> for Width {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Units(usize),
            Text(String),
        }
        let wrong = || D::Error::custom("a width is a number, 'match:residual' or 'match:residual@64'");
        match Raw::deserialize(deserializer).map_err(|_| wrong())? {
            Raw::Units(units) => Ok(Self::Units(units)),
            Raw::Text(text) => {
                let rest = text.strip_prefix("match:").ok_or_else(wrong)?;
                let (name, units) = rest.split_once('@').unwrap_or((rest, "0"));
                let wiring = name.parse().map_err(D::Error::custom)?;
                Ok(Self::Match { wiring, units: units.parse().map_err(|_| wrong())? })
            }
        }
    }
}
