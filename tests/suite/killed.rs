//! Every state that a killed process can leave is continued or begun anew. Here the states are prepared; `resume.rs` and
//! `interrupted.rs` kill processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::write_network;

const EXPERIMENT: &str = r#"
model = { kind = "mlp", depth = 4, width = 4 }
data = { source = "digits", select_on_test = true }
train = { epochs = 2, batch = 500 }
"#;

const DATA: &str = "--data digits --limit 20";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        write_network(&place.path("a.safetensors"), 3);
        place.write("config.toml", EXPERIMENT);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    fn move_file(&self, from: &str, to: &str) {
        std::fs::create_dir_all(self.path(to).parent().unwrap()).unwrap();
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn run(&self, command: &str) -> (i32, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_unrolled"));
        program.args(command.split(' ')).current_dir(self.0.path()).stdin(Stdio::null()).stdout(Stdio::null());
        let output = program.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn succeeds(&self, command: &str) {
        let (code, said) = self.run(command);
        assert_eq!(code, 0, "{command}: {said}");
    }

    fn has_nothing_hidden(&self, name: &str) {
        let names = self.path(name).read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        let hidden: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with('.')).collect();
        assert!(hidden.is_empty(), "{name}: {hidden:?}");
    }
}

/// A run is killed before and after each of the files that it writes before its first step.
#[test]
fn a_training_that_was_killed_at_its_beginning_begins_anew() {
    let place = Place::new();
    place.succeeds("train config.toml --out whole");
    let files: Vec<(&str, Vec<u8>)> = vec![
        (".whole-run.lock", Vec::new()),
        (".whole-abc.tmp", b"half".to_vec()),
        ("versions.json", place.read("whole/versions.json")),
        ("config.toml", place.read("whole/config.toml")),
        ("metrics.jsonl", Vec::new()),
        ("checkpoints/.whole-abc.tmp", b"half".to_vec()),
    ];
    for count in 0..=files.len() {
        for (number, more) in ["", " --resume"].into_iter().enumerate() {
            let run = format!("run{count}-{number}");
            std::fs::create_dir(place.path(&run)).unwrap();
            for (name, content) in &files[..count] {
                place.write(&format!("{run}/{name}"), std::str::from_utf8(content).unwrap());
            }
            place.succeeds(&format!("train config.toml --out {run}{more}"));
            for name in ["versions.json", "model.safetensors", "config.toml"] {
                assert!(place.read(&format!("{run}/{name}")) == place.read(&format!("whole/{name}")), "{run}/{name}");
            }
            place.has_nothing_hidden(&run);
            place.has_nothing_hidden(&format!("{run}/checkpoints"));
        }
    }
    // What is not such a beginning is somebody else's.
    for (name, content) in [("config.toml", EXPERIMENT), ("versions.json", "{}"), ("metrics.jsonl", "{}")] {
        place.write(&format!("foreign-{name}/{name}"), content);
        let (code, said) = place.run(&format!("train config.toml --out foreign-{name}"));
        assert!(code == 2 && said.contains("not empty"), "{name}: {said}");
        assert_eq!(place.read(&format!("foreign-{name}/{name}")), content.as_bytes());
    }
}

