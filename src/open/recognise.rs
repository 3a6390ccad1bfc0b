//! Which network it is: shapes say how many stages, blocks, layers and channels it has, and where normalization stands.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{Known, Layout, Place};
use crate::model::{ModelConfig, ModelFamily, ModelKind, StemKind, Width};
use crate::nn::{ActivationOrder, BodyKind, GateKind, Shape, ShortcutOption};

/// What a file's shapes say.
pub(super) struct Recognised {
    pub config: ModelConfig,
    pub input: Shape,
    pub classes: usize,
}

/// No network here has a wider layer, or samples of more channels: a file that says so lies, and sizes must not
/// overflow.
const WIDEST: usize = 1 << 16;
const MOST_CHANNELS: usize = 64;

const NEEDS_ARCH: &str = "our names without our metadata, which would say how blocks are wired and where their last \
                          ReLU stands: name it with --arch, such as --arch highway-110";
const RAW_PROJECTION: &str = "a pre-activation network with 'downsample': those that name it so project the raw input, \
                              here as in He et al. 2016 the normalized one is projected";

/// The network whose arrays these are; what the caller says of it settles what shapes leave open, and goes first.
///
/// The error names what is missing or cannot be.
pub(super) fn network(arrays: &Known, layout: &Layout, arch: Option<&ModelConfig>) -> Result<Recognised, String> {
    if let Some(array) = arrays.values().find(|a| a.shape.iter().any(|&side| side == 0 || side > WIDEST)) {
        return Err(format!("{}: shape {:?} is none of a network", array.name, array.shape));
    }
    if arch.is_none() && !layout.is_foreign() {
        return Err(NEEDS_ARCH.into());
    }
    let shapes = Shapes(arrays);
    let (width, channels, stem) = shapes.stem()?;
    let head = shapes.of("head.weight").ok_or("no head: the classifier is missing or has an unknown name")?;
    let kind = if stem == StemKind::Conv7x7Pool { ModelKind::Imagenet } else { ModelKind::Resnet };
    let config = shapes.complete(arch.cloned().unwrap_or_else(|| ModelConfig::new(kind)), width, stem)?;
    // No shape tells these from others.
    let is_raw = |name: &str| name.starts_with("layer") && name.contains(".downsample.");
    if config.order == ActivationOrder::Pre && arrays.values().any(|array| is_raw(&array.name)) {
        return Err(RAW_PROJECTION.into());
    }
    let side = match (stem, channels) {
        (StemKind::Conv7x7Pool, _) => 224,
        (StemKind::Conv5x5, _) | (_, 1) => 28,
        _ => 32,
    };
    Ok(Recognised { config, input: [channels, side, side], classes: head[0] })
}

struct Shapes<'a>(&'a Known<'a>);

