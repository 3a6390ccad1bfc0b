//! Where observations are kept while they are made: in memory, and in a directory if there is one.
//!
//! Files are written whole. Each begins with what it is, the version, the checksum of the plan that it belongs to, and
//! the checksum of its content; a file that does not match is refused by name.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use super::plan::{Plan, VERSION};
use super::probe::AnyProbe;
use super::sample_order::SampleList;
use super::sweep::SweepState;
use super::{Intervention, Prediction};
use crate::atomic_file::write_atomic_with;
use crate::error::caught;
use crate::nn::{RecurrentState, SavedRecurrentState};
use crate::{Error, Result};

/// The first bytes of every file of a store.
const MAGIC: &[u8; 8] = b"UNROLLED";
/// Magic, version, checksum of the plan, checksum of the content.
const HEADER: usize = 8 + 3 * 4;
/// The directory of a store within that of the results.
pub(super) const FOLDER: &str = "store";

/// A pass of samples through the whole network, as far as it has come.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct SavedPass {
    /// The samples of the list, places in the data set.
    pub(super) samples: Vec<usize>,
    /// Predictions of the samples of the list so far.
    pub(super) predictions: Vec<Prediction>,
    /// What the network carries on.
    pub(super) recurrent: SavedRecurrentState,
    /// Name and state of every probe.
    pub(super) probes: Vec<(String, Vec<u8>)>,
}

/// A sweep along some routes, as far as it has come.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct SavedSweep {
    /// What is changed besides the route.
    pub(super) intervention: Intervention,
    /// The printed routes.
    pub(super) routes: Vec<String>,
    /// The samples of the list, places in the data set.
    pub(super) samples: Vec<usize>,
    /// `[route][sample]`, in the order of the list.
    pub(super) predictions: Vec<Vec<Prediction>>,
    /// What the network carries on, along the whole network first, then along each route.
    pub(super) recurrent: Vec<SavedRecurrentState>,
}

/// A pass as it stands, to be saved: as a [`SavedPass`], field for field.
#[derive(Serialize)]
pub(super) struct PassUnderWay<'a> {
    samples: &'a [usize],
    predictions: &'a [Prediction],
    recurrent: SavedRecurrentState,
    probes: ProbeStates<'a>,
}

/// Name and state of every probe. The state of one at a time is in memory.
struct ProbeStates<'a> {
    names: &'a [String],
    probes: &'a [Box<dyn AnyProbe>],
}

impl<'a> PassUnderWay<'a> {
    pub(super) fn new(
        list: &'a SampleList,
        predictions: &'a [Prediction],
        state: &RecurrentState,
        names: &'a [String],
        probes: &'a [Box<dyn AnyProbe>],
    ) -> Self {
        Self { samples: &list.samples, predictions, recurrent: state.save(), probes: ProbeStates { names, probes } }
    }
}

impl Serialize for ProbeStates<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut states = serializer.serialize_seq(Some(self.names.len()))?;
        for (name, probe) in self.names.iter().zip(self.probes) {
            let bytes = probe.to_bytes().map_err(|e| serde::ser::Error::custom(format!("{name}: {e}")))?;
            states.serialize_element(&(name, Bytes(&bytes)))?;
        }
        states.end()
    }
}

/// Writes bytes in one call. The format is that of `Vec<u8>`, which is written byte by byte.
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// A file, and the checksum of what is written to it.
struct ChecksumWriter<'a> {
    file: &'a mut File,
    checksum: crc32fast::Hasher,
    /// The first error of a write.
    failed: Option<std::io::Error>,
}

