//! The names of networks in outlines, such as `resnet-56 residual, width 16`, written and read.

use super::config::{ModelConfig, Width};
use super::kind::{ModelFamily, ModelKind};
use super::resolve::ResolvedConfig;

/// What stands between a kind and the number of blocks of each stage.
const BLOCKS: &str = "-blocks-";

/// Returns the name of a network in outlines.
///
/// A network whose stages are those of a depth table has its depth: `mlp-50 highway, width 64`. Any other has the number of
/// blocks of each stage, such as `resnet-blocks-9-8-7 residual, width 16`. `width 16 x 10` says that stages are wider than
/// the stem, `bottleneck 128, groups 32` that the 3x3 convolutions of bottlenecks are not the usual ones. A language model is `char-lm 2 highway, width 525`.
pub(super) fn describe(config: &ResolvedConfig) -> String {
    let kind = config.kind.name();
    if config.char_lm.is_some() {
        let blocks: usize = config.blocks.iter().sum();
        return match blocks {
            0 => format!("{kind} without blocks, width {}", config.width),
            _ => format!("{kind} {blocks} {}, width {}", config.wiring, config.width),
        };
    }
    let depth = config.depth();
    let name = match config.kind.blocks(depth, config.body) {
        Ok(blocks) if blocks == config.blocks => {
            let depth = format!("-{depth}");
            format!("{}{depth}", kind.strip_suffix(&depth).unwrap_or(kind))
        }
        _ => {
            let blocks: Vec<String> = config.blocks.iter().map(ToString::to_string).collect();
            format!("{kind}{BLOCKS}{}", blocks.join("-"))
        }
    };
    let widen = if config.widen > 1 { format!(" x {}", config.widen) } else { String::new() };
    let mut name = format!("{name} {}, width {}{widen}", config.wiring, config.width);
    if let Some(width) = config.other_bottleneck_width() {
        name += &format!(", bottleneck {width}");
    }
    if config.groups > 1 {
        name += &format!(", groups {}", config.groups);
    }
    name
}

