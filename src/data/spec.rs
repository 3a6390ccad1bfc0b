//! Which data set, and which part of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The part of a data set: the samples to learn from or those to measure on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The samples to learn from, `train`.
    Train,
    /// The samples that decide when to stop and what to keep, `valid`: of a text alone.
    Valid,
    /// The samples to measure on, `test`.
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

/// The format of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Digits,
    Mnist,
    FashionMnist,
    Cifar10,
    Cifar100,
    Folder,
    Arrays,
    Text,
}

const KINDS: [(&str, Kind); 8] = [
    ("digits", Kind::Digits),
    ("mnist", Kind::Mnist),
    ("fashion-mnist", Kind::FashionMnist),
    ("cifar10", Kind::Cifar10),
    ("cifar100", Kind::Cifar100),
    ("folder", Kind::Folder),
    ("arrays", Kind::Arrays),
    ("text", Kind::Text),
];

impl Kind {
    pub(super) fn name(self) -> &'static str {
        let found = KINDS.iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(name, _)| name)
    }
}

/// A data set by format and directory: `digits`, `mnist:DIR`, `fashion-mnist:DIR`, `cifar10:DIR`,
/// `cifar100:DIR`, `folder:DIR`, `arrays:FILE` or `text:DIR`.
///
/// Parsing looks only at the text; whether the directory holds the data set shows when it is opened. In
/// configurations it is that text too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataSpec {
    kind: Kind,
    dir: PathBuf,
}

impl DataSpec {
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The directory of the data set, or its file; empty for `digits`, which is built in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the data set stands, with a relative directory taken from `base` and not from the working directory.
    pub fn relative_to(mut self, base: &Path) -> Self {
        if self.kind != Kind::Digits {
            self.dir = base.join(self.dir);
        }
        self
    }
}

impl FromStr for DataSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, dir) = text.split_once(':').unwrap_or((text, ""));
        let Some(&(_, kind)) = KINDS.iter().find(|(known, _)| *known == name) else {
            return Err(Error::unknown("data set", name, KINDS.map(|(known, _)| known)));
        };
        match kind {
            Kind::Digits if text != name => {
                Err(Error::Usage(format!("data set '{text}': digits is built in and takes no directory")))
            }
            Kind::Digits => Ok(()),
            Kind::Arrays if dir.is_empty() => {
                Err(Error::Usage(format!("data set '{text}': the file is missing, expected arrays:FILE.npz or .npy")))
            }
            _ if dir.is_empty() => {
                Err(Error::Usage(format!("data set '{text}': the directory is missing, expected {name}:DIR")))
            }
            _ => Ok(()),
        }?;
        let dir = dir.into();
        Ok(Self { kind, dir })
    }
}

impl fmt::Display for DataSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Digits => f.pad(self.kind.name()),
            kind => write!(f, "{}:{}", kind.name(), self.dir.display()),
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
    fn what_is_parsed_is_shown_again() {
        for text in ["digits", "mnist:a/b", "fashion-mnist:.", "cifar10:C:\\x", "cifar100:/a", "folder:my pictures"] {
            assert_eq!(text.parse::<DataSpec>().unwrap().to_string(), text);
        }
        for text in ["train", "valid", "test"] {
            assert_eq!(text.parse::<Split>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_text_is_told_what_would_be_right() {
        for (text, message) in [
            ("mnits:a", "unknown data set 'mnits', did you mean 'mnist'?"),
            ("", "unknown data set '', known: digits, mnist, fashion-mnist, cifar10, cifar100, folder, arrays, text"),
            ("mnist", "data set 'mnist': the directory is missing, expected mnist:DIR"),
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
    fn a_relative_directory_can_be_taken_from_elsewhere() {
        let spec = |text: &str| text.parse::<DataSpec>().unwrap().relative_to(Path::new("/base")).to_string();
        assert_eq!(spec("mnist:a"), "mnist:/base/a");
        assert_eq!(spec("mnist:/a"), "mnist:/a");
        assert_eq!(spec("digits"), "digits");
    }
}
