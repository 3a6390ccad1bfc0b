//! The extension module `unrolled._native`: what the Python package `unrolled` asks of the Rust library.
//!
//! The package `python/unrolled` holds what users see. Functions here take plain values, so that one place says how a
//! Python value becomes a Rust value.

mod arrays;
mod command;
mod config;
mod dlpack;
mod errors;
mod live;
mod measure;
mod network;
mod options;
mod pool;
mod progress;
mod results;
mod samples;
mod slim;
mod watched;

/// The arguments of the program, compiled a second time for `python -m unrolled`.
#[path = "../../src/cli/mod.rs"]
mod cli;

use pyo3::prelude::*;

/// As in the program: measurements and training ask for the same large arrays again and again.
#[global_allocator]
static ALLOCATOR: unrolled::kernel::CachingAllocator = unrolled::kernel::CachingAllocator;

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::command::run_command;
    #[pymodule_export]
    use super::config::config_changes;
    #[pymodule_export]
    use super::measure::{measure, measure_live};
    #[pymodule_export]
    use super::network::{NativeNetwork, open_network, outline_text};
    #[pymodule_export]
    use super::results::{NativeResults, load_results, merge_shards, results_from_json};
    #[pymodule_export]
    use super::samples::{crc32, crc32_rows};
    #[pymodule_export]
    use super::slim::{NativeProof, slim, slim_live};

    use pyo3::prelude::*;

    /// Leaves out the text of panics, which become exceptions, and tells the version of the library.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        std::panic::set_hook(Box::new(|_| ()));
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
