//! A run that is killed and resumed ends in the same bytes as one that never stopped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Everything random at once: order, dropout, layer dropout; and everything that is remembered.
const CONFIG: &str = r#"
[model]
kind = "mlp"
depth = 12
width = 24
wiring = "highway"
norm = true
dropout = [0.1]
layer_dropout = 0.3

[data]
source = "digits"
select_on_test = true

[train]
epochs = 6
batch = 32
rate = 0.05
schedule = "plateau"
ema = 0.9
weight_decay = 1e-4
checkpoint_steps = 7
"#;

/// A text whose words remember those before, over the bounds of batches.
const WORDS: &str = r#"
[model]
kind = "char-lm"
maps = [6, 10]
units = 12
blocks = [2]
dropout = 0.3

[data]
source = "text:HOME"

[train]
epochs = 6
batch = 4
steps = 9
rate = 1.0
momentum = 0.0
schedule = "plateau"
factor = 0.5
threshold = 1.0
clip_norm = 5.0
checkpoint_steps = 7
"#;

/// Sentences that depend on nothing.
fn text(sentences: usize) -> String {
    let words = ["small", "dogs", "see", "the", "old", "bird", "and", "sing"];
    let sentence =
        |i: usize| (0..3 + i % 5).map(|k| words[(i * 7 + k * k * 3) % words.len()]).collect::<Vec<_>>().join(" ");
    (0..sentences).map(|i| sentence(i) + "\n").collect()
}

fn train(config: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unrolled"));
    command.arg("train").arg(config).arg("--out").arg(out).args(more).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Waits until a run has written a checkpoint beyond the ones seen, so that the kill hits somewhere new.
fn wait_for_checkpoint(dir: &Path, seen: &mut Option<PathBuf>) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        let entries = std::fs::read_dir(dir.join("checkpoints")).into_iter().flatten().flatten();
        let latest = entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "safetensors")).max();
        if latest > *seen {
            *seen = latest;
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no checkpoint within a minute");
}

#[test]
fn a_killed_run_ends_in_the_same_bytes() {
    kill(CONFIG, &[]);
}

#[test]
fn a_killed_reader_remembers_what_it_read() {
    kill(WORDS, &[]);
}

/// Kills and resumes runs of both configurations.
#[cfg(feature = "wgpu")]
pub(crate) fn kill_both(more: &[&str]) {
    kill(CONFIG, more);
    kill(WORDS, more);
}

fn kill(config: &str, more: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("train.txt"), text(400)).unwrap();
    std::fs::write(home.path().join("valid.txt"), text(30)).unwrap();
    let text = config.replace("HOME", &home.path().display().to_string().replace('\\', "/"));
    let config = home.path().join("config.toml");
    std::fs::write(&config, text).unwrap();
    let (whole, broken) = (home.path().join("whole"), home.path().join("broken"));
    assert!(train(&config, &whole, more).status().unwrap().success());
    let resumed = [more, &["--resume"]].concat();

    // Of a run that was killed before it had written anything an empty directory is left.
    std::fs::create_dir(&broken).unwrap();
    let mut seen = None;
    let mut kills = 0;
    for pause in [0, 3, 11, 5] {
        let mut child = train(&config, &broken, &resumed).spawn().unwrap();
        wait_for_checkpoint(&broken, &mut seen);
        std::thread::sleep(Duration::from_millis(pause));
        // On Unix this is SIGKILL.
        child.kill().unwrap();
        kills += u32::from(!child.wait().unwrap().success());
    }
    assert!(kills >= 2, "the run was too short to be killed: {kills} kills");
    assert!(train(&config, &broken, &resumed).status().unwrap().success());
    for file in ["model.safetensors", "best.safetensors"] {
        let bytes = |dir: &Path| std::fs::read(dir.join(file)).unwrap();
        assert!(bytes(&whole) == bytes(&broken), "{file} differs");
    }
}

#[test]
fn a_run_is_not_overwritten_and_not_resumed_with_another_configuration() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    std::fs::write(&config, CONFIG.replace("epochs = 6", "epochs = 1")).unwrap();
    let out = home.path().join("run");
    assert!(train(&config, &out, &[]).status().unwrap().success());
    let model = std::fs::read(out.join("model.safetensors")).unwrap();
    let message = |more: &[&str]| {
        let output = train(&config, &out, more).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(message(&[]).contains("not empty; resume the run in it"));
    let other = message(&["--resume", "--set", "train.rate=0.5"]);
    assert!(other.contains("train.rate was 0.05, now 0.5"), "{other}");
    assert_eq!(std::fs::read(out.join("model.safetensors")).unwrap(), model);
    // What is found later changes nothing either.
    let versions = std::fs::read(out.join("versions.json")).unwrap();
    let fewer = message(&["--resume", "--inexact", "--kernels", "reference", "--set", "train.epochs=0"]);
    assert!(fewer.contains("train.epochs"), "{fewer}");
    assert_eq!(std::fs::read(out.join("versions.json")).unwrap(), versions);
}

