//! Networks whose answers are not one class a sample: positions, masks, labels a position, and answers that are no classes.
//! The goldens are NumPy's, by `reference/answer_fixtures.py`.
#![cfg(feature = "onnx")]

use std::path::Path;

use serde::Deserialize;
use unrolled::measure::{Estimation, EvalSet, Influence, Lesion, Measurements, evaluate};
use unrolled::nn::{AnswerKind, AnswerOptions, Network, Positions};
use unrolled::open::{AnyNetwork, OpenOptions};
use unrolled::slim::{Goal, Slim};

/// NumPy computes in f64, the engine in f32.
const CLOSE: f64 = 1e-5;

#[derive(Deserialize)]
struct Goldens {
    tagger: Tagger,
    segmenter: Segmenter,
}

#[derive(Deserialize)]
struct Tagger {
    whole: Score,
    lesions: Vec<Score>,
    influence: Vec<f64>,
    last: Score,
    second: Score,
    embedding_lesions: Vec<f64>,
    positions: u64,
}

#[derive(Deserialize)]
struct Segmenter {
    whole: Score,
    lesions: Vec<Score>,
}

#[derive(Deserialize)]
struct Score {
    accuracy: f64,
    loss: f64,
}

impl Score {
    fn assert_is(&self, found: &unrolled::measure::Score) {
        let errors = [self.accuracy - found.accuracy, self.loss - found.loss];
        assert!(errors.iter().all(|error| error.abs() < CLOSE), "{} {}: {found:?}", self.accuracy, self.loss);
    }
}

fn goldens() -> Goldens {
    serde_json::from_str(&std::fs::read_to_string("tests/answers/goldens.json").unwrap()).unwrap()
}

fn opened(name: &str, answers: AnswerOptions, data: &str) -> (AnyNetwork, EvalSet) {
    let mut network = OpenOptions::new().answers(answers).open(Path::new("tests/answers").join(name)).unwrap();
    let data = EvalSet::open(&format!("arrays:tests/answers/{data}")).unwrap().for_network(&mut network).unwrap();
    (network, data)
}

fn measured(name: &str, answers: AnswerOptions, data: &str) -> Measurements {
    let (network, data) = opened(name, answers, data);
    crate::common::measured(&network, &data, &[], 0)
}

#[test]
fn every_position_that_is_labelled_and_not_masked_counts_once() {
    let goldens = goldens().tagger;
    let found = measured("tagger.onnx", AnswerOptions::default(), "tagger.npz");
    goldens.whole.assert_is(&found.baseline);
    assert_eq!((found.baseline.samples, found.baseline.positions), (12, Some(goldens.positions)));
    let lesions = found.require::<Lesion>().unwrap();
    assert_eq!(lesions.len(), goldens.lesions.len());
    lesions.values().zip(&goldens.lesions).for_each(|(found, golden)| golden.assert_is(&found.score));
    for ((_, lesion), golden) in lesions.iter().zip(&goldens.lesions) {
        assert!((lesion.accuracy_cost.value - (goldens.whole.accuracy - golden.accuracy)).abs() < CLOSE);
    }
    let influence = found.require::<Influence>().unwrap().influence;
    for (found, golden) in influence.values().zip(&goldens.influence) {
        assert!((found.block_influence.value - golden).abs() < CLOSE, "{found:?} {golden}");
    }
}

/// Sentences with four masked positions more have the same figures, whatever is measured.
#[test]
fn masked_positions_count_nowhere() {
    let find = |data: &str| serde_json::to_value(measured("tagger.onnx", AnswerOptions::default(), data)).unwrap();
    let (plain, padded) = (find("tagger.npz"), find("tagger-padded.npz"));
    let measurements = plain.as_object().unwrap();
    assert!(measurements.len() > 8, "{:?}", measurements.keys());
    assert_close(&plain, &padded, "");
}

/// Asserts that two JSON values agree, numbers up to the rounding of longer products.
fn assert_close(one: &serde_json::Value, other: &serde_json::Value, path: &str) {
    use serde_json::Value::{Array, Number, Object};
    match (one, other) {
        (Number(a), Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= CLOSE * a.abs().max(1.0), "{path}: {a} {b}");
        }
        (Array(a), Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().for_each(|(i, (a, b))| assert_close(a, b, &format!("{path}[{i}]")));
        }
        (Object(a), Object(b)) if a.keys().eq(b.keys()) => {
            // Sizes and FLOPs are those of longer samples.
            let of_length = ["target", "name", "input", "shape", "flops", "answer", "checksum"];
            let keys = a.keys().filter(|key| !of_length.contains(&key.as_str()));
            keys.for_each(|key| assert_close(&a[key], &b[key], &format!("{path}.{key}")));
        }
        _ => assert_eq!(one, other, "{path}"),
    }
}