impl ModelConfig {
    /// Returns the configuration that a name of an outline stands for, or the beginning of such a name: `resnet`,
    /// `resnet-56`, `resnet-56 highway, width 16`; `None` for another text.
    ///
    /// # Examples
    /// ```
    /// use unrolled::model::ModelConfig;
    ///
    /// let config = ModelConfig::from_name("resnet-blocks-9-8-7").unwrap();
    /// assert_eq!(config.blocks, Some(vec![9, 8, 7]));
    /// assert_eq!(ModelConfig::from_name("vgg-16"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        let (first, rest) = name.split_once(' ').unwrap_or((name, ""));
        let mut parts = rest.split(", ");
        let network = parts.next().unwrap_or_default();
        let mut config = Self::from_short_name(first)?;
        if config.kind.family() == ModelFamily::CharLm {
            let (count, wiring) = match network {
                "" => return Some(config),
                "without blocks" => ("0", ""),
                _ => network.split_once(' ')?,
            };
            config.blocks = Some(vec![count.parse().ok()?]);
            config.wiring = if wiring.is_empty() { None } else { Some(wiring.parse().ok()?) };
            // The width is the sum of the maps, which it does not tell.
            return Some(config);
        }
        config.wiring = if network.is_empty() { None } else { Some(network.parse().ok()?) };
        for part in parts {
            let (key, value) = part.split_once(' ')?;
            match key {
                "width" => {
                    let (units, widen) = value.split_once(" x ").map_or((value, None), |(units, k)| (units, Some(k)));
                    config.width = Some(Width::Units(units.parse().ok()?));
                    config.widen = widen.map(str::parse).transpose().ok()?;
                }
                "bottleneck" => config.bottleneck_width = Some(value.parse().ok()?),
                "groups" => config.groups = Some(value.parse().ok()?),
                _ => return None,
            }
        }
        Some(config)
    }

    /// Returns the configuration of a name such as `resnet-56` or `resnet-blocks-9-8-7`.
    fn from_short_name(name: &str) -> Option<Self> {
        let rest_of = |kind: ModelKind| Some((kind, name.strip_prefix(kind.name())?));
        let kinds = ModelKind::ALL.into_iter().filter_map(rest_of);
        let kinds = kinds.filter(|(_, rest)| rest.is_empty() || rest.starts_with('-'));
        let (kind, rest) = kinds.min_by_key(|(_, rest)| rest.len())?;
        let config = Self::new(kind);
        if rest.is_empty() {
            return Some(config);
        }
        if let Some(blocks) = rest.strip_prefix(BLOCKS) {
            let blocks: Result<Vec<usize>, _> = blocks.split('-').map(str::parse).collect();
            return Some(Self { blocks: Some(blocks.ok()?), ..config });
        }
        Some(config.with_depth(rest[1..].parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{BodyKind, Wiring};

    fn name(config: &ModelConfig) -> String {
        describe(&ResolvedConfig::new(config, [3, 224, 224], 10).unwrap())
    }

    #[test]
    fn a_name_tells_stages_that_no_depth_has() {
        let with = |kind, blocks: &[usize], body| {
            name(&ModelConfig { blocks: Some(blocks.to_vec()), body: Some(body), ..ModelConfig::new(kind) })
        };
        for (kind, blocks, body, expected) in [
            (ModelKind::Resnet, &[9, 9, 9][..], BodyKind::Basic, "resnet-56 residual, width 16"),
            (ModelKind::Resnet, &[9, 8, 7], BodyKind::Basic, "resnet-blocks-9-8-7 residual, width 16"),
            (ModelKind::Resnet, &[8, 8, 8], BodyKind::Basic, "resnet-50 residual, width 16"),
            (ModelKind::Resnet, &[2, 2, 2, 2], BodyKind::Basic, "resnet-blocks-2-2-2-2 residual, width 16"),
            (ModelKind::Resnet, &[4], BodyKind::Basic, "resnet-blocks-4 residual, width 16"),
            (ModelKind::Imagenet, &[3, 4, 6, 3], BodyKind::Bottleneck, "imagenet-50 residual, width 64"),
            (ModelKind::Imagenet, &[3, 4, 4, 3], BodyKind::Bottleneck, "imagenet-blocks-3-4-4-3 residual, width 64"),
        ] {
            assert_eq!(with(kind, blocks, body), expected);
        }
    }

    #[test]
    fn every_name_is_read_as_what_it_was_written_for() {
        let blocks = |kind, blocks: &[usize]| ModelConfig { blocks: Some(blocks.to_vec()), ..ModelConfig::new(kind) };
        let configs = ModelKind::ALL.map(ModelConfig::new).into_iter().chain([
            ModelConfig::new(ModelKind::Highway110).with_depth(8),
            ModelConfig {
                widen: Some(10),
                ..ModelConfig::new(ModelKind::Resnet).with_depth(26).with_wiring(Wiring::Full)
            },
            ModelConfig::new(ModelKind::Imagenet).with_depth(18).with_width(8),
            ModelConfig::new(ModelKind::Mlp).with_depth(4).with_width(3),
            blocks(ModelKind::Resnet, &[1, 2]),
            blocks(ModelKind::HighwayMnist, &[1, 2, 3]),
            blocks(ModelKind::CharLm, &[0]),
            ModelConfig { bottleneck_width: Some(128), groups: Some(32), ..ModelConfig::new(ModelKind::Imagenet) },
        ]);
        for config in configs {
            let name = name(&config);
            let read = ModelConfig::from_name(&name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(self::name(&read), name);
        }
    }

    #[test]
    fn other_texts_are_no_names() {
        for text in [
            "",
            "resnet56",
            "resnet-",
            "resnet-x",
            "resnet-blocks-",
            "resnet-56 dense",
            "resnet-56 full, width a",
            "vgg",
        ] {
            assert_eq!(ModelConfig::from_name(text), None, "{text}");
        }
    }
}
