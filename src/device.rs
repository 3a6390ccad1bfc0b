//! The only place that chooses a Burn device.

use burn::tensor::Device;

use crate::{Error, Result};

/// The names that [`open`] takes with the features that this program was built with.
pub fn names() -> Vec<&'static str> {
    let mut names = vec!["cpu"];
    if cfg!(feature = "cuda") {
        names.push("cuda");
    }
    if cfg!(feature = "wgpu") {
        names.push("wgpu");
    }
    names
}

/// The device of this name.
///
/// # Errors
/// [`Error::Unknown`] for a name that is none of [`names`].
pub fn open(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(Default::default())),
        "cuda" | "wgpu" => Err(Error::Usage(format!(
            "device '{name}': this program was built without it; build with --features {name}"
        ))),
        _ => Err(Error::unknown("device", name, names())),
    }
}
