//! Measurements against a direct computation from the network's own estimates, and routes.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use unrolled::data::{DataSpec, Dataset, ResizeCrop, Split};
use unrolled::kernel::{FeatureMap, Kernels};
use unrolled::measure::*;
use unrolled::model::{Epoch, Model, ModelConfig, ModelKind};
use unrolled::nn::{BlockId, Network, RecurrentState, Route, Samples, Wiring, cross_entropy};
use unrolled::random;

use crate::common::{id, measured, predictions};

fn digits(samples: usize) -> EvalSet {
    let spec: DataSpec = "digits".parse().unwrap();
    let dataset = Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap().limit(samples);
    let normalization = dataset.normalization();
    EvalSet::new(Arc::new(dataset), normalization, 16)
}

fn mlp(wiring: Wiring) -> Model {
    let config = ModelConfig::new(ModelKind::Mlp).with_depth(6).with_width(8).with_wiring(wiring);
    Model::new(&config, [1, 8, 8], 10, 3, &Device::flex()).unwrap()
}

fn resnet(wiring: Wiring) -> Model {
    let config = ModelConfig::new(ModelKind::Resnet).with_depth(14).with_width(4).with_wiring(wiring);
    Model::new(&config, [1, 8, 8], 10, 3, &Device::flex()).unwrap()
}

/// All estimates of every stage, `[stage][block][sample][unit]`.
fn estimates(model: &Model, source: &EvalSet) -> Vec<Vec<Vec<Vec<f32>>>> {
    let mut all: Vec<Vec<Vec<Vec<f32>>>> =
        model.outline().stages.iter().map(|s| vec![Vec::new(); s.blocks.len()]).collect();
    for batch in source.batches().unwrap() {
        let batch = batch.unwrap();
        let count = batch.labels.len();
        let mut estimate = model.stem(&Samples { values: batch.images, shape: batch.shape }).unwrap();
        for (s, stage) in all.iter_mut().enumerate() {
            estimate = model.enter_stage(s, estimate).unwrap();
            for (b, kept) in stage.iter_mut().enumerate() {
                estimate = model.block(BlockId { stage: s, block: b }, estimate).unwrap();
                let (values, _) = model.values(&estimate);
                kept.extend(values.chunks_exact(values.len() / count).map(<[f32]>::to_vec));
            }
        }
    }
    all
}

/// Sums in another order differ by rounding of f64 only.
const EXACT: f64 = 1e-9;

/// The standard deviation over the samples of the sum of the steps after the first of some estimates `[block][sample][unit]`, averaged
/// over the units, as it is in the mean over all ways to take every step from any sample.
fn std_of_shuffled_steps(estimates: &[Vec<Vec<f32>>]) -> f64 {
    let (samples, units) = (estimates[0].len(), estimates[0][0].len());
    let of_unit = |unit: usize| {
        let variances = estimates.windows(2).map(|pair| {
            let steps = (0..samples).map(|i| f64::from(pair[1][i][unit]) - f64::from(pair[0][i][unit]));
            let steps: Vec<f64> = steps.collect();
            let mean = steps.iter().sum::<f64>() / samples as f64;
            steps.iter().map(|step| (step - mean).powi(2)).sum::<f64>() / (samples - 1) as f64
        });
        variances.sum::<f64>().sqrt()
    };
    (0..units).map(of_unit).sum::<f64>() / units as f64
}

