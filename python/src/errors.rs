//! Rust errors and panics as the exceptions of `unrolled.errors`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;
use unrolled::kernel::instruction_set;
use unrolled::{Error, Result, panic_text};

/// Returns an exception of a class of `unrolled.errors`.
pub(crate) fn exception(py: Python<'_>, class: &str, message: &str) -> PyErr {
    let made = || py.import("unrolled.errors")?.getattr(class)?.call1((message,));
    made().map_or_else(|error| error, PyErr::from_value)
}

/// Returns the exception for an error of the library. Its message is the line that the program prints.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::Io { .. } | Error::File { .. } => "FileError",
        Error::Config { .. } | Error::Unknown { .. } | Error::Argument { .. } | Error::Usage(_) => "ArgumentError",
        Error::Shape { .. } | Error::Mismatch { .. } => "MismatchError",
        Error::Unsupported { .. } => "UnsupportedError",
        Error::NonFinite { .. } => "NonFiniteError",
        Error::Interrupted => "Interrupted",
        _ => "Error",
    };
    let message = match error {
        // The keyword has the name of the command line's option.
        Error::Argument { name: "boundaries", why } => format!("cut: {why}"),
        other => other.to_string(),
    };
    exception(py, class, &message)
}

/// Returns an exception that names an argument.
pub(crate) fn argument(py: Python<'_>, name: &str, why: impl std::fmt::Display) -> PyErr {
    exception(py, "ArgumentError", &format!("{name}: {why}"))
}

/// What ends work without a result.
pub(crate) enum Failure {
    /// An error of the library.
    Error(Error),
    /// A panic: a fault of this package.
    Panic(String),
}

/// Runs work with threads to compute with and the instruction set that was asked for. Returns a panic as a failure.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> std::result::Result<T, Failure> {
    let prepared = || {
        instruction_set()?;
        crate::pool::ensure()?;
        work()
    };
    match catch_unwind(AssertUnwindSafe(prepared)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Error(error)),
        Err(panic) => Err(Failure::Panic(panic_text(panic.as_ref()))),
    }
}

/// Runs work without the GIL. Returns its error, or a panic, as an exception.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl Send + FnOnce() -> Result<T>) -> PyResult<T> {
    py.detach(|| guarded(work)).map_err(|failure| failure.to_python(py))
}

impl Failure {
    /// Returns the exception.
    pub(crate) fn to_python(&self, py: Python<'_>) -> PyErr {
        match self {
            Self::Error(error) => to_python(py, error),
            Self::Panic(what) => {
                exception(py, "InternalError", &format!("a fault of unrolled, please report it: {what}"))
            }
        }
    }
}
