//! Reads JSON files that have to hold an object.

use std::path::Path;

use serde_json::{Map, Value};

use crate::text::{excerpt, read_text};
use crate::{Error, Result};

/// Reads a JSON object, with its keys in their order.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::File`] where it holds something else.
pub(super) fn read_object(path: &Path) -> Result<Map<String, Value>> {
    let text = read_text(path)?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::file(path, "expected a JSON object")),
        Err(e) => Err(Error::file(path, format!("no JSON: {}", excerpt(&e.to_string())))),
    }
}
