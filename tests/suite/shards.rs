//! Measurements of shards, put together, are those of all samples; whatever does not belong together is refused.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use serde_json::Value;
use unrolled::data::{DataSpec, Dataset, ResizeCrop, Split};
use unrolled::measure::{EvalSet, Measure, Measurements, REGISTRY, Shard, VERSION, merge};
use unrolled::model::{Model, ModelConfig, ModelKind};
use unrolled::nn::{Network, Wiring};

/// Streamed means of shards are merged by Chan's formula, which rounds otherwise than a stream: largest relative difference.
pub(crate) const MERGED: f64 = 1e-12;
/// Outputs that are counted from predictions alone: they must be equal to the bit.
const COUNTED: [&str; 9] =
    ["lesion", "shuffle", "ablation", "several", "pairs", "repeats", "iteration", "readouts", "early_exit"];

pub(crate) fn digits(limit: usize) -> EvalSet {
    EvalSet::open("digits").unwrap().limit(limit).build().unwrap()
}

pub(crate) fn resnet(wiring: Wiring, seed: u64) -> Model {
    let config = ModelConfig::new(ModelKind::Resnet).with_depth(14).with_width(4).with_wiring(wiring);
    Model::new(&config, [1, 8, 8], 10, seed, &Device::flex()).unwrap()
}

/// Measures all shards, each into a directory of its own, and returns these.
fn shards<N: Network>(network: &N, data: &EvalSet, measure: &Measure, of: usize, dir: &Path) -> Vec<PathBuf> {
    let run = |number: usize| {
        let path = dir.join(format!("{number}-{of}"));
        measure.clone().directory(&path).run_shard(network, data, Shard { number, of }, &mut ()).unwrap();
        path
    };
    // In another order than they are counted.
    (1..=of).rev().map(run).collect()
}

/// Every path at which two documents differ by more than is allowed for it.
fn differences(path: &str, [whole, merged]: [&Value; 2], tolerance: f64, found: &mut Vec<String>) {
    let is_counted = COUNTED.iter().any(|name| path.starts_with(&format!("/{name}/"))) || path.starts_with("/baseline");
    let is_exact = is_counted;
    match (whole, merged) {
        (Value::Object(a), Value::Object(b)) => {
            if a.keys().ne(b.keys()) {
                found.push(format!("{path}: other keys"));
            }
            a.iter().for_each(|(key, value)| differences(&format!("{path}/{key}"), [value, &b[key]], tolerance, found));
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter()
                .zip(b)
                .enumerate()
                .for_each(|(i, (a, b))| differences(&format!("{path}/{i}"), [a, b], tolerance, found));
        }
        (Value::Number(a), Value::Number(b)) if !is_exact && a.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            // A figure that is zero but for rounding has no relative error; those here are of order 1.
            if (a - b).abs() > tolerance * a.abs().max(1.0) {
                found.push(format!("{path}: {a} and {b}"));
            }
        }
        (a, b) if a != b => found.push(format!("{path}: {a} and {b}")),
        _ => {}
    }
}

