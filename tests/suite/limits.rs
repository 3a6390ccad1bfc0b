//! What a machine does not give: threads, memory. Errors of one line, and no crash.

use std::process::{Command, Stdio};

/// Runs a training with limits of the shell, such as `-v 500000`; returns the exit code and the lines of its errors.
fn train(limits: &str, threads: &str, width: usize) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    let text =
        format!("model = {{ kind = 'mlp', depth = 4, width = {width} }}\ndata.source = 'digits'\ntrain.epochs = 1");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -c 0; ulimit {limits}; exec \"$0\" train config.toml --out run")]);
    command.arg(env!("CARGO_BIN_EXE_unrolled")).current_dir(home.path()).env("RAYON_NUM_THREADS", threads);
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn too_many_threads_are_an_error() {
    let (code, said) = train("-c 0", "100000", 4);
    assert!(code == Some(2) && said.lines().count() == 1, "{code:?}: {said}");
    assert!(said.contains("RAYON_NUM_THREADS: 100000, at most 1024"), "{said}");
}

/// A thread takes two megabytes of addresses for its stack.
#[cfg(target_os = "linux")]
#[test]
fn threads_that_cannot_be_started_are_an_error() {
    let (code, said) = train("-v 600000", "1000", 4);
    assert!(code == Some(1) && said.lines().count() == 1, "{code:?}: {said}");
    assert!(said.starts_with("error: the threads that compute cannot be started: "), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let (code, said) = train("-v 400000", "1", 6000);
    assert!(code == Some(1) && said.contains("error: "), "{code:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// Whatever of threads and memory is missing, nothing panics. Below the first limits the program cannot be loaded at all.
#[cfg(target_os = "linux")]
#[test]
fn no_limit_of_memory_makes_it_panic() {
    // What the program needs depends on its features.
    let mut codes = Vec::new();
    for limit in (34_000..200_000).step_by(1_500) {
        let (code, said) = train(&format!("-v {limit}"), "4", 4);
        assert!(code != Some(101) && !said.contains("failed to spawn thread"), "{limit}: {code:?}: {said}");
        codes.push(code);
        if code == Some(0) {
            break;
        }
    }
    assert!(codes.contains(&Some(1)) && codes.last() == Some(&Some(0)), "{codes:?}");
}
