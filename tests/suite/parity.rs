//! Ten training steps against PyTorch's: `reference/parity.py` writes what is expected.

use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;
use unrolled::model::{Model, ModelConfig};
use unrolled::nn::{BATCH_NORM_MOMENTUM, ForwardContext, TrainingStep, cross_entropy};
use unrolled::train::{Optimizer, TrainConfig};

/// Largest relative error of a loss. The expected ones are f64; PyTorch's own f32 loses up to 4e-6 of them.
const TOLERANCE: f64 = 2e-5;

/// So that a file with fewer cases does not pass.
const CASES: usize = 25;
const STEPS: u64 = 10;

#[derive(Deserialize)]
struct Expected {
    input: [usize; 3],
    classes: usize,
    batch: usize,
    seed: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    model: ModelConfig,
    train: TrainConfig,
    losses: Vec<f64>,
}

#[test]
fn ten_steps_lose_what_pytorch_loses() {
    check(&Device::flex(), TOLERANCE);
}

/// Compares all cases as a device computes them.
pub(crate) fn check(device: &Device, tolerance: f64) {
    let expected: Expected = serde_json::from_str(include_str!("../goldens/parity.json")).unwrap();
    assert_eq!(expected.cases.len(), CASES);
    let mut failures = Vec::new();
    let mut worst = 0.0_f64;
    for case in &expected.cases {
        assert_eq!(case.losses.len() as u64, STEPS, "{}", case.name);
        for (step, (found, loss)) in losses(&expected, case, device).into_iter().zip(&case.losses).enumerate() {
            let error = (found / loss - 1.0).abs();
            worst = worst.max(error);
            if error.is_nan() || error > tolerance {
                failures.push(format!("{}: step {step}: {found}, expected {loss}: {error:.1e}", case.name));
            }
        }
    }
    println!("{CASES} cases, largest error {worst:.1e}");
    assert!(failures.is_empty(), "{} above {tolerance:e}:\n{}", failures.len(), failures.join("\n"));
}

fn losses(sample: &Expected, Case { model, train, .. }: &Case, device: &Device) -> Vec<f64> {
    let mut model = Model::new(model, sample.input, sample.classes, 0, device).unwrap();
    crate::draws::fill(&mut model.parameters, sample.seed);
    let mut optimizer = Optimizer::new(train, &model.parameters);
    let [channels, height, width] = sample.input;
    let shape = [sample.batch, channels, height, width];
    let step = |step| {
        let x = crate::draws::values(sample.seed, &format!("batch{step}.input"), &shape);
        let labels = crate::draws::labels(sample.seed, &format!("batch{step}.labels"), sample.batch, sample.classes);
        let leaves = model.parameters.require_grad();
        let x = Tensor::<4>::from_data(TensorData::new(x, shape), leaves.device());
        let mut training = TrainingStep::new(0, step);
        let logits = model.forward(&mut ForwardContext::training(&leaves, &mut training), x);
        let loss = cross_entropy(model.parameters.kernels(), logits, &labels, train.label_smoothing).mean;
        let gradient = leaves.gradient(&loss.backward());
        let values = optimizer.step(train, train.rate, model.parameters.flatten(), gradient);
        model.parameters.unflatten(&values);
        model.parameters.update_running_statistics(training.statistics, |_| BATCH_NORM_MOMENTUM);
        f64::from(loss.into_scalar::<f32>())
    };
    (0..STEPS).map(step).collect()
}