pub(crate) fn assert_alike(whole: &Measurements, merged: &Measurements, tolerance: f64, what: &str) {
    let mut found = Vec::new();
    let json = |measured: &Measurements| serde_json::to_value(measured).unwrap();
    differences("", [&json(whole), &json(merged)], tolerance, &mut found);
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn any_number_of_shards_gives_the_same_report() {
    let (network, data) = (resnet(Wiring::Full, 3), digits(83));
    let measure = Measure::new().seed(1).names("net", "digits");
    let whole = measure.run(&network, &data, &mut ()).unwrap();
    assert_eq!(whole.outputs.len(), REGISTRY.len(), "all measurements fit");
    for of in [1, 2, 3, 7] {
        let dir = tempfile::tempdir().unwrap();
        let parts = shards(&network, &data, &measure, of, dir.path());
        let merged = merge(&parts, &[], Some(&data), Some(&dir.path().join("merged"))).unwrap();
        assert_alike(&whole, &merged, MERGED, &format!("{of} shards"));
        let read = Measurements::read(&dir.path().join("merged")).unwrap();
        assert!(read == [merged], "what is written is what is returned");
    }
}

#[test]
fn more_shards_than_samples_are_merged_too() {
    let (network, data) = (resnet(Wiring::Residual, 3), digits(3));
    let measure = Measure::new().only(["lesion", "estimation"]).unwrap().names("net", "digits");
    let whole = measure.run(&network, &data, &mut ()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let parts = shards(&network, &data, &measure, 5, dir.path());
    assert_alike(&whole, &merge(&parts, &[], None, None).unwrap(), MERGED, "5 shards of 3 samples");
}

/// Sentences that depend on nothing.
pub(crate) fn corpus(dir: &Path) {
    let words = ["small", "dogs", "see", "the", "old", "bird", "and", "sing"];
    for (name, sentences) in [("train", 60), ("valid", 20), ("test", 40)] {
        let sentence = |i: usize| (0..3 + i % 5).map(|k| words[(i * 7 + k * k * 3) % 8]).collect::<Vec<_>>().join(" ");
        let text: String = (0..sentences).map(|i| sentence(i) + "\n").collect();
        std::fs::write(dir.join(format!("{name}.txt")), text).unwrap();
    }
}

/// A language model, and words that follow each other in streams; the text is written to a directory.
pub(crate) fn language_model(dir: &Path) -> (Model, EvalSet) {
    corpus(dir);
    let spec: DataSpec = format!("text:{}", dir.display()).parse().unwrap();
    let dataset = Dataset::open(&spec, Split::Train, &ResizeCrop::default()).unwrap();
    let config: ModelConfig =
        toml::from_str("kind = \"char-lm\"\nmaps = [6, 10]\nunits = 12\nblocks = [3]\nwiring = \"highway\"").unwrap();
    let (shape, classes) = (dataset.shape(), dataset.classes().len());
    let model = Model::new(&config, shape, classes, 0, &Device::flex()).unwrap();
    let dataset = Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap();
    let dataset = dataset.with_vocabulary(
        Dataset::open(&spec, Split::Train, &ResizeCrop::default()).unwrap().vocabulary().unwrap().clone(),
    );
    let data = EvalSet::new(Arc::new(dataset.unwrap()), unrolled::data::Normalization::uniform(0.0, 1.0), 40);
    assert!(data.dataset.streams() > 1, "samples follow each other");
    (model, data)
}

/// The streams of a text are shared out: what its words remember must not depend on it.
#[test]
fn shards_of_a_text_remember_as_the_whole_does() {
    let dir = tempfile::tempdir().unwrap();
    let (model, data) = language_model(dir.path());
    let measure = Measure::new().names("net", "text");
    let whole = measure.run(&model, &data, &mut ()).unwrap();
    for of in [2, 3, 7] {
        let dir = tempfile::tempdir().unwrap();
        let parts = shards(&model, &data, &measure, of, dir.path());
        assert_alike(&whole, &merge(&parts, &[], None, None).unwrap(), MERGED, &format!("{of} shards of a text"));
    }
}

#[test]
fn what_does_not_belong_together_is_named() {
    let (network, data) = (resnet(Wiring::Residual, 3), digits(20));
    let measure = Measure::new().only(["lesion", "influence"]).unwrap().names("net", "digits");
    let dir = tempfile::tempdir().unwrap();
    let parts = shards(&network, &data, &measure, 3, dir.path());
    let says = |parts: &[PathBuf]| merge(parts, &[], None, None).unwrap_err().to_string();
    let path = |name: &str| dir.path().join(name);

    assert!(says(&parts[..2]).ends_with("shard 1/3 is missing; 2 of 3 were given"), "{}", says(&parts[..2]));
    assert!(says(&parts[..1]).ends_with("shards 1/3, 2/3 are missing; 1 of 3 was given"), "{}", says(&parts[..1]));
    let twice = says(&[parts.clone(), vec![parts[0].clone()]].concat());
    assert!(twice.contains("shard 3/3, which") && twice.contains("3-3"), "{twice}");

    let other = resnet(Wiring::Residual, 4);
    measure.clone().directory(&path("other")).run_shard(&other, &data, Shard { number: 3, of: 3 }, &mut ()).unwrap();
    let message = says(&[parts[1].clone(), parts[2].clone(), path("other")]);
    assert!(message.contains("other") && message.contains("network net ("), "{message}");
    let fewer = digits(19);
    measure.clone().directory(&path("fewer")).run_shard(&network, &fewer, Shard { number: 3, of: 3 }, &mut ()).unwrap();
    let message = says(&[parts[1].clone(), parts[2].clone(), path("fewer")]);
    assert!(message.contains("fewer: 19 samples, expected 20"), "{message}");
    let others = EvalSet::open("digits").unwrap().split(unrolled::data::Split::Train).limit(20).build().unwrap();
    measure
        .clone()
        .directory(&path("others"))
        .run_shard(&network, &others, Shard { number: 3, of: 3 }, &mut ())
        .unwrap();
    let message = says(&[parts[1].clone(), parts[2].clone(), path("others")]);
    assert!(message.contains("others: data digits ("), "{message}");
    let unlike = merge(&parts, &[], Some(&others), None).unwrap_err().to_string();
    assert!(unlike.contains("data: other samples than those of digits that were measured"), "{unlike}");
    let too_few = merge(&parts, &[], Some(&fewer), None).unwrap_err().to_string();
    assert!(too_few.contains("data: 19 samples, but 20 of digits were measured"), "{too_few}");
    let lesion = Measure::new().only(["lesion"]).unwrap().names("net", "digits").directory(&parts[0]).resume(true);
    let added = lesion.run_shard(&network, &data, Shard { number: 3, of: 3 }, &mut ()).unwrap_err().to_string();
    let expected = "holds shard 3/3 of lesion,influence, and a shard cannot be added to; lesion was asked for";
    assert!(added.contains(expected), "{added}");
    let seeded = measure.clone().seed(5).directory(&path("seeded"));
    seeded.run_shard(&network, &data, Shard { number: 3, of: 3 }, &mut ()).unwrap();
    let message = says(&[parts[1].clone(), parts[2].clone(), path("seeded")]);
    assert!(message.contains("seed 5, expected 0"), "{message}");
    let only = Measure::new().only(["lesion"]).unwrap().names("net", "digits").directory(&path("only"));
    only.run_shard(&network, &data, Shard { number: 3, of: 3 }, &mut ()).unwrap();
    let message = says(&[parts[1].clone(), parts[2].clone(), path("only")]);
    assert!(message.contains("measures lesion, expected lesion,influence"), "{message}");

    measure.clone().directory(&path("all")).run(&network, &data, &mut ()).unwrap();
    assert!(says(&[path("all")]).ends_with("holds all samples, expected a shard"));
    assert!(says(&[dir.path().to_owned()]).ends_with("no plan.json, expected the directory of a shard"));
    let plan = parts[0].join("plan.json");
    let text = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, text.replacen(&format!("\"version\": {VERSION}"), "\"version\": 77", 1)).unwrap();
    assert!(says(&parts).ends_with(&format!("written by store version 77, expected {VERSION}")), "{}", says(&parts));
    std::fs::write(&plan, text).unwrap();

    let file = parts[0].join("store/lesion.bin");
    let bytes = std::fs::read(&file).unwrap();
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&file, flipped).unwrap();
    assert!(says(&parts).ends_with("store/lesion.bin: damaged: its checksum does not match"), "{}", says(&parts));
    std::fs::write(&file, &bytes[..9]).unwrap();
    assert!(says(&parts).ends_with("damaged: shorter than its header"));
    std::fs::copy(path("other").join("store/lesion.bin"), &file).unwrap();
    assert!(says(&parts).ends_with("belongs to another plan, network or data set"));
    std::fs::remove_file(&file).unwrap();
    assert!(says(&parts).contains("lesion: unfinished"), "{}", says(&parts));
    std::fs::write(&file, bytes).unwrap();
    merge(&parts, &[], None, None).unwrap();
}

