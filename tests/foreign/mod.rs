//! Files that hold a network in another place than usual, or hold none: `reference/foreign_files.py` wrote them.

use super::*;

fn foreign(name: &str) -> PathBuf {
    fixture("../foreign").join(name)
}

/// Returns the message of an error without the path before it.
fn says(path: &Path, options: &OpenOptions) -> String {
    match opened(path, options) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string().replace(&format!("{}: ", path.display()), ""),
    }
}

#[test]
fn a_network_is_found_wherever_it_lies() {
    let expected = logits(&opened(&fixture("cifar-a.zip.pt"), &OpenOptions::new()).unwrap().model, 32);
    for (file, prefix, others) in [
        ("same-prefix.pt", "state_dict.model.net.encoder.", &[("state_dict.loss", 1)][..]),
        ("same-any-key.pt", "best.", &[("optimizer", 1)]),
        ("same-head-outside.pt", "backbone.", &[]),
        ("same-two-parts.pt", "encoder.", &[("optimizer", 1)]),
        ("same-head-inside.pt", "", &[]),
        ("same-module.pt", "", &[]),
        ("same-legacy-module.pt", "", &[]),
        ("same-legacy-protocol-4.pt", "", &[]),
        ("same-legacy-checkpoint.pt", "net.body.", &[("net.loss", 2)]),
        ("same-ema-beside.pt", "model.", &[("model_ema", 44)]),
    ] {
        let opened = opened(&foreign(file), &OpenOptions::new()).unwrap();
        assert_eq!(logits(&opened.model, 32), expected, "{file}");
        let report = opened.load_report.unwrap();
        assert_eq!((report.applied, report.prefix.as_str()), (37, prefix), "{file}");
        let found: Vec<_> = report.other_arrays.iter().map(|other| (other.name.as_str(), other.arrays)).collect();
        assert_eq!(found, others, "{file}");
    }
}

#[test]
fn one_of_several_networks_is_chosen_by_its_key() {
    let path = foreign("student-and-teacher.pt");
    assert_eq!(says(&path, &OpenOptions::new()), "key: 2 networks, 'student', 'teacher.net'; name one");
    let width = |key: &str| opened(&path, &OpenOptions::new().key(key)).unwrap().model.outline().name.clone();
    assert_eq!(["student", "teacher"].map(width), ["resnet-8 residual, width 2", "resnet-8 residual, width 4"]);
    assert_eq!(
        says(&path, &OpenOptions::new().key("pupil")),
        "key: no network is under 'pupil'; the file has 'student', 'teacher.net'"
    );
    // The head of another network is not that of this one.
    let beheaded = says(&foreign("teacher-without-head.pt"), &OpenOptions::new().key("student"));
    assert!(beheaded.starts_with("no head: "), "{beheaded}");
    let average = opened(&foreign("same-ema-beside.pt"), &OpenOptions::new().key("model_ema")).unwrap();
    assert_eq!(average.model.outline().name, "resnet-8 residual, width 2");
}

#[test]
fn a_head_outside_the_network_keeps_its_name_in_a_file_that_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("written.safetensors");
    let whole = opened(&foreign("same-head-outside.pt"), &OpenOptions::new()).unwrap();
    std::fs::write(&path, whole.to_bytes(&whole.model).unwrap()).unwrap();
    let again = whole.reopen(&path, &whole.model).unwrap();
    assert_eq!(logits(&again, 32), logits(&whole.model, 32));
    let bytes = std::fs::read(&path).unwrap();
    let names: Vec<String> =
        safetensors::SafeTensors::deserialize(&bytes).unwrap().names().into_iter().map(str::to_owned).collect();
    for name in ["backbone.conv1.weight", "backbone.layer1.0.bn1.num_batches_tracked", "head.classify.bias"] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
}

#[test]
fn a_head_that_is_not_one_matrix_is_refused() {
    assert_eq!(
        says(&foreign("two-heads.pt"), &OpenOptions::new()),
        "2 matrices can be the classifier, 'first.weight' [10, 16] and 'second.weight' [10, 16]; expected one"
    );
    let deep = says(&foreign("deep-head.pt"), &OpenOptions::new());
    let start =
        "a head of several layers, 'head.0.weight' [8, 16] and 'head.2.weight' [10, 8]; expected one. Export it";
    assert!(deep.starts_with(start), "{deep}");
}

