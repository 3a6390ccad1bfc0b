//! Files as others write them: `reference/open_fixtures.py` wrote them and says what PyTorch computes from each.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use serde::Deserialize;
use unrolled::data::{Dataset, Normalization, NormalizationSource, ResizeCrop, Split};
use unrolled::measure::{Estimation, EvalSet, Lesion, Patches, evaluate, predict};
use unrolled::model::{Model, ModelConfig, ModelKind, to_bytes};
use unrolled::nn::{BlockId, ForwardContext, Network};
use unrolled::open::{AnyNetwork, OpenOptions, OpenedModel};

#[path = "../foreign/mod.rs"]
mod foreign;

/// Largest error allowed, relative to the largest logit; expected values come from f64.
const TOLERANCE: f64 = 1e-5;
/// So that a file with fewer cases does not pass.
const CASES: usize = 19;

#[derive(Deserialize)]
struct Case {
    file: String,
    outline: String,
    side: usize,
    mean: f64,
    logits: Vec<f64>,
}

/// A name of 21 letters, see `src/open/archive.rs`.
const MISREAD: &str = "preact-bottleneck.zip";

/// The next step for networks in safetensors files that other programs describe.
const EXPORT: &str = "Export it to ONNX: safetensors.torch.load_model(model, 'FILE'); torch.onnx.export(model.eval(), \
                      (torch.zeros(1, 3, 224, 224),), 'network.onnx')";

/// Names and shapes.
type Arrays = Vec<(String, Vec<usize>)>;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/open").join(name)
}

fn opened(path: &Path, options: &OpenOptions) -> unrolled::Result<OpenedModel> {
    options.open_model(path)
}

fn refusal(path: &Path) -> String {
    match opened(path, &OpenOptions::default()) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string(),
    }
}

/// Two samples of `sin(0.37 i)`.
fn logits(model: &Model, side: usize) -> Vec<f32> {
    let values: Vec<f32> = (0..2 * 3 * side * side).map(|i| (0.37 * i as f64).sin() as f32).collect();
    let x = Tensor::<4>::from_data(TensorData::new(values, [2, 3, side, side]), &Device::flex());
    model.forward(&mut ForwardContext::inference(&model.parameters), x).into_data().try_into_vec().unwrap()
}

