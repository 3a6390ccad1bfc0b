//! Graphs in the forms in which exporters and converters write networks: `reference/onnx_forms.py` wrote them and says what
//! has to be found in each.

#![cfg(feature = "onnx")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use unrolled::graph::GraphNetwork;
use unrolled::measure::{Estimation, EvalSet, Lesion};
use unrolled::nn::{Network, RecurrentState, Route, Samples, Step};
use unrolled::open::AnyNetwork;
use unrolled::slim::{Goal, Slim, removable};
use unrolled::write_atomic_checked;

/// So that fewer files do not pass.
const FORMS: usize = 29;

#[derive(Deserialize)]
struct Form {
    /// The number of blocks of each stage.
    #[serde(default)]
    stages: Vec<usize>,
    /// How many blocks can be left out for good.
    #[serde(default)]
    removable: usize,
    /// What the error contains, for a file that is refused.
    error: Option<String>,
}

fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/forms").join(format!("{name}.onnx"))
}

fn forms() -> BTreeMap<String, Form> {
    let text = std::fs::read_to_string(path_of("forms").with_extension("json")).unwrap();
    let forms: BTreeMap<String, Form> = serde_json::from_str(&text).unwrap();
    assert_eq!(forms.len(), FORMS);
    forms
}

fn opened(name: &str) -> GraphNetwork {
    GraphNetwork::open(&path_of(name), None, &[]).unwrap_or_else(|e| panic!("{e}"))
}

