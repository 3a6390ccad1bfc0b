//! Any text, read as an experiment file, a route, a plan, the blocks of a graph, and a data set's name; what is
//! understood is written and read again.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;
use unrolled::data::DataSpec;
use unrolled::model::{ModelKind, Model, ModelConfig};
use unrolled::nn::{Network, Route};
use unrolled::open::read_boundaries;
use unrolled::nn::Outline;
use unrolled::slim::RemovalPlan;
use unrolled::train::Experiment;
use unrolled::{Error, Result};

/// Stages of three blocks, of which two change the shape.
fn outline() -> &'static Outline {
    static OUTLINE: OnceLock<Outline> = OnceLock::new();
    OUTLINE.get_or_init(|| {
        let config = ModelConfig::new(ModelKind::Resnet).with_depth(20).with_width(2);
        let model = Model::new(&config, [3, 8, 8], 3, 0, &Device::flex()).expect("a network");
        model.outline().clone()
    })
}

/// The value, where there is one; its error is one line.
fn value<T>(result: Result<T>) -> Option<T> {
    let of_a_line = |error: &Error| assert!(!error.to_string().contains('\n'), "more than one line: {error}");
    result.inspect_err(of_a_line).ok()
}

fuzz_target!(|text: &str| {
    let path = Path::new("file");
    if let Some(experiment) = value(Experiment::parse(text, &[], "file")) {
        let again = Experiment::parse(&experiment.to_toml().expect("TOML"), &[], "file").expect("what was written");
        assert_eq!(format!("{again:?}"), format!("{experiment:?}"));
    }
    // As an override too, of an experiment that lacks everything else.
    value(Experiment::parse("", &[text.to_owned()], "file"));
    if let Some(route) = value(Route::parse(text, outline())) {
        let again = Route::parse(&route.to_string(), outline()).expect("what was printed");
        assert_eq!(again, route);
        route.steps();
    }
    if let Some(plan) = value(RemovalPlan::parse(path, text)) {
        assert_eq!(RemovalPlan::parse(path, &plan.to_toml().expect("TOML")).expect("what was written"), plan);
        value(plan.removed(path, outline()));
    }
    value(text.parse::<DataSpec>());
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("cut.toml");
    std::fs::write(&path, text).expect("a temporary file");
    value(read_boundaries(&path));
});
