use std::collections::BTreeSet;
use std::path::Path;

use super::markdown::markdown;
use super::*;
use crate::Error;
use crate::train::Trainer;

/// Parses a minimal experiment file of a kind of network with some overrides.
fn parse(kind: ModelKind, overrides: &[String]) -> Result<Experiment> {
    let text = format!("model.kind = '{}'\ndata.source = '{}'", kind.name(), usual_data(kind).0);
    Experiment::parse(&text, overrides, "file")
}

/// Returns the network of an experiment with all defaults filled in.
fn resolve(kind: ModelKind, experiment: &Experiment) -> Result<ModelConfig> {
    let (_, input, classes) = usual_data(kind);
    Ok(Model::uninitialized(&experiment.model, input, classes, &Device::flex())?.config().clone())
}

/// Returns the names that are known where `entry` sets an unknown one.
fn known(entry: &str) -> BTreeSet<String> {
    match parse(ModelKind::Mlp, &[entry.to_owned()]) {
        Err(Error::Unknown { known, .. }) => known.into_iter().collect(),
        other => panic!("{entry}: {other:?}"),
    }
}

/// `docs/CONFIG.md` is what [`markdown`] returns. `UPDATE_DOCS=1 cargo test --lib config_document` writes it.
#[test]
fn the_config_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIG.md");
    let expected = markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected, "docs/CONFIG.md is out of date: run UPDATE_DOCS=1 cargo test --lib config_document");
}

#[test]
fn the_table_has_every_key_that_is_accepted_and_no_other() {
    for table in ["", "model.", "data.", "data.augment.", "data.normalization.", "train."] {
        let names = KEYS.iter().filter_map(|key| key.path.strip_prefix(table)?.split('.').next());
        let expected: BTreeSet<String> = names.map(str::to_owned).collect();
        assert_eq!(known(&format!("{table}no_such_key=1")), expected, "{table}");
    }
    let paths: BTreeSet<&str> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(paths.len(), KEYS.len());
}

#[test]
fn the_table_has_every_name_that_is_accepted_and_no_other() {
    for key in KEYS {
        if let ValueType::Choice(names) = key.value {
            let expected: BTreeSet<String> = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(known(&format!("{}=no-such-name", key.path)), expected, "{}", key.path);
        }
    }
}

/// Every key accepts its default or its example, in the type that the table names, and no other type.
#[test]
fn values_have_the_types_of_the_table() {
    for key in KEYS {
        let kind = ModelKind::ALL.into_iter().find(|kind| key.kinds.contain(*kind)).unwrap();
        let table = toml::Table::try_from(defaults(kind).unwrap()).unwrap();
        let value = match value_at(&table, key.path) {
            Some(value) => value.clone(),
            None => toml::from_str::<toml::Table>(&format!("x = {}", key.example)).unwrap()["x"].clone(),
        };
        let all = |is: fn(&toml::Value) -> bool| value.as_array().is_some_and(|values| values.iter().all(is));
        let is_right = match key.value {
            ValueType::Integer | ValueType::IntegerOrString => value.is_integer(),
            ValueType::Float => value.is_float(),
            ValueType::Boolean => value.is_bool(),
            ValueType::String | ValueType::Choice(_) => value.is_str(),
            ValueType::Integers => all(toml::Value::is_integer),
            ValueType::Floats | ValueType::FloatOrFloats => all(toml::Value::is_float),
        };
        assert!(is_right, "{}: {value}", key.path);
        let mut entries = vec![format!("{}={value}", key.path)];
        if key.path.starts_with("data.normalization") {
            entries = vec!["data.normalization.mean=[0.5]".into(), "data.normalization.std=[0.5]".into()];
        }
        assert!(parse(kind, &entries).is_ok(), "{entries:?}");
        let wrong = if matches!(key.value, ValueType::String) { "1" } else { "{}" };
        assert!(parse(kind, &[format!("{}={wrong}", key.path)]).is_err(), "{}", key.path);
    }
}

