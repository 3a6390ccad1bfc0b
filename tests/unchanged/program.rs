//! The program, in a directory of its own that holds all that its arguments name.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// Sums of gradients are split among the threads, and where they are split decides how they round.
const THREADS: &str = "2";

/// A temporary directory with the networks and the samples, so that no output holds a path of this machine.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new(networks: &[&str]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        for network in networks.iter().filter(|name| !name.ends_with(".onnx")) {
            home.copy(&tests(&format!("unchanged/{network}")), network);
        }
        home.copy(&tests("cmd/text.in/corpus"), "corpus");
        for graph in networks.iter().filter(|name| name.ends_with(".onnx")) {
            std::fs::copy(tests(&format!("onnx/{graph}")), home.path(graph)).unwrap();
        }
        crate::npz::write(&home.path("labelled.npz"), labelled().into_iter());
        crate::npz::write(&home.path("tokens.npz"), tokens().into_iter());
        crate::npz::write(&home.path("images.npz"), std::iter::once(("x", images(8))));
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The text of a file.
    #[cfg(feature = "wgpu")]
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Copies the files of a directory.
    fn copy(&self, from: &Path, to: &str) {
        std::fs::create_dir(self.path(to)).unwrap();
        for file in from.read_dir().unwrap_or_else(|e| panic!("{}: {e}", from.display())) {
            let file = file.unwrap();
            std::fs::copy(file.path(), self.path(to).join(file.file_name())).unwrap();
        }
    }

    /// The program, which is to run in this directory.
    pub(crate) fn program(&self, arguments: &str) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_unrolled"));
        program.args(arguments.split(' ')).current_dir(&self.0).env("RAYON_NUM_THREADS", THREADS);
        program
    }

    /// What the program prints for arguments with a space between any two, or why it failed.
    fn run(&self, arguments: &str) -> Result<String, String> {
        let output = self.program(arguments).output().map_err(|e| e.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(format!("`unrolled {arguments}` failed: {}", text(&output.stderr).trim())),
        }
    }

    /// The JSON document that the program prints.
    pub(crate) fn printed(&self, arguments: &str) -> Result<Value, String> {
        serde_json::from_str(&self.run(arguments)?).map_err(|e| format!("`unrolled {arguments}`: {e}"))
    }

    /// The lines of a training's metrics.
    pub(crate) fn trained(&self, arguments: &str, run: &str) -> Result<Value, String> {
        self.run(arguments)?;
        let path = self.path(run).join("metrics.jsonl");
        let lines = std::fs::read_to_string(path).map_err(|e| format!("{run}/metrics.jsonl: {e}"))?;
        lines.lines().map(serde_json::from_str::<Value>).collect::<Result<_, _>>().map_err(|e| format!("{run}: {e}"))
    }
}

/// A path in `tests`.
pub(crate) fn tests(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Number of samples that the graphs get; of fewer than twenty nothing is read out.
const SAMPLES: usize = 48;

/// What `highway-mlp.onnx` says of [`labelled`], but for every seventh.
const LABELS: &[u8; SAMPLES] = b"034034043444033030334040434434000334041334433144";

/// Words of a sample of `encoder-pre.onnx`, and different ones.
const WORDS: usize = 6;
const VOCABULARY: u32 = 20;

/// Numbers that are the same everywhere, from 0 to below 2^24.
fn drawn(place: usize) -> u32 {
    ((place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u32
}

/// Images of three channels, some lighter and some darker.
fn images(side: usize) -> crate::npz::Array {
    let size = 3 * side * side;
    let value = |i: usize| drawn(i) as f32 / (1 << 23) as f32 - 1.0 + 0.5 * ((i / size % 5) as f32 - 2.0);
    (vec![SAMPLES, 3, side, side], (0..SAMPLES * size).map(value).collect())
}

fn labelled() -> [(&'static str, crate::npz::Array); 2] {
    [("x", images(4)), ("labels", (vec![SAMPLES], LABELS.map(|digit| f32::from(digit - b'0')).to_vec()))]
}

/// Words, and how many of them count.
fn tokens() -> [(&'static str, crate::npz::Array); 2] {
    let all = |value: &dyn Fn(usize) -> f32| (vec![SAMPLES, WORDS], (0..SAMPLES * WORDS).map(value).collect());
    let counts = |place: usize| place % WORDS < 2 + place / WORDS % (WORDS - 1);
    [
        ("input_ids", all(&|place| (drawn(place) % VOCABULARY) as f32)),
        ("attention_mask", all(&|place| if counts(place) { 1.0 } else { 0.0 })),
    ]
}
