//! The error type. Every message names the thing at fault, such as a path, a key or a shape, and what would be right.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use crate::visible::visible_line;

/// The result of a function of this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// An error. Its text is one line that names the file, key, shape or other thing at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path could not be read or written.
    #[error("{}: {}", line(path.display()), reason(source))]
    Io {
        /// The path that was read or written.
        path: PathBuf,
        /// The reason that the operating system gave.
        source: std::io::Error,
    },
    /// The content of a file is not valid: it is truncated, corrupt or of another format.
    #[error("{}: {}", line(path.display()), line(what))]
    File {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with it and what would be right.
        what: String,
    },
    /// The value of a configuration key is not possible.
    #[error("{}: {}", line(key), line(what))]
    Config {
        /// The key with its table, such as `train.epochs`, after the file and the line in which it stands, where these are
        /// known.
        key: String,
        /// What is wrong with the value and what would be right.
        what: String,
    },
    /// A name is not one of the known names.
    #[error("unknown {kind} '{}'{}", line(name), line(suggestion(name, known)))]
    Unknown {
        /// What the name stands for, such as `key` or `block`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The known names.
        known: Vec<String>,
    },
    /// An array has another shape than expected.
    #[error("{}: shape {found:?}, expected {expected:?}", line(name))]
    Shape {
        /// The parameter, input or layer.
        name: String,
        /// The shape of the array.
        found: Vec<usize>,
        /// The expected shape.
        expected: Vec<usize>,
    },
    /// A loss or an estimate is not finite.
    #[error("{}: {}", line(place), line(what))]
    NonFinite {
        /// The network, or the training step, counted from 1 over the whole training.
        place: String,
        /// The value that is not finite, and what can be done.
        what: String,
    },
    /// The value of an argument, such as `labels` or `mean`, is not possible. The command line shows the argument as the
    /// option of that name.
    #[error("{name}: {}", line(why))]
    Argument {
        /// The name of the argument, which is that of a method or field.
        name: &'static str,
        /// What is wrong with the value and what would be right.
        why: String,
    },
    /// Two things do not fit together, such as a network and a data set.
    #[error("{}: {}", line(subject), line(why))]
    Mismatch {
        /// The things at fault.
        subject: String,
        /// How they differ and what would be right.
        why: String,
    },
    /// Something cannot do what it is asked for.
    #[error("{}: {}", line(subject), line(why))]
    Unsupported {
        /// The network, data set, block, route or directory at fault.
        subject: String,
        /// What is missing and what would be right.
        why: String,
    },
    /// The caller asked to stop. Finished work is kept.
    #[error("interrupted")]
    Interrupted,
    /// The arguments of the command line are wrong. For the command line only: the library returns the other variants.
    #[error("{}", line(_0))]
    Usage(String),
}

impl Error {
    /// Returns a function that makes an [`Error::Io`] for `path`, to be passed to `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// Returns an [`Error::File`] for `path`.
    pub fn file(path: impl AsRef<Path>, what: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_owned(), what: what.into() }
    }

    /// Returns an [`Error::Config`] for `key`.
    pub fn config(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Config { key: key.into(), what: what.into() }
    }

    /// Returns an [`Error::Unknown`]: `name` is not one of the `known` names of this `kind`.
    pub fn unknown<S: Into<String>>(
        kind: &'static str,
        name: impl Into<String>,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::Unknown { kind, name: name.into(), known: known.into_iter().map(Into::into).collect() }
    }

    /// Returns an [`Error::Argument`] for the argument `name`.
    pub fn argument(name: &'static str, why: impl Into<String>) -> Self {
        Self::Argument { name, why: why.into() }
    }

    /// Returns an [`Error::Mismatch`] that names `subject`.
    pub fn mismatch(subject: impl std::fmt::Display, why: impl Into<String>) -> Self {
        Self::Mismatch { subject: subject.to_string(), why: why.into() }
    }

    /// Returns an [`Error::Unsupported`] that names `subject`.
    pub fn unsupported(subject: impl std::fmt::Display, why: impl Into<String>) -> Self {
        Self::Unsupported { subject: subject.to_string(), why: why.into() }
    }

    /// Returns the exit code of a program that ends with this error: 2 for a wrong request, 130 for an interruption, 1
    /// otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. }
            | Self::Unknown { .. }
            | Self::Argument { .. }
            | Self::Mismatch { .. }
            | Self::Unsupported { .. }
            | Self::Usage(_) => 2,
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}

/// A device failed while it computed: its driver lost it, or it has no memory left.
///
/// It is the payload of a panic, because operations on tensors return no `Result`. Nothing else can be computed on the device by
/// this process.
#[derive(Clone, Debug)]
pub struct DeviceFailure(String);

