//! What a folder holds: its layers, its other arrays, and the keys of its configuration that depend on the depth.

use std::collections::BTreeMap;

use serde::Serialize;

use super::config_keys::DepthKey;
use super::layer_kinds::layer_kinds;
use super::numbering::Numbering;
use super::weights::ArrayEntry;
use super::{CheckpointFolder, LayerOptions};
use crate::{Error, Result};

/// What a folder holds.
#[derive(Clone, Debug, Serialize)]
pub struct FolderSummary {
    /// The class of the network.
    pub architecture: String,
    /// The number of elements of all arrays.
    pub parameters: u64,
    /// The number of arrays.
    pub arrays: usize,
    /// The number of safetensors files.
    pub files: usize,
    /// The number of elements of each type, such as `BF16`, the most frequent type first.
    pub dtypes: Vec<(String, u64)>,
    /// The lists of layers, those with the most arrays first.
    pub lists: Vec<LayerList>,
    /// The arrays that belong to no layer.
    pub outside: Vec<ArrayOutside>,
}

/// A list of layers.
#[derive(Clone, Debug, Serialize)]
pub struct LayerList {
    /// Its name, such as `model.layers`.
    pub name: String,
    /// Its layers.
    pub layers: Vec<Layer>,
    /// The keys of the configuration that depend on its length; none where no key is its length.
    pub keys: Vec<DepthKey>,
    /// Why layers cannot be removed: no key is the number of layers, or several are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not_removable: Option<String>,
}

/// A layer.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// Its name, such as `model.layers.2`.
    pub name: String,
    /// The number of its arrays.
    pub arrays: usize,
    /// The number of their elements.
    pub parameters: u64,
    /// Layers of the same kind, from 0, have the same arrays of the same shapes.
    pub kind: usize,
}

/// An array that belongs to no layer.
#[derive(Clone, Debug, Serialize)]
pub struct ArrayOutside {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The number of its elements.
    pub parameters: u64,
}

impl CheckpointFolder {
    /// Lists what the folder holds.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a list of layers that is not there.
    pub fn summary(&self, options: &LayerOptions) -> Result<FolderSummary> {
        let arrays = self.arrays();
        let mut lists = self.lists();
        if let Some(prefix) = &options.layers {
            let known: Vec<String> = lists.iter().map(|list| list.prefix.clone()).collect();
            lists.retain(|list| list.prefix == *prefix);
            if lists.is_empty() {
                return Err(Error::unknown("list of layers", prefix.as_str(), known));
            }
        }
        let in_layer = |array: &ArrayEntry| lists.iter().any(|list| list.split(&array.name).is_some());
        let outside = arrays.iter().filter(|array| !in_layer(array)).map(|array| ArrayOutside {
            name: array.name.clone(),
            dtype: array.dtype.clone(),
            shape: array.shape.clone(),
            parameters: array.elements(),
        });
        let mut dtypes: BTreeMap<&str, u64> = BTreeMap::new();
        arrays.iter().for_each(|array| *dtypes.entry(&array.dtype).or_default() += array.elements());
        let mut dtypes: Vec<(String, u64)> =
            dtypes.into_iter().map(|(dtype, count)| (dtype.to_owned(), count)).collect();
        dtypes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Ok(FolderSummary {
            architecture: self.architecture(),
            parameters: arrays.iter().map(|array| array.elements()).sum(),
            arrays: arrays.len(),
            files: self.weights.files.len(),
            dtypes,
            outside: outside.collect(),
            lists: lists.into_iter().map(|list| self.list_summary(list, &arrays, options)).collect(),
        })
    }

    fn list_summary(&self, list: &Numbering, arrays: &[&ArrayEntry], options: &LayerOptions) -> LayerList {
        let kinds = layer_kinds(list, arrays);
        let layers = list.arrays.iter().zip(kinds).map(|((&number, places), kind)| Layer {
            name: list.name(number),
            arrays: places.len(),
            parameters: places.iter().map(|&place| arrays[place].elements()).sum(),
            kind,
        });
        let (keys, why_not_removable) = match self.keys_of(list, options) {
            Ok(keys) => (keys, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        LayerList { name: list.prefix.clone(), layers: layers.collect(), keys, why_not_removable }
    }
}
