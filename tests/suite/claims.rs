//! The scripts of docs/CLAIMS.md on data of a few samples: every figure that they read from a run or a table is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A picture file whose pixels depend on `value`.
fn write_picture(path: &Path, value: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixel = |x: u32, y: u32| image::Rgb([value.wrapping_mul(7), (31 * x) as u8 ^ value, (17 * y) as u8]);
    image::RgbImage::from_fn(8, 8, pixel).save(path).unwrap();
}

/// Data for all scripts: 60 and 20 images in two classes as files and as MNIST's, and texts of 1,600 and 800 words.
fn write_data(home: &Path) {
    for (split, count) in [("train", 60), ("test", 20)] {
        (0..count).for_each(|n| {
            write_picture(&home.join(format!("cifar10-jpeg/{split}/{}/{n}.png", ["cat", "dog"][n % 2])), n as u8);
        });
    }
    let mnist = home.join("mnist");
    std::fs::create_dir_all(&mnist).unwrap();
    for (split, count) in [("train", 60_u32), ("t10k", 20)] {
        let mut images = [[0, 0, 8, 3], count.to_be_bytes(), [0, 0, 0, 5], [0, 0, 0, 5]].concat();
        images.extend((0..count * 25).map(|k| (k * k % 251) as u8));
        std::fs::write(mnist.join(format!("{split}-images-idx3-ubyte")), images).unwrap();
        let mut labels = [[0, 0, 8, 1], count.to_be_bytes()].concat();
        labels.extend((0..count).map(|k| (k % 10) as u8));
        std::fs::write(mnist.join(format!("{split}-labels-idx1-ubyte")), labels).unwrap();
    }
    std::fs::create_dir_all(home.join("ptb")).unwrap();
    for (split, sentences) in [("train", 200), ("valid", 100), ("test", 100)] {
        std::fs::write(home.join(format!("ptb/{split}.txt")), " the cat sat on the old mat \n".repeat(sentences))
            .unwrap();
    }
}

/// A script of `configs/claims` with small settings, its working directory and its file of figures being in `home`.
fn script(home: &Path, script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/claims").join(script)).args(arguments);
    command
        .current_dir(home)
        .env("UNROLLED", env!("CARGO_BIN_EXE_unrolled"))
        .env("FIGURES", home.join("figures.jsonl"));
    let settings = [("EPOCHS", "1"), ("SIZE", "8"), ("JOBS", "2"), ("DEPTHS", "10"), ("SEEDS", "1"), ("WORDS", "0")];
    command.envs(settings).env("HELD_OUT", "20").env("RAYON_NUM_THREADS", "1");
    command
}

