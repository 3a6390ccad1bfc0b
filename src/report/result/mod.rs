//! The results of every measurement as typed data. Every renderer (terminal, HTML, CSV, JSON) starts from these.
//!
//! Blocks are keyed by their names, `stage1.block2`, in the order of the network. Accuracies and gate values are
//! fractions of 1, losses are in nats, intervals are 95 % confidence intervals.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

mod blocks;
mod iteration;

mod patches;
mod score;
mod slim;

pub use crate::model::Epoch;
pub use crate::nn::{BlockOutline, Outline, ReceptiveField, Shortcut, StageOutline};
pub use blocks::*;
pub use iteration::*;
pub use patches::*;
pub use score::*;
pub use slim::*;

/// Results keyed by block name, in the order in which the blocks run.
pub type PerBlock<T> = IndexMap<String, T>;

/// Everything that was measured of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// The run directory or model file that was opened.
    pub target: String,
    /// The data, as it was named on the command line.
    pub data: String,
    /// Seed of all random choices.
    pub seed: u64,
    /// What the network is made of.
    pub outline: Outline,
    /// The network as it is.
    pub baseline: Score,
    /// Estimation error of every block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimation: Option<PerBlock<Estimation>>,
    /// The patches that excite one filter of every stage most, after every block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patches: Option<PerBlock<Patches>>,
    /// Every block left out in turn, if it can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesion: Option<PerBlock<Lesion>>,
    /// Blocks swapped within their stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffle: Option<Vec<Shuffle>>,
    /// Gate activity; only gated blocks are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<PerBlock<BlockGates>>,
    /// How much every block changes the estimate; only blocks that keep its shape are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub influence: Option<PerBlock<Influence>>,
    /// Angular distance over every run of blocks of a stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<Vec<Run>>,
    /// Cosine between `F_k` and the negative gradient of the loss with respect to `a_(k-1)` (Jastrzebski et al. 2018),
    /// averaged over the samples: above zero the block steps down the loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradients: Option<PerBlock<Estimate>>,
    /// What can be read out after every block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readouts: Option<PerBlock<Readouts>>,
    /// Samples that leave the network at the first block whose read-out is confident enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_exit: Option<Vec<EarlyExit>>,
    /// What a block adds replaced by its mean over the samples, or by what it adds to another sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ablation: Option<PerBlock<Ablation>>,
    /// Several blocks left out at random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub several: Option<Vec<Several>>,
    /// Two blocks of a stage left out together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Vec<Pair>>,
    /// The last block of every stage applied again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Vec<Repeat>>,
    /// How iterative every stage is, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<IndexMap<String, Iteration>>,
    /// Section 3 of the paper, for every block that keeps the shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theory: Option<PerBlock<Theory>>,
    /// Losses and accuracies of the training that made this network, one an epoch, where known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub training: Vec<Epoch>,
}

impl Measurements {
    /// A network and its score, and nothing else measured yet. It goes by its outline's name.
    pub fn new(outline: Outline, baseline: Score, seed: u64) -> Self {
        Self {
            target: outline.name.clone(),
            data: String::new(),
            seed,
            outline,
            baseline,
            estimation: None,
            patches: None,
            lesion: None,
            shuffle: None,
            gates: None,
            influence: None,
            runs: None,
            gradients: None,
            readouts: None,
            early_exit: None,
            ablation: None,
            several: None,
            pairs: None,
            repeats: None,
            iteration: None,
            theory: None,
            training: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn json_gives_back_what_was_written() {
        for network in [sample::residual(), sample::highway(1)] {
            let text = serde_json::to_string(&network).unwrap();
            assert!(serde_json::from_str::<Measurements>(&text).unwrap() == network);
        }
    }

    #[test]
    fn json_keeps_what_is_not_finite() {
        let mut network = sample::highway(1);
        network.baseline.loss = f64::INFINITY;
        network.estimation.as_mut().unwrap()[0].step_mean = Some(f64::NEG_INFINITY);
        network.lesion.as_mut().unwrap()[0].score.accuracy_ci95 = [f64::NEG_INFINITY, 1.0];
        let gate = network.gates.as_mut().unwrap()[0].transform.as_mut().unwrap();
        gate.class_channels[2][1] = f32::INFINITY;
        let text = serde_json::to_string(&network).unwrap();
        assert!(serde_json::from_str::<Measurements>(&text).unwrap() == network);

        network.baseline.loss = f64::NAN;
        let text = serde_json::to_string(&network).unwrap();
        assert!(serde_json::from_str::<Measurements>(&text).unwrap().baseline.loss.is_nan());
        let broken = text.replacen("\"NaN\"", "\"many\"", 1);
        assert!(
            serde_json::from_str::<Measurements>(&broken).unwrap_err().to_string().contains("'many' is not a number")
        );
    }
}
