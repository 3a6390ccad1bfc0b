//! From a configuration to one with nothing left open.

use super::config::{ModelConfig, Width};
use super::table::{Family, Kind, StemKind};
use super::words::{CharLmConfig, words};
use crate::nn::{BodyKind, GateKind, LastRelu, Order, Shape, ShortcutKind, Wiring};
use crate::{Error, Result};

/// A configuration with nothing left open; the fields are those of [`ModelConfig`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resolved {
    pub kind: Kind,
    pub blocks: Vec<usize>,
    pub stem: StemKind,
    pub width: usize,
    pub widen: usize,
    pub wiring: Wiring,
    pub body: BodyKind,
    pub norm: bool,
    pub order: Order,
    pub last_relu: LastRelu,
    pub last_norm: bool,
    pub shortcut: ShortcutKind,
    pub gate: GateKind,
    pub gate_bias: f32,
    pub body_scale: f64,
    pub layer_dropout: f64,
    pub survival: Vec<f64>,
    pub share_weights: bool,
    pub dropout: Vec<f64>,
    /// Of a language model.
    pub words: Option<CharLmConfig>,
}

/// More would halve an image of any size to nothing.
const MOST_STAGES: usize = 12;

/// Far beyond any network that was trained, and far from where products of sizes overflow.
pub(super) const MOST: usize = 1 << 16;
const MOST_LAYERS: usize = 10_000;
pub(super) const MOST_CHANNELS: usize = 1 << 20;

/// Fills in what a configuration leaves open.
///
/// # Errors
/// [`Error::Config`] for values that make no network.
pub(super) fn resolve(config: &ModelConfig, input: Shape, classes: usize) -> Result<Resolved> {
    let defaults = config.kind.defaults(config);
    let wiring = config.wiring.unwrap_or(defaults.wiring);
    let body = config.body.unwrap_or(defaults.body);
    let norm = config.norm.unwrap_or(defaults.norm);
    let stem = config.stem.unwrap_or(defaults.stem);
    check(config, body, stem)?;
    let blocks = match &config.blocks {
        Some(blocks) => blocks.clone(),
        None => config.kind.blocks(config.depth.unwrap_or(defaults.depth), body)?,
    };
    // The input, what enters each later stage, and what the classifier sees.
    let places = blocks.len().max(1) + 1;
    if config.dropout.len() > 1 && config.dropout.len() != places {
        let what = format!("{} numbers, expected one, or {places} for this network's places", config.dropout.len());
        return Err(Error::config("model.dropout", what));
    }
    check_survival(config, blocks.iter().sum())?;
    let words = words(config)?;
    let adds_all = wiring.carries_all() || wiring == Wiring::COnly;
    let total: usize = blocks.iter().sum();
    let body_scale = if adds_all && !norm && words.is_none() { 1.0 / (total as f64).sqrt() } else { 1.0 };
    let own = words.as_ref().map(|words| Width::Units(words.maps.iter().sum()));
    let width = match own.unwrap_or(config.width.unwrap_or(defaults.width)) {
        Width::Units(units) => units,
        Width::Match { wiring, units } => matching_width(config, wiring, units, input, classes)?,
    };
    let widen = config.widen.unwrap_or(1);
    let doublings = if has_stages(config.kind.family()) { blocks.len() - 1 } else { 0 };
    let widest = width.saturating_mul(widen).saturating_mul(body.spread() << doublings);
    if widest > MOST_CHANNELS {
        let what = format!("{width} gives a stage of {widest} channels, more than {MOST_CHANNELS}");
        return Err(Error::config("model.width", what));
    }
    Ok(Resolved {
        words,
        kind: config.kind,
        blocks,
        stem,
        width,
        widen,
        wiring,
        body,
        norm,
        order: config.order,
        last_relu: config.last_relu.or(defaults.last_relu).unwrap_or_else(|| last_relu(config.order, wiring, body)),
        last_norm: config.last_norm.unwrap_or(config.order == Order::Pre),
        shortcut: config.shortcut.unwrap_or(defaults.shortcut),
        gate: config.gate,
        gate_bias: config.gate_bias.unwrap_or(defaults.gate_bias),
        body_scale: config.body_scale.unwrap_or(body_scale),
        layer_dropout: config.layer_dropout,
        survival: config.survival.clone(),
        share_weights: config.share_weights,
        dropout: config.dropout.clone(),
    })
}

fn last_relu(order: Order, wiring: Wiring, body: BodyKind) -> LastRelu {
    match (order, wiring, body) {
        (Order::Pre, ..) => LastRelu::None,
        (_, Wiring::Plain | Wiring::Residual, _) => LastRelu::Sum,
        (.., BodyKind::Dense | BodyKind::Conv) => LastRelu::H,
        _ => LastRelu::None,
    }
}

/// Whether channels double from stage to stage.
fn has_stages(family: Family) -> bool {
    matches!(family, Family::Small | Family::Large)
}

