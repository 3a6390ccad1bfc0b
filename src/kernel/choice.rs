//! Our operations or the engine's.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;

/// Which operations compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Those of this room, for the CPU.
    Own,
    /// The engine's: the reference, and what other devices have.
    Stock,
}

/// Whether [`Kernels::of`] says [`Kernels::Stock`] whatever the device.
static STOCK: AtomicBool = AtomicBool::new(false);

impl Kernels {
    /// What suits a device.
    pub fn of(device: &Device) -> Self {
        let cpu = Device::flex();
        let is_cpu = *device == cpu || *device == cpu.autodiff();
        if is_cpu && !STOCK.load(Ordering::Relaxed) { Self::Own } else { Self::Stock }
    }

    /// From now on every network of this process that is built or opened computes with these where it can. A program
    /// decides that once, when it starts; a library sets them for one network (`Parameters::set_kernels`).
    pub fn choose(self) {
        STOCK.store(self == Self::Stock, Ordering::Relaxed);
    }
}
