//! The program as several processes, started by `mpirun`. Needs the feature `mpi`.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No command here takes longer, unless its processes wait for each other for ever.
const LIMIT: Duration = Duration::from_secs(120);

const CONFIG: &str = r#"
[model]
kind = "resnet"
depth = 14
width = 4

[data]
source = "digits"
limit = 320

[train]
epochs = 2
batch = 64
rate = 0.05
EXTRA
"#;

/// Runs a shell command in each of so many processes, in a directory; `$unrolled` is the program. One thread each.
fn mpirun(dir: &Path, size: usize, command: &str) -> (i32, Output) {
    let unrolled = env!("CARGO_BIN_EXE_unrolled");
    let mut mpirun = Command::new("mpirun");
    mpirun.args(["--oversubscribe", "-n", &size.to_string(), "sh", "-c", &command.replace("$unrolled", unrolled)]);
    // Tests may run as root, which the launcher otherwise refuses.
    mpirun.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1").env("RAYON_NUM_THREADS", "1");
    let mut child =
        mpirun.current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mpirun is installed");
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("{command}: {size} processes wait for each other");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap_or(-1), output)
}

fn run(dir: &Path, size: usize, command: &str) -> String {
    let (code, output) = mpirun(dir, size, command);
    assert_eq!(code, 0, "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A directory with a run in `run`, trained by one process.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), CONFIG.replace("EXTRA", "")).unwrap();
    run(home.path(), 1, "$unrolled train config.toml --out run");
    home
}

/// Returns a document without what depends on the command and the time.
fn figures(json: &str) -> Value {
    let mut value: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("one document: {e}\n{json}"));
    value.as_object_mut().unwrap().retain(|key, _| key != "command");
    value
}

#[test]
fn the_program_prints_once_and_the_same() {
    let home = home();
    let eval = "$unrolled eval run --limit 90 --json";
    let measure = "$unrolled measure run --limit 90 --only lesion,several,readouts --null none --json";
    for command in [eval, measure] {
        let one = figures(&run(home.path(), 1, command));
        for size in [2, 3] {
            assert!(figures(&run(home.path(), size, command)) == one, "{command}, {size} processes");
        }
    }
    let compare = "$unrolled compare run run --limit 60 --only lesion,influence --out compared && ls compared";
    let printed = run(home.path(), 2, compare);
    assert_eq!(printed.matches("networks side by side").count(), 1, "{printed}");
    assert!(home.path().join("compared/report.html").exists());
}

#[test]
fn the_program_slims_to_the_same_bytes() {
    let home = home();
    for size in [1, 2, 3] {
        run(home.path(), size, &format!("$unrolled slim run --limit 90 --remove 1 --out slim{size}.safetensors"));
    }
    let bytes = |size: usize| std::fs::read(home.path().join(format!("slim{size}.safetensors"))).unwrap();
    assert!(bytes(1) == bytes(2) && bytes(1) == bytes(3));
}

#[test]
fn the_program_trains_reproducibly() {
    let home = home();
    for name in ["a", "b"] {
        run(home.path(), 2, &format!("$unrolled train config.toml --out {name} --set train.checkpoint_steps=2"));
    }
    let bytes = |name: &str| std::fs::read(home.path().join(name).join("model.safetensors")).unwrap();
    assert!(bytes("a") == bytes("b"));
    let (code, output) = mpirun(home.path(), 3, "$unrolled train --resume a --set train.epochs=3");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(code != 0 && said.contains("1 thread in each of 2 processes"), "{said}");
    run(home.path(), 3, "$unrolled train --resume a --set train.epochs=3 --inexact");
}

#[test]
fn a_rank_that_fails_ends_all_of_them() {
    let home = home();
    std::fs::write(home.path().join("other.toml"), CONFIG.replace("EXTRA", "seed = 1")).unwrap();
    run(home.path(), 1, "$unrolled train other.toml --out other");
    let own = |first: &str, second: &str| {
        format!("if [ $OMPI_COMM_WORLD_RANK = 1 ]; then set {second}; else set {first}; fi;")
    };
    for (command, expected) in [
        (own("run", "other") + " $unrolled measure $1 --limit 60 --only lesion", "rank 1: network "),
        (own("60", "61") + " $unrolled measure run --limit $1 --only lesion", "rank 1: data "),
        (own("run", "missing") + " $unrolled measure $1 --limit 60", "rank 1: error: missing"),
        (own("config.toml", "other.toml") + " $unrolled train $1 --out new", "rank 1: experiment "),
        ("$unrolled measure run --shard 1/2 --out shard".into(), "--shard: several processes share the samples"),
        ("$unrolled slim run --latency 1 --dry-run".into(), "--latency: differs from process to process"),
    ] {
        let (code, output) = mpirun(home.path(), 2, &command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(code != 0 && said.contains(expected), "{command}: {code}, {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    assert!(!home.path().join("new").exists() && !home.path().join("shard").exists());
}

#[test]
fn a_sweep_that_is_killed_is_resumed() {
    let home = home();
    let measure = "$unrolled measure run --limit 1700 --only lesion,pairs,repeats --null none --save-every 0.01 --out ";
    let whole = run(home.path(), 2, &format!("{measure} whole --json"));
    // Rank 1 is killed in the midst of its sweep, and the launcher then ends the other.
    let kill = "if [ $OMPI_COMM_WORLD_RANK = 1 ]; then (while ! [ -e broken/ranks/2-of-2/store/lesion.bin ]; do :; done; kill -9 $$) & fi; exec ";
    let (code, _) = mpirun(home.path(), 2, &format!("{kill} {measure} broken --json"));
    assert_ne!(code, 0, "the sweep was too short to be killed");
    let (code, output) = mpirun(home.path(), 2, &format!("{measure} broken"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(code != 0 && said.contains("holds what this shard observed; resume it"), "{said}");
    assert!(figures(&run(home.path(), 2, &format!("{measure} broken --resume --json"))) == figures(&whole));
    assert!(!home.path().join("broken/ranks").exists());
}
