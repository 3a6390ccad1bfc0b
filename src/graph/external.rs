//! Arrays that lie in files beside the graph: those that are still used move to one new file.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::Said;
use super::raw::{Array, size_of_element};
use super::wire::{Spans, field, pair};
use crate::Chunk;

/// Offsets are multiples of a page, so that whoever maps the file finds every array aligned.
const PAGE: u64 = 4096;

/// The new file, as far as it is filled.
pub(super) struct Beside<'a> {
    /// Where the old files are.
    pub from: &'a Path,
    /// Its name.
    pub name: &'a str,
    pub pieces: Vec<Chunk>,
    length: u64,
    /// Where in it what came from where stands.
    places: HashMap<(String, u64, u64), u64>,
}

impl<'a> Beside<'a> {
    pub(super) fn new(from: &'a Path, name: &'a str) -> Self {
        Self { from, name, pieces: Vec::new(), length: 0, places: HashMap::new() }
    }

    /// The message of an array whose values lie in a file, with the place that they get in the new one; `None` for an
    /// array that holds its values.
    pub(super) fn moved(&mut self, bytes: &[u8]) -> Said<Option<Vec<u8>>> {
        let array = Array::read(super::wire::Fields(bytes))?;
        if !array.is_external {
            return Ok(None);
        }
        let mut said: HashMap<&str, &str> = HashMap::new();
        let mut kept = Vec::new();
        for span in Spans(super::wire::Fields(bytes)) {
            let (number, value, whole) = span?;
            if number != 13 {
                kept.extend_from_slice(whole);
                continue;
            }
            let (key, value) = pair(value.fields()?)?;
            said.insert(key, value);
            // A digest would be that of the old file.
            if !["location", "offset", "length", "checksum"].contains(&key) {
                kept.extend_from_slice(whole);
            }
        }
        let wrong = |what: String| format!("array '{}': {what}", crate::open::one_line(&array.name));
        let (location, offset, length) = self.place(&array, &said).map_err(wrong)?;
        let at = self.placed(location, offset, length);
        let new = [("location", self.name.to_owned()), ("offset", at.to_string()), ("length", length.to_string())];
        for (key, value) in new {
            kept.extend(field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat()));
        }
        Ok(Some(kept))
    }

    /// File, first byte and length of an array, which has to lie in that file.
    fn place<'s>(&self, array: &Array, said: &HashMap<&str, &'s str>) -> Said<(&'s str, u64, u64)> {
        let location = *said.get("location").ok_or("it lies in a file, and none is named")?;
        if !Path::new(location).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!("'{location}' does not lie beside the graph"));
        }
        let number = |key: &str| {
            let parse = |text: &&str| text.parse::<u64>().map_err(|_| format!("{key} '{text}' is no number"));
            said.get(key).map(parse).transpose()
        };
        let count: u64 = array.shape.iter().map(|&side| side as u64).product();
        let size = size_of_element(array.element).and_then(|size| count.checked_mul(size as u64));
        let length = number("length")?.or(size).ok_or("how long it is, is not said")?;
        if size.is_some_and(|size| size != length) {
            return Err(format!("{length} bytes, shape {:?} needs {}", array.shape, size.unwrap_or(0)));
        }
        let offset = number("offset")?.unwrap_or(0);
        let path = self.from.join(location);
        let there = path.metadata().map_err(|e| crate::Error::io(&path)(e).to_string())?.len();
        if offset.checked_add(length).is_none_or(|end| end > there) {
            return Err(format!(
                "bytes {offset} to {} of '{location}', which has {there}",
                offset.saturating_add(length)
            ));
        }
        Ok((location, offset, length))
    }

    /// Where in the new file these bytes are; what several arrays share is there once.
    fn placed(&mut self, location: &str, offset: u64, length: u64) -> u64 {
        let key = (location.to_owned(), offset, length);
        if let Some(&at) = self.places.get(&key) {
            return at;
        }
        let gap = self.length.next_multiple_of(PAGE) - self.length;
        let at = self.length + gap;
        let path: PathBuf = self.from.join(location);
        self.pieces.extend([Chunk::Zeros(gap), Chunk::FileRange { path, offset, length }]);
        self.length = at + length;
        self.places.insert(key, at);
        at
    }
}
