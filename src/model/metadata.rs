//! The metadata of a model file: what is needed to use the network besides its parameters.

use serde::{Deserialize, Serialize};

use super::char_lm::SPECIAL_CHARACTERS;
use super::{Model, ModelConfig};
use crate::{Error, Result};

/// The metadata of a model file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Configuration of the network.
    pub model: ModelConfig,
    /// Shape of a sample, `[channels, height, width]`.
    pub input: [usize; 3],
    /// Names of the classes, in the order of the outputs. Those of a language model are its words.
    pub classes: Vec<String>,
    /// Letters of a language model, in order. Their numbers follow those of padding, start and end of a word, and unknown
    /// letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub characters: Option<String>,
    /// Mean of the normalization `(x - mean) / std` of a sample with values from 0 to 1: one value, or one for each channel.
    pub mean: Vec<f32>,
    /// Standard deviation of the normalization: one value, or one for each channel.
    pub std: Vec<f32>,
    /// The training data, as the user named it.
    pub data: String,
    /// Version of this crate that wrote the file.
    pub version: String,
}

impl Metadata {
    /// Returns the metadata of a network with these class names and this normalization, without a name for its data.
    ///
    /// # Examples
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use unrolled::model::{Metadata, Model, ModelConfig, ModelKind, from_bytes, to_bytes};
    ///
    /// let config = ModelConfig::new(ModelKind::Mlp).with_depth(3).with_width(4);
    /// let model = Model::new(&config, [1, 2, 2], 2, 0, &Device::flex())?;
    /// let metadata = Metadata::new(&model, vec!["ant".into(), "bee".into()], vec![0.5], vec![0.25]);
    /// let bytes = to_bytes(&model, &metadata, &[], Default::default())?;
    /// let file = from_bytes("model.safetensors".as_ref(), &bytes, &Device::flex())?;
    /// assert_eq!(file.metadata, metadata);
    /// # Ok::<(), unrolled::Error>(())
    /// ```
    pub fn new(model: &Model, classes: Vec<String>, mean: Vec<f32>, std: Vec<f32>) -> Self {
        Self {
            model: model.config().clone(),
            input: model.input(),
            classes,
            characters: None,
            mean,
            std,
            data: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Checks that a data set has the classes of the network, in the same order.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names the first class that differs.
    pub fn check_classes(&self, names: &[String]) -> Result<()> {
        check_classes(&self.classes, names)
    }

    /// Returns what is wrong with metadata that was read; `None` if they are consistent.
    pub(super) fn find_fault(&self) -> Option<String> {
        let fits = |values: &[f32]| values.len() == 1 || values.len() == self.input[0];
        let characters = self.characters.as_ref().map(|letters| SPECIAL_CHARACTERS + letters.chars().count());
        if !fits(&self.mean) || !fits(&self.std) {
            Some(format!("mean and std: expected one value, or one for each of {} channels", self.input[0]))
        } else if !self.mean.iter().all(|m| m.is_finite()) {
            Some("mean: expected finite numbers".into())
        } else if characters.is_some() && characters != self.model.characters {
            Some("characters: other than the network has embeddings for".into())
        } else if !self.std.iter().all(|s| s.is_finite() && *s > 0.0) {
            Some("std: expected numbers above 0".into())
        } else {
            None
        }
    }
}

/// Checks that the classes of a data set are those of a network, in the same order.
///
/// # Errors
/// [`Error::Mismatch`] that names the first class that differs.
pub fn check_classes(network: &[String], data: &[String]) -> Result<()> {
    if network.len() != data.len() {
        let other = data.iter().find(|class| !network.contains(class));
        let other = other.map_or_else(String::new, |class| format!("; '{class}' is none of the network's"));
        let why = format!("the data set has {}, the network has {}{other}", data.len(), network.len());
        return Err(Error::mismatch("classes", why));
    }
    match network.iter().zip(data).position(|(network, data)| network != data) {
        Some(k) => {
            let (data, network) = (&data[k], &network[k]);
            let why = format!(
                "the data set has '{data}', the network has '{network}': these are other classes, or in another order"
            );
            Err(Error::mismatch(format!("class {k}"), why))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_with_other_classes_is_refused() {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let check = |names: &[&str]| check_classes(&owned(&["ant", "bee"]), &owned(names)).map_err(|e| e.to_string());
        assert!(check(&["ant", "bee"]).is_ok());
        assert!(
            check(&["bee", "ant"]).unwrap_err().starts_with("class 0: the data set has 'bee', the network has 'ant'")
        );
        assert_eq!(check(&["ant"]).unwrap_err(), "classes: the data set has 1, the network has 2");
    }
}
