//! Writes a folder without the layers that are removed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::json_file::read_object;
use super::other_files::other_files;
use super::removal::Removal;
use super::weights::{INDEX, SINGLE, WeightFile};
use super::write_weights::copy_arrays;
use super::{CONFIG, CheckpointFolder};
use crate::atomic_file::make_directory_atomic;
use crate::measure::Progress;
use crate::{Error, Result};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The new folder.
    pub folder: PathBuf,
    /// The safetensors files in it.
    pub weight_files: Vec<String>,
    /// The files that were copied as they are, by their paths in the folder.
    pub copied: Vec<PathBuf>,
    /// Files and folders of the old one that were left out, because they hold the network as it was.
    pub left_out: Vec<PathBuf>,
}

impl Removal {
    /// Writes the new folder: the arrays that stay, in the files that they were in; the configuration; and copies of the other
    /// files. What was written is read again and compared before the folder gets its name.
    ///
    /// # Errors
    /// [`Error::File`] where something has that name already, or is wrong with a file; [`Error::Io`] that names the file;
    /// [`Error::Interrupted`] where the progress says so. Nothing is left under the name of the folder then.
    pub fn write(&self, out: &Path, progress: &mut dyn Progress) -> Result<Written> {
        self.check_place(out)?;
        make_directory_atomic(out, |new| self.fill(new, out, progress))
    }

    /// Checks that the new folder is not within the old one, which would be copied into itself.
    ///
    /// # Errors
    /// [`Error::File`] where it is, or where something has that name already.
    pub fn check_place(&self, out: &Path) -> Result<()> {
        if out.symlink_metadata().is_ok() {
            return Err(Error::file(out, "is there already; name another directory"));
        }
        let source = self.source.canonicalize().map_err(Error::io(&self.source))?;
        let existing = out.ancestors().skip(1).find_map(|parent| match parent {
            empty if empty == Path::new("") => Path::new(".").canonicalize().ok(),
            parent => parent.canonicalize().ok(),
        });
        if existing.is_some_and(|existing| existing.starts_with(&source)) {
            let what = format!(
                "within {}, which it would become a part of; name a directory elsewhere",
                self.source.display()
            );
            return Err(Error::file(out, what));
        }
        Ok(())
    }

    fn fill(&self, new: &Path, out: &Path, progress: &mut dyn Progress) -> Result<Written> {
        // Every byte is copied, and read again.
        let (total, mut done) = (2 * self.after.bytes, 0);
        let count = &mut |bytes: u64| {
            done += bytes;
            match progress.update(done, total) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(Error::Interrupted),
            }
        };
        let named = self.weight_files();
        for (at, name) in &named {
            copy_arrays(&self.weights.files[*at], &self.files[*at], &new.join(name), count)?;
        }
        if let Some(index) = &self.weights.index {
            write_json(&new.join(INDEX), &self.index(index, &named))?;
        }
        write_json(&new.join(CONFIG), &self.config)?;
        let mut known: BTreeSet<String> = self.weights.files.iter().map(WeightFile::name).collect();
        known.extend([CONFIG.to_owned(), INDEX.to_owned(), SINGLE.to_owned()]);
        let others = other_files(&self.source, &known)?;
        for path in &others.copied {
            copy_file(&self.source.join(path), &new.join(path))?;
        }
        self.verify(new)?;
        Ok(Written {
            folder: out.to_owned(),
            weight_files: named.into_iter().map(|(_, name)| name).collect(),
            copied: others.copied,
            left_out: others.left_out,
        })
    }

    /// Returns the files that keep an array, by their places, with the names that they get. Names that count the files, such as
    /// `model-00001-of-00003.safetensors`, are numbered again where a file is left without arrays.
    fn weight_files(&self) -> Vec<(usize, String)> {
        let used: Vec<usize> = (0..self.files.len()).filter(|&at| !self.files[at].is_empty()).collect();
        let old = |at: usize| self.weights.files[at].name();
        let all = self.files.len();
        let renamed = |number: usize, at: usize| {
            let name = old(at);
            let stem = name.strip_suffix(&format!("-{:05}-of-{all:05}.safetensors", at + 1))?;
            Some(format!("{stem}-{:05}-of-{:05}.safetensors", number + 1, used.len()))
        };
        let again: Option<Vec<String>> = used.iter().enumerate().map(|(number, &at)| renamed(number, at)).collect();
        match again {
            Some(names) => used.into_iter().zip(names).collect(),
            None => used.into_iter().map(|at| (at, old(at))).collect(),
        }
    }

    /// Returns the index of the new files: the old one with another map, and with the sizes where it had them.
    fn index(&self, old: &Map<String, Value>, named: &[(usize, String)]) -> Map<String, Value> {
        let mut index = old.clone();
        let entries = named.iter().flat_map(|(at, file)| self.files[*at].iter().map(move |(_, name)| (name, file)));
        let mut map: Vec<(String, Value)> = entries.map(|(name, file)| (name.clone(), file.as_str().into())).collect();
        map.sort_by(|(one, _), (other, _)| one.cmp(other));
        index.insert("weight_map".to_owned(), Value::Object(map.into_iter().collect()));
        if let Some(Value::Object(metadata)) = index.get_mut("metadata") {
            for (key, value) in [("total_size", self.after.bytes), ("total_parameters", self.after.parameters)] {
                metadata.entry(key).and_modify(|old| *old = json!(value));
            }
        }
        index
    }

    /// Opens the new folder, and checks its configuration, its index and the numbers of its layers.
    fn verify(&self, new: &Path) -> Result<()> {
        let wrong =
            |file: &str, what: String| Err(Error::file(new.join(file), format!("was not written as meant: {what}")));
        if read_object(&new.join(CONFIG))? != self.config {
            return wrong(CONFIG, "its keys have other values".to_owned());
        }
        let folder = CheckpointFolder::open(new)?;
        let depth = |folder: &CheckpointFolder| {
            folder.numberings.iter().find(|list| list.prefix == self.list).map_or(0, super::Numbering::depth)
        };
        let arrays = folder.arrays().len();
        if (depth(&folder), arrays) != (self.after.layers, self.after.arrays) {
            return wrong("", format!("{} layers and {arrays} arrays", depth(&folder)));
        }
        Ok(())
    }
}

/// Writes a JSON file as Transformers does: two spaces a level, and a line break at its end.
fn write_json(path: &Path, object: &Map<String, Value>) -> Result<()> {
    let text = serde_json::to_string_pretty(object).map_err(|e| Error::file(path, e.to_string()))?;
    write_synced(path, (text + "\n").as_bytes())
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = |mut file: File| file.write_all(bytes).and_then(|()| file.sync_all());
    File::create_new(path).and_then(write).map_err(Error::io(path))
}

/// Copies a file, and makes the directory that it is in.
fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
    }
    // The content alone: files in a cache are read-only links.
    let mut source = File::open(from).map_err(Error::io(from))?;
    let mut copy = File::create_new(to).map_err(Error::io(to))?;
    std::io::copy(&mut source, &mut copy).and_then(|_| copy.sync_all()).map_err(Error::io(to))
}
