//! Infers the configuration of a network from the shapes of its arrays: stages, blocks, layers, channels, and the position
//! of normalizations.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{KnownArrays, Layout};
use super::part_numbers::PartNumbers;
use crate::model::{ModelConfig, ModelFamily, ModelKind, StemKind, Width};
use crate::nn::{ActivationOrder, BodyKind, GateKind, Shape, ShortcutOption};

/// What the shapes of a file tell.
pub(super) struct InferredNetwork {
    pub config: ModelConfig,
    pub input: Shape,
    pub classes: usize,
}

/// Wider layers are refused, so that sizes do not overflow for a hostile file.
const MAX_WIDTH: usize = 1 << 16;
/// Samples of more channels are refused.
const MAX_CHANNELS: usize = 64;

const NEEDS_ARCH: &str = "our names without our metadata, which would say how blocks are wired and where their last \
                          ReLU stands: give the arch, such as highway-110";
const RAW_PROJECTION: &str = "a pre-activation network with 'downsample': those that name it so project the raw input, \
                              here as in He et al. 2016 the normalized one is projected";

/// Infers the network of some arrays. What `arch` sets is kept, and the shapes fill in what it leaves open.
///
/// The error names the array that is missing or has an impossible shape.
pub(super) fn infer(
    arrays: &KnownArrays,
    layout: &Layout,
    arch: Option<&ModelConfig>,
) -> Result<InferredNetwork, String> {
    if let Some(array) = arrays.values().find(|a| a.shape.iter().any(|&side| side == 0 || side > MAX_WIDTH)) {
        return Err(format!("{}: shape {:?} is none of a network", array.name, array.shape));
    }
    if arch.is_none() && !layout.is_foreign() {
        return Err(NEEDS_ARCH.into());
    }
    let shapes = Shapes(arrays);
    let (width, channels, stem) = shapes.stem()?;
    let head = shapes.shape("head.weight").ok_or("no head: the classifier is missing or has an unknown name")?;
    let kind = if stem.has_pool() { ModelKind::Imagenet } else { ModelKind::Resnet };
    let mut config = shapes.complete(arch.cloned().unwrap_or_else(|| ModelConfig::new(kind)), width, stem)?;
    if layout.pools_shortcuts() && config.shortcut == Some(ShortcutOption::Projection) {
        config.shortcut = Some(ShortcutOption::PooledProjection);
    }
    // Shapes do not tell which input is projected, names do.
    let is_raw = |name: &str| name.starts_with("layer") && name.contains(".downsample.");
    if config.order == ActivationOrder::Pre && arrays.values().any(|array| is_raw(&array.name)) {
        return Err(RAW_PROJECTION.into());
    }
    let side = match (stem, channels) {
        (stem, _) if stem.has_pool() => 224,
        (StemKind::Conv5x5, _) | (_, 1) => 28,
        _ => 32,
    };
    Ok(InferredNetwork { config, input: [channels, side, side], classes: head[0] })
}

/// The shapes of arrays by their native names.
struct Shapes<'a>(&'a KnownArrays<'a>);

