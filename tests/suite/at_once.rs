//! Several processes that are told to write to the same place at once: one does, and the others say why not.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::write_network;

/// How often they are started.
const ROUNDS: usize = 6;
/// How many at once.
const PROCESSES: u64 = 4;

const EXPERIMENT: &str = r#"
model = { kind = "mlp", depth = 4, width = 4 }
data.source = "digits"
train = { epochs = 1, batch = 500 }
"#;

fn start(dir: &Path, arguments: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unrolled"));
    command.args(arguments.split(' ')).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs a command several times at once, each time with another seed. Returns the seed of the one that succeeds; the others end
/// with code `refused` or 2 and one line.
fn winner(dir: &Path, command: &str, refused: i32) -> u64 {
    let children: Vec<Child> =
        (0..PROCESSES).map(|seed| start(dir, &command.replace("SEED", &seed.to_string()))).collect();
    let outputs: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let mut winners = Vec::new();
    for (seed, output) in (0..).zip(outputs) {
        let said = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => winners.push(seed),
            Some(code) => assert!((code == 2 || code == refused) && said.lines().count() == 1, "{code}: {said}"),
            None => panic!("{said}"),
        }
    }
    assert_eq!(winners.len(), 1, "{command}: {winners:?}");
    winners[0]
}

/// The names in a directory, hidden ones too.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = dir.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A directory with a network and an experiment file.
fn place() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    write_network(&home.path().join("a.safetensors"), 3);
    std::fs::write(home.path().join("config.toml"), EXPERIMENT).unwrap();
    let path = home.path().to_owned();
    (home, path)
}

#[test]
fn one_of_several_trainings_has_a_new_directory() {
    let (_home, dir) = place();
    for round in 0..ROUNDS {
        let seed = winner(&dir, &format!("train config.toml --set train.seed=SEED --out run{round}"), 2);
        let run = dir.join(format!("run{round}"));
        let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
        assert!(config.contains(&format!("seed = {seed}")), "{seed}: {config}");
        let expected =
            ["best.safetensors", "checkpoints", "config.toml", "metrics.jsonl", "model.safetensors", "versions.json"];
        assert!(names(&run).iter().all(|name| expected.contains(&name.as_str())), "{:?}", names(&run));
    }
}

#[test]
fn one_of_several_measurements_has_a_new_directory() {
    let (_home, dir) = place();
    for round in 0..ROUNDS {
        let measure = "measure a.safetensors --data digits --limit 20 --only lesion --seed SEED --out";
        let seed = winner(&dir, &format!("{measure} m{round}"), 1);
        let plan = std::fs::read_to_string(dir.join(format!("m{round}/plan.json"))).unwrap();
        assert!(plan.contains(&format!("\"seed\": {seed}")), "{seed}: {plan}");
        assert!(names(&dir.join(format!("m{round}"))).iter().all(|name| !name.starts_with('.')));
    }
}

#[test]
fn one_of_several_slimmings_has_a_new_file() {
    let (_home, dir) = place();
    for round in 0..ROUNDS {
        let slim = "slim a.safetensors --data digits --limit 20 --remove 1 --by random --seed SEED --out";
        winner(&dir, &format!("{slim} slim{round}.safetensors"), 2);
        assert!(dir.join(format!("slim{round}.safetensors")).exists());
    }
    assert!(names(&dir).iter().all(|name| !name.starts_with('.')), "{:?}", names(&dir));
}
