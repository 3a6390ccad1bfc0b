//! Devices by name, and what each of them is.

use std::fmt;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

pub use crate::error::DeviceFailure;
use crate::{Error, Result};

/// A device as results name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// The name without a number: `cpu` or `wgpu`.
    pub name: String,
    /// The name of the adapter, as its driver gives it; `None` for the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Whether the adapter is a program that computes on the CPU.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_software: bool,
}

impl DeviceInfo {
    /// Returns the CPU.
    pub fn cpu() -> Self {
        Self { name: "cpu".into(), adapter: None, is_software: false }
    }

    /// Returns what is known of a device. Opens it.
    pub fn new(device: &Device) -> Self {
        #[cfg(feature = "wgpu")]
        if let Some(identity) = device.identity() {
            return Self {
                name: "wgpu".into(),
                adapter: Some(identity.name),
                is_software: identity.physical.is_none(),
            };
        }
        let _ = device;
        Self::cpu()
    }
}

impl fmt::Display for DeviceInfo {
    /// Writes such as `cpu` or `wgpu (llvmpipe, software)`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.adapter {
            Some(adapter) if self.is_software => write!(f, " ({adapter}, software)"),
            Some(adapter) => write!(f, " ({adapter})"),
            None => Ok(()),
        }
    }
}

/// Returns the names that [`open`] accepts. They depend on the features of the build. The adapters of `wgpu` are numbered:
/// `wgpu:1` is the second one.
pub fn names() -> Vec<&'static str> {
    if cfg!(feature = "wgpu") { vec!["cpu", "wgpu"] } else { vec!["cpu"] }
}

/// Returns the device of this name.
///
/// # Errors
/// [`Error::Unsupported`] if the feature of the device is not enabled, or if this machine has no such adapter;
/// [`Error::Unknown`] for any other name that is not in [`names`].
pub fn open(name: &str) -> Result<Device> {
    let (kind, number) = match name.split_once(':') {
        Some((kind, number)) => (kind, number.parse().ok()),
        None => (name, Some(0)),
    };
    match (kind, number) {
        ("cpu", _) if kind == name => Ok(Device::flex()),
        ("wgpu", Some(number)) => open_adapter(name, number),
        _ => Err(Error::unknown("device", name, names())),
    }
}

/// Opens an adapter by its number.
#[cfg(feature = "wgpu")]
fn open_adapter(name: &str, number: usize) -> Result<Device> {
    adapters().nth(number).ok_or_else(|| {
        let why = match adapters().count() {
            0 => format!("no driver for {GRAPHICS_API:?} was found, or none with an adapter"),
            1 => "there is one adapter, wgpu:0".into(),
            count => format!("there are {count} adapters, wgpu:0 to wgpu:{}", count - 1),
        };
        Error::unsupported(format_args!("device '{name}'"), why)
    })
}

#[cfg(not(feature = "wgpu"))]
fn open_adapter(name: &str, _number: usize) -> Result<Device> {
    let why = "this program was built without it; build with --features wgpu";
    Err(Error::unsupported(format_args!("device '{name}'"), why))
}

/// The interface through which adapters are reached. Without a choice, a machine without a Vulkan driver would compute by
/// OpenGL, which Mesa emulates on the CPU.
#[cfg(feature = "wgpu")]
const GRAPHICS_API: burn::backend::WgpuBackend =
    if cfg!(target_os = "macos") { burn::backend::WgpuBackend::Metal } else { burn::backend::WgpuBackend::Vulkan };

/// Returns the adapters of this machine: graphics cards, those on a card of their own first, then programs that compute on the
/// CPU. Looking for each kind takes a while, so that none is looked for before it is asked for.
#[cfg(feature = "wgpu")]
fn adapters() -> impl Iterator<Item = Device> {
    use burn::backend::WgpuDeviceKind as Kind;
    use burn::backend::{CubeDevice, WgpuDevice};

    let kinds: [fn(usize) -> Kind; 5] =
        [Kind::DiscreteGpu, Kind::IntegratedGpu, Kind::VirtualGpu, Kind::Other, |_| Kind::Cpu];
    kinds.into_iter().flat_map(|kind| {
        let device = move |number| CubeDevice::Wgpu(WgpuDevice::new(kind(number)).on(GRAPHICS_API));
        let count = CubeDevice::enumerate(device(0).to_id()).len();
        (0..count).map(move |number| Device::new(device(number)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_devices_with_a_number_or_without() {
        assert_eq!(open("cpu").unwrap(), Device::flex());
        for name in ["gpu", "cpu:0", "wgpu:", "wgpu:one", "wgpu:-1", "cuda", ""] {
            assert!(matches!(open(name), Err(Error::Unknown { .. })), "{name}");
        }
        if !cfg!(feature = "wgpu") {
            let error = open("wgpu:1").unwrap_err();
            assert_eq!(
                error.to_string(),
                "device 'wgpu:1': this program was built without it; build with --features wgpu"
            );
        }
    }

    #[test]
    fn a_device_is_named_with_its_adapter() {
        let card = DeviceInfo { name: "wgpu".into(), adapter: Some("A100".into()), is_software: false };
        let program = DeviceInfo { is_software: true, ..card.clone() };
        assert_eq!(DeviceInfo::new(&Device::flex()), DeviceInfo::cpu());
        for (device, text, json) in [
            (DeviceInfo::cpu(), "cpu", r#"{"name":"cpu"}"#),
            (card, "wgpu (A100)", r#"{"name":"wgpu","adapter":"A100"}"#),
            (program, "wgpu (A100, software)", r#"{"name":"wgpu","adapter":"A100","is_software":true}"#),
        ] {
            assert_eq!(device.to_string(), text);
            assert_eq!(serde_json::to_string(&device).unwrap(), json);
            assert_eq!(serde_json::from_str::<DeviceInfo>(json).unwrap(), device);
        }
    }
}
