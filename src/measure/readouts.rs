//! Read-outs: what the network would predict if it stopped after a block (nostalgebraist 2020; Belrose et al. 2023; Lippl
//! et al. 2021).

mod present;

use serde::{Deserialize, Serialize};

use super::activations::{BatchOutputs, BlockView};
use super::cost::{Cost, channel_bytes};
use super::early_exit::{EarlyExit, early_exit};
use super::fitted::{self, Fits, ReadoutProbe};
use super::interval::{position_mean, share};
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::probe::Probe;
use super::score::{Estimate, PerBlock, Score};
use super::{Intervention, Prediction};
use crate::float_json;
use crate::nn::{BlockId, Route};
use crate::report::Section;

/// What can be read out after every block, and early exit where a fitted read-out is confident.
pub struct Readouts;

/// Read-outs of all blocks, and early exits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadoutsResult {
    /// What can be read out after every block.
    pub readouts: PerBlock<BlockReadouts>,
    /// Samples that leave the network at the first block whose read-out is confident enough; absent where nothing is fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_exit: Option<Vec<EarlyExit>>,
}

/// What can be read out after one block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockReadouts {
    /// The network's own head, where it fits: after the blocks of the last stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Readout>,
    /// A linear classifier of the channels' averages, fitted to the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear: Option<Readout>,
    /// The same, fitted to the network's own output by its Kullback-Leibler divergence (Belrose et al. 2023).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuned: Option<Readout>,
}

/// One read-out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Readout {
    /// How well it answers.
    #[serde(flatten)]
    pub score: Score,
    /// Share of samples for which it says what the whole network says.
    #[serde(rename = "agreement_fraction", alias = "agreement")]
    pub agreement: Estimate,
    /// Kullback-Leibler divergence from the whole network's output, nats.
    pub kl_nats: Estimate,
    /// Share of samples for which this read-out and all later ones of its sort say what the whole network says.
    #[serde(rename = "settled_fraction", alias = "settled", with = "float_json")]
    pub settled: f64,
}

/// The blocks after which the network's own head can read: those of the last stage.
fn head_blocks(scope: &Scope) -> Vec<BlockId> {
    scope.outline.stages.last().map_or(Vec::new(), |stage| stage.blocks.iter().map(|block| block.id).collect())
}

impl Measurement for Readouts {
    type Output = ReadoutsResult;
    type Probe = ReadoutProbe;

    const NAME: &'static str = "readouts";
    const ABOUT: &'static str = "What the network would answer if it stopped after a block";
    const KEYS: &'static [&'static str] = &["readouts", "early_exit"];

    fn routes(&self, scope: &Scope) -> Vec<(Intervention, Route)> {
        let whole = Route::identity(&scope.outline);
        head_blocks(scope).into_iter().map(|id| (Intervention::None, whole.truncated_after(id))).collect()
    }

    fn probe(&self, scope: &Scope) -> Option<ReadoutProbe> {
        fitted::is_fitted(&scope.outline).then(|| ReadoutProbe::new(&scope.outline))
    }

    fn cost(&self, scope: &Scope) -> Cost {
        let kept = channel_bytes(&scope.outline, scope.samples);
        Cost { analysis: fitted::work(scope), kept, ..Cost::of_probe(&scope.outline, |_, _| 50) }
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<ReadoutProbe>) -> ReadoutsResult {
        let mut result = ReadoutsResult::default();
        if let Some(Fits { whole, linear, tuned }) =
            observed.probe.as_ref().and_then(|probe| probe.fit(scope, observed.baseline))
        {
            let exits = [("linear", &linear), ("tuned", &tuned)].into_iter();
            let exits = exits.flat_map(|(name, fit)| early_exit(name, fit, &whole, &scope.outline));
            result.early_exit = Some(exits.collect());
            let fitted = readouts(&whole, &slices(&linear)).into_iter().zip(readouts(&whole, &slices(&tuned)));
            for ((id, _), (linear, tuned)) in scope.outline.blocks().zip(fitted) {
                let (linear, tuned) = (Some(linear), Some(tuned));
                result.readouts.insert(id, BlockReadouts { head: None, linear, tuned });
            }
        }
        let heads = readouts(observed.baseline, &observed.predictions);
        for (id, readout) in head_blocks(scope).into_iter().zip(heads) {
            result.readouts.entry(id).or_default().head = Some(readout);
        }
        result
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        present::section(networks)
    }
}

impl Probe for ReadoutProbe {
    fn block(&mut self, block: &BlockView) {
        self.add_block(block);
    }

    fn batch(&mut self, outputs: &BatchOutputs) {
        self.add_outputs(outputs);
    }

    fn merge(&mut self, other: Self) {
        self.add_all(other);
    }
}

fn slices(predictions: &[Vec<Prediction>]) -> Vec<&[Prediction]> {
    predictions.iter().map(Vec::as_slice).collect()
}

/// Returns the figures of successive read-outs of one kind, from the predictions of each.
fn readouts(whole: &[Prediction], predictions: &[&[Prediction]]) -> Vec<Readout> {
    let mut settled = vec![true; whole.len()];
    let mut found: Vec<Readout> = Vec::new();
    for predictions in predictions.iter().rev() {
        let agrees: Vec<bool> = predictions.iter().map(|p| p.agreement == 1.0).collect();
        settled.iter_mut().zip(&agrees).for_each(|(settled, agrees)| *settled &= agrees);
        found.push(Readout {
            score: Score::of(predictions),
            agreement: share(predictions.iter().map(|p| (p, p.agreement))),
            kl_nats: position_mean(predictions.iter().map(|p| (p, p.kl))),
            settled: settled.iter().filter(|settled| **settled).count() as f64 / settled.len() as f64,
        });
    }
    found.reverse();
    found
}
