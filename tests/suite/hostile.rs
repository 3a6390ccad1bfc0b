//! Networks that would take the machine down, or read what they should not.

#![cfg(all(feature = "onnx", unix))]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use unrolled::graph::GraphNetwork;
use unrolled::measure::{EvalSet, Measure, Measurements};
use unrolled::model::{ModelConfig, ModelKind};
use unrolled::nn::{Network, RecurrentState, Route, Samples};
use unrolled::open::AnyNetwork;

use crate::proto::{external, field, file, floats, integer, integers, node, parts, value};

const WIDTH: usize = 4;

/// So small that thousands of blocks do not make them infinite.
fn matrix(columns: usize) -> Vec<f32> {
    (0..WIDTH * columns).map(|i| ((7 * i) % 11) as f32 / 4e4 - 1.25e-4).collect()
}

/// Residual blocks `x + relu(x W)` one after the other. `sums` nodes that double come after each product.
fn chain(blocks: usize, sums: usize, weight: &[u8]) -> Vec<u8> {
    let mut graph = vec![(1, node("MatMul", &["x", "w"], &["v0"], &[])), (5, weight.to_vec())];
    for block in 0..blocks {
        let name = |what: &str, number: usize| format!("{what}{block}_{number}");
        graph.push((1, node("MatMul", &[&format!("v{block}"), "w"], &[&name("m", 0)], &[])));
        for sum in 0..sums {
            let from = name("m", sum);
            graph.push((1, node("Add", &[&from, &from], &[&name("m", sum + 1)], &[])));
        }
        graph.push((1, node("Relu", &[&name("m", sums)], &[&name("r", 0)], &[])));
        graph.push((1, node("Add", &[&format!("v{block}"), &name("r", 0)], &[&format!("v{}", block + 1)], &[])));
    }
    graph.push((1, node("MatMul", &[&format!("v{blocks}"), "out"], &["y"], &[])));
    graph.push((5, floats("out", &[WIDTH, 3], &matrix(3))));
    graph.extend([(11, value("x", &[WIDTH])), (12, value("y", &[3]))]);
    file(&parts(&graph))
}

fn weight() -> Vec<u8> {
    floats("w", &[WIDTH, WIDTH], &matrix(WIDTH))
}

fn written(dir: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join("x.onnx");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn open(path: &Path) -> Result<GraphNetwork, String> {
    GraphNetwork::open(path, None, &[]).map_err(|e| e.to_string())
}

/// Opens a chain of so many blocks, on the stack of a test, and returns how long that took.
fn time(blocks: usize) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir, &chain(blocks, 0, &weight()));
    let begun = Instant::now();
    let network = open(&path).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(network.outline().blocks().count(), blocks);
    begun.elapsed()
}

#[test]
fn opening_takes_as_long_as_a_graph_has_nodes() {
    let few = (0..3).map(|_| time(1_000)).min().unwrap();
    let many = time(10_000);
    // Ten times as many: with the square of it, it would be a hundred times as long. The machine may be busy.
    assert!(many < 30 * few + Duration::from_secs(1), "{few:?} for 1,000 blocks, {many:?} for 10,000");
}

/// An `Identity` is another name of a value here, and a node where the engine runs.
#[test]
fn a_long_chain_of_identities_opens() {
    let dir = tempfile::tempdir().unwrap();
    let mut graph = crate::proto::graph(&chain(2, 0, &weight()));
    let name = |number: usize| if number == 0 { "y".to_owned() } else { format!("i{number}") };
    let nodes = (0..60_000).map(|at| (1, node("Identity", &[&name(at)], &[&name(at + 1)], &[])));
    graph.extend(parts(&nodes.chain([(12, value("i60000", &[3]))]).collect::<Vec<_>>()));
    let network = open(&written(&dir, &file(&graph))).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(network.outline().blocks().count(), 2);
}

/// `x + x`, doubled again and again, is a sum of as many terms as there are paths.
#[test]
fn sums_of_sums_are_not_written_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir, &chain(2, 100, &floats("w", &[WIDTH, WIDTH], &[0.0; WIDTH * WIDTH])));
    let begun = Instant::now();
    assert_eq!(open(&path).unwrap().outline().blocks().count(), 2);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// A directory of measurements whose files name blocks that the network does not have.