#[test]
fn the_estimation_error_is_that_of_its_definition() {
    let source = digits(50);
    for model in [resnet(Wiring::Residual), mlp(Wiring::Highway)] {
        let measured = measured(&model, &source, &["estimation"], 0);
        let estimation = measured.require::<Estimation>().unwrap();
        let all = estimates(&model, &source);
        let mut compared = 0;
        for (s, stage) in all.iter().enumerate() {
            let target = &stage[stage.len() - 1];
            for (b, estimate) in stage.iter().enumerate() {
                let units = target[0].len();
                let n = target.len() as f64;
                let (mut mean, mut std) = (0.0, 0.0);
                for unit in 0..units {
                    let errors: Vec<f64> =
                        (0..target.len()).map(|i| f64::from(estimate[i][unit]) - f64::from(target[i][unit])).collect();
                    let m = errors.iter().sum::<f64>() / n;
                    mean += m / units as f64;
                    std += (errors.iter().map(|e| (e - m).powi(2)).sum::<f64>() / (n - 1.0)).sqrt() / units as f64;
                }
                let ours = &estimation[&BlockId { stage: s, block: b }];
                assert!((ours.mean - mean).abs() < EXACT, "{s} {b}: {} {mean}", ours.mean);
                assert!((ours.std - std).abs() < EXACT, "{s} {b}: {} {std}", ours.std);
                compared += 1;
            }
            let name = |b| BlockId { stage: s, block: b };
            let step = estimation[&name(1)].step_mean.unwrap();
            assert!((step - (estimation[&name(1)].mean - estimation[&name(0)].mean)).abs() < EXACT);
            assert_eq!(estimation[&name(stage.len() - 1)].rms, 0.0);
            for b in 0..stage.len() {
                let ours = &estimation[&name(b)];
                let expected = (b + 2 < stage.len()).then(|| std_of_shuffled_steps(&stage[b..]));
                assert_eq!(ours.shuffled_std.is_some(), expected.is_some(), "{s} {b}");
                for (ours, expected) in ours.shuffled_std.into_iter().zip(expected) {
                    assert!((ours - expected).abs() < EXACT, "{s} {b}: {ours} {expected}");
                }
            }
        }
        assert_eq!(compared, estimation.len());
    }
}

#[test]
fn a_lesion_is_the_network_without_the_block() {
    let source = digits(40);
    let model = resnet(Wiring::Highway);
    let measured = measured(&model, &source, &[], 0);
    let lesion = measured.require::<Lesion>().unwrap();
    assert_eq!(lesion.len(), 6);
    let route = Route::parse("1-2 / 2 / 1-2", model.outline()).unwrap();
    let routes = [route.clone(), Route::identity(model.outline())];
    let answers = predict_along(&model, &source, &routes, |_| ()).unwrap();
    let loss = |i: usize| answers[i].iter().map(|a| a.loss).sum::<f64>() / 40.0;
    assert!((lesion[&id("stage2.block1")].score.loss - loss(0)).abs() < EXACT);
    assert!((measured.baseline.loss - loss(1)).abs() < EXACT);
    assert!((lesion[&id("stage2.block1")].loss_cost.value - (loss(0) - loss(1))).abs() < EXACT);
    assert!(route.steps().len() == Route::identity(model.outline()).steps().len());
}

#[test]
fn gates_lie_between_0_and_1_and_their_histogram_sums_to_1() {
    let gates = measured(&mlp(Wiring::Full), &digits(30), &["gates"], 0).require::<Gates>().unwrap();
    assert_eq!(gates.len(), 5);
    for block in gates.values() {
        let (t, c) = (block.transform.as_ref().unwrap(), block.carry.as_ref().unwrap());
        // The gate bias starts at -1 for T and 1 for C.
        assert!(t.mean.value < 0.5 && c.mean.value > 0.5, "{} {}", t.mean.value, c.mean.value);
        assert!((t.histogram.iter().sum::<f64>() - 1.0).abs() < EXACT);
        assert!((0.0..1.0).contains(&t.sparsity_per_sample) && t.channels.len() == 8);
    }
    assert!(measured(&mlp(Wiring::Plain), &digits(30), &["gates"], 0).get::<Gates>().unwrap().is_none());
}

#[test]
fn shuffles_keep_the_blocks_that_change_the_shape_first() {
    let model = resnet(Wiring::Residual);
    let measured = measured(&model, &digits(20), &["shuffle"], 1);
    for shuffle in measured.require::<Shuffle>().unwrap() {
        let route = Route::parse(&shuffle.route, model.outline()).unwrap();
        assert_eq!(route.stages()[1][0], 0);
        assert_eq!(kendall_tau(&route), shuffle.kendall_tau);
        assert!(shuffle.kendall_tau <= 1.0);
    }
    let reversed = Route::parse("5,4,3,2,1", mlp(Wiring::Residual).outline()).unwrap();
    assert_eq!(kendall_tau(&reversed), -1.0);
}

