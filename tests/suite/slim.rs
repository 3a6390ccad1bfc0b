//! Slimming against its definitions: what is chosen, what is written, and that it is proved.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{id, measured};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use unrolled::FileContents;
use unrolled::data::{Augment, Dataset, LoaderConfig, ResizeCrop, SampleOrder, Split, batches};
use unrolled::measure::*;
use unrolled::model::{Metadata, Model, ModelConfig, ModelKind, to_bytes};
use unrolled::nn::{BlockId, ForwardContext, Network, Route, TrainingStep, Wiring};
use unrolled::open::{OpenOptions, OpenedModel};
use unrolled::slim::Slimmed;
use unrolled::slim::{
    Criterion, Goal, ProgressFn, Prunable, RecoveredNetwork, Recovery, RecoveryStep, finetune, recalibrate, removable,
    select_blocks, verify,
};
use unrolled::train::{Experiment, Trainer};

fn digits(split: Split, samples: usize) -> EvalSet {
    let dataset = Dataset::open(&"digits".parse().unwrap(), split, &ResizeCrop::default()).unwrap().limit(samples);
    let normalization = dataset.normalization();
    EvalSet::new(Arc::new(dataset), normalization, 50)
}

fn card(model: &Model) -> Metadata {
    let normalization = digits(Split::Test, 1).normalization;
    Metadata {
        characters: None,
        model: model.config().clone(),
        input: [1, 8, 8],
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        mean: normalization.mean,
        std: normalization.std,
        data: "digits".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// Opens a network from a model file of its own.
fn came(model: &Model, dir: &Path) -> OpenedModel {
    let path = dir.join("whole.safetensors");
    std::fs::write(&path, to_bytes(model, &card(model), &[], HashMap::new()).unwrap()).unwrap();
    opened(&path)
}

fn opened(path: &Path) -> OpenedModel {
    OpenOptions::new().open_model(path).unwrap()
}

fn mlp() -> Model {
    let config = ModelConfig::new(ModelKind::Mlp).with_depth(7).with_width(12).with_wiring(Wiring::Residual);
    Model::new(&config, [1, 8, 8], 10, 5, &Device::flex()).unwrap()
}

fn resnet(wiring: Wiring) -> Model {
    let config = ModelConfig::new(ModelKind::Resnet).with_depth(20).with_width(4).with_wiring(wiring);
    Model::new(&config, [1, 8, 8], 10, 5, &Device::flex()).unwrap()
}

fn chosen(
    form: &OpenedModel,
    source: &EvalSet,
    by: Criterion,
    target: Option<Goal>,
) -> unrolled::Result<unrolled::slim::Selection> {
    select_blocks(form, source, by, target, 0, &mut |_, _, _| ())
}

fn refusal(form: &OpenedModel, by: Criterion, target: Goal) -> String {
    chosen(form, &digits(Split::Test, 60), by, Some(target)).err().expect("a refusal").to_string()
}

/// Loss and accuracy without each of some sets of blocks, by their definition.
fn without(model: &Model, source: &EvalSet, sets: &[Vec<BlockId>]) -> Vec<(f64, f64)> {
    let routes: Vec<Route> = sets
        .iter()
        .map(|set| set.iter().fold(Route::identity(model.outline()), |route, &at| route.without_block(at)))
        .collect();
    let answers = predict_along(model, source, &routes, |_| ()).unwrap();
    answers.iter().map(|answers| (Score::of(answers).loss, Score::of(answers).accuracy)).collect()
}

#[test]
fn greedy_measures_again_after_each_removal() {
    let dir = tempfile::tempdir().unwrap();
    let model = resnet(Wiring::Residual);
    let (form, source) = (came(&model, dir.path()), digits(Split::Test, 60));
    let choice = chosen(&form, &source, Criterion::Greedy, Some(Goal::Remove(3))).unwrap();
    let (candidates, stays) = removable(&form);
    assert_eq!((candidates.len(), stays.len()), (7, 2));
    assert!(stays[&id("stage2.block1")].starts_with("it changes the shape"));
    let mut removed: Vec<BlockId> = Vec::new();
    for (round, step) in choice.chosen.curve.iter().enumerate() {
        let sets: Vec<Vec<BlockId>> = candidates
            .iter()
            .filter(|at| !removed.contains(at))
            .filter(|at| removed.iter().filter(|other| other.stage == at.stage).count() < 2)
            .map(|&at| [removed.as_slice(), &[at]].concat())
            .collect();
        let scores = without(&model, &source, &sets);
        // The highest accuracy, and of equals the lowest loss.
        let by = |a: usize, b: usize| (-scores[a].1, scores[a].0).partial_cmp(&(-scores[b].1, scores[b].0)).unwrap();
        let best = (0..sets.len()).min_by(|&a, &b| by(a, b)).unwrap();
        removed.clone_from(&sets[best]);
        assert_eq!(choice.removed[round], removed[round]);
        assert_eq!((step.score.loss, step.score.accuracy), scores[best]);
    }
    assert_eq!(removed.len(), 3);
}

/// The figures are those of the measurements, the orders follow them, and tau is that of its definition.
#[test]
fn rankings_order_by_what_was_measured() {
    let dir = tempfile::tempdir().unwrap();
    let model = resnet(Wiring::Highway);
    let (form, source) = (came(&model, dir.path()), digits(Split::Test, 60));
    let rankings = chosen(&form, &source, Criterion::Influence, Some(Goal::Remove(2))).unwrap().chosen.rankings;
    let names: Vec<&str> = rankings.iter().map(|ranking| ranking.name.as_str()).collect();
    assert_eq!(names, Criterion::ALL.map(Criterion::name));
    let only = ["lesion", "influence", "gates", "readouts"];
    let measured = measured(&model, &source, &only, 0);
    let (lesion, influence, gates) = (
        measured.require::<Lesion>().unwrap(),
        measured.require::<Influence>().unwrap().influence,
        measured.require::<Gates>().unwrap(),
    );
    let (runs, readouts) =
        (measured.require::<Influence>().unwrap().runs, measured.require::<Readouts>().unwrap().readouts);
    let value = |ranking: &str, block: &BlockId| rankings.iter().find(|r| r.name == ranking).unwrap().values[block];
    let blocks = removable(&form).0;
    for block in &blocks {
        assert_eq!(value("lesion", block), lesion[block].loss_cost.value);
        assert_eq!(value("influence", block), influence[block].block_influence.value);
        assert_eq!(value("l2-ratio", block), influence[block].l2_ratio.value);
        assert_eq!(value("gate", block), gates[block].transform.as_ref().unwrap().mean.value);
        let run = runs.iter().find(|run| run.first == *block && run.last == *block).unwrap();
        assert_eq!(value("angle", block), run.angular_distance.value);
    }
    let loss = |block: &str| readouts[&id(block)].linear.unwrap().score.loss;
    assert_eq!(value("readout-gain", &id("stage2.block2")), loss("stage2.block1") - loss("stage2.block2"));
    assert!(!rankings[4].values.contains_key(&id("stage1.block1")), "nothing is read out before the first block");
    assert_eq!(rankings[7].order, blocks.iter().rev().copied().collect::<Vec<_>>());
    for (i, one) in rankings.iter().enumerate() {
        let figures: Vec<f64> = one.order.iter().filter_map(|block| one.values.get(block).copied()).collect();
        assert!(figures.is_sorted(), "{}", one.name);
        for (j, other) in rankings.iter().enumerate() {
            let place = |ranking: &[BlockId], block| ranking.iter().position(|b| b == block).unwrap();
            let (mut sum, mut pairs) = (0.0, 0.0);
            for a in 0..blocks.len() {
                for b in a + 1..blocks.len() {
                    let before = |order: &[BlockId]| place(order, &blocks[a]) < place(order, &blocks[b]);
                    sum += if before(&one.order) == before(&other.order) { 1.0 } else { -1.0 };
                    pairs += 1.0;
                }
            }
            assert!((one.kendall_tau[j] - sum / pairs).abs() < 1e-12, "{i} {j}");
        }
    }
}

#[test]
fn a_target_is_reached_and_not_passed() {
    let dir = tempfile::tempdir().unwrap();
    let model = resnet(Wiring::Residual);
    let (form, source) = (came(&model, dir.path()), digits(Split::Test, 60));
    let parameters = |removed: &[BlockId]| {
        let route = removed.iter().fold(Route::identity(model.outline()), |route, &at| route.without_block(at));
        form.slimmed(&route).unwrap().outline().parameters
    };
    for by in [Criterion::Deepest, Criterion::Greedy] {
        let most = model.outline().parameters - 6_000;
        let removed = chosen(&form, &source, by, Some(Goal::Parameters(most))).unwrap().removed;
        assert!(parameters(&removed) <= most && parameters(&removed[..removed.len() - 1]) > most, "{removed:?}");
    }
    for (by, points) in [(Criterion::Deepest, 5.0), (Criterion::Greedy, 5.0), (Criterion::Lesion, 0.0)] {
        let Ok(choice) = chosen(&form, &source, by, Some(Goal::KeepAccuracy(points))) else { continue };
        let whole = without(&model, &source, &[Vec::new()])[0].1;
        let sets: Vec<Vec<BlockId>> = (1..=choice.removed.len()).map(|n| choice.removed[..n].to_vec()).collect();
        assert!(without(&model, &source, &sets).iter().all(|(_, a)| 100.0 * (whole - a) <= points + 1e-9));
    }
    // A random network is not right more often than by chance: 100 points are never lost.
    let all = chosen(&form, &source, Criterion::Greedy, Some(Goal::KeepAccuracy(100.0))).unwrap();
    assert_eq!(all.removed.len(), 6);
    let ranked = chosen(&form, &source, Criterion::Greedy, None).unwrap();
    assert_eq!((ranked.removed.len(), ranked.chosen.curve.len()), (0, 6));
    assert_eq!(
        chosen(&form, &source, Criterion::Random, Some(Goal::Latency(1e9))).err().map(|e| e.to_string()).as_deref(),
        Some("latency: 1000000000: nothing to leave out, that holds already")
    );
}

#[test]
fn a_target_that_cannot_be_reached_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let form = came(&resnet(Wiring::Residual), dir.path());
    assert_eq!(
        refusal(&form, Criterion::Greedy, Goal::Remove(7)),
        "remove: 7: at most 6 blocks can be left out for good, every stage keeps one"
    );
    for by in [Criterion::Greedy, Criterion::Deepest] {
        let says = refusal(&form, by, Goal::Parameters(100));
        assert!(
            says.starts_with("params: 100: not reachable, ") && says.ends_with("all 6 blocks are left out that can be"),
            "{says}"
        );
        assert!(refusal(&form, by, Goal::Latency(0.0)).starts_with("latency: 0: not reachable"));
        assert_eq!(
            refusal(&form, by, Goal::Parameters(1 << 40)),
            "params: 1099511627776: nothing to leave out, that holds already"
        );
    }
    assert_eq!(
        refusal(&form, Criterion::Gate, Goal::Remove(1)),
        "by: gate: no block of resnet-20 residual, width 4 has a figure for it"
    );
    let single = ModelConfig::new(ModelKind::Resnet).with_depth(8).with_width(4);
    let single = came(&Model::new(&single, [1, 8, 8], 10, 5, &Device::flex()).unwrap(), dir.path());
    assert_eq!(
        refusal(&single, Criterion::Greedy, Goal::Remove(1)),
        "resnet-8 residual, width 4: none of its blocks can be left out for good; stage1.block1: it is the only block of its stage"
    );
}

/// Slims, writes, proves, and opens again.
fn proved(form: &OpenedModel, route: &str, source: &EvalSet, out: &Path) -> (Slimmed, Model) {
    let route = Route::parse(route, form.network().outline()).unwrap();
    let slimmed = verify(form, &route, source, |_| Ok(Vec::new()), Some(out.into()), &mut |_, _, _| ()).unwrap();
    (slimmed, opened(out).model)
}

#[test]
fn a_model_file_comes_back_as_one_and_what_it_costs_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("slim.safetensors");
    for model in [mlp(), resnet(Wiring::Full)] {
        let (form, source) = (came(&model, dir.path()), digits(Split::Test, 60));
        let route = if model.outline().stages.len() == 1 { "2,4-5" } else { "2-3 / 1,3 / 1" };
        let (slimmed, again) = proved(&form, route, &source, &out);
        let parsed = Route::parse(route, model.outline()).unwrap();
        let whole = Baseline::new(&model, &source, |_| ()).unwrap();
        let expected = Score::of(&predict_along(&model, &source, &[parsed], |_| ()).unwrap()[0]);
        assert_eq!(slimmed.versions[0].lesion.score, expected);
        assert_eq!(slimmed.whole, Score::of(&whole.predictions));
        assert_eq!(Score::of(&Baseline::new(&again, &source, |_| ()).unwrap().predictions), expected);
        assert_eq!(slimmed.after.bytes, std::fs::metadata(&out).unwrap().len());
        assert_eq!(slimmed.before.bytes, std::fs::metadata(dir.path().join("whole.safetensors")).unwrap().len());
        assert_eq!(
            (slimmed.after.parameters, slimmed.after.flops),
            (again.outline().parameters, again.outline().flops)
        );
        assert!(slimmed.after.latency_ms.value > 0.0 && slimmed.after.parameters < slimmed.before.parameters);
    }
}