impl DeviceFailure {
    /// Panics with what Burn says of a device that failed: an error, what caused it line by line, and a backtrace.
    pub(crate) fn panic(error: impl std::fmt::Display) -> ! {
        let text = error.to_string();
        let lines = text.lines().take_while(|line| !line.starts_with("Backtrace")).map(str::trim);
        let cause = lines.filter(|line| !line.is_empty()).last().unwrap_or("no reason is known");
        std::panic::panic_any(Self(cause.trim_start_matches("Unknown: ").to_owned()))
    }
}

impl std::fmt::Display for DeviceFailure {
    /// Writes such as `the device failed: Device is lost`.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "the device failed: {}", line(&self.0))
    }
}

thread_local! {
    /// How many calls of [`caught`] this thread is in.
    static CAUGHT: Cell<usize> = const { Cell::new(0) };
}

/// Calls code of others on what comes from outside, such as a decoder. The error is the text of a panic, in one line. That a device
/// failed is no fault of what comes from outside: that panic goes on.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> std::result::Result<T, String> {
    CAUGHT.set(CAUGHT.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    CAUGHT.set(CAUGHT.get() - 1);
    match outcome {
        Err(panic) if panic.is::<DeviceFailure>() => resume_unwind(panic),
        outcome => outcome.map_err(|panic| panic_text(panic.as_ref())),
    }
}

/// Returns the text of a panic, on one line.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(failure) = panic.downcast_ref::<DeviceFailure>() {
        return failure.to_string();
    }
    let text = panic.downcast_ref::<String>().map(String::as_str);
    line(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text"))
}

/// Calls code of others that reads a file. A panic becomes an error that names the file.
pub(crate) fn caught_in<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    caught(read).unwrap_or_else(|panic| Err(Error::file(path, format!("cannot be read: its decoder fails: {panic}"))))
}

/// Returns whether a panic on this thread becomes an [`Error`], as one in a decoder does. A hook for panics need not print it.
pub fn is_panic_caught() -> bool {
    CAUGHT.get() > 0
}

/// Returns a text on one line, and harmless to a terminal.
fn line(text: impl std::fmt::Display) -> String {
    visible_line(&text.to_string()).into_owned()
}

/// Returns the reason of the operating system in lower case, without the code `(os error N)`; other errors as they are.
pub fn reason(source: &impl std::error::Error) -> String {
    let text = source.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// Returns the nearest known name as a suggestion; without a near one, all known names if they are few.
fn suggestion(name: &str, known: &[String]) -> String {
    let near = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(name, k), k))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, k)| *distance <= 1 + k.len() / 3);
    match near {
        Some((_, k)) => format!(", did you mean '{k}'?"),
        None if known.is_empty() => String::new(),
        None if known.len() <= 24 => format!(", known: {}", known.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_device_says_why_and_is_no_fault_of_a_file() {
        let said = "The device is poisoned\nCaused by:\n  Unknown: Device is lost\nBacktrace:\nNo backtrace available";
        for (said, why) in [(said, "Device is lost"), ("out of memory", "out of memory"), ("", "no reason is known")] {
            let call = || caught(|| DeviceFailure::panic(said)).map(|never: ()| never);
            let panic = catch_unwind(call).unwrap_err();
            assert_eq!(panic.downcast_ref::<DeviceFailure>().unwrap().to_string(), format!("the device failed: {why}"));
            assert_eq!(panic_text(panic.as_ref()), format!("the device failed: {why}"));
        }
    }

    #[test]
    fn an_unknown_name_is_shown_with_the_nearest_or_all_known_names() {
        let near = Error::unknown("key", "epoch", ["epochs", "rate"]);
        assert_eq!(near.to_string(), "unknown key 'epoch', did you mean 'epochs'?");
        let far = Error::unknown("wiring", "dense", ["plain", "highway"]);
        assert_eq!(far.to_string(), "unknown wiring 'dense', known: plain, highway");
    }

    #[test]
    fn every_error_is_one_line_without_control_characters() {
        let name = "a\nb\u{1b}[31m";
        let errors = [
            Error::Usage(format!("route '{name}'")),
            Error::argument("route", name),
            Error::mismatch(name, name),
            Error::unsupported(name, name),
            Error::file(name, name),
            Error::config(name, name),
            Error::unknown("block", name, [name]),
            Error::Shape { name: name.into(), found: vec![1], expected: vec![2] },
            Error::io(name)(std::io::ErrorKind::NotFound.into()),
        ];
        for error in errors {
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn a_panic_in_a_decoder_names_the_file() {
        let outcome = caught_in::<()>(Path::new("a.png"), || {
            assert!(is_panic_caught());
            panic!("no such\ncolour")
        });
        let text = outcome.unwrap_err().to_string();
        assert_eq!(text, "a.png: cannot be read: its decoder fails: no such colour");
        assert!(!is_panic_caught());
    }

    #[test]
    fn an_io_error_has_the_path_and_no_system_code() {
        let path = Path::new("no/such/file");
        let error = std::fs::read(path).map_err(Error::io(path)).unwrap_err();
        assert_eq!(error.to_string(), "no/such/file: no such file or directory");
        assert_eq!(error.exit_code(), 1);
    }
}
