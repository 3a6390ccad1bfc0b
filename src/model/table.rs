//! The depth tables and defaults of the named networks, in one place.

use serde::{Deserialize, Serialize};

use super::ModelConfig;
use super::config::Width;
use crate::nn::{BodyKind, LastRelu, ShortcutKind, Wiring};
use crate::{Error, Result};

/// The named networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Deep MLP in one stage: a dense stem, `depth - 1` dense blocks, a softmax (Srivastava et al. 2015).
    Mlp,
    /// ResNet for small images, three stages of 6n+2 or 9n+2 layers (He et al. 2015, Section 4.2).
    Resnet,
    /// ResNet in the ImageNet layout, four stages (He et al. 2015, Table 1).
    Imagenet,
    /// Ten-layer convolutional Highway network for MNIST (Srivastava et al. 2015).
    HighwayMnist,
    /// The 110-layer Highway network for CIFAR of Srivastava 2025: `resnet` with other defaults.
    #[serde(rename = "highway-110")]
    Highway110,
    /// The paper's 50-layer Highway network (Section 5.1): `imagenet` with other defaults.
    #[serde(rename = "highway-50")]
    Highway50,
    /// The paper's 50-layer Highway-Full network (Section 5.1): `highway-50` with a third ReLU on H.
    #[serde(rename = "highway-full-50")]
    HighwayFull50,
    /// Character-aware language model: words from their characters, one stage of dense blocks, two LSTM layers, a softmax
    /// over words (Kim et al. 2015; Section 5.2).
    CharLm,
}

/// The layouts that the named networks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// One stage of dense blocks.
    Mlp,
    /// Stages for images of about 32 pixels, three where a depth is given.
    Small,
    /// Stages for images of about 224 pixels, four where a depth is given.
    Large,
    /// The ten-layer network for MNIST.
    HighwayMnist,
    /// Words of a text.
    CharLmConfig,
}

/// The sizes of Kim et al. 2015.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// Filters of one to six characters, 525 maps, LSTM layers of 300 units.
    Small,
    /// Filters of one to seven characters, 1100 maps, LSTM layers of 650 units.
    Large,
}

impl Size {
    /// Maps of the filters of 1, 2, … characters.
    pub(super) fn maps(self) -> Vec<usize> {
        match self {
            Self::Small => vec![25, 50, 75, 100, 125, 150],
            Self::Large => vec![50, 100, 150, 200, 200, 200, 200],
        }
    }

    /// Units of an LSTM layer.
    pub(super) fn units(self) -> usize {
        match self {
            Self::Small => 300,
            Self::Large => 650,
        }
    }
}

/// The layer before the first stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StemKind {
    /// A dense layer over all of a sample.
    #[serde(rename = "dense")]
    Dense,
    /// A 3x3 convolution: for images of about 32 pixels.
    #[serde(rename = "3x3")]
    Small,
    /// A 7x7 convolution with stride 2, and 3x3 maximum pooling: for images of about 224 pixels.
    #[serde(rename = "7x7-pool")]
    Large,
    /// A 5x5 convolution without padding, that of the network for MNIST.
    #[serde(rename = "5x5")]
    Mnist,
    /// Filters over the characters of a word.
    #[serde(rename = "characters")]
    Characters,
}

