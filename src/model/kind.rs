//! The named networks with their depth tables and defaults.

use serde::{Deserialize, Serialize};

use super::config::{ModelConfig, Width};
use super::stem::StemKind;
use crate::nn::{BodyKind, LastRelu, ShortcutOption, Wiring};
use crate::{Error, Result};

/// A named network. It decides the layout and the defaults of a [`ModelConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Deep MLP of one stage: a dense stem, `depth - 1` dense blocks and a softmax (Srivastava et al. 2015).
    Mlp,
    /// ResNet for small images, with three stages and 6n+2 or 9n+2 layers (He et al. 2015, Section 4.2).
    Resnet,
    /// ResNet in the ImageNet layout, with four stages (He et al. 2015, Table 1).
    Imagenet,
    /// Ten-layer convolutional Highway network for MNIST (Srivastava et al. 2015).
    HighwayMnist,
    /// 110-layer Highway network for CIFAR (Srivastava 2025): `resnet` with other defaults.
    #[serde(rename = "highway-110")]
    Highway110,
    /// The paper's 50-layer Highway network (Section 5.1): `imagenet` with other defaults.
    #[serde(rename = "highway-50")]
    Highway50,
    /// The paper's 50-layer Highway-Full network (Section 5.1): `highway-50` with a third ReLU on H.
    #[serde(rename = "highway-full-50")]
    HighwayFull50,
    /// Character-aware language model: a character CNN, one stage of dense blocks, two LSTM layers and a softmax over words
    /// (Kim et al. 2015; Section 5.2).
    CharLm,
}

/// The layout of a named network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelFamily {
    /// One stage of dense blocks.
    Mlp,
    /// Convolutional stages for images of about 32 pixels; three of them if a depth is given.
    CifarResNet,
    /// Convolutional stages for images of about 224 pixels; four of them if a depth is given.
    ImageNetResNet,
    /// The ten-layer network for MNIST.
    HighwayMnist,
    /// The character-aware language model.
    CharLm,
}

impl ModelFamily {
    /// Whether the number of channels doubles, and height and width halve, from stage to stage.
    pub(super) fn doubles_channels(self) -> bool {
        matches!(self, Self::CifarResNet | Self::ImageNetResNet)
    }
}

/// The values of the keys that a configuration leaves open.
pub(super) struct Defaults {
    pub depth: usize,
    pub width: Width,
    pub stem: StemKind,
    pub wiring: Wiring,
    pub body: BodyKind,
    pub norm: bool,
    pub gate_bias: f32,
    /// Set if it does not depend on the other keys.
    pub last_relu: Option<LastRelu>,
    pub shortcut: ShortcutOption,
}

impl ModelKind {
    /// All kinds.
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

    /// Returns the name used by configuration files, help and reports.
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

    /// Returns the layout.
    pub fn family(self) -> ModelFamily {
        match self {
            Self::Mlp => ModelFamily::Mlp,
            Self::Resnet | Self::Highway110 => ModelFamily::CifarResNet,
            Self::Imagenet | Self::Highway50 | Self::HighwayFull50 => ModelFamily::ImageNetResNet,
            Self::HighwayMnist => ModelFamily::HighwayMnist,
            Self::CharLm => ModelFamily::CharLm,
        }
    }

    /// Returns the values of the keys that a configuration leaves open.
    pub(super) fn defaults(self, config: &ModelConfig) -> Defaults {
        let is_shallow = config.depth.is_some_and(|depth| depth < 50);
        let (depth, width, body, norm, stem) = match self.family() {
            ModelFamily::Mlp => (50, 64, BodyKind::Dense, false, StemKind::Dense),
            ModelFamily::CifarResNet => (20, 16, BodyKind::Basic, true, StemKind::Conv3x3),
            ModelFamily::ImageNetResNet if is_shallow => (18, 64, BodyKind::Basic, true, StemKind::Conv7x7Pool),
            ModelFamily::ImageNetResNet => (50, 64, BodyKind::Bottleneck, true, StemKind::Conv7x7Pool),
            ModelFamily::HighwayMnist => (10, 32, BodyKind::Conv, false, StemKind::Conv5x5),
            ModelFamily::CharLm => (1, 0, BodyKind::Dense, false, StemKind::CharCnn),
        };
        let projects = self.family() == ModelFamily::ImageNetResNet || self == Self::Highway110;
        let shortcut = if projects { ShortcutOption::Projection } else { ShortcutOption::ZeroPadding };
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

    /// Returns the width that `match:WIRING` compares with if it names none.
    pub(super) fn reference_width(self) -> usize {
        if self.family() == ModelFamily::CifarResNet { 16 } else { 64 }
    }

    /// Returns the number of blocks of each stage for a depth in layers.
    ///
    /// # Errors
    /// [`Error::Config`] that names the possible depths.
    pub(super) fn blocks(self, depth: usize, body: BodyKind) -> Result<Vec<usize>> {
        let layers = body.layer_count();
        let wrong = |what: String| Err(Error::config("model.depth", what));
        match self.family() {
            ModelFamily::Mlp if depth >= 2 => Ok(vec![depth - 1]),
            ModelFamily::Mlp => wrong(format!("{depth}: a stem and at least one block make 2")),
            ModelFamily::CifarResNet => {
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
            ModelFamily::ImageNetResNet => match (depth, body) {
                (18, BodyKind::Basic) => Ok(vec![2, 2, 2, 2]),
                (34, BodyKind::Basic) | (50, BodyKind::Bottleneck) => Ok(vec![3, 4, 6, 3]),
                (101, BodyKind::Bottleneck) => Ok(vec![3, 4, 23, 3]),
                (152, BodyKind::Bottleneck) => Ok(vec![3, 8, 36, 3]),
                _ => wrong(format!("{depth}: 18 or 34 with basic bodies, 50, 101 or 152 with bottlenecks")),
            },
            ModelFamily::CharLm => Ok(vec![1]),
            ModelFamily::HighwayMnist if depth == 10 => Ok(vec![2, 3, 3]),
            ModelFamily::HighwayMnist => wrong(format!("{depth}: this network has 10 layers")),
        }
    }
}
