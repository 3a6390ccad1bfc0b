//! A measurement that is killed and resumed ends in the same bytes as one that never stopped, but for the facts at the end
//! of the page, and nothing in a directory is lost.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use unrolled::measure::{EvalSet, Measure, Measurements, Progress};
use unrolled::open::AnyNetwork;

use crate::common::write_network as network;

/// How often the measurement is killed.
const KILLS: usize = 10;

fn measure(network: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unrolled"));
    command.arg("measure").arg(network).args(["--data", "digits", "--limit", "120", "--out"]).arg(out).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeded(output: Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Every file below a directory with its content; of the page without the facts at its end, which tell the time.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in next.read_dir().unwrap().map(std::result::Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
                continue;
            }
            let name = entry.path().strip_prefix(dir).unwrap().display().to_string();
            let mut bytes = std::fs::read(entry.path()).unwrap();
            if name == "report.html" {
                let page = text(&bytes);
                bytes = page.split("<footer").next().unwrap().as_bytes().to_vec();
            }
            all.insert(name, bytes);
        }
    }
    all
}

fn assert_same(expected: &Path, found: &Path) {
    let (expected, found) = (files(expected), files(found));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
}

#[test]
fn killed_at_any_moment_it_ends_in_the_same_bytes() {
    kill_and_resume(&[]);
}

/// Without a pass of probes the first sweep observes the whole network.
#[test]
fn killed_during_sweeps_alone_it_ends_in_the_same_bytes() {
    kill_and_resume(&["--only", "repeats,iteration"]);
}

fn kill_and_resume(only: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.safetensors");
    network(&path, 3);
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    let begun = std::time::Instant::now();
    let printed = succeeded(measure(&path, &whole, only).output().unwrap());
    let lasted = begun.elapsed();
    let mut random = 12_345_u64;
    let mut stopped = 0;
    for round in 0..KILLS {
        // A run that is killed before it has a directory has nothing to resume.
        let is_begun = round > 0 && killed.exists();
        let more: &[&str] = if is_begun { &["--save-every", "0", "--resume"] } else { &["--save-every", "0"] };
        let mut child = measure(&path, &killed, &[only, more].concat()).spawn().unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = (random >> 33) as f64 / (1_u64 << 31) as f64;
        std::thread::sleep(Duration::from_secs_f64(0.3 * share * lasted.as_secs_f64()));
        child.kill().unwrap();
        stopped += usize::from(!child.wait().unwrap().success());
    }
    assert!(stopped >= KILLS / 2, "killed while it ran {stopped} of {KILLS} times");
    let more: &[&str] = if killed.exists() { &["--resume"] } else { &[] };
    // What a kill in the middle of a file leaves behind.
    let files = [".whole-a.tmp", "measurements/.whole-b.tmp", "store/.whole-c.tmp"].map(|name| killed.join(name));
    for file in files.iter().filter(|file| !more.is_empty() && file.parent().unwrap().exists()) {
        std::fs::write(file, "half").unwrap();
    }
    let resumed = succeeded(measure(&path, &killed, &[only, more].concat()).output().unwrap());
    assert_eq!(printed, resumed);
    assert_same(&whole, &killed);
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_is_finished_and_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.safetensors");
    network(&path, 3);
    let (whole, stopped) = (dir.path().join("whole"), dir.path().join("stopped"));
    succeeded(measure(&path, &whole, &[]).output().unwrap());
    let child = measure(&path, &stopped, &[]).spawn().unwrap();
    while !stopped.join("measurements/estimation.json").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("keeps what is finished; to go on run the same command with --resume"), "{said}");
    let refused = measure(&path, &stopped, &[]).output().unwrap();
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("unfinished measurements; resume them"), "{said}");
    succeeded(measure(&path, &stopped, &["--resume"]).output().unwrap());
    assert_same(&whole, &stopped);
}

