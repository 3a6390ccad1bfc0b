//! Runs the examples as a user would.

use std::process::Command;

/// Runs an example and returns what it prints.
fn run(name: &str, arguments: &[&str]) -> String {
    let target = std::path::Path::new(env!("CARGO_BIN_EXE_unrolled")).parent().unwrap();
    let output = Command::new(target.join("examples").join(name)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_lesion_of_every_block_is_printed() {
    let text = run("lesion", &[]);
    assert!(text.starts_with("whole network: ") && text.contains("without stage1.block1: "), "{text}");
}

#[test]
fn a_network_of_ones_own_is_measured() {
    let text = run("own_network", &[]);
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.lines().last().unwrap().contains("mean of a - A +0.0000"), "{text}");
}

#[test]
fn a_measurement_of_ones_own_is_reported() {
    let text = run("own_measurement", &[]);
    assert!(text.contains("zeros") && text.contains("stage3.block1"), "{text}");
}

#[test]
fn a_network_is_trained_and_its_gates_measured() {
    let dir = tempfile::tempdir().unwrap();
    let text = run("train", &[dir.path().join("run").to_str().unwrap()]);
    assert!(text.contains("epoch 2: ") && text.contains("stage1.block11: "), "{text}");
}

#[test]
fn a_network_is_slimmed_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("slim.safetensors");
    let text = run("slim", &["tests/unchanged/mlp/model.safetensors", "digits", out.to_str().unwrap()]);
    assert!(text.starts_with("removed: stage1.block") && text.lines().count() == 3, "{text}");
    assert!(out.is_file());
}
