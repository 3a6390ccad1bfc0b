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
}

/// The layouts that the named networks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// One stage of dense blocks.
    Mlp,
    /// Three stages for images of about 32 pixels.
    Small,
    /// Four stages for images of about 224 pixels.
    Large,
    /// The ten-layer network for MNIST.
    HighwayMnist,
}

impl Kind {
    /// The layout.
    pub fn family(self) -> Family {
        match self {
            Self::Mlp => Family::Mlp,
            Self::Resnet | Self::Highway110 => Family::Small,
            Self::Imagenet | Self::Highway50 | Self::HighwayFull50 => Family::Large,
            Self::HighwayMnist => Family::HighwayMnist,
        }
    }

    /// Fills in what a configuration leaves open.
    pub(super) fn complete(self, config: &mut ModelConfig) {
        let (depth, width, body, norm) = match self.family() {
            Family::Mlp => (50, 64, BodyKind::Dense, false),
            Family::Small => (20, 16, BodyKind::Basic, true),
            Family::Large if config.depth.is_some_and(|d| d < 50) => (18, 64, BodyKind::Basic, true),
            Family::Large => (50, 64, BodyKind::Bottleneck, true),
            Family::HighwayMnist => (10, 32, BodyKind::Conv, false),
        };
        let (mut depth, mut width) = (depth, Width::Units(width));
        let mut wiring = Wiring::Residual;
        let mut gate_bias = -1.0;
        let mut last_relu = None;
        match self {
            Self::Highway110 => {
                (depth, width, wiring) = (110, Width::Units(14), Wiring::Highway);
                (gate_bias, last_relu) = (-6.0, Some(LastRelu::H));
            }
            Self::Highway50 | Self::HighwayFull50 => {
                (width, wiring) = (Width::Match { wiring: Wiring::Residual, units: 64 }, Wiring::Highway);
                last_relu = (self == Self::HighwayFull50).then_some(LastRelu::H);
            }
            Self::HighwayMnist => wiring = Wiring::Highway,
            _ => {}
        }
        let projects = self.family() == Family::Large || self == Self::Highway110;
        let shortcut = if projects { ShortcutKind::Projection } else { ShortcutKind::ZeroPadding };
        config.depth.get_or_insert(depth);
        config.width.get_or_insert(width);
        config.wiring.get_or_insert(wiring);
        config.body.get_or_insert(body);
        config.norm.get_or_insert(norm);
        config.gate_bias.get_or_insert(gate_bias);
        config.shortcut.get_or_insert(shortcut);
        if let Some(last_relu) = last_relu {
            config.last_relu.get_or_insert(last_relu);
        }
    }

    /// Blocks of each stage for a depth.
    ///
    /// # Errors
    /// [`Error::Config`] that names the depths that fit.
    pub(super) fn blocks(self, depth: usize, body: BodyKind) -> Result<Vec<usize>> {
        let layers = match body {
            BodyKind::Dense | BodyKind::Conv => 1,
            BodyKind::Basic => 2,
            BodyKind::Bottleneck => 3,
        };
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
            Family::HighwayMnist if depth == 10 => Ok(vec![2, 3, 3]),
            Family::HighwayMnist => wrong(format!("{depth}: this network has 10 layers")),
        }
    }
}
