//! The model file: safetensors, with all that is needed to use it again in its metadata. Bytes in, bytes out.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{Model, ModelConfig};
use crate::data::Vocabulary;
use crate::kernel::Backend;
use crate::{Error, Result};

/// What a model file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The network.
    pub model: ModelConfig,
    /// `[channels, height, width]` of a sample.
    pub input: [usize; 3],
    /// Names of the classes, in the order of the outputs; of a language model the words that it knows.
    pub classes: Vec<String>,
    /// The characters that a language model knows, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub characters: Option<String>,
    /// Subtracted from each channel of a sample of values 0 to 1.
    pub mean: Vec<f32>,
    /// Divides each channel after that.
    pub std: Vec<f32>,
    /// The data that trained it, as it was named.
    pub data: String,
    /// Version of this crate that wrote the file.
    pub version: String,
}

/// The metadata entry that holds the [`Metadata`] as JSON.
pub(crate) const CARD: &str = "unrolled";

/// How the names of arrays begin that are no parameters of the network: what a training remembers.
pub(crate) const TRAINING: &str = "training.";

/// What that entry holds. One entry, since those of a file come in any order, and equal models are equal bytes.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    card: Metadata,
    /// CRC-32 of the card, and of all arrays in the order of their names.
    #[serde(default)]
    crc32: Option<String>,
}

impl Metadata {
    /// The words and characters that a language model knows; of others none.
    pub fn vocabulary(&self) -> Option<Vocabulary> {
        let characters = self.characters.as_ref()?.chars().collect();
        Some(Vocabulary { words: self.classes.clone(), characters, length: self.input[2] })
    }

    /// Whether a data set means the same by its labels.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the first class that differs.
    pub fn check_classes(&self, names: &[String]) -> Result<()> {
        check_classes(&self.classes, names)
    }

    /// What of a card that was read cannot be.
    fn fault(&self) -> Option<String> {
        let fits = |values: &[f32]| values.len() == 1 || values.len() == self.input[0];
        match () {
            () if !fits(&self.mean) || !fits(&self.std) => {
                Some(format!("mean and std: expected one value, or one for each of {} channels", self.input[0]))
            }
            () if !self.mean.iter().all(|m| m.is_finite()) => Some("mean: expected finite numbers".into()),
            () if self.vocabulary().is_some_and(|known| self.model.characters != Some(known.numbers())) => {
                Some("characters: other than the network has embeddings for".into())
            }
            () if !self.std.iter().all(|s| s.is_finite() && *s > 0.0) => Some("std: expected numbers above 0".into()),
            () => None,
        }
    }
}

/// Whether a data set's classes are a network's.
///
/// # Errors
/// [`Error::Usage`] that names the first class that differs.
pub fn check_classes(ours: &[String], theirs: &[String]) -> Result<()> {
    let differs = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
    match differs {
        _ if ours.len() != theirs.len() => Err(Error::Usage(format!(
            "the data set has {} classes, the network answers with {}",
            theirs.len(),
            ours.len()
        ))),
        Some(k) => Err(Error::Usage(format!(
            "class {k} of the data set is '{}', that of the network is '{}': these are other classes, or in another order",
            theirs[k], ours[k]
        ))),
        None => Ok(()),
    }
}

/// Of the card, and of the arrays in the order of their names.
fn checksum<'a>(card: &Metadata, arrays: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<String> {
    let mut arrays: Vec<(&str, &[u8])> = arrays.collect();
    arrays.sort();
    let card = serde_json::to_vec(card).map_err(|e| Error::Usage(format!("the card of a model: {e}")))?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&card);
    for (name, bytes) in arrays {
        sum.update(name.as_bytes());
        sum.update(bytes);
    }
    Ok(format!("{:08x}", sum.finalize()))
}

/// The bytes of a model file, with further arrays (of an optimizer, say) and further metadata beside the parameters.
///
/// # Errors
/// [`Error::Usage`] if two arrays have one name.
pub fn to_bytes(
    model: &Model,
    card: &Metadata,
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
    let crc32 = checksum(card, arrays.iter().map(|(name, _, bytes)| (name.as_str(), bytes.as_slice())))?;
    let stored = Stored { card: card.clone(), crc32: Some(crc32) };
    let json = serde_json::to_string(&stored).map_err(|e| Error::Usage(format!("the model cannot be written: {e}")))?;
    metadata.insert(CARD.into(), json);
    safetensors::serialize(views.map_err(failed)?, Some(metadata)).map_err(failed)
}

