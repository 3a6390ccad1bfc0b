//! PyTorch's measurements of two trained ResNets against ours. Their weights and the images are no part of this
//! project: where they are not at hand, the test says so and passes. The same code is covered by `open.rs` and
//! `measures.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use unrolled::data::{DataSpec, Dataset, Normalization, ResizeCrop, Split};
use unrolled::measure::*;
use unrolled::nn::{BlockId, Network, Route};
use unrolled::open::{OpenOptions, OpenedModel};

/// Samples of which the reference was taken.
const LIMIT: usize = 2_000;
/// Answers that may differ: PyTorch sums in another order, and a few images lie on a border between two classes.
const SAMPLES: f64 = 2.0;
/// Relative for losses, absolute for the others, which are of the order of 1. The reference divides variances by n, we
/// by n - 1: of 2,000 samples that alone is 2.5e-4 of a deviation.
const TOLERANCE: f64 = 1e-3;

#[derive(Deserialize)]
struct Reference {
    all: Scored,
    baseline: Scored,
    lesion: BTreeMap<String, Scored>,
    estimation: BTreeMap<String, Errors>,
    influence: BTreeMap<String, ExpectedInfluence>,
    readout_last_stage: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Scored {
    accuracy: f64,
    loss: f64,
}

#[derive(Deserialize)]
struct Errors {
    mean: f64,
    std: f64,
    rms: f64,
    step_mean: Option<f64>,
}

#[derive(Deserialize)]
struct ExpectedInfluence {
    block_influence: f64,
    l2_ratio: f64,
}

use crate::common::{id, measured};

/// The folder of data and weights beside this project, if there is one.
fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let found = path.join("reference/resnet20.json").exists();
    if !found {
        println!("skipped: no reference weights beside the project");
    }
    found.then_some(path)
}

fn opened(shared: &Path, name: &str) -> (OpenedModel, Reference) {
    let weights = std::fs::read_dir(shared.join("weights/cifar-resnet")).unwrap().map(|entry| entry.unwrap().path());
    let path = weights.into_iter().find(|path| path.to_string_lossy().contains(&format!("{name}-"))).unwrap();
    let opened = OpenOptions::new().open_model(&path).unwrap();
    let text = std::fs::read_to_string(shared.join(format!("reference/{name}.json"))).unwrap();
    (opened, serde_json::from_str(&text).unwrap())
}

fn source(shared: &Path, opened: &OpenedModel, limit: usize) -> EvalSet {
    let spec: DataSpec = format!("cifar10:{}", shared.join("data/cifar10-bin").display()).parse().unwrap();
    let dataset = Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap().limit(limit);
    let normalization = Normalization { mean: opened.metadata.mean.clone(), std: opened.metadata.std.clone() };
    EvalSet::new(Arc::new(dataset), normalization, 250)
}

