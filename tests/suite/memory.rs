//! Measuring stays within the memory that it may take.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Output};

use unrolled::model::{ModelConfig, ModelKind};

use super::common::write_network_of;
use super::draws;

/// Room for what grows between two runs of the program: stacks of threads, pages that are shared, MiB.
const SLACK: u64 = 16;

/// Runs the program on one thread within so much address space, MiB, and returns what it says.
fn run_within(limit: u64, arguments: &str, directory: &Path) -> Output {
    let script = format!("ulimit -v {} && exec {} {arguments}", limit << 10, env!("CARGO_BIN_EXE_unrolled"));
    let mut command = Command::new("sh");
    // glibc reserves 64 MiB of addresses for every thread, which are no memory.
    command.envs([("RAYON_NUM_THREADS", "1"), ("MALLOC_ARENA_MAX", "1")]);
    command.args(["-c", &script]).current_dir(directory).output().unwrap()
}

/// Returns the least address space, MiB, within which the network is opened and runs one sample.
fn least_to_run_a_sample(directory: &Path) -> u64 {
    let (mut fails, mut works) = (0, 2048);
    while works - fails > SLACK {
        let limit = fails.midpoint(works);
        let output = run_within(limit, "eval net.model --data arrays:data.npz --limit 1 --batch 1", directory);
        *if output.status.success() { &mut works } else { &mut fails } = limit;
    }
    works
}

#[test]
fn measurements_stay_within_the_memory_that_they_may_take() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let config = ModelConfig::new(ModelKind::Resnet).with_depth(8).with_width(16);
    write_network_of(&config, [1, 128, 128], &at.join("net.model"), 3);
    let samples = 40;
    let shape = vec![samples, 1, 128, 128];
    let images = draws::values(5, "input", &shape);
    let labels = (0..samples).map(|sample| (sample % 10) as f32).collect();
    let arrays = [("images", (shape, images)), ("labels", (vec![samples], labels))];
    super::npz::write(&at.join("data.npz"), arrays.into_iter());

    let memory = 400;
    let least = least_to_run_a_sample(at);
    let measure = |out: &str, more: &str| {
        let only = "estimation,lesion,influence,gradients,ablation,theory";
        format!("measure net.model --data arrays:data.npz --only {only} --null-seeds 1 --out {out}{more}")
    };
    let bounded = measure("bounded", &format!(" --memory {memory}M"));
    let output = run_within(least + memory + SLACK, &bounded, at);
    assert!(output.status.success(), "{least} + {memory} MiB: {}", String::from_utf8_lossy(&output.stderr));
    // All samples at once need more: it is the bound that made them fit.
    let output = run_within(least + memory + SLACK, &measure("unbounded", " --memory 16G"), at);
    assert!(!output.status.success(), "the test is too small to show anything");
    let output = run_within(16 << 10, &measure("large", " --memory 16G"), at);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = |out: &str| std::fs::read(at.join(out).join("lesion.csv")).unwrap();
    assert!(table("bounded") == table("large"), "the same figures whatever the memory");
}