/// A file with somebody else's names, every value its own; `names` are pairs of theirs and ours.
fn foreign(path: &Path, model: &Model, theirs: &dyn Fn(&str) -> String, dtype: Dtype) {
    let mut arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (place, (_, parameter)) in model.parameters.iter().enumerate() {
        let count: usize = parameter.shape.iter().product();
        // Whole eighths are exact in sixteen bits too.
        let values = (0..count).map(|i| ((i * 7 + place * 3) % 29) as f32 / 8.0 + 0.125);
        let bytes = match dtype {
            Dtype::F16 => values.flat_map(|v| half(v).to_le_bytes()).collect(),
            _ => values.flat_map(|v| v.to_le_bytes()).collect(),
        };
        let name = theirs(&parameter.name);
        if let Some(part) = name.strip_suffix("running_mean") {
            let name = format!("{part}num_batches_tracked");
            arrays.push((name, Dtype::I64, Vec::new(), 77_i64.to_le_bytes().to_vec()));
        }
        arrays.push((name, dtype, parameter.shape.clone(), bytes));
    }
    let views = arrays.iter().map(|(name, dtype, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The sixteen bits of a small positive number that they hold exactly.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let exponent = (bits >> 23) as i32 - 127 + 15;
    ((exponent as u16) << 10) | ((bits >> 13) as u16 & 0x3ff)
}

type Arrays = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn arrays(path: &Path) -> Arrays {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| (name.to_owned(), (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect()
}

fn last_part(ours: &str) -> (String, &'static str) {
    let (part, array) = ours.rsplit_once('.').unwrap();
    let array = match array {
        "weight" | "scale" => "weight",
        "bias" | "shift" => "bias",
        "mean" => "running_mean",
        _ => "running_var",
    };
    (part.replace(".norm", "~"), array)
}

/// The names of torchvision and of the CIFAR repositories.
fn resnet_names(ours: &str) -> String {
    let (part, array) = last_part(ours);
    let part = match BlockId::split(&part) {
        None => {
            [("stem~", "bn1"), ("stem", "conv1"), ("head", "linear")].iter().find(|(o, _)| *o == part).unwrap().1.into()
        }
        Some((at, rest)) => {
            let layer = match rest {
                "shortcut" => "downsample.0".into(),
                "shortcut~" => "downsample.1".into(),
                _ => rest.replace("body.layer", if rest.ends_with('~') { "bn" } else { "conv" }).replace('~', ""),
            };
            format!("layer{}.{}.{layer}", at.stage + 1, at.block)
        }
    };
    format!("{part}.{array}")
}

/// Names, shapes, element types and values of what is written are those of the blocks that stay, renumbered; what was
/// taken off the names stays off.
#[test]
fn the_layout_that_came_in_is_written_renumbered() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("in.safetensors"), dir.path().join("slim.safetensors"));
    let config = ModelConfig { blocks: Some(vec![3, 3, 2]), ..ModelConfig::new(ModelKind::Resnet) }.with_width(2);
    let model = Model::new(&config, [3, 32, 32], 10, 0, &Device::flex()).unwrap();
    for dtype in [Dtype::F32, Dtype::F16] {
        foreign(&path, &model, &|ours| format!("module.{}", resnet_names(ours)), dtype);
        let whole: Arrays = arrays(&path).into_iter().map(|(name, a)| (name.replace("module.", ""), a)).collect();
        let form = opened(&path);
        let route = Route::parse("2-3 / 1,3 / 1-2", form.network().outline()).unwrap();
        let slim = form.slimmed(&route).unwrap();
        std::fs::write(&out, form.to_bytes(&slim).unwrap()).unwrap();
        let found = arrays(&out);
        let mut expected = whole.clone();
        // By hand: in the first stage 1 and 2 become 0 and 1, in the second 2 becomes 1.
        let moved = [("layer1.1.", "layer1.0."), ("layer1.2.", "layer1.1."), ("layer2.2.", "layer2.1.")];
        for gone in ["layer1.0.", "layer1.2.", "layer2.1.", "layer1.1.", "layer2.2."] {
            expected.retain(|name, _| !name.starts_with(gone));
        }
        for (from, to) in moved {
            let of = whole.iter().filter(|(name, _)| name.starts_with(from));
            expected.extend(of.map(|(name, array)| (name.replace(from, to), array.clone())));
        }
        assert_eq!(found, expected);
        assert_eq!(found["layer1.1.bn2.num_batches_tracked"], (Dtype::I64, Vec::new(), 77_i64.to_le_bytes().to_vec()));
        assert_eq!(
            form.constructor(&slim),
            "ResNet(BasicBlock, [2, 2, 2], num_classes=10) of the code that it came from"
        );
    }
}

/// Every fixture that others wrote, with a block left out of each stage that has one to spare.
#[test]
fn files_of_others_are_slimmed_and_open_again() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("slim.safetensors");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/open");
    let mut slimmed = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            continue;
        }
        let form = opened(&path);
        let outline = form.network().outline();
        let route = removable(&form).0.iter().fold(Route::identity(outline), |route, &at| {
            if route.stages()[at.stage].len() > 1 { route.without_block(at) } else { route }
        });
        if route == Route::identity(outline) {
            continue;
        }
        let slim = form.slimmed(&route).unwrap();
        std::fs::write(&out, form.to_bytes(&slim).unwrap()).unwrap();
        let again = form.reopen(&out, &slim).unwrap();
        let values =
            |model: &Model| model.parameters.iter().map(|(_, p)| (p.name.clone(), p.to_vec())).collect::<Vec<_>>();
        assert_eq!(values(&again), values(&slim), "{}", path.display());
        slimmed += 1;
    }
    assert!(slimmed >= 5, "{slimmed} fixtures have a block to spare");
}

