//! What the program does with a directory that it is to write to and that is not empty, or to read and that is damaged.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::write_network;

/// A directory with two networks, `a.safetensors` and `b.safetensors`, in which commands run.
struct Workplace(tempfile::TempDir);

impl Workplace {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_network(&dir.path().join("a.safetensors"), 3);
        write_network(&dir.path().join("b.safetensors"), 4);
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command on a few samples; returns its exit code and the lines of its errors.
    fn run(&self, command: &str) -> (i32, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_unrolled"));
        program.args(command.split(' ')).current_dir(self.0.path()).stdin(Stdio::null());
        let output = program.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn succeeds(&self, command: &str) {
        let (code, said) = self.run(command);
        assert_eq!(code, 0, "{command}: {said}");
    }

    /// Asserts that a command ends with one line that says so.
    fn fails(&self, command: &str, code: i32, expected: &str) {
        let (found, said) = self.run(command);
        assert!(found == code && said.lines().count() == 1 && said.contains(expected), "{command}: {found}, {said}");
    }

    /// Every file below a directory, with its content.
    fn files(&self, name: &str) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let mut waiting = vec![self.path(name)];
        while let Some(next) = waiting.pop() {
            match next.read_dir() {
                Ok(entries) => waiting.extend(entries.map(|entry| entry.unwrap().path())),
                Err(_) => files.push((relative(&next, &self.path(name)), std::fs::read(&next).unwrap())),
            }
        }
        files.sort();
        files
    }

    fn names(&self, name: &str) -> Vec<String> {
        self.files(name).into_iter().map(|(name, _)| name).collect()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }
}

fn relative(path: &Path, directory: &Path) -> String {
    path.strip_prefix(directory).unwrap().display().to_string()
}

const DATA: &str = "--data digits --limit 20";

