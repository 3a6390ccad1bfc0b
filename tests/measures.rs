//! Measurements against a direct computation from the network's own estimates, and routes.

use std::sync::Arc;

use burn::tensor::Device;
use unrolled::data::{Dataset, Spec, Split, View};
use unrolled::measure::{Only, Source, kendall_tau, measure, sweep, walk};
use unrolled::model::{Kind, Model, ModelConfig};
use unrolled::nn::{At, Network, Route, Samples, Wiring};

fn digits(samples: usize) -> Source {
    let spec: Spec = "digits".parse().unwrap();
    let dataset = Dataset::open(&spec, Split::Test, &View::default()).unwrap().limit(samples);
    Source { normalization: dataset.normalization(), dataset: Arc::new(dataset), batch: 16 }
}

fn mlp(wiring: Wiring) -> Model {
    let config = ModelConfig::new(Kind::Mlp).with_depth(6).with_width(8).with_wiring(wiring);
    Model::new(&config, [1, 8, 8], 10, 3, &Device::flex()).unwrap()
}

fn resnet(wiring: Wiring) -> Model {
    let config = ModelConfig::new(Kind::Resnet).with_depth(14).with_width(4).with_wiring(wiring);
    Model::new(&config, [1, 8, 8], 10, 3, &Device::flex()).unwrap()
}

/// All estimates of every stage, `[stage][block][sample][unit]`.
fn estimates(model: &Model, source: &Source) -> Vec<Vec<Vec<Vec<f32>>>> {
    let mut all: Vec<Vec<Vec<Vec<f32>>>> =
        model.outline().stages.iter().map(|s| vec![Vec::new(); s.blocks.len()]).collect();
    for batch in source.batches().unwrap() {
        let batch = batch.unwrap();
        let count = batch.labels.len();
        let mut estimate = model.stem(&Samples { values: batch.images, shape: batch.shape }).unwrap();
        for (s, stage) in all.iter_mut().enumerate() {
            estimate = model.enter(s, estimate).unwrap();
            for (b, kept) in stage.iter_mut().enumerate() {
                estimate = model.block(At { stage: s, block: b }, estimate).unwrap();
                let (values, _) = model.values(&estimate);
                kept.extend(values.chunks_exact(values.len() / count).map(<[f32]>::to_vec));
            }
        }
    }
    all
}

/// Sums in another order differ by rounding of f64 only.
const EXACT: f64 = 1e-9;

#[test]
fn the_estimation_error_is_that_of_its_definition() {
    let source = digits(50);
    for model in [resnet(Wiring::Residual), mlp(Wiring::Highway)] {
        let measured = measure(&model, &source, &[Only::Estimation], 0, |_, _| ()).unwrap();
        let estimation = measured.estimation.unwrap();
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
                let ours = &estimation[&At { stage: s, block: b }.to_string()];
                assert!((ours.mean - mean).abs() < EXACT, "{s} {b}: {} {mean}", ours.mean);
                assert!((ours.std - std).abs() < EXACT, "{s} {b}: {} {std}", ours.std);
                compared += 1;
            }
            let name = |b| At { stage: s, block: b }.to_string();
            let step = estimation[&name(1)].step_mean.unwrap();
            assert!((step - (estimation[&name(1)].mean - estimation[&name(0)].mean)).abs() < EXACT);
            assert_eq!(estimation[&name(stage.len() - 1)].rms, 0.0);
        }
        assert_eq!(compared, estimation.len());
    }
}