/// A form that slims to, or opens, something else than was asked for.
struct Lying {
    form: OpenedModel,
    slims: bool,
}

/// The network with another bias in its head.
fn bent(mut model: Model) -> unrolled::Result<Model> {
    let id = model.parameters.find("head.bias").unwrap();
    let mut bias = model.parameters.get(id).to_vec();
    bias[0] += 1e-3;
    model.parameters.set_values(id, &[bias.len()], bias)?;
    Ok(model)
}

impl Prunable for Lying {
    type Network = Model;

    fn network(&self) -> &Model {
        self.form.network()
    }

    fn why_not_removable(&self, at: BlockId) -> Option<String> {
        self.form.why_not_removable(at)
    }

    fn slimmed(&self, route: &Route) -> unrolled::Result<Model> {
        let slim = self.form.slimmed(route)?;
        if self.slims { bent(slim) } else { Ok(slim) }
    }

    fn draft(&self, slim: &Model, name: &str) -> unrolled::Result<FileContents> {
        self.form.draft(slim, name)
    }

    fn reopen(&self, path: &Path, written: &Model) -> unrolled::Result<Model> {
        bent(self.form.reopen(path, written)?)
    }

    fn constructor(&self, slim: &Model) -> String {
        self.form.constructor(slim)
    }