/// A key of `[model]` is refused for the kinds of network for which the table says that it is not possible.
#[test]
fn keys_of_the_model_are_possible_for_the_kinds_of_the_table() {
    let values = [
        ("model.depth", "1000"),
        ("model.blocks", "[2, 2, 2]"),
        ("model.size", "small"),
        ("model.maps", "[3, 4]"),
        ("model.units", "5"),
        ("model.characters", "30"),
        ("model.width", "7"),
        ("model.widen", "2"),
        ("model.bottleneck_width", "6"),
        ("model.groups", "1"),
    ];
    for key in KEYS.iter().filter(|key| key.path.starts_with("model.") && !matches!(key.kinds, Kinds::All)) {
        let (_, value) = values.iter().find(|(path, _)| *path == key.path).unwrap();
        for kind in ModelKind::ALL {
            let value = match (key.path, kind) {
                ("model.depth", ModelKind::HighwayMnist) => "10",
                ("model.depth", ModelKind::Imagenet | ModelKind::Highway50 | ModelKind::HighwayFull50) => "101",
                ("model.depth", ModelKind::Resnet | ModelKind::Highway110) => "26",
                ("model.blocks", ModelKind::CharLm) => "[2]",
                _ => value,
            };
            let mut entries = vec![format!("{}={value}", key.path)];
            if matches!(key.path, "model.bottleneck_width" | "model.groups") {
                entries.push("model.body=bottleneck".into());
            }
            let experiment = parse(kind, &entries).unwrap();
            let resolved = resolve(kind, &experiment);
            assert_eq!(resolved.is_ok(), key.kinds.contain(kind), "{} {}: {resolved:?}", key.path, kind.name());
        }
    }
}

/// A template, with its comments removed, is an experiment with the defaults and the values that the kind needs.
#[test]
fn a_template_has_the_defaults() {
    for kind in ModelKind::ALL {
        let text = template(kind).unwrap();
        let found = Experiment::parse(&text, &[], "file").unwrap();
        let mut expected = parse(kind, &[]).unwrap();
        assert_eq!(resolve(kind, &found).unwrap(), resolve(kind, &expected).unwrap(), "{}", kind.name());
        match kind {
            ModelKind::Mlp | ModelKind::HighwayMnist => expected.train.clip_norm = 1.0,
            ModelKind::Imagenet | ModelKind::Highway50 | ModelKind::HighwayFull50 => {
                (expected.data.resize, expected.data.crop) = (Some(256), Some(224));
            }
            ModelKind::CharLm => expected.train = found.train.clone(),
            _ => {}
        }
        assert_eq!((found.data, found.train), (expected.data, expected.train), "{}", kind.name());
        // Every possible key is there once, set or commented out.
        for key in KEYS {
            let (_, name) = key.path.split_once('.').unwrap();
            let table = &text[text.find(&format!("[{}]", &key.path[..key.path.len() - name.len() - 1])).unwrap()..];
            let is_there = table.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{name} = ")));
            assert!(is_there || !key.kinds.contain(kind), "{} {}", key.path, kind.name());
        }
    }
}

/// Writes a few samples of every format into a directory, at the paths that the templates name.
fn write_data(root: &Path) {
    let write = |path: &str, bytes: Vec<u8>| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let count = 4_u32.to_be_bytes();
    let pixels: Vec<u8> = (0..4 * 784).map(|i| if i * 7_919 % 251 > 210 { 255 } else { 0 }).collect();
    for split in ["train", "t10k"] {
        let header = [[0, 0, 8, 3], count, 28_u32.to_be_bytes(), 28_u32.to_be_bytes()].concat();
        write(&format!("data/mnist/{split}-images-idx3-ubyte"), [header, pixels.clone()].concat());
        let labels = [[0, 0, 8, 1], count, [0, 1, 2, 3]].concat();
        write(&format!("data/mnist/{split}-labels-idx1-ubyte"), labels);
    }
    let noise = |label: u8| (0..3072_u32).map(move |i| (i * (7 + u32::from(label)) * 654_435 / 256) as u8);
    let record = |label: u8| std::iter::once(label).chain(noise(label)).collect::<Vec<u8>>();
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        write(&format!("data/cifar10/{name}.bin"), [record(0), record(1)].concat());
    }
    for class in ["cat", "dog"] {
        let dir = root.join("data/imagenet").join(class);
        std::fs::create_dir_all(&dir).unwrap();
        image::RgbImage::new(300, 260).save(dir.join("1.png")).unwrap();
    }
    for split in ["train", "valid"] {
        write(&format!("data/ptb/{split}.txt"), "the old dogs see small birds\n".repeat(25).into_bytes());
    }
}

/// Every template trains as it is, except that large networks are only prepared.
#[test]
fn a_template_trains() {
    let root = tempfile::tempdir().unwrap();
    write_data(root.path());
    for kind in ModelKind::ALL {
        let mut experiment = Experiment::parse(&template(kind).unwrap(), &[], "file").unwrap();
        if let Some((format, path)) = experiment.data.source.split_once(':') {
            experiment.data.source = format!("{format}:{}", root.path().join(path).display());
        }
        let trainer = Trainer::new(experiment, &root.path().join(kind.name()), false, &Device::flex()).unwrap();
        if matches!(kind, ModelKind::Mlp | ModelKind::Resnet | ModelKind::HighwayMnist | ModelKind::CharLm) {
            let epochs = trainer.train(&mut |_| ()).unwrap_or_else(|e| panic!("{}: {e}", kind.name())).1;
            assert_eq!(epochs.len(), if kind == ModelKind::CharLm { 25 } else { 10 });
        }
    }
}
