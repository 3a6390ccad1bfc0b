//! The scripts for clusters, with processes of this machine in the place of jobs.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn script(name: &str, dir: &Path, task: Option<usize>, arguments: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/cluster").join(name);
    let mut command = Command::new("bash");
    command.arg(script).args(arguments.split_whitespace()).current_dir(dir);
    command.env("UNROLLED", env!("CARGO_BIN_EXE_unrolled")).env_remove("SLURM_ARRAY_TASK_ID");
    if let Some(task) = task {
        command.env("SLURM_ARRAY_TASK_ID", task.to_string()).env("SLURM_CPUS_PER_TASK", "1");
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn figures(json: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(json).unwrap();
    value.as_object_mut().unwrap().retain(|key, _| key != "command");
    value
}

#[test]
fn shards_of_a_job_array_are_merged_and_a_lost_one_is_run_again() {
    let home = tempfile::tempdir().unwrap();
    crate::common::write_network(&home.path().join("net.safetensors"), 1);
    let options = "--data digits --limit 70 --only lesion,readouts --null none";
    let shards = format!("3 net.safetensors out {options}");
    for task in [1, 3] {
        let output = script("shards.sh", home.path(), Some(task), &shards);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let merge = script("merge.sh", home.path(), None, "out --json");
    assert!(text(&merge.stderr).contains("shard 2/3 is missing"), "{}", text(&merge.stderr));
    assert!(!home.path().join("out/merged/report.html").exists());
    // A task that is started twice changes nothing.
    for task in [2, 2] {
        let output = script("shards.sh", home.path(), Some(task), &shards);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let merge = script("merge.sh", home.path(), None, "out --json");
    assert!(merge.status.success(), "{}", text(&merge.stderr));

    let mut whole = Command::new(env!("CARGO_BIN_EXE_unrolled"));
    whole.args(["measure", "net.safetensors", "--json"]).args(options.split_whitespace());
    let whole = whole.current_dir(home.path()).output().unwrap();
    assert!(whole.status.success(), "{}", text(&whole.stderr));
    assert!(figures(&merge.stdout) == figures(&whole.stdout));
    assert!(home.path().join("out/merged/report.html").exists());
}

#[test]
fn the_scripts_say_how_they_are_called() {
    let home = tempfile::tempdir().unwrap();
    for (name, arguments, expected) in [
        ("shards.sh", "3", "usage: sbatch --array=1-N"),
        ("shards.sh", "3 net out", "SLURM_ARRAY_TASK_ID: is set by sbatch --array=1-3"),
        ("merge.sh", "", "usage: "),
    ] {
        let output = script(name, home.path(), None, arguments);
        assert!(
            !output.status.success() && text(&output.stderr).contains(expected),
            "{name}: {}",
            text(&output.stderr)
        );
    }
    assert_eq!(home.path().read_dir().unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn scripts_can_be_executed() {
    use std::os::unix::fs::PermissionsExt;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = ["configs/claims", "configs/cluster", ".ci"].map(|dir| root.join(dir).read_dir().unwrap());
    let scripts = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
    let scripts: Vec<_> = scripts.filter(|path| std::fs::read(path).unwrap().starts_with(b"#!")).collect();
    assert!(scripts.len() >= 7, "{scripts:?}");
    for script in scripts {
        assert_eq!(script.metadata().unwrap().permissions().mode() & 0o111, 0o111, "{}", script.display());
    }
}
