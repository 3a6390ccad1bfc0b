//! Folders as Transformers (Hugging Face) writes them: a configuration, and arrays in safetensors files. Their layers are
//! listed and removed by names and headers alone; nothing computes, and no more than one buffer of values is in memory.
//!
//! [`CheckpointFolder::open`] reads the configuration and the headers, [`CheckpointFolder::summary`] lists the layers and the
//! keys of the configuration that depend on the depth, [`CheckpointFolder::removal`] decides what the removal of some layers
//! changes, and [`Removal::write`] writes the new folder and verifies it.
//!
//! # Examples
//! ```
//! use unrolled::checkpoint_folder::{CheckpointFolder, LayerOptions};
//!
//! let folder = CheckpointFolder::open("tests/folders/llama".as_ref())?;
//! let options = LayerOptions::default();
//! assert_eq!(folder.summary(&options)?.lists[0].layers.len(), 4);
//!
//! let removal = folder.removal(&["model.layers.2".into()], &options)?;
//! assert_eq!(removal.changes[0].key, "num_hidden_layers");
//!
//! let directory = tempfile::tempdir()?;
//! let out = directory.path().join("shorter");
//! removal.write(&out, &mut ())?;
//! assert_eq!(CheckpointFolder::open(&out)?.summary(&options)?.lists[0].layers.len(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config_changes;
mod config_keys;
mod depth_keys;
mod json_file;
mod known_keys;
mod layer_kinds;
mod layer_names;
mod numbering;
mod other_files;
mod present;
mod removal;
mod summary;
mod weights;
mod write;
mod write_weights;

pub use config_changes::{ConfigChange, changed_keys};
pub use config_keys::{Dependence, DepthKey, KeyChoices};
pub use present::{removal_text, summary_report};
pub use removal::{Counts, Removal};
pub use summary::{ArrayOutside, FolderSummary, Layer, LayerList};
pub use write::Written;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use self::json_file::read_object;
use self::numbering::{Numbering, find_numberings};
use self::weights::{ArrayEntry, Weights};
use crate::{Error, Result};

/// The configuration of a folder.
const CONFIG: &str = "config.json";

/// A folder with the configuration and the arrays of a network, as Transformers writes it.
#[derive(Clone, Debug)]
pub struct CheckpointFolder {
    path: PathBuf,
    config: Map<String, Value>,
    weights: Weights,
    /// The lists of modules, those with the most arrays first.
    numberings: Vec<Numbering>,
}

/// What a caller says of the layers, where a folder leaves it open.
#[derive(Clone, Debug, Default)]
pub struct LayerOptions {
    /// The name of the list of layers, such as `model.decoder.layers`; needed where a network has several.
    pub layers: Option<String>,
    /// What becomes of keys of the configuration.
    pub keys: KeyChoices,
}

impl CheckpointFolder {
    /// Returns whether a path is such a folder: a directory with `config.json` that is no run of this program, and whose
    /// configuration is not that of timm, which has no number of layers.
    pub fn is_at(path: &Path) -> bool {
        let config = path.join(CONFIG);
        let of_timm = |config: &Map<String, Value>| {
            config.contains_key("architecture")
                && !config.contains_key("model_type")
                && !config.contains_key("architectures")
        };
        config.is_file()
            && !path.join("config.toml").exists()
            && !read_object(&config).is_ok_and(|config| of_timm(&config))
    }

    /// Returns what a folder is and what can be done with it, for whoever wants to compute with it; `None` for another path.
    ///
    /// # Examples
    /// ```
    /// use unrolled::checkpoint_folder::CheckpointFolder;
    ///
    /// let why = CheckpointFolder::why_not_computed("tests/folders/llama".as_ref()).unwrap();
    /// assert!(why.contains("transformers.LlamaForCausalLM.from_pretrained"), "{why}");
    /// ```
    pub fn why_not_computed(path: &Path) -> Option<String> {
        let config = Self::is_at(path).then(|| read_object(&path.join(CONFIG)).unwrap_or_default())?;
        let class = config.get("architectures").and_then(|classes| classes.get(0)).and_then(Value::as_str);
        let class = class.filter(|class| class.chars().all(|c| c.is_ascii_alphanumeric())).unwrap_or("AutoModel");
        Some(format!(
            "a Transformers folder: `unrolled show FOLDER` lists its layers, `unrolled slim FOLDER --blocks` or `--plan` removes \
             some. To measure it, or to have its layers chosen, load it in Python: model = \
             transformers.{class}.from_pretrained('FOLDER'); live = unrolled.torch.wrap(model, example=batch)"
        ))
    }

    /// Reads the configuration and the headers of the safetensors files.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] that names the file and what is wrong with it. For weights in another form, it says
    /// how to save them as safetensors.
    pub fn open(path: &Path) -> Result<Self> {
        let config = read_object(&path.join(CONFIG))?;
        let weights = Weights::open(path)?;
        let numberings = find_numberings(weights.arrays().map(|array| array.name.as_str()));
        if let Some((layers, number)) = numberings.first().and_then(|layers| Some((layers, layers.gap()?))) {
            let (missing, last) = (layers.name(number), layers.name(layers.depth() - 1));
            let what =
                format!("no array of {missing}, and {last} is there; layers have to be numbered without gaps from 0");
            return Err(Error::file(path, what));
        }
        Ok(Self { path: path.to_owned(), config, weights, numberings })
    }

    /// Returns the name of the network's class, or of its kind.
    pub fn architecture(&self) -> String {
        let class = self.config.get("architectures").and_then(|classes| classes.get(0)).and_then(Value::as_str);
        let kind = self.config.get("model_type").and_then(Value::as_str);
        class.or(kind).unwrap_or("a network without architectures and model_type").to_owned()
    }

    /// Returns all arrays, file by file.
    fn arrays(&self) -> Vec<&ArrayEntry> {
        self.weights.arrays().collect()
    }

    /// Returns the path of the configuration, which errors about its keys name.
    fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Returns the lists of modules that may be layers: numbered without gaps from 0, and more than one.
    fn lists(&self) -> Vec<&Numbering> {
        self.numberings.iter().filter(|list| list.gap().is_none() && list.depth() > 1).collect()
    }
}