#[test]
fn a_route_is_read_as_it_is_printed_and_bad_ones_are_named() {
    let resnet = resnet(Wiring::Residual);
    for text in ["1-2 / 1-2 / 1-2", "2,1 / 1,2,2 / -", "- / 2 / 1"] {
        let route = Route::parse(text, resnet.outline()).unwrap();
        assert_eq!(Route::parse(&route.to_string(), resnet.outline()).unwrap(), route);
    }
    let wrong = [
        ("1-2 / 1-2", "route: '1-2 / 1-2' has 2 stages, the network has 3"),
        ("1-3 / 1 / 1", "route: stage1: '1-3': the blocks of this stage are 1-2"),
        ("1 / 2,1 / 1", "route: stage2: block1 changes the shape"),
        ("1 / x / 1", "route: stage2: 'x' is not a block number"),
    ];
    for (text, message) in wrong {
        let error = Route::parse(text, resnet.outline()).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn a_plain_block_that_changes_the_shape_stays() {
    let model = resnet(Wiring::Plain);
    let measured = measured(&model, &digits(20), &["lesion"], 0);
    let lesions = measured.require::<Lesion>().unwrap();
    let names: Vec<String> = lesions.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["stage1.block1", "stage1.block2", "stage2.block2", "stage3.block2"]);
    let route = Route::parse("1-2 / 2 / 1-2", model.outline()).unwrap();
    let error = predict_along(&model, &digits(4), &[route], |_| ()).unwrap_err().to_string();
    assert!(error.starts_with("stage2.block1: cannot be left out"), "{error}");
}

/// The recursion of an earlier version overflowed its stack at this depth.
#[test]
fn a_very_deep_network_can_be_lesioned() {
    let config = ModelConfig::new(ModelKind::Mlp).with_depth(3000).with_width(2).with_wiring(Wiring::Residual);
    let model = Model::new(&config, [1, 8, 8], 10, 3, &Device::flex()).unwrap();
    let outline = model.outline();
    let routes: Vec<Route> =
        (0..2999).step_by(7).map(|block| Route::identity(outline).without_block(BlockId { stage: 0, block })).collect();
    assert_eq!(predict_along(&model, &digits(2), &routes, |_| ()).unwrap().len(), 429);
}

/// All values of a block that can be seen, `[block][sample][unit]`, for the one stage of an MLP.
struct Line {
    estimates: Vec<Vec<Vec<f32>>>,
    h: Vec<Vec<Vec<f32>>>,
    gates: Vec<Vec<Vec<f32>>>,
}

fn line(model: &Model, source: &EvalSet) -> Line {
    let blocks = model.outline().stages[0].blocks.len();
    let empty = || vec![Vec::new(); blocks];
    let mut line = Line { estimates: vec![Vec::new(); blocks + 1], h: empty(), gates: empty() };
    for batch in source.batches().unwrap() {
        let batch = batch.unwrap();
        let keep = |kept: &mut Vec<Vec<f32>>, values: Vec<f32>| {
            kept.extend(values.chunks_exact(values.len() / batch.labels.len()).map(<[f32]>::to_vec));
        };
        let mut estimate = model.stem(&Samples { values: batch.images.clone(), shape: batch.shape }).unwrap();
        estimate = model.enter_stage(0, estimate).unwrap();
        keep(&mut line.estimates[0], model.values(&estimate).0);
        for block in 0..blocks {
            let inside = model.block_activations(BlockId { stage: 0, block }, estimate).unwrap();
            keep(&mut line.h[block], model.values(&inside.h).0);
            if let Some(gate) = &inside.transform {
                keep(&mut line.gates[block], model.values(gate).0);
            }
            keep(&mut line.estimates[block + 1], model.values(&inside.estimate).0);
            estimate = inside.estimate;
        }
    }
    line
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    values.sum::<f64>() / n
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let m = mean(values.clone());
    let n = values.clone().count() as f64;
    values.map(|v| (v - m) * (v - m)).sum::<f64>() / (n - 1.0)
}

/// The probes add in another order, and take roots of variances and square them again.
const CLOSE: f64 = 1e-6;

#[test]
fn influence_is_that_of_its_definition() {
    let (model, source) = (mlp(Wiring::Highway), digits(50));
    let measured = measured(&model, &source, &["influence"], 0);
    let line = line(&model, &source);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let cosine = |a: &[f32], b: &[f32]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let a = &line.estimates;
    let influence = measured.require::<Influence>().unwrap().influence;
    assert_eq!(influence.len(), 5);
    for (k, found) in influence.values().enumerate() {
        let turned = mean((0..50).map(|n| 1.0 - cosine(&a[k][n], &a[k + 1][n])));
        assert!((found.block_influence.value - turned).abs() < CLOSE, "{k}: {found:?} {turned}");
        // A highway block is y = x + T·(h - x): the residual is also the step.
        let size = mean((0..50).map(|n| {
            let step: Vec<f32> = a[k + 1][n].iter().zip(&a[k][n]).map(|(y, x)| y - x).collect();
            (dot(&step, &step) / dot(&a[k][n], &a[k][n])).sqrt()
        }));
        assert!((found.l2_ratio.value - size).abs() < CLOSE, "{k}: {found:?} {size}");
    }
    let runs = measured.require::<Influence>().unwrap().runs;
    assert_eq!(runs.len(), 15);
    let run = runs.iter().find(|run| run.first == id("stage1.block2") && run.blocks == 3).unwrap();
    let angle = mean((0..50).map(|n| cosine(&a[1][n], &a[4][n]).acos() / std::f64::consts::PI));
    assert_eq!(run.last, id("stage1.block4"));
    assert!((run.angular_distance.value - angle).abs() < CLOSE, "{run:?} {angle}");
}

#[test]
fn the_theory_is_that_of_its_equations() {
    let (model, source) = (mlp(Wiring::Highway), digits(60));
    let theory = measured(&model, &source, &["theory"], 0).require::<Theory>().unwrap();
    let line = line(&model, &source);
    let target = line.estimates.last().unwrap();
    let of = |values: &[Vec<f32>], unit: usize| -> Vec<f64> { values.iter().map(|v| f64::from(v[unit])).collect() };
    for (k, found) in theory.values().enumerate() {
        let (mut falls, mut bias, mut spread, mut optimal, mut learned) = (0.0, 0.0, 0.0, Vec::new(), Vec::new());
        for unit in 0..8 {
            let (a, y, h, target) = (
                of(&line.estimates[k], unit),
                of(&line.estimates[k + 1], unit),
                of(&line.h[k], unit),
                of(target, unit),
            );
            let error = |v: &[f64]| -> Vec<f64> { v.iter().zip(&target).map(|(v, t)| v - t).collect() };
            let (old, new, after) = (error(&a), error(&h), error(&y));
            falls += f64::from(u8::from(variance(after.iter().copied()) < variance(old.iter().copied()))) / 8.0;
            let step: Vec<f64> = y.iter().zip(&a).map(|(y, a)| y - a).collect();
            let of_step = variance(step.iter().copied());
            bias += mean(step.iter().copied()).powi(2) - of_step / 60.0;
            spread += of_step;
            // Eqs. 10 and 11, with the covariance.
            let (m, o) = (mean(old.iter().copied()), mean(new.iter().copied()));
            let covariance = old.iter().zip(&new).map(|(e, g)| (e - m) * (g - o)).sum::<f64>() / 59.0;
            let (alpha1, alpha2) =
                (variance(old.iter().copied()) - covariance, variance(new.iter().copied()) - covariance);
            optimal.push(alpha1 / (alpha1 + alpha2));
            learned.push(mean(of(&line.gates[k], unit).into_iter()));
        }
        assert!((found.variance_falls_share - falls).abs() < CLOSE, "{k}: {found:?} {falls}");
        let expected = (bias.max(0.0) / spread).sqrt();
        assert!((found.step_bias_over_std - expected).abs() < 1e-4, "{k}: {found:?} {expected}");
        // Nothing follows the sum, so that the step is the residual.
        assert!((found.residual_bias_over_std - expected).abs() < 1e-4, "{k}: {found:?} {expected}");
        if k + 1 == theory.len() {
            assert_eq!(found.gate, None, "the target of the last block is its own output");
            continue;
        }
        let gate = found.gate.unwrap();
        let count = optimal.len() as f64;
        let holding = |holds: &dyn Fn(f64, f64) -> bool| {
            optimal.iter().zip(&learned).filter(|(optimal, learned)| holds(**optimal, **learned)).count() as f64 / count
        };
        assert!((gate.optimal_gate - mean(optimal.iter().copied())).abs() < 1e-4, "{k}: {gate:?} {optimal:?}");
        assert!((gate.learned_gate - mean(learned.iter().copied())).abs() < CLOSE, "{k}: {gate:?}");
        assert!((gate.variance_bound_share - holding(&|t, learned| learned <= 2.0 * t)).abs() < CLOSE, "{k}: {gate:?}");
        assert!((gate.optimal_gate_outside_share - holding(&|t, _| !(0.0..=1.0).contains(&t))).abs() < CLOSE, "{k}");
    }
}

#[test]
fn read_outs_end_at_the_networks_output() {
    let (model, source) = (resnet(Wiring::Residual), digits(40));
    let measured = measured(&model, &source, &["readouts"], 0);
    let readouts = measured.require::<Readouts>().unwrap().readouts;
    assert_eq!(readouts.len(), 6);
    assert!(readouts[&id("stage2.block2")].head.is_none());
    let last = readouts[&id("stage3.block2")].head.unwrap();
    assert_eq!((last.score, last.kl_nats.value, last.agreement.value), (measured.baseline, 0.0, 1.0));
    let early = readouts[&id("stage3.block1")].head.unwrap();
    let route = Route::parse("1-2 / 1-2 / 1", model.outline()).unwrap();
    let answers = predict_along(&model, &source, &[route], |_| ()).unwrap();
    assert!((early.score.loss - mean(answers[0].iter().map(|a| a.loss))).abs() < EXACT);
    assert!((early.kl_nats.value - mean(answers[0].iter().map(|a| a.kl))).abs() < EXACT);
    assert!(early.settled <= early.agreement.value && readouts[&id("stage1.block1")].linear.is_some());
}

#[test]
fn blocks_left_out_together_are_routes() {
    let (model, source) = (mlp(Wiring::Residual), digits(30));
    let only = ["pairs", "several", "repeats", "lesion"];
    let measured = measured(&model, &source, &only, 2);
    let loss = |text: &str| {
        let route = Route::parse(text, model.outline()).unwrap();
        let answers = predict_along(&model, &source, &[route], |_| ()).unwrap();
        mean(answers[0].iter().map(|a| a.loss))
    };
    let pairs = measured.require::<PairLesion>().unwrap();
    assert_eq!(pairs.len(), 10);
    let pair =
        pairs.iter().find(|pair| pair.first == id("stage1.block2") && pair.second == id("stage1.block4")).unwrap();
    let beyond = loss("1,3,5") + loss("1-5") - loss("1,3-5") - loss("1-3,5");
    assert!((pair.interaction_loss.value - beyond).abs() < EXACT, "{pair:?} {beyond}");
    let repeat = &measured.require::<Repeats>().unwrap()[1];
    assert_eq!((repeat.block, repeat.times), (id("stage1.block5"), 2));
    assert!((repeat.score.loss - loss("1-5,5,5")).abs() < EXACT);
    for several in measured.require::<MultiLesion>().unwrap() {
        assert!((several.score.loss - loss(&several.route)).abs() < EXACT);
        let left = Route::parse(&several.route, model.outline()).unwrap().stages()[0].len();
        assert_eq!(left, 5 - several.removed);
    }
}

/// The gradient by autodiff against a step along it: `L(a + εg) - L(a - εg) = 2ε·‖g‖²` for small steps.
#[test]
fn gradients_reach_every_block() {
    let (model, source) = (resnet(Wiring::Residual), digits(16));
    let batch = source.batches().unwrap().next().unwrap().unwrap();
    let stem = model.stem(&Samples { values: batch.images, shape: batch.shape }).unwrap();
    let start = model.enter_stage(0, stem).unwrap();
    let steps = &Route::identity(model.outline()).steps()[1..];
    let head = |start: FeatureMap| {
        model
            .head(steps.iter().fold(start, |a, &step| model.step(step, a).unwrap()), &mut RecurrentState::default())
            .unwrap()
            .values
    };
    // Each sample's loss counts by the length of its gradient at the outputs, softmax minus label.
    let lengths: Vec<f64> = head(start.clone())
        .chunks_exact(10)
        .zip(&batch.labels)
        .map(|(row, &label)| {
            let sum: f64 = row.iter().map(|&z| f64::from(z).exp()).sum();
            let apart = |(k, &z): (usize, &f32)| f64::from(z).exp() / sum - f64::from(u8::from(k == label as usize));
            row.iter().enumerate().map(apart).map(|d| d * d).sum::<f64>().sqrt()
        })
        .collect();
    let loss = |start: burn::tensor::Tensor<4>| {
        let logits = head(start.into());
        let answers = predictions(&logits, 10, &batch.labels, &logits);
        answers.iter().zip(&lengths).map(|(answer, length)| answer.loss / length).sum::<f64>()
    };
    let mut entering = vec![start.clone()];
    for &step in steps {
        entering.push(model.step(step, entering[entering.len() - 1].clone()).unwrap());
    }
    let mut gradient = model.head_gradient(&entering.pop().unwrap(), &batch.labels).unwrap().unwrap();
    for (&step, entering) in steps.iter().zip(&entering).rev() {
        gradient = model.backward_step(step, entering, &gradient).unwrap().unwrap();
    }
    let (start, gradient) = (start.into_plain(), gradient.into_plain());
    let square: f32 = (gradient.clone() * gradient.clone()).sum().into_scalar();
    let epsilon = 0.05 / f64::from(square).sqrt();
    let step = gradient.mul_scalar(epsilon);
    let along = loss(start.clone() + step.clone()) - loss(start - step);
    let expected = 2.0 * epsilon * f64::from(square);
    // ReLUs bend the loss within the step.
    assert!((along / expected - 1.0).abs() < 0.02, "{along} {expected}");

    let gradients = measured(&model, &source, &["gradients"], 0).require::<Gradients>().unwrap();
    assert_eq!(gradients.len(), 4);
    assert!(gradients.values().all(|cosine| cosine.value.abs() <= 1.0 && cosine.ci95 > 0.0));
}

#[test]
fn an_ablated_block_says_nothing_about_its_sample() {
    let (model, source) = (mlp(Wiring::Residual), digits(32));
    let both = measured(&model, &source, &["ablation", "lesion"], 0);
    let (ablation, lesion) = (both.require::<Ablation>().unwrap(), both.require::<Lesion>().unwrap());
    assert_eq!(ablation.len(), 5);
    let line = line(&model, &source);
    let whole = Baseline::new(&model, &source, |_| ()).unwrap();
    let whole: Vec<f32> = whole.outputs.iter().flat_map(|logits| logits.values.clone()).collect();
    let labels = &source.dataset.labels()[..32];
    // Of the last block by hand: only the head follows.
    let (before, after) = (&line.estimates[4], &line.estimates[5]);
    let head = |estimates: Vec<Vec<f32>>| {
        let shape = [32, 8, 1, 1];
        let data = burn::tensor::TensorData::new(estimates.concat(), shape);
        let logits = model
            .head(burn::tensor::Tensor::<4>::from_data(data, &Device::flex()).into(), &mut RecurrentState::default())
            .unwrap();
        let answers = predictions(&logits.values, 10, labels, &whole);
        answers.iter().map(|a| a.loss).sum::<f64>() / 32.0
    };
    let mean_step: Vec<f32> =
        (0..8).map(|u| mean((0..32).map(|n| f64::from(after[n][u]) - f64::from(before[n][u]))) as f32).collect();
    let with_mean = before.iter().map(|a| a.iter().zip(&mean_step).map(|(a, m)| a + m).collect()).collect();
    let found = &ablation[&id("stage1.block5")];
    assert!((found.mean.score.loss - head(with_mean)).abs() < CLOSE, "{found:?}");
    // In the order that the seed gives, circles of eight take the step of the next in the circle.
    let mut order: Vec<usize> = (0..32).collect();
    random::shuffle(&mut random::stream(0, random::Purpose::SampleOrder, &[0]), &mut order);
    let mut other = [0; 32];
    for circle in order.chunks(8) {
        (0..8).for_each(|place| other[circle[place]] = circle[(place + 1) % 8]);
    }
    let step = |n: usize, u: usize| after[other[n]][u] - before[other[n]][u];
    let resampled = (0..32).map(|n| (0..8).map(|u| before[n][u] + step(n, u)).collect()).collect();
    assert!((found.resampled.score.loss - head(resampled)).abs() < CLOSE, "{found:?}");
    for batch in [1, 7, 20] {
        let again = measured(&model, &EvalSet { batch, ..source.clone() }, &["ablation"], 0);
        let again = again.require::<Ablation>().unwrap()[&id("stage1.block5")].resampled.score.loss;
        assert!((again - found.resampled.score.loss).abs() < CLOSE, "batches of {batch}");
    }
    assert!((lesion[&id("stage1.block5")].score.loss - head(before.clone())).abs() < CLOSE);
}

/// Samples that come class by class in turn must not leave a half of the read-out's samples without a class.
#[test]
fn read_outs_do_not_depend_on_the_order_of_the_samples() {
    let (model, source) = (mlp(Wiring::Residual), digits(300));
    let readouts = |seed| measured(&model, &source, &["readouts"], seed).require::<Readouts>().unwrap().readouts;
    let accuracy = |seed| readouts(seed)[&id("stage1.block1")].linear.unwrap().score.accuracy;
    let (one, other) = (accuracy(0), accuracy(1));
    // Random features of eight units tell ten digits apart far better than chance, whichever half is fitted to.
    assert!(one > 0.4 && other > 0.4, "{one} {other}");
    assert_ne!(readouts(0), readouts(1));
}

#[test]
fn a_prediction_has_the_tensor_loss_of_its_row() {
    let (rows, labels) = ([0.5f32, -1.0, 2.0, 0.0, 0.0, 0.0], [2, 1]);
    let logits = Tensor::<2>::from_data(TensorData::new(rows.to_vec(), [2, 3]), &Device::flex());
    let mean: f32 = cross_entropy(Kernels::Native, logits, &labels, 0.0).mean.into_scalar();
    let predictions = predictions(&rows, 3, &labels, &rows);
    let expected = (predictions[0].loss + predictions[1].loss) / 2.0;
    assert!((f64::from(mean) - expected).abs() < 1e-6, "{mean} {expected}");
    assert_eq!([predictions[0].accuracy, predictions[1].accuracy], [1.0, 0.0]);
    assert!((predictions[1].loss - 3f64.ln()).abs() < 1e-12);
}

/// The number of samples at once is chosen by memory: no result may depend on it.
#[test]
fn predictions_do_not_depend_on_the_batch() {
    let wide = ModelConfig::new(ModelKind::Mlp).with_depth(4).with_width(300);
    let narrow = ModelConfig::new(ModelKind::Mlp).with_depth(5).with_width(50);
    let models = [(wide, Wiring::Residual), (narrow, Wiring::Full)]
        .map(|(config, wiring)| Model::new(&config.with_wiring(wiring), [1, 8, 8], 10, 3, &Device::flex()).unwrap());
    let convolutional = Wiring::ALL.map(resnet);
    for model in models.iter().chain(&convolutional) {
        let whole = predict(model, &digits(67), |_| ()).unwrap();
        for batch in [1, 2, 8, 15, 16, 33] {
            let data = EvalSet { batch, ..digits(67) };
            let found = predict(model, &data, |_| ()).unwrap();
            let bits =
                |all: &[Prediction]| all.iter().map(|p| [p.loss, p.confidence].map(f64::to_bits)).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&whole), "{}, batch {batch}", model.outline().name);
        }
    }
}

