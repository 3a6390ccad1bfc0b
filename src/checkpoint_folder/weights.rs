//! The arrays of a folder: the headers of its safetensors files, and the index that names the files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::json_file::read_object;
use crate::open::{safetensors_header, shard_path};
use crate::{Error, Result};

/// The file of a folder whose arrays are all in one.
pub(super) const SINGLE: &str = "model.safetensors";
/// The index of a folder whose arrays are in several files.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// An array in a safetensors file. Its values are not read.
#[derive(Clone, Debug)]
pub(super) struct ArrayEntry {
    pub(super) name: String,
    /// The type of its elements, as safetensors names it: `BF16`.
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    /// Its first byte, from the beginning of the file.
    pub(super) offset: u64,
    /// Its length in bytes.
    pub(super) length: u64,
}

impl ArrayEntry {
    /// Returns the number of elements.
    pub(super) fn elements(&self) -> u64 {
        self.shape.iter().map(|&side| side as u64).product()
    }
}

/// A safetensors file.
#[derive(Clone, Debug)]
pub(super) struct WeightFile {
    pub(super) path: PathBuf,
    /// The texts that its header holds beside the arrays.
    pub(super) metadata: BTreeMap<String, String>,
    /// The arrays in the order of their bytes.
    pub(super) arrays: Vec<ArrayEntry>,
}

impl WeightFile {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// [`Error::File`] for a damaged file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (header, start) = safetensors_header(path)?;
        let mut infos = header.tensors();
        let arrays = header.offset_keys().into_iter().filter_map(|name| {
            let info = infos.remove(&name)?;
            let (begin, end) = info.data_offsets;
            let (offset, length) = (start + begin as u64, (end - begin) as u64);
            Some(ArrayEntry { name, dtype: info.dtype.to_string(), shape: info.shape.clone(), offset, length })
        });
        let arrays = arrays.collect();
        let metadata = header.metadata().iter().flatten().map(|(key, text)| (key.clone(), text.clone())).collect();
        Ok(Self { path: path.to_owned(), metadata, arrays })
    }

    /// Returns the name of the file.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// All arrays of a folder.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    /// The files in the order of their names.
    pub(super) files: Vec<WeightFile>,
    /// The index, where there are several files.
    pub(super) index: Option<Map<String, Value>>,
}

impl Weights {
    /// Reads the headers of all files of a folder.
    ///
    /// # Errors
    /// [`Error::File`] that names the index or the file at fault; for a folder without safetensors, what to do.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let (single, index) = (folder.join(SINGLE), folder.join(INDEX));
        match (single.exists(), index.exists()) {
            (true, true) => {
                let what = format!("both {SINGLE} and {INDEX} are there; remove the one that is not in use");
                Err(Error::file(folder, what))
            }
            (true, false) => Ok(Self { files: vec![WeightFile::open(&single)?], index: None }),
            (false, true) => sharded(&index),
            (false, false) => Err(Error::file(folder, why_no_weights(folder))),
        }
    }

    /// Iterates over all arrays.
    pub(super) fn arrays(&self) -> impl Iterator<Item = &ArrayEntry> {
        self.files.iter().flat_map(|file| &file.arrays)
    }
}

/// Reads the files that an index names.
fn sharded(index: &Path) -> Result<Weights> {
    let content = read_object(index)?;
    let Some(Value::Object(map)) = content.get("weight_map") else {
        return Err(Error::file(index, "no index of safetensors files: weight_map is not an object"));
    };
    let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, shard) in map {
        let shard = shard.as_str().ok_or_else(|| Error::file(index, format!("{name}: expected the name of a file")))?;
        shards.entry(shard).or_default().push(name);
    }
    let mut files = Vec::new();
    for (shard, names) in shards {
        let path = shard_path(index, shard)?;
        if !path.exists() {
            let what = format!("{shard}, which it names, is missing; download or copy it again");
            return Err(Error::file(index, what));
        }
        let file = WeightFile::open(&path)?;
        let in_file: std::collections::BTreeSet<&str> = file.arrays.iter().map(|array| array.name.as_str()).collect();
        if let Some(name) = names.iter().find(|name| !in_file.contains(**name)) {
            return Err(Error::file(index, format!("{name} is not in {shard}")));
        }
        let in_index = |name: &str| map.get(name).and_then(Value::as_str) == Some(shard);
        if let Some(array) = file.arrays.iter().find(|array| !in_index(&array.name)) {
            return Err(Error::file(index, format!("{} is in {shard}, and the index does not say so", array.name)));
        }
        files.push(file);
    }
    Ok(Weights { files, index: Some(content) })
}

/// Returns what stands in a folder in place of safetensors files, and the next step.
fn why_no_weights(folder: &Path) -> String {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let convert = "save them as safetensors: \
                   transformers.AutoModel.from_pretrained('FOLDER').save_pretrained('FOLDER2'), or the class of the network";
    if let Some(name) = names.iter().find(|name| name.ends_with(".bin") || name.ends_with(".pt")) {
        return format!("{name}: weights as a pickle, which are not opened here; {convert}");
    }
    let is_other = |name: &&String| [".h5", ".msgpack", ".pth", ".gguf"].iter().any(|end| name.ends_with(end));
    if let Some(name) = names.iter().find(is_other) {
        return format!("{name}: weights in another form than safetensors; {convert}");
    }
    match names.iter().find(|name| name.ends_with(".safetensors")) {
        Some(name) => format!("{name} is there, and neither {SINGLE} nor {INDEX}; copy the index too"),
        None => format!("config.json without weights: neither {SINGLE} nor {INDEX} is there"),
    }
}
