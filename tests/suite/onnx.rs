//! Graphs in ONNX files: `reference/onnx_fixtures.py` wrote them and says what PyTorch computes from each, as a whole, block
//! by block, and with every block left out.

#![cfg(feature = "onnx")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde::Deserialize;
use unrolled::data::{DataSpec, Dataset, Normalization, ResizeCrop, Split};
use unrolled::graph::{Activation, GraphNetwork};
use unrolled::measure::*;
use unrolled::nn::{BlockId, Network, Positions, RecurrentState, Route, Samples, Step};
use unrolled::open::{AnyNetwork, OpenOptions};

/// Largest error allowed, relative to the largest value; PyTorch computed in f32 too, in another order.
const TOLERANCE: f64 = 1e-5;
/// So that fewer files do not pass.
const CASES: usize = 20;

#[derive(Deserialize)]
struct Case {
    file: String,
    case: String,
    inputs: Vec<String>,
    stages: Vec<CaseStage>,
}

#[derive(Deserialize)]
struct CaseStage {
    shape: Vec<usize>,
    blocks: Vec<CaseBlock>,
}

#[derive(Deserialize)]
struct CaseBlock {
    wiring: String,
    shortcut: String,
}

/// A stage: its shape, and of every block the wiring and whether its skip is the identity.
type Stage<'a> = (&'a [usize], Vec<(&'a str, bool)>);

static GOLDENS: LazyLock<BTreeMap<String, crate::npz::Array>> = LazyLock::new(|| {
    let bytes = std::fs::read(fixture("goldens.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let floats = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    file.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), floats(view.data())))).collect()
});

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(name)
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(fixture("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), CASES);
    // A network without skips is refused.
    cases.into_iter().filter(|case| !case.stages.is_empty()).collect()
}

use crate::common::measured;

/// The goldens of networks that answer at every position are those of the last one.
fn opened(file: &str) -> GraphNetwork {
    let mut network = GraphNetwork::open(&fixture(file), None, &[]).unwrap_or_else(|e| panic!("{e}"));
    if network.outline().answer.positions > 1 {
        network.select_positions(Positions::Last).unwrap();
    }
    network
}

/// The inputs of a case, one after another in every sample.
fn samples(case: &Case) -> Samples {
    let inputs: Vec<_> = case.inputs.iter().map(|name| &GOLDENS[&format!("{}/input/{name}", case.case)]).collect();
    let batch = inputs[0].0[0];
    let row = |n: usize| inputs.iter().flat_map(move |(_, values)| values.chunks(values.len() / batch).nth(n).unwrap());
    let values: Vec<f32> = (0..batch).flat_map(row).copied().collect();
    let size = values.len() / batch;
    Samples { values, shape: [batch, 1, 1, size] }
}

/// The largest error, relative to the largest value that was expected.
fn error(found: &[f32], golden: &str) -> f64 {
    let (_, expected) = GOLDENS.get(golden).unwrap_or_else(|| panic!("no golden {golden}"));
    assert_eq!(found.len(), expected.len(), "{golden}");
    let largest = expected.iter().fold(0.0_f64, |most, &e| most.max(f64::from(e).abs()));
    let errors = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - f64::from(*e)).abs() / largest);
    errors.fold(0.0, f64::max)
}

fn along(network: &GraphNetwork, samples: &Samples, route: &Route) -> Vec<f32> {
    network.forward_along(route, samples, &mut RecurrentState::default()).unwrap().values
}

#[test]
fn probabilities_are_read_as_what_a_softmax_makes_them_of() {
    let case = cases().into_iter().find(|case| case.case == "highway-mlp").unwrap();
    let samples = samples(&case);
    let along = |file: &str| {
        let network = opened(file);
        let logits = network
            .forward_along(&Route::identity(network.outline()), &samples, &mut RecurrentState::default())
            .unwrap();
        let each = logits.values.chunks_exact(logits.classes).flat_map(|row| {
            let sum: f64 = row.iter().map(|&z| f64::from(z).exp()).sum();
            row.iter().map(move |&z| f64::from(z).exp() / sum).collect::<Vec<_>>()
        });
        each.collect::<Vec<f64>>()
    };
    let (with, without) = (along("highway-mlp-softmax.onnx"), along("highway-mlp.onnx"));
    for (a, b) in with.iter().zip(&without) {
        assert!((a - b).abs() <= TOLERANCE, "{a} {b}");
    }
}

#[test]
fn stages_and_blocks_are_found_as_they_were_built() {
    for case in cases() {
        let network = opened(&case.file);
        let found: Vec<Stage<'_>> = network
            .outline()
            .stages
            .iter()
            .map(|s| (s.shape.as_slice(), s.blocks.iter().map(|b| (b.wiring.name(), b.keeps_shape())).collect()))
            .collect();
        let expected: Vec<Stage<'_>> = case
            .stages
            .iter()
            .map(|s| {
                (s.shape.as_slice(), s.blocks.iter().map(|b| (b.wiring.as_str(), b.shortcut == "identity")).collect())
            })
            .collect();
        assert_eq!(found, expected, "{}", case.file);
        assert!(
            network
                .outline()
                .stages
                .iter()
                .flat_map(|s| &s.blocks)
                .all(|b| b.why_not_removable.is_none() && b.flops > 0)
        );
    }
}

#[test]
fn graphs_compute_what_pytorch_computes_and_blocks_left_out_too() {
    let (mut failures, mut worst, mut compared) = (Vec::new(), 0.0_f64, 0);
    let mut check = |name: String, error: f64| {
        worst = worst.max(error);
        compared += 1;
        if error > TOLERANCE || error.is_nan() {
            failures.push(format!("{name}: largest error {error:.1e}"));
        }
    };
    for case in cases() {
        let (network, samples) = (opened(&case.file), samples(&case));
        let identity = Route::identity(network.outline());
        let of = |part: &str| format!("{}/{part}", case.case);
        check(format!("{} logits", case.file), error(&along(&network, &samples, &identity), &of("logits")));
        let mut estimate = network.stem(&samples).unwrap();
        for step in identity.steps() {
            let Step::Run(at) = step else {
                let Step::Enter(stage) = step else { panic!("a shortcut on the identity route") };
                estimate = network.enter_stage(stage, estimate).unwrap();
                continue;
            };
            let activations = network.block_activations(at, estimate).unwrap();
            let seen = [
                ("estimate", Some(&activations.estimate)),
                ("h", Some(&activations.h)),
                ("transform", activations.transform.as_ref()),
                ("carry", activations.carry.as_ref()),
            ];
            for (part, value) in seen {
                let golden = of(&format!("{part}/{at}"));
                assert_eq!(value.is_some(), GOLDENS.contains_key(&golden), "{}: {golden}", case.file);
                if let Some(value) = value {
                    check(format!("{} {part} {at}", case.file), error(&network.values(value).0, &golden));
                }
            }
            estimate = activations.estimate;
            let without = along(&network, &samples, &identity.without_block(at));
            check(format!("{} without {at}", case.file), error(&without, &of(&format!("lesion/{at}"))));
        }
    }
    println!("{compared} arrays, largest error {worst:.1e}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 200, "{compared}");
}

/// The samples of a case in a `.npz` file, its arrays in another order than the network's.
fn data(case: &Case, path: &Path, labels: Option<&[f32]>) -> Arc<Dataset> {
    let arrays =
        case.inputs.iter().rev().map(|name| (name.as_str(), GOLDENS[&format!("{}/input/{name}", case.case)].clone()));
    let labels = labels.map(|labels| ("labels", (vec![labels.len()], labels.to_vec())));
    crate::npz::write(path, arrays.chain(labels));
    let spec: DataSpec = format!("arrays:{}", path.display()).parse().unwrap();
    let dataset = Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap();
    Arc::new(dataset.reorder_arrays(&case.inputs).unwrap())
}

/// What is measured of a graph is what its definition gives on PyTorch's estimates.
#[test]
fn estimation_errors_are_those_of_pytorchs_estimates() {
    let dir = tempfile::tempdir().unwrap();
    for case in cases().into_iter().filter(|case| ["post.onnx", "encoder-pre.onnx"].contains(&case.file.as_str())) {
        let network = opened(&case.file);
        let dataset = data(&case, &dir.path().join("x.npz"), Some(&[0.0, 1.0, 4.0]));
        assert_eq!((dataset.len(), dataset.is_labelled(), dataset.labels()), (3, true, [0, 1, 4].as_slice()));
        let source = EvalSet::new(dataset, Normalization::uniform(0.0, 1.0), 2);
        let measured = measured(&network, &source, &["estimation"], 0);
        for (s, stage) in case.stages.iter().enumerate() {
            let of = |k: usize| &GOLDENS[&format!("{}/estimate/{}", case.case, BlockId { stage: s, block: k })].1;
            let target = of(stage.blocks.len() - 1);
            let units = target.len() / 3;
            // Estimates of a sentence are `[3, channels, positions]`, and masked positions do not count.
            let mask = GOLDENS.get(&format!("{}/input/attention_mask", case.case));
            let counts = |n: usize, i: usize| mask.is_none_or(|(shape, mask)| mask[n * shape[1] + i % shape[1]] != 0.0);
            for block in 0..stage.blocks.len() {
                let apart: Vec<f64> =
                    of(block).iter().zip(target).map(|(a, t)| f64::from(*a) - f64::from(*t)).collect();
                let unit =
                    |i: usize| -> Vec<f64> { (0..3).filter(|&n| counts(n, i)).map(|n| apart[n * units + i]).collect() };
                // Every error counts once; a unit that one sample reaches has no deviation.
                let counted: Vec<Vec<f64>> = (0..units).map(unit).collect();
                let count = |least: usize| counted.iter().map(Vec::len).filter(|n| *n >= least).sum::<usize>() as f64;
                let mean = counted.iter().flatten().sum::<f64>() / count(1);
                let deviation = |errors: &Vec<f64>| {
                    let n = errors.len() as f64;
                    let centre = errors.iter().sum::<f64>() / n;
                    (errors.iter().map(|e| (e - centre).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
                };
                let several = counted.iter().filter(|errors| errors.len() > 1);
                let std = several.map(|errors| errors.len() as f64 * deviation(errors)).sum::<f64>() / count(2);
                let found = &measured.require::<Estimation>().unwrap()[&BlockId { stage: s, block }];
                let close = |found: f64, expected: f64| (found - expected).abs() <= TOLERANCE * (1.0 + expected.abs());
                assert!(close(found.mean, mean) && close(found.std, std), "{} {found:?} {mean} {std}", case.file);
            }
        }
    }
}

/// Samples without labels: the network agrees with itself, and what a block left out costs is its divergence.
#[test]
fn without_labels_the_network_is_its_own_measure() {
    let dir = tempfile::tempdir().unwrap();
    let case = cases().into_iter().find(|case| case.file == "decoder.script.onnx").unwrap();
    let network = opened(&case.file);
    let dataset = data(&case, &dir.path().join("x.npz"), None);
    assert!(!dataset.is_labelled());
    let with_labels = |labels| {
        let dataset = Arc::into_inner(data(&case, &dir.path().join("y.npz"), None)).unwrap().with_labels(labels, 20);
        EvalSet::new(Arc::new(dataset.unwrap()), Normalization::uniform(0.0, 1.0), 2)
    };
    let predictions = predicted_classes(&network, &with_labels(vec![0; 3])).unwrap();
    let measured = measured(&network, &with_labels(predictions), &[], 0);
    assert_eq!((measured.baseline.accuracy, measured.baseline.loss), (1.0, 0.0));
    let golden = |name: &str| GOLDENS[&format!("decoder/{name}")].1.chunks(20).map(softmax).collect::<Vec<_>>();
    for (block, lesion) in measured.require::<Lesion>().unwrap() {
        let pairs: Vec<_> = golden("logits").into_iter().zip(golden(&format!("lesion/{block}"))).collect();
        let divergence = |(p, q): &(Vec<f64>, Vec<f64>)| p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
        let expected = pairs.iter().map(divergence).sum::<f64>() / 3.0;
        assert!((lesion.score.loss - expected).abs() < 1e-5 * (1.0 + expected), "{block} {lesion:?} {expected}");
    }
    assert!(measured.get::<Gradients>().unwrap().is_none_or(|gradients| gradients.is_empty()));
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let powers: Vec<f64> = logits.iter().map(|&z| f64::from(z).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// Values come out with their channels first and go back to where they were.
#[test]
fn an_estimate_is_rebuilt_from_its_values() {
    for file in ["post.onnx", "encoder-pre.onnx", "bottleneck-batch1.onnx"] {
        let case = cases().into_iter().find(|case| case.file == file).unwrap();
        let (network, samples) = (opened(file), samples(&case));
        let first: Activation = network.enter_stage(0, network.stem(&samples).unwrap()).unwrap();
        let (values, channels) = network.values(&first);
        assert_eq!(values.len() % (channels * samples.shape[0]), 0);
        let again = network.rebuild(&first, values);
        let at = BlockId { stage: 0, block: 0 };
        let next = |estimate| network.values(&network.block(at, estimate).unwrap()).0;
        assert_eq!(next(again), next(first), "{file}");
    }
}

#[test]
fn blocks_can_be_named_by_their_values() {
    let pair = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
    let open = |stages: Vec<Vec<[String; 2]>>| GraphNetwork::open(&fixture("post.onnx"), Some(&stages), &[]);
    // Two blocks of the first stage as one, and the last one alone.
    let network = open(vec![vec![pair("relu", "relu_4")], vec![pair("relu_4", "relu_6")]]).unwrap();
    let outline = network.outline();
    assert_eq!(outline.stages.iter().map(|s| s.blocks.len()).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(
        (outline.stages[0].blocks[0].wiring.name(), outline.stages[1].blocks[0].wiring.name()),
        ("plain", "residual")
    );
    let message = |stages| open(stages).err().unwrap().to_string();
    for (stages, expected) in [
        (vec![vec![pair("relu", "rleu")]], "no value 'rleu' in its graph, which the boundaries name"),
        (
            vec![vec![pair("relu_4", "relu_2")]],
            "'relu_2' does not depend on 'relu_4': no block leads from one to the other",
        ),
        (vec![], "the boundaries name no blocks"),
        (
            vec![vec![pair("relu", "relu_2"), pair("getitem_9", "relu_4")]],
            "cannot be cut: Add 'node_add_1' takes 'relu_2' from within the blocks before it, around 'getitem_9'",
        ),
        (
            vec![vec![pair("relu", "relu_2"), pair("relu_4", "relu_6")]],
            "within stage1 Conv 'node_Conv_181' stands between two blocks; begin a new stage there",
        ),
    ] {
        let found = message(stages);
        assert!(found.ends_with(expected), "{found}\n{expected}");
    }
}

#[test]
fn what_is_no_line_of_blocks_is_refused() {
    for file in ["plain.onnx", "plain.script.onnx"] {
        let message = GraphNetwork::open(&fixture(file), None, &[]).err().unwrap().to_string();
        assert!(
            message.ends_with("no skip connections in its graph: there are no blocks that could be left out"),
            "{message}"
        );
    }
    // A graph is no network of our parts.
    let message = OpenOptions::new().open_model(fixture("post.onnx")).err().unwrap().to_string();
    assert!(message.contains("an ONNX file holds a graph"), "{message}");
}

/// What a command ends with on standard error; it has to fail, in one line.
fn refusal(arguments: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_unrolled")).args(arguments).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && message.lines().count() == 1, "{arguments:?}: {message}");
    message
}

#[test]
fn what_has_no_meaning_for_a_graph_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    let case = cases().into_iter().find(|case| case.file == "encoder-pre.onnx").unwrap();
    data(&case, &path, None);
    let (network, samples) = (fixture(&case.file).display().to_string(), format!("arrays:{}", path.display()));
    let on_samples = |arguments: &[&str]| refusal(&[arguments, &["--data", &samples]].concat());

    let message = on_samples(&["eval", &network]);
    assert!(message.contains("x.npz: no labels, so that there is no accuracy"), "{message}");
    let message = on_samples(&["measure", &network, "--only", "lesion,gradients"]);
    assert!(message.contains("--only: gradients: nothing to measure in encoder-pre.onnx"), "{message}");
    assert!(message.contains("expected of estimation") && !message.contains("gates"), "{message}");
    let message = on_samples(&["measure", &network, "--mean", "0.5", "--std", "0.5"]);
    assert!(message.contains("--mean: input 'input_ids' takes whole numbers"), "{message}");
    for (options, expected) in [
        (["--std", "0.5"], "--mean: an ONNX file has none, give both mean and std"),
        (
            ["--kernels", "reference"],
            "--kernels: for networks of layers; a graph is computed by native kernels where they can, and by an engine of its own",
        ),
        (["--split", "train"], "x.npz: no split 'train', arrays are all there is"),
    ] {
        let message = on_samples(&[&["measure", &network], options.as_slice()].concat());
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn blocks_are_found_without_running_anything() {
    for case in cases() {
        let found = unrolled::graph::find_blocks(&fixture(&case.file)).unwrap();
        let blocks: usize = case.stages.iter().map(|stage| stage.blocks.len()).sum();
        assert_eq!(found.len(), blocks, "{}", case.file);
        // Named so, the same network opens.
        let network = GraphNetwork::open(&fixture(&case.file), None, &[]).unwrap();
        let counts: Vec<usize> = network.outline().stages.iter().map(|stage| stage.blocks.len()).collect();
        let mut rest = found.as_slice();
        let stages = counts.iter().map(|&count| {
            let (own, others) = rest.split_at(count);
            rest = others;
            own.to_vec()
        });
        let cut = GraphNetwork::open(&fixture(&case.file), Some(&stages.collect::<Vec<_>>()), &[]).unwrap();
        assert_eq!(cut.outline(), network.outline(), "{}", case.file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cut off or with a bit flipped, a file opens or ends in one line.
    #[test]
    fn damaged_files_end_in_one_line(cut in any::<bool>(), place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = std::fs::read(fixture("plain.script.onnx")).unwrap();
        let small = std::fs::read(fixture("encoder-post.script.onnx")).unwrap();
        if bit % 2 == 0 {
            bytes = small;
        }
        let place = place.index(bytes.len());
        if cut { bytes.truncate(place) } else { bytes[place] ^= 1 << bit }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.onnx");
        std::fs::write(&path, &bytes).unwrap();
        if let Err(error) = GraphNetwork::open(&path, None, &[]) {
            let message = error.to_string();
            prop_assert!(!message.contains('\n') && message.len() < 1000, "{}", message);
        }
    }
}

#[test]
fn sides_in_another_order_are_refused() {
    let images = cases().into_iter().find(|case| opened(&case.file).inputs()[0].shape.len() == 3).unwrap();
    let mut network = opened(&images.file);
    let [channels, height, width] = network.inputs()[0].shape[..] else { unreachable!("three sides") };
    assert_ne!(channels, width);
    let error = network.fit_inputs(&[vec![height, width, channels]]).unwrap_err().to_string();
    assert!(error.contains("of a sample: shape") || error.contains("cannot"), "{error}");
    network.fit_inputs(&[vec![channels, height, width]]).unwrap();
}

#[test]
fn blocks_have_the_names_of_the_exporting_program() {
    // The third block has its layers in two modules, body and shortcut.
    let expected = ["stages.0.0.body", "stages.0.1.body", "stages.1.0", "stages.1.1.body", "stages.1.2.body"];
    for file in ["post.onnx", "post.script.onnx"] {
        let network = opened(file);
        let found: Vec<&str> =
            network.outline().blocks().map(|(_, block)| block.source_name.as_deref().unwrap_or("none")).collect();
        assert_eq!(found, expected, "{file}");
    }
}

#[test]
fn any_network_computes_what_the_network_in_it_computes() {
    fn bits(network: &impl Network, samples: &Samples) -> Vec<u32> {
        let route = Route::identity(network.outline()).without_block(BlockId { stage: 1, block: 1 });
        let logits = network.forward_along(&route, samples, &mut RecurrentState::default()).unwrap();
        logits.values.iter().map(|v| v.to_bits()).collect()
    }
    let noise = |network: &AnyNetwork| {
        let shape = network.outline().input.clone();
        let values = (0..2 * shape.iter().product::<usize>()).map(|i| (i as f32 * 0.37).sin()).collect();
        Samples { values, shape: [2, shape[0], shape[1], shape[2]] }
    };
    let model =
        AnyNetwork::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/open/cifar-b.legacy.pth.tar")).unwrap();
    let graph = AnyNetwork::open(fixture("post.onnx")).unwrap();
    let AnyNetwork::Model(opened_model) = &model else { panic!("a state dict is no graph") };
    let AnyNetwork::Graph(opened_graph) = &graph else { panic!("a graph is no model") };
    assert_eq!(bits(&model, &noise(&model)), bits(&opened_model.model, &noise(&model)));
    assert_eq!(bits(&graph, &noise(&graph)), bits(&opened_graph.network, &noise(&graph)));
    let error = model.enter_stage(0, graph.stem(&noise(&graph)).unwrap()).err().unwrap().to_string();
    assert!(error.starts_with("estimate: comes from another kind of network"), "{error}");
}