    fn why_not_recoverable(&self, step: RecoveryStep) -> Option<&'static str> {
        self.form.why_not_recoverable(step)
    }

    fn recover(
        &self,
        slim: &Model,
        recovery: &Recovery,
        progress: ProgressFn,
    ) -> unrolled::Result<Vec<RecoveredNetwork<Model>>> {
        self.form.recover(slim, recovery, progress)
    }
}

#[test]
fn what_does_not_answer_as_planned_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("slim.safetensors");
    let source = digits(Split::Test, 20);
    for (slims, expected) in [
        (false, format!("{}: opened again: what was written and what was to be written answer", out.display())),
        (true, "mlp-7 residual, width 12: the slimmed network and the route answer".into()),
    ] {
        let form = Lying { form: came(&mlp(), dir.path()), slims };
        let route = Route::parse("1-3", form.network().outline()).unwrap();
        let error =
            verify(&form, &route, &source, |_| Ok(Vec::new()), Some((&out).into()), &mut |_, _, _| ()).unwrap_err();
        assert!(error.to_string().starts_with(&(expected + " differently, by up to ")), "{error}");
        assert_eq!(error.exit_code(), 1);
        let left: Vec<PathBuf> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [dir.path().join("whole.safetensors")]);
    }
    let form = Lying { form: came(&mlp(), dir.path()), slims: false };
    let route = Route::parse("1-3", form.network().outline()).unwrap();
    // Without a file to write there is nothing to open again.
    assert!(verify(&form, &route, &source, |_| Ok(Vec::new()), None, &mut |_, _, _| ()).unwrap().file.is_none());
}