#[test]
fn measurements_of_one_network_add_up_and_others_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("net.safetensors"), dir.path().join("other.safetensors"));
    network(&path, 3);
    network(&other, 4);
    let (once, parts) = (dir.path().join("once"), dir.path().join("parts"));
    succeeded(measure(&path, &once, &["--only", "lesion,influence"]).output().unwrap());
    succeeded(measure(&path, &parts, &["--only", "influence"]).output().unwrap());
    std::fs::write(parts.join("notes.txt"), "mine").unwrap();
    succeeded(measure(&path, &parts, &["--only", "lesion"]).output().unwrap());
    assert_eq!(std::fs::read_to_string(parts.join("notes.txt")).unwrap(), "mine");
    for name in ["measurements.json", "lesion.csv", "influence.csv"] {
        let read = |dir: &Path| std::fs::read(dir.join(name)).unwrap();
        assert!(read(&once) == read(&parts), "{name}");
    }
    let before = files(&parts);
    for (network, more, message) in [
        (&other, &["--only", "gates"][..], "plan.json: holds network"),
        (&path, &["--only", "gates", "--seed", "7"], "holds seed 0, seed 7 was asked for"),
        (&path, &["--only", "gates", "--split", "train"], "plan.json: holds data"),
        (&path, &["--only", "gates", "--shard", "1/2"], "holds all samples, shard 1/2 was asked for"),
    ] {
        let output = measure(network, &parts, more).output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.lines().count() == 1 && said.contains(message), "{message}: {said}");
    }
    let fresh = measure(&path, &dir.path().join("fresh"), &["--resume"]).output().unwrap();
    assert!(text(&fresh.stderr).contains("nothing to resume"), "{}", text(&fresh.stderr));
    assert!(before == files(&parts), "nothing is touched by what is refused");
}

/// Work that keeps checkpoints by itself does not wait for a second Ctrl-C.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_training_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let mut train = Command::new(env!("CARGO_BIN_EXE_unrolled"));
    train.args(["train", "configs/demo/highway.toml", "--set", "train.epochs=100000", "--out"]).arg(&run);
    let mut child = train.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !run.join("metrics.jsonl").exists() {
        assert!(std::time::Instant::now() < deadline, "an epoch is finished");
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if std::time::Instant::now() > deadline {
            child.kill().unwrap();
            panic!("still training");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(130));
}

/// A pass that was stored has fed the probes of its measurements, and no others.
#[test]
fn a_measurement_that_is_added_sees_every_sample() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.safetensors");
    network(&path, 3);
    let (once, added) = (dir.path().join("once"), dir.path().join("added"));
    succeeded(measure(&path, &once, &["--only", "estimation"]).output().unwrap());
    succeeded(measure(&path, &added, &["--only", "influence", "--keep-store"]).output().unwrap());
    succeeded(measure(&path, &added, &["--only", "estimation", "--resume"]).output().unwrap());
    let read = |dir: &Path| std::fs::read(dir.join("measurements/estimation.json")).unwrap();
    assert!(read(&once) == read(&added));
}

/// A name that is no UTF-8 is an ordinary name.
#[cfg(unix)]
#[test]
fn a_path_that_is_no_utf8_is_measured() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"bad\xff.safetensors"));
    network(&path, 3);
    let out = dir.path().join(std::ffi::OsStr::from_bytes(b"out\xfe"));
    succeeded(measure(&path, &out, &["--only", "lesion"]).output().unwrap());
    assert!(out.join("report.html").exists());
}

/// Stops as soon as a measurement is finished.
struct UntilFinished(&'static str, bool);

impl Progress for UntilFinished {
    fn update(&mut self, _: u64, _: u64) -> ControlFlow<()> {
        if self.1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn finished(&mut self, name: &str) {
        self.1 |= name == self.0;
    }
}

#[test]
fn what_is_finished_can_be_read_after_an_interruption() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("net.safetensors"), dir.path().join("out"));
    network(&path, 3);
    let mut network = AnyNetwork::open(&path).unwrap();
    let data = EvalSet::open("digits").unwrap().limit(40).for_network(&mut network).unwrap();
    let measure = Measure::new().only(["estimation", "lesion", "shuffle"]).unwrap();
    let stopped = measure.clone().directory(&out).run(&network, &data, &mut UntilFinished("lesion", false));
    assert!(matches!(stopped, Err(unrolled::Error::Interrupted)));
    let read = Measurements::read(&out).unwrap().remove(0);
    let whole = measure.run(&network, &data, &mut ()).unwrap();
    assert_eq!(read.baseline, whole.baseline);
    assert_eq!(read.outputs.keys().collect::<Vec<_>>(), ["estimation", "lesion"]);
    assert_eq!(read.outputs["lesion"], whole.outputs["lesion"]);
}
