//! The results of slimming: the blocks that were removed, how they were selected, and what it costs.

use serde::{Deserialize, Serialize};

use crate::device::DeviceInfo;
use crate::float_json;
use crate::measure::{Estimate, LesionResult, PerBlock, SampleInfo, Score};
use crate::model::Epoch;
use crate::nn::{BlockId, Outline};

/// The result of slimming a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slimming {
    /// The run directory or file of the whole network.
    pub target: String,
    /// The data set, as it was named on the command line.
    pub data: String,
    /// How the samples enter the network; absent in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<SampleInfo>,
    /// The device that computed the network; absent where it is not known, as in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceInfo>,
    /// Seed of all random choices, including the halves of the samples.
    pub seed: u64,
    /// The outline of the whole network.
    pub outline: Outline,
    /// Blocks that cannot be removed for good, with the reasons.
    pub stays: PerBlock<String>,
    /// How the blocks were selected; absent where they were named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Chosen>,
    /// Why the scores are not independent of the selection of the blocks; absent where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not_independent: Option<String>,
    /// The blocks that are removed, in the order in which they were selected.
    pub removed: Vec<BlockId>,
    /// The route without these blocks.
    pub route: String,
    /// The slimmed network; absent where only rankings were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slimmed: Option<Slimmed>,
}

/// How blocks were selected, on samples that are not used for the scores of the slimmed network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// The criterion and the goal, such as `greedy, at most 1 point of accuracy lost`.
    pub by: String,
    /// The score of the whole network on the same samples.
    pub baseline: Score,
    /// The score after each removal.
    pub curve: Vec<Removal>,
    /// All rankings.
    pub rankings: Vec<Ranking>,
}

/// The removal of one more block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// The block.
    pub block: BlockId,
    /// The score without it and all blocks before it.
    #[serde(flatten)]
    pub score: Score,
}

/// An order in which blocks can be removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// `lesion`, `influence`, `angle`, `l2-ratio`, `readout-gain`, `gate`, `greedy`, `deepest`, `random`.
    pub name: String,
    /// The figures by which blocks are ranked, the smallest first. Blocks without a figure come last. Empty for `greedy` and
    /// the controls.
    #[serde(with = "figures")]
    pub values: PerBlock<f64>,
    /// The blocks, the first to be removed first.
    pub order: Vec<BlockId>,
    /// Kendall's tau with every ranking in the list, itself included.
    #[serde(with = "float_json")]
    pub kendall_tau: Vec<f64>,
    /// The score on the other samples without the first blocks of this order, as many as are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
}

/// A slimmed network that was verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slimmed {
    /// The outline of the slimmed network.
    pub outline: Outline,
    /// How the code that the network comes from constructs it.
    pub builds: String,
    /// The score of the whole network.
    pub whole: Score,
    /// The slimmed network as planned, then after each step of its recovery. Costs are paired by samples.
    pub versions: Vec<Version>,
    /// Sizes of the whole network.
    pub before: Sizes,
    /// Sizes of the slimmed network.
    pub after: Sizes,
    /// The epochs of fine-tuning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finetuning: Vec<Epoch>,
    /// The file that was written and verified; absent in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// A version of the slimmed network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// `as planned`, `normalization re-estimated`, `fine-tuned`.
    pub name: String,
    /// Its score, and its cost compared with the whole network.
    #[serde(flatten)]
    pub lesion: LesionResult,
}

/// Sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// The number of blocks.
    pub blocks: usize,
    /// The number of trained values.
    pub parameters: u64,
    /// The size of its file in bytes. Both networks are written in the same format.
    pub bytes: u64,
    /// Multiply-adds of one sample times two.
    pub flops: u64,
    /// The time for a batch of one sample in milliseconds: the median over runs of both networks in turn, with half the
    /// interquartile range as `ci95`.
    pub latency_ms: Estimate,
}

/// Serializes floats of blocks, including those that are no JSON numbers.
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