impl Shapes<'_> {
    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|array| array.shape.as_slice())
    }

    /// Returns whether the name of an array contains a text.
    fn has_name_with(&self, part: &str) -> bool {
        self.0.keys().any(|name| name.contains(part))
    }

    /// Returns the output channels, the input channels and the kind of the stem.
    fn stem(&self) -> Result<(usize, usize, StemKind), String> {
        let shape =
            self.shape("stem.weight").ok_or("no stem: the first convolution is missing or has an unknown name")?;
        let [width, channels, side, _] = *shape else {
            return Err(format!("the stem has shape {shape:?}, expected that of a convolution"));
        };
        let deep = self.shape("stem.layer1.weight");
        let channels = deep.and_then(|shape| shape.get(1).copied()).unwrap_or(channels);
        if channels > MAX_CHANNELS {
            return Err(format!("the stem takes samples of {channels} channels, expected at most {MAX_CHANNELS}"));
        }
        match side {
            3 if deep.is_some() => Ok((width, channels, StemKind::DeepPool)),
            3 => Ok((width, channels, StemKind::Conv3x3)),
            7 => Ok((width, channels, StemKind::Conv7x7Pool)),
            5 => Ok((width, channels, StemKind::Conv5x5)),
            _ => Err(format!("the stem has {side}x{side} windows, expected 3x3, 5x5 or 7x7")),
        }
    }

    /// Fills in what a configuration leaves open.
    fn complete(&self, arch: ModelConfig, width: usize, stem: StemKind) -> Result<ModelConfig, String> {
        let blocks = self.blocks();
        if blocks.is_empty() {
            return Err("no blocks in it".into());
        }
        let body = match self.layers_of_first_body() {
            0 | 1 => BodyKind::Conv,
            2 => BodyKind::Basic,
            _ => BodyKind::Bottleneck,
        };
        let out = self
            .shape(&format!("stage1.block1.body.layer{}.weight", body.layer_count()))
            .map_or(width, |shape| shape[0]);
        let doublings = u32::try_from(blocks.len() - 1).unwrap_or(u32::MAX);
        if out.checked_mul(2_usize.saturating_pow(doublings)).is_none_or(|last| last > MAX_WIDTH) {
            return Err(format!("{} stages, the first of {out} channels, are none of a network", blocks.len()));
        }
        let (bottleneck_width, groups) = match self.shape("stage1.block1.body.layer2.weight") {
            Some([narrow, own, ..]) if body == BodyKind::Bottleneck => (Some(*narrow), Some((narrow / own).max(1))),
            _ => (None, None),
        };
        let order = self.order();
        let has_stages = matches!(arch.kind.family(), ModelFamily::CifarResNet | ModelFamily::ImageNetResNet);
        let projects = self.has_name_with(".shortcut.weight");
        let shortcut = if projects { ShortcutOption::Projection } else { ShortcutOption::ZeroPadding };
        let last_norm = (order == Some(ActivationOrder::Pre)).then(|| self.shape("head.norm.scale").is_some());
        Ok(ModelConfig {
            blocks: arch.blocks.or((has_stages && arch.depth.is_none()).then_some(blocks)),
            stem: arch.stem.or(Some(stem)),
            width: arch.width.or(Some(Width::Units(width))),
            widen: arch.widen.or(has_stages.then_some((out / body.expansion() / width).max(1))),
            bottleneck_width: arch.bottleneck_width.or(bottleneck_width),
            groups: arch.groups.or(groups),
            body: arch.body.or(Some(body)),
            norm: arch.norm.or(Some(self.has_name_with(".norm.scale"))),
            order: order.unwrap_or(arch.order),
            last_norm: arch.last_norm.or(last_norm),
            shortcut: arch.shortcut.or(Some(shortcut)),
            gate: if self.has_pointwise_gates() { GateKind::Pointwise } else { arch.gate },
            ..arch
        })
    }

    /// Returns whether gates are single 1x1 convolutions.
    fn has_pointwise_gates(&self) -> bool {
        let gates = ["transform", "carry"].map(|gate| self.shape(&format!("stage1.block1.{gate}.layer1.weight")));
        let has_more = self.has_name_with(".transform.layer2.") || self.has_name_with(".carry.layer2.");
        !has_more && gates.into_iter().flatten().any(|shape| shape.get(2) == Some(&1))
    }

    /// Returns the number of blocks of each stage. A gap in the numbers is not detected here: the blocks behind it do not match
    /// later.
    fn blocks(&self) -> Vec<usize> {
        let mut stages: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for name in self.0.keys() {
            let start: Vec<&str> = name.splitn(3, '.').take(2).collect();
            if let Some(numbers) = PartNumbers::read("stage{s}.block{k}", &start.join(".")) {
                stages.entry(numbers.stage).or_default().insert(numbers.block);
            }
        }
        stages.into_values().map(|blocks| blocks.len()).collect()
    }

    fn layers_of_first_body(&self) -> usize {
        (1..=3).filter(|n| self.shape(&format!("stage1.block1.body.layer{n}.weight")).is_some()).max().unwrap_or(0)
    }

    /// Returns whether normalizations stand before or after the layers: those before a layer have its input channels, those
    /// after it its output channels. Where no layer changes the number of channels, the stem and the head tell.
    fn order(&self) -> Option<ActivationOrder> {
        for (name, layer) in self.0 {
            let norm = name.strip_suffix(".weight").and_then(|part| self.shape(&format!("{part}.norm.scale")));
            let (Some(&[count]), [out, channels, ..]) = (norm, layer.shape.as_slice()) else { continue };
            if out != channels && name.contains(".body.layer") {
                return if count == *channels { Some(ActivationOrder::Pre) } else { Some(ActivationOrder::Post) };
            }
        }
        match (self.has_name_with("stem.norm."), self.has_name_with("head.norm.")) {
            (true, _) => Some(ActivationOrder::Post),
            (false, true) => Some(ActivationOrder::Pre),
            (false, false) => None,
        }
    }
}
