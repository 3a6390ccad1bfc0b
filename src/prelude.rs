//! What most programs need: `use unrolled::prelude::*`.

pub use crate::data::{DataSpec, Dataset, Normalization, Split};
pub use crate::kernel::Backend;
pub use crate::measure::{
    Ablation, AnalysisInput, AnyMeasurement, Cka, Estimate, Estimation, EvalSet, Gates, Gradients, Influence,
    Intervention, Iteration, Lesion, Measure, Measurement, Measurements, MultiLesion, PairLesion, Patches, PerBlock,
    Prediction, Presented, Probe, Progress, Readouts, Repeats, Scope, Score, Shard, Shuffle, Theory, merge, predict,
    predict_along,
};
pub use crate::model::{Model, ModelConfig, ModelKind};
pub use crate::nn::{
    Answer, AnswerKind, BlockActivations, BlockId, BlockOutline, Logits, Network, Outline, RecurrentState, Route,
    Samples, Shortcut, StageOutline, Wiring,
};
pub use crate::open::{AnyNetwork, EvalSetOptions, OpenOptions};
pub use crate::report::{Report, Section};
pub use crate::slim::{Criterion, Goal, Slim};
pub use crate::train::{Experiment, Trainer};
pub use crate::{Error, Result};