/// A measurement of one's own: the number of samples.
struct SampleCount<const HAS_NULL: bool>;

impl<const HAS_NULL: bool> Measurement for SampleCount<HAS_NULL> {
    type Output = usize;
    type Probe = ();
    const NAME: &'static str = if HAS_NULL { "sample_count_with_null" } else { "sample_count" };
    const ABOUT: &'static str = "The number of samples";
    const HAS_NULL: bool = HAS_NULL;

    fn analyse(&self, _: &Scope, observed: &AnalysisInput<()>) -> usize {
        observed.baseline.len()
    }

    fn present(&self, _: &[Presented<usize>]) -> unrolled::report::Section {
        unrolled::report::Section::default()
    }
}

#[test]
fn a_choice_by_name_keeps_measurements_of_ones_own() {
    let config = ModelConfig::new(ModelKind::Mlp).with_depth(4).with_width(8);
    let network = Model::new(&config, [1, 8, 8], 10, 0, &Device::flex()).unwrap();
    let data = EvalSet::open("digits").unwrap().limit(20).build().unwrap();
    let before = Measure::new().with(&SampleCount::<false>).only(["lesion"]).unwrap();
    let after = Measure::new().only(["lesion"]).unwrap().with(&SampleCount::<false>);
    for measure in [before, after] {
        let found = measure.run(&network, &data, &mut ()).unwrap();
        assert_eq!(found.outputs.keys().collect::<Vec<_>>(), ["lesion", "sample_count"]);
        assert_eq!(found.require::<SampleCount<false>>().unwrap(), 20);
    }
}