fn check(config: &ModelConfig, body: BodyKind, stem: StemKind) -> Result<()> {
    let wrong = |key: &str, what: &str| Err(Error::config(format!("model.{key}"), what));
    let family = config.kind.family();
    if let Some(Width::Units(units)) = config.width.filter(|w| matches!(w, Width::Units(u) if !(1..=MOST).contains(u)))
    {
        return wrong("width", &format!("{units}: 1 to {MOST} are possible"));
    }
    if config.depth.is_some_and(|depth| depth > MOST_LAYERS) {
        return wrong("depth", &format!("more than {MOST_LAYERS} layers"));
    }
    if !(0.0..1.0).contains(&config.layer_dropout) {
        return wrong("layer_dropout", &format!("{}: a number from 0 to below 1 is needed", config.layer_dropout));
    }
    if let Some(p) = config.dropout.iter().find(|p| !(0.0..1.0).contains(*p)) {
        return wrong("dropout", &format!("{p}: a number from 0 to below 1 is needed"));
    }
    if let Some(bias) = config.gate_bias.filter(|bias| !bias.is_finite()) {
        return wrong("gate_bias", &format!("{bias}: a finite number is needed"));
    }
    if let Some(scale) = config.body_scale.filter(|scale| !(0.0..=MOST as f64).contains(scale)) {
        return wrong("body_scale", &format!("{scale}: a number from 0 to {MOST} is needed"));
    }
    let is_words = family == Family::CharLmConfig;
    if (family == Family::Mlp || is_words) != (body == BodyKind::Dense) {
        return wrong("body", "'dense' belongs to the kinds 'mlp' and 'char-lm', the others to networks for images");
    }
    if (family == Family::Mlp) != (stem == StemKind::Dense) || is_words != (stem == StemKind::Characters) {
        return wrong(
            "stem",
            "'dense' belongs to the kind 'mlp', 'characters' to 'char-lm', the others to networks for images",
        );
    }
    if config.order == Order::Post && config.last_norm == Some(true) {
        return wrong("last_norm", "belongs to model.order = 'pre'");
    }
    let has_stages = has_stages(family);
    match config.widen {
        Some(widen) if !(1..=MOST).contains(&widen) => {
            return wrong("widen", &format!("{widen}: 1 to {MOST} are possible"));
        }
        Some(2..) if !has_stages => return wrong("widen", "belongs to the kinds 'resnet' and 'imagenet'"),
        _ => {}
    }
    match config.blocks.as_deref() {
        None => Ok(()),
        Some(_) if family == Family::Mlp => wrong("blocks", "belongs to networks for images; give model.depth"),
        Some(blocks) if family == Family::HighwayMnist && blocks.len() != 3 => {
            wrong("blocks", "three stages are needed, such as [2, 3, 3]")
        }
        Some(_) if config.depth.is_some() => wrong("blocks", "stands in place of model.depth; give one of the two"),
        Some(blocks) if is_words && blocks.len() != 1 => {
            wrong("blocks", "one stage is needed, such as [2], or [0] for none")
        }
        Some([]) => wrong("blocks", "no stage; at least one is needed, such as [2, 2, 2, 2]"),
        Some(blocks) if blocks.contains(&0) && !is_words => {
            wrong("blocks", "a stage without blocks; each needs at least 1")
        }
        Some(blocks) if blocks.len() > MOST_STAGES => wrong("blocks", &format!("more than {MOST_STAGES} stages")),
        Some(blocks) if blocks.iter().any(|&count| count > MOST_LAYERS) => {
            wrong("blocks", &format!("more than {MOST_LAYERS} blocks in a stage"))
        }
        Some(_) => Ok(()),
    }
}

fn check_survival(config: &ModelConfig, blocks: usize) -> Result<()> {
    let wrong = |what: String| Err(Error::config("model.survival", what));
    match config.survival.as_slice() {
        [] => Ok(()),
        _ if config.layer_dropout > 0.0 => wrong("stands in place of model.layer_dropout; give one of the two".into()),
        all if all.len() != blocks => wrong(format!("{} numbers, expected one for each of {blocks} blocks", all.len())),
        all => match all.iter().find(|p| !(**p > 0.0 && **p <= 1.0)) {
            Some(p) => wrong(format!("{p}: a number above 0 and up to 1 is needed")),
            None => Ok(()),
        },
    }
}

/// The width whose parameter count is nearest to that of another wiring with so many units, or the kind's own number.
fn matching_width(config: &ModelConfig, wiring: Wiring, units: usize, input: Shape, classes: usize) -> Result<usize> {
    let units = if units > 0 { units } else { config.kind.own_width() };
    let reference = ModelConfig { last_relu: None, ..config.clone() }.with_wiring(wiring).with_width(units);
    let count = |config: &ModelConfig| super::trained::count(config, input, classes);
    let target = count(&reference)?;
    let at = |width| count(&config.clone().with_width(width));
    // The count grows with the width: the first width that reaches the target, or the one before.
    let mut high = 1;
    while at(high)? < target {
        high *= 2;
    }
    let mut low = high / 2;
    while low + 1 < high {
        let middle = (low + high) / 2;
        if at(middle)? < target { low = middle } else { high = middle }
    }
    let nearer_below = low > 0 && target - at(low)? < at(high)? - target;
    Ok(if nearer_below { low } else { high })
}

