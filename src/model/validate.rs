//! Checks of a configuration before it is resolved.

use super::config::{ModelConfig, Width};
use super::kind::ModelFamily;
use super::stem::StemKind;
use crate::nn::{ActivationOrder, BodyKind};
use crate::{Error, Result};

/// Maximum number of stages. More would halve an image of any size to nothing.
const MAX_STAGES: usize = 12;
/// Maximum number of layers of a network, and of blocks of a stage.
const MAX_LAYERS: usize = 10_000;
/// Maximum of `width` and similar keys. It is far above the size of any trained network and keeps products from
/// overflowing.
pub(super) const MAX_WIDTH: usize = 1 << 16;
/// Maximum number of channels of a stage.
pub(super) const MAX_CHANNELS: usize = 1 << 20;

fn wrong(key: &str, what: impl Into<String>) -> Result<()> {
    Err(Error::config(format!("model.{key}"), what))
}

/// Checks the keys of a configuration, except those of a language model, with the resolved `body` and `stem`.
///
/// # Errors
/// [`Error::Config`] that names the key at fault.
pub(super) fn validate(config: &ModelConfig, body: BodyKind, stem: StemKind) -> Result<()> {
    validate_numbers(config)?;
    validate_layers(config, body, stem)?;
    validate_blocks(config)
}

fn validate_numbers(config: &ModelConfig) -> Result<()> {
    if let Some(Width::Units(units)) = config.width
        && !(1..=MAX_WIDTH).contains(&units)
    {
        return wrong("width", format!("{units}: 1 to {MAX_WIDTH} are possible"));
    }
    if config.depth.is_some_and(|depth| depth > MAX_LAYERS) {
        return wrong("depth", format!("more than {MAX_LAYERS} layers"));
    }
    if !(0.0..1.0).contains(&config.layer_dropout) {
        return wrong("layer_dropout", format!("{}: a number from 0 to below 1 is needed", config.layer_dropout));
    }
    if let Some(p) = config.dropout.iter().find(|p| !(0.0..1.0).contains(*p)) {
        return wrong("dropout", format!("{p}: a number from 0 to below 1 is needed"));
    }
    if let Some(bias) = config.gate_bias.filter(|bias| !bias.is_finite()) {
        return wrong("gate_bias", format!("{bias}: a finite number is needed"));
    }
    if let Some(scale) = config.body_scale.filter(|scale| !(0.0..=MAX_WIDTH as f64).contains(scale)) {
        return wrong("body_scale", format!("{scale}: a number from 0 to {MAX_WIDTH} is needed"));
    }
    Ok(())
}

fn validate_layers(config: &ModelConfig, body: BodyKind, stem: StemKind) -> Result<()> {
    let family = config.kind.family();
    let (is_mlp, is_char_lm) = (family == ModelFamily::Mlp, family == ModelFamily::CharLm);
    if (is_mlp || is_char_lm) != (body == BodyKind::Dense) {
        return wrong("body", "'dense' belongs to the kinds 'mlp' and 'char-lm', the others to networks for images");
    }
    if is_mlp != (stem == StemKind::Dense) || is_char_lm != (stem == StemKind::CharCnn) {
        return wrong(
            "stem",
            "'dense' belongs to the kind 'mlp', 'characters' to 'char-lm', the others to networks for images",
        );
    }
    if config.order == ActivationOrder::Post && config.last_norm == Some(true) {
        return wrong("last_norm", "belongs to model.order = 'pre'");
    }
    match config.widen {
        Some(widen) if !(1..=MAX_WIDTH).contains(&widen) => {
            wrong("widen", format!("{widen}: 1 to {MAX_WIDTH} are possible"))
        }
        Some(2..) if !family.doubles_channels() => wrong("widen", "belongs to the kinds 'resnet' and 'imagenet'"),
        _ => Ok(()),
    }
}

/// Checks the resolved width and groups of the 3x3 convolutions of bottlenecks, which double `doublings` times.
///
/// # Errors
/// [`Error::Config`] that names the key at fault.
pub(super) fn validate_bottleneck(
    config: &ModelConfig,
    body: BodyKind,
    [width, groups]: [usize; 2],
    doublings: usize,
) -> Result<()> {
    let keys = [("bottleneck_width", config.bottleneck_width), ("groups", config.groups)];
    for (key, value) in keys.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        if !config.kind.family().doubles_channels() {
            return wrong(key, "belongs to the kinds 'resnet' and 'imagenet'");
        }
        if body != BodyKind::Bottleneck {
            return wrong(key, "belongs to model.body = 'bottleneck'");
        }
        if !(1..=MAX_WIDTH).contains(&value) || value << doublings > MAX_CHANNELS {
            return wrong(key, format!("{value}: 1 to {MAX_WIDTH} are possible"));
        }
    }
    if !width.is_multiple_of(groups) {
        let what = format!("{groups}, of {width} channels in the 3x3 convolution: a divisor is needed");
        return wrong("groups", what);
    }
    Ok(())
}

fn validate_blocks(config: &ModelConfig) -> Result<()> {
    let family = config.kind.family();
    let is_char_lm = family == ModelFamily::CharLm;
    match config.blocks.as_deref() {
        None => Ok(()),
        Some(_) if family == ModelFamily::Mlp => wrong("blocks", "belongs to networks for images; give model.depth"),
        Some(blocks) if family == ModelFamily::HighwayMnist && blocks.len() != 3 => {
            wrong("blocks", "three stages are needed, such as [2, 3, 3]")
        }
        Some(_) if config.depth.is_some() => wrong("blocks", "replaces model.depth; give one of the two"),
        Some(blocks) if is_char_lm && blocks.len() != 1 => {
            wrong("blocks", "one stage is needed, such as [2], or [0] for none")
        }
        Some([]) => wrong("blocks", "no stage; at least one is needed, such as [2, 2, 2, 2]"),
        Some(blocks) if blocks.contains(&0) && !is_char_lm => {
            wrong("blocks", "a stage without blocks; each needs at least 1")
        }
        Some(blocks) if blocks.len() > MAX_STAGES => wrong("blocks", format!("more than {MAX_STAGES} stages")),
        Some(blocks) if blocks.iter().any(|&count| count > MAX_LAYERS) => {
            wrong("blocks", format!("more than {MAX_LAYERS} blocks in a stage"))
        }
        Some(_) => Ok(()),
    }
}

/// Checks the lists of probabilities against the resolved number of blocks of each stage.
///
/// # Errors
/// [`Error::Config`] that names the key at fault.
pub(super) fn validate_probabilities(config: &ModelConfig, blocks: &[usize]) -> Result<()> {
    // The input of the network, the input of each later stage, and the input of the classifier.
    let places = blocks.len().max(1) + 1;
    let count = config.dropout.len();
    if count > 1 && count != places {
        return wrong("dropout", format!("{count} numbers, expected one, or {places} for this network's places"));
    }
    let blocks: usize = blocks.iter().sum();
    match config.survival.as_slice() {
        [] => Ok(()),
        _ if config.layer_dropout > 0.0 => wrong("survival", "replaces model.layer_dropout; give one of the two"),
        all if all.len() != blocks => {
            wrong("survival", format!("{} numbers, expected one for each of {blocks} blocks", all.len()))
        }
        all => match all.iter().find(|p| !(**p > 0.0 && **p <= 1.0)) {
            Some(p) => wrong("survival", format!("{p}: a number above 0 and up to 1 is needed")),
            None => Ok(()),
        },
    }
}