#[test]
fn positions_are_chosen_by_the_caller_or_by_the_labels() {
    let goldens = goldens().tagger;
    let score = |positions, data: &str| {
        let (network, data) = opened("tagger.onnx", AnswerOptions { positions, ..AnswerOptions::default() }, data);
        (evaluate(&network, &data, |_| ()).unwrap(), network.outline().answer)
    };
    // One label a sample is that of its last position, whichever that is.
    let (last, answer) = score(None, "tagger-last.npz");
    goldens.last.assert_is(&last);
    assert_eq!((answer.selected, last.positions), (Positions::Last, None));
    let (second, _) = score(Some(Positions::At(1)), "tagger.npz");
    goldens.second.assert_is(&second);
    let (all, answer) = score(None, "tagger.npz");
    goldens.whole.assert_is(&all);
    assert_eq!((answer.selected, answer.positions), (Positions::All, 6));
}

#[test]
fn without_labels_every_position_is_compared_with_the_whole_network() {
    let (network, data) = opened("tagger.onnx", AnswerOptions::default(), "tagger-unlabelled.npz");
    let whole = evaluate(&network, &data, |_| ()).unwrap();
    assert_eq!((whole.accuracy, whole.loss), (1.0, 0.0));
    let lesions = crate::common::measured(&network, &data, &["lesion"], 0).require::<Lesion>().unwrap();
    assert!(lesions.values().all(|lesion| lesion.score.accuracy < 0.9 && lesion.score.loss > 0.0), "{lesions:?}");
}

#[test]
fn an_embedding_is_compared_by_its_cosine() {
    let goldens = goldens().tagger;
    let output = Some("sentence_embedding".to_owned());
    let answers = AnswerOptions { output: output.clone(), ..AnswerOptions::default() };
    let found = measured("tagger.onnx", answers, "tagger.npz");
    assert_eq!(found.outline.answer.kind, AnswerKind::Cosine);
    assert!(found.baseline.accuracy.is_nan() && found.baseline.loss.abs() < CLOSE);
    let lesions = found.require::<Lesion>().unwrap();
    for (found, golden) in lesions.values().zip(&goldens.embedding_lesions) {
        assert!((found.score.loss - golden).abs() < CLOSE, "{found:?} {golden}");
    }
    // Vectors of length 1: the squared error of 8 values is a quarter of the distance.
    let answers = AnswerOptions { output, kind: Some(AnswerKind::Mse), ..AnswerOptions::default() };
    let (network, data) = opened("tagger.onnx", answers, "tagger.npz");
    let lesions = crate::common::measured(&network, &data, &["lesion"], 0).require::<Lesion>().unwrap();
    for (found, golden) in lesions.values().zip(&goldens.embedding_lesions) {
        assert!((found.score.loss - golden / 4.0).abs() < CLOSE, "{found:?} {golden}");
    }
}

#[test]
fn the_pixels_of_an_image_of_classes_are_positions() {
    let goldens = goldens().segmenter;
    let found = measured("segmenter.onnx", AnswerOptions::default(), "segmenter.npz");
    goldens.whole.assert_is(&found.baseline);
    assert_eq!((found.outline.classes, found.outline.answer.positions, found.baseline.positions), (3, 16, Some(80)));
    let lesions = found.require::<Lesion>().unwrap();
    lesions.values().zip(&goldens.lesions).for_each(|(found, golden)| golden.assert_is(&found.score));
    assert!(found.require::<Estimation>().unwrap().values().all(|block| block.rms.is_finite()));
}

