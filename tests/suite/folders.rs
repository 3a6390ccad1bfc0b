//! Folders of Transformers, shown and slimmed: names, bytes, index and configuration against the definition of the removal, and
//! what is refused. `reference/check_folders.py` loads such folders into Transformers.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use safetensors::SafeTensors;
use serde_json::{Value, json};
use unrolled::checkpoint_folder::{CheckpointFolder, KeyChoices, LayerOptions};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/folders").join(name)
}

/// Copies a fixture into a directory, to be changed there.
fn copy(name: &str, dir: &Path) -> PathBuf {
    let folder = dir.join(name);
    std::fs::create_dir(&folder).unwrap();
    for entry in fixture(name).read_dir().unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// The exit status, standard output and standard error of the program.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_unrolled")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs the program, which has to fail, and returns its one line.
fn refusal(arguments: &[&str]) -> String {
    let (code, out, line) = run(arguments);
    assert!(code != 0 && out.is_empty() && line.starts_with("error: ") && line.lines().count() == 1, "{out}{line}");
    line
}

fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn write_json(path: impl AsRef<Path>, value: &Value) {
    std::fs::write(path, serde_json::to_vec_pretty(value).unwrap()).unwrap();
}

/// All arrays of a folder by name: type, shape, bytes, and the file that they are in.
type Arrays = BTreeMap<String, (String, Vec<usize>, Vec<u8>, String)>;

fn arrays(folder: &Path) -> Arrays {
    let mut arrays = Arrays::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "safetensors") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let array = (view.dtype().to_string(), view.shape().to_vec(), view.data().to_vec(), file.clone());
            assert!(arrays.insert(name, array).is_none());
        }
    }
    arrays
}

/// The arrays that a folder should have without some layers of a list, by the definition: those of removed layers are gone, the
/// numbers of the others close up. File names are left out.
fn expected(before: &Arrays, list: &str, removed: &[usize]) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    let mut after = BTreeMap::new();
    for (name, (dtype, shape, bytes, _)) in before {
        let array = (dtype.clone(), shape.clone(), bytes.clone());
        let layer = name.strip_prefix(&format!("{list}.")).map(|rest| rest.split_once('.').unwrap());
        let Some((number, rest)) = layer else {
            after.insert(name.clone(), array);
            continue;
        };
        let number: usize = number.parse().unwrap();
        if !removed.contains(&number) {
            let number = number - removed.iter().filter(|other| **other < number).count();
            after.insert(format!("{list}.{number}.{rest}"), array);
        }
    }
    after
}

fn without_files(arrays: Arrays) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    arrays.into_iter().map(|(name, (dtype, shape, bytes, _))| (name, (dtype, shape, bytes))).collect()
}

fn remove(folder: &Path, names: &[&str], options: &LayerOptions, out: &Path) -> unrolled::Result<()> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CheckpointFolder::open(folder)?.removal(&names, options)?.write(out, &mut ()).map(|_| ())
}

