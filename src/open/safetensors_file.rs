//! Reads safetensors: one file, or several with an index.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata};
use serde::Deserialize;

use super::state_dict::{ArrayFormat, ElementType, StateDict, StoredArray};
use crate::text::excerpt;
use crate::{Error, Result};

/// The largest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// Returns whether a file is safetensors, by its extension or its first bytes: the length of a JSON object, then the object.
pub(super) fn is_safetensors(path: &Path) -> Result<bool> {
    if path.extension().is_some_and(|e| e == "safetensors") {
        return Ok(true);
    }
    let mut begins = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(9).read_to_end(&mut begins).map_err(Error::io(path))?;
    let length = begins.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    Ok(begins.get(8) == Some(&b'{') && length.is_some_and(|length| length <= MAX_HEADER))
}

/// Lists the arrays of one file, and returns its metadata.
///
/// # Errors
/// [`Error::File`] for a damaged file.
pub(super) fn single(path: &Path) -> Result<(StateDict, HashMap<String, String>)> {
    let (metadata, start) = header(path)?;
    let arrays = metadata.tensors().into_iter().map(|(name, info)| {
        let (begin, end) = info.data_offsets;
        let path = path.to_owned();
        let read = move || slice(&path, start + begin as u64, end - begin);
        StoredArray::new(name, info.shape.clone(), element(info.dtype), read)
    });
    Ok((StateDict::new(arrays.collect(), ArrayFormat::Safetensors), metadata.metadata().clone().unwrap_or_default()))
}

/// Lists the arrays of all files that an index names.
///
/// # Errors
/// [`Error::File`] that names the index or the shard at fault.
pub(super) fn sharded(index: &Path) -> Result<StateDict> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = std::fs::read_to_string(index).map_err(Error::io(index))?;
    let map: Index = serde_json::from_str(&text)
        .map_err(|e| Error::file(index, format!("no index of safetensors files: {}", excerpt(&e.to_string()))))?;
    let shards: BTreeSet<&String> = map.weight_map.values().collect();
    let mut arrays = Vec::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    for shard in shards {
        let path = shard_path(index, shard)?;
        for array in single(&path)?.0.arrays {
            if let Some(other) = seen.insert(array.name.clone(), shard.clone()) {
                return Err(Error::file(index, format!("{} is in {other} and in {shard}", array.name)));
            }
            arrays.push(array);
        }
    }
    for (name, shard) in &map.weight_map {
        if seen.get(name) != Some(shard) {
            return Err(Error::file(index, format!("{name} is not in {shard}")));
        }
    }
    Ok(StateDict::new(arrays, ArrayFormat::ShardedSafetensors))
}

/// Returns the path of a shard, which has to be in the directory of the index: a hostile index must not reach other files.
///
/// # Errors
/// [`Error::File`] for another place.
pub(crate) fn shard_path(index: &Path, shard: &str) -> Result<PathBuf> {
    let is_plain = Path::new(shard).file_name().is_some_and(|name| name == shard);
    match index.parent() {
        Some(dir) if is_plain => Ok(dir.join(shard)),
        _ => Err(Error::file(index, format!("'{shard}' is no file name beside the index"))),
    }
}

/// Returns the header, and the offset of the values.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::File`] where it is damaged.
pub(crate) fn header(path: &Path) -> Result<(Metadata, u64)> {
    let wrong = |what: &str| Error::file(path, format!("not a whole safetensors file: {what}"));
    let mut file = File::open(path).map_err(Error::io(path))?;
    let whole = file.metadata().map_err(Error::io(path))?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| wrong("it ends within its first 8 bytes"))?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length + 8 > whole {
        return Err(wrong(&format!("a header of {length} bytes in a file of {whole}")));
    }
    let mut json = vec![0; length as usize];
    file.read_exact(&mut json).map_err(Error::io(path))?;
    let metadata: Metadata = serde_json::from_slice(&json).map_err(|e| wrong(&excerpt(&e.to_string())))?;
    let expected = 8 + length + metadata.data_len() as u64;
    if expected != whole {
        return Err(wrong(&format!("{whole} bytes, its header describes {expected}")));
    }
    Ok((metadata, 8 + length))
}

/// Reads bytes of a file.
fn slice(path: &Path, start: u64, length: usize) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn element(dtype: Dtype) -> ElementType {
    match dtype {
        Dtype::F64 => ElementType::F64,
        Dtype::F32 => ElementType::F32,
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::BF16,
        other => ElementType::Other(format!("{other:?}")),
    }
}
