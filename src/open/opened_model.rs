//! A model that was opened, with what its file and a caller say of it.

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};

use super::layout::Layout;
use super::state_dict::StateDict;
use super::{AnyNetwork, LoadReport, NameMap, OpenOptions};
use super::{apply, default_metadata, file_kinds, find_head, find_network, infer_config, pytorch, safetensors_file};
use crate::data::{Normalization, Vocabulary};
use crate::kernel::Backend;
use crate::model::{Epoch, Metadata, Model, from_bytes, to_bytes};
use crate::nn::{ForwardContext, Network, Positions, Samples, compare_with_whole, tensor_to_vec};
use crate::random::{Purpose, normal, stream};
use crate::train::{self, Unfinished};
use crate::{Error, Result};

/// A model that was opened, with what its file and a caller say of it.
#[derive(Clone)]
pub struct OpenedModel {
    /// The network with its parameters.
    pub model: Model,
    /// What it was trained with.
    pub metadata: Metadata,
    /// Whether the names of the classes are known. Where they are not, the metadata has their numbers.
    pub has_class_names: bool,
    /// Whether the caller said how samples are normalized. Otherwise the metadata has what the network was trained with.
    pub is_normalization_given: bool,
    /// The epochs of its training; empty where they are not known.
    pub history: Vec<Epoch>,
    /// How far a run was trained that was stopped before its end; `None` for all other networks.
    pub unfinished: Option<Unfinished>,
    /// How the arrays of the file were matched; `None` for files of this crate, which match or are refused.
    pub load_report: Option<LoadReport>,
    /// How the file names the arrays; `None` where it uses the names of this crate.
    pub name_map: Option<NameMap>,
    /// What the caller said of the file.
    pub(super) options: OpenOptions,
}

impl OpenedModel {
    /// Opens a run directory, a model file or a checkpoint of another program.
    pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Self> {
        if super::is_graph_path(path) {
            let what = "an ONNX file holds a graph, not a model; expected a run, a model file, a PyTorch or a safetensors \
                        file";
            return Err(Error::unsupported(path.display(), what));
        }
        let mut opened = match index_in(path)? {
            Some(index) => foreign(&index, safetensors_file::sharded(&index)?, options)?,
            None if path.is_dir() => {
                let found = train::model_file(path);
                let found =
                    found.map_err(|e| file_kinds::of_directory(path).map_or(e, |what| Error::file(path, what)))?;
                let history = train::read_history(path)?;
                let unfinished = Unfinished::of_run(path, &history)?;
                Self { history, unfinished, ..file(&found, options)? }
            }
            None => file(path, options)?,
        };
        options.override_metadata(&mut opened.metadata)?;
        opened.has_class_names |= options.labels.is_some();
        opened.is_normalization_given = options.mean.is_some() || options.std.is_some();
        Ok(opened)
    }

    /// Encodes a model in the format of this file: as a model file of this crate, or as safetensors with the names that the
    /// file has for the arrays.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the file has no name for an array of the model.
    pub fn to_bytes(&self, model: &Model) -> Result<Vec<u8>> {
        match &self.name_map {
            Some(names) => names.to_bytes(model),
            None => {
                let version = env!("CARGO_PKG_VERSION").into();
                let metadata = Metadata { model: model.config().clone(), version, ..self.metadata.clone() };
                to_bytes(model, &metadata, &[], Default::default())
            }
        }
    }

    /// Returns the model along a route, for good, with the names that the file will have for its blocks.
    ///
    /// # Errors
    /// As [`Model::slimmed`].
    pub fn slimmed(&self, route: &crate::nn::Route) -> Result<Model> {
        let mut model = self.model.slimmed(route)?;
        name_blocks(&mut model, self.name_map.as_ref());
        Ok(model)
    }

