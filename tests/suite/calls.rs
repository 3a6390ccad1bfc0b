//! One call of the operating system fails, or the process is killed in its place, each of them in turn: the same command then ends
//! well, with the bytes of a run that nothing disturbed, and leaves nothing beside them.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common::write_network;

/// What `fail.c` does in the place of a call.
const KILL: &str = "0";
const EIO: &str = "5";

struct Place {
    dir: tempfile::TempDir,
    library: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("fail.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fire/fail.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).arg("-ldl");
        assert!(compiler.status().unwrap().success());
        let place = Self { dir, library };
        std::fs::create_dir(place.home()).unwrap();
        write_network(&place.home().join("a.safetensors"), 3);
        place
    }

    fn home(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("home")
    }

    fn command(&self, command: &str) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_unrolled"));
        program.args(command.split(' ')).current_dir(self.home()).stdin(Stdio::null()).env("RAYON_NUM_THREADS", "1");
        program
    }

    fn succeeds(&self, command: &str, what: &str) {
        let Output { status, stderr, .. } = self.command(command).output().unwrap();
        assert!(status.success(), "{command}, {what}: {}", String::from_utf8_lossy(&stderr));
    }

    /// Runs a command whose call of this number is disturbed. Returns whether it succeeds all the same; `None` where it makes no such
    /// call.
    fn disturbed(&self, command: &str, call: &str, at: usize, how: &str) -> Option<bool> {
        let note = self.dir.path().join("note");
        let _ = std::fs::remove_file(&note);
        let mut program = self.command(command);
        program.env("LD_PRELOAD", &self.library).env("FIRE_CALL", call).env("FIRE_AT", at.to_string());
        program.env("FIRE_ERROR", how).env("FIRE_BELOW", self.home()).env("FIRE_NOTE", &note);
        let output = program.output().unwrap();
        assert!(how != KILL || output.status.code().is_none() == note.exists());
        note.exists().then(|| output.status.success())
    }

    /// The files below a directory by their paths, but for those that were there before.
    fn files(&self, below: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in below.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(self.files(&path));
                found.insert(path, Vec::new());
            } else if path.file_name().unwrap() != "a.safetensors" {
                let content = std::fs::read(&path).unwrap();
                // The foot of a page tells the time.
                let end = content.windows(7).position(|part| part == b"<footer").unwrap_or(content.len());
                found.insert(path, content[..end].to_vec());
            }
        }
        found
    }

    fn clear(&self) {
        for path in self.files(&self.home()).into_keys() {
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }

    /// Disturbs every call of a command, of these kinds, and has it run again: with `--resume` where a file is there.
    fn holds(&self, command: &str, resumable: &str, calls: &[&str]) {
        self.succeeds(command, "whole");
        let whole = self.files(&self.home());
        let mut disturbed = 0;
        for (call, how) in calls.iter().flat_map(|call| [(call, KILL), (call, EIO)]) {
            for at in 1.. {
                self.clear();
                let what = format!("{call} {at}, {}", if how == KILL { "killed" } else { "failed" });
                let Some(has_succeeded) = self.disturbed(command, call, at, how) else { break };
                if !has_succeeded {
                    let is_resumed = self.home().join(resumable).is_file();
                    self.succeeds(&format!("{command}{}", if is_resumed { " --resume" } else { "" }), &what);
                }
                let mut found = self.files(&self.home());
                // A lock that could not be removed holds nothing; a temporary file is removed with the next one.
                let is_left = |path: &Path| path.extension().is_some_and(|found| found == "lock" || found == "tmp");
                found.retain(|path, _| !(has_succeeded && is_left(path)));
                let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
                assert_eq!(names(&found), names(&whole), "{command}, {what}");
                assert!(found == whole, "{command}, {what}: other bytes");
                disturbed += 1;
            }
        }
        assert!(disturbed >= 8, "{disturbed}");
        self.clear();
    }
}

#[test]
fn slimming_survives_every_call() {
    let slim = "slim a.safetensors --data digits --limit 20 --remove 1 --by deepest";
    let place = Place::new();
    place.holds(&format!("{slim} --out slim.safetensors --save-plan plan.toml"), "", &["rename", "remove", "fsync"]);
    place.holds(&format!("{slim} --dry-run --save-plan plan.toml"), "", &["rename", "remove", "write"]);
}

#[test]
fn a_report_survives_every_call() {
    let measure = "measure a.safetensors --data digits --limit 20 --only influence --out report";
    Place::new().holds(measure, "report/plan.json", &["rename", "remove"]);
}
