//! Files that hold no network which can be opened here: how each kind is recognized, what it is, and the next step.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::state_dict::StateDict;
use super::{archive, pickle};
use crate::text::one_line;
use crate::{Error, Result};

/// How a network of PyTorch becomes a file that can be opened, as two lines of Python.
pub(super) const EXPORT: &str = "Export it to ONNX: model.load_state_dict(torch.load('FILE')); \
                                 torch.onnx.export(model.eval(), (torch.zeros(1, 3, 224, 224),), 'network.onnx')";
const EXPORT_KERAS: &str = "Export it to ONNX: model = keras.saving.load_model('FILE'); \
                            model.export('network.onnx', format='onnx')";
const EXPORT_FLAX: &str = "Copy its arrays into the same network in PyTorch, and save its state_dict";
const DOWNLOAD: &str = "Download the file itself, by the link 'raw' or 'download' of that page";
const UNPACK: &str = "Unpack it, and name the file in it";
const SAVE_TENSORS: &str = "Save the network's arrays as tensors: torch.save(model.state_dict(), 'network.pt')";

/// How a kind of file is recognized.
enum Sign {
    /// It has no bytes.
    Empty,
    /// It has these bytes at an offset.
    Bytes(usize, &'static [u8]),
    /// It is text that begins so, white space and case aside.
    Text(&'static str),
    /// It is text of any other kind.
    AnyText,
    /// Its first bytes are those of a MessagePack map with text keys.
    MessagePack,
    /// Its first bytes are those of an ONNX graph.
    Onnx,
    /// An entry of the archive or the directory has this name, or this end where the text begins with a dot.
    Entry(&'static str),
    /// All entries of the archive end so.
    AllEntries(&'static str),
    /// No entry of the archive has this name.
    NoEntry(&'static str),
    /// The pickle names a class or function whose path begins so.
    Class(&'static str),
    /// The name of an array has these parts in a row. `#` stands for a number, and `*` for the rest of a part.
    Array(&'static str),
    /// The last parts of the names of all arrays are these.
    AllArrays(&'static [&'static str]),
    /// An array has such a part, and none has the other.
    ArrayWithout(&'static str, &'static str),
}

/// A kind of file.
struct FileKind {
    /// Each of them tells the kind.
    signs: &'static [Sign],
    /// What it is, with its article.
    what: &'static str,
    /// What to do with it.
    next: &'static str,
}

use Sign::{
    AllArrays, AllEntries, AnyText, Array, ArrayWithout, Bytes, Class, Empty, Entry, MessagePack, NoEntry, Onnx, Text,
};

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
        "a network whose weights are computed from others (weight or spectral normalization)",
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
        &[Array("layer#.#.se*"), Array("layer#.#.fc#"), Array("blocks.#.se*"), Array("layer.#.se*")],
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
    kind(&[Array("filt")], "a network with blurred pooling (BlurPool)", EXPORT),
    kind(
        &[ArrayWithout("bn#", "running_mean"), ArrayWithout("norm#", "running_mean"), Array("layer#.#.gn#")],
        "a network with GroupNorm, or without the statistics of its normalizations",
        EXPORT,
    ),
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
];

/// What is known of a file.
#[derive(Default)]
struct Evidence<'a> {
    /// The first bytes; `None` for a directory.
    begins: Option<Vec<u8>>,
    entries: Vec<String>,
    is_archive: bool,
    is_graph: bool,
    classes: Vec<String>,
    arrays: Vec<&'a str>,
}

/// So many bytes are read of a file to tell its kind.
const BEGINNING: u64 = 512;

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
    evidence.find(BY_BYTES).map_or(Ok(()), |what| Err(Error::file(path, what)))
}

/// Returns what a directory without a run or an index is, and what to do; `None` where nothing tells.
pub(super) fn of_directory(path: &Path) -> Option<String> {
    let entries = path.read_dir().ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Evidence { entries: entries.collect(), ..Evidence::default() }.find(BY_BYTES)
}

/// Returns what a pickle without arrays is, and what to do; `None` where nothing tells.
pub(super) fn of_pickle(path: &Path) -> Option<String> {
    Evidence { classes: pickle::named_classes(path), ..Evidence::default() }.find(BY_CLASSES)
}

/// Returns what arrays are that make up no network here, and what to do; `None` where nothing tells.
pub(super) fn of_arrays(state: &StateDict) -> Option<String> {
    let arrays = state.arrays.iter().map(|array| array.name.as_str()).collect();
    Evidence { arrays, ..Evidence::default() }.find(BY_ARRAYS)
}

impl Evidence<'_> {
    /// Returns what the first kind that fits is, and what to do.
    fn find(&self, kinds: &[FileKind]) -> Option<String> {
        kinds.iter().find_map(|kind| {
            let example = kind.signs.iter().find_map(|sign| self.shows(sign))?;
            let example = if example.is_empty() { example } else { format!(" ({})", one_line(&example)) };
            Some(format!("{}{example}. {}", kind.what, kind.next))
        })
    }

    /// Returns the name that shows a sign, or an empty text for a sign without a name; `None` where there is no such sign.
    fn shows(&self, sign: &Sign) -> Option<String> {
        let when = |is_shown: bool| is_shown.then(String::new);
        let begins = self.begins.as_deref().unwrap_or_default();
        match sign {
            Empty => when(self.begins.as_ref().is_some_and(Vec::is_empty)),
            Bytes(at, bytes) => when(begins.get(*at..).is_some_and(|rest| rest.starts_with(bytes))),
            Text(start) => when(text_of(begins).is_some_and(|text| text.starts_with(start))),
            AnyText => when(text_of(begins).is_some_and(|text| !is_text_pickle(&text))),
            MessagePack => when(is_message_pack(begins)),
            Onnx => when(!self.is_graph && is_onnx(begins)),
            Entry(name) => when(self.entries.iter().any(|entry| is_entry(entry, name))),
            AllEntries(end) => when(self.is_archive && self.entries.iter().all(|entry| entry.ends_with(end))),
            NoEntry(name) => when(self.is_archive && !self.entries.iter().any(|entry| is_entry(entry, name))),
            Class(start) => self.classes.iter().find(|class| class.starts_with(start)).cloned(),
            Array(pattern) => self.array_like(pattern).map(str::to_owned),
            AllArrays(ends) => {
                let is_one = |name: &&str| ends.contains(&name.rsplit('.').next().unwrap_or_default());
                self.arrays.first().filter(|_| self.arrays.iter().all(is_one)).map(ToString::to_string)
            }
            ArrayWithout(pattern, other) => {
                self.array_like(pattern).filter(|_| self.array_like(other).is_none()).map(str::to_owned)
            }
        }
    }

    /// Returns the first array whose name has parts like those of a pattern in a row.
    fn array_like(&self, pattern: &str) -> Option<&str> {
        let pattern: Vec<&str> = pattern.split('.').collect();
        self.arrays.iter().copied().find(|name| {
            let parts: Vec<&str> = name.split('.').collect();
            parts.windows(pattern.len()).any(|parts| parts.iter().zip(&pattern).all(|(part, like)| is_like(part, like)))
        })
    }
}

/// Returns whether a part of a name is like one of a pattern, where `#` stands for a number and `*` for anything.
fn is_like(part: &str, pattern: &str) -> bool {
    let Some(at) = pattern.find(['#', '*']) else { return part == pattern };
    let (start, end) = (&pattern[..at], &pattern[at + 1..]);
    let middle = part.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    middle.is_some_and(|middle| {
        pattern[at..].starts_with('*') || (!middle.is_empty() && middle.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

fn is_entry(entry: &str, name: &str) -> bool {
    entry == name || entry.strip_suffix(name).is_some_and(|start| name.starts_with('.') || start.ends_with('/'))
}

/// Returns the first bytes of a text in lower case, without white space before it; `None` for what is no text.
fn text_of(begins: &[u8]) -> Option<String> {
    let begins = begins.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begins);
    // The last character may be cut.
    let end =
        (0..4).map(|cut| begins.len().saturating_sub(cut)).find(|end| std::str::from_utf8(&begins[..*end]).is_ok())?;
    let text = std::str::from_utf8(&begins[..end]).ok()?;
    let is_text = !text.trim().is_empty() && !text.contains(|c: char| c.is_control() && !c.is_whitespace());
    is_text.then(|| text.trim_start().to_ascii_lowercase())
}

/// Returns whether a text may be a pickle of protocol 0, or the beginning of a PyTorch file of that protocol.
fn is_text_pickle(text: &str) -> bool {
    text.starts_with(['(', 'c', 'l', '}', ']'])
}

/// Returns whether bytes begin a MessagePack map whose first key is a text of letters.
fn is_message_pack(begins: &[u8]) -> bool {
    let key = match begins {
        [0x81..=0x8f, key @ ..] | [0xde, _, _, key @ ..] => key,
        _ => return false,
    };
    let Some((&length @ 0xa1..=0xbf, text)) = key.split_first() else { return false };
    text.get(..usize::from(length & 0x1f)).is_some_and(|text| text.iter().all(u8::is_ascii_graphic))
}

/// Returns whether bytes begin an ONNX graph: the version of the format, then the name of what wrote it, another text, a
/// number, the graph or the sets of operators.
fn is_onnx(begins: &[u8]) -> bool {
    match begins {
        [0x08, 1..=32, 0x12 | 0x1a | 0x22, 1..=127, first, ..] => first.is_ascii_graphic(),
        [0x08, 1..=32, 0x3a | 0x42, ..] => true,
        _ => false,
    }
}