#[test]
fn a_null_model_has_the_measurements_whose_figures_can_arise_without_learning() {
    let data = digits(20);
    let measured = |measure: Measure| {
        let untrained = measure.measure_untrained([Ok(mlp(Wiring::Residual))], &data, &mut ()).unwrap();
        untrained.into_iter().map(|(name, outputs)| (name, outputs.len())).collect::<Vec<_>>()
    };
    let of_both = Measure::new().only(["lesion", "estimation"]).unwrap().with(&SampleCount::<false>);
    assert_eq!(measured(of_both), [("estimation".to_owned(), 1)]);
    let of_one = Measure::new().only(["lesion"]).unwrap().with(&SampleCount::<true>);
    assert_eq!(measured(of_one), [("sample_count_with_null".to_owned(), 1)]);
}

#[test]
fn a_directory_keeps_the_training_of_its_network() {
    let home = tempfile::tempdir().unwrap();
    let (network, data) = (mlp(Wiring::Residual), digits(20));
    let epoch = Epoch {
        epoch: 1,
        rate: 0.1,
        train_loss: 2.0,
        train_accuracy: 0.25,
        evaluated_on: None,
        evaluation_loss: 1.5,
        evaluation_accuracy: 0.5,
        seconds: 1.0,
    };
    let measure = |name: &str| Measure::new().only([name]).unwrap().directory(home.path());
    measure("lesion").training(vec![epoch]).run(&network, &data, &mut ()).unwrap();
    let found = measure("shuffle").resume(true).run(&network, &data, &mut ()).unwrap();
    assert_eq!(found.training, [epoch]);
}