#[test]
fn arrays_outside_blocks_are_left_out_on_demand_and_those_of_blocks_never() {
    let expected = logits(&opened(&fixture("cifar-a.zip.pt"), &OpenOptions::new()).unwrap().model, 32);
    let partial = OpenOptions::new().partial(true);
    for (file, array) in [("neck.pt", "neck.weight"), ("auxiliary.pt", "auxiliary.weight")] {
        let path = foreign(file);
        let message =
            format!("layout resnet, 37 arrays fit: 1 unused ({array}); the option partial leaves unused arrays out");
        assert_eq!(says(&path, &OpenOptions::new()), message);
        let opened = opened(&path, &partial).unwrap();
        assert_eq!(logits(&opened.model, 32), expected, "{file}");
        assert_eq!(opened.load_report.unwrap().unused, [array]);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    for (names, expected) in [
        (&["layer1.0.scale"][..], "layout resnet, 37 arrays fit: 1 unused in blocks (layer1.0.scale)"),
        (
            &["layer2.gate.weight", "layer1.0.conv1.scale", "loss.weight"],
            "layout resnet, 37 arrays fit: 2 unused in blocks (layer1.0.conv1.scale, layer2.gate.weight); 1 unused \
             (loss.weight)",
        ),
    ] {
        let mut arrays = torch_arrays();
        arrays.extend(names.iter().map(|name| ((*name).to_owned(), vec![4])));
        write(&path, &arrays);
        for options in [&OpenOptions::new(), &partial] {
            assert_eq!(says(&path, options), expected);
        }
    }
}

#[test]
fn networks_of_other_kinds_are_told_by_their_names() {
    for (file, what, next) in [
        ("squeeze.pt", "an SE-ResNet (layer1.0.se.0.bias). ", "Export it to ONNX: "),
        (
            "group-norm.pt",
            "a network with GroupNorm or LayerNorm, or without the statistics of its normalizations (bn1.bias). ",
            "Export",
        ),
        ("blurred.pt", "a network with blurred pooling, BlurPool (layer2.0.conv2.filt). ", "Export it to ONNX: "),
        ("vision-transformer.pt", "a vision transformer (blocks.0.attn.qkv.weight). ", "Export it to ONNX: "),
        ("pruned.pt", "a network with pruning masks (conv1.weight_mask). ", "Make the pruning permanent, "),
        ("weight-norm.pt", "a network with weight or spectral normalization", "Make them arrays, "),
        ("optimizer.pt", "the state of an optimizer, without a network (exp_avg). ", "Name the file with"),
    ] {
        for options in [OpenOptions::new(), OpenOptions::new().partial(true)] {
            let message = says(&foreign(file), &options);
            assert!(message.starts_with(what) && message.contains(next), "{file}: {message}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    for (names, what) in [
        (["blocks.0.norm1.weight", "blocks.0.attn.qkv.weight"], "a vision transformer ("),
        (["downsample_layers.0.0.weight", "stages.0.0.norm1.weight"], "a ConvNeXt ("),
    ] {
        write(&path, &names.map(|name| (name.to_owned(), vec![4])).to_vec());
        let message = says(&path, &OpenOptions::new());
        assert!(message.starts_with(what), "{message}");
    }
}

#[test]
fn files_without_a_network_are_told_by_their_content() {
    for (file, what) in [
        ("torchscript.pt", "a TorchScript program. Export it to ONNX: model = torch.jit.load('FILE').eval(); "),
        ("exported.pt2", "a program of torch.export (.pt2). Export it to ONNX: program = torch.export.load('FILE'); "),
        ("quantized.pt", "a quantized PyTorch network (torch._utils._rebuild_qtensor). Open the one"),
        ("numpy.pt", "a pickle of NumPy arrays (numpy"),
        ("numpy.pkl", "a pickle of NumPy arrays (numpy"),
        ("numpy.npz", "an archive of NumPy arrays (.npz). Save the network's arrays as tensors: "),
        ("model.keras", "a Keras model (.keras). Export it to ONNX: model = keras.saving.load_model('FILE'); "),
    ] {
        let message = says(&foreign(file), &OpenOptions::new());
        assert!(message.starts_with(what), "{file}: {message}");
    }
    let graph = std::fs::read(fixture("../onnx/post.onnx")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (content, what) in [
        (&b""[..], "an empty file. Download or copy it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 90868376\n",
            "a Git LFS pointer, not the file that it stands for. Run `git lfs pull` in its repository",
        ),
        (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "a web page (HTML). Download the file itself, "),
        (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "an XML text, such as the message"),
        (b"{\"error\": \"Repository not found\"}", "a JSON text. Name the file with the weights"),
        (b"Entry not found", "a text. Name the file with the weights"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "an HDF5 file, such as Keras writes (.h5). Export it to ONNX: "),
        (b"GGUF\x03\0\0\0\0\0\0\0", "a GGUF file of llama.cpp, which holds weights without the graph"),
        (b"\x82\xa6params\x81\xa4conv", "a MessagePack file, such as Flax writes. Copy its arrays "),
        (b"\x93NUMPY\x01\0v\0{'descr'", "a NumPy array (.npy). Save the network's arrays as tensors: "),
        (b"\x1c\0\0\0TFL3\x14\0", "a TensorFlow Lite model. Export it to ONNX: "),
        (b"\x1f\x8b\x08\0\0\0\0\0", "a compressed file. Unpack it, and name the file in it"),
    ] {
        for name in ["x.pt", "x.safetensors", "x.onnx"] {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            let message = match OpenOptions::new().open(&path) {
                Ok(_) => panic!("{} was opened", path.display()),
                Err(error) => error.to_string(),
            };
            assert!(message.starts_with(&format!("{}: {what}", path.display())), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
    let path = dir.path().join("graph.pt");
    std::fs::write(&path, graph).unwrap();
    assert_eq!(says(&path, &OpenOptions::new()), "an ONNX graph under another name. Give it a name that ends in .onnx");
}

#[test]
fn directories_without_a_network_are_told_by_their_entries() {
    for (entries, what) in [
        (&["_CHECKPOINT_METADATA", "_METADATA"][..], "an Orbax checkpoint of JAX. Copy its arrays "),
        (&["saved_model.pb"], "a TensorFlow SavedModel. Export it to ONNX: "),
        (&[".metadata", "__0_0.distcp"], "a distributed checkpoint of PyTorch. Join it: "),
        (&["config.json", "pytorch_model.bin"], "a directory of Transformers. Name the file pytorch_model.bin in it"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        entries.iter().for_each(|entry| std::fs::write(dir.path().join(entry), b"x").unwrap());
        let message = says(dir.path(), &OpenOptions::new());
        assert!(message.starts_with(what), "{message}");
    }
}
