//! The normalization of input values.

use serde::{Deserialize, Serialize};

use super::digits;
use super::spec::DataKind;
use crate::{Error, Result};

/// The normalization of samples before they enter a network: `(x - mean) / std`. In images, `x` is from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// One value, or one per channel.
    pub mean: Vec<f32>,
    /// One value, or one per channel; all must be positive.
    pub std: Vec<f32>,
}

/// Where a normalization comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormalizationSource {
    /// It is usual for the data set.
    #[default]
    DataSet,
    /// The caller gave it.
    Given,
    /// The file of the network says it.
    Network,
    /// It is customary for networks of this layout. The file does not say it: it is a guess.
    Customary,
    /// There is none: values are taken as they are.
    AsIs,
}

impl NormalizationSource {
    /// Returns it as text that may stand in brackets.
    pub fn describe(self) -> &'static str {
        match self {
            Self::DataSet => "usual for the data set",
            Self::Given => "given",
            Self::Network => "from the network's file",
            Self::Customary => "customary for networks of this layout, a guess",
            Self::AsIs => "values as they are",
        }
    }
}

impl Normalization {
    /// Returns a normalization with the same values for every channel.
    pub fn uniform(mean: f32, std: f32) -> Self {
        let (mean, std) = (vec![mean], vec![std]);
        Self { mean, std }
    }

    /// Returns the usual normalization of a data set: mean and standard deviation of its training pixels. Folders have
    /// those of ImageNet; arrays and texts are not normalized.
    pub(super) fn usual(kind: DataKind) -> Self {
        let channels = |mean: [f32; 3], std: [f32; 3]| Self { mean: mean.to_vec(), std: std.to_vec() };
        match kind {
            DataKind::Digits => Self::uniform(digits::MEAN, digits::STD),
            DataKind::Mnist => Self::uniform(0.1307, 0.3081),
            DataKind::FashionMnist => Self::uniform(0.2860, 0.3530),
            DataKind::Cifar10 => channels([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
            DataKind::Cifar100 => channels([0.5071, 0.4865, 0.4409], [0.2673, 0.2564, 0.2762]),
            DataKind::Arrays | DataKind::Text => Self::uniform(0.0, 1.0),
            DataKind::Folder => channels([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        }
    }

    /// Checks the values for samples of `channels` channels.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is neither one value nor one per channel, a value is not finite, or a standard deviation
    /// is not positive.
    pub fn check(&self, channels: usize) -> Result<()> {
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            let n = values.len();
            if n != 1 && n != channels {
                let why = format!("{n} values, expected 1 or one for each of {channels} channels");
                return Err(Error::argument(name, why));
            }
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(Error::argument(name, format!("{value}, expected a finite number")));
            }
        }
        match self.std.iter().find(|&&std| std <= 0.0) {
            Some(std) => Err(Error::argument("std", format!("{std}, expected more than 0"))),
            None => Ok(()),
        }
    }

    /// Normalizes one sample of shape `[channels, height, width]`. [`Normalization::check`] must have succeeded.
    pub(super) fn apply(&self, channels: usize, pixels: &mut [f32]) {
        let plane = pixels.len() / channels.max(1);
        for (channel, pixels) in pixels.chunks_exact_mut(plane.max(1)).enumerate() {
            let of = |values: &[f32]| values.get(channel).or(values.first()).copied();
            let (mean, std) = (of(&self.mean).unwrap_or(0.0), of(&self.std).unwrap_or(1.0));
            pixels.iter_mut().for_each(|x| *x = (*x - mean) / std);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normalization_is_one_value_or_one_per_channel() {
        let mut pixels = [0.0, 1.0, 0.0, 1.0];
        let per_channel = Normalization { mean: vec![0.0, 1.0], std: vec![0.5] };
        per_channel.apply(2, &mut pixels);
        assert_eq!(pixels, [0.0, 2.0, -2.0, 0.0]);
        for (mean, std, message) in [
            (vec![], vec![1.0], "mean: 0 values, expected 1 or one for each of 3 channels"),
            (vec![0.0], vec![1.0; 2], "std: 2 values, expected 1 or one for each of 3 channels"),
            (vec![f32::NAN], vec![1.0], "mean: NaN, expected a finite number"),
            (vec![0.0], vec![0.0], "std: 0, expected more than 0"),
        ] {
            let error = Normalization { mean, std }.check(3).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