/// Every command that writes a directory, but for its directory.
fn writers() -> [(String, &'static str); 4] {
    [
        (format!("measure a.safetensors {DATA} --only lesion --out"), "measurement"),
        (format!("compare a.safetensors b.safetensors {DATA} --only lesion --out"), "comparison"),
        (format!("slim a.safetensors {DATA} --report"), "slimming"),
        ("demo --out".into(), "demo"),
    ]
}

#[test]
fn no_foreign_file_is_replaced() {
    let place = Workplace::new();
    let names =
        ["report.html", "report.json", "measurements.json", "lesion.csv", "slim.json", "measurements/lesion.json"];
    for (command, kind) in writers() {
        for (number, name) in names.into_iter().enumerate() {
            let directory = format!("{kind}-{number}");
            place.write(&format!("{directory}/{name}"), "mine");
            let shown = name.split('/').next().unwrap();
            let expected = format!("{directory}/{shown}: is there already, and belongs to no {kind} here");
            place.fails(&format!("{command} {directory}"), 1, &expected);
            assert_eq!(place.files(&directory), [(name.to_owned(), b"mine".to_vec())], "{command}");
        }
    }
}

#[test]
fn a_measurement_is_replaced_by_no_other_command() {
    let place = Workplace::new();
    place.succeeds(&format!("measure a.safetensors {DATA} --only lesion,influence --out m"));
    let before = place.files("m");
    for (command, kind) in &writers()[1..] {
        place.fails(&format!("{command} m"), 1, &format!("belongs to no {kind} here; name another directory"));
    }
    place.fails("measure a.safetensors --data digits --limit 25 --out m", 1, "holds 20 samples, 25 were asked for");
    assert!(place.files("m") == before);
    // One that was stopped before it had a report.
    std::fs::remove_file(place.path("m/report.json")).unwrap();
    place.write("stopped/plan.json", &String::from_utf8(std::fs::read(place.path("m/plan.json")).unwrap()).unwrap());
    for (command, _) in &writers()[1..] {
        place.fails(&format!("{command} stopped"), 1, "stopped/plan.json: is there already");
    }
}

#[test]
fn a_comparison_is_added_to_and_leaves_nothing_of_other_networks() {
    let place = Workplace::new();
    let compare = |networks: &str, only: &str, out: &str| {
        place.succeeds(&format!("compare {networks} {DATA} --only {only} --out {out}"));
    };
    let (networks, others) = ("a.safetensors b.safetensors", "b.safetensors a.safetensors");
    compare(networks, "influence", "twice");
    place.write("twice/notes.txt", "mine");
    compare(networks, "lesion", "twice");
    compare(networks, "lesion,influence", "once");
    let report = |out: &str| {
        let names = place.names(out).into_iter();
        names.filter(|name| !name.starts_with("networks/")).collect::<Vec<_>>()
    };
    let with_notes = |out: &str| {
        let mut names = report(out);
        names.push("notes.txt".into());
        names.sort();
        names
    };
    assert_eq!(report("twice"), with_notes("once"));
    let table = |out: &str, name: &str| std::fs::read_to_string(place.path(out).join(name)).unwrap();
    for name in ["influence.csv", "lesion.csv", "paired.csv"] {
        assert_eq!(table("twice", name), table("once", name));
    }
    compare(others, "lesion", "twice");
    compare(others, "lesion", "others");
    assert_eq!(report("twice"), with_notes("others"));
    assert!(!report("twice").contains(&"influence.csv".to_owned()));
    // What was measured is kept, and ends the first comparison at once.
    compare(networks, "lesion,influence", "twice");
    assert_eq!(table("twice", "influence.csv"), table("once", "influence.csv"));
    let resumed = format!("compare {networks} {DATA} --only lesion --resume --out");
    place.succeeds(&format!("{resumed} twice"));
    place.fails(&format!("{resumed} nowhere"), 1, "nowhere: nothing to resume, there is no such directory");
}

/// What `compare` says of a network is what `measure` says, and its paired differences are those of the same predictions.
#[test]
fn a_comparison_has_the_paired_differences_of_its_networks() {
    let place = Workplace::new();
    for only in ["lesion", "influence"] {
        place.succeeds(&format!("compare a.safetensors b.safetensors {DATA} --only {only} --out {only}"));
    }
    let paired = |name: &str| std::fs::read_to_string(place.path(name).join("paired.csv")).unwrap();
    assert_eq!(paired("lesion").lines().count(), 2);
    assert_eq!(paired("lesion"), paired("influence"));
}

#[test]
fn a_report_is_drawn_from_a_file_too() {
    let place = Workplace::new();
    place.succeeds(&format!("measure a.safetensors {DATA} --only lesion --out one"));
    place.succeeds(&format!("compare a.safetensors b.safetensors {DATA} --only lesion --out two"));
    for name in ["one", "two"] {
        let before = place.files(name);
        place.succeeds(&format!("report {name}/measurements.json"));
        place.succeeds(&format!("report {name}"));
        let same = place.files(name).into_iter().zip(&before).filter(|(after, before)| after == *before).count();
        assert_eq!(same, before.len() - 1, "nothing but the facts of the page changes");
        let alone = place.path("alone").join(name);
        std::fs::create_dir_all(&alone).unwrap();
        std::fs::copy(place.path(name).join("measurements.json"), alone.join("copy.json")).unwrap();
        for _ in 0..2 {
            place.succeeds(&format!("report alone/{name}/copy.json"));
            place.succeeds(&format!("report alone/{name}/copy.json --figures --width 300"));
        }
        let figure = std::fs::read_to_string(alone.join("figures/lesion-cost.svg")).unwrap();
        assert!(figure.contains("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"300\""), "{figure}");
    }
    place.write("foreign/report.html", "mine");
    std::fs::copy(place.path("one/measurements.json"), place.path("foreign/copy.json")).unwrap();
    place.fails("report foreign/copy.json", 1, "foreign/report.html: is there already");
    place.fails("report none.json", 1, "none.json: no such file");
    for width in ["0", "199", "4001", "99999999"] {
        let (code, said) = place.run(&format!("report one --figures --width {width}"));
        assert!(code == 2 && said.contains("is not in 200..=4000"), "{said}");
    }
}

#[test]
fn a_damaged_result_is_named() {
    let place = Workplace::new();
    place.succeeds(&format!("measure a.safetensors {DATA} --only lesion --out m"));
    place.write("m/measurements/lesion.json", "[]");
    for command in ["report m".to_owned(), format!("measure a.safetensors {DATA} --only lesion --out m")] {
        place.fails(&command, 1, "m/measurements/lesion.json: damaged: no output of lesion");
    }
    let numbers = std::fs::read_to_string(place.path("m/measurements.json")).unwrap();
    let mut numbers: serde_json::Value = serde_json::from_str(&numbers).unwrap();
    numbers["lesion"] = serde_json::json!([]);
    place.write("alone.json", &numbers.to_string());
    place.fails("report alone.json", 1, "alone.json: no measurements: no output of lesion");
}

#[test]
fn an_option_of_samples_needs_samples() {
    let place = Workplace::new();
    for option in ["--limit 10", "--split train", "--batch 8", "--resize 8", "--crop 8"] {
        let (code, said) = place.run(&format!("merge s1 s2 --out m {option}"));
        assert!(code == 2 && said.contains("--data: no samples are named"), "{option}: {said}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_named() {
    let place = Workplace::new();
    std::os::unix::fs::symlink("nowhere", place.path("link")).unwrap();
    for (command, _) in writers() {
        place.fails(&format!("{command} link"), 1, "link: a link to nothing");
    }
}

/// Names from files are shown, and neither a terminal nor a browser interprets them.
#[cfg(unix)]
#[test]
fn names_with_control_characters_are_shown_everywhere() {
    let place = Workplace::new();
    // ESC, a control character of C1, an override of the direction of writing.
    let name = "a\u{1b}[31m\u{9b}2J\u{202e}txt";
    std::fs::copy(place.path("a.safetensors"), place.path(&format!("{name}.safetensors"))).unwrap();
    let is_bad = |text: &str| text.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}');
    let shown = "a\\u001b[31m\\u009b2J\\u202etxt";
    for (command, is_named) in [
        (format!("show {name}.safetensors"), false),
        (format!("compare {name}.safetensors b.safetensors {DATA} --only lesion --out two"), true),
        (format!("compare {name}.safetensors b.safetensors {DATA} --only lesion --json --out two"), true),
        (format!("measure {name}.safetensors {DATA} --only lesion --out {name}"), true),
        (format!("measure {name}.safetensors {DATA} --only lesion --json"), true),
        (format!("eval {name}.safetensors {DATA} --json"), true),
        ("report two --figures".into(), false),
        (format!("measure a.safetensors {DATA} --only {name}"), false),
        (format!("report {name}.safetensors"), true),
    ] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_unrolled"));
        let output =
            program.args(command.split(' ')).current_dir(place.0.path()).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(!said.is_empty() && !is_bad(&said), "{command:?}: {said:?}");
        assert!(!is_named || said.contains(shown), "{command:?}: {said}");
    }
    for directory in ["two", name] {
        for (file, bytes) in place.files(directory).into_iter().filter(|(file, _)| !file.ends_with(".bin")) {
            let text = String::from_utf8(bytes).unwrap();
            assert!(!is_bad(&text), "{file}");
            let has_name = file.ends_with(".html") || file == "measurements.json";
            assert!(!has_name || text.contains(shown), "{file}");
        }
    }
    let json = std::fs::read_to_string(place.path(name).join("measurements.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["target"].as_str().unwrap().contains(name));
}
