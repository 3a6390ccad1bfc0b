//! Graphs of convolutions, which the kernels compute: slimmed and opened again they answer bit for bit, whatever the kernels
//! cannot compute before, after, or among what was removed.

#![cfg(feature = "onnx")]

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use unrolled::graph::GraphNetwork;
use unrolled::nn::{BlockId, Network, RecurrentState, Route, Samples};
use unrolled::write_atomic_checked;

use crate::proto::{declared, file, floats, integers, node, parts};

const FLOAT: u64 = 1;
/// What `show` says of such a graph.
const BY_KERNELS: &str = "the kernels of this program compute it";

/// Values that are not alike, small enough for as many summands.
fn weights(name: &str, shape: &[usize]) -> (u64, Vec<u8>) {
    let seed = name.bytes().fold(7, |seed: u64, byte| seed * 31 % 65_521 + u64::from(byte));
    let count: usize = shape.iter().product();
    let scale = (count as f32 / shape[0] as f32).sqrt().recip();
    let value = |i: u64| (i + 1).wrapping_add(seed << 20).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let values = (0..count as u64).map(|i| (value(i) as f32 / (1 << 23) as f32 - 1.0) * scale);
    (5, floats(name, shape, &values.collect::<Vec<_>>()))
}

/// A convolution of `takes` with square windows, `[out, in]` channels, which gives `gives`.
fn convolution(takes: &str, gives: &str, [out, input]: [usize; 2], side: usize) -> Vec<(u64, Vec<u8>)> {
    let name = format!("w.{gives}");
    let pads = [side as u64 / 2; 4];
    let attributes = [integers("kernel_shape", &[side as u64; 2]), integers("pads", &pads)];
    vec![(1, node("Conv", &[takes, &name], &[gives], &attributes)), weights(&name, &[out, input, side, side])]
}

/// A network of images of three channels. `stem` is the first operation. Each block is `relu(x + conv(f(conv(x))))`, f its operation;
/// the first one has a convolution in the place of the identity.
fn network(stem: &str, operations: &[&str]) -> (TempDir, PathBuf) {
    let mut graph = vec![(11, declared("x", FLOAT, &["n", "3", "8", "8"])), (1, node(stem, &["x"], &["s"], &[]))];
    graph.extend(convolution("s", "x0", [4, 3], 3));
    for (k, operation) in operations.iter().enumerate() {
        let [x, h, f, g, sum, y] = ["x", "h", "f", "g", "sum", "y"].map(|name| format!("{name}{k}"));
        let channels = if k == 0 { 4 } else { 8 };
        graph.extend(convolution(&x, &h, [8, channels], 3));
        graph.push((1, node(operation, &[&h], &[&f], &[])));
        graph.extend(convolution(&f, &g, [8, 8], 3));
        if k == 0 {
            graph.extend(convolution(&x, &y, [8, 4], 1));
        }
        graph.push((1, node("Add", &[&g, if k == 0 { &y } else { &x }], &[&sum], &[])));
        graph.push((1, node("Relu", &[&sum], &[&format!("x{}", k + 1)], &[])));
    }
    let last = format!("x{}", operations.len());
    graph.extend([
        (1, node("GlobalAveragePool", &[&last], &["pooled"], &[])),
        (1, node("Flatten", &["pooled"], &["flat"], &[])),
        (1, node("MatMul", &["flat", "out"], &["logits"], &[])),
        weights("out", &[8, 5]),
        (12, declared("logits", FLOAT, &["n", "5"])),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.onnx");
    std::fs::write(&path, file(&parts(&graph))).unwrap();
    (dir, path)
}

fn opened(path: &Path) -> GraphNetwork {
    GraphNetwork::open(path, None, &[]).unwrap_or_else(|e| panic!("{e}"))
}

fn bits(network: &GraphNetwork, route: &Route) -> Vec<u32> {
    let value = |i: usize| ((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    let samples = Samples { values: (0..3 * 192).map(value).collect(), shape: [3, 3, 8, 8] };
    let logits = network.forward_along(route, &samples, &mut RecurrentState::default()).unwrap();
    logits.values.into_iter().map(f32::to_bits).collect()
}

/// Removes blocks, counted over all stages, and opens what was written. Returns whether the kernels compute it, before and after,
/// and when it is opened without the plan.
fn slim(stem: &str, operations: &[&str], removed: &[usize]) -> [bool; 3] {
    let (dir, path) = network(stem, operations);
    let whole = opened(&path);
    let ids: Vec<BlockId> = whole.outline().blocks().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), operations.len());
    let route = removed.iter().fold(Route::identity(whole.outline()), |route, &k| route.without_block(ids[k]));
    let planned = whole.slimmed(&route).unwrap();
    let expected = bits(&whole, &route);
    assert_eq!(bits(&planned, &Route::identity(planned.outline())), expected);
    let out = dir.path().join("slim.onnx");
    let draft = planned.draft("slim.onnx").unwrap();
    let again = write_atomic_checked(&out, &draft, |inside| planned.reopen(inside)).unwrap();
    assert_eq!(bits(&again, &Route::identity(again.outline())), expected, "{stem} {operations:?} without {removed:?}");
    [whole.summary(), again.summary(), opened(&out).summary()].map(|summary| summary.contains(BY_KERNELS))
}

#[test]
fn the_kernels_compute_graphs_of_convolutions_before_and_after() {
    for removed in [&[0][..], &[1], &[2], &[0, 2], &[1, 2]] {
        assert_eq!(slim("Relu", &["Relu", "Relu", "Relu"], removed), [true; 3], "{removed:?}");
    }
}

/// The engine has computed what was planned, and the file has to answer alike.
#[test]
fn a_graph_without_the_block_that_the_kernels_cannot_compute_answers_as_planned() {
    assert_eq!(slim("Relu", &["Relu", "Sigmoid", "Relu"], &[1]), [false, false, true]);
    assert_eq!(slim("Relu", &["Relu", "Sigmoid", "Relu"], &[2]), [false; 3]);
}

/// The shortcut of the first block belongs to the stem then.
#[test]
fn a_shortcut_that_is_left_to_a_stem_of_the_engine_answers_as_planned() {
    for removed in [&[0][..], &[0, 1], &[2]] {
        assert_eq!(slim("Sigmoid", &["Relu", "Relu", "Relu"], removed), [true; 3], "{removed:?}");
    }
}