/// What differs by more than it may.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn accuracy(&mut self, what: &str, found: f64, expected: f64, samples: usize) {
        let apart = (found - expected).abs() * samples as f64;
        if apart.is_nan() || apart > SAMPLES * samples as f64 / LIMIT as f64 + 1e-6 {
            self.0.push(format!("{what}: accuracy {found}, expected {expected}: {apart} samples"));
        }
    }

    fn value(&mut self, what: &str, found: f64, expected: f64, scale: f64) {
        let apart = (found - expected).abs() / scale;
        if apart.is_nan() || apart > TOLERANCE {
            self.0.push(format!("{what}: {found}, expected {expected}"));
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

#[test]
fn resnet20_measures_what_pytorch_measures() {
    let Some(shared) = shared() else { return };
    let (opened, reference) = opened(&shared, "resnet20");
    let only = ["estimation", "lesion", "influence", "readouts"];
    let source = source(&shared, &opened, LIMIT);
    let measured = measured(&opened.model, &source, &only, 0);
    let mut differences = Differences::default();
    differences.accuracy("baseline", measured.baseline.accuracy, reference.baseline.accuracy, LIMIT);
    differences.value("baseline", measured.baseline.loss, reference.baseline.loss, reference.baseline.loss);
    let lesion = measured.require::<Lesion>().unwrap();
    assert_eq!(lesion.len(), reference.lesion.len());
    for (block, expected) in &reference.lesion {
        let score = lesion[&id(block)].score;
        differences.accuracy(block, score.accuracy, expected.accuracy, LIMIT);
        differences.value(block, score.loss, expected.loss, expected.loss);
    }
    let readouts = measured.require::<Readouts>().unwrap().readouts;
    for (block, &expected) in &reference.readout_last_stage {
        differences.accuracy(block, readouts[&id(block)].head.unwrap().score.accuracy, expected, LIMIT);
    }
    estimates(
        &mut differences,
        &reference,
        &measured.require::<Estimation>().unwrap(),
        &measured.require::<Influence>().unwrap().influence,
    );
    differences.none();
}

#[test]
fn resnet20_answers_all_images_as_pytorch_does() {
    let Some(shared) = shared() else { return };
    let (opened, reference) = opened(&shared, "resnet20");
    let score = unrolled::measure::evaluate(&opened.model, &source(&shared, &opened, 0), |_| ()).unwrap();
    let mut differences = Differences::default();
    differences.accuracy("all", score.accuracy, reference.all.accuracy, 10_000);
    differences.value("all", score.loss, reference.all.loss, reference.all.loss);
    differences.none();
}

/// All of its lesions take minutes: those of the last stage, which share the work of the first two, stand for them.
#[test]
fn resnet56_measures_what_pytorch_measures() {
    let Some(shared) = shared() else { return };
    let (opened, reference) = opened(&shared, "resnet56");
    let source = source(&shared, &opened, LIMIT);
    let measured = measured(&opened.model, &source, &["estimation", "influence"], 0);
    let mut differences = Differences::default();
    differences.accuracy("baseline", measured.baseline.accuracy, reference.baseline.accuracy, LIMIT);
    estimates(
        &mut differences,
        &reference,
        &measured.require::<Estimation>().unwrap(),
        &measured.require::<Influence>().unwrap().influence,
    );

    let outline = opened.model.outline();
    let lesions: Vec<BlockId> = removable(outline).into_iter().filter(|id| id.stage == 2).collect();
    let routes: Vec<Route> = lesions.iter().map(|&id| Route::identity(outline).without_block(id)).collect();
    let answers = predict_along(&opened.model, &source, &routes, |_| ()).unwrap();
    for (at, answers) in lesions.iter().zip(&answers) {
        let expected = &reference.lesion[&at.to_string()];
        let score = Score::of(answers);
        differences.accuracy(&at.to_string(), score.accuracy, expected.accuracy, LIMIT);
        differences.value(&at.to_string(), score.loss, expected.loss, expected.loss);
    }
    differences.none();
}

fn estimates(
    differences: &mut Differences,
    reference: &Reference,
    estimation: &PerBlock<BlockEstimation>,
    influence: &PerBlock<BlockInfluence>,
) {
    assert_eq!(estimation.len(), reference.estimation.len());
    for (block, expected) in &reference.estimation {
        let found = &estimation[&id(block)];
        differences.value(&format!("{block} mean"), found.mean, expected.mean, 1.0);
        differences.value(&format!("{block} std"), found.std, expected.std, 1.0);
        differences.value(&format!("{block} rms"), found.rms, expected.rms, 1.0);
        // The reference has none for the first block of the first stage, whose input it did not keep.
        if let (Some(found), Some(expected)) = (found.step_mean, expected.step_mean) {
            differences.value(&format!("{block} step"), found, expected, 1.0);
        }
    }
    assert_eq!(influence.len(), reference.influence.len());
    for (block, expected) in &reference.influence {
        let found = &influence[&id(block)];
        differences.value(&format!("{block} influence"), found.block_influence.value, expected.block_influence, 1.0);
        differences.value(&format!("{block} l2 ratio"), found.l2_ratio.value, expected.l2_ratio, 1.0);
    }
}
