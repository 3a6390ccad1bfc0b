//! safetensors: one file, or several with an index.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata};
use serde::Deserialize;

use super::arrays::{Array, Element, StateDict, one_line};
use crate::{Error, Result};

/// The format's own limit on its header.
const MOST_HEADER: u64 = 100_000_000;

/// Whether a file is safetensors, by its name or by how it begins: the length of a JSON object, and the object.
pub(super) fn is_safetensors(path: &Path) -> Result<bool> {
    if path.extension().is_some_and(|e| e == "safetensors") {
        return Ok(true);
    }
    let mut begins = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(9).read_to_end(&mut begins).map_err(Error::io(path))?;
    let length = begins.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    Ok(begins.get(8) == Some(&b'{') && length.is_some_and(|length| length <= MOST_HEADER))
}

/// Lists the arrays of one file, with its metadata.
///
/// # Errors
/// [`Error::File`] for a file that is not whole.
pub(super) fn single(path: &Path) -> Result<(StateDict, HashMap<String, String>)> {
    let (metadata, start) = header(path)?;
    let arrays = metadata.tensors().into_iter().map(|(name, info)| {
        let (begin, end) = info.data_offsets;
        let path = path.to_owned();
        let read = move || slice(&path, start + begin as u64, end - begin);
        Array::new(name, info.shape.clone(), element(info.dtype), read)
    });
    Ok((StateDict::new(arrays.collect()), metadata.metadata().clone().unwrap_or_default()))
}

/// Lists the arrays of several files that an index names.
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
        .map_err(|e| Error::file(index, format!("no index of safetensors files: {}", one_line(&e.to_string()))))?;
    let shards: BTreeSet<&String> = map.weight_map.values().collect();
    let mut arrays = Vec::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    for shard in shards {
        let path = beside(index, shard)?;
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
    Ok(StateDict::new(arrays))
}

/// A shard lies in the directory of its index: an index from elsewhere must not reach other places.
fn beside(index: &Path, shard: &str) -> Result<PathBuf> {
    let is_plain = Path::new(shard).file_name().is_some_and(|name| name == shard);
    match index.parent() {
        Some(dir) if is_plain => Ok(dir.join(shard)),
        _ => Err(Error::file(index, format!("'{shard}' is no file name beside the index"))),
    }
}

/// The header, and where the values begin.
fn header(path: &Path) -> Result<(Metadata, u64)> {
    let wrong = |what: &str| Error::file(path, format!("not a whole safetensors file: {what}"));
    let mut file = File::open(path).map_err(Error::io(path))?;
    let whole = file.metadata().map_err(Error::io(path))?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| wrong("it ends within its first 8 bytes"))?;
    let length = u64::from_le_bytes(length);
    if length > MOST_HEADER || length + 8 > whole {
        return Err(wrong(&format!("a header of {length} bytes in a file of {whole}")));
    }
    let mut json = vec![0; length as usize];
    file.read_exact(&mut json).map_err(Error::io(path))?;
    let metadata: Metadata = serde_json::from_slice(&json).map_err(|e| wrong(&one_line(&e.to_string())))?;
    let expected = 8 + length + metadata.data_len() as u64;
    if expected != whole {
        return Err(wrong(&format!("{whole} bytes, its header describes {expected}")));
    }
    Ok((metadata, 8 + length))
}

fn slice(path: &Path, start: u64, length: usize) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn element(dtype: Dtype) -> Element {
    match dtype {
        Dtype::F64 => Element::F64,
        Dtype::F32 => Element::F32,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::BF16,
        other => Element::Other(format!("{other:?}")),
    }
}