    /// Opens the file that a model was written to by [`OpenedModel::to_bytes`].
    ///
    /// # Errors
    /// As [`OpenOptions::open_model`]; [`Error::File`] where the file holds another network.
    pub fn reopen(&self, path: &Path, written: &Model) -> Result<Model> {
        // The depth in an `arch` that was given is that of the whole network.
        let arch = self.options.arch.as_ref().map(|_| written.config().clone());
        let model = Self::open(path, &OpenOptions { arch, ..self.options.clone() })?.model;
        // Configurations may differ in what shapes do not tell, such as the initial values.
        match model.outline() == written.outline() {
            true => Ok(model),
            false => Err(Error::file(path, format!("opens as another network, {}", model.outline().name))),
        }
    }

    /// Returns the same with another model in its place, such as a slimmed one.
    pub(crate) fn with_network(&self, model: Model) -> AnyNetwork {
        let metadata = Metadata { model: model.config().clone(), ..self.metadata.clone() };
        AnyNetwork::Model(Box::new(Self { model, metadata, ..self.clone() }))
    }

    /// Returns the same network with initial weights, drawn by a seed.
    ///
    /// # Errors
    /// [`Error::Config`] where a network of this shape cannot be initialized.
    pub fn untrained(&self, seed: u64) -> Result<Model> {
        let outline = self.model.outline();
        let Ok(input) = <[usize; 3]>::try_from(outline.input.as_slice()) else {
            return Err(Error::unsupported(&outline.name, "samples of other than three dimensions"));
        };
        Model::new(self.model.config(), input, outline.classes, seed, self.backend())
    }

    /// Returns where the model is computed.
    pub(crate) fn backend(&self) -> &Backend {
        &self.options.backend
    }

    pub(crate) fn network(&self) -> &Model {
        &self.model
    }

    pub(super) fn load_report(&self) -> Option<&LoadReport> {
        self.load_report.as_ref()
    }

    pub(super) fn summary(&self) -> String {
        self.load_report.as_ref().map_or_else(String::new, ToString::to_string)
    }

    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        self.unfinished
    }

    pub(super) fn history(&self) -> &[Epoch] {
        &self.history
    }

    pub(super) fn normalization(&self) -> Option<Normalization> {
        Some(Normalization { mean: self.metadata.mean.clone(), std: self.metadata.std.clone() })
    }

    pub(super) fn is_normalization_given(&self) -> bool {
        self.is_normalization_given
    }

    pub(super) fn class_names(&self) -> Option<&[String]> {
        self.has_class_names.then_some(self.metadata.classes.as_slice())
    }

    pub(super) fn vocabulary(&self) -> Option<Vocabulary> {
        let characters = self.metadata.characters.as_ref()?.chars().collect();
        Some(Vocabulary { words: self.metadata.classes.clone(), characters, length: self.metadata.input[2] })
    }

    pub(super) fn input_names(&self) -> Vec<String> {
        Vec::new()
    }

    pub(super) fn select_positions(&mut self, _: Positions) -> Result<()> {
        Err(Error::argument("positions", "for ONNX files; this network answers once a sample"))
    }

    pub(super) fn are_positions_given(&self) -> bool {
        false
    }

    pub(super) fn why_no_mask(&self) -> Option<&str> {
        None
    }

    pub(super) fn fit_inputs(&mut self, _: &[Vec<usize>]) -> Result<()> {
        Ok(())
    }

    pub(super) fn boundaries(&self) -> Option<Vec<Vec<[String; 2]>>> {
        None
    }
}

/// Opens one file: a model file of this crate, or a checkpoint of another program.
fn file(path: &Path, options: &OpenOptions) -> Result<OpenedModel> {
    file_kinds::check_file(path)?;
    if !safetensors_file::is_safetensors(path)? {
        return foreign(path, pytorch::read(path)?, options);
    }
    let (state, metadata) = safetensors_file::single(path)?;
    if !metadata.contains_key(crate::model::METADATA_KEY) {
        return foreign(path, state, options);
    }
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let own = from_bytes(path, &bytes, &options.backend)?;
    Ok(OpenedModel {
        model: own.model,
        metadata: own.metadata,
        has_class_names: true,
        is_normalization_given: false,
        history: Vec::new(),
        unfinished: None,
        load_report: None,
        name_map: None,
        options: options.clone(),
    })
}