#[test]
fn every_form_of_folder_loses_its_layers_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let of_decoder = LayerOptions { layers: Some("model.decoder.layers".into()), ..LayerOptions::default() };
    let accepted = KeyChoices { keep: vec!["num_nextn_predict_layers".into()], ..KeyChoices::default() };
    let accepted = LayerOptions { keys: accepted, ..LayerOptions::default() };
    let none = LayerOptions::default();
    let cases: [(&str, &str, &[usize], &LayerOptions, Value); 8] = [
        ("llama", "model.layers", &[1], &none, json!({"num_hidden_layers": 3})),
        ("llama", "model.layers", &[0, 2, 3], &none, json!({"num_hidden_layers": 1})),
        ("gpt2", "transformer.h", &[0], &none, json!({"n_layer": 2})),
        (
            "gemma",
            "model.layers",
            &[1],
            &none,
            json!({"num_hidden_layers": 3, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
        ),
        ("bert", "bert.encoder.layer", &[2], &none, json!({"num_hidden_layers": 2})),
        ("bart", "model.decoder.layers", &[0], &of_decoder, json!({"decoder_layers": 1})),
        ("experts", "model.layers", &[1, 3], &accepted, json!({"num_hidden_layers": 2, "first_k_dense_replace": 1})),
        ("experts", "model.layers", &[0], &accepted, json!({"num_hidden_layers": 3, "first_k_dense_replace": 0})),
    ];
    for (case, (name, list, removed, options, keys)) in cases.into_iter().enumerate() {
        let (folder, out) = (fixture(name), dir.path().join(format!("{name}-{case}")));
        let names: Vec<String> = removed.iter().map(|number| format!("{list}.{number}")).collect();
        remove(&folder, &names.iter().map(String::as_str).collect::<Vec<_>>(), options, &out).unwrap();
        assert_eq!(without_files(arrays(&out)), expected(&arrays(&folder), list, removed), "{name} {removed:?}");
        let mut config = json(folder.join("config.json"));
        for (key, value) in keys.as_object().unwrap() {
            config[key] = value.clone();
        }
        assert_eq!(json(out.join("config.json")), config, "{name} {removed:?}");
        let generation = std::fs::read(folder.join("generation_config.json")).ok();
        assert_eq!(std::fs::read(out.join("generation_config.json")).ok(), generation);
    }
}

#[test]
fn the_index_names_the_files_that_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let folder = fixture("llama");
    for removed in [vec![1], vec![0, 1], vec![1, 2], vec![0, 1, 2], vec![2, 3]] {
        let out = dir.path().join(format!("{removed:?}"));
        let names: Vec<String> = removed.iter().map(|number| format!("stage1.block{}", number + 1)).collect();
        remove(&folder, &names.iter().map(String::as_str).collect::<Vec<_>>(), &LayerOptions::default(), &out).unwrap();
        let (index, arrays) = (json(out.join("model.safetensors.index.json")), arrays(&out));
        let map: BTreeMap<String, String> = serde_json::from_value(index["weight_map"].clone()).unwrap();
        assert_eq!(map, arrays.iter().map(|(name, (.., file))| (name.clone(), file.clone())).collect());
        let bytes: usize = arrays.values().map(|(_, _, bytes, _)| bytes.len()).sum();
        // Two bytes a parameter, bf16.
        assert_eq!(index["metadata"], json!({"total_parameters": bytes / 2, "total_size": bytes}));
        let mut files: Vec<&String> = map.values().collect();
        files.sort();
        files.dedup();
        let of = files.len();
        let numbered = (1..=of).map(|number| format!("model-{number:05}-of-{of:05}.safetensors"));
        assert_eq!(files.into_iter().cloned().collect::<Vec<_>>(), numbered.collect::<Vec<_>>());
        // The header keeps its texts, and the values begin at a multiple of eight bytes.
        let bytes = std::fs::read(out.join(format!("model-00001-of-{of:05}.safetensors"))).unwrap();
        let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!((header % 8, metadata.metadata().as_ref().unwrap()["format"].as_str()), (0, "pt"));
    }
}

#[test]
fn a_file_that_keeps_no_array_goes_and_the_others_are_numbered_again() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (copy("gpt2", dir.path()), dir.path().join("out"));
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    // A file for each of the three layers, and one for what stands outside.
    let place = |name: &str| (0..3).find(|number| name.starts_with(&format!("transformer.h.{number}."))).unwrap_or(3);
    let mut map = serde_json::Map::new();
    for number in 0..4 {
        let file = format!("model-{:05}-of-00004.safetensors", number + 1);
        let own: Vec<_> = tensors.iter().filter(|(name, _)| place(name) == number).cloned().collect();
        map.extend(own.iter().map(|(name, _)| (name.clone(), file.as_str().into())));
        safetensors::serialize_to_file(own, None, &folder.join(file)).unwrap();
    }
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    write_json(folder.join("model.safetensors.index.json"), &json!({"metadata": {}, "weight_map": map}));
    let before = arrays(&folder);
    remove(&folder, &["h.0"], &LayerOptions::default(), &out).unwrap();
    let after = arrays(&out);
    let file = |name: &str| after[name].3.clone();
    assert_eq!(file("transformer.h.0.ln_1.weight"), "model-00001-of-00003.safetensors");
    assert_eq!(file("transformer.wte.weight"), "model-00003-of-00003.safetensors");
    assert_eq!(json(out.join("model.safetensors.index.json"))["metadata"], json!({}));
    assert_eq!(without_files(after), expected(&before, "transformer.h", &[0]));
}

