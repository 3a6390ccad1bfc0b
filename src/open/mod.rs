//! Opening: a network from a run directory, from a model file, or from somebody else's PyTorch, safetensors or ONNX file.
//!
//! A foreign file goes through five steps, a file each: its arrays are listed without being read (`pytorch`,
//! `tensors`), wrappers and prefixes are taken off their names (`names`), the names are translated into ours
//! (`layout`), their shapes say which network it is (`recognise`), and every array is put in its place or named in the
//! report (`apply`). Nothing in a file is ever executed, and nothing is skipped silently.

mod any;
mod apply;
mod archive;
mod arrays;
mod check;
mod layout;
mod names;
mod naming;
mod opening;
mod options;
mod pytorch;
mod recognise;
mod samples;
mod tensors;

use std::path::{Path, PathBuf};

#[cfg(feature = "onnx")]
pub use self::any::OpenedGraph;
pub use self::any::{AnyNetwork, any, is_graph};
use self::arrays::StateDict;
#[cfg(feature = "onnx")]
pub(crate) use self::arrays::one_line;
pub use self::check::check;
#[cfg(feature = "onnx")]
pub(crate) use self::check::compare;
use self::layout::Layout;
pub use self::naming::NameMap;
pub use self::opening::{Beside, DidYouMean, LoadReport, WrongShape};
pub use self::options::{OpenOptions, arch, cut, cut_text, labels};
use crate::data::Vocabulary;
use crate::kernel::Backend;
use crate::model::{Epoch, Metadata, Model, from_bytes, to_bytes};
use crate::{Error, Result, train};

/// A network that was opened.
pub struct Opened {
    /// The network with its parameters.
    pub model: Model,
    /// What it was trained with.
    pub card: Metadata,
    /// Whether the names of its classes are known; where they are not, the card has their numbers.
    pub names_classes: bool,
    /// Whether a caller said how samples are normalized; where nobody did, the card has what the network was trained with.
    pub says_normalization: bool,
    /// The history of its training, where that is known.
    pub history: Vec<Epoch>,
    /// What became of the file's arrays; absent for our own files, which match or are refused.
    pub opening: Option<LoadReport>,
    /// How the file names the arrays, where it does not have our names.
    pub naming: Option<NameMap>,
}

impl Opened {
    /// Returns the words and characters that a language model knows; `None` for other networks.
    pub fn vocabulary(&self) -> Option<Vocabulary> {
        let characters = self.card.characters.as_ref()?.chars().collect();
        Some(Vocabulary { words: self.card.classes.clone(), characters, length: self.card.input[2] })
    }

    /// The bytes of a file of a network of the same kind in the form in which this one came: a model file, or arrays
    /// with the names that they had.
    ///
    /// # Errors
    /// [`Error::Usage`] where the form has no place for an array.
    pub fn to_bytes(&self, model: &Model) -> Result<Vec<u8>> {
        match &self.naming {
            Some(naming) => naming.to_bytes(model),
            None => {
                let version = env!("CARGO_PKG_VERSION").into();
                let card = Metadata { model: model.config().clone(), version, ..self.card.clone() };
                to_bytes(model, &card, &[], Default::default())
            }
        }
    }
}

/// Opens a run directory, a model file of this program, or a state dict: a PyTorch file, a safetensors file, the index
/// of a sharded one, or a directory that holds such an index.
///
/// # Errors
/// [`Error::Io`] or [`Error::File`] that names the file and the arrays at fault, [`Error::Config`] or
/// [`Error::Usage`] for options that do not fit.
pub fn open(target: &Path, options: &OpenOptions, backend: impl Into<Backend>) -> Result<Opened> {
    let backend = &backend.into();
    if any::is_graph(target) {
        let what = format!("{}: an ONNX file holds a graph, which is run as it is; expected", target.display());
        return Err(Error::Usage(format!("{what} a run, a model file, a PyTorch or a safetensors file")));
    }
    let mut opened = match index_in(target)? {
        Some(index) => foreign(&index, tensors::sharded(&index)?, options, backend)?,
        None if target.is_dir() => {
            Opened { history: train::read_history(target)?, ..file(&train::model_file(target)?, options, backend)? }
        }
        None => file(target, options, backend)?,
    };
    options.override_card(&mut opened.card)?;
    opened.names_classes |= options.labels.is_some();
    opened.says_normalization = options.mean.is_some() || options.std.is_some();
    Ok(opened)
}

fn file(path: &Path, options: &OpenOptions, backend: &Backend) -> Result<Opened> {
    if !tensors::is_safetensors(path)? {
        return foreign(path, pytorch::read(path)?, options, backend);
    }
    let (state, metadata) = tensors::single(path)?;
    if !metadata.contains_key(crate::model::METADATA_KEY) {
        return foreign(path, state, options, backend);
    }
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let own = from_bytes(path, &bytes, backend)?;
    Ok(Opened {
        model: own.model,
        card: own.metadata,
        names_classes: true,
        says_normalization: false,
        history: Vec::new(),
        opening: None,
        naming: None,
    })
}

fn foreign(path: &Path, state: StateDict, options: &OpenOptions, backend: &Backend) -> Result<Opened> {
    let wrong = |what: String| Error::file(path, what);
    let state = names::unwrap(state);
    let (layout, arrays) = Layout::of(&state).map_err(wrong)?;
    let network = recognise::network(&arrays, layout, options.arch.as_ref()).map_err(wrong)?;
    let mut model = Model::uninitialized(&network.config, network.input, network.classes, backend)
        .map_err(|e| Error::file(path, e.to_string()))?;
    let opening = apply::apply(path, &mut model, &arrays, layout, &state, options.partial)?;
    let card = samples::card(path, &model, &network, layout, options).map_err(wrong)?;
    check(&model).map_err(|e| Error::file(path, e.to_string()))?;
    let names_classes = samples::class_names(&model).is_some();
    let naming = layout.is_foreign().then(|| NameMap::of(layout, &arrays, &state));
    let (opening, history) = (Some(opening), Vec::new());
    Ok(Opened { model, card, names_classes, says_normalization: false, history, opening, naming })
}

/// The index of a sharded file: the path itself, or the one in that directory.
fn index_in(target: &Path) -> Result<Option<PathBuf>> {
    let is_index = |path: &Path| path.to_string_lossy().ends_with(".safetensors.index.json");
    if !target.is_dir() {
        return Ok(is_index(target).then(|| target.to_owned()));
    }
    let mut found = Vec::new();
    for entry in target.read_dir().map_err(Error::io(target))? {
        let path = entry.map_err(Error::io(target))?.path();
        found.extend(Some(path).filter(|path| is_index(path)));
    }
    found.sort();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        [one, two, ..] => {
            Err(Error::file(target, format!("two indices, {} and {}; name one", one.display(), two.display())))
        }
    }
}