impl Resolved {
    /// Layers, counted as the literature does: stem, bodies and classifier.
    pub(super) fn depth(&self) -> usize {
        match self.kind.family() {
            Family::Mlp => 1 + self.blocks[0],
            Family::CharLmConfig => self.blocks[0],
            _ => 2 + self.blocks.iter().sum::<usize>() * self.body.layers(),
        }
    }
}

/// As a file keeps it: by its depth where the kind's table has the blocks, otherwise by the blocks.
impl From<&Resolved> for ModelConfig {
    fn from(full: &Resolved) -> Self {
        let depth = full.depth();
        let words = full.words.as_ref();
        let tabled = words.is_none() && full.kind.blocks(depth, full.body).is_ok_and(|blocks| blocks == full.blocks);
        Self {
            kind: full.kind,
            depth: tabled.then_some(depth),
            blocks: (!tabled).then(|| full.blocks.clone()),
            size: None,
            maps: words.map(|words| words.maps.clone()),
            units: words.map(|words| words.units),
            characters: words.map(|words| words.characters),
            stem: Some(full.stem),
            width: Some(Width::Units(full.width)),
            widen: Some(full.widen),
            wiring: Some(full.wiring),
            body: Some(full.body),
            norm: Some(full.norm),
            order: full.order,
            last_relu: Some(full.last_relu),
            last_norm: Some(full.last_norm),
            shortcut: Some(full.shortcut),
            gate: full.gate,
            gate_bias: Some(full.gate_bias),
            body_scale: Some(full.body_scale),
            layer_dropout: full.layer_dropout,
            survival: full.survival.clone(),
            share_weights: full.share_weights,
            dropout: full.dropout.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(config: &ModelConfig) -> ModelConfig {
        ModelConfig::from(&resolve(config, [3, 32, 32], 10).unwrap())
    }

    #[test]
    fn what_was_resolved_resolves_to_itself() {
        let listed = ModelConfig { blocks: Some(vec![1, 2]), widen: Some(3), ..ModelConfig::new(Kind::Resnet) };
        let cifar18 = ModelConfig {
            blocks: Some(vec![2; 4]),
            stem: Some(StemKind::Small),
            body: Some(BodyKind::Basic),
            ..ModelConfig::new(Kind::Imagenet)
        };
        let kinds = [Kind::Resnet, Kind::Imagenet, Kind::Highway110, Kind::Highway50, Kind::Mlp, Kind::CharLm];
        for config in kinds.map(ModelConfig::new).into_iter().chain([listed.clone(), cifar18]) {
            let full = round(&config);
            assert_eq!(round(&full), full, "{config:?}");
        }
        assert_eq!(round(&listed).blocks, Some(vec![1, 2]));
        assert_eq!(round(&listed).depth, None);
        assert_eq!(round(&ModelConfig::new(Kind::HighwayMnist)).depth, Some(10));
    }

    #[test]
    fn what_makes_no_network_is_named() {
        let table = |text: &str| toml::from_str::<ModelConfig>(text).unwrap();
        for (text, message) in [
            ("kind = 'resnet'\nblocks = []", "model.blocks: no stage; at least one is needed, such as [2, 2, 2, 2]"),
            ("kind = 'resnet'\nblocks = [1, 0]", "model.blocks: a stage without blocks; each needs at least 1"),
            (
                "kind = 'resnet'\nblocks = [1]\ndepth = 20",
                "model.blocks: stands in place of model.depth; give one of the two",
            ),
            ("kind = 'mlp'\nblocks = [1]", "model.blocks: belongs to networks for images; give model.depth"),
            ("kind = 'highway-mnist'\nblocks = [1]", "model.blocks: three stages are needed, such as [2, 3, 3]"),
            ("kind = 'resnet'\nsurvival = [0.5]", "model.survival: 1 numbers, expected one for each of 9 blocks"),
            ("kind = 'mlp'\ndepth = 2\nsurvival = [0.0]", "model.survival: 0: a number above 0 and up to 1 is needed"),
            (
                "kind = 'mlp'\ndepth = 2\nsurvival = [0.5]\nlayer_dropout = 0.5",
                "model.survival: stands in place of model.layer_dropout; give one of the two",
            ),
            ("kind = 'mlp'\nwiden = 2", "model.widen: belongs to the kinds 'resnet' and 'imagenet'"),
            ("kind = 'resnet'\nlast_norm = true", "model.last_norm: belongs to model.order = 'pre'"),
            (
                "kind = 'mlp'\nstem = '3x3'",
                "model.stem: 'dense' belongs to the kind 'mlp', 'characters' to 'char-lm', the others to networks for images",
            ),
        ] {
            assert_eq!(resolve(&table(text), [3, 8, 8], 10).unwrap_err().to_string(), message);
        }
    }
}