#[test]
fn what_is_not_there_is_named() {
    let open = |answers: AnswerOptions| OpenOptions::new().answers(answers).open("tests/answers/tagger.onnx");
    let none = AnswerOptions::default();
    let name = |text: &str| Some(text.to_owned());
    for (answers, expected) in [
        (
            AnswerOptions { output: name("boxes"), ..none.clone() },
            "no output 'boxes', it has 'logits', 'sentence_embedding'",
        ),
        (AnswerOptions { mask: name("padding"), ..none.clone() }, "no input 'padding'"),
        (
            AnswerOptions { positions: Some(Positions::At(16)), ..none.clone() },
            "no position 16, it answers at 16 positions",
        ),
    ] {
        let message = open(answers).err().unwrap().to_string();
        assert!(message.contains(expected) && message.lines().count() == 1, "{message}");
    }
    // Labels of another number of positions than the network answers at.
    let answers = AnswerOptions { output: name("sentence_embedding"), kind: Some(AnswerKind::Classes), ..none };
    let mut network = open(answers).unwrap();
    let data = EvalSet::open("arrays:tests/answers/tagger.npz").unwrap();
    let message = data.for_network(&mut network).unwrap_err().to_string();
    assert!(
        message.contains("labels") && message.contains("6 a sample") && message.contains("1 position"),
        "{message}"
    );
}

#[test]
fn answers_that_are_no_classes_have_no_accuracy_to_keep() {
    let output = Some("sentence_embedding".to_owned());
    let (network, data) = opened("tagger.onnx", AnswerOptions { output, ..AnswerOptions::default() }, "tagger.npz");
    let slim = |goal| Slim::new(&network, &data).goal(Some(goal)).run(None, &mut |_, _, _| ());
    let message = slim(Goal::KeepAccuracy(1.0)).err().unwrap().to_string();
    assert!(message.contains("no classes") && message.contains("loss"), "{message}");
    let slimming = slim(Goal::KeepLoss(0.5)).unwrap();
    assert!(!slimming.removed.is_empty() && slimming.removed.len() < 4, "{:?}", slimming.removed);
}

/// Runs the program; returns whether it succeeds, and all that it prints.
fn run(arguments: &[&str]) -> (bool, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_unrolled")).args(arguments).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.success(), out + &err)
}

/// Classes at positions that are no words are told by accuracy, by `eval` as by `measure`.
#[test]
fn the_program_tells_positions_and_their_accuracy() {
    let goldens = goldens();
    let (network, data) = ("tests/answers/tagger.onnx", "arrays:tests/answers/tagger.npz");
    let (_, said) = run(&["eval", network, "--data", data]);
    let accuracy = format!("accuracy {:.2} % (", 100.0 * goldens.tagger.whole.accuracy);
    let count = format!("{} positions of 12 samples", goldens.tagger.positions);
    assert!(said.starts_with(&accuracy) && said.trim_end().ends_with(&count), "{said}");
    let (_, said) = run(&["eval", "tests/answers/segmenter.onnx", "--data", "arrays:tests/answers/segmenter.npz"]);
    assert!(said.starts_with(&format!("accuracy {:.2} % (", 100.0 * goldens.segmenter.whole.accuracy)), "{said}");
    let (_, said) = run(&["show", network, "--output", "sentence_embedding"]);
    assert!(said.contains("answers: vectors of 8 values, compared by their cosine (by its name)"), "{said}");
    let (_, said) = run(&["measure", network, "--data", data, "--only", "lesion", "--positions", "1"]);
    assert!(said.contains("5 classes at position 1 of 6"), "{said}");
}

#[test]
fn labels_that_answers_cannot_have_are_not_said_to_be_missing() {
    let (network, data) = ("tests/answers/tagger.onnx", "arrays:tests/answers/tagger.npz");
    let (is_success, said) = run(&["eval", network, "--data", data, "--output", "sentence_embedding"]);
    let expected = "answers with vectors of 8 values, compared by their cosine, so that there is no accuracy";
    assert!(!is_success && said.contains(expected) && !said.contains("no labels"), "{said}");
    let (is_success, said) = run(&["eval", network, "--data", "arrays:tests/answers/tagger-unlabelled.npz"]);
    assert!(!is_success && said.contains("no labels"), "{said}");
}

/// Paired differences need labels: without them a network is compared with itself.
#[test]
fn only_labelled_networks_have_paired_differences() {
    let (network, data) = ("tests/answers/tagger.onnx", "arrays:tests/answers/tagger.npz");
    let dir = tempfile::tempdir().unwrap();
    let compare = |name: &str, options: &[&str]| {
        let out = dir.path().join(name);
        let arguments = ["compare", network, network, "--data", data, "--only", "lesion", "--out"];
        let (is_success, said) = run(&[&arguments, [out.to_str().unwrap()].as_slice(), options].concat());
        assert!(is_success, "{said}");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        (out.join("paired.csv").exists(), said.contains(") differs from "))
    };
    assert_eq!(compare("labelled", &[]), (true, true));
    assert_eq!(compare("embedding", &["--output", "sentence_embedding"]), (false, false));
}