#[test]
fn the_program_shows_a_folder_and_applies_a_plan() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, plan, out) = (fixture("gemma"), dir.path().join("plan.toml"), dir.path().join("out"));
    let [folder, plan, out] = [&folder, &plan, &out].map(|path| path.to_str().unwrap());
    let (code, shown, _) = run(&["show", folder]);
    assert_eq!(code, 0);
    for part in
        ["Gemma3ForCausalLM", "4 layers in model.layers", "model.layers.3", "layer_types", "model.embed_tokens.weight"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown: Value = serde_json::from_str(&run(&["show", folder, "--json"]).1).unwrap();
    let keys: Vec<&Value> = shown["lists"][0]["keys"].as_array().unwrap().iter().map(|key| &key["key"]).collect();
    assert_eq!(keys, ["layer_types", "num_hidden_layers"]);
    let parameters: usize =
        arrays(Path::new(folder)).values().map(|(_, shape, ..)| shape.iter().product::<usize>()).sum();
    assert_eq!(shown["parameters"], parameters);

    std::fs::write(plan, "network = \"Gemma\"\nblocks = [4]\nremove = [\"stage1.block3\"]\n").unwrap();
    let (code, text, error) = run(&["slim", folder, "--plan", plan, "--out", out]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(text.starts_with("Removed: model.layers.2.\nLayers: 4 before, 3 after.\n"), "{text}");
    assert!(text.contains("config.json: layer_types: ["), "{text}");
    let types = json(Path::new(out).join("config.json"))["layer_types"].clone();
    assert_eq!(types, json!(["sliding_attention", "sliding_attention", "sliding_attention"]));

    let says = refusal(&["slim", folder, "--plan", plan, "--out", out]);
    assert!(says.ends_with("out: is there already; name another directory\n"), "{says}");
    for (remove, says) in [
        (
            "blocks = [5]\nremove = [\"stage1.block3\"]",
            "a plan for Gemma with stages of [5] blocks, model.layers has 4 layers",
        ),
        ("blocks = [4]\nremove = [\"stage1.block5\"]", "remove: unknown layer 'stage1.block5'"),
        ("blocks = [4]\nremove = []", "remove: no layer is named"),
    ] {
        std::fs::write(plan, format!("network = \"Gemma\"\n{remove}\n")).unwrap();
        let line = refusal(&["slim", folder, "--plan", plan, "--dry-run"]);
        assert!(line.contains(&format!("plan.toml: {says}")), "{line}");
    }
    let dry: Value =
        serde_json::from_str(&run(&["slim", folder, "--blocks", "model.layers.0", "--dry-run", "--json"]).1).unwrap();
    assert_eq!((&dry["kept"][0], &dry["after"]["layers"]), (&json!("model.layers.1"), &json!(3)));
}

#[test]
fn a_folder_computes_nothing() {
    let folder = fixture("llama");
    let folder = folder.to_str().unwrap();
    for arguments in [
        &["measure", folder, "--data", "digits"][..],
        &["eval", folder, "--data", "digits"],
        &["slim", folder, "--remove", "1", "--dry-run"],
        &["slim", folder, "--blocks", "model.layers.0", "--data", "digits", "--dry-run"],
        &["show", folder, "--arch", "resnet-56"],
    ] {
        let line = refusal(arguments);
        assert!(line.contains("a Transformers folder") && line.contains("unrolled.torch.wrap"), "{line}");
    }
    let line = refusal(&["show", "tests/open/cifar-a.zip.pt", "--layers", "h"]);
    assert_eq!(line, "error: --layers: for Transformers folders alone, not tests/open/cifar-a.zip.pt\n");
    // A run and a network of timm have a config too, and are what they were.
    let dir = tempfile::tempdir().unwrap();
    write_json(dir.path().join("config.json"), &json!({"architecture": "resnet18"}));
    assert!(!CheckpointFolder::is_at(dir.path()));
    write_json(dir.path().join("config.json"), &json!({"model_type": "llama"}));
    assert!(CheckpointFolder::is_at(dir.path()));
    std::fs::write(dir.path().join("config.toml"), "").unwrap();
    assert!(!CheckpointFolder::is_at(dir.path()));
}

#[test]
fn which_layers_are_meant_has_to_be_clear() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (fixture("bart"), dir.path().join("out"));
    let says = |names: &[&str], options: &LayerOptions| remove(&folder, names, options, &out).unwrap_err().to_string();
    let none = LayerOptions::default();
    let open = says(&["stage1.block1"], &none);
    assert!(
        open.ends_with("layers in model.decoder.layers and in model.encoder.layers; name one of them with --layers"),
        "{open}"
    );
    let named = LayerOptions { layers: Some("model.encodr.layers".into()), ..LayerOptions::default() };
    assert_eq!(
        says(&["stage1.block1"], &named),
        "unknown list of layers 'model.encodr.layers', did you mean 'model.encoder.layers'?"
    );
    let all = says(&["model.encoder.layers.0", "model.encoder.layers.1"], &none);
    assert_eq!(all, "blocks: all 2 layers of model.encoder.layers are named; one has to stay");
    assert!(says(&["layers.0"], &none).contains("layers in model.decoder.layers and in model.encoder.layers"));
    // The names of modules say which list is meant.
    remove(&folder, &["model.encoder.layers.1"], &none, &out).unwrap();
    let config = json(out.join("config.json"));
    assert_eq!([&config["encoder_layers"], &config["decoder_layers"]], [1, 2]);
}