/// Opens the arrays of a file that another program wrote.
fn foreign(path: &Path, state: StateDict, options: &OpenOptions) -> Result<OpenedModel> {
    let mut state = find_network::select(path, state, options.key.as_deref())?;
    let opened = build(path, &mut state, options);
    match opened {
        // The kind of network says more than the first array that does not fit.
        Err(Error::File { .. }) if let Some(what) = file_kinds::of_arrays(&state) => Err(Error::file(path, what)),
        opened => opened,
    }
}

/// Builds the network of some arrays, and reads their values into it.
fn build(path: &Path, state: &mut StateDict, options: &OpenOptions) -> Result<OpenedModel> {
    let wrong = |what: String| Error::file(path, what);
    let layout = Layout::of(state).map_err(wrong)?;
    find_head::add_head(state, layout).map_err(wrong)?;
    let arrays = layout.known_arrays(state);
    let network = infer_config::infer(&arrays, layout, options.arch.as_ref()).map_err(wrong)?;
    let mut model = Model::uninitialized(&network.config, network.input, network.classes, &options.backend)
        .map_err(|e| Error::file(path, e.to_string()))?;
    let report = apply::apply(path, &mut model, &arrays, layout, state, options.partial)?;
    let metadata = default_metadata::metadata(path, &model, &network, layout, options).map_err(wrong)?;
    check(&model).map_err(|e| Error::file(path, e.to_string()))?;
    let has_class_names = default_metadata::class_names(&model).is_some();
    let name_map = layout.is_foreign().then(|| NameMap::of(layout, &arrays, state));
    name_blocks(&mut model, name_map.as_ref());
    Ok(OpenedModel {
        model,
        metadata,
        has_class_names,
        is_normalization_given: false,
        history: Vec::new(),
        unfinished: None,
        load_report: Some(report),
        name_map,
        options: options.clone(),
    })
}

/// Gives the blocks of a model the names that a file has for them.
fn name_blocks(model: &mut Model, names: Option<&NameMap>) {
    if let Some(names) = names {
        model.set_source_names(|id| names.block_name(id));
    }
}

/// Checks on random samples that the identity route gives what the plain forward pass gives, bit for bit.
///
/// # Errors
/// [`Error::Mismatch`] where it does not.
fn check(model: &Model) -> Result<()> {
    let [channels, height, width] = [0, 1, 2].map(|i| model.outline().input[i]);
    // One sample of an ImageNet network takes as long as a hundred small ones.
    let batch = if height > 64 { 1 } else { 2 };
    let shape = [batch, channels, height, width];
    let mut rng = stream(0, Purpose::SelfCheck, &[]);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| normal(&mut rng)).collect();

    let x = Tensor::from_data(TensorData::new(values.clone(), shape), model.parameters.device());
    let expected = tensor_to_vec(model.forward(&mut ForwardContext::inference(&model.parameters), x));
    compare_with_whole(model, &Samples { values, shape }, &expected)
}

/// Returns the index of a sharded safetensors file: the path itself, or the only index in the directory.
fn index_in(path: &Path) -> Result<Option<PathBuf>> {
    let is_index = |path: &Path| path.to_string_lossy().ends_with(".safetensors.index.json");
    if !path.is_dir() {
        return Ok(is_index(path).then(|| path.to_owned()));
    }
    let mut found = Vec::new();
    for entry in path.read_dir().map_err(Error::io(path))? {
        let path = entry.map_err(Error::io(path))?.path();
        found.extend(Some(path).filter(|path| is_index(path)));
    }
    found.sort();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        [one, two, ..] => {
            Err(Error::file(path, format!("two indices, {} and {}; name one", one.display(), two.display())))
        }
    }
}