/// What stands where a configuration leaves something open.
pub(super) struct Defaults {
    pub depth: usize,
    pub width: Width,
    pub stem: StemKind,
    pub wiring: Wiring,
    pub body: BodyKind,
    pub norm: bool,
    pub gate_bias: f32,
    /// Where the kind decides it alone.
    pub last_relu: Option<LastRelu>,
    pub shortcut: ShortcutKind,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Mlp,
        Self::Resnet,
        Self::Imagenet,
        Self::HighwayMnist,
        Self::Highway110,
        Self::Highway50,
        Self::HighwayFull50,
        Self::CharLm,
    ];

    /// The name that configuration files, help and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::Resnet => "resnet",
            Self::Imagenet => "imagenet",
            Self::HighwayMnist => "highway-mnist",
            Self::Highway110 => "highway-110",
            Self::Highway50 => "highway-50",
            Self::HighwayFull50 => "highway-full-50",
            Self::CharLm => "char-lm",
        }
    }

    /// The layout.
    pub fn family(self) -> Family {
        match self {
            Self::Mlp => Family::Mlp,
            Self::Resnet | Self::Highway110 => Family::Small,
            Self::Imagenet | Self::Highway50 | Self::HighwayFull50 => Family::Large,
            Self::HighwayMnist => Family::HighwayMnist,
            Self::CharLm => Family::CharLmConfig,
        }
    }

    /// What stands where a configuration leaves something open.
    pub(super) fn defaults(self, config: &ModelConfig) -> Defaults {
        let (depth, width, body, norm, stem) = match self.family() {
            Family::Mlp => (50, 64, BodyKind::Dense, false, StemKind::Dense),
            Family::Small => (20, 16, BodyKind::Basic, true, StemKind::Small),
            Family::Large if config.depth.is_some_and(|d| d < 50) => (18, 64, BodyKind::Basic, true, StemKind::Large),
            Family::Large => (50, 64, BodyKind::Bottleneck, true, StemKind::Large),
            Family::HighwayMnist => (10, 32, BodyKind::Conv, false, StemKind::Mnist),
            Family::CharLmConfig => (1, 0, BodyKind::Dense, false, StemKind::Characters),
        };
        let projects = self.family() == Family::Large || self == Self::Highway110;
        let shortcut = if projects { ShortcutKind::Projection } else { ShortcutKind::ZeroPadding };
        let usual = Defaults {
            depth,
            width: Width::Units(width),
            stem,
            wiring: Wiring::Residual,
            body,
            norm,
            gate_bias: -1.0,
            last_relu: None,
            shortcut,
        };
        let matched = Width::Match { wiring: Wiring::Residual, units: 64 };
        let on_h = Some(LastRelu::H);
        match self {
            Self::Mlp | Self::Resnet | Self::Imagenet => usual,
            Self::Highway110 => Defaults {
                depth: 110,
                width: Width::Units(14),
                wiring: Wiring::Highway,
                gate_bias: -6.0,
                last_relu: on_h,
                ..usual
            },
            Self::Highway50 => Defaults { width: matched, wiring: Wiring::Highway, ..usual },
            Self::HighwayFull50 => Defaults { width: matched, wiring: Wiring::Highway, last_relu: on_h, ..usual },
            Self::HighwayMnist => Defaults { wiring: Wiring::Highway, ..usual },
            Self::CharLm => Defaults { wiring: Wiring::Highway, gate_bias: -2.0, last_relu: on_h, ..usual },
        }
    }

    /// The kind's own width where it is a number.
    pub(super) fn own_width(self) -> usize {
        if self.family() == Family::Small { 16 } else { 64 }
    }

    /// Blocks of each stage for a depth.
    ///
    /// # Errors
    /// [`Error::Config`] that names the depths that fit.
    pub(super) fn blocks(self, depth: usize, body: BodyKind) -> Result<Vec<usize>> {
        let layers = body.layers();
        let wrong = |what: String| Err(Error::config("model.depth", what));
        match self.family() {
            Family::Mlp if depth >= 2 => Ok(vec![depth - 1]),
            Family::Mlp => wrong(format!("{depth}: a stem and at least one block make 2")),
            Family::Small => {
                let stage = 3 * layers;
                match depth.checked_sub(2) {
                    Some(n) if n > 0 && n % stage == 0 => Ok(vec![n / stage; 3]),
                    _ => wrong(format!(
                        "{depth}: three stages of this body need {stage}n+2 layers, such as {}, {} or {}",
                        stage * 3 + 2,
                        stage * 5 + 2,
                        stage * 9 + 2
                    )),
                }
            }
            Family::Large => match (depth, body) {
                (18, BodyKind::Basic) => Ok(vec![2, 2, 2, 2]),
                (34, BodyKind::Basic) | (50, BodyKind::Bottleneck) => Ok(vec![3, 4, 6, 3]),
                (101, BodyKind::Bottleneck) => Ok(vec![3, 4, 23, 3]),
                (152, BodyKind::Bottleneck) => Ok(vec![3, 8, 36, 3]),
                _ => wrong(format!("{depth}: 18 or 34 with basic bodies, 50, 101 or 152 with bottlenecks")),
            },
            Family::CharLmConfig => Ok(vec![1]),
            Family::HighwayMnist if depth == 10 => Ok(vec![2, 3, 3]),
            Family::HighwayMnist => wrong(format!("{depth}: this network has 10 layers")),
        }
    }
}
