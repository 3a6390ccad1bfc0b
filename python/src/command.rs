//! The program `unrolled`, for `python -m unrolled`.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the program with these arguments, the first of which is its name; returns the exit code. To be called once in a
/// process, which ends after it.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| {
        // The program tells of panics itself.
        drop(std::panic::take_hook());
        crate::cli::main(arguments)
    })
}