/// An epoch ends with three files: the best model, the checkpoint, the metrics.
#[test]
fn a_training_that_was_killed_at_the_end_of_an_epoch_continues() {
    let place = Place::new();
    place.succeeds("train config.toml --out whole");
    let metrics = |run: &str| {
        let text = String::from_utf8(place.read(&format!("{run}/metrics.jsonl"))).unwrap();
        // The seconds differ.
        text.lines().map(|line| line.split("\"seconds\"").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (number, has_checkpoint) in [false, true].into_iter().enumerate() {
        let run = format!("run{number}");
        place.succeeds(&format!("train config.toml --set train.epochs=1 --out {run}"));
        std::fs::remove_file(place.path(&format!("{run}/model.safetensors"))).unwrap();
        place.write(&format!("{run}/metrics.jsonl"), "");
        if has_checkpoint {
            // Killed after it was written: the oldest one is still there.
            place.write(&format!("{run}/checkpoints/step-000000001.safetensors"), "old");
            place.write(&format!("{run}/checkpoints/step-000000002.safetensors"), "old");
        } else {
            std::fs::remove_dir_all(place.path(&format!("{run}/checkpoints"))).unwrap();
        }
        place.succeeds(&format!("train config.toml --set train.epochs=1 --out {run} --resume"));
        assert_eq!(metrics(&run), metrics("whole")[..1], "{run}");
        if has_checkpoint {
            assert!(!place.path(&format!("{run}/checkpoints/step-000000001.safetensors")).exists());
        }
        place.succeeds(&format!("train config.toml --out {run} --resume"));
        assert_eq!(metrics(&run), metrics("whole"), "{run}");
        for name in ["model.safetensors", "best.safetensors"] {
            assert!(place.read(&format!("{run}/{name}")) == place.read(&format!("whole/{name}")), "{run}/{name}");
        }
    }
}

#[test]
fn a_run_without_versions_is_held_to_those_it_goes_on_with() {
    let place = Place::new();
    place.succeeds("train config.toml --set train.epochs=1 --out run");
    std::fs::remove_file(place.path("run/versions.json")).unwrap();
    place.succeeds("train config.toml --out run --resume --set train.epochs=2");
    let (code, said) = place.run("train config.toml --out run --resume --set train.epochs=3 --kernels reference");
    assert!(code == 2 && said.contains("--inexact"), "{code}: {said}");
}

#[test]
fn a_measurement_that_was_killed_before_it_had_a_plan_begins() {
    let place = Place::new();
    let measure = format!("measure a.safetensors {DATA} --only lesion");
    place.succeeds(&format!("{measure} --out whole"));
    for (number, more) in ["", " --resume"].into_iter().enumerate() {
        let out = format!("m{number}");
        place.write(&format!("{out}/.whole-abc.tmp"), "half");
        place.write(&format!("{out}/.whole-report.lock"), "");
        place.write(&format!("{out}/.whole-measurements.lock"), "");
        place.succeeds(&format!("{measure} --out {out}{more}"));
        place.has_nothing_hidden(&out);
        assert!(place.read(&format!("{out}/measurements.json")) == place.read("whole/measurements.json"));
    }
}

/// The numbers, the page and the tables of a report are those of one time, wherever a process is killed.
#[test]
fn a_report_whose_process_was_killed_is_finished() {
    let place = Place::new();
    let measure = format!("measure a.safetensors {DATA} --only");
    let files = ["measurements.json", "report.html", "report.json", "influence.csv", "lesion.csv"];
    for (number, again) in ["measure", "report"].into_iter().enumerate() {
        let out = format!("m{number}");
        place.succeeds(&format!("{measure} lesion --out {out}"));
        let old = files[..3].iter().map(|name| (*name, place.read(&format!("{out}/{name}")))).collect::<Vec<_>>();
        place.succeeds(&format!("{measure} influence --out {out}"));
        // Before: half of a report is written.
        place.write(&format!("{out}/.whole-0123abcd-report.new/files/report.html"), "half");
        // After: none, some or all of the new files are in their places.
        let new = files.map(|name| place.read(&format!("{out}/{name}")));
        for name in files {
            place.move_file(&format!("{out}/{name}"), &format!("{out}/.whole-0123abcd-report.ready/files/{name}"));
        }
        place.write(&format!("{out}/.whole-0123abcd-report.ready/removed.json"), "[\"gone.csv\"]");
        place.write(&format!("{out}/gone.csv"), "old");
        for (name, content) in &old[number..] {
            std::fs::write(place.path(&format!("{out}/{name}")), content).unwrap();
        }
        place.succeeds(&if again == "report" {
            format!("report {out}")
        } else {
            format!("{measure} influence --out {out}")
        });
        for (name, content) in files.into_iter().zip(&new).filter(|(name, _)| *name != "report.html") {
            assert!(place.read(&format!("{out}/{name}")) == *content, "{out}/{name}");
        }
        assert!(!place.path(&format!("{out}/gone.csv")).exists());
        place.has_nothing_hidden(&out);
    }
}

#[test]
fn a_slimming_that_was_killed_begins_anew_or_is_finished() {
    let place = Place::new();
    let slim = format!("slim a.safetensors {DATA} --remove 1 --by deepest --out slim.safetensors");
    place.write(".whole-0123abcd-slim.safetensors.new/files/slim.safetensors", "half");
    place.write(".whole-slim.safetensors.lock", "");
    place.succeeds(&slim);
    place.has_nothing_hidden("");
    let written = place.read("slim.safetensors");
    place.move_file("slim.safetensors", ".whole-0123abcd-slim.safetensors.ready/files/slim.safetensors");
    place.write(".whole-0123abcd-slim.safetensors.ready/removed.json", "[]");
    place.succeeds(&slim);
    assert!(place.read("slim.safetensors") == written);
    place.has_nothing_hidden("");
    let (code, said) = place.run(&slim);
    assert!(code == 2 && said.contains("slim.safetensors: there already"), "{said}");
    // Killed after it: the command may not have said anything, or written its plan.
    place.write(".whole-slim.safetensors.output.lock", "locked\n");
    place.succeeds(&format!("{slim} --save-plan plan.toml"));
    let plan = place.read("plan.toml");
    for lock in [".whole-slim.safetensors.output.lock", ".whole-plan.toml.output.lock"] {
        place.write(lock, "locked\n");
    }
    let (_, said) = place.run(&format!("{slim} --save-plan plan.toml"));
    assert!(said.contains("slim.safetensors: there from a command that did not end"), "{said}");
    assert!(place.read("plan.toml") == plan);
    // Another command does not replace what it has left.
    place.write(".whole-slim.safetensors.output.lock", "locked\n");
    let (code, said) = place.run(&slim.replace("deepest", "random --seed 3"));
    assert!(code == 1 && said.contains("slim.safetensors: is there already, with other content"), "{said}");
    assert!(place.read("slim.safetensors") == written);
    // The command that has written it still knows.
    place.succeeds(&slim);
    place.has_nothing_hidden("");
}

/// A folder that was copied in part, in a directory of its own beside its place.
#[test]
fn a_folder_that_was_killed_is_written_anew() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/folders/gemma").display().to_string();
    place.write(".whole-0123abcd-out.new/model.safetensors", "half");
    place.succeeds(&format!("slim {folder} --blocks model.layers.1 --out out"));
    place.has_nothing_hidden("");
    assert!(place.path("out/config.json").exists());
}
