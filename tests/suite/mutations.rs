//! Valid files of every kind, damaged many times, all in one process: far more of them than `fire/` can start processes for.
//!
//!     ulimit -v 2097152; cargo test --release --test suite mutations:: -- --ignored --nocapture
//!
//! reads 200,000 files; `UNROLLED_MUTATIONS` and `UNROLLED_SEED` say otherwise.

#![cfg(feature = "onnx")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use unrolled::Result;
use unrolled::checkpoint_folder::CheckpointFolder;
use unrolled::data::{DataSpec, Dataset, ResizeCrop, Split};
use unrolled::graph::GraphNetwork;
use unrolled::measure::{EvalSet, Measure, Measurements, merge};
use unrolled::open::{AnyNetwork, OpenOptions, read_boundaries, read_labels};
use unrolled::slim::RemovalPlan;
use unrolled::train::Experiment;

/// Numbers at which lengths and counts go wrong.
const NUMBERS: [u64; 12] =
    [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 1 << 20, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

/// Reads the file of a case, or the directory that it lies in, at a path.
type ReadCase = Box<dyn Fn(&Path) -> Result<()>>;

/// A file that is damaged, and what reads it.
struct Case {
    kind: &'static str,
    /// The directory in which the file lies.
    home: PathBuf,
    file: PathBuf,
    read: ReadCase,
}

/// Returns the content with one to three faults.
fn damaged(content: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut content = content.to_vec();
    for _ in 0..=random.below(3) {
        let length = content.len();
        // The beginning of a file has most of its structure.
        let within = if random.below(2) == 0 { length } else { length.min(256) };
        let at = random.below(within);
        let end = |count: usize| (at + count).min(length);
        match random.below(7) {
            0 if length > 0 => content[at] ^= 1 << random.below(8),
            1 => content.truncate(at),
            2 => drop(content.drain(at..end(1 << random.below(10)))),
            3 => {
                let more: Vec<u8> = (0..1 << random.below(6)).map(|_| random.below(256) as u8).collect();
                content.splice(at..at, more);
            }
            4 => {
                let width = 1 << random.below(4);
                let number = NUMBERS[random.below(NUMBERS.len())];
                let bytes = if random.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
                let bytes = if random.below(2) == 0 { &bytes[..width] } else { &bytes[8 - width..] };
                content.splice(at..end(width), bytes.iter().copied());
            }
            5 => {
                let start = random.below(other.len());
                let part = &other[start..(start + 64).min(other.len())];
                content.splice(at..end(64), part.iter().copied());
            }
            _ => {
                // A number in a text, such as a shape in a header.
                let digit = (at..length.min(at + 256)).find(|&place| content[place].is_ascii_digit());
                if let Some(place) = digit {
                    content.splice(place..=place, NUMBERS[random.below(NUMBERS.len())].to_string().into_bytes());
                }
            }
        }
    }
    content
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in dir.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}

fn copied(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(file, target).unwrap();
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

/// Opens a data set in a directory, and reads its first sample.
fn first_sample(home: &Path, spec: &str) -> Result<()> {
    let spec = spec.parse::<DataSpec>()?.relative_to(home);
    let view = ResizeCrop { resize: spec.to_string().starts_with("folder").then_some(8), ..ResizeCrop::default() };
    let data = Dataset::open(&spec, Split::Test, &view)?;
    data.sample(0, &mut vec![0.0; data.shape().iter().product()])
}

/// Copies all fixtures to a directory, writes what has none, and returns all cases.
fn cases(root: &Path) -> Vec<Case> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut all = Vec::new();
    let mut add = |kind, home: &Path, file: PathBuf, read: ReadCase| {
        assert!(file.is_file(), "{}", file.display());
        all.push(Case { kind, home: home.to_owned(), file, read });
    };
    for name in ["open", "foreign", "onnx", "answers", "folders"] {
        copied(&fixtures.join(name), &root.join(name));
    }
    for file in files(&root.join("open")).into_iter().chain(files(&root.join("foreign"))) {
        let is_part = file.parent().unwrap().extension().is_some_and(|e| e == "dir");
        let read = file.clone();
        let opened = if is_part { file.parent().unwrap().to_owned() } else { read };
        if file.extension().is_none_or(|e| e != "rs") && file.file_name().unwrap() != "cases.json" {
            let read = move |_: &Path| OpenOptions::new().open_model(&opened).map(drop);
            add("networks of other programs", root, file, Box::new(read));
        }
    }
    for file in files(&root.join("onnx")).into_iter().chain(files(&root.join("answers"))) {
        if file.extension().is_some_and(|e| e == "onnx") {
            let opened = file.clone();
            add("graphs", root, file, Box::new(move |_| GraphNetwork::open(&opened, None, &[]).map(drop)));
        }
    }
    for file in files(&root.join("folders")) {
        let folder = file.parent().unwrap().to_owned();
        add("Transformers", root, file, Box::new(move |_| CheckpointFolder::open(&folder).map(drop)));
    }
    let images = [[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3].as_slice(), &[7; 18]].concat();
    let picture = |format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_fn(9, 8, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, 7]))
            .write_to(&mut bytes, format)
            .unwrap();
        bytes.into_inner()
    };
    let npy = crate::npz::npy(&(vec![2, 1, 2, 2], (0..8).map(|i| i as f32).collect()));
    crate::npz::write(
        &root.join("x.npz"),
        [("x", (vec![2, 3], vec![1.0; 6])), ("labels", (vec![2], vec![0.0, 1.0]))].into_iter(),
    );
    let npz = std::fs::read(root.join("x.npz")).unwrap();
    for (kind, file, spec, content) in [
        ("arrays", "npy/x.npy", "arrays:x.npy", npy),
        ("arrays", "npz/x.npz", "arrays:x.npz", npz),
        ("images", "png/class/x.png", "folder:.", picture(image::ImageFormat::Png)),
        ("images", "jpg/class/x.jpg", "folder:.", picture(image::ImageFormat::Jpeg)),
        ("CIFAR", "cifar/test_batch.bin", "cifar10:.", [&[3][..], &[7; 3072]].concat()),
        ("MNIST", "mnist/t10k-images-idx3-ubyte", "mnist:.", images),
        ("text", "text/test.txt", "text:.", b"small dogs see\nthe old bird sings\n".repeat(9)),
    ] {
        let path = root.join("data").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        let home = root.join("data").join(file.split('/').next().unwrap());
        if kind == "MNIST" {
            std::fs::write(home.join("t10k-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 2, 3, 4]).unwrap();
        }
        add(kind, &home, path, Box::new(move |home| first_sample(home, spec)));
    }
    let texts = root.join("texts");
    std::fs::create_dir_all(&texts).unwrap();
    let experiment = std::fs::read(fixtures.join("../configs/demo/highway.toml")).unwrap();
    let plan = b"network = \"x\"\nblocks = [3, 3]\nseed = 7\nsamples = 9\nremove = [\"stage1.block2\"]\n".to_vec();
    let cut = b"stages = [[[\"relu\", \"relu_2\"], [\"relu_2\", \"relu_4\"]]]\n".to_vec();
    type Read = fn(&Path) -> Result<()>;
    let of_texts: [(&'static str, Vec<u8>, Read); 4] = [
        ("experiments", experiment, |path| Experiment::parse(&text(path), &[], "file").map(drop)),
        ("plans", plan, |path| RemovalPlan::parse(path, &text(path)).map(drop)),
        ("cuts", cut, |path| read_boundaries(path).map(drop)),
        ("labels", b"a\nb\nc\n".to_vec(), |path| read_labels(path).map(drop)),
    ];
    for (kind, content, read) in of_texts {
        let path = texts.join(kind);
        std::fs::write(&path, content).unwrap();
        let file = path.clone();
        add(kind, &texts, path, Box::new(move |_| read(&file)));
    }
    let model = root.join("net.safetensors");
    crate::common::write_network(&model, 3);
    let mut network = AnyNetwork::open(&model).unwrap();
    let data = EvalSet::open("digits").unwrap().limit(6).for_network(&mut network).unwrap();
    let measure = |out: &str| Measure::new().only(["lesion", "estimation"]).unwrap().directory(&root.join(out));
    measure("measured").run(&network, &data, &mut ()).unwrap();
    for number in 1..=2 {
        let shard = format!("{number}/2").parse().unwrap();
        measure(&format!("shards/{number}")).run_shard(&network, &data, shard, &mut ()).unwrap();
    }
    add("own networks", root, model.clone(), Box::new(move |_| AnyNetwork::open(&model).map(drop)));
    for file in files(&root.join("measured")) {
        let read = |home: &Path| {
            let measured = Measurements::read(&home.join("measured"))?;
            unrolled::measure::report("x", Vec::new(), &measured, &[], Vec::new()).map(drop)
        };
        add("measurements", root, file, Box::new(read));
    }
    for file in files(&root.join("shards/1")) {
        let read = |home: &Path| {
            let parts = [1, 2].map(|number| home.join(format!("shards/{number}")));
            merge(&parts, &[], None, None).map(drop)
        };
        add("shards", root, file, Box::new(read));
    }
    all
}

/// Returns the content of a file of a store with a checksum that is right again; others as they are.
fn signed(mut content: Vec<u8>) -> Vec<u8> {
    if content.starts_with(b"UNROLLED") && content.len() > 20 {
        let checksum = crc32fast::hash(&content[20..]);
        content[16..20].copy_from_slice(&checksum.to_le_bytes());
    }
    content
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
#[ignore = "half an hour; see the head of the file"]
fn damaged_files_end_in_a_value_or_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let cases = cases(dir.path());
    let mut by_kind: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    cases.iter().for_each(|case| by_kind.entry(case.kind).or_default().push(case));
    let kinds: Vec<&Vec<&Case>> = by_kind.values().collect();
    let mut random = Random(setting("UNROLLED_SEED", 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut counts, mut faults) = (BTreeMap::<&str, [u64; 2]>::new(), Vec::new());
    let mut longest = (Duration::ZERO, String::new());
    for _ in 0..setting("UNROLLED_MUTATIONS", 200_000) {
        let of_kind = kinds[random.below(kinds.len())];
        let case = of_kind[random.below(of_kind.len())];
        let valid = std::fs::read(&case.file).unwrap();
        let other = std::fs::read(&of_kind[random.below(of_kind.len())].file).unwrap();
        let content = damaged(&valid, &other, &mut random);
        let content = if random.below(2) == 0 { signed(content) } else { content };
        std::fs::write(&case.file, &content).unwrap();
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (case.read)(&case.home)));
        let name = case.file.strip_prefix(dir.path()).unwrap().display().to_string();
        if begun.elapsed() > longest.0 {
            longest = (begun.elapsed(), name.clone());
        }
        let fault = match &outcome {
            Err(_) => Some("a panic".to_owned()),
            Ok(Err(error)) if error.to_string().contains('\n') => Some(format!("several lines: {error}")),
            Ok(_) => (begun.elapsed() > Duration::from_secs(10)).then(|| format!("{:?}", begun.elapsed())),
        };
        if let Some(fault) = fault {
            let kept = std::env::temp_dir().join(format!("unrolled-mutation-{}", faults.len()));
            std::fs::write(&kept, &content).unwrap();
            faults.push(format!("{name}: {fault}, kept as {}", kept.display()));
        }
        let count = counts.entry(case.kind).or_default();
        count[0] += 1;
        count[1] += u64::from(!matches!(outcome, Ok(Ok(()))));
        std::fs::write(&case.file, valid).unwrap();
    }
    for (kind, [all, refused]) in &counts {
        println!("{kind}: {all}, {refused} refused");
    }
    println!("the longest took {:?}: {}", longest.0, longest.1);
    assert!(faults.is_empty(), "{} of them:\n{}", faults.len(), faults.join("\n"));
}