/// A network, what is done to its folder, and the message that follows.
type Change = (&'static str, fn(&Path), &'static str);

#[test]
fn damaged_folders_are_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let change: [Change; 10] = [
        (
            "llama",
            |at| std::fs::remove_file(at.join("model-00002-of-00003.safetensors")).unwrap(),
            "model-00002-of-00003.safetensors, which it names, is missing",
        ),
        (
            "gpt2",
            |at| {
                let bytes = std::fs::read(at.join("model.safetensors")).unwrap();
                std::fs::write(at.join("model.safetensors"), &bytes[..bytes.len() - 9]).unwrap();
            },
            "model.safetensors: not a whole safetensors file",
        ),
        (
            "gpt2",
            |at| std::fs::write(at.join("model.safetensors"), [0xff; 40]).unwrap(),
            "model.safetensors: not a whole safetensors file",
        ),
        (
            "llama",
            |at| {
                edit(at, "model.safetensors.index.json", |index| {
                    index["weight_map"]["model.layers.9.w"] = "model-00001-of-00003.safetensors".into();
                })
            },
            "index.json: model.layers.9.w is not in model-00001-of-00003.safetensors",
        ),
        (
            "llama",
            |at| {
                edit(at, "model.safetensors.index.json", |index| {
                    index["weight_map"]["lm_head.weight"] = "../llama/model-00003-of-00003.safetensors".into();
                })
            },
            "is no file name beside the index",
        ),
        (
            "llama",
            |at| {
                edit(at, "model.safetensors.index.json", |index| {
                    index["weight_map"].as_object_mut().unwrap().remove("lm_head.weight");
                })
            },
            "index.json: lm_head.weight is in model-00003-of-00003.safetensors, and the index does not say so",
        ),
        (
            "gpt2",
            |at| edit(at, "config.json", |config| config["n_layer"] = 4.into()),
            "config.json: no key is the number of layers of transformer.h, 3: n_layer is 4",
        ),
        (
            "gpt2",
            |at| {
                edit(at, "config.json", |config| {
                    config.as_object_mut().unwrap().remove("n_layer");
                })
            },
            "config.json: no key is the number of layers of transformer.h, 3: it has no key for a number of layers",
        ),
        ("gpt2", |at| std::fs::write(at.join("config.json"), "{\"n_layer\": 3,").unwrap(), "config.json: no JSON: "),
        (
            "gpt2",
            |at| {
                std::fs::rename(at.join("model.safetensors"), at.join("pytorch_model.bin")).unwrap();
            },
            "pytorch_model.bin: weights as a pickle, which are not opened here; save them as safetensors",
        ),
    ];
    for (case, (name, change, says)) in change.into_iter().enumerate() {
        let place = dir.path().join(case.to_string());
        std::fs::create_dir(&place).unwrap();
        let folder = copy(name, &place);
        change(&folder);
        let error =
            remove(&folder, &["stage1.block1"], &LayerOptions::default(), &place.join("out")).unwrap_err().to_string();
        assert!(error.contains(says) && error.lines().count() == 1, "{says}: {error}");
        assert_eq!(place.read_dir().unwrap().count(), 1);
    }
}