/// Samples of values that are not alike.
fn samples(network: &GraphNetwork, count: usize) -> Samples {
    let size: usize = network.inputs().iter().map(|input| input.shape.iter().product::<usize>()).sum();
    let value = |i: usize| ((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    Samples { values: (0..count * size).map(value).collect(), shape: [count, 1, 1, size] }
}

fn logits(network: &GraphNetwork, route: &Route, samples: &Samples) -> Vec<f32> {
    network.forward_along(route, samples, &mut RecurrentState::default()).unwrap().values
}

fn bits(values: Vec<f32>) -> Vec<u32> {
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn blocks_are_found_in_every_form() {
    for (name, form) in forms() {
        let found = GraphNetwork::open(&path_of(&name), None, &[]);
        if let Some(expected) = form.error {
            let error = found.err().unwrap_or_else(|| panic!("{name} opens")).to_string();
            assert!(error.contains(&expected) && !error.contains('\n'), "{error}");
            continue;
        }
        let network = found.unwrap_or_else(|e| panic!("{e}"));
        let stages: Vec<usize> = network.outline().stages.iter().map(|stage| stage.blocks.len()).collect();
        assert_eq!(stages, form.stages, "{name}: {}", network.summary());
        assert_eq!(removable(&network).0.len(), form.removable, "{name}");
    }
}

/// Without any block, with any block left out for good, the written file answers as the route does, bit for bit.
#[test]
fn slimmed_files_of_every_form_compute_what_the_route_computes() {
    let dir = tempfile::tempdir().unwrap();
    for (name, _) in forms().into_iter().filter(|(_, form)| form.error.is_none()) {
        let network = opened(&name);
        let samples = samples(&network, 3);
        for at in removable(&network).0 {
            let route = Route::identity(network.outline()).without_block(at);
            let expected = bits(logits(&network, &route, &samples));
            let slim = network.slimmed(&route).unwrap();
            let out = dir.path().join(format!("{name}.onnx"));
            write_atomic_checked(&out, &slim.draft(&format!("{name}.onnx")).unwrap(), |path| slim.reopen(path))
                .unwrap_or_else(|e| panic!("{name} without {at}: {e}"));
            let again = slim.reopen(&out).unwrap();
            let found = bits(logits(&again, &Route::identity(again.outline()), &samples));
            assert_eq!(found, expected, "{name} without {at}");
            // Who knows nothing of the blocks opens it too.
            GraphNetwork::open(&out, None, &[]).unwrap_or_else(|e| panic!("{name} without {at}: {e}"));
        }
    }
}

/// Blocks whose estimates lie in different orders in memory are compared and shuffled in one order.
#[test]
fn estimates_of_different_layouts_are_brought_into_one() {
    let (last, mixed) = (opened("channels_last"), opened("channels_mixed"));
    let samples = samples(&last, 2);
    let close = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    let estimates = |network: &GraphNetwork| {
        let mut estimate = network.stem(&samples).unwrap();
        let mut all = vec![network.values(&estimate)];
        for step in Route::identity(network.outline()).steps() {
            let Step::Run(at) = step else { continue };
            let activations = network.block_activations(at, estimate).unwrap();
            let rebuilt = network.rebuild(&activations.estimate, network.values(&activations.estimate).0);
            all.extend([network.values(&activations.h), network.values(&rebuilt)]);
            estimate = activations.estimate;
        }
        all
    };
    for (place, (one, other)) in estimates(&last).into_iter().zip(estimates(&mixed)).enumerate() {
        assert_eq!((one.1, other.1), (8, 8), "{place}");
        assert!(close(&one.0, &other.0), "{place}: {:?} {:?}", &one.0[..4], &other.0[..4]);
    }
    for route in ["1-4", "2,1,4,3", "4,3,2,1", "1,3", "2,4", "2,2,3,3", "1,1,4"] {
        let along =
            |network: &GraphNetwork| logits(network, &Route::parse(route, network.outline()).unwrap(), &samples);
        assert!(close(&along(&last), &along(&mixed)), "{route}");
    }
}

/// Parameters and FLOPs do not depend on how a file stores its weights.
#[test]
fn weights_count_wherever_they_come_from() {
    let counts = |name: &str| {
        let network = opened(name);
        let blocks: Vec<(u64, u64)> =
            network.outline().blocks().map(|(_, block)| (block.parameters, block.flops)).collect();
        (network.outline().parameters, network.outline().flops, blocks)
    };
    for (first, others) in [
        ("initializers", &["constant_weights", "f16_weights", "cast_weights", "unsorted"][..]),
        ("float", &["qdq", "qdq_pairs", "dynamic"]),
        ("conv_all", &["conv_defaults", "conv_strides"]),
        ("channels_last", &["channels_mixed"]),
    ] {
        let expected = counts(first);
        assert!(expected.0 > 0 && expected.1 > 0);
        for other in others {
            assert_eq!(counts(other), expected, "{other}");
        }
    }
}

/// Layers in a graph of a node are not counted, and a goal of parameters says so.
#[test]
fn layers_in_nested_graphs_cannot_be_counted() {
    let why = opened("nested_layers").why_not_countable().unwrap();
    assert!(why.contains("If '") && why.contains("holds a graph with layers"), "{why}");
    assert_eq!(opened("initializers").why_not_countable(), None);
}

/// A block whose sum has positions folded into the batch is named, with the reason.
#[test]
fn blocks_that_cannot_be_used_are_named() {
    let summary = opened("batch_folded").summary();
    assert!(summary.contains("4 of 6 sums with a skip are blocks"), "{summary}");
    assert_eq!(summary.matches("for a batch of 2: expected the batch first").count(), 2, "{summary}");
}

/// A file whose nodes are in another order is written in one in which they can be computed.
#[test]
fn nodes_out_of_order_are_written_in_order() {
    let network = opened("unsorted");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("slim.onnx");
    let slim = network.slimmed(&Route::parse("1,3", network.outline()).unwrap()).unwrap();
    write_atomic_checked(&out, &slim.draft("slim.onnx").unwrap(), |_| Ok(())).unwrap();
    let bytes = std::fs::read(&out).unwrap();
    let place = |name: &[u8]| bytes.windows(name.len()).position(|part| part == name).unwrap();
    let sorted = opened("initializers");
    let first = &sorted.boundaries()[0][0][0];
    assert!(place(first.as_bytes()) < place(b"Relu"));
}

/// The sides of inputs come from the data; samples of two sides are what the network takes.
#[test]
fn data_sets_the_sides_that_a_file_leaves_free() {
    let dir = tempfile::tempdir().unwrap();
    let array = |shape: &[usize]| {
        (shape.to_vec(), (0..shape.iter().product()).map(|i| (i % 7) as f32 / 7.0).collect::<Vec<f32>>())
    };
    let path = dir.path().join("x.npz");
    for (name, arrays) in [
        ("linked_sides", vec![("x", array(&[3, 2, 8])), ("past", array(&[3, 5, 8])), ("mask", array(&[3, 7, 8]))]),
        (
            "linked_sides_named",
            vec![("x", array(&[3, 1, 8])), ("past", array(&[3, 9, 8])), ("mask", array(&[3, 10, 8]))],
        ),
        ("two_sided_samples", vec![("x", array(&[3, 4, 16]))]),
    ] {
        let expected: Vec<Vec<usize>> = arrays.iter().map(|(_, (shape, _))| shape[1..].to_vec()).collect();
        crate::npz::write(&path, arrays.into_iter());
        let mut network = AnyNetwork::open(path_of(name)).unwrap();
        let data = EvalSet::open(&format!("arrays:{}", path.display())).unwrap().for_network(&mut network).unwrap();
        assert_eq!(data.dataset.len(), 3, "{name}");
        let AnyNetwork::Graph(graph) = &network else { panic!("a graph") };
        let shapes: Vec<Vec<usize>> = graph.network.inputs().iter().map(|input| input.shape.clone()).collect();
        assert_eq!(shapes, expected, "{name}");
        let measured = crate::common::measured(&network, &data, &["lesion", "estimation"], 0);
        let blocks = network.outline().blocks().count();
        assert_eq!(measured.require::<Lesion>().unwrap().len(), blocks, "{name}");
        let errors = measured.require::<Estimation>().unwrap();
        assert!(errors.len() == blocks && errors.values().all(|block| block.rms.is_finite()), "{name}");
    }
}

/// A goal of parameters is reached however a file stores its weights: one block less has fewer parameters.
#[test]
fn a_goal_of_parameters_counts_weights_wherever_they_come_from() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    let removed = |name: &str| {
        let mut network = AnyNetwork::open(path_of(name)).unwrap();
        let parameters = network.outline().parameters;
        let AnyNetwork::Graph(graph) = &network else { panic!("a graph") };
        let input = &graph.network.inputs()[0];
        let shape = [&[8], input.shape.as_slice()].concat();
        let values = samples(&graph.network, 8).values;
        crate::npz::write(&path, [(input.name.as_str(), (shape, values))].into_iter());
        let data = EvalSet::open(&format!("arrays:{}", path.display())).unwrap().for_network(&mut network).unwrap();
        let slim = Slim::new(&network, &data).goal(Some(Goal::Parameters(parameters - 1)));
        slim.run(None, &mut |_, _, _| ()).unwrap_or_else(|e| panic!("{name}: {e}")).removed
    };
    // The files have other weights, and each a block that it needs least.
    for name in ["initializers", "constant_weights", "f16_weights", "cast_weights"] {
        assert_eq!(removed(name).len(), 1, "{name}");
    }
}