#[test]
fn a_run_is_resumed_with_data_that_was_moved_and_with_no_other() {
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| home.path().join(name);
    let fill = |data: &str, sentences| {
        std::fs::create_dir(place(data)).unwrap();
        std::fs::write(place(data).join("train.txt"), text(sentences)).unwrap();
        std::fs::write(place(data).join("valid.txt"), text(30)).unwrap();
    };
    fill("data", 400);
    fill("other", 399);
    fill("other-valid", 400);
    std::fs::write(place("other-valid/valid.txt"), text(29)).unwrap();
    let source = |data: &str| format!("text:{}", place(data).display());
    let words = WORDS.replace("text:HOME", &source("data")).replace("epochs = 6", "epochs = 1");
    std::fs::write(place("config.toml"), words).unwrap();
    assert!(train(&place("config.toml"), &place("run"), &[]).status().unwrap().success());
    std::fs::rename(place("data"), place("moved")).unwrap();
    let resume = |source: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unrolled"));
        command.arg("train").arg("--resume").arg(place("run")).args(["--set", "train.epochs=2", "--set"]);
        let output = command.arg(format!("data.source={source}")).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (other, which) in [("other", "training"), ("other-valid", "evaluated")] {
        let (code, message) = resume(&source(other));
        assert!(code == Some(2) && message.contains(&format!("the {which} samples are not those")), "{message}");
        // The checkpoint is right.
        assert!(!message.contains("without this file"), "{message}");
    }
    let (code, message) = resume("digits");
    assert!(code == Some(2) && message.contains("'char-lm' and digits"), "{message}");
    let (code, message) = resume(&source("moved"));
    assert_eq!(code, Some(0), "{message}");
    let config = std::fs::read_to_string(place("run/config.toml")).unwrap();
    assert!(config.contains("moved") && config.contains("epochs = 2"), "{config}");
}

#[test]
fn a_run_that_never_began_is_not_resumed() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let out = home.path().join("misspelt");
    let output = train(&config, &out, &["--resume"]).stderr(Stdio::piped()).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.ends_with("misspelt: nothing to resume, there is no such directory\n"), "{message}");
    assert!(message.lines().count() == 1 && !out.exists());
}

#[test]
fn a_corrupt_checkpoint_is_named() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    std::fs::write(&config, CONFIG.replace("epochs = 6", "epochs = 1")).unwrap();
    let out = home.path().join("run");
    assert!(train(&config, &out, &[]).status().unwrap().success());
    let latest = std::fs::read_dir(out.join("checkpoints")).unwrap().map(|e| e.unwrap().path()).max().unwrap();
    let bytes = std::fs::read(&latest).unwrap();
    std::fs::write(&latest, &bytes[..bytes.len() / 2]).unwrap();
    let output = train(&config, &out, &["--resume"]).stderr(Stdio::piped()).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    let name = latest.file_name().unwrap().to_str().unwrap();
    assert!(message.contains(name) && message.contains("not a whole safetensors file"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

/// A run of one epoch, and what a process says that tries to go on in its directory.
struct Finished {
    home: tempfile::TempDir,
}

impl Finished {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), CONFIG.replace("epochs = 6", "epochs = 1")).unwrap();
        let run = Self { home };
        assert!(run.train(&[]).0, "the first training");
        run
    }

    fn out(&self) -> PathBuf {
        self.home.path().join("run")
    }

    fn checkpoint(&self) -> PathBuf {
        std::fs::read_dir(self.out().join("checkpoints")).unwrap().map(|e| e.unwrap().path()).max().unwrap()
    }

    fn train(&self, more: &[&str]) -> (bool, String) {
        let mut command = train(&self.home.path().join("config.toml"), &self.out(), more);
        let output = command.stderr(Stdio::piped()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    }
}

#[test]
fn a_checkpoint_of_another_training_is_not_continued() {
    let (run, other) = (Finished::new(), Finished::new());
    let plain = other.home.path().join("plain");
    assert!(
        train(&other.home.path().join("config.toml"), &plain, &["--set", "model.wiring=plain"])
            .status()
            .unwrap()
            .success()
    );
    let foreign = std::fs::read_dir(plain.join("checkpoints")).unwrap().map(|e| e.unwrap().path()).max().unwrap();
    std::fs::copy(foreign, run.checkpoint()).unwrap();
    let (succeeded, message) = run.train(&["--resume"]);
    assert!(!succeeded && message.contains("a checkpoint of another network"), "{message}");
    assert!(message.contains("without this file the run continues from step-"), "{message}");
}

#[test]
fn a_run_whose_checkpoints_are_gone_is_not_begun_again() {
    let run = Finished::new();
    let model = std::fs::read(run.out().join("model.safetensors")).unwrap();
    std::fs::remove_dir_all(run.out().join("checkpoints")).unwrap();
    let (succeeded, message) = run.train(&["--resume"]);
    assert!(!succeeded && message.contains("its checkpoints are gone"), "{message}");
    assert_eq!(std::fs::read(run.out().join("model.safetensors")).unwrap(), model);
}

#[test]
fn what_a_killed_process_had_begun_to_write_is_removed_and_a_run_that_is_locked_is_left_alone() {
    let run = Finished::new();
    let unfinished = run.out().join("checkpoints/.whole-abc.tmp");
    std::fs::write(&unfinished, b"half").unwrap();
    let lock = std::fs::File::create(run.out().join(".whole-run.lock")).unwrap();
    lock.lock().unwrap();
    let (succeeded, message) = run.train(&["--resume"]);
    assert!(!succeeded && message.contains("another process is training in this directory"), "{message}");
    assert!(unfinished.exists());
    drop(lock);
    assert!(run.train(&["--resume"]).0);
    assert!(!unfinished.exists());
}

#[test]
fn a_flipped_bit_is_noticed() {
    let run = Finished::new();
    let path = run.out().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let command = Command::new(env!("CARGO_BIN_EXE_unrolled")).arg("show").arg(&path).output().unwrap();
    let message = String::from_utf8(command.stderr).unwrap();
    assert_eq!(command.status.code(), Some(1));
    assert!(message.contains("the checksum differs"), "{message}");
}
