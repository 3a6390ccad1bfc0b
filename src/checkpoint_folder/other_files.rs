//! The files of a folder beside its configuration and its weights: which are copied, and which would be wrong.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Extensions of files that hold the weights of all layers in another form.
const WEIGHTS: [&str; 14] = [
    "bin",
    "ckpt",
    "ggml",
    "gguf",
    "h5",
    "llamafile",
    "mlmodel",
    "msgpack",
    "onnx",
    "onnx_data",
    "ot",
    "pt",
    "pth",
    "tflite",
];
/// Folders of the same network in another form.
const OTHER_FORMS: [&str; 4] = ["coreml", "onnx", "openvino", "original"];

/// The files of a folder beside its configuration and its weights, by their paths in the folder.
#[derive(Debug, Default)]
pub(super) struct OtherFiles {
    /// Files that stay right when layers are removed.
    pub(super) copied: Vec<PathBuf>,
    /// Files and folders that hold the network as it was.
    pub(super) left_out: Vec<PathBuf>,
}

/// Lists the files of a folder except those in `known`.
///
/// # Errors
/// [`Error::Io`] that names a folder which cannot be read.
pub(super) fn other_files(folder: &Path, known: &BTreeSet<String>) -> Result<OtherFiles> {
    let mut files = OtherFiles::default();
    list(folder, Path::new(""), known, &mut files)?;
    Ok(files)
}

fn list(folder: &Path, within: &Path, known: &BTreeSet<String>, files: &mut OtherFiles) -> Result<()> {
    let directory = folder.join(within);
    let mut names = Vec::new();
    for entry in directory.read_dir().map_err(Error::io(&directory))? {
        names.push(entry.map_err(Error::io(&directory))?.file_name());
    }
    names.sort();
    let is_top = within == Path::new("");
    for name in names {
        let (path, text) = (within.join(&name), name.to_string_lossy());
        if is_top && known.contains(text.as_ref()) {
            continue;
        }
        let absolute = folder.join(&path);
        // A cache of downloads has links to files; a link to a folder could lead anywhere.
        let is_link = absolute.is_symlink();
        if absolute.is_dir() {
            if is_link || text.starts_with('.') || is_top && OTHER_FORMS.contains(&text.as_ref()) {
                files.left_out.push(path);
            } else {
                list(folder, &path, known, files)?;
            }
        } else if is_stale(&path, is_top) {
            files.left_out.push(path);
        } else {
            files.copied.push(path);
        }
    }
    Ok(())
}

/// Returns whether a file holds weights of all layers, or an index of such files.
fn is_stale(path: &Path, is_top: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    // Folders within may hold further modules, as those of sentence-transformers do, in safetensors files of their own.
    WEIGHTS.contains(&extension.as_ref())
        || is_top && (extension == "safetensors" || name.ends_with(".index.json") || name.starts_with("optimizer"))
}
