//! What several targets share.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use burn::tensor::Device;
use unrolled::measure::{EvalSet, Measure, Shard};
use unrolled::model::{Model, ModelConfig, ModelKind};
use unrolled::{Error, Result};

/// Returns the value, where there is one; its error is one line.
pub fn one_line<T>(result: Result<T>) -> Option<T> {
    let is_one = |error: &Error| assert!(!error.to_string().contains('\n'), "more than one line: {error}");
    result.inspect_err(is_one).ok()
}

/// Returns a residual network of three stages of three blocks, of which two change the shape.
pub fn network() -> &'static Model {
    static NETWORK: OnceLock<Model> = OnceLock::new();
    NETWORK.get_or_init(|| {
        let config = ModelConfig::new(ModelKind::Resnet).with_depth(20).with_width(2);
        Model::new(&config, [1, 8, 8], 10, 0, &Device::flex()).expect("a network")
    })
}

/// Returns a few samples of the digits.
pub fn samples() -> EvalSet {
    EvalSet::open("digits").expect("digits").limit(6).build().expect("digits")
}

/// Returns two measurements.
pub fn measure() -> Measure<'static> {
    Measure::new().only(["lesion", "estimation"]).expect("measurements")
}

/// A directory with two shards of a measurement, made once.
fn shards() -> &'static Path {
    static SHARDS: OnceLock<PathBuf> = OnceLock::new();
    SHARDS.get_or_init(|| {
        let root = tempfile::tempdir().expect("a temporary directory").keep();
        for number in 1..=2 {
            let measure = measure().directory(&root.join(number.to_string()));
            let shard: Shard = format!("{number}/2").parse().expect("a shard");
            measure.run_shard(network(), &samples(), shard, &mut ()).expect("a shard");
        }
        root
    })
}

/// The files of a shard that are damaged.
const FILES: [&str; 3] = ["plan.json", "store/lesion.bin", "store/activations.bin"];

/// Returns a directory with two shards, `1` and `2`. The first byte says which file of the first one is damaged, and every three
/// bytes more say where and how; a checksum is right again after that.
pub fn damaged_shards(bytes: &[u8]) -> Option<tempfile::TempDir> {
    let (&file, edits) = bytes.split_first()?;
    let root = tempfile::tempdir().expect("a temporary directory");
    copy(shards(), root.path());
    let path = root.path().join("1").join(FILES[file as usize % FILES.len()]);
    let mut content = std::fs::read(&path).expect("a file of a shard");
    // Magic, version, checksum of the plan, checksum of the content.
    let is_store = path.extension().is_some_and(|extension| extension == "bin");
    let header = if is_store { 20 } else { 0 };
    let count = content.len() - header;
    for edit in edits.chunks_exact(3) {
        let place = usize::from(edit[0]) * 256 + usize::from(edit[1]);
        content[header + place % count] = edit[2];
    }
    if let [keep] = edits.chunks_exact(3).remainder() {
        content.truncate(header + usize::from(*keep) * count / 256);
    }
    if is_store {
        let checksum = crc32fast::hash(&content[header..]);
        content[header - 4..header].copy_from_slice(&checksum.to_le_bytes());
    }
    std::fs::write(&path, content).expect("a file of a shard");
    Some(root)
}

/// Copies a directory.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in from.read_dir().expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
