//! Several processes that share the samples give what one gives. Here they are threads of one process; `mpi.rs` starts processes.

use std::path::Path;

use unrolled::data::Shard;
use unrolled::measure::{EvalSet, Measure, Measurements, Prediction, evaluate, predict, predict_along};
use unrolled::model::{Epoch, Model};
use unrolled::nn::{Network, Route, Wiring};
use unrolled::open::OpenOptions;
use unrolled::ranks::{Ranks, threads};
use unrolled::slim::{Goal, Slim};
use unrolled::train::{Experiment, Resume, Trainer};

use crate::shards::{MERGED, assert_alike, corpus, digits, language_model, resnet};

/// Losses of processes whose normalization is that of the whole batch differ from those of one process by rounding alone:
/// largest relative difference over ten steps.
const SYNCHRONIZED: f64 = 1e-6;

/// Runs one thread for each of so many ranks; returns what each returns.
pub(crate) fn on_ranks<T: Send>(size: usize, work: impl Fn(&Ranks) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let running: Vec<_> = threads(size).into_iter().map(|ranks| scope.spawn(move || work(&ranks))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn shared(data: &EvalSet, ranks: &Ranks) -> EvalSet {
    EvalSet { ranks: ranks.clone(), ..data.clone() }
}

fn check_measurements(network: &Model, data: &EvalSet) {
    let measure = Measure::new().seed(1).names("net", "data");
    let (whole, predicted) = measure.run_with_predictions(network, data, &mut ()).unwrap();
    for size in [2, 3] {
        let found: Vec<(Measurements, Vec<Prediction>)> =
            on_ranks(size, |ranks| measure.run_with_predictions(network, &shared(data, ranks), &mut ()).unwrap());
        for (measured, predictions) in found {
            assert_alike(&whole, &measured, MERGED, &format!("{size} ranks"));
            assert!(predictions == predicted, "predictions of {size} ranks");
        }
    }
}

#[test]
fn measurements_of_several_ranks_are_those_of_one() {
    check_measurements(&resnet(Wiring::Full, 3), &digits(83));
}

#[test]
fn ranks_share_the_streams_of_a_text() {
    let dir = tempfile::tempdir().unwrap();
    let (network, data) = language_model(dir.path());
    check_measurements(&network, &data);
}

#[test]
fn predictions_of_several_ranks_are_those_of_one_to_the_bit() {
    let (network, data) = (resnet(Wiring::Residual, 3), digits(50));
    let routes: Vec<Route> =
        network.outline().blocks().map(|(id, _)| Route::identity(network.outline()).without_block(id)).collect();
    let along = |data: &EvalSet| predict_along(&network, data, &routes, |_| ()).unwrap();
    let whole = (predict(&network, &data, |_| ()).unwrap(), along(&data), evaluate(&network, &data, |_| ()).unwrap());
    for size in [2, 3, 60] {
        let found = on_ranks(size, |ranks| {
            let data = shared(&data, ranks);
            (predict(&network, &data, |_| ()).unwrap(), along(&data), evaluate(&network, &data, |_| ()).unwrap())
        });
        assert!(found.iter().all(|found| *found == whole), "{size} ranks");
    }
}

#[test]
fn ranks_add_to_a_directory_and_leave_nothing_else_there() {
    let (network, data) = (resnet(Wiring::Residual, 3), digits(30));
    let dir = tempfile::tempdir().unwrap();
    let [one, several] = ["one", "several"].map(|name| dir.path().join(name));
    let only = |names: &[&str]| Measure::new().only(names).unwrap().names("net", "digits");
    for names in [&["lesion", "influence"][..], &["lesion", "estimation"]] {
        let expected = only(names).directory(&one).run(&network, &data, &mut ()).unwrap();
        let found =
            on_ranks(2, |ranks| only(names).directory(&several).run(&network, &shared(&data, ranks), &mut ()).unwrap());
        found.iter().for_each(|found| assert_alike(&expected, found, MERGED, "added to"));
    }
    let names = |dir: &Path| {
        let mut names: Vec<_> = dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&several), names(&one));
    let [one, several] = [one, several].map(|dir| Measurements::read(&dir).unwrap().remove(0));
    assert_eq!(several.outputs.keys().collect::<Vec<_>>(), ["estimation", "lesion", "influence"]);
    assert_alike(&one, &several, MERGED, "read again");
}

#[test]
fn ranks_select_the_same_blocks_and_the_first_writes_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.safetensors");
    crate::common::write_network(&path, 1);
    let (network, data) = (OpenOptions::new().open(&path).unwrap(), digits(60));
    let slim = |data: &EvalSet, name: &str| {
        Slim::new(&network, data).goal(Some(Goal::Remove(2))).run(Some(&dir.path().join(name)), &mut |_, _, _| ())
    };
    let one = slim(&data, "one.safetensors").unwrap();
    let found = on_ranks(2, |ranks| slim(&shared(&data, ranks), &format!("rank{}.safetensors", ranks.rank())).unwrap());
    for (rank, slimming) in found.iter().enumerate() {
        assert_eq!(slimming.removed, one.removed);
        assert_eq!(slimming.slimmed.is_some(), rank == 0);
        assert_eq!(dir.path().join(format!("rank{rank}.safetensors")).exists(), rank == 0);
    }
    let bytes = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    assert!(bytes("one.safetensors") == bytes("rank0.safetensors"));
}

