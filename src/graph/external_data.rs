//! External data: arrays that are stored in other files than the graph. Those that are still used are copied to one new
//! file.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::ParseResult;
use super::protobuf::{FieldSpans, Fields, field, pair};
use super::raw_graph::{ArrayInfo, size_of_element};
use crate::text::excerpt;
use crate::{Chunk, directory_of};

/// Offsets are multiples of a page, so that every array is aligned where the file is memory-mapped.
const PAGE: u64 = 4096;

/// Returns the path of a file that holds arrays of a graph, by its name in the graph.
///
/// It is a regular file, so that reading it ends, in the directory of the graph. Links have to stay there, or to lead to where
/// the graph itself is linked to, as in stores of files that are named by their checksums.
pub(super) fn find_file(graph: &Path, location: &str) -> ParseResult<PathBuf> {
    let wrong = |what: &str| Err(format!("'{}' {what}", excerpt(location)));
    if location.is_empty() {
        return Err("an array lies in a file, and none is named".into());
    }
    if !Path::new(location).components().all(|part| matches!(part, Component::Normal(_))) {
        return wrong("does not lie beside the graph");
    }
    let named = graph.with_file_name(location);
    let real = |path: &Path| path.canonicalize().map_err(|e| crate::Error::io(path)(e).to_string());
    let path = real(&named)?;
    let homes = [real(directory_of(graph))?, directory_of(&real(graph)?).to_owned()];
    if !homes.iter().any(|home| path.starts_with(home)) {
        return wrong("is a link out of the directory of the graph");
    }
    match path.is_file() {
        true => Ok(path),
        false => wrong("is no regular file"),
    }
}

/// Reads a file that holds arrays of a graph, by its name in the graph. Its bytes are copied and not mapped: a file that is
/// cut off or changed while the graph is in use has no effect.
pub(super) fn read_file(graph: &Path, location: &str) -> ParseResult<Vec<u8>> {
    let path = find_file(graph, location)?;
    std::fs::read(&path).map_err(|e| crate::Error::io(&path)(e).to_string())
}

/// The new file, with the arrays that were added so far.
pub(super) struct ExternalData<'a> {
    /// The file of the graph.
    graph: &'a Path,
    /// Name of the new file.
    name: &'a str,
    /// Contents of the new file.
    pub pieces: Vec<Chunk>,
    length: u64,
    /// Offsets in the new file, by location, offset and length in the old ones.
    offsets: HashMap<(String, u64, u64), u64>,
}

impl<'a> ExternalData<'a> {
    pub(super) fn new(graph: &'a Path, name: &'a str) -> Self {
        Self { graph, name, pieces: Vec::new(), length: 0, offsets: HashMap::new() }
    }

    /// Adds the values of a `TensorProto` to the new file, and returns the message that refers to them there; `None` for an
    /// array that holds its values itself.
    pub(super) fn add(&mut self, bytes: &[u8]) -> ParseResult<Option<Vec<u8>>> {
        let array = ArrayInfo::read(Fields(bytes))?;
        if !array.is_external {
            return Ok(None);
        }
        let mut entries: HashMap<&str, &str> = HashMap::new();
        let mut kept = Vec::new();
        for span in FieldSpans(Fields(bytes)) {
            let (number, value, whole) = span?;
            if number != 13 {
                kept.extend_from_slice(whole);
                continue;
            }
            let (key, value) = pair(value.fields()?)?;
            entries.insert(key, value);
            // The checksum is that of the old file.
            if !["location", "offset", "length", "checksum"].contains(&key) {
                kept.extend_from_slice(whole);
            }
        }
        let wrong = |what: String| format!("array '{}': {what}", excerpt(&array.name));
        let (location, path, [offset, length]) = self.locate(&array, &entries).map_err(wrong)?;
        let at = self.copy(location, path, offset, length);
        let new = [("location", self.name.to_owned()), ("offset", at.to_string()), ("length", length.to_string())];
        for (key, value) in new {
            kept.extend(field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat()));
        }
        Ok(Some(kept))
    }

    /// Returns where an array lies, by name and path, its offset and its length, checked against the file that holds it.
    fn locate<'s>(
        &self,
        array: &ArrayInfo,
        entries: &HashMap<&str, &'s str>,
    ) -> ParseResult<(&'s str, PathBuf, [u64; 2])> {
        let location = *entries.get("location").unwrap_or(&"");
        let path = find_file(self.graph, location)?;
        let number = |key: &str| {
            let parse = |text: &&str| text.parse::<u64>().map_err(|_| format!("{key} '{text}' is no number"));
            entries.get(key).map(parse).transpose()
        };
        let count: u64 = array.shape.iter().map(|&side| side as u64).product();
        let size = size_of_element(array.element).and_then(|size| count.checked_mul(size as u64));
        let length = number("length")?.or(size).ok_or("no length given")?;
        if size.is_some_and(|size| size != length) {
            return Err(format!("{length} bytes, shape {:?} needs {}", array.shape, size.unwrap_or(0)));
        }
        let offset = number("offset")?.unwrap_or(0);
        let size_of_file = path.metadata().map_err(|e| crate::Error::io(&path)(e).to_string())?.len();
        if offset.checked_add(length).is_none_or(|end| end > size_of_file) {
            return Err(format!(
                "bytes {offset} to {} of '{location}', which has {size_of_file}",
                offset.saturating_add(length)
            ));
        }
        Ok((location, path, [offset, length]))
    }

    /// Copies bytes of an old file and returns their offset in the new one. Bytes that several arrays share are copied
    /// once.
    fn copy(&mut self, location: &str, path: PathBuf, offset: u64, length: u64) -> u64 {
        let key = (location.to_owned(), offset, length);
        if let Some(&at) = self.offsets.get(&key) {
            return at;
        }
        let gap = self.length.next_multiple_of(PAGE) - self.length;
        let at = self.length + gap;
        self.pieces.extend([Chunk::Zeros(gap), Chunk::FileRange { path, offset, length }]);
        self.length = at + length;
        self.offsets.insert(key, at);
        at
    }
}
