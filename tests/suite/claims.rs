//! The scripts of docs/CLAIMS.md on data of a few samples: every figure that they read from a run or a table is there.

use std::path::Path;
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

/// Runs a script, and returns the figures of the networks of an arm: a line each.
fn figures(script: &str, arguments: &[&str], arm: &str) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    write_data(&home.path().join("data"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/claims").join(script);
    let mut command = Command::new("bash");
    command.arg(script).args(arguments).current_dir(home.path()).env("UNROLLED", env!("CARGO_BIN_EXE_unrolled"));
    command.env("FIGURES", home.path().join("figures.jsonl")).env("HELD_OUT", "20").env("RAYON_NUM_THREADS", "1");
    let settings = [("EPOCHS", "1"), ("SIZE", "8"), ("JOBS", "2"), ("DEPTHS", "10"), ("SEEDS", "1"), ("WORDS", "0")];
    let output = command.envs(settings).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = std::fs::read_to_string(home.path().join("figures.jsonl")).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    let named =
        |line: &Value| line["network"].as_str().unwrap().strip_prefix(arm).is_some_and(|end| end.starts_with("-seed"));
    let found: Vec<_> = lines.filter(named).collect();
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
    let names =
        ["test accuracy, %", "accuracy without 1 blocks, %", "accuracy after 1 swaps, %", "std of E over std of A"];
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
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/claims/cifar.sh");
    let output = Command::new("bash").arg(script).arg("9").output().unwrap();
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "claim 9: there are 1 to 8, 11 and 13\n");
}
