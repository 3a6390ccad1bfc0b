//! What the samples of a result are, and how they enter the network.

use serde::{Deserialize, Serialize};

use super::EvalSet;
use super::plan::checksum_of_samples;
use crate::data::{Normalization, NormalizationSource};

/// What the samples of a result are, and how they enter the network. Other preprocessing gives other figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleInfo {
    /// The number of samples, which are taken in the order of the data set.
    pub samples: usize,
    /// A checksum of the samples alone.
    pub checksum: String,
    /// The side in pixels that the shorter side of images is resized to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize_pixels: Option<usize>,
    /// The side in pixels of the square that is cut from the center of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop_pixels: Option<usize>,
    /// Mean and standard deviation of the normalization `(x - mean) / std`.
    #[serde(flatten)]
    pub normalization: Normalization,
    /// Where the normalization comes from.
    pub normalization_source: NormalizationSource,
}

impl SampleInfo {
    /// Returns what a result says of its samples.
    pub fn new(data: &EvalSet) -> Self {
        let sizes = data.dataset.resize_crop().unwrap_or_default();
        Self {
            samples: data.len(),
            checksum: checksum_of_samples(data),
            resize_pixels: sizes.resize,
            crop_pixels: sizes.crop,
            normalization: data.normalization.clone(),
            normalization_source: data.normalization_source,
        }
    }

    /// Returns how samples are prepared, as a sentence; empty where their values are taken as they are.
    pub fn describe(&self) -> String {
        if self.normalization_source == NormalizationSource::AsIs {
            return String::new();
        }
        let list = |values: &[f32]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let sizes = [("resized to", self.resize_pixels), ("cropped to", self.crop_pixels)];
        let sizes: String =
            sizes.into_iter().filter_map(|(what, pixels)| Some(format!("{what} {} pixels, ", pixels?))).collect();
        let Normalization { mean, std } = &self.normalization;
        let source = self.normalization_source.describe();
        format!("Samples are {sizes}normalized by mean {} and std {} ({source}).", list(mean), list(std))
    }
}
