//! How images of different sizes become samples of one size.

use serde::{Deserialize, Serialize};

use super::super::planar_image::{MAX_SIDE, PlanarImage, Window};
use super::super::spec::DataKind;
use crate::{Error, Result};

/// How images are resized and cropped to one size. Texts, and arrays that are no images, have no such size.
///
/// Without a value all images must have the same size already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeCrop {
    /// The length in pixels that the shorter side is resized to. The longer side keeps its proportion.
    #[serde(default)]
    pub resize: Option<usize>,
    /// The side in pixels of the square that is cut from the center after that.
    #[serde(default)]
    pub crop: Option<usize>,
}

/// Heights and widths of an image.
pub(in super::super) struct Sizes {
    /// After the resize.
    resized: [usize; 2],
    /// After resize and crop.
    pub(in super::super) cropped: [usize; 2],
}

impl ResizeCrop {
    /// Returns whether images keep their size.
    pub(in super::super) fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// Checks that the values are possible for a kind of data set.
    ///
    /// # Errors
    /// [`Error::Argument`] if a size is 0 or above 16,384, if the crop is larger than the resized image, or if the data set has
    /// no images.
    pub(super) fn check(&self, kind: DataKind) -> Result<()> {
        for (name, size) in [("resize", self.resize), ("crop", self.crop)] {
            match size {
                Some(_) if kind == DataKind::Text => {
                    return Err(Error::argument(name, "only for images, not for a text"));
                }
                Some(0) => return Err(Error::argument(name, "0 pixels, expected at least 1")),
                Some(size) if size > MAX_SIDE => {
                    return Err(Error::argument(name, format!("{size} pixels, expected at most {MAX_SIDE}")));
                }
                _ => {}
            }
        }
        match (self.resize, self.crop) {
            (Some(resize), Some(crop)) if crop > resize => {
                let what = format!("{crop} pixels, expected at most the {resize} of resize");
                Err(Error::argument("crop", what))
            }
            _ => Ok(()),
        }
    }

    /// Returns the sizes that an image of this height and width gets. The error says what is wrong with the image.
    pub(in super::super) fn sizes(&self, size: [usize; 2]) -> std::result::Result<Sizes, String> {
        let shorter = size[0].min(size[1]);
        let resized = match self.resize {
            // The shorter side is exact. The longer one is rounded down, as in torchvision.
            Some(resize) => size.map(|side| side.saturating_mul(resize) / shorter),
            None => size,
        };
        if self.resize.is_some() && resized.iter().any(|&side| side > MAX_SIDE) {
            let (size, resized) = (format_size(size), format_size(resized));
            return Err(format!("{size} pixels would become {resized}, expected at most {MAX_SIDE} on a side"));
        }
        match self.crop {
            Some(crop) if crop > resized[0].min(resized[1]) => {
                let resized = format_size(resized);
                Err(format!("{resized} pixels are too few for a crop of {crop}x{crop}; resize them"))
            }
            Some(crop) => Ok(Sizes { resized, cropped: [crop, crop] }),
            None => Ok(Sizes { resized, cropped: resized }),
        }
    }

    /// Returns the image resized and cropped. `sizes` are those of the image.
    pub(in super::super) fn apply(&self, image: PlanarImage, sizes: &Sizes) -> PlanarImage {
        let [_, height, width] = image.shape;
        let image = match sizes.resized {
            resized if resized == [height, width] => image,
            [height, width] => image.resize(height, width),
        };
        let [height, width] = sizes.cropped;
        let window = image.center_window(height, width);
        match window {
            Window { top: 0, left: 0, .. } if image.shape[1..] == [height, width] => image,
            window => image.crop(window),
        }
    }
}

/// Returns the text of a size, width first.
pub(in super::super) fn format_size([height, width]: [usize; 2]) -> String {
    format!("{width}x{height}")
}