const IMAGES: &str = r#"
[model]
kind = "resnet"
depth = 8
width = 4
NORM

[data]
source = "digits"
limit = 332
augment = { pad = 1 }

[train]
epochs = 2
batch = 64
rate = 0.05
weight_decay = 1e-4
EXTRA
"#;

const WORDS: &str = r#"
[model]
kind = "char-lm"
maps = [6, 10]
units = 12
blocks = [2]
dropout = 0.0

[data]
source = "text:HOME"

[train]
epochs = 2
batch = 6
steps = 9
rate = 0.5
momentum = 0.0
clip_norm = 5.0
EXTRA
"#;

fn experiment(text: &str, [norm, extra]: [&str; 2]) -> Experiment {
    Experiment::parse(&text.replace("NORM", norm).replace("EXTRA", extra), &[], "config").unwrap()
}

/// Trains with so many ranks in a directory; returns the model and the history of each.
fn train(experiment: &Experiment, dir: &Path, resumes: bool, size: usize) -> Vec<(Model, Vec<Epoch>)> {
    on_ranks(size, |ranks| {
        let backend = unrolled::kernel::Backend::cpu();
        let trainer = Trainer::shared(experiment.clone(), None, dir, resumes, &backend, ranks).unwrap();
        trainer.train(&mut |_| ()).unwrap()
    })
}

fn bits(model: &Model) -> Vec<u32> {
    let values = model.parameters.iter().flat_map(|(_, p)| p.value.clone().into_data().try_to_vec::<f32>().unwrap());
    values.map(f32::to_bits).collect()
}

fn check_losses(experiment: &Experiment, tolerance: f64, what: &str) {
    let dir = tempfile::tempdir().unwrap();
    let expected = train(experiment, &dir.path().join("one"), false, 1).remove(0);
    for size in [2, 3] {
        let found = train(experiment, &dir.path().join(size.to_string()), false, size);
        for (model, history) in &found {
            for (found, expected) in history.iter().zip(&expected.1) {
                for [found, expected] in
                    [[found.train_loss, expected.train_loss], [found.evaluation_loss, expected.evaluation_loss]]
                {
                    let error = (found / expected - 1.0).abs();
                    assert!(error <= tolerance, "{what}, {size} ranks: {found}, expected {expected}: {error:.1e}");
                }
            }
            assert!(bits(model) == bits(&found[0].0), "{what}: all of {size} ranks have the same network");
        }
    }
}

#[test]
fn ranks_without_normalization_train_as_one_process() {
    check_losses(&experiment(IMAGES, ["norm = false", ""]), SYNCHRONIZED, "without normalization");
}

#[test]
fn ranks_with_common_statistics_train_as_one_process() {
    check_losses(&experiment(IMAGES, ["norm = true", "sync_norm = true"]), SYNCHRONIZED, "common statistics");
    // The control: with statistics of their own the losses differ by far more.
    let dir = tempfile::tempdir().unwrap();
    let own = experiment(IMAGES, ["norm = true", ""]);
    let [one, two] = [1, 2].map(|size| train(&own, &dir.path().join(size.to_string()), false, size).remove(0).1);
    let apart =
        one.iter().zip(&two).map(|(one, two)| (two.train_loss / one.train_loss - 1.0).abs()).fold(0.0, f64::max);
    assert!(apart > 100.0 * SYNCHRONIZED, "{apart:.1e}");
}

