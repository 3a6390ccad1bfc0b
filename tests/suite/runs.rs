//! Runs know their data and their experiment, are extended and started from weights, and lose nothing when they are killed;
//! the files of a folder that are passed over are named.

use std::path::Path;
use std::process::{Command, Output};

const CONFIG: &str =
    "[model]\nkind = 'mlp'\ndepth = 4\nwidth = 8\n[data]\nsource = 'digits'\nlimit = 200\n[train]\nepochs = 1\n";

/// A directory with an experiment file in which commands run.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("a.toml"), CONFIG).unwrap();
        Self(home)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn output(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unrolled"));
        command.current_dir(self.0.path()).args(arguments.split(' ')).output().unwrap()
    }

    /// Runs a command that succeeds, and returns what it printed and said.
    fn run(&self, arguments: &str) -> (String, String) {
        let output = self.output(arguments);
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{arguments}: {err}");
        (out, err)
    }

    /// Runs a command that fails, and returns its last line.
    fn fail(&self, arguments: &str) -> String {
        let output = self.output(arguments);
        assert!(!output.status.success(), "{arguments}");
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!err.contains("panicked"), "{err}");
        err.lines().last().unwrap_or_default().to_owned()
    }

    fn model(&self, run: &str) -> Vec<u8> {
        std::fs::read(self.path(run).join("model.safetensors")).unwrap()
    }
}

fn image(path: &Path, side: u32, value: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_pixel(side, side, image::Rgb([value; 3])).save(path).unwrap();
}

#[test]
fn a_run_knows_its_data() {
    let home = Home::new();
    home.run("train a.toml --set data.resize=10 --set data.crop=9 --out run");
    let (out, err) = home.run("eval run --json");
    assert!(err.contains("run: without --data, the data of its training: digits"), "{err}");
    let score: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((score["target"].as_str(), score["data"].as_str()), (Some("run"), Some("digits, test split")));
    assert_eq!((score["samples"].as_u64(), score["version"].is_u64()), (Some(355), true));
    assert_eq!(score["command"], "unrolled eval run --json");
    let sizes = &score["preprocessing"];
    assert_eq!((sizes["resize_pixels"].as_u64(), sizes["crop_pixels"].as_u64()), (Some(10), Some(9)));
    assert!(score["loss_nats"].is_number() && score["accuracy_fraction"].is_number());
    assert!(sizes["mean"].is_array() && sizes["std"].is_array());
    let given: serde_json::Value =
        serde_json::from_str(&home.run("eval run --data digits --resize 10 --crop 9 --json").0).unwrap();
    assert_eq!((&score["loss_nats"], &score["loss_nats_ci95"]), (&given["loss_nats"], &given["loss_nats_ci95"]));
    home.run("measure run --only lesion --limit 20");
    assert!(home.fail("eval tests.onnx --mean 0 --std 1").contains("no such file"));
}

/// An option that was given, or a key of the experiment that was read.
#[test]
fn what_is_not_possible_is_named_as_it_was_said() {
    let home = Home::new();
    home.run("train a.toml --out run");
    for (command, message) in [
        ("eval run --data digits --resize 99999", "--resize: 99999 pixels, expected at most 16384"),
        ("eval run --data digits --resize 4 --crop 5", "--crop: 5 pixels, expected at most the 4 of resize"),
        ("eval run --data digits --mean 1,2 --std 1", "--mean: 2 values, expected 1 or one for each of 1 channels"),
        ("eval run --data x.npz", "data set 'x.npz': expected arrays:x.npz for a file of arrays"),
        ("train a.toml --set data.resize=99999 --out b", "data.resize: 99999 pixels, expected at most 16384"),
        (
            "train a.toml --set data.normalization.mean=[1.0,2.0] --set data.normalization.std=[1.0] --out b",
            "data.normalization.mean: 2 values, expected 1 or one for each of 1 channels",
        ),
    ] {
        let said = home.fail(command);
        assert!(said.contains(message), "{command}: {said}");
    }
    assert!(!home.path("b").exists());
}

#[test]
fn a_limit_of_0_takes_all_samples() {
    let home = Home::new();
    home.run("train a.toml --out run");
    assert!(home.run("eval run --limit 0").0.ends_with(", 355 samples\n"));
    assert!(home.run("eval run --limit 7 --mean -.5 --std .5").0.ends_with(", 7 samples\n"));
}

