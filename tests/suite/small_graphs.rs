//! Small graphs, written field by field: what is read of their inputs and outputs, and the first block.

#![cfg(feature = "onnx")]

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use unrolled::graph::{GraphNetwork, find_blocks};
use unrolled::measure::{EvalSet, Metric, evaluate};
use unrolled::nn::{AnswerKind, AnswerOptions, BlockId, Network, RecurrentState, Route, Samples};
use unrolled::open::AnyNetwork;
use unrolled::write_atomic_checked;

use crate::proto::{counted, declared, file, floats, integers, node, parts};

const FLOAT: u64 = 1;
const INT32: u64 = 6;
const INT64: u64 = 7;
const BOOL: u64 = 9;
/// The width of estimates.
const WIDTH: usize = 8;

/// Values that are not alike.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let value = |i: u64| (i + 1).wrapping_add(seed << 20).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (0..count as u64).map(|i| value(i) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// A weight matrix.
fn weights(name: &str, rows: usize, columns: usize) -> (u64, Vec<u8>) {
    let seed = name.bytes().fold(7, |seed: u64, byte| seed * 31 % 65_521 + u64::from(byte));
    let scale = (rows as f32).sqrt().recip();
    (5, floats(name, &[rows, columns], &values(rows * columns, seed).iter().map(|v| v * scale).collect::<Vec<_>>()))
}

/// Residual blocks `x + relu(x A) B` of a value `x`, the last of which gives `x{count}`.
fn blocks(count: usize) -> Vec<(u64, Vec<u8>)> {
    let block = |k: usize| {
        let before = if k == 0 { "x".to_owned() } else { format!("x{k}") };
        let [a, b, h, r, g] = ["a", "b", "h", "r", "g"].map(|name| format!("{name}{k}"));
        let matrices = [weights(&a, WIDTH, WIDTH), weights(&b, WIDTH, WIDTH)];
        let nodes = [
            node("MatMul", &[&before, &a], &[&h], &[]),
            node("Relu", &[&h], &[&r], &[]),
            node("MatMul", &[&r, &b], &[&g], &[]),
            node("Add", &[&g, &before], &[&format!("x{}", k + 1)], &[]),
        ];
        nodes.map(|node| (1, node)).into_iter().chain(matrices).collect::<Vec<_>>()
    };
    (0..count).flat_map(block).collect()
}

/// A directory with the file of a graph of these parts.
fn written(graph: Vec<(u64, Vec<u8>)>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.onnx");
    std::fs::write(&path, file(&parts(&graph))).unwrap();
    (dir, path)
}

/// Blocks of `x`, `[batch, positions, 8]`, with five logits at each position and another input.
fn tagger(count: usize, other: Vec<u8>) -> (TempDir, PathBuf) {
    let head = vec![
        (1, node("MatMul", &[&format!("x{count}"), "out"], &["logits"], &[])),
        weights("out", WIDTH, 5),
        (11, declared("x", FLOAT, &["n", "p", "8"])),
        (11, other),
        (12, declared("logits", FLOAT, &["n", "p", "5"])),
    ];
    written([blocks(count), head].concat())
}

fn summary(path: &Path) -> String {
    GraphNetwork::open(path, None, &[]).unwrap_or_else(|e| panic!("{e}")).summary()
}