impl Shapes<'_> {
    fn of(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|array| array.shape.as_slice())
    }

    fn any(&self, part: &str) -> bool {
        self.0.keys().any(|name| name.contains(part))
    }

    /// Channels that come out of the stem and that go in, and its window.
    fn stem(&self) -> Result<(usize, usize, StemKind), String> {
        let shape = self.of("stem.weight").ok_or("no stem: the first convolution is missing or has an unknown name")?;
        let [width, channels, side, _] = *shape else {
            return Err(format!("the stem has shape {shape:?}, expected that of a convolution"));
        };
        if channels > MOST_CHANNELS {
            return Err(format!("the stem takes samples of {channels} channels, expected at most {MOST_CHANNELS}"));
        }
        match side {
            3 => Ok((width, channels, StemKind::Conv3x3)),
            7 => Ok((width, channels, StemKind::Conv7x7Pool)),
            5 => Ok((width, channels, StemKind::Conv5x5)),
            _ => Err(format!("the stem has {side}x{side} windows, expected 3x3, 5x5 or 7x7")),
        }
    }

    /// Fills in what a configuration leaves open and shapes decide.
    fn complete(&self, given: ModelConfig, width: usize, stem: StemKind) -> Result<ModelConfig, String> {
        let blocks = self.blocks();
        if blocks.is_empty() {
            return Err("no blocks in it".into());
        }
        let body = match self.layers_of_first_body() {
            0 | 1 => BodyKind::Conv,
            2 => BodyKind::Basic,
            _ => BodyKind::Bottleneck,
        };
        let out =
            self.of(&format!("stage1.block1.body.layer{}.weight", body.layer_count())).map_or(width, |shape| shape[0]);
        let doublings = u32::try_from(blocks.len() - 1).unwrap_or(u32::MAX);
        if out.checked_mul(2_usize.saturating_pow(doublings)).is_none_or(|last| last > WIDEST) {
            return Err(format!("{} stages, the first of {out} channels, are none of a network", blocks.len()));
        }
        let order = self.order();
        let has_stages = matches!(given.kind.family(), ModelFamily::CifarResNet | ModelFamily::ImageNetResNet);
        let projects = self.any(".shortcut.weight");
        let shortcut = if projects { ShortcutOption::Projection } else { ShortcutOption::ZeroPadding };
        let last_norm = (order == Some(ActivationOrder::Pre)).then(|| self.of("head.norm.scale").is_some());
        Ok(ModelConfig {
            blocks: given.blocks.or((has_stages && given.depth.is_none()).then_some(blocks)),
            stem: given.stem.or(Some(stem)),
            width: given.width.or(Some(Width::Units(width))),
            widen: given.widen.or(has_stages.then_some((out / body.expansion() / width).max(1))),
            body: given.body.or(Some(body)),
            norm: given.norm.or(Some(self.any(".norm.scale"))),
            order: order.unwrap_or(given.order),
            last_norm: given.last_norm.or(last_norm),
            shortcut: given.shortcut.or(Some(shortcut)),
            gate: if self.has_pointwise_gates() { GateKind::Pointwise } else { given.gate },
            ..given
        })
    }

    /// A gate of one layer whose window is a pixel.
    fn has_pointwise_gates(&self) -> bool {
        let gates = ["transform", "carry"].map(|gate| self.of(&format!("stage1.block1.{gate}.layer1.weight")));
        let has_more = self.any(".transform.layer2.") || self.any(".carry.layer2.");
        !has_more && gates.into_iter().flatten().any(|shape| shape.get(2) == Some(&1))
    }

    /// Blocks of each stage. Gaps in the numbers do not count: what lies behind one is named as missing and unused.
    fn blocks(&self) -> Vec<usize> {
        let mut stages: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for name in self.0.keys() {
            let start: Vec<&str> = name.splitn(3, '.').take(2).collect();
            if let Some(place) = Place::read("stage{s}.block{k}", &start.join(".")) {
                stages.entry(place.stage).or_default().insert(place.block);
            }
        }
        stages.into_values().map(|blocks| blocks.len()).collect()
    }

    fn layers_of_first_body(&self) -> usize {
        (1..=3).filter(|n| self.of(&format!("stage1.block1.body.layer{n}.weight")).is_some()).max().unwrap_or(0)
    }

    /// Where normalization stands: before a layer it has as many channels as go in, behind it as many as come out.
    /// Where no layer changes the number, the network's ends tell.
    fn order(&self) -> Option<ActivationOrder> {
        for (name, layer) in self.0 {
            let norm = name.strip_suffix(".weight").and_then(|part| self.of(&format!("{part}.norm.scale")));
            let (Some(&[count]), [out, channels, ..]) = (norm, layer.shape.as_slice()) else { continue };
            if out != channels && name.contains(".body.layer") {
                return if count == *channels { Some(ActivationOrder::Pre) } else { Some(ActivationOrder::Post) };
            }
        }
        match (self.any("stem.norm."), self.any("head.norm.")) {
            (true, _) => Some(ActivationOrder::Post),
            (false, true) => Some(ActivationOrder::Pre),
            (false, false) => None,
        }
    }
}