/// Adds every score in a document, with its place.
fn scores(place: &str, value: &serde_json::Value, found: &mut Vec<(String, [f64; 4])>) {
    let number = |key: &str| value.get(key).and_then(serde_json::Value::as_f64);
    let end = |end: usize| value.get("accuracy_fraction_ci95").and_then(|ends| ends.get(end)?.as_f64());
    if let (Some(accuracy), Some(samples), Some(low), Some(high)) =
        (number("accuracy_fraction"), number("samples"), end(0), end(1))
    {
        found.push((place.to_owned(), [accuracy, samples, low, high]));
    }
    match value {
        serde_json::Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| scores(&format!("{place}/{key}"), value, found));
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| scores(&format!("{place}/{i}"), value, found));
        }
        _ => {}
    }
}

/// Images are independent samples, whatever measurement predicts them.
#[test]
fn every_score_has_the_interval_of_its_samples() {
    let measured = Measure::new().run(&resnet(Wiring::Highway), &digits(60), &mut ()).unwrap();
    let mut found = Vec::new();
    scores("", &serde_json::to_value(&measured).unwrap(), &mut found);
    let has = |name: &str| found.iter().any(|(place, _)| place.contains(name));
    assert!(["lesion", "linear", "tuned", "early_exit", "shuffle", "ablation"].into_iter().all(has), "{found:?}");
    for (place, [p, n, low, high]) in found {
        // Wilson's score interval.
        let z2 = 1.959_963_984_540_054_f64.powi(2);
        let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = (z2 * (p * (1.0 - p) / n + z2 / (4.0 * n * n))).sqrt() / (1.0 + z2 / n);
        let expected = [(centre - half).max(0.0), (centre + half).min(1.0)];
        assert!(
            (low - expected[0]).abs() < 1e-9 && (high - expected[1]).abs() < 1e-9,
            "{place}: {low} {high} {expected:?}"
        );
    }
}
