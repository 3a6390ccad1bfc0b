//! How images of different sizes become samples of one size.

use serde::{Deserialize, Serialize};

use super::super::spec::DataKind;
use crate::{Error, Result};

/// How the images of a folder are resized and cropped to one size; no other data set allows it.
///
/// Without a value all images must have the same size already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeCrop {
    /// The length in pixels that the shorter side is resized to. The longer side keeps its proportion.
    #[serde(default)]
    pub resize: Option<usize>,
    /// The side in pixels of the square that is cut from the center after that.
    #[serde(default)]
    pub crop: Option<usize>,
}

impl ResizeCrop {
    /// Checks that the values are possible for a kind of data set.
    ///
    /// # Errors
    /// [`Error::Config`] if a size is 0, if the crop is larger than the resized image, or if the data set is no folder.
    pub(super) fn check(&self, kind: DataKind) -> Result<()> {
        for (key, size) in [("data.resize", self.resize), ("data.crop", self.crop)] {
            match size {
                Some(_) if kind != DataKind::Folder => {
                    let name = kind.name();
                    return Err(Error::config(key, format!("only for folder:DIR, the images of {name} have one size")));
                }
                Some(0) => return Err(Error::config(key, "0 pixels, expected at least 1")),
                _ => {}
            }
        }
        match (self.resize, self.crop) {
            (Some(resize), Some(crop)) if crop > resize => {
                let what = format!("{crop} pixels, expected at most the {resize} of data.resize");
                Err(Error::config("data.crop", what))
            }
            _ => Ok(()),
        }
    }
}