#[test]
fn a_lesion_is_the_network_without_the_block() {
    let source = digits(40);
    let model = resnet(Wiring::Highway);
    let measured = measure(&model, &source, &Only::ALL, 0, |_, _| ()).unwrap();
    let lesion = measured.lesion.unwrap();
    assert_eq!(lesion.len(), 6);
    let route = Route::parse("1-2 / 2 / 1-2", model.outline()).unwrap();
    let whole = walk(&model, &source, &mut [], |_| ()).unwrap();
    let routes = [route.clone(), Route::identity(model.outline())];
    let answers = sweep(&model, &source, &routes, &whole, |_| ()).unwrap();
    let loss = |i: usize| answers[i].iter().map(|a| a.loss).sum::<f64>() / 40.0;
    assert!((lesion["stage2.block1"].score.loss - loss(0)).abs() < EXACT);
    assert!((measured.baseline.loss - loss(1)).abs() < EXACT);
    assert!((lesion["stage2.block1"].loss_cost.value - (loss(0) - loss(1))).abs() < EXACT);
    assert!(route.steps().len() == Route::identity(model.outline()).steps().len());
}

#[test]
fn gates_lie_between_0_and_1_and_their_histogram_sums_to_1() {
    let measured = measure(&mlp(Wiring::Full), &digits(30), &[Only::Gates], 0, |_, _| ()).unwrap();
    let gates = measured.gates.unwrap();
    assert_eq!(gates.len(), 5);
    for block in gates.values() {
        let (t, c) = (block.transform.as_ref().unwrap(), block.carry.as_ref().unwrap());
        // The gate bias starts at -1 for T and 1 for C.
        assert!(t.mean.value < 0.5 && c.mean.value > 0.5, "{} {}", t.mean.value, c.mean.value);
        assert!((t.histogram.iter().sum::<f64>() - 1.0).abs() < EXACT);
        assert!((0.0..1.0).contains(&t.sparsity_per_sample) && t.channels.len() == 8);
    }
    assert!(measure(&mlp(Wiring::Plain), &digits(30), &[Only::Gates], 0, |_, _| ()).unwrap().gates.unwrap().is_empty());
}

#[test]
fn shuffles_keep_the_blocks_that_change_the_shape_first() {
    let model = resnet(Wiring::Residual);
    let measured = measure(&model, &digits(20), &[Only::Shuffle], 1, |_, _| ()).unwrap();
    for shuffle in measured.shuffle.unwrap() {
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
        ("1-2 / 1-2", "2 stages, the network has 3"),
        ("1-3 / 1 / 1", "route, stage1: '1-3': its blocks are 1-2"),
        ("1 / 2,1 / 1", "route, stage2: block1 changes the shape"),
        ("1 / x / 1", "route, stage2: 'x' is no block number"),
    ];
    for (text, message) in wrong {
        let error = Route::parse(text, resnet.outline()).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn a_plain_block_that_changes_the_shape_stays() {
    let model = resnet(Wiring::Plain);
    let measured = measure(&model, &digits(20), &[Only::Lesion], 0, |_, _| ()).unwrap();
    let names: Vec<String> = measured.lesion.unwrap().into_keys().collect();
    assert_eq!(names, ["stage1.block1", "stage1.block2", "stage2.block2", "stage3.block2"]);
    let route = Route::parse("1-2 / 2 / 1-2", model.outline()).unwrap();
    let whole = walk(&model, &digits(4), &mut [], |_| ()).unwrap();
    let error = sweep(&model, &digits(4), &[route], &whole, |_| ()).unwrap_err().to_string();
    assert!(error.starts_with("stage2.block1 cannot be left out"), "{error}");
}

/// The recursion of an earlier version overflowed its stack at this depth.
#[test]
fn a_very_deep_network_can_be_lesioned() {
    let config = ModelConfig::new(Kind::Mlp).with_depth(3000).with_width(2).with_wiring(Wiring::Residual);
    let model = Model::new(&config, [1, 8, 8], 10, 3, &Device::flex()).unwrap();
    let outline = model.outline();
    let routes: Vec<Route> =
        (0..2999).step_by(7).map(|block| Route::identity(outline).without(At { stage: 0, block })).collect();
    let whole = walk(&model, &digits(2), &mut [], |_| ()).unwrap();
    assert_eq!(sweep(&model, &digits(2), &routes, &whole, |_| ()).unwrap().len(), 429);
}