#[test]
fn a_run_is_resumed_without_its_experiment_file_and_extended_to_the_same_bytes() {
    let home = Home::new();
    home.run("train a.toml --out short --set train.rate=0.05");
    home.run("train a.toml --out long --set train.rate=0.05 --set train.epochs=3");
    std::fs::remove_file(home.path("a.toml")).unwrap();
    let (_, err) = home.run("train --resume short --set train.epochs=3");
    assert!(err.contains("continues after epoch 1 of 3"), "{err}");
    assert!(home.model("short") == home.model("long"));
    assert!(home.run("train --resume short").0.starts_with("short: mlp-4"));
    // What does not change the result may change too.
    home.run("train --resume short --set train.keep=1 --set data.workers=0");
    assert_eq!(
        home.fail("train --resume short --set train.epochs=2"),
        "error: train.epochs: 2: epochs that are finished: 3; expected at least 3"
    );
    let other = home.fail("train --resume short --set train.rate=0.5");
    assert!(other.contains("train.rate was 0.05, now 0.5"), "{other}");
    assert!(home.fail("train --resume short --out long").contains("name two runs"));
}

#[test]
fn a_run_within_an_epoch_does_not_end_before_it() {
    let home = Home::new();
    let epochs = "--set train.epochs=2 --set train.batch=32 --set train.checkpoint_steps=3 --set train.keep=9";
    home.run(&format!("train a.toml --out run {epochs}"));
    // As if killed in the second epoch, of steps 8 to 14.
    for file in
        ["model.safetensors", "checkpoints/step-000000012.safetensors", "checkpoints/step-000000014.safetensors"]
    {
        std::fs::remove_file(home.path("run").join(file)).unwrap();
    }
    assert_eq!(
        home.fail("train --resume run --set train.epochs=1"),
        "error: train.epochs: 1: epochs that are finished: 1, and part of another; expected at least 2"
    );
    assert!(!home.path("run/model.safetensors").exists());
    home.run("train --resume run");
}

#[test]
fn the_training_split_of_a_run_is_what_it_was_trained_with() {
    let home = Home::new();
    let samples = |command: &str| -> u64 {
        let score: serde_json::Value = serde_json::from_str(&home.run(command).0).unwrap();
        score["samples"].as_u64().unwrap()
    };
    home.run("train a.toml --out run --set data.validation=50");
    assert_eq!(samples("eval run --split train --json"), 150);
    assert_eq!(samples("eval run --json"), 355);
    assert_eq!(samples("eval run --split train --data digits --json"), 1442);
    home.run("train a.toml --out all --set data.limit=0");
    assert_eq!(samples("eval all --split train --json"), 1442);
}

#[test]
fn a_schedule_that_would_have_been_another_is_not_extended() {
    let home = Home::new();
    home.run("train a.toml --out run --set train.schedule=cosine");
    let before = home.model("run");
    let message = home.fail("train --resume run --set train.epochs=2");
    assert!(message.starts_with("error: train.epochs: was 1, now 2: the schedule cosine"), "{message}");
    assert!(home.model("run") == before);
    // Within its warm-up nothing has differed.
    home.run("train a.toml --out warm --set train.schedule=cosine --set train.warmup=2 --set train.epochs=2");
    home.run("train --resume warm --set train.epochs=3");
    home.run("train a.toml --out whole --set train.schedule=cosine --set train.warmup=2 --set train.epochs=3");
    assert!(home.model("warm") == home.model("whole"));
}

#[test]
fn no_epoch_is_selected_on_the_test_split_unless_asked_for() {
    let home = Home::new();
    let has_best = |run: &str| home.path(run).join("best.safetensors").exists();
    home.run("train a.toml --out none");
    home.run("train a.toml --out held-out --set data.validation=100");
    let (_, err) = home.run("train a.toml --out asked --set data.select_on_test=true --set train.epochs=9");
    assert_eq!(["none", "held-out", "asked"].map(has_best), [false, true, true]);
    let best = err.lines().filter(|line| line.starts_with("best after epoch"));
    assert!(best.clone().all(|line| line.contains("selected on the test split and so too good on average")), "{err}");
}

