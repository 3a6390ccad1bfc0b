//! The names of data sets and of their splits.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A split of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The training samples, `train`.
    Train,
    /// The samples that choose the best epoch, `valid`. Only texts have this split.
    Valid,
    /// The test samples, `test`.
    Test,
}

impl FromStr for Split {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "train" => Ok(Self::Train),
            "valid" => Ok(Self::Valid),
            "test" => Ok(Self::Test),
            _ => Err(Error::unknown("split", text, ["train", "valid", "test"])),
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        })
    }
}

/// The kind of a data set, which is its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum DataKind {
    Digits,
    Mnist,
    FashionMnist,
    Cifar10,
    Cifar100,
    Folder,
    Arrays,
    Text,
}

const KINDS: [(&str, DataKind); 8] = [
    ("digits", DataKind::Digits),
    ("mnist", DataKind::Mnist),
    ("fashion-mnist", DataKind::FashionMnist),
    ("cifar10", DataKind::Cifar10),
    ("cifar100", DataKind::Cifar100),
    ("folder", DataKind::Folder),
    ("arrays", DataKind::Arrays),
    ("text", DataKind::Text),
];

impl DataKind {
    pub(super) fn name(self) -> &'static str {
        let found = KINDS.iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(name, _)| name)
    }
}

/// The kind and the path of a data set, written `digits`, `mnist:DIR`, `fashion-mnist:DIR`, `cifar10:DIR`,
/// `cifar100:DIR`, `folder:DIR`, `arrays:FILE` or `text:DIR`.
///
/// Parsing does not look at the path. [`Dataset::open`](super::Dataset::open) checks that it holds the data set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataSpec {
    kind: DataKind,
    path: PathBuf,
}

impl DataSpec {
    pub(super) fn kind(&self) -> DataKind {
        self.kind
    }

    /// Returns the directory or the file of the data set; empty for `digits`, which is built in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the same data set with a relative path taken from `base` instead of the working directory.
    pub fn relative_to(mut self, base: &Path) -> Self {
        if self.kind != DataKind::Digits {
            self.path = base.join(self.path);
        }
        self
    }
}

impl FromStr for DataSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, path) = text.split_once(':').unwrap_or((text, ""));
        let invalid = |why: String| Error::unsupported(format_args!("data set '{text}'"), why);
        let Some(&(_, kind)) = KINDS.iter().find(|(known, _)| *known == name) else {
            let extension = Path::new(text).extension();
            if extension.is_some_and(|extension| extension == "npy" || extension == "npz") {
                return Err(invalid(format!("expected arrays:{text} for a file of arrays")));
            }
            return Err(Error::unknown("data set", name, KINDS.map(|(known, _)| known)));
        };
        match kind {
            DataKind::Digits if text != name => Err(invalid("digits is built in and takes no directory".into())),
            DataKind::Digits => Ok(()),
            DataKind::Arrays if path.is_empty() => {
                Err(invalid("the file is missing, expected arrays:FILE.npz or .npy".into()))
            }
            _ if path.is_empty() => Err(invalid(format!("the directory is missing, expected {name}:DIR"))),
            _ => Ok(()),
        }?;
        let path = path.into();
        Ok(Self { kind, path })
    }
}

impl fmt::Display for DataSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            DataKind::Digits => f.pad(self.kind.name()),
            kind => write!(f, "{}:{}", kind.name(), self.path.display()),
        }
    }
}

impl TryFrom<String> for DataSpec {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DataSpec> for String {
    fn from(spec: DataSpec) -> Self {
        spec.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parsed_text_is_displayed_unchanged() {
        for text in ["digits", "mnist:a/b", "fashion-mnist:.", "cifar10:C:\\x", "cifar100:/a", "folder:my pictures"] {
            assert_eq!(text.parse::<DataSpec>().unwrap().to_string(), text);
        }
        for text in ["train", "valid", "test"] {
            assert_eq!(text.parse::<Split>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_invalid_text_is_refused_with_what_was_expected() {
        for (text, message) in [
            ("mnits:a", "unknown data set 'mnits', did you mean 'mnist'?"),
            ("", "unknown data set '', known: digits, mnist, fashion-mnist, cifar10, cifar100, folder, arrays, text"),
            ("mnist", "data set 'mnist': the directory is missing, expected mnist:DIR"),
            ("a/x.npy", "data set 'a/x.npy': expected arrays:a/x.npy for a file of arrays"),
            ("arrays:", "data set 'arrays:': the file is missing, expected arrays:FILE.npz or .npy"),
            ("folder:", "data set 'folder:': the directory is missing, expected folder:DIR"),
            ("digits:a", "data set 'digits:a': digits is built in and takes no directory"),
            ("digits:", "data set 'digits:': digits is built in and takes no directory"),
        ] {
            assert_eq!(text.parse::<DataSpec>().unwrap_err().to_string(), message);
        }
        let error = "dev".parse::<Split>().unwrap_err();
        assert_eq!(error.to_string(), "unknown split 'dev', known: train, valid, test");
    }

    #[test]
    fn a_relative_path_is_joined_to_the_base() {
        let spec = |text: &str| text.parse::<DataSpec>().unwrap().relative_to(Path::new("/base")).to_string();
        assert_eq!(spec("mnist:a"), "mnist:/base/a");
        assert_eq!(spec("mnist:/a"), "mnist:/a");
        assert_eq!(spec("digits"), "digits");
    }
}