#[test]
fn blocks_that_a_network_does_not_have_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let network = dir.path().join("net.safetensors");
    crate::common::write_network(&network, 3);
    let mut network = AnyNetwork::open(&network).unwrap();
    let data = EvalSet::open("digits").unwrap().limit(8).for_network(&mut network).unwrap();
    let out = dir.path().join("out");
    Measure::new().only(["lesion"]).unwrap().directory(&out).run(&network, &data, &mut ()).unwrap();
    Measurements::read(&out).unwrap();
    for (file, expected) in [
        ("plan.json", "'stage1.block254' in the place of stage1.block2"),
        ("measurements/lesion.json", "lesion: stage1.block254, which is no block of the network"),
    ] {
        let path = out.join(file);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, whole.replace("stage1.block2\"", "stage1.block254\"")).unwrap();
        let error = Measurements::read(&out).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{file}: {error}");
        std::fs::write(&path, whole).unwrap();
    }
}

/// A checksum does not tell who wrote a file: states of probes that do not fit the network end in an error.
#[test]
fn shards_whose_states_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let network = dir.path().join("net.safetensors");
    crate::common::write_network(&network, 3);
    let mut network = AnyNetwork::open(&network).unwrap();
    let data = EvalSet::open("digits").unwrap().limit(6).for_network(&mut network).unwrap();
    let parts = [1, 2].map(|number| dir.path().join(number.to_string()));
    for (part, shard) in parts.iter().zip(["1/2", "2/2"]) {
        let measure = Measure::new().only(["lesion", "estimation"]).unwrap().directory(part);
        measure.run_shard(&network, &data, shard.parse().unwrap(), &mut ()).unwrap();
    }
    let path = parts[0].join("store/activations.bin");
    let whole = std::fs::read(&path).unwrap();
    // Magic, version, and the checksums of the plan and of what follows.
    let header = 20;
    let mut refused = 0;
    for place in (header..whole.len()).step_by((whole.len() / 400).max(1)) {
        let mut content = whole[header..].to_vec();
        content[place - header] ^= 1;
        let checksum = crc32fast::hash(&content).to_le_bytes();
        std::fs::write(&path, [&whole[..header - 4], &checksum, &content].concat()).unwrap();
        if let Err(error) = unrolled::measure::merge(&parts, &[], None, None) {
            assert!(!error.to_string().contains('\n'), "{error}");
            refused += 1;
        }
    }
    assert!(refused > 0);
}

/// The same for a measurement that goes on: its store has the states of a shorter network.
#[test]
fn a_store_whose_states_do_not_fit_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let measured = |depth: usize| {
        let file = path(&format!("{depth}.safetensors"));
        let config = ModelConfig::new(ModelKind::Resnet).with_depth(depth).with_width(8);
        crate::common::write_network_of(&config, [1, 8, 8], &file, 3);
        let mut network = AnyNetwork::open(&file).unwrap();
        let data = EvalSet::open("digits").unwrap().limit(6).for_network(&mut network).unwrap();
        let out = path(&depth.to_string());
        let measure = Measure::new().only(["lesion", "estimation"]).unwrap().directory(&out).keep_store(true);
        measure.run(&network, &data, &mut ()).unwrap();
        (network, data, measure, std::fs::read(out.join("store/activations.bin")).unwrap())
    };
    let (network, data, measure, own) = measured(20);
    let shorter = measured(8).3;
    // Magic, version and the checksum of the plan; then that of the states, and the states.
    std::fs::write(path("20/store/activations.bin"), [&own[..16], &shorter[16..]].concat()).unwrap();
    std::fs::remove_file(path("20/measurements/estimation.json")).unwrap();
    let error = measure.resume(true).run(&network, &data, &mut ()).unwrap_err().to_string();
    assert!(error.contains("20/store: damaged: ") && !error.contains('\n'), "{error}");
}

/// An array of 64-bit integers.
fn shape(name: &str, sides: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = sides.iter().flat_map(|side| side.to_le_bytes()).collect();
    [integer(1, sides.len() as u64), integer(2, 7), field(8, name.as_bytes()), field(9, &raw)].concat()
}