/// What a file is refused for.
fn refusal(path: &Path, answers: AnswerOptions) -> String {
    let error = GraphNetwork::open_with(path, None, &[], &answers).err().expect("it opens").to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

fn mask(name: &str) -> AnswerOptions {
    AnswerOptions { mask: Some(name.into()), ..AnswerOptions::default() }
}

fn logits(network: &GraphNetwork, route: &Route, samples: &Samples) -> Vec<u32> {
    let logits = network.forward_along(route, samples, &mut RecurrentState::default()).unwrap();
    logits.values.into_iter().map(f32::to_bits).collect()
}

/// Four samples of six positions; a second array is 1 at the first two.
fn data(dir: &TempDir, mask: &str, network: &mut AnyNetwork) -> EvalSet {
    let path = dir.path().join("x.npz");
    let marked = (0..4 * 6).map(|place| f32::from(u8::from(place % 6 < 2))).collect();
    let arrays = [("x", (vec![4, 6, WIDTH], values(4 * 6 * WIDTH, 3))), (mask, (vec![4, 6], marked))];
    crate::npz::write(&path, arrays.into_iter());
    EvalSet::open(&format!("arrays:{}", path.display())).unwrap().for_network(network).unwrap()
}

#[test]
fn convolutions_of_whole_numbers_are_refused_unless_their_windows_are_pixels() {
    for (side, is_refused) in [(3, true), (1, false)] {
        let weight = values(WIDTH * WIDTH * side * side, 5);
        let convolution = vec![
            (1, node("ConvInteger", &["x", "w"], &["c"], &[])),
            (5, floats("w", &[WIDTH, WIDTH, side, side], &weight)),
        ];
        let declared =
            vec![(11, declared("x", FLOAT, &["n", "p", "8"])), (12, declared("x2", FLOAT, &["n", "p", "8"]))];
        let (_dir, path) = written([blocks(2), convolution, declared].concat());
        let error = GraphNetwork::open(&path, None, &[]).err().map(|e| e.to_string()).unwrap_or_default();
        assert_eq!(error.contains("ConvInteger with windows larger than 1x1"), is_refused, "{error}");
    }
}

#[test]
fn a_padding_mask_does_not_say_what_counts() {
    for (name, element, positions) in [
        ("key_padding_mask", BOOL, 24),
        ("padding_mask", INT32, 24),
        ("attention_mask", BOOL, 8),
        ("attention_mask", INT32, 8),
        ("is_last", BOOL, 24),
    ] {
        let (dir, path) = tagger(2, declared(name, element, &["n", "p"]));
        let mut network = AnyNetwork::open(&path).unwrap();
        assert_eq!(summary(&path).contains("count where"), positions == 8, "{name}");
        let data = data(&dir, name, &mut network);
        let score = evaluate(&network, &data, |_| ()).unwrap();
        assert_eq!(score.positions, Some(positions), "{name} of type {element}");
    }
}

#[test]
fn a_mask_of_other_positions_is_not_claimed() {
    let (_dir, path) = tagger(2, declared("attention_mask", INT32, &["n", "20"]));
    let text = summary(&path);
    let why = "'attention_mask' has 20 positions, the network answers at 16";
    assert!(text.contains(&format!("; all positions count: {why}")) && !text.contains("count where"), "{text}");
    let error = refusal(&path, mask("attention_mask"));
    assert!(error.ends_with(&format!("the mask {why}")), "{error}");
    // As in a decoder with a cache, whose lengths the samples set.
    let (_dir, cached) = tagger(2, declared("attention_mask", INT32, &["n", "past + p"]));
    let fitted = |answers: AnswerOptions| GraphNetwork::open_with(&cached, None, &[vec![6, 8], vec![10]], &answers);
    let why = "'attention_mask' has 10 positions, the network answers at 6";
    assert_eq!(fitted(AnswerOptions::default()).unwrap().why_no_mask(), Some(why));
    let error = fitted(mask("attention_mask")).err().unwrap().to_string();
    assert!(error.ends_with(&format!("the mask {why}")), "{error}");
    let error = refusal(&path, mask("x"));
    assert!(error.ends_with("the mask 'x' has shape [16, 8], not one value a position"), "{error}");
}

/// Blocks and one value a sample, whatever its output is called.
fn scorer(output: &str) -> (TempDir, PathBuf) {
    let head = vec![
        (1, node("ReduceMean", &["x2"], &["m"], &[integers("axes", &[1]), counted("keepdims", 0)])),
        (1, node("MatMul", &["m", "out"], &[output], &[])),
        weights("out", WIDTH, 1),
        (11, declared("x", FLOAT, &["n", "p", "8"])),
        (11, declared("attention_mask", INT32, &["n", "p"])),
        (12, declared(output, FLOAT, &["n", "1"])),
    ];
    written([blocks(2), head].concat())
}

#[test]
fn a_single_value_is_no_class() {
    for output in ["logits", "class_probability", "sentence_embedding", "y"] {
        let (_dir, path) = scorer(output);
        let network = GraphNetwork::open(&path, None, &[]).unwrap();
        assert_eq!((network.outline().answer.kind, network.outline().classes), (AnswerKind::Mse, 1), "{output}");
        assert!(network.summary().contains("(a single value is no class)"), "{}", network.summary());
        // The answers are one a sample: the mask is for the estimates.
        assert!(network.summary().contains("positions of estimates count where"), "{}", network.summary());
    }
    let (dir, path) = scorer("logits");
    let error = refusal(&path, AnswerOptions { kind: Some(AnswerKind::Classes), ..AnswerOptions::default() });
    assert!(error.contains("shape [2, 1]: a single value is no class"), "{error}");
    // A lesion costs something.
    let mut network = AnyNetwork::open(&path).unwrap();
    let data = data(&dir, "attention_mask", &mut network);
    let lesions = crate::common::measured(&network, &data, &["lesion"], 0);
    let lesions = lesions.require::<unrolled::measure::Lesion>().unwrap();
    assert!(lesions.values().all(|lesion| lesion.score.loss > 0.0), "{lesions:?}");
}

#[test]
fn a_block_that_takes_the_input_of_the_graph_is_found() {
    for count in [1, 2, 4] {
        let (dir, path) = tagger(count, declared("attention_mask", INT32, &["n", "p"]));
        let network = GraphNetwork::open(&path, None, &[]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(network.outline().blocks().count(), count, "{}", network.summary());
        let said = if count == 1 {
            "1 sum with a skip, the block".into()
        } else {
            format!("{count} sums with a skip, all of them blocks")
        };
        assert!(network.summary().contains(&said), "{}", network.summary());
        assert_eq!(find_blocks(&path).unwrap()[0], ["x", "x1"]);
        let route = Route::identity(network.outline()).without_block(BlockId { stage: 0, block: 0 });
        let size = network.outline().input.iter().product::<usize>();
        let samples =
            Samples { values: values(3 * size, 1).iter().map(|v| v.abs().round()).collect(), shape: [3, 1, 1, size] };
        let whole = Route::identity(network.outline());
        assert_ne!(logits(&network, &route, &samples), logits(&network, &whole, &samples));
        if count == 1 {
            continue;
        }
        // The written file answers as the route does.
        let slim = network.slimmed(&route).unwrap();
        let out = dir.path().join("slim.onnx");
        write_atomic_checked(&out, &slim.draft("slim.onnx").unwrap(), |path| slim.reopen(path)).unwrap();
        let again = slim.reopen(&out).unwrap();
        let found = logits(&again, &Route::identity(again.outline()), &samples);
        assert_eq!(found, logits(&network, &route, &samples));
    }
}

/// Blocks whose estimates are whole numbers have no values that could be compared.
#[test]
fn an_estimate_that_holds_no_floats_is_an_error() {
    let matrices = [weights("a", WIDTH, WIDTH), weights("b", WIDTH, WIDTH), weights("out", WIDTH, 5)];
    let nodes = [
        node("Cast", &["x"], &["whole"], &[counted("to", INT32)]),
        node("Cast", &["whole"], &["f"], &[counted("to", FLOAT)]),
        node("MatMul", &["f", "a"], &["h"], &[]),
        node("Relu", &["h"], &["r"], &[]),
        node("MatMul", &["r", "b"], &["g"], &[]),
        node("Cast", &["g"], &["new"], &[counted("to", INT32)]),
        node("Add", &["new", "whole"], &["sum"], &[]),
        node("Cast", &["sum"], &["s"], &[counted("to", FLOAT)]),
        node("MatMul", &["s", "out"], &["logits"], &[]),
    ];
    let sides = [(11, declared("x", FLOAT, &["n", "8"])), (12, declared("logits", FLOAT, &["n", "5"]))];
    let (_dir, path) = written(nodes.map(|node| (1, node)).into_iter().chain(matrices).chain(sides).collect());
    let error = refusal(&path, AnswerOptions::default());
    assert!(error.contains("'whole' is an estimate and holds") && error.contains("expected float32"), "{error}");
}

/// A block that was named and changes the shape has no difference: what it adds is what it computes.
#[test]
fn a_block_that_changes_the_shape_adds_what_it_computes() {
    let (_dir, path) = tagger(2, declared("attention_mask", INT32, &["n", "p"]));
    let name = |text: &str| text.to_owned();
    let stages = vec![vec![[name("x"), name("x1")]], vec![[name("x1"), name("logits")]]];
    let network = GraphNetwork::open(&path, Some(&stages), &[]);
    let network = network.unwrap_or_else(|e| panic!("{e}"));
    let size = network.outline().input.iter().product::<usize>();
    let samples = Samples { values: vec![1.0; 2 * size], shape: [2, 1, 1, size] };
    let first = network.block(BlockId { stage: 0, block: 0 }, network.stem(&samples).unwrap()).unwrap();
    let activations = network.block_activations(BlockId { stage: 1, block: 0 }, first).unwrap();
    assert_eq!(network.values(&activations.h).0, network.values(&activations.estimate).0);
    assert_eq!(network.values(&activations.h).0.len(), 2 * 16 * 5);
}

/// Blocks of words: the embedding of `table` words, and logits of `classes` at each position.
fn reader(table: usize, classes: usize) -> (TempDir, PathBuf) {
    let parts = vec![
        (1, node("Gather", &["words", "ids"], &["x"], &[])),
        (1, node("MatMul", &["x2", "out"], &["logits"], &[])),
        weights("words", table, WIDTH),
        weights("out", WIDTH, classes),
        (11, declared("ids", INT64, &["n", "p"])),
        (12, declared("logits", FLOAT, &["n", "p", "classes"])),
    ];
    // The nodes of the blocks stand between.
    let [first, rest @ ..] = parts.as_slice() else { unreachable!("there are parts") };
    written([std::slice::from_ref(first), blocks(2).as_slice(), rest].concat())
}

/// Answers that are words of the text which is read are told by their perplexity, by `eval` as by `measure`; other classes
/// at positions by their accuracy.
#[test]
fn answers_that_are_words_are_told_by_perplexity() {
    for (table, classes, metric) in [(11, 11, Metric::Perplexity), (11, 5, Metric::Accuracy)] {
        let (dir, path) = reader(table, classes);
        let network = GraphNetwork::open(&path, None, &[]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(Metric::of(network.outline()), metric, "{table} words, {classes} classes");
        let ids: Vec<f32> = (0..4 * 6).map(|place| (place * 3 % 5) as f32).collect();
        let data = dir.path().join("x.npz");
        crate::npz::write(&data, [("ids", (vec![4, 6], ids.clone())), ("labels", (vec![4, 6], ids))].into_iter());
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_unrolled"));
        let output = program.arg("eval").arg(&path).args(["--data", &format!("arrays:{}", data.display())]);
        let output = output.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let name = if metric == Metric::Perplexity { "perplexity " } else { "accuracy " };
        assert!(output.status.success() && text.starts_with(name) && text.contains("accuracy"), "{text}");
    }
}

/// A pooling, of which a file gives the window and may leave out everything else, before blocks.
fn pooled(op: &str, attributes: &[Vec<u8>]) -> (TempDir, PathBuf) {
    let window = [&[integers("kernel_shape", &[2, 2])], attributes].concat();
    let parts = vec![
        (1, node(op, &["image"], &["pooled"], &window)),
        (1, node("Flatten", &["pooled"], &["flat"], &[])),
        (1, node("MatMul", &["flat", "into"], &["x"], &[])),
        weights("into", 3 * 3 * 3, WIDTH),
        (11, declared("image", FLOAT, &["n", "3", "4", "4"])),
        (12, declared("logits", FLOAT, &["n", "5"])),
    ];
    let head = vec![(1, node("MatMul", &["x2", "out"], &["logits"], &[])), weights("out", WIDTH, 5)];
    written([parts, blocks(2), head].concat())
}

#[test]
fn poolings_without_optional_attributes_have_those_of_the_specification() {
    for op in ["AveragePool", "MaxPool"] {
        let outputs = |attributes: &[Vec<u8>]| {
            let (_dir, path) = pooled(op, attributes);
            let network = GraphNetwork::open(&path, None, &[]).unwrap_or_else(|e| panic!("{op}: {e}"));
            let samples = Samples { values: values(2 * 48, 5), shape: [2, 3, 4, 4] };
            logits(&network, &Route::identity(network.outline()), &samples)
        };
        let all = [integers("strides", &[1, 1]), integers("pads", &[0, 0, 0, 0])];
        assert_eq!(outputs(&[]), outputs(&all), "{op}");
    }
}

/// A file of a few hundred bytes that asks for samples of gigabytes is refused before anything is computed.
#[test]
fn inputs_of_a_size_that_no_sample_has_are_refused() {
    let (_dir, path) = tagger(2, declared("attention_mask", INT32, &["n", "268435456"]));
    let error = refusal(&path, AnswerOptions::default());
    let expected = "input 'attention_mask': shape [268435456] has more than 33554432 values";
    assert!(error.contains(expected) && error.contains("UNROLLED_FILE_MEMORY"), "{error}");
}