/// Runs a command, which succeeds, and returns what it prints.
#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of the file of figures in `home`.
fn lines(home: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(home.join("figures.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Runs a script, and returns the figures of the networks of an arm: a line each.
fn figures(name: &str, arguments: &[&str], arm: &str) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    write_data(&home.path().join("data"));
    output(&mut script(home.path(), name, arguments));
    let named =
        |line: &Value| line["network"].as_str().unwrap().strip_prefix(arm).is_some_and(|end| end.starts_with("-seed"));
    let found: Vec<_> = lines(home.path()).into_iter().filter(named).collect();
    found.iter().for_each(|line| {
        let figures = line["figures"].as_object().unwrap();
        assert!(figures.len() >= 2 && figures.values().all(Value::is_number), "{line}");
    });
    found
}

#[track_caller]
fn assert_has(lines: &[Value], count: usize, names: &[&str]) {
    assert_eq!(lines.len(), count);
    for line in lines {
        names.iter().for_each(|&name| assert!(line["figures"].get(name).is_some(), "{name}: {line}"));
    }
}

#[test]
fn networks_with_layer_dropout_and_without() {
    let figures = figures("cifar.sh", &["7"], "cifar-8px-1epochs-dropout");
    let names = [
        "test accuracy, %",
        "accuracy without 1 blocks, %",
        "accuracy after 1 swaps, %",
        "std of E over std of A",
        "mean lesion cost, same shape, points",
    ];
    assert_has(&figures, 3, &names);
}

#[test]
fn gates_of_the_highway_network() {
    let figures = figures("cifar.sh", &["5"], "cifar-8px-1epochs-highway");
    assert_has(&figures, 3, &["sparsity gap, units permuted", "share of T below .1", "mean lesion cost, points"]);
}

#[test]
fn deep_dense_networks() {
    let figures = figures("mlp50.sh", &[], "mlp50-mnist-bias-4");
    assert_has(&figures, 3, &["slope of logit T, untrained", "last layer that matters", "sparsity gap"]);
}

#[test]
fn dense_networks_of_all_depths() {
    let figures = figures("mnist.sh", &[], "mnist-10-plain");
    assert_has(&figures, 1, &["training loss", "test accuracy, %", "mean lesion cost, points"]);
}

#[test]
fn language_models_of_all_wirings() {
    let figures = figures("ptb.sh", &[], "ptb-0-words-1epochs-c-only");
    assert_has(&figures, 1, &["training perplexity", "validation perplexity, best epoch"]);
}

#[test]
fn a_claim_without_networks_is_named() {
    let home = tempfile::tempdir().unwrap();
    let output = script(home.path(), "cifar.sh", &["9"]).output().unwrap();
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "claim 9: there are 1 to 8, 11 and 13\n");
}

/// A program that trains one rate and one seed of an arm at a rate with which their loss is not finite, and all else as asked.
fn diverging_program(home: &Path) -> PathBuf {
    let path = home.join("program");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in\n'train '*plain-rate0.3* | 'train '*plain-seed2*) \
         set -- \"$@\" --set train.rate=1e30 --set train.clip_norm=0 ;;\nesac\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_unrolled")
    );
    std::fs::write(&path, text).unwrap();
    output(Command::new("chmod").arg("+x").arg(&path));
    path
}

#[test]
fn a_loss_that_is_not_finite_is_counted_and_trained_networks_are_not_trained_again() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    write_data(&home.join("data"));
    let program = diverging_program(home);
    let run = || {
        let mut command = script(home, "mnist.sh", &[]);
        command.env("UNROLLED", &program).env("SEEDS", "1 2");
        command
    };
    output(&mut run());
    let first = lines(home);
    let held_out = |name: &str| {
        let line = first.iter().find(|line| line["network"] == name).unwrap_or_else(|| panic!("{name}"));
        line["figures"]["held-out accuracy, %"].clone()
    };
    for name in ["mnist-10-plain-rate0.3", "mnist-10-plain-seed2"] {
        assert!(held_out(name).is_null(), "{name}");
    }
    for name in ["mnist-10-plain-rate0.1", "mnist-10-plain-seed1", "mnist-10-residual-seed2"] {
        assert!(held_out(name).is_number(), "{name}");
    }

    let claims = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/reference/claims.py")).args(arguments);
        output(command.env("FIGURES", home.join("figures.jsonl")))
    };
    let table = claims(&[]);
    let plain = table.split("\n\n").find(|arm| arm.trim().starts_with("mnist-10-plain:")).unwrap();
    assert!(plain.contains("training loss") && plain.contains(", 1 not finite"), "{plain}");
    let difference = claims(&["compare", "mnist-10-residual", "mnist-10-plain"]);
    assert!(difference.starts_with("seeds 1, 2\n") && difference.contains(", 1 not finite"), "{difference}");

    output(&mut run());
    assert_eq!(lines(home), first);
    // Where a line is lost, it is that of the run which is there.
    let text = std::fs::read_to_string(home.join("figures.jsonl")).unwrap();
    let kept = text.split_inclusive('\n').filter(|line| !line.contains("mnist-10-plain-seed1"));
    std::fs::write(home.join("figures.jsonl"), kept.collect::<String>()).unwrap();
    let failure = run().env("HELD_OUT", "10").output().unwrap();
    let message = String::from_utf8_lossy(&failure.stderr);
    assert!(!failure.status.success() && message.contains("mnist-10-plain-seed1.log: "), "{message}");
    assert!(message.contains("data.validation was 20, now 10"), "{message}");
    output(&mut run());
    let again = lines(home);
    assert_eq!(again.last(), first.iter().find(|line| line["network"] == "mnist-10-plain-seed1"));
}
