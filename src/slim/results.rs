//! A network with blocks left out for good: what was chosen, and what it costs.

use serde::{Deserialize, Serialize};

use crate::float_json;
use crate::measure::{Estimate, LesionResult, PerBlock, Score};
use crate::model::Epoch;
use crate::nn::{BlockId, Outline};

/// What becomes of a network that is slimmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slimming {
    /// The run directory or file that was opened.
    pub target: String,
    /// The data, as it was named on the command line.
    pub data: String,
    /// Seed of all random choices, of the halves of the samples too.
    pub seed: u64,
    /// The whole network.
    pub outline: Outline,
    /// Blocks that cannot be left out for good, and why.
    pub stays: PerBlock<String>,
    /// How the blocks were chosen; absent where they were named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Chosen>,
    /// The blocks that are left out, in the order in which they were chosen.
    pub removed: Vec<BlockId>,
    /// What is left, as a route.
    pub route: String,
    /// The slimmed network; absent where nothing was asked for but rankings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slimmed: Option<Slimmed>,
}

/// How blocks were chosen, on samples that prove nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// The ranking that chose, and as far as what: `greedy, until 1 point of accuracy is lost`.
    pub by: String,
    /// The whole network on the samples that choose.
    pub baseline: Score,
    /// Score after each removal, on the same samples.
    pub curve: Vec<Removal>,
    /// All rankings.
    pub rankings: Vec<Ranking>,
}

/// One block more left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// The block.
    pub block: BlockId,
    /// The network without it and all before it.
    #[serde(flatten)]
    pub score: Score,
}

/// An order in which blocks can be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// `lesion`, `influence`, `angle`, `l2-ratio`, `readout-gain`, `gate`, `greedy`, `deepest`, `random`.
    pub name: String,
    /// The figure that ranks a block, the smallest first; blocks without one come last. Empty for `greedy` and the
    /// controls.
    #[serde(with = "figures")]
    pub values: PerBlock<f64>,
    /// The blocks, the first to go first.
    pub order: Vec<BlockId>,
    /// Kendall's tau with every ranking in the list.
    #[serde(with = "float_json")]
    pub kendall_tau: Vec<f64>,
    /// On the samples that prove: the network without the first blocks of this order, as many as are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
}

/// A network with blocks left out for good, and the proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slimmed {
    /// What it is made of.
    pub outline: Outline,
    /// How the code that it came from builds it.
    pub builds: String,
    /// The whole network on the samples that prove.
    pub whole: Score,
    /// The slimmed network first as planned, then after each step of healing; costs are paired sample by sample.
    pub versions: Vec<Version>,
    /// What the whole network takes.
    pub before: Sizes,
    /// What the slimmed network takes.
    pub after: Sizes,
    /// Epochs of fine-tuning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finetuning: Vec<Epoch>,
    /// The file that was written, opened again and compared; absent in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// The slimmed network as planned or as healed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// `as planned`, `normalization re-estimated`, `fine-tuned`.
    pub name: String,
    /// Its score, and what it costs.
    #[serde(flatten)]
    pub lesion: LesionResult,
}

/// What a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// Blocks.
    pub blocks: usize,
    /// Trained parameters.
    pub parameters: u64,
    /// Bytes of its file, whole and slimmed network written alike.
    pub bytes: u64,
    /// Multiply-adds of one sample times two.
    pub flops: u64,
    /// Time of one sample alone, milliseconds: the median of runs of both networks in turn, with the half distance of
    /// the quartiles.
    pub latency_ms: Estimate,
}

/// Floats of blocks, also those that JSON has no number for.
mod figures {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::PerBlock;
    use crate::float_json::{FloatJson, NumberOrName};

    pub(super) fn serialize<S: Serializer>(values: &PerBlock<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(values.iter().map(|(block, value)| (block, value.to_json())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PerBlock<f64>, D::Error> {
        let forms = PerBlock::<NumberOrName<f64>>::deserialize(deserializer)?;
        let read = |(block, form)| Ok((block, f64::from_json(form).map_err(serde::de::Error::custom)?));
        forms.into_iter().map(read).collect()
    }
}
