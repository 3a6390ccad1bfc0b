//! Resolution of a configuration: every key that it leaves open gets its value.

use super::char_lm::CharLmConfig;
use super::config::{ModelConfig, Width};
use super::kind::{ModelFamily, ModelKind};
use super::stem::StemKind;
use super::validate::{MAX_CHANNELS, validate, validate_bottleneck, validate_probabilities};
use crate::nn::{ActivationOrder, BodyKind, GateKind, LastRelu, Shape, ShortcutOption, Wiring};
use crate::{Error, Result};

/// A configuration without open keys; the fields are those of [`ModelConfig`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ResolvedConfig {
    pub kind: ModelKind,
    pub blocks: Vec<usize>,
    pub stem: StemKind,
    pub width: usize,
    pub widen: usize,
    pub bottleneck_width: usize,
    pub groups: usize,
    pub wiring: Wiring,
    pub body: BodyKind,
    pub norm: bool,
    pub order: ActivationOrder,
    pub last_relu: LastRelu,
    pub last_norm: bool,
    pub shortcut: ShortcutOption,
    pub gate: GateKind,
    pub gate_bias: f32,
    pub body_scale: f64,
    pub layer_dropout: f64,
    pub survival: Vec<f64>,
    pub share_weights: bool,
    pub dropout: Vec<f64>,
    /// Set for language models.
    pub char_lm: Option<CharLmConfig>,
}