/// Rounding of f32 sums over batches.
const STATISTICS: f64 = 1e-5;

#[test]
fn statistics_are_the_mean_over_the_batches() {
    let model = resnet(Wiring::Residual);
    let source = EvalSet { batch: 16, ..digits(Split::Train, 40) };
    let healed = recalibrate(&model, &source, 9, &mut |_, _, _| ()).unwrap().network;
    let config = LoaderConfig {
        batch_size: 16,
        order: SampleOrder::Shuffled { seed: 9, epoch: 0 },
        augment: Augment::default(),
        normalization: source.normalization.clone(),
        drop_last: true,
        start: 0,
        workers: 0,
        part: None,
    };
    let mut sums: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut count = 0.0;
    for batch in batches(&source.dataset, &config).unwrap() {
        let batch = batch.unwrap();
        let x = Tensor::<4>::from_data(TensorData::new(batch.images, batch.shape), &Device::flex());
        let mut training = TrainingStep::new(0, 0);
        model.forward(&mut ForwardContext::training(&model.parameters, &mut training), x);
        for (id, values) in training.statistics {
            let values: Vec<f32> = values.into_data().try_into_vec().unwrap();
            let sum = sums.entry(model.parameters.get(id).name.clone()).or_insert_with(|| vec![0.0; values.len()]);
            sum.iter_mut().zip(values).for_each(|(sum, v)| *sum += f64::from(v));
        }
        count += 1.0;
    }
    assert_eq!((count, sums.len()), (2.0, model.parameters.iter().filter(|(_, p)| !p.is_trainable()).count()));
    for (_, parameter) in healed.parameters.iter() {
        let before = model.parameters.get(model.parameters.find(&parameter.name).unwrap()).to_vec();
        match sums.get(&parameter.name) {
            None => assert_eq!(parameter.to_vec(), before, "{}", parameter.name),
            Some(sums) => {
                for (found, sum) in parameter.to_vec().iter().zip(sums) {
                    let expected = sum / count;
                    assert!(
                        (f64::from(*found) - expected).abs() <= STATISTICS * expected.abs().max(1.0),
                        "{}",
                        parameter.name
                    );
                }
            }
        }
    }
}