#[test]
fn a_run_that_has_not_ended_is_said_to_be_unfinished() {
    let home = Home::new();
    home.run("train a.toml --out run --set train.epochs=3");
    let (_, err) = home.run("eval run --json");
    assert!(!err.contains("unfinished"), "{err}");
    // As a killed process leaves it.
    std::fs::remove_file(home.path("run/model.safetensors")).unwrap();
    for command in ["show run", "eval run --json", "measure run --only lesion --null none --json"] {
        let (out, err) = home.run(command);
        assert!(err.contains("run: unfinished: 3 of 3 epochs, its latest checkpoint is opened\n"), "{command}: {err}");
        let is_named = out.contains(r#""target": "run (unfinished: 3 of 3 epochs)""#);
        assert!(is_named || command.starts_with("show"), "{command}: {out}");
    }
    let metrics = home.path("run/metrics.jsonl");
    let whole = std::fs::read(&metrics).unwrap();
    std::fs::write(&metrics, &whole[..whole.len() - 30]).unwrap();
    let message = home.fail("eval run");
    assert!(
        message.starts_with("error: run/metrics.jsonl: line 3: expected the figures of an epoch: EOF while parsing"),
        "{message}"
    );
    assert!(message.ends_with("; remove the line to go on without it"), "{message}");
    // The metrics are in the checkpoint too.
    home.run("train --resume run");
    assert!(std::fs::read(&metrics).unwrap() == whole);
    std::fs::remove_file(home.path("run/config.toml")).unwrap();
    let message = home.fail("eval run");
    assert!(message.starts_with("error: --data: run: config.toml is missing, which says"), "{message}");
    std::fs::remove_dir_all(home.path("run/checkpoints")).unwrap();
    std::fs::remove_file(home.path("run/model.safetensors")).unwrap();
    assert!(home.fail("eval run").contains("no run directory: neither"));
    std::fs::write(home.path("run/config.toml"), "").unwrap();
    assert!(home.fail("eval run").ends_with("before the first checkpoint; `unrolled train --resume run` goes on"));
}

#[test]
fn figures_of_held_out_samples_are_not_called_those_of_the_test_split() {
    let home = Home::new();
    for (validation, split) in [(0, "test"), (100, "held-out")] {
        let run = format!("run{validation}");
        let (out, err) = home.run(&format!("train a.toml --out {run} --set data.validation={validation}"));
        assert!(out.contains(&format!("width 8, {split} accuracy ")), "{out}");
        assert!(err.contains(&format!(" {split} loss ")), "{err}");
        let metrics = std::fs::read_to_string(home.path(&format!("{run}/metrics.jsonl"))).unwrap();
        assert!(metrics.contains(&format!(r#""evaluated_on":"{split}""#)), "{metrics}");
        home.run(&format!("measure {run} --only lesion --null none --out {run}-measured"));
        let report = |file: &str| std::fs::read_to_string(home.path(&format!("{run}-measured/{file}"))).unwrap();
        assert!(report("report.html").contains(&format!("After epoch 1 the {split} accuracy is ")));
        assert!(report("training.csv").contains(&format!("run{validation},{split},1,")), "{}", report("training.csv"));
    }
}

#[test]
fn a_training_starts_from_weights_and_takes_a_new_head_for_other_classes() {
    let home = Home::new();
    home.run("train a.toml --out first");
    let (_, err) = home.run("train a.toml --from first --out second --set train.rate=0");
    assert!(err.contains("starts from the weights of first\n"), "{err}");
    assert!(home.run("eval first").0 == home.run("eval second").0);
    for (class, value) in [("ant", 10), ("bee", 200)] {
        (0..4).for_each(|n| image(&home.path(&format!("images/{class}/{n}.png")), 8, value + n));
    }
    let other = home.fail("train a.toml --from first --out third --set data.source=folder:images --set data.limit=0");
    assert!(other.contains("stem.weight: shape"), "{other}");
    assert!(!home.path("third").exists());
    home.run("train a.toml --out colors --set data.source=folder:images --set data.limit=0");
    image(&home.path("images/cow/0.png"), 8, 90);
    let (_, err) = home.run("train a.toml --from colors --out more --set data.source=folder:images --set data.limit=0");
    assert!(err.contains("starts from the weights of colors; new, for other classes: head.weight, head.bias"), "{err}");
    let deeper = home.fail("train a.toml --from first --out deeper --set model.depth=5");
    assert!(deeper.contains("weights: of mlp-4 residual, width 8, the experiment has mlp-5"), "{deeper}");
    // The experiment of the run says what it started from: before its first checkpoint, it starts from there again.
    std::fs::remove_dir_all(home.path("second/checkpoints")).unwrap();
    ["model.safetensors", "metrics.jsonl"]
        .iter()
        .for_each(|name| std::fs::remove_file(home.path("second").join(name)).unwrap());
    assert!(home.run("train --resume second").1.contains("starts from the weights of first"));
    assert!(home.run("eval first").0 == home.run("eval second").0);
}

#[test]
fn a_training_that_was_killed_at_once_leaves_a_directory_that_can_be_trained_in() {
    let home = Home::new();
    for command in ["train a.toml --out run", "train a.toml --resume --out run"] {
        let _ = std::fs::remove_dir_all(home.path("run"));
        std::fs::create_dir(home.path("run")).unwrap();
        std::fs::write(home.path("run/.whole-x.tmp"), "half").unwrap();
        let message = home.fail("train --resume run");
        assert!(message.contains("the run was stopped before it began; train its experiment file"), "{message}");
        home.run(command);
        assert!(home.path("run/model.safetensors").exists() && !home.path("run/.whole-x.tmp").exists());
    }
}

#[test]
fn slim_overwrites_on_request_alone() {
    let home = Home::new();
    home.run("train a.toml --out run");
    let slim = "slim run --blocks stage1.block1 --out slim.safetensors --save-plan plan.toml";
    home.run(slim);
    let message = home.fail(slim);
    assert_eq!(message, "error: plan.toml: there already; name another --save-plan, or replace it with --overwrite");
    let message = home.fail("slim run --blocks stage1.block1 --out slim.safetensors");
    assert_eq!(message, "error: slim.safetensors: there already; name another --out, or replace it with --overwrite");
    home.run(&format!("{slim} --overwrite"));
}

#[test]
fn files_of_a_folder_that_are_no_images_are_counted_and_named() {
    let home = Home::new();
    for class in ["ant", "bee"] {
        (0..3).for_each(|n| image(&home.path(&format!("images/{class}/{n}.png")), 8, 40 * n + class.len() as u8));
    }
    std::fs::write(home.path("images/ant/a.webp"), "").unwrap();
    std::fs::write(home.path("images/.hidden"), "").unwrap();
    let train = "train a.toml --out run --set data.source=folder:images --set data.limit=0";
    let (_, err) = home.run(train);
    assert!(err.contains("training samples: 6 images; 2 files passed over: .hidden, ant/a.webp"), "{err}");
    let (out, err) = home.run("eval run --json");
    assert!(err.contains("folder:images: 6 images; 2 files passed over: .hidden, ant/a.webp"), "{err}");
    assert!(out.contains("\"passed_over\""), "{out}");
}

#[cfg(feature = "onnx")]
#[test]
fn classes_of_a_folder_are_found_by_name_among_those_of_a_graph() {
    let home = Home::new();
    let graph = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/post.onnx");
    std::fs::copy(graph, home.path("net.onnx")).unwrap();
    let outline: serde_json::Value = serde_json::from_str(&home.run("show net.onnx --json").0).unwrap();
    let (classes, side) = (outline["classes"].as_u64().unwrap(), outline["input"][1].as_u64().unwrap() as u32);
    let names: Vec<String> = (0..classes).map(|class| format!("c{class}")).collect();
    // A byte order mark and the line ends of Windows belong to no name.
    std::fs::write(home.path("labels.txt"), format!("\u{feff}{}\r\n", names.join("\r\n"))).unwrap();
    for class in [0, classes - 1] {
        image(&home.path(&format!("images/c{class}/0.png")), side, 20 * class as u8);
    }
    let eval = "eval net.onnx --data folder:images --mean 0 --std 1";
    assert!(home.run(&format!("{eval} --labels labels.txt")).0.ends_with(", 2 samples\n"));
    let message = home.fail(eval);
    assert!(message.starts_with("error: --labels: the data set has 2, the network answers with"), "{message}");
    // Files that are no images are told for a graph too.
    std::fs::write(home.path("images/c0/a.webp"), "").unwrap();
    let (out, err) = home.run(&format!("{eval} --labels labels.txt"));
    assert!(err.contains("folder:images: 2 images; 1 file passed over: c0/a.webp") && out.ends_with(", 2 samples\n"));
    image(&home.path("images/other/0.png"), side, 7);
    let message = home.fail(&format!("{eval} --labels labels.txt"));
    assert!(message.contains("'other' is none of the network's"), "{message}");
}