impl ResolvedConfig {
    /// Resolves the configuration of a network for samples of a shape. The shape and the number of classes matter to
    /// [`Width::Match`] only.
    ///
    /// # Errors
    /// [`Error::Config`] that names the key at fault.
    pub(super) fn new(config: &ModelConfig, input: Shape, classes: usize) -> Result<Self> {
        let defaults = config.kind.defaults(config);
        let wiring = config.wiring.unwrap_or(defaults.wiring);
        let body = config.body.unwrap_or(defaults.body);
        let norm = config.norm.unwrap_or(defaults.norm);
        let stem = config.stem.unwrap_or(defaults.stem);
        validate(config, body, stem)?;
        let blocks = match &config.blocks {
            Some(blocks) => blocks.clone(),
            None => config.kind.blocks(config.depth.unwrap_or(defaults.depth), body)?,
        };
        validate_probabilities(config, &blocks)?;
        let char_lm = CharLmConfig::resolve(config)?;
        let adds_input = wiring.has_identity_carry() || wiring == Wiring::COnly;
        let total: usize = blocks.iter().sum();
        let body_scale = if adds_input && !norm && char_lm.is_none() { 1.0 / (total as f64).sqrt() } else { 1.0 };
        let sum_of_maps = char_lm.as_ref().map(|char_lm| Width::Units(char_lm.maps.iter().sum()));
        let width = match sum_of_maps.unwrap_or(config.width.unwrap_or(defaults.width)) {
            Width::Units(units) => units,
            Width::Match { wiring, units } => matching_width(config, wiring, units, input, classes)?,
        };
        let widen = config.widen.unwrap_or(1);
        let doublings = if config.kind.family().doubles_channels() { blocks.len() - 1 } else { 0 };
        let widest = width.saturating_mul(widen).saturating_mul(body.expansion() << doublings);
        if widest > MAX_CHANNELS {
            let what = format!("{width} gives a stage of {widest} channels, more than {MAX_CHANNELS}");
            return Err(Error::config("model.width", what));
        }
        let usual_width = usual_bottleneck_width(config.kind, width * widen);
        let bottleneck_width = config.bottleneck_width.unwrap_or(usual_width);
        let groups = config.groups.unwrap_or(1);
        validate_bottleneck(config, body, [bottleneck_width, groups], doublings)?;
        let last_relu = config.last_relu.or(defaults.last_relu);
        Ok(Self {
            char_lm,
            kind: config.kind,
            blocks,
            stem,
            width,
            widen,
            bottleneck_width,
            groups,
            wiring,
            body,
            norm,
            order: config.order,
            last_relu: last_relu.unwrap_or_else(|| default_last_relu(config.order, wiring, body)),
            last_norm: config.last_norm.unwrap_or(config.order == ActivationOrder::Pre),
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

    /// Returns the channels of the 3x3 convolution of bottlenecks in the first stage, where they are not the usual ones.
    pub(super) fn other_bottleneck_width(&self) -> Option<usize> {
        let usual = usual_bottleneck_width(self.kind, self.width * self.widen);
        (self.bottleneck_width != usual).then_some(self.bottleneck_width)
    }

    /// Returns the number of layers as the literature counts them: stem, bodies and classifier.
    pub(super) fn depth(&self) -> usize {
        match self.kind.family() {
            ModelFamily::Mlp => 1 + self.blocks[0],
            ModelFamily::CharLm => self.blocks[0],
            _ => 2 + self.blocks.iter().sum::<usize>() * self.body.layer_count(),
        }
    }
}

/// Returns a quarter of the channels of the blocks of the first stage, which `width` counts before their expansion where the
/// channels double.
fn usual_bottleneck_width(kind: ModelKind, width: usize) -> usize {
    if kind.family().doubles_channels() { width } else { (width / 4).max(1) }
}

fn default_last_relu(order: ActivationOrder, wiring: Wiring, body: BodyKind) -> LastRelu {
    match (order, wiring, body) {
        (ActivationOrder::Pre, ..) => LastRelu::None,
        (_, Wiring::Plain | Wiring::Residual, _) => LastRelu::Sum,
        (.., BodyKind::Dense | BodyKind::Conv) => LastRelu::H,
        _ => LastRelu::None,
    }
}

/// Returns the width whose number of parameters is nearest to that of another wiring of the width `units`; 0 stands for the
/// kind's own width.
fn matching_width(config: &ModelConfig, wiring: Wiring, units: usize, input: Shape, classes: usize) -> Result<usize> {
    let units = if units > 0 { units } else { config.kind.reference_width() };
    let reference = ModelConfig { last_relu: None, ..config.clone() }.with_wiring(wiring).with_width(units);
    let count = |config: &ModelConfig| super::Model::count_parameters(config, input, classes);
    let target = count(&reference)?;
    let count_at = |width| count(&config.clone().with_width(width));
    // The number of parameters grows with the width: find the first width that reaches the target.
    let mut high = 1;
    while count_at(high)? < target {
        high *= 2;
    }
    let mut low = high / 2;
    while low + 1 < high {
        let middle = (low + high) / 2;
        if count_at(middle)? < target { low = middle } else { high = middle }
    }
    let is_lower_nearer = low > 0 && target - count_at(low)? < count_at(high)? - target;
    Ok(if is_lower_nearer { low } else { high })
}

/// The form that files store. It has the depth if the depth table of the kind gives these blocks, and the blocks otherwise.
impl From<&ResolvedConfig> for ModelConfig {
    fn from(resolved: &ResolvedConfig) -> Self {
        let depth = resolved.depth();
        let char_lm = resolved.char_lm.as_ref();
        let has_depth = char_lm.is_none()
            && resolved.kind.blocks(depth, resolved.body).is_ok_and(|blocks| blocks == resolved.blocks);
        Self {
            kind: resolved.kind,
            depth: has_depth.then_some(depth),
            blocks: (!has_depth).then(|| resolved.blocks.clone()),
            size: None,
            maps: char_lm.map(|char_lm| char_lm.maps.clone()),
            units: char_lm.map(|char_lm| char_lm.units),
            characters: char_lm.map(|char_lm| char_lm.characters),
            stem: Some(resolved.stem),
            width: Some(Width::Units(resolved.width)),
            widen: Some(resolved.widen),
            bottleneck_width: resolved.other_bottleneck_width(),
            groups: (resolved.groups > 1).then_some(resolved.groups),
            wiring: Some(resolved.wiring),
            body: Some(resolved.body),
            norm: Some(resolved.norm),
            order: resolved.order,
            last_relu: Some(resolved.last_relu),
            last_norm: Some(resolved.last_norm),
            shortcut: Some(resolved.shortcut),
            gate: resolved.gate,
            gate_bias: Some(resolved.gate_bias),
            body_scale: Some(resolved.body_scale),
            layer_dropout: resolved.layer_dropout,
            survival: resolved.survival.clone(),
            share_weights: resolved.share_weights,
            dropout: resolved.dropout.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(config: &ModelConfig) -> ModelConfig {
        ModelConfig::from(&ResolvedConfig::new(config, [3, 32, 32], 10).unwrap())
    }

    #[test]
    fn a_resolved_configuration_resolves_to_itself() {
        let listed = ModelConfig { blocks: Some(vec![1, 2]), widen: Some(3), ..ModelConfig::new(ModelKind::Resnet) };
        let cifar18 = ModelConfig {
            blocks: Some(vec![2; 4]),
            stem: Some(StemKind::Conv3x3),
            body: Some(BodyKind::Basic),
            ..ModelConfig::new(ModelKind::Imagenet)
        };
        let kinds = [
            ModelKind::Resnet,
            ModelKind::Imagenet,
            ModelKind::Highway110,
            ModelKind::Highway50,
            ModelKind::Mlp,
            ModelKind::CharLm,
        ];
        for config in kinds.map(ModelConfig::new).into_iter().chain([listed.clone(), cifar18]) {
            let resolved = resolve(&config);
            assert_eq!(resolve(&resolved), resolved, "{config:?}");
        }
        assert_eq!(resolve(&listed).blocks, Some(vec![1, 2]));
        assert_eq!(resolve(&listed).depth, None);
        assert_eq!(resolve(&ModelConfig::new(ModelKind::HighwayMnist)).depth, Some(10));
    }

    #[test]
    fn an_invalid_configuration_is_refused_by_its_key() {
        let table = |text: &str| toml::from_str::<ModelConfig>(text).unwrap();
        for (text, message) in [
            ("kind = 'resnet'\nblocks = []", "model.blocks: no stage; at least one is needed, such as [2, 2, 2, 2]"),
            ("kind = 'resnet'\nblocks = [1, 0]", "model.blocks: a stage without blocks; each needs at least 1"),
            ("kind = 'resnet'\nblocks = [1]\ndepth = 20", "model.blocks: replaces model.depth; give one of the two"),
            ("kind = 'mlp'\nblocks = [1]", "model.blocks: belongs to networks for images; give model.depth"),
            ("kind = 'highway-mnist'\nblocks = [1]", "model.blocks: three stages are needed, such as [2, 3, 3]"),
            ("kind = 'resnet'\nsurvival = [0.5]", "model.survival: 1 numbers, expected one for each of 9 blocks"),
            ("kind = 'mlp'\ndepth = 2\nsurvival = [0.0]", "model.survival: 0: a number above 0 and up to 1 is needed"),
            (
                "kind = 'mlp'\ndepth = 2\nsurvival = [0.5]\nlayer_dropout = 0.5",
                "model.survival: replaces model.layer_dropout; give one of the two",
            ),
            ("kind = 'mlp'\nwiden = 2", "model.widen: belongs to the kinds 'resnet' and 'imagenet'"),
            (
                "kind = 'resnet'\nbody = 'bottleneck'\ngroups = 3",
                "model.groups: 3, of 16 channels in the 3x3 convolution: a divisor is needed",
            ),
            ("kind = 'resnet'\ngroups = 2", "model.groups: belongs to model.body = 'bottleneck'"),
            ("kind = 'resnet'\nbottleneck_width = 2", "model.bottleneck_width: belongs to model.body = 'bottleneck'"),
            ("kind = 'resnet'\nlast_norm = true", "model.last_norm: belongs to model.order = 'pre'"),
            (
                "kind = 'mlp'\nstem = '3x3'",
                "model.stem: 'dense' belongs to the kind 'mlp', 'characters' to 'char-lm', the others to networks for images",
            ),
        ] {
            assert_eq!(ResolvedConfig::new(&table(text), [3, 8, 8], 10).unwrap_err().to_string(), message);
        }
    }
}