#[test]
fn files_of_others_compute_what_pytorch_computes() {
    let text = std::fs::read_to_string(fixture("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), CASES);
    assert!(MISREAD.len() == 21 && cases.iter().any(|case| case.file.starts_with(MISREAD)));
    let mut failures = Vec::new();
    let mut worst = 0.0_f64;
    for case in &cases {
        let opened = match opened(&fixture(&case.file), &OpenOptions::default()) {
            Ok(opened) => opened,
            Err(error) => {
                failures.push(error.to_string());
                continue;
            }
        };
        let outline = opened.model.outline();
        if outline.name != case.outline || outline.input != [3, case.side, case.side] {
            failures
                .push(format!("{}: {} for {:?}, expected {}", case.file, outline.name, outline.input, case.outline));
        }
        if (f64::from(opened.metadata.mean[0]) - case.mean).abs() > 1e-6 {
            failures.push(format!("{}: mean {:?}, expected {}", case.file, opened.metadata.mean, case.mean));
        }
        let largest = case.logits.iter().fold(0.0_f64, |most, e| most.max(e.abs()));
        let found = logits(&opened.model, case.side);
        assert_eq!(found.len(), case.logits.len(), "{}", case.file);
        let errors = found.iter().zip(&case.logits).map(|(f, e)| (f64::from(*f) - e).abs() / largest);
        let error = errors.fold(0.0, f64::max);
        worst = worst.max(error);
        if error > TOLERANCE || error.is_nan() {
            failures.push(format!("{}: largest error {error:.1e}", case.file));
        }
    }
    println!("{CASES} files, largest error {worst:.1e}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_report_says_what_became_of_every_array() {
    let opening = opened(&fixture("cifar-a.compiled.pth"), &OpenOptions::default()).unwrap().load_report.unwrap();
    assert_eq!((opening.layout.as_str(), opening.prefix.as_str()), ("resnet", "net._orig_mod.module."));
    assert_eq!((opening.applied, opening.counters), (37, 7));
    let beside: Vec<_> = opening.other_arrays.iter().map(|b| (b.name.as_str(), b.arrays)).collect();
    assert_eq!(beside, [("ema", 44), ("optimizer", 1)]);
    assert!(opening.missing.is_empty() && opening.unused.is_empty() && opening.wrong_shape.is_empty());
}

#[test]
fn cifar_classes_come_along_and_options_go_first() {
    let path = fixture("cifar-a.zip.pt");
    assert_eq!(opened(&path, &OpenOptions::default()).unwrap().metadata.classes[9], "truck");
    let large = opened(&fixture("large-basic.zip.pt"), &OpenOptions::default()).unwrap();
    assert_eq!((large.metadata.classes.join(" "), large.has_class_names), ("0 1 2 3 4".into(), false));
    let labels: Vec<String> = ('a'..='j').map(String::from).collect();
    let options = OpenOptions::new().labels(labels.clone()).mean([0.5]).std([0.25]);
    let card = opened(&path, &options).unwrap().metadata;
    assert_eq!((card.classes, card.mean, card.std[0]), (labels, vec![0.5], 0.25));
    for (options, message) in [
        (OpenOptions::new().labels(["a".to_owned()]), "labels: 1 names, the network has 10 classes"),
        (OpenOptions::new().mean([0.0; 2]).std([1.0]), "mean: 2 values, expected 1 or one for each of 3 channels"),
    ] {
        assert_eq!(opened(&path, &options).err().unwrap().to_string(), message);
    }
}

fn arrays_of(model: &Model) -> Arrays {
    model.parameters.iter().map(|(_, p)| (p.name.clone(), p.shape.clone())).collect()
}

/// A safetensors file of these arrays, their values all 0.5.
fn write(path: &Path, arrays: &Arrays) {
    let bytes: Vec<Vec<u8>> =
        arrays.iter().map(|(_, shape)| 0.5_f32.to_le_bytes().repeat(shape.iter().product())).collect();
    let views = arrays.iter().zip(&bytes).map(|((name, shape), bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The arrays of a fixture by PyTorch's names.
fn torch_arrays() -> Arrays {
    let bytes = std::fs::read(fixture("cifar-a.safetensors.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let arrays = file.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec()));
    let mut arrays: Vec<_> = arrays.filter(|(name, _)| !name.ends_with("num_batches_tracked")).collect();
    arrays.sort();
    arrays
}

#[test]
fn the_advice_reads_the_format_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("part.safetensors");
    write(&file, &vec![("a.b".into(), vec![1])]);
    let index = r#"{"metadata": {}, "weight_map": {"a.b": "part.safetensors"}}"#;
    std::fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
    let pytorch = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/squeeze.pt");
    for (path, reads) in [
        (pytorch.as_path(), "Export it to ONNX: model.load_state_dict(torch.load('FILE')); torch.onnx.export("),
        (file.as_path(), "Export it to ONNX: safetensors.torch.load_model(model, 'FILE'); torch.onnx.export("),
        (dir.path(), "Export it to ONNX: huggingface_hub.load_torch_model(model, 'DIRECTORY'); torch.onnx.export("),
    ] {
        let message = refusal(path);
        assert!(message.contains(reads), "{message}");
    }
}

#[test]
fn what_does_not_match_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let says = |change: &dyn Fn(&mut Arrays), expected: &str| {
        let mut arrays = torch_arrays();
        change(&mut arrays);
        write(&path, &arrays);
        let message = refusal(&path);
        let message = message.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&message).to_owned();
        assert_eq!(message, expected);
    };
    let find = |arrays: &mut Arrays, name: &str| arrays.iter().position(|(n, _)| n == name).unwrap();
    says(
        &|a| {
            let at = find(a, "layer2.0.bn1.weight");
            a.remove(at);
        },
        "layout resnet, 36 arrays fit: 1 missing (layer2.0.bn1.weight)",
    );
    says(
        &|a| {
            let at = find(a, "layer2.0.conv2.weight");
            a[at].0 = "layer2.0.con2.weight".into();
        },
        "layout resnet, 36 arrays fit: 1 missing (layer2.0.conv2.weight, perhaps 'layer2.0.con2.weight'); 1 unused in \
         blocks (layer2.0.con2.weight)",
    );
    says(
        &|a| {
            let at = find(a, "layer3.0.conv2.weight");
            a[at].1 = vec![16, 16, 1, 1];
        },
        "layout resnet, 36 arrays fit: 1 of the wrong shape (layer3.0.conv2.weight [16, 16, 1, 1], expected [16, 16, 3, \
         3])",
    );
    says(&|a| a.push(("layer1.0.se.weight".into(), vec![4])), &format!("an SE-ResNet (layer1.0.se.weight). {EXPORT}"));
    says(
        &|a| a.push(("aux.weight".into(), vec![4])),
        "layout resnet, 37 arrays fit: 1 unused (aux.weight); the option partial leaves unused arrays out",
    );
    says(
        &|a| {
            let at = find(a, "conv1.weight");
            a.remove(at);
        },
        "no stem: the first convolution is missing or has an unknown name",
    );
    says(
        &|a| *a = vec![("a.b".into(), vec![1]), ("c.d".into(), vec![1])],
        &format!(
            "no layout that is known (resnet, wide-resnet, timm-resnetv2, unrolled, resnet-d) has arrays named 'a.b', \
             'c.d'. {EXPORT}"
        ),
    );
    says(&|a| a.clear(), "no arrays in it");
    let shortcut = |a: &mut Arrays| {
        let at = find(a, "layer2.0.bn1.weight");
        a[at].1 = vec![4];
        a.push(("layer2.0.downsample.0.weight".into(), vec![8, 4, 1, 1]));
    };
    says(
        &shortcut,
        "a pre-activation network with 'downsample': those that name it so project the raw input, here as in He et al. \
         2016 the normalized one is projected",
    );
}

#[test]
fn partial_leaves_out_what_is_unused_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let partial = OpenOptions::new().partial(true);
    let mut arrays = torch_arrays();
    arrays.push(("aux.weight".into(), vec![4]));
    write(&path, &arrays);
    let opening = opened(&path, &partial).unwrap().load_report.unwrap();
    assert_eq!(opening.unused, ["aux.weight"]);
    arrays.retain(|(name, _)| name != "layer2.0.bn1.weight");
    write(&path, &arrays);
    assert!(opened(&path, &partial).is_err());
}

#[test]
fn our_own_names_need_an_arch_and_our_own_files_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let config = ModelConfig::new(ModelKind::Highway110).with_depth(8).with_width(4);
    let model = Model::new(&config, [3, 32, 32], 10, 1, &Device::flex()).unwrap();
    write(&path, &arrays_of(&model));
    assert!(refusal(&path).contains("give the arch, such as highway-110"), "{}", refusal(&path));

    let without = OpenOptions::new().arch(unrolled::open::read_arch("highway-110").unwrap());
    assert!(opened(&path, &without).err().unwrap().to_string().ends_with("give mean and std"));
    let options = without.mean([0.5]).std([0.25]);
    let experiment = dir.path().join("experiment.toml");
    std::fs::write(&experiment, "[model]\nkind = 'highway-110'\nlast_relu = 'none'\n[data]\nsource = 'digits'\n")
        .unwrap();
    let table = unrolled::open::read_arch(&experiment.display().to_string()).unwrap();
    let other = opened(&path, &options.clone().arch(table)).unwrap();
    assert_eq!(other.model.config().last_relu, Some(unrolled::nn::LastRelu::None));
    let found = opened(&path, &options).unwrap();
    assert_eq!(found.model.config(), &ModelConfig { depth: Some(8), ..model.config().clone() });
    assert_eq!(found.load_report.unwrap().layout, "unrolled");

    let card = unrolled::model::Metadata {
        characters: None,
        model: model.config().clone(),
        input: [3, 32, 32],
        classes: (0..10).map(|c| c.to_string()).collect(),
        mean: vec![0.5],
        std: vec![0.25],
        data: "none".into(),
        version: "0".into(),
    };
    std::fs::write(&path, to_bytes(&model, &card, &[], Default::default()).unwrap()).unwrap();
    let own = opened(&path, &OpenOptions::default()).unwrap();
    assert!(own.load_report.is_none());
    assert_eq!(logits(&own.model, 32), logits(&model, 32));
}

#[test]
fn an_index_reaches_nothing_but_shards_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    for (map, message) in [
        (r#"{"a": "../x.safetensors"}"#, "'../x.safetensors' is no file name beside the index"),
        (r#"{"a": "/etc/passwd"}"#, "'/etc/passwd' is no file name beside the index"),
    ] {
        let index = dir.path().join("m.safetensors.index.json");
        std::fs::write(&index, format!(r#"{{"weight_map": {map}}}"#)).unwrap();
        assert!(refusal(&index).ends_with(message), "{}", refusal(&index));
    }
}

#[test]
fn files_that_end_early_are_refused_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["cifar-a.zip.pt", "cifar-a.legacy.pth.tar", "cifar-a.safetensors.safetensors"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let path = dir.path().join(name);
        let lengths = (0..200).chain((200..whole.len()).step_by(977)).chain(whole.len() - 40..whole.len());
        for length in lengths {
            std::fs::write(&path, &whole[..length]).unwrap();
            let message = refusal(&path);
            assert!(!message.contains('\n') && message.len() < 1000, "{length}: {message}");
        }
    }
}

#[test]
fn shapes_that_lie_cost_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lies.safetensors");
    let header = |shape: &str, end: u64| {
        let json = format!(r#"{{"conv1.weight":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json.bytes());
        bytes
    };
    for (shape, end) in [
        ("[4294967296,4294967296]", 0),
        ("[18446744073709551615]", 16),
        ("[1000000,1000000]", 4_000_000_000_000_u64),
        ("[0,3,3,3]", 0),
    ] {
        std::fs::write(&path, header(shape, end)).unwrap();
        refusal(&path);
    }
    let mut absurd = u64::MAX.to_le_bytes().to_vec();
    absurd.push(b'{');
    std::fs::write(&path, absurd).unwrap();
    refusal(&path);
}

#[test]
fn a_small_file_that_unpacks_to_a_huge_one_is_refused_unread() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.pt");
    let bytes = std::fs::read(fixture("cifar-a.zip.pt")).unwrap();
    // The first entry of the directory, with other lengths: data.pkl is 3 GiB.
    let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let mut bomb = bytes.clone();
    bomb[at + 24..at + 28].copy_from_slice(&(3_u32 << 30).to_le_bytes());
    std::fs::write(&path, bomb).unwrap();
    assert!(refusal(&path).contains("bytes that unpack to 32"), "{}", refusal(&path));

    let mut hole = vec![0; 1024];
    hole[257..263].copy_from_slice(b"ustar ");
    hole[156] = b'S';
    std::fs::write(&path, hole).unwrap();
    assert!(refusal(&path).ends_with("a sparse tar archive, which PyTorch does not write"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// A damaged file opens as a network or ends in an error; it never ends the program.
    #[test]
    fn flipped_bits_end_in_an_error_or_another_network(
        which in 0_usize..3,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..6),
    ) {
        let name = ["cifar-a.zip.pt", "cifar-a.legacy.pth.tar", "cifar-a.safetensors.safetensors"][which];
        let mut bytes = std::fs::read(fixture(name)).unwrap();
        for (at, bit) in flips {
            // Half of the flips go where the structure is.
            let length = if bit < 4 { bytes.len().min(2500) } else { bytes.len() };
            bytes[at.index(length)] ^= 1 << bit;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        if let Err(error) = opened(&path, &OpenOptions::default()) {
            prop_assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

/// ResNets that others trained on CIFAR-10 reach here what PyTorch measured, where the files are at hand.
#[test]
fn trained_networks_keep_their_accuracy() {
    let shared = std::env::var_os("UNROLLED_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let data = shared.join("data/cifar10-bin");
    let open_trained =
        |name: &str| Some(opened(&find(&shared.join("weights/cifar-resnet"), name)?, &OpenOptions::default()));
    let (Some(small), Some(large)) = (open_trained("resnet20"), open_trained("resnet56")) else {
        println!("skipped: no trained weights at hand");
        return;
    };
    assert_eq!(large.unwrap().model.outline().name, "resnet-56 residual, width 16");
    let small = small.unwrap();
    let spec = format!("cifar10:{}", data.display()).parse().unwrap();
    let dataset = Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap().limit(2000);
    let normalization = Normalization { mean: small.metadata.mean, std: small.metadata.std };
    let source = EvalSet::new(dataset.into(), normalization, 250);
    let score = evaluate(&small.model, &source, |_| {}).unwrap();
    assert!((score.accuracy - 0.813).abs() <= 2.0 / 2000.0, "{}", score.accuracy);
}

fn find(dir: &Path, start: &str) -> Option<PathBuf> {
    let mut entries = dir.read_dir().ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    entries.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
}

/// A narrow ResNet in torchvision's layout and a folder of images of several sizes, from the files to the report.
#[test]
fn a_network_of_the_imagenet_layout_is_measured_on_a_folder_of_images() {
    let dir = tempfile::tempdir().unwrap();
    let classes = ["ant", "bee", "cat", "dog", "eel"];
    for (label, class) in classes.iter().enumerate() {
        let folder = dir.path().join("images").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for k in 0..2_u32 {
            let colour =
                |x: u32, y: u32| [x * (label as u32 + 3), y * (k + 5), x * y + 40 * k].map(|v| (v % 256) as u8);
            let image = image::RgbImage::from_fn(60 + 9 * k, 64, |x, y| image::Rgb(colour(x, y)));
            image.save(folder.join(format!("{k}.{}", ["png", "jpg"][k as usize]))).unwrap();
        }
    }
    let labels = dir.path().join("labels.txt");
    std::fs::write(&labels, classes.join("\n")).unwrap();
    let (data, out) = (format!("folder:{}", dir.path().join("images").display()), dir.path().join("report"));
    let measure = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_unrolled"))
            .args(["measure", fixture("large-bottleneck.zip.pt").to_str().unwrap(), "--data", &data])
            .args(["--only", "estimation,patches,lesion,influence,gradients,readouts,repeats,iteration", "--json"])
            .args(arguments)
            .output()
            .unwrap()
    };
    let options = ["--resize", "224", "--crop", "224", "--labels", labels.to_str().unwrap()];
    let done = measure(&[&options[..], &["--out", out.to_str().unwrap()]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let measured: unrolled::measure::Measurements = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(measured.baseline.samples, 10);
    let blocks: Vec<BlockId> = measured.outline.blocks().map(|(id, _)| id).collect();
    assert_eq!(measured.require::<Estimation>().unwrap().keys().copied().collect::<Vec<_>>(), blocks);
    assert_eq!(measured.require::<Lesion>().unwrap().keys().copied().collect::<Vec<_>>(), blocks);
    let patches = measured.require::<Patches>().unwrap();
    let patch = &patches[&blocks[0]].patches[0];
    // 7x7 with stride 2, pooling by 3 with stride 2, then a bottleneck's 3x3: 7 + 2·2 + 4·2 pixels.
    assert!(patch.height <= 19 && patch.width <= 19 && classes.contains(&patch.class.as_str()));
    assert_eq!(patches.values().map(|found| found.patches.len()).collect::<Vec<_>>(), vec![9; blocks.len()]);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert_eq!(page.matches("data:image/png").count(), 9 * blocks.len());

    // Names may be more than the folder's classes, and in another order.
    std::fs::remove_dir_all(dir.path().join("images/bee")).unwrap();
    std::fs::write(&labels, "eel\ndog\ncat\nbee\nant").unwrap();
    let some = measure(&options);
    let some: unrolled::measure::Measurements = serde_json::from_slice(&some.stdout).unwrap();
    assert_eq!((some.baseline.samples, some.outline.classes), (8, 5));
    for (options, message) in
        [(&options[..4], "the data set has 4, the network answers with 5"), (&options[4..], "expected [3, 224, 224]")]
    {
        let refused = measure(options);
        let found = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && found.lines().count() == 1 && found.contains(message), "{found}");
    }
}

#[test]
fn blocks_have_the_names_of_the_state_dict() {
    for (file, expected) in [
        ("cifar-a.zip.pt", "layer2.0"),
        ("wide.legacy.pth.tar", "block2.layer.0"),
        ("timm-preact.safetensors.safetensors", "stages.1.blocks.0"),
    ] {
        let opened = opened(&fixture(file), &OpenOptions::new()).unwrap();
        let block = opened.model.outline().block(BlockId { stage: 1, block: 0 });
        assert_eq!(block.source_name.as_deref(), Some(expected), "{file}");
    }
}

/// A `.npy` file of numbers of one type, `[2, 3, 32, 32]`.
fn write_images<const SIZE: usize>(
    path: &Path,
    side: u32,
    element_type: &str,
    values: impl Iterator<Item = [u8; SIZE]>,
) {
    let header = format!("{{'descr': '{element_type}', 'fortran_order': False, 'shape': (2, 3, {side}, {side}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    values.for_each(|value| bytes.extend(value));
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn bytes_of_images_are_normalized_as_images_are_and_floats_are_taken_as_they_are() {
    /// The division by 255 comes before or after the conversion to f32.
    const TOLERANCE: f64 = 1e-5;
    let dir = tempfile::tempdir().unwrap();
    let mut network = AnyNetwork::open("tests/open/cifar-a.zip.pt").unwrap();
    let bytes: Vec<u8> = (0..2 * 3 * 32 * 32_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let Normalization { mean, std } = network.normalization().unwrap();
    let float = |(i, byte): (usize, &u8)| {
        let channel = i / (32 * 32) % 3;
        ((f32::from(*byte) / 255.0 - mean[channel]) / std[channel]).to_le_bytes()
    };
    let [bytes_file, floats_file] = ["bytes.npy", "floats.npy"].map(|name| dir.path().join(name));
    write_images(&bytes_file, 32, "|u1", bytes.iter().map(|byte| [*byte]));
    write_images(&floats_file, 32, "<f4", bytes.iter().enumerate().map(float));
    let mut open = |file: &Path| {
        let data = EvalSet::open(&format!("arrays:{}", file.display())).unwrap();
        let data = data.unlabelled_for_network(&mut network).unwrap();
        (predict(&network, &data, |_| ()).unwrap(), data.normalization_source)
    };
    let (of_bytes, source) = open(&bytes_file);
    let (of_floats, as_is) = open(&floats_file);
    assert_eq!([source, as_is], [NormalizationSource::Customary, NormalizationSource::AsIs]);
    for (a, b) in of_bytes.iter().zip(&of_floats) {
        assert!((a.confidence - b.confidence).abs() < TOLERANCE, "{a:?} {b:?}");
    }
}

#[cfg(feature = "onnx")]
#[test]
fn bytes_of_images_are_not_what_a_graph_of_floats_takes() {
    let dir = tempfile::tempdir().unwrap();
    let [bytes, floats] = ["bytes.npy", "floats.npy"].map(|name| dir.path().join(name));
    write_images(&bytes, 8, "|u1", (0..2 * 3 * 8 * 8).map(|i| [i as u8]));
    write_images(&floats, 8, "<f4", (0..2 * 3 * 8 * 8).map(|i| (i as f32 / 384.0).to_le_bytes()));
    let mut network = AnyNetwork::open("tests/onnx/post.onnx").unwrap();
    let mut open = |file: &Path| {
        EvalSet::open(&format!("arrays:{}", file.display())).unwrap().for_network(&mut network).map(|data| data.len())
    };
    assert_eq!(open(&floats).unwrap(), 2);
    let error = open(&bytes).unwrap_err().to_string();
    assert!(error.contains("bytes.npy: holds bytes (uint8), and the graph takes float32"), "{error}");
}

#[test]
fn a_mean_without_a_deviation_is_refused() {
    let message = |options: OpenOptions| options.open("tests/open/cifar-a.zip.pt").err().unwrap().to_string();
    assert_eq!(message(OpenOptions::new().mean([0.5])), "std: give both mean and std");
    assert_eq!(message(OpenOptions::new().std([0.5])), "mean: give both mean and std");
}
