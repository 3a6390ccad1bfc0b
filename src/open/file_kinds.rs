//! Files that hold no network which can be opened here: how each kind is recognized, what it is, and the next step.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::evidence::Sign::{
    AllArrays, AllEntries, AnyText, Array, ArrayWithout, Bytes, Class, Empty, Entry, MessagePack, NoEntry, Onnx, Text,
};
use super::evidence::{Evidence, Sign};
use super::state_dict::{ArrayFormat, StateDict};
use super::{archive, pickle};
use crate::text::excerpt;
use crate::{Error, Result};

/// How a network of PyTorch becomes a file that can be opened; [`export`] puts in how its arrays are read.
const EXPORT: &str = "Export it to ONNX: READ; \
                      torch.onnx.export(model.eval(), (torch.zeros(1, 3, 224, 224),), 'network.onnx')";
/// What stands in [`EXPORT`] for the line that reads the arrays.
const READ: &str = "READ";
const EXPORT_KERAS: &str = "Export it to ONNX: model = keras.saving.load_model('FILE'); \
                            model.export('network.onnx', format='onnx')";
const EXPORT_FLAX: &str = "Copy its arrays into the same network in PyTorch, and save its state_dict";
const DOWNLOAD: &str = "Download the file itself, by the link 'raw' or 'download' of that page";
const UNPACK: &str = "Unpack it, and name the file in it";
const SAVE_TENSORS: &str = "Save the network's arrays as tensors: torch.save(model.state_dict(), 'network.pt')";

/// A kind of file.
struct FileKind {
    /// Each of them tells the kind.
    signs: &'static [Sign],
    /// What it is, with its article.
    what: &'static str,
    /// What to do with it.
    next: &'static str,
}

const fn kind(signs: &'static [Sign], what: &'static str, next: &'static str) -> FileKind {
    FileKind { signs, what, next }
}

/// The kinds that the bytes of a file or the names of its entries tell, the first that fits counts.
const BY_BYTES: &[FileKind] = &[
    kind(&[Empty], "an empty file", "Download or copy it again"),
    kind(
        &[Text("version https://git-lfs.github.com/spec/")],
        "a Git LFS pointer, not the file that it stands for",
        "Run `git lfs pull` in its repository",
    ),
    kind(&[Text("<!doctype html"), Text("<html"), Text("<head")], "a web page (HTML)", DOWNLOAD),
    kind(&[Text("<?xml"), Text("<error")], "an XML text, such as the message of a server", DOWNLOAD),
    kind(&[Text("{"), Text("[")], "a JSON text", "Name the file with the weights"),
    kind(
        &[Entry("constants.pkl")],
        "a TorchScript program",
        "Export it to ONNX: model = torch.jit.load('FILE').eval(); \
        torch.onnx.export(model, (torch.zeros(1, 3, 224, 224),), 'network.onnx', dynamo=False)",
    ),
    kind(
        &[Entry("archive_format"), Entry("serialized_exported_program.json")],
        "a program of torch.export (.pt2)",
        "Export it to ONNX: program = torch.export.load('FILE'); torch.onnx.export(program, f='network.onnx')",
    ),
    kind(&[Entry("model.weights.h5")], "a Keras model (.keras)", EXPORT_KERAS),
    kind(&[Bytes(0, b"\x89HDF\r\n\x1a\n")], "an HDF5 file, such as Keras writes (.h5)", EXPORT_KERAS),
    kind(
        &[Entry("saved_model.pb")],
        "a TensorFlow SavedModel",
        "Export it to ONNX: python -m tf2onnx.convert \
        --saved-model FILE --output network.onnx",
    ),
    kind(
        &[Bytes(4, b"TFL3")],
        "a TensorFlow Lite model",
        "Export it to ONNX: python -m tf2onnx.convert --tflite FILE \
        --output network.onnx",
    ),
    kind(
        &[Bytes(0, b"GGUF"), Bytes(0, b"ggml"), Bytes(0, b"tjgg"), Bytes(0, b"lmgg")],
        "a GGUF file of llama.cpp, which holds weights without the graph of the network",
        "Export the network that it was made of to ONNX",
    ),
    kind(&[AllEntries(".npy")], "an archive of NumPy arrays (.npz)", SAVE_TENSORS),
    kind(&[Bytes(0, b"\x93NUMPY")], "a NumPy array (.npy)", SAVE_TENSORS),
    kind(
        &[Entry("_CHECKPOINT_METADATA"), Entry("_METADATA"), Entry("manifest.ocdbt")],
        "an Orbax checkpoint of JAX",
        EXPORT_FLAX,
    ),
    kind(&[MessagePack], "a MessagePack file, such as Flax writes", EXPORT_FLAX),
    kind(
        &[Entry(".distcp")],
        "a distributed checkpoint of PyTorch",
        "Join it: python -m \
        torch.distributed.checkpoint.format_utils dcp_to_torch FILE network.pt",
    ),
    kind(&[Entry("pytorch_model.bin")], "a directory of Transformers", "Name the file pytorch_model.bin in it"),
    kind(&[Onnx], "an ONNX graph under another name", "Give it a name that ends in .onnx"),
    kind(
        &[
            Bytes(0, b"\x1f\x8b"),
            Bytes(0, b"BZh"),
            Bytes(0, b"\xfd7zXZ"),
            Bytes(0, b"7z\xbc\xaf"),
            Bytes(0, b"\x28\xb5\x2f\xfd"),
            Bytes(0, b"Rar!"),
        ],
        "a compressed file",
        UNPACK,
    ),
    kind(&[NoEntry("data.pkl")], "a zip archive without a PyTorch network", UNPACK),
    kind(&[AnyText], "a text", "Name the file with the weights"),
];