#[test]
fn fine_tuning_trains_the_slimmed_network_on() {
    let text = "[model]\nkind = 'mlp'\ndepth = 8\nwidth = 16\n[data]\nsource = 'digits'\n[train]\nepochs = 4\nrate = 0.02\nbatch = 32";
    let experiment = Experiment::parse(text, &[], "experiment").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let device = Device::flex();
    Trainer::new(experiment.clone(), &run, false, &device).unwrap().train(&mut |_| ()).unwrap();
    let form = opened(&run);
    let route = Route::parse("1,3,5,7", form.network().outline()).unwrap();
    let short =
        Experiment { train: unrolled::train::TrainConfig { epochs: 2, ..experiment.train.clone() }, ..experiment };
    let heal = |planned: &Model| Ok(vec![finetune(planned, &form.metadata, short, &device, &mut |_| ())?]);
    let source = digits(Split::Test, 0);
    let out = dir.path().join("slim.safetensors");
    let slimmed = verify(&form, &route, &source, heal, Some((&out).into()), &mut |_, _, _| ()).unwrap();
    let names: Vec<&str> = slimmed.versions.iter().map(|version| version.name.as_str()).collect();
    assert_eq!((names, slimmed.finetuning.len()), (vec!["as planned", "fine-tuned"], 2));
    let losses: Vec<f64> = slimmed.versions.iter().map(|version| version.lesion.score.loss).collect();
    assert!(losses[1] < losses[0] && slimmed.versions[1].lesion.score.accuracy > 0.8, "{slimmed:?}");
    let again = opened(&out).model;
    assert_eq!(
        Score::of(&Baseline::new(&again, &source, |_| ()).unwrap().predictions),
        slimmed.versions[1].lesion.score
    );
}

