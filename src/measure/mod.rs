//! Measurements of any [`Network`](crate::nn::Network): how its blocks refine one estimate, and what it costs to do
//! without them.
//!
//! Measuring has three steps. A [`Plan`] says what is to be observed: routes to follow, and probes that look at
//! activations. The samples pass through the network, which gives predictions along every route and the state of every
//! probe; both can be saved, continued and merged. An analysis, a pure function, makes results of them.
//!
//! Every measurement is one file here, and one line in [`REGISTRY`]. Nothing in this module names a kind of network, and
//! nothing prints.

mod ablation;
mod activations;
mod builder;
pub mod charts;
mod cka;
mod cost;
mod directory;
mod early_exit;
mod estimation;
mod eval_set;
mod evaluate;
#[cfg(test)]
pub(crate) mod example;
mod fitted;
mod gates;
mod gradients;
mod influence;
mod interval;
mod intervention;
mod iteration;
mod lesion;
mod mean_score;
mod measurement;
mod memory;
mod merge;
mod metric;
mod moments;
mod multi_lesion;
mod observations;
mod overview;
mod pair_lesion;
mod patches;
mod plan;
mod prediction;
mod probe;
mod progress;
mod readouts;
mod repeats;
mod results;
mod run;
mod sample_info;
mod sample_order;
mod score;
mod sentences;
mod shared_samples;
mod shuffle;
mod softmax;
mod store;
mod sweep;
mod theory;

pub(crate) use self::memory::{limit_cache, machine_memory};
pub use crate::data::Shard;
pub use ablation::{Ablation, BlockAblation};
pub use activations::{BatchOutputs, BlockView, StageActivations};
pub use builder::Measure;
pub use cka::{BlockSimilarity, Cka, CkaProbe};
pub use cost::Cost;
pub use early_exit::EarlyExit;
pub use estimation::{BlockEstimation, Estimation, EstimationProbe};
pub use eval_set::{EvalSet, samples};
pub use evaluate::{Baseline, evaluate, predict, predict_along, predicted_classes};
pub use fitted::ReadoutProbe;
pub use gates::{BlockGates, GateActivity, GateProbe, Gates};
pub use gradients::{GradientProbe, Gradients};
pub use influence::{BlockInfluence, BlockRun, Influence, InfluenceProbe, InfluenceResult};
pub use interval::mean;
pub use intervention::Intervention;
pub use iteration::{Iteration, IterationIndices};
pub use lesion::{Lesion, LesionResult, removable};
pub use measurement::{AnalysisInput, AnyMeasurement, Measurement, Presented, REGISTRY, Scope, named};
pub use merge::merge;
pub use metric::Metric;
pub use multi_lesion::{MultiLesion, RandomRemoval};
pub use overview::{compare_predictions, outline_table, report};
pub use pair_lesion::{BlockPair, PairLesion};
pub use patches::{BlockPatches, Patch, PatchProbe, Patches};
pub use plan::{Identity, Plan, PlannedMeasurement, VERSION};
pub use prediction::Prediction;
pub use probe::{AnyProbe, Probe};
pub use progress::Progress;
pub use readouts::{BlockReadouts, Readout, Readouts, ReadoutsResult};
pub use repeats::{RepeatedBlock, Repeats};
pub use results::{Measurements, Untrained};
pub use sample_info::SampleInfo;
pub use score::{Estimate, PerBlock, Score};
pub(crate) use sentences::counted;
pub(crate) use shared_samples::ranks_shard;
pub use shuffle::{Shuffle, ShuffledOrder, kendall_tau, rank_correlation};
pub use theory::{BlockTheory, OptimalGate, Theory, TheoryProbe};