/// A model file that was read.
pub struct Opened {
    /// The network with its parameters.
    pub model: Model,
    /// What the file says of itself.
    pub card: Metadata,
    /// Arrays that are no parameters of the network: name, shape, values.
    pub extra: Vec<(String, Vec<usize>, Vec<f32>)>,
    /// All metadata.
    pub metadata: HashMap<String, String>,
}

/// Reads a model file's bytes; `path` is for messages.
///
/// # Errors
/// [`Error::File`] for bytes that are no model file, or whose arrays are not those of the network that it names.
pub fn from_bytes(path: &Path, bytes: &[u8], backend: impl Into<Backend>) -> Result<Opened> {
    let wrong = |e: safetensors::SafeTensorError| Error::file(path, format!("not a whole safetensors file: {e}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let card = metadata
        .get(CARD)
        .ok_or_else(|| Error::file(path, "a safetensors file without this program's metadata entry 'unrolled'"))?;
    let Stored { card, crc32 } = serde_json::from_str(card)
        .map_err(|e| Error::file(path, format!("metadata entry 'unrolled' cannot be read: {e}")))?;
    if let Some(fault) = card.fault() {
        return Err(Error::file(path, format!("metadata entry 'unrolled': {fault}")));
    }
    let tensors = file.tensors();
    let found = checksum(&card, tensors.iter().map(|(name, view)| (name.as_str(), view.data())))?;
    if crc32.is_some_and(|expected| expected != found) {
        return Err(Error::file(path, "not what was written: the checksum differs"));
    }
    let mut model = Model::unset(&card.model, card.input, card.classes.len(), backend)
        .map_err(|e| Error::file(path, e.to_string()))?;
    let mut missing: Vec<String> = model.parameters.iter().map(|(_, p)| p.name.clone()).collect();
    let mut extra = Vec::new();
    for (name, view) in tensors {
        if view.dtype() != Dtype::F32 {
            return Err(Error::file(path, format!("{name}: {:?} values, expected F32", view.dtype())));
        }
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        match model.parameters.find(&name) {
            Some(id) => {
                model.parameters.set_host(id, view.shape(), values).map_err(|e| Error::file(path, e.to_string()))?;
                missing.retain(|m| *m != name);
            }
            None if !name.starts_with(TRAINING) => {
                return Err(Error::file(path, format!("{name}: the network has no place for this array")));
            }
            None => extra.push((name, view.shape().to_vec(), values)),
        }
    }
    match missing.first() {
        Some(name) => Err(Error::file(path, format!("{name} is missing, and {} more", missing.len() - 1))),
        None => Ok(Opened { model, card, extra, metadata }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn card() -> Metadata {
        Metadata {
            model: ModelConfig::new(Kind::Mlp).with_depth(3).with_width(4),
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
    fn a_data_set_of_other_classes_is_refused() {
        let check = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            card().check_classes(&names).map_err(|e| e.to_string())
        };
        assert!(check(&["ant", "bee"]).is_ok());
        assert!(
            check(&["bee", "ant"])
                .unwrap_err()
                .starts_with("class 0 of the data set is 'bee', that of the network is 'ant'")
        );
        assert_eq!(check(&["ant"]).unwrap_err(), "the data set has 1 classes, the network answers with 2");
    }

    #[test]
    fn a_card_that_cannot_be_is_named() {
        let model = Model::new(&card().model, [1, 2, 2], 2, 0, Backend::cpu()).unwrap();
        let message = |card: Metadata| {
            let bytes = to_bytes(&model, &card, &[], HashMap::new()).unwrap();
            from_bytes(Path::new("m"), &bytes, Backend::cpu()).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(message(card()), Ok(()));
        let faults = [
            (Metadata { std: vec![0.0], ..card() }, "m: metadata entry 'unrolled': std: expected numbers above 0"),
            (
                Metadata { mean: vec![0.0; 3], ..card() },
                "m: metadata entry 'unrolled': mean and std: expected one value",
            ),
            (Metadata { input: [0, 2, 2], ..card() }, "m: input [channels, height, width]: [0, 2, 2] and 2 classes"),
            (Metadata { input: [1, 0, 2], ..card() }, "m: input [channels, height, width]: [1, 0, 2] and 2 classes"),
            (Metadata { input: [1, 1 << 40, 1 << 40], ..card() }, "m: input [channels, height, width]: "),
        ];
        for (card, expected) in faults {
            let found = message(card).unwrap_err();
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