/// A file of a few hundred bytes that asks for terabytes is refused before anything is computed.
#[test]
fn values_of_a_size_that_no_memory_has_are_refused() {
    let huge = 1 << 40;
    let million = (1 << 20) as f32;
    let sides = |sides: &[i64]| vec![shape("s", sides)];
    let scales = vec![floats("s", &[2], &[million, million])];
    let range = [("start", 0.0), ("s", million), ("step", 1.0 / million)].map(|(name, v)| floats(name, &[], &[v]));
    let strides = [integers("strides", &[1 << 16, 1 << 16]), integers("output_padding", &[1, 1])];
    let mut faults = Vec::new();
    for (op, takes, arrays, attributes) in [
        ("ConstantOfShape", &["s"][..], sides(&[1 << 20, 1 << 20]), &[][..]),
        ("Expand", &["y", "s"], sides(&[huge, 1, 1]), &[]),
        ("Tile", &["y", "s"], sides(&[1 << 20, 1 << 20]), &[]),
        ("Pad", &["y", "s"], sides(&[0, 1 << 39, 0, 1 << 39]), &[]),
        ("Resize", &["y", "", "", "s"], sides(&[1 << 20, 1 << 20]), &[]),
        ("Resize", &["y", "", "s"], scales.clone(), &[]),
        ("Upsample", &["y", "s"], scales, &[]),
        ("OneHot", &["y", "s"], sides(&[huge]), &[]),
        ("Range", &["start", "s", "step"], range.to_vec(), &[]),
        ("ConvTranspose", &["y", "w"], Vec::new(), &strides),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut more = vec![(1, node(op, takes, &["big"], attributes))];
        more.extend(arrays.into_iter().map(|array| (5, array)));
        let mut bytes = chain(2, 0, &weight());
        // A second message of a graph would replace the first: the new parts go into the first one.
        let graph = [crate::proto::graph(&bytes), parts(&more)].concat();
        bytes = file(&graph);
        let path = written(&dir, &bytes);
        let error = open(&path).err().unwrap_or_default();
        // 2^40 values; of a range whose steps f32 cannot take, no end of them; of strides 2^32.
        let count = match op {
            "Range" => u64::MAX,
            "ConvTranspose" => 1 << 32,
            _ => 1 << 40,
        };
        let count = format!("x.onnx: {op} 'big' would give {}", count / 10_000);
        if !error.contains(&count) || !error.contains("UNROLLED_FILE_MEMORY") {
            faults.push(format!("{op}: {error}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A graph whose matrix lies in a file beside it.
fn beside(dir: &TempDir, location: &str) -> PathBuf {
    let place = [("location", location), ("offset", "0"), ("length", "64")];
    written(dir, &chain(2, 0, &external("w", &[WIDTH, WIDTH], &place)))
}

fn bytes() -> Vec<u8> {
    matrix(WIDTH).iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn answers(network: &GraphNetwork) -> Vec<u32> {
    let samples = Samples { values: vec![0.5, -1.0, 2.0, 0.25], shape: [1, 1, 1, WIDTH] };
    let route = Route::identity(network.outline());
    let logits = network.forward_along(&route, &samples, &mut RecurrentState::default()).unwrap();
    logits.values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_file_that_is_cut_off_while_its_arrays_are_used_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("w.data"), bytes()).unwrap();
    let network = open(&beside(&dir, "w.data")).unwrap();
    let before = answers(&network);
    std::fs::File::options().write(true).open(dir.path().join("w.data")).unwrap().set_len(0).unwrap();
    assert_eq!(answers(&network), before);
    let error = open(&beside(&dir, "w.data")).err().unwrap();
    assert!(error.contains("x.onnx: cannot be run: ") && !error.contains('\n'), "{error}");
}

#[test]
fn arrays_are_read_from_regular_files_in_the_directory_of_the_graph_alone() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(other.path().join("w.data"), bytes()).unwrap();
    std::fs::write(dir.path().join("w.data"), bytes()).unwrap();
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
    link(&other.path().join("w.data"), "out.data");
    link(Path::new("w.data"), "in.data");
    link(Path::new("/dev/zero"), "zero.data");
    std::fs::create_dir(dir.path().join("directory.data")).unwrap();
    assert!(Command::new("mkfifo").arg(dir.path().join("fifo.data")).status().unwrap().success());
    for (name, expected) in [
        ("out.data", "'out.data' is a link out of the directory of the graph"),
        ("zero.data", "'zero.data' is a link out of the directory of the graph"),
        ("fifo.data", "'fifo.data' is no regular file"),
        ("directory.data", "'directory.data' is no regular file"),
        ("", "an array lies in a file, and none is named"),
    ] {
        let path = beside(&dir, name);
        assert_eq!(open(&path).err(), Some(format!("{}: cannot be run: {expected}", path.display())));
    }
    open(&beside(&dir, "in.data")).unwrap();
}

/// As in caches where files have their checksums as names, and those that they are used by are links.
#[test]
fn a_graph_and_its_arrays_may_be_linked_to_from_elsewhere() {
    let (dir, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::rename(beside(&dir, "w.data"), store.path().join("1a2b")).unwrap();
    std::fs::write(store.path().join("3c4d"), bytes()).unwrap();
    for (name, stored) in [("x.onnx", "1a2b"), ("w.data", "3c4d")] {
        std::os::unix::fs::symlink(store.path().join(stored), dir.path().join(name)).unwrap();
    }
    open(&dir.path().join("x.onnx")).unwrap();
}