/// A shard whose probes have not seen all of its samples is named, and nothing is written.
#[test]
fn every_shard_has_its_whole_pass() {
    let (network, data) = (resnet(Wiring::Residual, 3), digits(40));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let passes =
        |parts: &[PathBuf]| -> Vec<PathBuf> { parts.iter().map(|part| part.join("store/activations.bin")).collect() };
    for names in [&["influence"][..], &["lesion", "influence"], &["cka"]] {
        let measure = Measure::new().only(names).unwrap().names("net", "digits");
        let parts = shards(&network, &data, &measure, 2, &dir.path().join(names.join("-")));
        let says = || merge(&parts, &[], None, Some(&out)).unwrap_err().to_string();
        let kept: Vec<Vec<u8>> = passes(&parts).iter().map(|file| std::fs::read(file).unwrap()).collect();
        let probed = names.last().unwrap();
        let expected = format!("{probed}: unfinished, store/activations.bin is missing; resume the shard");
        for missing in [&[0][..], &[1], &[0, 1]] {
            missing.iter().for_each(|&part| std::fs::remove_file(&passes(&parts)[part]).unwrap());
            let first = parts.iter().rev().find(|part| !part.join("store/activations.bin").exists()).unwrap();
            assert_eq!(says(), format!("{}: {expected}", first.display()));
            passes(&parts).iter().zip(&kept).for_each(|(file, bytes)| std::fs::write(file, bytes).unwrap());
        }
        // One that was stopped in the middle.
        std::fs::remove_dir_all(parts[0].join("store")).unwrap();
        let stopped = measure.clone().directory(&parts[0]).save_every(std::time::Duration::ZERO);
        let data = EvalSet { batch: 8, ..data.clone() };
        let part = Shard { number: 2, of: 2 };
        let mut batches = 0;
        let mut stop = |done: u64, _: u64| {
            batches += usize::from(done > 0);
            if batches == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        stopped.run_shard(&network, &data, part, &mut stop).unwrap_err();
        assert!(says().contains("store/activations.bin has 16 of 20 samples; resume the shard"), "{}", says());
        assert!(!out.exists());
        stopped.resume(true).run_shard(&network, &data, part, &mut ()).unwrap();
        merge(&parts, &[], None, None).unwrap();
    }
}

/// The work that is announced is the work that is done, whatever is measured and of which samples.
#[test]
fn all_work_that_is_announced_is_done() {
    let (network, data) = (resnet(Wiring::Residual, 3), digits(40));
    let check = |what: &str, run: &dyn Fn(&mut dyn unrolled::measure::Progress)| {
        let mut seen: Vec<[u64; 2]> = Vec::new();
        let mut progress = |done: u64, total: u64| {
            seen.push([done, total]);
            ControlFlow::Continue(())
        };
        run(&mut progress);
        let [done, total] = *seen.last().unwrap();
        assert!(done == total && total > 0, "{what}: {done} of {total}");
        assert!(seen.iter().all(|[done, all]| done <= all && *all == total), "{what}");
    };
    let names: Vec<&str> = REGISTRY.iter().map(|m| m.name()).collect();
    let one_by_one = names.iter().map(std::slice::from_ref).collect::<Vec<_>>();
    for only in one_by_one.into_iter().chain([names.as_slice()]) {
        let measure = Measure::new().only(only).unwrap().skip_inapplicable();
        let what = only.join(",");
        check(&what, &|progress| drop(measure.run(&network, &data, progress).unwrap()));
        let dir = tempfile::tempdir().unwrap();
        let measure = measure.directory(dir.path());
        check(&format!("shard of {what}"), &|progress| {
            measure.run_shard(&network, &data, Shard { number: 2, of: 3 }, progress).unwrap();
        });
    }
}
