//! The configuration of a network: the `[model]` table of an experiment file.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::char_lm::CharLmSize;
use super::kind::ModelKind;
use super::stem::StemKind;
use crate::nn::{ActivationOrder, BodyKind, GateKind, LastRelu, ShortcutOption, Wiring};

/// The configuration of a network.
///
/// Only `kind` is required. Every other key has a default that depends on the kind.
///
/// # Examples
///
/// ```
/// use unrolled::model::{ModelConfig, ModelKind};
/// use unrolled::nn::Wiring;
///
/// let config = ModelConfig::new(ModelKind::Resnet).with_depth(56).with_wiring(Wiring::Highway);
/// let same: ModelConfig = toml::from_str("kind = 'resnet'\ndepth = 56\nwiring = 'highway'").unwrap();
/// assert_eq!(config, same);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The named network, which decides the layout and all defaults.
    pub kind: ModelKind,
    /// Number of layers, as the literature counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// Number of blocks of each stage, in place of `depth`. Networks for images may have any number of stages,
    /// `highway-mnist` has three, and language models have one, whose number may be 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<usize>>,
    /// Language models only: the size in Kim et al. 2015, `small` or `large`. It sets the defaults of `maps` and `units`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<CharLmSize>,
    /// Language models only: number of maps of the filters over one character, over two, and so on. Their sum is the width
    /// of the blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maps: Option<Vec<usize>>,
    /// Language models only: number of units of each LSTM layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<usize>,
    /// Language models only: number of different characters, including those for padding, start and end of a word, and
    /// unknown letters. Training takes it from the data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<usize>,
    /// The layers before the first stage, such as `3x3`, `7x7-pool` or `deep-pool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stem: Option<StemKind>,
    /// Units of a dense block, or channels of the stem: a number, or `match:WIRING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<Width>,
    /// Factor from the channels of the stem to those of the first stage: the k of Wide ResNets (Zagoruyko and Komodakis
    /// 2016).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widen: Option<usize>,
    /// Bottlenecks only: channels of the 3x3 convolution in the first stage, which double from stage to stage: the base width
    /// of Wide ResNets with bottlenecks and of ResNeXts (Xie et al. 2017). The default is a quarter of those of the block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bottleneck_width: Option<usize>,
    /// Bottlenecks only: groups of channels of the 3x3 convolution, the cardinality of ResNeXts. The default is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<usize>,
    /// How blocks combine `h` and `x`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wiring: Option<Wiring>,
    /// The layers of H.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyKind>,
    /// Whether layers have batch normalization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<bool>,
    /// Whether normalization and ReLU come after a layer (`post`) or before it (`pre`).
    #[serde(default = "default_order")]
    pub order: ActivationOrder,
    /// Position of the last ReLU of a block: `sum`, `h` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_relu: Option<LastRelu>,
    /// In `pre` order, whether normalization and ReLU precede the classifier, as in He et al. 2016. The default is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_norm: Option<bool>,
    /// Shortcut of a block that changes the shape: `zero-padding` (option A of He et al. 2015), `projection` (option B)
    /// or `pooled-projection` (He et al. 2019).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortcut: Option<ShortcutOption>,
    /// The layers of T and C: `body`, as those of H, or `1x1`.
    #[serde(default = "default_gate")]
    pub gate: GateKind,
    /// Initial bias of T. That of C, where it is a gate of its own, is its negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate_bias: Option<f32>,
    /// Factor on the initial weights of the last layer of every body. The default is `1/sqrt(blocks)` for a wiring that adds
    /// the input to `h` without normalization (Hanin and Rolnick 2018; Zhang et al. 2019), otherwise 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_scale: Option<f64>,
    /// Probability that layer dropout leaves out the last block in a training step. It grows linearly from the first block
    /// (Huang et al. 2016).
    #[serde(default)]
    pub layer_dropout: f64,
    /// Probability that layer dropout keeps each block in a training step, in place of `layer_dropout`. A slimmed network
    /// has this list: its blocks keep the probabilities with which they were trained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub survival: Vec<f64>,
    /// Whether the blocks of a stage share their parameters, except for normalization statistics.
    #[serde(default)]
    pub share_weights: bool,
    /// Probabilities of dropping units: of the input, of the input of each later stage, and of the input of the classifier.
    /// In language models: between the LSTM layers, and of the input of the classifier. A single number applies to all.
    #[serde(default, deserialize_with = "one_or_all")]
    pub dropout: Vec<f64>,
}

fn default_order() -> ActivationOrder {
    ActivationOrder::Post
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

fn default_gate() -> GateKind {
    GateKind::Body
}

impl ModelConfig {
    /// Returns the configuration of a network of this kind with all its defaults.
    pub fn new(kind: ModelKind) -> Self {
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
            bottleneck_width: None,
            groups: None,
            wiring: None,
            body: None,
            norm: None,
            order: ActivationOrder::Post,
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

    /// Sets the depth, in layers.
    #[must_use]
    pub fn with_depth(self, depth: usize) -> Self {
        Self { depth: Some(depth), ..self }
    }

    /// Sets the width: units of a dense block, or channels of the stem.
    #[must_use]
    pub fn with_width(self, units: usize) -> Self {
        Self { width: Some(Width::Units(units)), ..self }
    }

    /// Sets the wiring.
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
    /// The width whose number of parameters is nearest to that of another wiring: `match:residual` for that wiring at the
    /// kind's own width, `match:residual@71` for another width.
    Match {
        /// The other wiring.
        wiring: Wiring,
        /// Width of the other wiring; 0 for the kind's own.
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
