//! Forward and backward passes against PyTorch's: `reference/goldens.py` writes what is expected.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData, activation};
use safetensors::SafeTensors;
use serde::Deserialize;
use unrolled::model::{Model, ModelConfig};
use unrolled::nn::{BATCH_NORM_MOMENTUM, BlockId, ForwardContext, Network, RecurrentState, Samples, TrainingStep};

/// Largest error allowed, relative to the array's largest magnitude. Expected values come from f64; `goldens.py` passes
/// over seeds at which PyTorch's f32 loses more than 4e-6 of them, and the sums of normalizations' gradients, which
/// nearly cancel, lose up to 1.4e-5 here. A wrong sign, bias or statistic moves some array by more than 1e-2.
const TOLERANCE: f64 = 3e-5;

/// So that a file with fewer cases does not pass: all of them, and those with a training pass.
const CASES: usize = 166;
const TRAINED: usize = 141;

#[derive(Deserialize)]
struct Case {
    name: String,
    config: ModelConfig,
    input: [usize; 3],
    batch: usize,
    classes: usize,
    training: bool,
    seed: u64,
}

/// Arrays of one sort by name.
type Arrays = BTreeMap<String, Vec<f32>>;

#[test]
fn networks_compute_what_pytorch_computes() {
    check(&Device::flex(), TOLERANCE);
}

/// Compares all cases as a device computes them.
pub(crate) fn check(device: &Device, tolerance: f64) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/networks.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&header.metadata().as_ref().unwrap()["cases"]).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(cases.len(), CASES);
    assert_eq!(cases.iter().filter(|case| case.training).count(), TRAINED);

    let mut compared = 0;
    let mut worst = 0.0_f64;
    let mut failures = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        for (sort, arrays) in run(case, device, tolerance) {
            compared += 1;
            let expected = file.tensor(&format!("{number}.{sort}")).unwrap();
            let expected: Vec<f32> =
                expected.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            let found: usize = arrays.values().map(Vec::len).sum();
            if found != expected.len() {
                failures.push(format!("{}: {sort}: {found} values, expected {}", case.name, expected.len()));
                continue;
            }
            let mut rest = expected.as_slice();
            for (name, values) in arrays {
                let (expected, after) = rest.split_at(values.len());
                rest = after;
                let error = error(&values, expected);
                worst = worst.max(error);
                if error > tolerance {
                    failures.push(format!("{}: {sort}: {name}: {error:.1e}", case.name));
                }
            }
        }
    }
    assert_eq!(compared, file.len(), "arrays of the file that no case compared");
    println!("{CASES} cases, largest error {worst:.1e}");
    assert!(failures.is_empty(), "{} above {tolerance:e}:\n{}", failures.len(), failures.join("\n"));
}

/// The largest error relative to the largest magnitude; infinite for what is no number.
fn error(found: &[f32], expected: &[f32]) -> f64 {
    let largest = expected.iter().fold(0.0_f32, |largest, e| largest.max(e.abs()));
    let errors = found.iter().zip(expected).map(|(f, e)| f64::from((f - e).abs()) / f64::from(largest));
    errors.fold(0.0, |worst, error| if error.is_finite() { worst.max(error) } else { f64::INFINITY })
}

/// Everything that the file has of a case, computed here.
fn run(case: &Case, device: &Device, tolerance: f64) -> BTreeMap<&'static str, Arrays> {
    let mut model = Model::new(&case.config, case.input, case.classes, 0, device).unwrap();
    crate::draws::fill(&mut model.parameters, case.seed);
    let [channels, height, width] = case.input;
    let shape = [case.batch, channels, height, width];
    let values = crate::draws::values(case.seed, "input", &shape);

    let plain = TensorData::new(values.clone(), shape);
    let logits = model.forward(&mut ForwardContext::inference(&model.parameters), Tensor::from_data(plain, device));
    let line = to_vec(logits);
    let walked = walk(&model, Samples { values: values.clone(), shape });
    // Elsewhere operations are fused as far as nobody reads in between, and rounded otherwise.
    let is_same = if *device == Device::flex() { line == walked } else { error(&walked, &line) <= tolerance };
    assert!(is_same, "{}: block by block", case.name);
    let mut sorts = BTreeMap::from([("inference", Arrays::from([("logits".into(), line)]))]);
    if case.training {
        train(case, &model, TensorData::new(values, shape), &mut sorts);
    }
    sorts
}

/// The logits along the parts that measuring uses.
fn walk(model: &Model, samples: Samples) -> Vec<f32> {
    let mut estimate = model.stem(&samples).unwrap();
    for (stage, outline) in model.outline().stages.iter().enumerate() {
        estimate = model.enter_stage(stage, estimate).unwrap();
        for block in 0..outline.blocks.len() {
            estimate = model.block(BlockId { stage, block }, estimate).unwrap();
        }
    }
    model.head(estimate, &mut RecurrentState::default()).unwrap().values
}

fn train(case: &Case, model: &Model, x: TensorData, sorts: &mut BTreeMap<&'static str, Arrays>) {
    let leaves = model.parameters.require_grad();
    let x = Tensor::<4>::from_data(x, leaves.device()).require_grad();
    let mut training = TrainingStep::new(0, 0);
    let logits = model.forward(&mut ForwardContext::training(&leaves, &mut training), x.clone());
    let labels = crate::draws::labels(case.seed, "labels", case.batch, case.classes);
    let gradients = cross_entropy(logits.clone(), &labels).backward();

    let input = to_vec(x.grad(&gradients).expect("gradient of the input"));
    let trained = leaves.iter().filter(|(_, p)| p.is_trainable()).map(|(_, p)| {
        let gradient = p.value.grad(&gradients).unwrap_or_else(|| panic!("{}: {}: no gradient", case.name, p.name));
        (p.name.clone(), to_vec(gradient))
    });
    sorts.insert("gradients", trained.collect());
    sorts.insert("training", [("logits".into(), to_vec(logits.inner())), ("input".into(), input)].into());
    let kept = training.statistics.len();
    let ids: Vec<_> = training.statistics.iter().map(|(id, _)| *id).collect();
    let mut after = model.parameters.clone();
    after.update_running_statistics(training.statistics, |_| BATCH_NORM_MOMENTUM);
    let statistics: Arrays = ids.into_iter().map(|id| (after.get(id).name.clone(), after.get(id).to_vec())).collect();
    let distinct = statistics.len();
    assert_eq!(kept, distinct, "{}: statistics that were kept twice", case.name);
    assert_eq!(distinct, leaves.iter().filter(|(_, p)| !p.is_trainable()).count(), "{}: statistics", case.name);
    if distinct > 0 {
        sorts.insert("statistics", statistics);
    }
}

fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn cross_entropy(logits: Tensor<2>, labels: &[u32]) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let mut target = vec![0.0_f32; batch * classes];
    for (row, &label) in target.chunks_exact_mut(classes).zip(labels) {
        row[label as usize] = -1.0 / batch as f32;
    }
    let target = Tensor::<2>::from_data(TensorData::new(target, [batch, classes]), &logits.device());
    (activation::log_softmax(logits, 1) * target).sum()
}