/// The kinds that the classes in a pickle tell, where no arrays can be read from it.
const BY_CLASSES: &[FileKind] = &[
    kind(
        &[Class("torch._utils._rebuild_qtensor"), Class("torch.ao.nn.quantized"), Class("torch.nn.quantized")],
        "a quantized PyTorch network",
        "Open the one that it was made of",
    ),
    kind(&[Class("torch.fx")], "a graph of torch.fx", EXPORT),
    kind(
        &[Class("sklearn"), Class("xgboost"), Class("lightgbm"), Class("joblib")],
        "a pickle of scikit-learn or the like, which holds no network",
        "Name a file of a network",
    ),
    kind(&[Class("jax"), Class("flax"), Class("haiku")], "a pickle of JAX arrays", EXPORT_FLAX),
    kind(&[Class("tensorflow"), Class("keras")], "a pickle of Keras", EXPORT_KERAS),
    kind(&[Class("numpy")], "a pickle of NumPy arrays", SAVE_TENSORS),
];

/// The kinds that the names of arrays tell, where they are not those of a network that can be opened.
const BY_ARRAYS: &[FileKind] = &[
    kind(
        &[Array("weight_mask"), Array("bias_mask")],
        "a network with pruning masks",
        "Make the pruning permanent, torch.nn.utils.prune.remove(module, 'weight') of each pruned module, and save it again",
    ),
    kind(
        &[Array("parametrizations"), Array("weight_g"), Array("weight_u")],
        "a network with weight or spectral normalization, whose weights are computed from others",
        "Make them arrays, torch.nn.utils.parametrize.remove_parametrizations(module, 'weight') or \
         torch.nn.utils.remove_weight_norm(module), and save it again",
    ),
    kind(
        &[Array("lora_A"), Array("lora_B"), Array("lora_*")],
        "LoRA adapters",
        "Merge them into their network, model.merge_and_unload(), and export it to ONNX",
    ),
    kind(
        &[Array("zero_point"), Array("_packed_params"), Array("qweight")],
        "a quantized network",
        "Open the one that it was made of",
    ),
    kind(
        &[AllArrays(&[
            "exp_avg",
            "exp_avg_sq",
            "max_exp_avg_sq",
            "step",
            "momentum_buffer",
            "square_avg",
            "grad_avg",
            "sum",
            "acc_delta",
        ])],
        "the state of an optimizer, without a network",
        "Name the file with the network's state_dict",
    ),
    kind(
        &[
            Array("layer#.#.se"),
            Array("layer#.#.se_*"),
            Array("layer#.#.se#"),
            Array("layer#.#.fc#"),
            Array("blocks.#.se"),
            Array("layer.#.se"),
        ],
        "an SE-ResNet",
        EXPORT,
    ),
    kind(
        &[Array("layer#.#.cbam*"), Array("layer#.#.ca"), Array("layer#.#.sa"), Array("layer#.#.*attention")],
        "a ResNet with attention in its blocks",
        EXPORT,
    ),
    kind(&[Array("layer#.#.eca*")], "an ECA-ResNet", EXPORT),
    kind(&[Array("layer#.#.convs")], "a Res2Net", EXPORT),
    kind(
        &[
            Array("layer#.#.conv2.#"),
            Array("layer#.#.conv2.conv"),
            Array("layer#.#.conv2.fc#"),
            Array("layer#.#.conv2.paths"),
        ],
        "a ResNeSt or SK-ResNet",
        EXPORT,
    ),
    kind(&[Array("filt")], "a network with blurred pooling, BlurPool", EXPORT),
    kind(&[Array("attn.qkv"), Array("self_attention"), Array("cls_token")], "a vision transformer", EXPORT),
    kind(
        &[Array("attention.self"), Array("self_attn"), Array("attn.c_attn"), Array("SelfAttention")],
        "a transformer for text",
        EXPORT,
    ),
    kind(&[Array("denseblock#"), Array("dense#.#")], "a DenseNet", EXPORT),
    kind(&[Array("downsample_layers"), Array("stages.#.blocks.#.conv_dw")], "a ConvNeXt", EXPORT),
    kind(&[Array("Mixed_*"), Array("inception*")], "an Inception network", EXPORT),
    kind(&[Array("blocks.#.#.conv_dw"), Array("blocks.#.#.conv_pw")], "an EfficientNet or MobileNet", EXPORT),
    kind(&[Array("features.#")], "a VGG, AlexNet, MobileNet or EfficientNet", EXPORT),
    // After the transformers, whose normalizations have no statistics either.
    kind(
        &[ArrayWithout("bn#", "running_mean"), ArrayWithout("norm#", "running_mean"), Array("layer#.#.gn#")],
        "a network with GroupNorm or LayerNorm, or without the statistics of its normalizations",
        EXPORT,
    ),
];

