//! Burn devices by name.

use burn::tensor::Device;

use crate::{Error, Result};

/// Returns the names that [`open`] accepts. They depend on the features of the build.
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

/// Returns the device of this name.
///
/// # Errors
/// [`Error::Unsupported`] if the feature of the device is not enabled; [`Error::Unknown`] for any other name that is not in
/// [`names`].
pub fn open(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(Default::default())),
        "cuda" | "wgpu" => {
            let what = format!("this program was built without it; build with --features {name}");
            Err(Error::unsupported(format_args!("device '{name}'"), what))
        }
        _ => Err(Error::unknown("device", name, names())),
    }
}