impl Write for ChecksumWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.file.write(bytes) {
            Ok(written) => {
                self.checksum.update(&bytes[..written]);
                Ok(written)
            }
            Err(error) => {
                self.failed.get_or_insert_with(|| error.kind().into());
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl SavedSweep {
    /// Takes over how far a sweep has come.
    pub(super) fn keep(&mut self, state: SweepState) {
        self.recurrent = state.recurrent.iter().map(RecurrentState::save).collect();
        self.predictions = state.predictions;
    }
}

/// Files in a directory that belong to one plan; without a directory nothing is kept.
#[derive(Clone, Debug)]
pub(super) struct Store {
    directory: Option<PathBuf>,
    plan: u32,
}

impl Store {
    /// Returns the store of a plan within the directory of its results.
    pub(super) fn new(results: Option<&Path>, plan: &Plan) -> Result<Self> {
        Ok(Self { directory: results.map(|results| results.join(FOLDER)), plan: plan.checksum()? })
    }

    /// Whether anything can be kept.
    pub(super) fn is_kept(&self) -> bool {
        self.directory.is_some()
    }

    /// Whether anything was kept before.
    pub(super) fn has_files(&self) -> bool {
        self.directory.as_ref().is_some_and(|directory| directory.exists())
    }

    /// Runs work that goes on with what was kept. States whose checksum is right and that fit neither the network nor each other end
    /// in a panic somewhere in a probe: that is an error of the directory here.
    ///
    /// # Errors
    /// Those of the work; [`Error::File`] that names the directory.
    pub(super) fn resume<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        match self.directory.as_ref().filter(|directory| directory.exists()) {
            Some(directory) => caught(work).unwrap_or_else(|panic| {
                Err(Error::file(directory, format!("damaged: {panic}; remove it to observe the samples again")))
            }),
            None => work(),
        }
    }

    /// Returns the path of a file; `None` where nothing is kept.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(format!("{name}.bin")))
    }

    /// Writes a file, whole.
    ///
    /// # Errors
    /// [`Error::Io`] that names it.
    pub(super) fn save(&self, name: &str, content: &impl Serialize) -> Result<()> {
        let Some(path) = self.path(name) else { return Ok(()) };
        write_atomic_with(&path, |file| {
            // The checksum is known only after the content is written.
            file.write_all(&[0; HEADER])?;
            let mut checked = BufWriter::new(ChecksumWriter { file, checksum: crc32fast::Hasher::new(), failed: None });
            if let Err(error) = postcard::to_io(content, &mut checked) {
                // The encoder forgets why a write failed.
                let failed = checked.get_mut().failed.take();
                return Err(failed.unwrap_or_else(|| std::io::Error::other(error)));
            }
            let ChecksumWriter { file, checksum, .. } =
                checked.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            let mut header = MAGIC.to_vec();
            [VERSION, self.plan, checksum.finalize()].iter().for_each(|n| header.extend(n.to_le_bytes()));
            file.rewind()?;
            file.write_all(&header)
        })
    }

    /// Reads a file; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::File`] for one that is damaged or belongs to another plan or version.
    pub(super) fn load<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(path) = self.path(name) else { return Ok(None) };
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io(&path))?,
        };
        let wrong = |what: &str| Error::file(&path, what);
        let (Some(header), Some(content)) = (bytes.get(..HEADER), bytes.get(HEADER..)) else {
            return Err(wrong("damaged: shorter than its header"));
        };
        if !header.starts_with(MAGIC) {
            return Err(wrong("no file of a store"));
        }
        let number = |place: usize| {
            let at = MAGIC.len() + 4 * place;
            header[at..at + 4].iter().rev().fold(0, |n, &byte| n << 8 | u32::from(byte))
        };
        if number(0) != VERSION {
            return Err(wrong(&format!("written by store version {}, expected {VERSION}", number(0))));
        }
        if number(1) != self.plan {
            return Err(wrong("belongs to another plan, network or data set"));
        }
        if number(2) != crc32fast::hash(content) {
            return Err(wrong("damaged: its checksum does not match"));
        }
        postcard::from_bytes(content).map(Some).map_err(|e| wrong(&format!("damaged: {e}")))
    }

    /// Removes all files: the results that they were kept for are written.
    ///
    /// # Errors
    /// [`Error::Io`] that names the directory.
    pub(super) fn remove(&self) -> Result<()> {
        match &self.directory {
            Some(directory) if directory.exists() => std::fs::remove_dir_all(directory).map_err(Error::io(directory)),
            _ => Ok(()),
        }
    }
}
