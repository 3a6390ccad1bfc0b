//! The configuration of every layer of a network.

use super::kind::ModelFamily;
use super::resolve::ResolvedConfig;
use super::stem::StemKind;
use crate::nn::{ActivationOrder, BlockConfig, BodyConfig, CharCnnConfig, Pool, RecurrentConfig, StageConfig, Window};

/// The configuration of every layer of a network.
#[derive(Clone, Debug)]
pub(super) struct LayersConfig {
    /// Output channels of the stem's layer, and its window unless it is dense.
    pub stem: (usize, Option<Window>),
    /// Output channels and windows of the layers of a deep stem before that.
    pub deep_stem: Vec<(usize, Window)>,
    /// Whether a ReLU follows the stem's layer, and a normalization if the network has any.
    pub stem_relu: bool,
    /// Probability of dropping a unit of the input.
    pub input_dropout: f64,
    pub stages: Vec<StageConfig>,
    /// Pooling before the classifier.
    pub last_pool: Option<Pool>,
    /// Probability of dropping a unit of the classifier's input.
    pub last_dropout: f64,
    /// Whether the classifier takes the average of each channel.
    pub average: bool,
    /// Whether the network has normalizations.
    pub norm: bool,
    /// Whether a ReLU precedes the classifier, and a normalization if the network has any.
    pub last_norm: bool,
    /// Stem and head of a language model, in place of those above.
    pub char_lm: Option<(CharCnnConfig, RecurrentConfig)>,
    /// If set, all parameters start uniform in `±bound`.
    pub uniform_bound: Option<f32>,
}

/// Values that a character of a language model is embedded as (Kim et al. 2015).
const CHARACTER_EMBEDDING: usize = 15;
/// LSTM layers of a language model (Kim et al. 2015).
const LSTM_LAYERS: usize = 2;
/// Bound of the initial values of a language model's parameters (Kim et al. 2015).
const UNIFORM_BOUND: f32 = 0.05;

impl From<&ResolvedConfig> for LayersConfig {
    fn from(config: &ResolvedConfig) -> Self {
        let family = config.kind.family();
        let (is_mnist, is_char_lm) = (family == ModelFamily::HighwayMnist, family == ModelFamily::CharLm);
        let window = match config.stem {
            StemKind::Dense | StemKind::CharCnn => None,
            StemKind::Conv3x3 | StemKind::DeepPool => Some(Window::same(3, 1)),
            StemKind::Conv7x7Pool => Some(Window::same(7, 2)),
            StemKind::Conv5x5 => Some(Window { size: 5, stride: 1, padding: 0 }),
        };
        let half = (config.width / 2).max(1);
        let deep_stem = match config.stem {
            StemKind::DeepPool => vec![(half, Window::same(3, 2)), (half, Window::same(3, 1))],
            _ => Vec::new(),
        };
        let stages = stages(config);
        let char_lm = config.char_lm.as_ref().map(|char_lm| {
            let (characters, maps) = (char_lm.characters, char_lm.maps.clone());
            let dropout = [dropout(config, 0), dropout(config, 1)];
            (
                CharCnnConfig { characters, embedding: CHARACTER_EMBEDDING, maps },
                RecurrentConfig { layers: LSTM_LAYERS, units: char_lm.units, dropout },
            )
        });
        Self {
            stem: (config.width, window),
            deep_stem,
            stem_relu: config.order == ActivationOrder::Post,
            input_dropout: dropout(config, 0),
            last_dropout: dropout(config, stages.len().max(1)),
            last_pool: is_mnist.then_some(halving_pool(2, 0, true)),
            stages,
            char_lm,
            uniform_bound: is_char_lm.then_some(UNIFORM_BOUND),
            average: !is_mnist,
            norm: config.norm,
            last_norm: config.last_norm,
        }
    }
}

/// Returns the probability of dropping a unit in one of the places of [`ModelConfig::dropout`](super::ModelConfig).
fn dropout(config: &ResolvedConfig, place: usize) -> f64 {
    match (config.dropout.as_slice(), config.kind.family()) {
        ([], ModelFamily::HighwayMnist) => [0.2, 0.3, 0.4, 0.5][place],
        ([], ModelFamily::CharLm) => 0.5,
        ([], _) => 0.0,
        ([all], _) => *all,
        (each, _) => each[place],
    }
}

fn stages(config: &ResolvedConfig) -> Vec<StageConfig> {
    let family = config.kind.family();
    let total: usize = config.blocks.iter().sum();
    let mut before = 0;
    let mut stages = Vec::new();
    for (s, &count) in config.blocks.iter().enumerate().filter(|(_, count)| **count > 0) {
        let doubles = family.doubles_channels();
        let out = if doubles { ((config.width * config.widen) << s) * config.body.expansion() } else { config.width };
        let narrow = if doubles { config.bottleneck_width << s } else { config.bottleneck_width };
        let stride = if doubles && s > 0 { 2 } else { 1 };
        let block = |k: usize| {
            // Linear decay: block l of L survives with probability 1 - l/L·p (Huang et al. 2016).
            let decayed = || 1.0 - config.layer_dropout * (before + k + 1) as f64 / total as f64;
            let survival = config.survival.get(before + k).copied().unwrap_or_else(decayed);
            block(config, [out, narrow], if k == 0 { stride } else { 1 }, survival)
        };
        let pool = match s {
            0 if config.stem.has_pool() => Some(halving_pool(3, 1, false)),
            1.. if family == ModelFamily::HighwayMnist => Some(halving_pool(3, 0, true)),
            _ => None,
        };
        // The dropout of the first place belongs to the input of the network.
        let dropout = if s > 0 { dropout(config, s) } else { 0.0 };
        let blocks = (0..count).map(block).collect();
        stages.push(StageConfig { blocks, pool, dropout, shares_weights: config.share_weights });
        before += count;
    }
    stages
}

fn block(config: &ResolvedConfig, [out, narrow]: [usize; 2], stride: usize, survival: f64) -> BlockConfig {
    let ResolvedConfig { norm, order, body_scale: scale, .. } = *config;
    BlockConfig {
        wiring: config.wiring,
        body: BodyConfig { kind: config.body, out, narrow, groups: config.groups, stride, norm, order, scale },
        gate: config.gate,
        gate_bias: config.gate_bias,
        shortcut: config.shortcut,
        last_relu: config.last_relu,
        survival,
    }
}

/// Returns pooling that halves height and width.
fn halving_pool(size: usize, padding: usize, ceil_mode: bool) -> Pool {
    Pool { window: Window { size, stride: 2, padding }, ceil_mode }
}
