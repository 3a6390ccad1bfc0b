//! What several tests share.
#![allow(dead_code, reason = "every test binary uses a part")]

use std::path::Path;

use burn::tensor::Device;
use unrolled::measure::{EvalSet, Measure, Measurements, Prediction};
use unrolled::model::{Metadata, Model, ModelConfig, ModelKind, to_bytes};
use unrolled::nn::{BlockId, Network, Wiring};

/// Takes measurements of these names, as far as they fit; all where no name is given.
pub(crate) fn measured<N: Network>(network: &N, data: &EvalSet, only: &[&str], seed: u64) -> Measurements {
    let all = Measure::new().seed(seed);
    let measure = if only.is_empty() { all } else { all.only(only).unwrap().skip_inapplicable() };
    measure.run(network, data, &mut ()).unwrap()
}

/// The block of this name.
pub(crate) fn id(name: &str) -> BlockId {
    name.parse().unwrap()
}

/// The prediction for every row of `[batch, classes]` logits.
pub(crate) fn predictions(logits: &[f32], classes: usize, labels: &[u32], whole: &[f32]) -> Vec<Prediction> {
    let rows = logits.chunks_exact(classes).zip(whole.chunks_exact(classes)).zip(labels);
    rows.map(|((row, whole), &label)| Prediction::new(row, label, whole)).collect()
}

/// Writes a model file of a random network.
pub(crate) fn write_network(path: &Path, seed: u64) {
    let config = ModelConfig::new(ModelKind::Resnet).with_depth(20).with_width(8).with_wiring(Wiring::Full);
    write_network_of(&config, [1, 8, 8], path, seed);
}

/// Writes a model file of a random network of this configuration.
pub(crate) fn write_network_of(config: &ModelConfig, input: [usize; 3], path: &Path, seed: u64) {
    let model = Model::new(config, input, 10, seed, &Device::flex()).unwrap();
    let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    let metadata = Metadata {
        model: model.config().clone(),
        input,
        classes,
        characters: None,
        mean: vec![0.0],
        std: vec![1.0],
        data: "digits".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    std::fs::write(path, to_bytes(&model, &metadata, &[], Default::default()).unwrap()).unwrap();
}