fn edit(folder: &Path, name: &str, change: impl FnOnce(&mut Value)) {
    let mut value = json(folder.join(name));
    change(&mut value);
    write_json(folder.join(name), &value);
}

#[test]
fn layers_have_no_gaps_and_keep_their_kinds() {
    let dir = tempfile::tempdir().unwrap();
    let folder = copy("gpt2", dir.path());
    // The second layer of three becomes the fifth.
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let renamed = tensors.tensors().into_iter().map(|(name, view)| (name.replace(".h.1.", ".h.4."), view));
    safetensors::serialize_to_file(renamed, None, &folder.join("gap.safetensors")).unwrap();
    std::fs::rename(folder.join("gap.safetensors"), folder.join("model.safetensors")).unwrap();
    let gap = CheckpointFolder::open(&folder).unwrap_err().to_string();
    assert!(
        gap.ends_with(
            "no array of transformer.h.1, and transformer.h.4 is there; layers have to be numbered without gaps from 0"
        ),
        "{gap}"
    );

    // Without the key that says how many layers are dense, a dense one must not come where one with experts was.
    let folder = copy("experts", dir.path());
    edit(&folder, "config.json", |config| {
        config.as_object_mut().unwrap().remove("first_k_dense_replace");
        config.as_object_mut().unwrap().remove("num_nextn_predict_layers");
    });
    let out = dir.path().join("out");
    let kinds = remove(&folder, &["model.layers.0"], &LayerOptions::default(), &out).unwrap_err().to_string();
    assert!(kinds.contains("model.layers.1 would become model.layers.0, whose arrays are others"), "{kinds}");
    remove(&folder, &["model.layers.1"], &LayerOptions::default(), &out).unwrap();
    let summary = CheckpointFolder::open(&out).unwrap().summary(&LayerOptions::default()).unwrap();
    assert_eq!(summary.lists[0].layers.iter().map(|layer| layer.kind).collect::<Vec<_>>(), [0, 1, 1]);
}

