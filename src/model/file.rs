//! The model file: safetensors, with all that is needed to use it again in its metadata. Bytes in, bytes out.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::Device;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{Model, ModelConfig};
use crate::{Error, Result};

/// What a model file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The network.
    pub model: ModelConfig,
    /// `[channels, height, width]` of a sample.
    pub input: [usize; 3],
    /// Names of the classes, in the order of the outputs.
    pub classes: Vec<String>,
    /// Subtracted from each channel of a sample of values 0 to 1.
    pub mean: Vec<f32>,
    /// Divides each channel after that.
    pub std: Vec<f32>,
    /// The data that trained it, as it was named.
    pub data: String,
    /// Version of this crate that wrote the file.
    pub version: String,
}

/// The metadata entry that holds the [`Card`] as JSON.
pub(crate) const CARD: &str = "unrolled";

/// The bytes of a model file, with further arrays (of an optimizer, say) and further metadata beside the parameters.
///
/// # Errors
/// [`Error::Usage`] if two arrays have one name.
pub fn to_bytes(
    model: &Model,
    card: &Card,
    extra: &[(String, Vec<usize>, Vec<f32>)],
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let own = model.parameters.iter().map(|(_, p)| (p.name.clone(), p.shape.clone(), p.host()));
    let arrays: Vec<(String, Vec<usize>, Vec<u8>)> = own
        .chain(extra.iter().cloned())
        .map(|(name, shape, values)| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views: std::result::Result<Vec<_>, safetensors::SafeTensorError> = arrays
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect();
    let failed = |e: safetensors::SafeTensorError| Error::Usage(format!("the model cannot be written: {e}"));
    let mut metadata = metadata;
    let json = serde_json::to_string(card).map_err(|e| Error::Usage(format!("the model cannot be written: {e}")))?;
    metadata.insert(CARD.into(), json);
    safetensors::serialize(views.map_err(failed)?, Some(metadata)).map_err(failed)
}

/// A model file that was read.
pub struct Opened {
    /// The network with its parameters.
    pub model: Model,
    /// What the file says of itself.
    pub card: Card,
    /// Arrays that are no parameters of the network: name, shape, values.
    pub extra: Vec<(String, Vec<usize>, Vec<f32>)>,
    /// All metadata.
    pub metadata: HashMap<String, String>,
}

/// Reads a model file's bytes; `path` is for messages.
///
/// # Errors
/// [`Error::File`] for bytes that are no model file, or whose arrays are not those of the network that it names.
pub fn from_bytes(path: &Path, bytes: &[u8], device: &Device) -> Result<Opened> {
    let wrong = |e: safetensors::SafeTensorError| Error::file(path, format!("not a whole safetensors file: {e}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let card = metadata
        .get(CARD)
        .ok_or_else(|| Error::file(path, "a safetensors file without this program's metadata entry 'unrolled'"))?;
    let card: Card = serde_json::from_str(card)
        .map_err(|e| Error::file(path, format!("metadata entry 'unrolled' cannot be read: {e}")))?;
    let mut model = Model::unset(&card.model, card.input, card.classes.len(), device)
        .map_err(|e| Error::file(path, e.to_string()))?;
    let mut missing: Vec<String> = model.parameters.iter().map(|(_, p)| p.name.clone()).collect();
    let mut extra = Vec::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(Error::file(path, format!("{name}: {:?} values, expected F32", view.dtype())));
        }
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        match model.parameters.find(&name) {
            Some(id) => {
                model.parameters.set_host(id, view.shape(), values).map_err(|e| Error::file(path, e.to_string()))?;
                missing.retain(|m| *m != name);
            }
            None => extra.push((name, view.shape().to_vec(), values)),
        }
    }
    match missing.first() {
        Some(name) => Err(Error::file(path, format!("{name} is missing, and {} more", missing.len() - 1))),
        None => Ok(Opened { model, card, extra, metadata }),
    }
}