/// A trained ResNet-20, where it is at hand.
#[test]
fn a_trained_network_is_slimmed_as_its_route_says() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let Ok(entries) = shared.join("weights/cifar-resnet").read_dir() else {
        println!("skipped: no reference weights beside the project");
        return;
    };
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let path = paths.find(|path| path.to_string_lossy().contains("resnet20-")).unwrap();
    let form = opened(&path);
    let spec = format!("cifar10:{}", shared.join("data/cifar10-bin").display()).parse().unwrap();
    let dataset = Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap().limit(200);
    let card = &form.metadata;
    let normalization = unrolled::data::Normalization { mean: card.mean.clone(), std: card.std.clone() };
    let source = EvalSet::new(Arc::new(dataset), normalization, 100);
    let dir = tempfile::tempdir().unwrap();
    let (slimmed, again) = proved(&form, "1,3 / 1-3 / 1,3", &source, &dir.path().join("slim.safetensors"));
    assert_eq!(again.outline().name, "resnet-blocks-2-3-2 residual, width 16");
    assert_eq!((slimmed.before.blocks, slimmed.after.blocks, slimmed.before.parameters), (9, 7, 269_722));
    // Veit et al. 2016: a trained residual network without two of its blocks still answers far better than chance.
    assert!(slimmed.versions[0].lesion.score.accuracy > 0.3, "{slimmed:?}");
}

#[test]
fn show_says_what_slimming_leaves() {
    for file in ["cifar-a.zip.pt", "preact-bottleneck.zip.pt"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/open").join(file);
        let (_, stays) = removable(&opened(&path));
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_unrolled"))
            .args(["show", "--json"])
            .arg(&path)
            .output()
            .unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let blocks = shown["stages"].as_array().unwrap().iter().flat_map(|stage| stage["blocks"].as_array().unwrap());
        let mut fixed = 0;
        for block in blocks {
            let why = stays.get(&id(block["name"].as_str().unwrap()));
            assert_eq!(block["fixed"].as_str(), why.map(String::as_str), "{file}: {block}");
            fixed += usize::from(why.is_some());
        }
        assert_eq!(fixed, stays.len(), "{file}");
        assert!(fixed > 0, "{file}: nothing that could differ");
    }
}
