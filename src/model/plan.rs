//! From a resolved configuration to what the network is built from.

use super::resolve::Resolved;
use super::table::{Family, StemKind};
use crate::nn::{BlockConfig, BodyConfig, CharCnnConfig, Order, Pool, RecurrentConfig, StageConfig, Window};

/// Everything that decides the arrays of a network.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Window and channels of the stem's layer; a dense layer has no window.
    pub stem: (usize, Option<Window>),
    /// Whether the stem ends in normalization (if there is any) and ReLU.
    pub stem_relu: bool,
    /// Probability of dropping a unit of the input.
    pub input_dropout: f64,
    pub stages: Vec<StageConfig>,
    /// Pooling and dropout before the classifier.
    pub last_pool: Option<Pool>,
    pub last_dropout: f64,
    /// Whether the classifier sees each channel's average.
    pub average: bool,
    pub norm: bool,
    /// Whether normalization (if there is any) and ReLU stand before the classifier.
    pub last_norm: bool,
    /// Stem and head of a language model, in place of those above.
    pub words: Option<(CharCnnConfig, RecurrentConfig)>,
    /// Where it is set, all weights start uniform in `±spread`.
    pub spread: Option<f32>,
}

/// Values that stand for a character, LSTM layers, and where all parameters of a language model start (Kim et al. 2015).
const EMBEDDING: usize = 15;
const LSTM_LAYERS: usize = 2;
const SPREAD: f32 = 0.05;

/// What a resolved configuration is built from.
pub(super) fn plan(config: &Resolved) -> Plan {
    let family = config.kind.family();
    let grows = matches!(family, Family::Small | Family::Large);
    let (is_mnist, is_words) = (family == Family::HighwayMnist, family == Family::CharLmConfig);
    let dropout = |place: usize| match config.dropout.as_slice() {
        [] if is_mnist => [0.2, 0.3, 0.4, 0.5][place],
        [] if is_words => 0.5,
        [] => 0.0,
        [all] => *all,
        each => each[place],
    };
    let total: usize = config.blocks.iter().sum();
    let mut before = 0;
    let mut stages = Vec::new();
    for (s, &count) in config.blocks.iter().enumerate().filter(|(_, count)| **count > 0) {
        let out = if grows { ((config.width * config.widen) << s) * config.body.spread() } else { config.width };
        let stride = if grows && s > 0 { 2 } else { 1 };
        let block = |k: usize| {
            // Linear decay: block l of L survives with 1 - l/L·p (Huang et al. 2016).
            let decayed = || 1.0 - config.layer_dropout * (before + k + 1) as f64 / total as f64;
            let survival = config.survival.get(before + k).copied().unwrap_or_else(decayed);
            block_plan(config, out, if k == 0 { stride } else { 1 }, survival)
        };
        let pool = match s {
            0 if config.stem == StemKind::Large => Some(pool(3, 1, false)),
            1.. if is_mnist => Some(pool(3, 0, true)),
            _ => None,
        };
        // The first place is the input's.
        let dropped = if s > 0 { dropout(s) } else { 0.0 };
        let blocks = (0..count).map(block).collect();
        stages.push(StageConfig { blocks, pool, dropout: dropped, shared: config.share_weights });
        before += count;
    }
    let window = match config.stem {
        StemKind::Dense | StemKind::Characters => None,
        StemKind::Small => Some(Window::same(3, 1)),
        StemKind::Large => Some(Window::same(7, 2)),
        StemKind::Mnist => Some(Window { size: 5, stride: 1, padding: 0 }),
    };
    Plan {
        stem: (config.width, window),
        stem_relu: config.order == Order::Post,
        input_dropout: dropout(0),
        last_dropout: dropout(stages.len().max(1)),
        last_pool: is_mnist.then_some(pool(2, 0, true)),
        stages,
        words: config.words.as_ref().map(|words| {
            let characters = words.characters;
            let recurrent =
                RecurrentConfig { layers: LSTM_LAYERS, units: words.units, dropout: [dropout(0), dropout(1)] };
            (CharCnnConfig { characters, embedding: EMBEDDING, maps: words.maps.clone() }, recurrent)
        }),
        spread: is_words.then_some(SPREAD),
        average: !is_mnist,
        norm: config.norm,
        last_norm: config.last_norm,
    }
}

/// Pooling that halves the side.
fn pool(size: usize, padding: usize, ceil: bool) -> Pool {
    Pool { window: Window { size, stride: 2, padding }, ceil }
}

fn block_plan(config: &Resolved, out: usize, stride: usize, survival: f64) -> BlockConfig {
    let Resolved { norm, order, body_scale: scale, .. } = *config;
    BlockConfig {
        wiring: config.wiring,
        body: BodyConfig { kind: config.body, out, stride, norm, order, scale },
        gate: config.gate,
        gate_bias: config.gate_bias,
        shortcut: config.shortcut,
        last_relu: config.last_relu,
        survival,
    }
}