fn words(dir: &Path, extra: &str) -> Experiment {
    corpus(dir);
    experiment(&WORDS.replace("HOME", &dir.display().to_string()), ["", extra])
}

#[test]
fn ranks_share_the_streams_of_a_text_in_training() {
    let dir = tempfile::tempdir().unwrap();
    check_losses(&words(dir.path(), ""), SYNCHRONIZED, "words");
}

/// Stops after some steps, and continues with the same number of ranks, or with another one.
fn check_resumed(experiment: &Experiment, longer: &Experiment, step: u64) {
    let dir = tempfile::tempdir().unwrap();
    let whole = train(longer, &dir.path().join("whole"), false, 2).remove(0);
    let broken = dir.path().join("broken");
    train(experiment, &broken, false, 2);
    // The state in the middle of an epoch.
    let checkpoints = broken.join("checkpoints");
    for entry in checkpoints.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with(format!("step-{step:09}.safetensors")) {
            std::fs::remove_file(path).unwrap();
        }
    }
    let copy = dir.path().join("copy");
    copy_directory(&broken, &copy);
    let resumed = train(experiment, &broken, true, 2).remove(0);
    assert!(bits(&resumed.0) == bits(&whole.0), "the same number of ranks ends in the same bits");
    let backend = unrolled::kernel::Backend::cpu();
    let refused = Trainer::new(experiment.clone(), &copy, Resume::Exact, &backend).err().unwrap().to_string();
    assert!(refused.contains("in each of 2 processes"), "{refused}");
    let trainer = Trainer::new(experiment.clone(), &copy, Resume::Inexact, &backend).unwrap();
    let (_, history) = trainer.train(&mut |_| ()).unwrap();
    assert_eq!(history.len(), whole.1.len());
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in from.read_dir().unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() { copy_directory(&entry.path(), &to) } else { drop(std::fs::copy(entry.path(), to)) }
    }
}

#[test]
fn a_shared_training_is_resumed_in_the_middle_of_an_epoch() {
    let extra = "checkpoint_steps = 4\nkeep = 9";
    let images = experiment(IMAGES, ["norm = true\ndropout = 0.2", extra]);
    check_resumed(&images, &images, 8);
    let dir = tempfile::tempdir().unwrap();
    let words = words(dir.path(), extra);
    check_resumed(&words, &words, 4);
}

#[test]
fn a_batch_too_small_for_all_ranks_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let messages = on_ranks(13, |ranks| {
        let backend = unrolled::kernel::Backend::cpu();
        let experiment = experiment(IMAGES, ["", ""]);
        let trainer = Trainer::shared(experiment, None, &dir.path().join("run"), false, &backend, ranks);
        trainer.err().unwrap().to_string()
    });
    // 332 images are five batches of 64, and one of 12.
    assert_eq!(messages, ["train.batch: a batch has 12 samples; expected one for each of 13 processes"; 13]);
    assert!(!dir.path().join("run").exists());
}

#[test]
fn ranks_with_different_samples_are_told_before_any_work() {
    let network = resnet(Wiring::Residual, 3);
    let messages = on_ranks(2, |ranks| {
        let data = shared(&digits(20 + ranks.rank()), ranks);
        Measure::new().run(&network, &data, &mut ()).err().unwrap().to_string()
    });
    assert!(messages[0].starts_with("rank 1: data ") && messages[0] == messages[1], "{messages:?}");
    let messages = on_ranks(2, |ranks| {
        let network = resnet(Wiring::Residual, ranks.rank() as u64);
        Measure::new().run(&network, &shared(&digits(20), ranks), &mut ()).err().unwrap().to_string()
    });
    assert!(messages[0].starts_with("rank 1: network "), "{messages:?}");
}

#[test]
fn a_shard_is_no_work_for_ranks() {
    let (network, data) = (resnet(Wiring::Residual, 3), digits(20));
    let dir = tempfile::tempdir().unwrap();
    // Every rank observes the shard that it is given, whatever the ranks share.
    let shard = Shard { number: 1, of: 2 };
    let found = on_ranks(2, |ranks| {
        let measure = Measure::new().directory(&dir.path().join(ranks.rank().to_string()));
        measure.run_shard(&network, &shared(&data, ranks), shard, &mut ()).is_ok()
    });
    assert_eq!(found, [true, true]);
}
