//! The values of an array, in memory or in a file.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{Element, truncated};

/// The values of an array.
#[derive(Debug)]
pub(in crate::data) enum Values {
    /// In memory.
    Memory(Vec<f32>),
    /// In the file, from which they are read when they are asked for.
    File(FileValues),
}

impl Default for Values {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

/// Where an array lies in a file.
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    /// The bytes before it.
    pub(super) start: u64,
}

/// Values that stay in a file.
#[derive(Debug)]
pub(in crate::data) struct FileValues {
    file: Mutex<File>,
    start: u64,
    length: usize,
    element: Element,
    /// What the values of the file are divided by.
    divisor: f32,
}

impl FileValues {
    /// Returns the `length` values of the file from this place on. The error says what is wrong with the file.
    pub(super) fn new(place: Place, element: Element, length: usize) -> Result<Self, String> {
        let open = || {
            let file = File::open(place.path)?;
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        };
        let (file, bytes) = open().map_err(|e: std::io::Error| e.to_string())?;
        let end = (length as u64).saturating_mul(element.size as u64).saturating_add(place.start);
        if bytes < end {
            return Err(truncated(&element.name));
        }
        Ok(Self { file: Mutex::new(file), start: place.start, length, element, divisor: 1.0 })
    }

    fn read(&self, range: Range<usize>) -> Result<Vec<f32>, String> {
        let size = self.element.size;
        let mut bytes = vec![0; range.len() * size];
        let mut read = || {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(self.start + (range.start * size) as u64))?;
            file.read_exact(&mut bytes)
        };
        read().map_err(|e: std::io::Error| format!("'{}': {e}", self.element.name))?;
        let mut values = Vec::with_capacity(range.len());
        self.element.add_values(&bytes, &mut values)?;
        if self.divisor != 1.0 {
            values.iter_mut().for_each(|value| *value /= self.divisor);
        }
        Ok(values)
    }
}

/// Cuts so many values into parts that are worth reading at once.
fn ranges(length: usize) -> impl Iterator<Item = Range<usize>> {
    const PART: usize = 1 << 16;
    (0..length).step_by(PART).map(move |start| start..(start + PART).min(length))
}

impl Values {
    /// The number of values.
    pub(in crate::data) fn len(&self) -> usize {
        match self {
            Self::Memory(values) => values.len(),
            Self::File(values) => values.length,
        }
    }

    /// Whether there is no value.
    pub(in crate::data) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns some of the values. The error says why they cannot be read.
    pub(in crate::data) fn part(&self, range: Range<usize>) -> Result<Cow<'_, [f32]>, String> {
        match self {
            Self::Memory(values) => Ok(Cow::Borrowed(&values[range])),
            Self::File(values) => values.read(range).map(Cow::Owned),
        }
    }

    /// Returns all values, some at a time.
    pub(in crate::data) fn chunks(&self) -> impl Iterator<Item = Result<Cow<'_, [f32]>, String>> {
        ranges(self.len()).map(|range| self.part(range))
    }

    /// Returns all values. The error says why they cannot be read, or that there are too many.
    pub(in crate::data) fn into_vec(self) -> Result<Vec<f32>, String> {
        match self {
            Self::Memory(values) => Ok(values),
            Self::File(file) => {
                let mut values = Vec::new();
                let no_memory = |_| format!("'{}': {} values do not fit into memory", file.element.name, file.length);
                values.try_reserve_exact(file.length).map_err(no_memory)?;
                for range in ranges(file.length) {
                    values.extend(file.read(range)?);
                }
                Ok(values)
            }
        }
    }

    /// Divides all values.
    pub(in crate::data) fn divide(&mut self, divisor: f32) {
        match self {
            Self::Memory(values) => values.iter_mut().for_each(|value| *value /= divisor),
            Self::File(values) => values.divisor *= divisor,
        }
    }
}
