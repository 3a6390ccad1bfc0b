//! From a configuration to what the network is built from.

use super::config::{ModelConfig, Width};
use super::table::Family;
use crate::nn::{BlockPlan, BodyKind, BodyPlan, LastRelu, Order, Pool, Shape, StagePlan, Window, Wiring};
use crate::{Error, Result};

/// Everything that decides the arrays of a network.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Window and channels of the stem's layer; a dense layer has no window.
    pub stem: (usize, Option<Window>),
    /// Whether the stem ends in normalization (if there is any) and ReLU.
    pub stem_relu: bool,
    /// Probability of dropping a unit of the input.
    pub input_dropout: f64,
    pub stages: Vec<StagePlan>,
    /// Pooling and dropout before the classifier.
    pub last_pool: Option<Pool>,
    pub last_dropout: f64,
    /// Whether the classifier sees each channel's average.
    pub average: bool,
    pub norm: bool,
    pub order: Order,
}

/// The configuration with nothing left open, its width a number.
///
/// # Errors
/// [`Error::Config`] for values that make no network.
pub(super) fn resolve(config: &ModelConfig, input: Shape, classes: usize) -> Result<ModelConfig> {
    let mut full = config.clone();
    full.kind.complete(&mut full);
    check(&full)?;
    let wiring = full.wiring.unwrap_or(Wiring::Residual);
    let dense = full.body == Some(BodyKind::Dense);
    full.last_relu.get_or_insert(match (full.order, wiring) {
        (Order::Pre, _) => LastRelu::None,
        (_, Wiring::Plain | Wiring::Residual) => LastRelu::Sum,
        _ if dense || full.body == Some(BodyKind::Conv) => LastRelu::H,
        _ => LastRelu::None,
    });
    if full.body_scale.is_none() {
        let blocks: usize =
            full.kind.blocks(full.depth.unwrap_or(0), full.body.unwrap_or(BodyKind::Dense))?.iter().sum();
        let grows = wiring.carries_all() || wiring == Wiring::COnly;
        let scale = if grows && full.norm == Some(false) { 1.0 / (blocks as f64).sqrt() } else { 1.0 };
        full.body_scale = Some(scale);
    }
    if let Some(Width::Match { wiring, units }) = full.width {
        let reference = ModelConfig {
            wiring: Some(wiring),
            width: (units > 0).then_some(Width::Units(units)),
            last_relu: None,
            ..config.clone()
        };
        full.width = Some(Width::Units(matching_width(&full, &reference, input, classes)?));
    }
    Ok(full)
}

fn check(config: &ModelConfig) -> Result<()> {
    let wrong = |key: &str, what: &str| Err(Error::config(format!("model.{key}"), what));
    if config.width == Some(Width::Units(0)) {
        return wrong("width", "0: at least 1 is needed");
    }
    if !(0.0..1.0).contains(&config.layer_dropout) {
        return wrong("layer_dropout", "a probability below 1 is needed");
    }
    if config.dropout.iter().any(|p| !(0.0..1.0).contains(p)) {
        return wrong("dropout", "probabilities below 1 are needed");
    }
    if (config.kind.family() == Family::Mlp) != (config.body == Some(BodyKind::Dense)) {
        return wrong("body", "'dense' belongs to the kind 'mlp', the others to networks for images");
    }
    Ok(())
}

/// The width whose parameter count is nearest to the reference's.
fn matching_width(config: &ModelConfig, reference: &ModelConfig, input: Shape, classes: usize) -> Result<usize> {
    let mut reference = reference.clone();
    if reference.width.is_none() {
        reference.width = Some(Width::Units(if config.kind.family() == Family::Small { 16 } else { 64 }));
    }
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

/// What a resolved configuration is built from.
///
/// # Errors
/// [`Error::Config`] for a depth that does not fit the layout.
pub(super) fn plan(config: &ModelConfig) -> Result<Plan> {
    let (Some(depth), Some(Width::Units(width)), Some(body)) = (config.depth, config.width, config.body) else {
        return Err(Error::config("model", "left open after its defaults were filled in"));
    };
    let blocks = config.kind.blocks(depth, body)?;
    let family = config.kind.family();
    let spread = if body == BodyKind::Bottleneck { 4 } else { 1 };
    let dropout = |place: usize| match config.dropout.as_slice() {
        [] if family == Family::HighwayMnist => [0.2, 0.3, 0.4, 0.5][place],
        [] => 0.0,
        [all] => *all,
        each => each.get(place).copied().unwrap_or(0.0),
    };
    let total: usize = blocks.iter().sum();
    let mut before = 0;
    let mut stages = Vec::new();
    for (s, &count) in blocks.iter().enumerate() {
        let grows = matches!(family, Family::Small | Family::Large);
        let out = if grows { (width << s) * spread } else { width };
        let stride = if grows && s > 0 { 2 } else { 1 };
        let block = |k: usize| {
            // Linear decay: block l of L survives with 1 - l/L·p (Huang et al. 2016).
            let survival = 1.0 - config.layer_dropout * (before + k + 1) as f64 / total as f64;
            block_plan(config, body, out, if k == 0 { stride } else { 1 }, survival)
        };
        let pool = match (family, s) {
            (Family::Large, 0) => Some(Pool { window: Window { size: 3, stride: 2, padding: 1 }, ceil: false }),
            (Family::HighwayMnist, 1..) => Some(Pool { window: Window { size: 3, stride: 2, padding: 0 }, ceil: true }),
            _ => None,
        };
        // The first place is the input's.
        let dropped = if s > 0 { dropout(s) } else { 0.0 };
        stages.push(StagePlan {
            blocks: (0..count).map(block).collect(),
            pool,
            dropout: dropped,
            shared: config.share_weights,
        });
        before += count;
    }
    let stem = match family {
        Family::Mlp => (width, None),
        Family::Small => (width, Some(Window::same(3, 1))),
        Family::Large => (width, Some(Window::same(7, 2))),
        Family::HighwayMnist => (width, Some(Window { size: 5, stride: 1, padding: 0 })),
    };
    let is_mnist = family == Family::HighwayMnist;
    Ok(Plan {
        stem,
        stem_relu: config.order == Order::Post,
        input_dropout: dropout(0),
        last_dropout: dropout(stages.len()),
        last_pool: is_mnist.then_some(Pool { window: Window { size: 2, stride: 2, padding: 0 }, ceil: true }),
        stages,
        average: !is_mnist,
        norm: config.norm.unwrap_or(false),
        order: config.order,
    })
}

fn block_plan(config: &ModelConfig, kind: BodyKind, out: usize, stride: usize, survival: f64) -> BlockPlan {
    BlockPlan {
        wiring: config.wiring.unwrap_or(Wiring::Residual),
        body: BodyPlan {
            kind,
            out,
            stride,
            norm: config.norm.unwrap_or(false),
            order: config.order,
            scale: config.body_scale.unwrap_or(1.0),
        },
        gate: config.gate,
        gate_bias: config.gate_bias.unwrap_or(-1.0),
        shortcut: config.shortcut.unwrap_or(crate::nn::ShortcutKind::ZeroPadding),
        last_relu: config.last_relu.unwrap_or(LastRelu::Sum),
        survival,
    }
}
