//! Ten training steps against PyTorch's: `reference/parity.py` writes what is expected.

use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;
use unrolled::model::{Model, ModelConfig};
use unrolled::nn::{BATCH_NORM_MOMENTUM, ForwardContext, TrainingStep, cross_entropy};
use unrolled::ranks::Ranks;
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
    check("one process", TOLERANCE, |expected, case| losses(expected, case, &Device::flex(), &Ranks::default()));
}

/// With the statistics of normalization taken over the whole batch, several processes lose what one does.
#[test]
fn ten_steps_of_two_ranks_lose_what_pytorch_loses() {
    check("two ranks", TOLERANCE, |expected, case| {
        let mut found = crate::ranks::on_ranks(2, |ranks| losses(expected, case, &Device::flex(), ranks));
        assert!(found[0] == found[1], "{}: both ranks know the same losses", case.name);
        found.swap_remove(0)
    });
}

/// Compares all cases as a device computes them.
#[cfg(feature = "wgpu")]
pub(crate) fn check_device(device: &Device, tolerance: f64) {
    check("another device", tolerance, |expected, case| losses(expected, case, device, &Ranks::default()));
}

fn check(what: &str, tolerance: f64, losses: impl Fn(&Expected, &Case) -> Vec<f64>) {
    let expected: Expected = serde_json::from_str(include_str!("../goldens/parity.json")).unwrap();
    assert_eq!(expected.cases.len(), CASES);
    let mut failures = Vec::new();
    let mut worst = 0.0_f64;
    for case in &expected.cases {
        assert_eq!(case.losses.len() as u64, STEPS, "{}", case.name);
        for (step, (found, loss)) in losses(&expected, case).into_iter().zip(&case.losses).enumerate() {
            let error = (found / loss - 1.0).abs();
            worst = worst.max(error);
            if error.is_nan() || error > tolerance {
                failures.push(format!("{}: step {step}: {found}, expected {loss}: {error:.1e}", case.name));
            }
        }
    }
    println!("{what}: {CASES} cases, largest error {worst:.1e}");
    assert!(failures.is_empty(), "{} above {tolerance:e}:\n{}", failures.len(), failures.join("\n"));
}

/// The losses of ten steps whose batches the ranks share.
fn losses(sample: &Expected, Case { model, train, .. }: &Case, device: &Device, ranks: &Ranks) -> Vec<f64> {
    let mut model = Model::new(model, sample.input, sample.classes, 0, device).unwrap();
    crate::draws::fill(&mut model.parameters, sample.seed);
    let mut optimizer = Optimizer::new(train, &model.parameters);
    let [channels, height, width] = sample.input;
    let shape = [sample.batch, channels, height, width];
    let rank = |number: usize| sample.batch * number / ranks.size();
    let own = rank(ranks.rank())..rank(ranks.rank() + 1);
    let step = |step| {
        let x = crate::draws::values(sample.seed, &format!("batch{step}.input"), &shape);
        let labels = crate::draws::labels(sample.seed, &format!("batch{step}.labels"), sample.batch, sample.classes);
        let size = channels * height * width;
        let (x, labels) = (x[own.start * size..own.end * size].to_vec(), &labels[own.clone()]);
        let shape = [own.len(), channels, height, width];
        let leaves = model.parameters.require_grad();
        let x = Tensor::<4>::from_data(TensorData::new(x, shape), leaves.device());
        let mut training = TrainingStep::new(0, step).with_norm_ranks(ranks.clone());
        let logits = model.forward(&mut ForwardContext::training(&leaves, &mut training), x);
        let loss = cross_entropy(model.parameters.kernels(), logits, labels, train.label_smoothing);
        let mean = loss.stream_mean(sample.batch);
        let mut gradient = leaves.gradient(&mean.backward()).into_data().try_to_vec::<f32>().unwrap();
        ranks.sum(&mut gradient);
        let gradient = Tensor::from_floats(gradient.as_slice(), model.parameters.device());
        let values = optimizer.step(train, train.rate, model.parameters.flatten(), gradient);
        model.parameters.unflatten(&values);
        model.parameters.update_running_statistics(training.statistics, |_| BATCH_NORM_MOMENTUM);
        ranks.sum_f64([f64::from(mean.into_scalar::<f32>())])[0]
    };
    (0..STEPS).map(step).collect()
}
