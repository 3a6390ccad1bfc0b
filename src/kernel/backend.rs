//! Where a network computes, and with which operations.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// The operations that compute a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// The fused operations of this crate. They run on the CPU only.
    #[default]
    #[serde(alias = "own")]
    Native,
    /// The operations of Burn, on any device. They are the reference for the native ones.
    #[serde(alias = "stock")]
    Reference,
}

impl Kernels {
    /// All kernels.
    pub const ALL: [Self; 2] = [Self::Native, Self::Reference];

    /// The name in configurations and on the command line: `native` or `reference`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Reference => "reference",
        }
    }
}

/// A device, and the kernels that compute on it.
///
/// Every function that builds or opens a network takes one. A device converts into a backend with the kernels that suit it:
/// native ones on the CPU, the reference elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The device that holds the parameters.
    pub device: Device,
    /// The kernels to use where the device supports them; see [`Backend::kernels`].
    pub preferred: Kernels,
}

impl Backend {
    /// Returns a backend for a device. On any device but the CPU, [`Kernels::Reference`] computes whatever is preferred.
    pub fn new(device: Device, preferred: Kernels) -> Self {
        Self { device, preferred }
    }

    /// Returns the CPU with native kernels.
    pub fn cpu() -> Self {
        Self::new(Device::flex(), Kernels::Native)
    }

    /// Returns the kernels that compute on this device.
    pub fn kernels(&self) -> Kernels {
        let cpu = Device::flex();
        let is_cpu = self.device == cpu || self.device == cpu.autodiff();
        if is_cpu { self.preferred } else { Kernels::Reference }
    }
}

impl From<&Device> for Backend {
    fn from(device: &Device) -> Self {
        Self::new(device.clone(), Kernels::default())
    }
}

impl From<&Backend> for Backend {
    fn from(backend: &Backend) -> Self {
        backend.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_read_their_former_names() {
        for (text, kernels) in [
            ("native", Kernels::Native),
            ("own", Kernels::Native),
            ("reference", Kernels::Reference),
            ("stock", Kernels::Reference),
        ] {
            assert_eq!(serde_json::from_value::<Kernels>(text.into()).unwrap(), kernels, "{text}");
            assert_eq!(serde_json::to_value(kernels).unwrap(), kernels.name(), "{text}");
        }
    }
}