/// So many arrays are looked at: a hostile file may have millions.
const MAX_ARRAYS: usize = 1 << 14;
/// So many bytes are read of a file to tell its kind.
const BEGINNING: u64 = 512;

/// Returns how a network whose arrays are in a file of this format becomes one that can be opened, as two lines of Python.
pub(super) fn export(format: ArrayFormat) -> String {
    EXPORT.replace(READ, format.read_in_python())
}

/// Refuses a file that is no network by its first bytes and the names of its entries.
///
/// # Errors
/// [`Error::File`] that says what it is and what to do.
pub(super) fn check_file(path: &Path) -> Result<()> {
    let mut begins = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(BEGINNING).read_to_end(&mut begins).map_err(Error::io(path))?;
    let entries = if begins.starts_with(b"PK") { archive::entry_names(path) } else { Vec::new() };
    let evidence = Evidence {
        is_archive: !entries.is_empty(),
        is_graph: super::is_graph_path(path),
        begins: Some(begins),
        entries,
        ..Evidence::default()
    };
    find(&evidence, BY_BYTES).map_or(Ok(()), |what| Err(Error::file(path, what)))
}

/// Returns what a directory without a run or an index is, and what to do; `None` where nothing tells.
pub(super) fn of_directory(path: &Path) -> Option<String> {
    let entries = path.read_dir().ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    find(&Evidence { entries: entries.collect(), ..Evidence::default() }, BY_BYTES)
}

/// Returns what a pickle without arrays is, and what to do; `None` where nothing tells.
pub(super) fn of_pickle(path: &Path) -> Option<String> {
    find(&Evidence { classes: pickle::named_classes(path), ..Evidence::default() }, BY_CLASSES)
}

/// Returns what arrays are that make up no network here, and what to do; `None` where nothing tells.
pub(super) fn of_arrays(state: &StateDict) -> Option<String> {
    let arrays = state.arrays.iter().take(MAX_ARRAYS).map(|array| array.name.as_str()).collect();
    find(&Evidence { arrays, format: state.format, ..Evidence::default() }, BY_ARRAYS)
}

/// Returns what the first kind that fits is, and what to do.
fn find(evidence: &Evidence, kinds: &[FileKind]) -> Option<String> {
    kinds.iter().find_map(|kind| {
        let example = kind.signs.iter().find_map(|sign| evidence.shows(sign))?;
        let example = if example.is_empty() { example } else { format!(" ({})", excerpt(&example)) };
        let next = if kind.next == EXPORT { export(evidence.format) } else { kind.next.to_owned() };
        Some(format!("{}{example}. {next}", kind.what))
    })
}
