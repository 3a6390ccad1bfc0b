//! The model file: a safetensors file whose metadata entry holds all that is needed to use the network. Conversion to and
//! from bytes only; nothing here reads or writes files.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{Metadata, Model};
use crate::kernel::Backend;
use crate::{Error, Result};

/// The key of the safetensors metadata entry that holds the [`Metadata`] as JSON.
pub(crate) const METADATA_KEY: &str = "unrolled";

/// Prefix of the names of arrays that belong to a training run and not to the network.
pub(crate) const TRAINING_PREFIX: &str = "training.";

/// An array as name, shape and values, row-major.
pub type NamedArray = (String, Vec<usize>, Vec<f32>);

/// The content of the metadata entry. It is a single entry because safetensors stores several in any order, and equal models
/// must have equal bytes.
#[derive(Serialize, Deserialize)]
struct StoredMetadata {
    #[serde(flatten)]
    metadata: Metadata,
    /// CRC-32 of the metadata, and of the names and bytes of all arrays in the order of their names.
    #[serde(default)]
    crc32: Option<String>,
}

/// The content of a model file.
pub struct ModelFile {
    /// The network with its parameters.
    pub model: Model,
    /// The metadata of the network.
    pub metadata: Metadata,
    /// Arrays that are not parameters of the network.
    pub extra: Vec<NamedArray>,
    /// All metadata entries of the safetensors file.
    pub entries: HashMap<String, String>,
}

/// Returns the bytes of a model file. Besides the parameters it stores the arrays `extra`, such as the state of an optimizer,
/// and the metadata `entries`.
///
/// # Errors
/// [`Error::Unsupported`] if the network has no safetensors form, as with two arrays of one name.
pub fn to_bytes(
    model: &Model,
    metadata: &Metadata,
    extra: &[NamedArray],
    mut entries: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let unsupported = |e: SafeTensorError| Error::unsupported("model file", e.to_string());
    let own = model.parameters.iter().map(|(_, p)| (p.name.clone(), p.shape.clone(), p.to_vec()));
    let arrays: Vec<(String, Vec<usize>, Vec<u8>)> = own
        .chain(extra.iter().cloned())
        .map(|(name, shape, values)| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views: std::result::Result<Vec<_>, SafeTensorError> = arrays
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect();
    let crc32 = checksum(metadata, arrays.iter().map(|(name, _, bytes)| (name.as_str(), bytes.as_slice())))?;
    let stored = StoredMetadata { metadata: metadata.clone(), crc32: Some(crc32) };
    let json = serde_json::to_string(&stored).map_err(|e| Error::unsupported("model file", e.to_string()))?;
    entries.insert(METADATA_KEY.into(), json);
    safetensors::serialize(views.map_err(unsupported)?, Some(entries)).map_err(unsupported)
}

/// Reads the bytes of a model file. `path` is used in errors only.
///
/// # Errors
/// [`Error::File`] if the bytes are not a model file, or if its arrays are not those of its network.
pub fn from_bytes(path: &Path, bytes: &[u8], backend: impl Into<Backend>) -> Result<ModelFile> {
    let wrong = |e: SafeTensorError| Error::file(path, format!("not a whole safetensors file: {e}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let entries = header.metadata().clone().unwrap_or_default();
    let metadata = read_metadata(path, &entries, &file)?;
    let mut model = Model::uninitialized(&metadata.model, metadata.input, metadata.classes.len(), backend)
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
                model.parameters.set_values(id, view.shape(), values).map_err(|e| Error::file(path, e.to_string()))?;
                missing.retain(|m| *m != name);
            }
            None if !name.starts_with(TRAINING_PREFIX) => {
                return Err(Error::file(path, format!("{name}: the network has no place for this array")));
            }
            None => extra.push((name, view.shape().to_vec(), values)),
        }
    }
    match missing.first() {
        Some(name) => Err(Error::file(path, format!("{name} is missing, and {} more", missing.len() - 1))),
        None => Ok(ModelFile { model, metadata, extra, entries }),
    }
}

/// Reads the metadata entry and checks it against the arrays of the file.
fn read_metadata(path: &Path, entries: &HashMap<String, String>, file: &SafeTensors) -> Result<Metadata> {
    let entry = entries
        .get(METADATA_KEY)
        .ok_or_else(|| Error::file(path, "a safetensors file without this program's metadata entry 'unrolled'"))?;
    let StoredMetadata { metadata, crc32 } = serde_json::from_str(entry)
        .map_err(|e| Error::file(path, format!("metadata entry 'unrolled' cannot be read: {e}")))?;
    if let Some(fault) = metadata.find_fault() {
        return Err(Error::file(path, format!("metadata entry 'unrolled': {fault}")));
    }
    let tensors = file.tensors();
    let found = checksum(&metadata, tensors.iter().map(|(name, view)| (name.as_str(), view.data())))?;
    match crc32 {
        Some(expected) if expected != found => Err(Error::file(path, "not what was written: the checksum differs")),
        _ => Ok(metadata),
    }
}

/// Computes the checksum of [`StoredMetadata`] in hexadecimal digits.
fn checksum<'a>(metadata: &Metadata, arrays: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<String> {
    let mut arrays: Vec<(&str, &[u8])> = arrays.collect();
    arrays.sort();
    let json = serde_json::to_vec(metadata).map_err(|e| Error::unsupported("model file", e.to_string()))?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&json);
    for (name, bytes) in arrays {
        sum.update(name.as_bytes());
        sum.update(bytes);
    }
    Ok(format!("{:08x}", sum.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ModelConfig, ModelKind};

    fn metadata() -> Metadata {
        Metadata {
            model: ModelConfig::new(ModelKind::Mlp).with_depth(3).with_width(4),
            input: [1, 2, 2],
            classes: vec!["ant".into(), "bee".into()],
            characters: None,
            mean: vec![0.5],
            std: vec![0.5],
            data: "folder:insects".into(),
            version: "0".into(),
        }
    }

    #[test]
    fn inconsistent_metadata_are_refused_by_their_key() {
        let model = Model::new(&metadata().model, [1, 2, 2], 2, 0, Backend::cpu()).unwrap();
        let message = |metadata: Metadata| {
            let bytes = to_bytes(&model, &metadata, &[], HashMap::new()).unwrap();
            from_bytes(Path::new("m"), &bytes, Backend::cpu()).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(message(metadata()), Ok(()));
        let faults = [
            (Metadata { std: vec![0.0], ..metadata() }, "m: metadata entry 'unrolled': std: expected numbers above 0"),
            (
                Metadata { mean: vec![0.0; 3], ..metadata() },
                "m: metadata entry 'unrolled': mean and std: expected one value",
            ),
            (
                Metadata { input: [0, 2, 2], ..metadata() },
                "m: input [channels, height, width]: [0, 2, 2] and 2 classes",
            ),
            (
                Metadata { input: [1, 0, 2], ..metadata() },
                "m: input [channels, height, width]: [1, 0, 2] and 2 classes",
            ),
            (Metadata { input: [1, 1 << 40, 1 << 40], ..metadata() }, "m: input [channels, height, width]: "),
        ];
        for (metadata, expected) in faults {
            let found = message(metadata).unwrap_err();
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
