//! Declarations of values: name, element type and dimensions.

use super::ParseResult;
use super::protobuf::{FieldValue, Fields};

/// A dimension of an input.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Dimension {
    Fixed(usize),
    /// A dimension that the file leaves free. Dimensions of one name have the same size; an empty name says nothing.
    Free(String),
}

impl Dimension {
    /// Returns the size, where the file fixes it.
    pub(super) fn size(&self) -> Option<usize> {
        match self {
            Self::Fixed(size) => Some(*size),
            Self::Free(_) => None,
        }
    }
}

/// Reads a `ValueInfoProto`: name, element type and dimensions of a value.
pub(super) fn read_declaration(fields: Fields<'_>) -> ParseResult<(String, i64, Vec<Dimension>)> {
    let (mut name, mut element, mut dims) = (String::new(), 0, Vec::new());
    for field in fields {
        match field? {
            (1, text) => name = text.text()?.to_owned(),
            (2, kind) => {
                for field in kind.fields()? {
                    // Sequences and optionals have no shape.
                    let (1, array) = field? else { continue };
                    for field in array.fields()? {
                        match field? {
                            (1, number) => element = number.integer()?,
                            (2, shape) => {
                                dims = shape.fields()?.map(|field| dim(field?.1)).collect::<Result<_, _>>()?
                            }
                            _ => {}
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok((name, element, dims))
}

/// Reads a dimension. A size that is not positive says as little as none.
fn dim(message: FieldValue<'_>) -> ParseResult<Dimension> {
    let (mut size, mut name) = (None, String::new());
    for field in message.fields()? {
        match field? {
            (1, value) => size = usize::try_from(value.integer()?).ok().filter(|&size| size > 0),
            (2, text) => name = text.text()?.to_owned(),
            _ => {}
        }
    }
    Ok(size.map_or(Dimension::Free(name), Dimension::Fixed))
}