#[test]
fn keys_that_are_not_sure_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = copy("llama", dir.path());
    let folder = folder.to_str().unwrap();
    let slim = |options: &[&str]| {
        let arguments = [&["slim", folder, "--blocks", "model.layers.1", "--dry-run", "--json"][..], options].concat();
        let (code, out, line) = run(&arguments);
        if code == 0 { Ok(serde_json::from_str::<Value>(&out).unwrap()) } else { Err(line) }
    };
    edit(folder.as_ref(), "config.json", |config| config["scales"] = json!([1, 2, 3, 4]));
    let line = slim(&[]).unwrap_err();
    assert!(line.ends_with("config.json: scales: its 4 entries may be one for each layer; keep it as it is with --keep-key scales, or with --per-layer scales if they are\n"), "{line}");
    assert_eq!(slim(&["--keep-key", "scales"]).unwrap()["changes"].as_array().unwrap().len(), 1);
    assert_eq!(slim(&["--per-layer", "scales"]).unwrap()["changes"][1]["after"], json!([1, 3, 4]));
    let line = slim(&["--keep-key", "scale"]).unwrap_err();
    assert_eq!(line, "error: unknown key of config.json 'scale', did you mean 'scales'?\n");
    edit(folder.as_ref(), "config.json", |config| {
        config["scales"] = json!({"ignore": ["lm_head", "model.layers.2.mlp"]});
    });
    let line = slim(&[]).unwrap_err();
    assert!(
        line.contains("config.json: scales.ignore: names layers (model.layers.2.mlp), whose numbers change"),
        "{line}"
    );
    assert!(slim(&["--keep-key", "scales.ignore"]).is_ok());
}

#[test]
fn other_files_are_copied_unless_they_hold_the_network_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let folder = copy("bert", dir.path());
    for directory in ["1_Pooling", "onnx", ".cache"] {
        std::fs::create_dir(folder.join(directory)).unwrap();
    }
    let copied = ["1_Pooling/config.json", "1_Pooling/model.safetensors", "README.md", "tokenizer.json"];
    let left_out =
        [".cache/a", "onnx/a.json", "model.fp16.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json"];
    for name in copied.iter().chain(&left_out) {
        std::fs::write(folder.join(name), name).unwrap();
    }
    let out = dir.path().join("out");
    let removal = CheckpointFolder::open(&folder).unwrap();
    let removal = removal.removal(&["bert.encoder.layer.0".into()], &LayerOptions::default()).unwrap();
    let written = removal.write(&out, &mut ()).unwrap();
    assert_eq!(written.copied, copied.map(PathBuf::from));
    let names = [".cache", "model.fp16.safetensors", "onnx", "pytorch_model.bin", "pytorch_model.bin.index.json"];
    assert_eq!(written.left_out, names.map(PathBuf::from));
    assert!(copied.iter().all(|name| std::fs::read(out.join(name)).unwrap() == name.as_bytes()));
    assert!(names.iter().all(|name| !out.join(name).exists()));
}

#[test]
fn a_folder_is_written_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, out) = (copy("llama", dir.path()), dir.path().join("out"));
    let opened = CheckpointFolder::open(&folder).unwrap();
    let removal = opened.removal(&["model.layers.1".into()], &LayerOptions::default()).unwrap();
    let whole = removal.after.bytes;
    // At each piece of work: copying, and reading again.
    for stop in [1, whole / 2, whole + 1, 2 * whole] {
        let mut progress = |done: u64, total: u64| {
            assert!(total == 2 * whole && done <= total);
            if done >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let error = removal.write(&out, &mut progress).unwrap_err();
        assert!(matches!(error, unrolled::Error::Interrupted), "{error}");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }
    // The source becomes shorter after its header was read.
    let shard = folder.join("model-00002-of-00003.safetensors");
    let bytes = std::fs::read(&shard).unwrap();
    std::fs::write(&shard, &bytes[..bytes.len() - 1]).unwrap();
    let error = removal.write(&out, &mut ()).unwrap_err().to_string();
    assert!(error.contains("model-00002-of-00003.safetensors: ends within "), "{error}");
    assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    std::fs::write(&shard, &bytes).unwrap();

    for (place, says) in [(folder.join("out"), "which it would become a part of"), (folder.clone(), "is there already")]
    {
        let error = removal.write(&place, &mut ()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    removal.write(&out, &mut ()).unwrap();
    assert_eq!(dir.path().read_dir().unwrap().count(), 2);
}
