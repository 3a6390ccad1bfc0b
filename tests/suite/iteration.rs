//! Repeats that are scaled back, the indices of iteration, and draws of routes, against their definitions.

use std::collections::HashSet;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use unrolled::data::{DataSpec, Dataset, ResizeCrop, Split};
use unrolled::measure::*;
use unrolled::model::{Model, ModelConfig, ModelKind};
use unrolled::nn::{BlockId, Network, RecurrentState, Route, Samples, Wiring};

use crate::common::{id, measured, predictions};

const SAMPLES: usize = 60;
/// Sums in another order; a root and a quotient.
const CLOSE: f64 = 1e-5;

fn digits() -> EvalSet {
    let spec: DataSpec = "digits".parse().unwrap();
    let dataset = Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap().limit(SAMPLES);
    let normalization = dataset.normalization();
    EvalSet::new(Arc::new(dataset), normalization, SAMPLES)
}

fn resnet(seed: u64) -> Model {
    let config = ModelConfig::new(ModelKind::Resnet).with_depth(20).with_width(4).with_wiring(Wiring::Residual);
    Model::new(&config, [1, 8, 8], 10, seed, &Device::flex()).unwrap()
}

fn answers(model: &Model, source: &EvalSet, route: &str) -> Vec<Prediction> {
    let route = Route::parse(route, model.outline()).unwrap();
    predict_along(model, source, &[route], |_| ()).unwrap().remove(0)
}

fn accuracy(answers: &[Prediction]) -> f64 {
    answers.iter().map(|answer| answer.accuracy).sum::<f64>() / answers.len() as f64
}

/// The last stage's last block again, by hand: after every run the estimate is as long as after the first.
#[test]
fn a_repeat_that_is_scaled_back_keeps_the_norm() {
    let (model, source) = (resnet(3), digits());
    let measured = measured(&model, &source, &["repeats"], 0);
    let batch = source.batches().unwrap().next().unwrap().unwrap();
    let mut estimate = model.stem(&Samples { values: batch.images, shape: batch.shape }).unwrap();
    for step in Route::identity(model.outline()).steps() {
        estimate = model.step(step, estimate).unwrap();
    }
    let units = model.outline().stages[2].shape.iter().product::<usize>();
    let norm = |row: &[f32]| row.iter().map(|&a| f64::from(a) * f64::from(a)).sum::<f64>().sqrt();
    let first: Vec<f64> = model.values(&estimate).0.chunks_exact(units).map(norm).collect();
    let shape = estimate.dims();
    let (mut compared, mut differ) = (0, 0);
    for times in 1..=20 {
        estimate = model.block(BlockId { stage: 2, block: 2 }, estimate).unwrap();
        let mut values = model.values(&estimate).0;
        for (row, first) in values.chunks_exact_mut(units).zip(&first) {
            let scale = (first / norm(row)) as f32;
            row.iter_mut().for_each(|a| *a *= scale);
        }
        estimate = Tensor::<4>::from_data(TensorData::new(values, shape), &Device::flex()).into();
        let logits = model.head(estimate.clone(), &mut RecurrentState::default()).unwrap();
        let loss = predictions(&logits.values, 10, source.dataset.labels(), &logits.values)
            .iter()
            .map(|a| a.loss)
            .sum::<f64>();
        let all = measured.require::<Repeats>().unwrap();
        let found = |rescaled| {
            all.iter().find(|r| r.block == id("stage3.block3") && r.times == times && r.rescaled == rescaled)
        };
        if let (Some(scaled), Some(plain)) = (found(true), found(false)) {
            assert!((scaled.score.loss / (loss / SAMPLES as f64) - 1.0).abs() < CLOSE, "{times}: {scaled:?} {loss}");
            differ += usize::from(plain.score.loss != scaled.score.loss);
            compared += 1;
        }
    }
    assert_eq!((compared, differ), (8, 8));
}

#[test]
fn the_indices_are_areas_between_accuracies() {
    let source = digits();
    // Among random networks one that is better than chance: of the others nothing can be lost.
    let beyond = |seed| {
        let model = resnet(seed);
        let whole = Baseline::new(&model, &source, |_| ()).unwrap();
        let base = accuracy(&whole.predictions) - 0.1;
        (base > 0.05).then_some((model, whole, base))
    };
    let (model, whole, base) = (0..50).find_map(beyond).expect("a network better than chance");
    let iteration = measured(&model, &source, &["iteration"], 0).require::<Iteration>().unwrap();
    assert_eq!(iteration.keys().collect::<Vec<_>>(), ["stage1", "stage2", "stage3"]);
    let lost = |route: &str| accuracy(&whole.predictions) - accuracy(&answers(&model, &source, route));
    let second = |blocks: &str| format!("1-3 / {blocks} / 1-3");
    let index = |area: f64| (area / base).clamp(0.0, 1.0);
    let same = |found: Option<Estimate>, expected: f64| {
        let found = found.unwrap();
        assert!((found.value - expected).abs() < CLOSE && found.ci95 > 0.0, "{found:?} {expected}");
    };
    let stage = iteration["stage2"];
    same(stage.convergence, index((lost(&second("1")) + lost(&second("1-2"))) / 2.0));
    // The first block changes the shape and stays.
    same(stage.recurrence, index(lost(&second("1,3,2"))));
    let first: f64 = ["2,1,3", "3,2,1", "1,3,2"].map(|blocks| lost(&format!("{blocks} / 1-3 / 1-3"))).iter().sum();
    same(iteration["stage1"].recurrence, index(first / 3.0));
    // Under lines from point to point.
    let divergence = |stage: usize| {
        let mut points = vec![(0.0, 0.0)];
        for times in [1_usize, 2, 3, 4, 6, 10, 15, 20] {
            let again = format!("1-3{}", ",3".repeat(times));
            let stages: Vec<&str> = (0..3).map(|s| if s == stage { again.as_str() } else { "1-3" }).collect();
            points.push((times as f64, lost(&stages.join(" / "))));
        }
        points.windows(2).map(|p| (p[1].0 - p[0].0) * (p[0].1 + p[1].1) / 2.0).sum::<f64>() / 20.0
    };
    for (place, stage) in iteration.values().enumerate() {
        same(stage.divergence, index(divergence(place)));
        assert!(stage.divergence_rescaled.is_some());
    }
    let is_inside = |place: usize| (0.01..0.99).contains(&(divergence(place) / base));
    assert!((0..3).any(is_inside), "an index that is held at 0 or 1 says nothing of the area");
}

#[test]
fn no_route_is_drawn_twice() {
    // Two blocks can be exchanged in one way.
    let config = ModelConfig::new(ModelKind::Mlp).with_depth(3).with_width(4).with_wiring(Wiring::Residual);
    let model = Model::new(&config, [1, 8, 8], 10, 3, &Device::flex()).unwrap();
    let scope = Scope::new(&model, &digits(), 0);
    let routes = Measurement::routes(&Shuffle, &scope);
    let routes: Vec<String> = routes.iter().map(|(_, route)| route.to_string()).collect();
    assert_eq!(routes, ["2,1"]);
    let measured = measured(&model, &digits(), &["several", "shuffle"], 0);
    let several = measured.require::<MultiLesion>().unwrap();
    let distinct: HashSet<(usize, &str)> = several.iter().map(|s| (s.removed, s.route.as_str())).collect();
    assert_eq!((distinct.len(), several.len()), (3, 3));
}
