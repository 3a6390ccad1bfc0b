//! The one error type. Every variant names what is at fault, a path, a key, a shape, and what would be right.

use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, in one line that names the file, key or shape at fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write a path.
    #[error("{}: {}", line(path.display()), plain(source))]
    Io {
        /// The path that was read or written.
        path: PathBuf,
        /// The reason that the operating system gave.
        source: std::io::Error,
    },
    /// A file was read, but is not what it should be: truncated, corrupt or of another format.
    #[error("{}: {}", line(path.display()), line(what))]
    File {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it and what would be right.
        what: String,
    },
    /// A configuration key has a value that cannot be used.
    #[error("{}: {}", line(key), line(what))]
    Config {
        /// The key, dotted, such as `train.epochs`.
        key: String,
        /// What is wrong with its value and what would be right.
        what: String,
    },
    /// A name is not among those known.
    #[error("unknown {kind} '{}'{}", line(name), line(did_you_mean(name, known)))]
    Unknown {
        /// What was being named, such as `key` or `block`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The names that would have been right.
        known: Vec<String>,
    },
    /// An array has a shape that does not fit.
    #[error("{}: shape {found:?}, expected {expected:?}", line(name))]
    Shape {
        /// The parameter, input or layer concerned.
        name: String,
        /// The shape that was found.
        found: Vec<usize>,
        /// The shape that fits.
        expected: Vec<usize>,
    },
    /// The loss or an estimate stopped being a finite number.
    #[error("step {step}: {what}; lower train.rate, or clip with train.clip_norm")]
    NonFinite {
        /// The training step, counted from 1 over the whole run.
        step: u64,
        /// The value concerned and the first block whose estimate is not finite.
        what: String,
    },
    /// An argument of a call, such as `labels` or `mean`, has a value that cannot be used. The command line shows it as the
    /// option of that name.
    #[error("{name}: {}", line(why))]
    Argument {
        /// The argument's name, as the builder's method has it.
        name: &'static str,
        /// What is wrong with its value and what would be right.
        why: String,
    },
    /// Two things that were given do not belong together, such as a network and a data set.
    #[error("{}: {}", line(subject), line(why))]
    Mismatch {
        /// The things at fault.
        subject: String,
        /// How they differ and what would be right.
        why: String,
    },
    /// What was opened cannot do what it was asked for.
    #[error("{}: {}", line(subject), line(why))]
    Unsupported {
        /// The network, data set, block or route at fault.
        subject: String,
        /// What it lacks, and what can do it.
        why: String,
    },
    /// The caller asked to stop. What was finished is kept.
    #[error("interrupted")]
    Interrupted,
    /// The request itself makes no sense for what was opened.
    #[error("{}", line(_0))]
    Usage(String),
}

impl Error {
    /// An [`Error::Io`] for `path`; made to be passed to `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// An [`Error::File`] for `path`.
    pub fn file(path: impl AsRef<Path>, what: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_owned(), what: what.into() }
    }

    /// An [`Error::Config`] for `key`.
    pub fn config(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Config { key: key.into(), what: what.into() }
    }

    /// An [`Error::Unknown`]: `name` is none of the `known` names of this `kind`.
    pub fn unknown<S: Into<String>>(
        kind: &'static str,
        name: impl Into<String>,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::Unknown { kind, name: name.into(), known: known.into_iter().map(Into::into).collect() }
    }

    /// An [`Error::Argument`]: the argument of this name has a wrong value.
    pub fn argument(name: &'static str, why: impl Into<String>) -> Self {
        Self::Argument { name, why: why.into() }
    }

    /// An [`Error::Mismatch`] of things that were given together.
    pub fn mismatch(subject: impl std::fmt::Display, why: impl Into<String>) -> Self {
        Self::Mismatch { subject: subject.to_string(), why: why.into() }
    }

    /// An [`Error::Unsupported`] by the thing that was opened.
    pub fn unsupported(subject: impl std::fmt::Display, why: impl Into<String>) -> Self {
        Self::Unsupported { subject: subject.to_string(), why: why.into() }
    }

    /// The exit code of a program that ends with this error: 2 for a request that was wrong, 130 for an interruption, 1 for
    /// everything else.
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

/// What somebody wrote, on one line, and nothing that a terminal would obey.
fn line(text: impl std::fmt::Display) -> String {
    text.to_string().replace(char::is_control, " ")
}

/// The operating system's reason without Rust's `(os error N)`.
fn plain(source: &std::io::Error) -> String {
    let text = source.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// The nearest known name, or all of them where they are few and none is near.
fn did_you_mean(name: &str, known: &[String]) -> String {
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
    fn an_unknown_name_gets_the_nearest_or_the_list() {
        let near = Error::unknown("key", "epoch", ["epochs", "rate"]);
        assert_eq!(near.to_string(), "unknown key 'epoch', did you mean 'epochs'?");
        let far = Error::unknown("wiring", "dense", ["plain", "highway"]);
        assert_eq!(far.to_string(), "unknown wiring 'dense', known: plain, highway");
    }

    #[test]
    fn whatever_is_named_stays_on_one_line() {
        let name = "a\nb\u{1b}[31m";
        let errors = [
            Error::Usage(format!("route '{name}'")),
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
    fn a_missing_file_is_named_without_system_codes() {
        let path = Path::new("no/such/file");
        let error = std::fs::read(path).map_err(Error::io(path)).unwrap_err();
        assert_eq!(error.to_string(), "no/such/file: no such file or directory");
        assert_eq!(error.exit_code(), 1);
    }
}
