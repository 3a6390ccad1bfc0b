//! Reads PyTorch files: zip, legacy, tar and plain pickle formats. Nothing in them is executed.

use std::path::Path;
use std::rc::Rc;

use pytorch_reader::{DType, PytorchError, PytorchReader};

use super::state_dict::{ArrayFormat, ElementType, StateDict, StoredArray};
use crate::error::caught_in;
use crate::text::excerpt;
use crate::{Error, Result};

/// Arrays can be views of one storage and declare any size. Files that declare more than so many times their own size are
/// refused.
const MAX_RATIO: u128 = 16;
/// Bytes that any file may declare besides.
const MIN_ALLOWANCE: u128 = 1 << 20;

/// Returns whether a file of `length` bytes declares far more bytes than it can hold.
pub(super) fn is_absurd(declared: u128, length: u64) -> bool {
    declared > u128::from(length) * MAX_RATIO + MIN_ALLOWANCE
}

/// Lists the arrays of a PyTorch file.
///
/// # Errors
/// [`Error::File`] for a file of another format, a damaged one, or one that declares far more than it can hold.
pub(super) fn read(path: &Path) -> Result<StateDict> {
    let length = std::fs::metadata(path).map_err(Error::io(path))?.len();
    let copy = match super::archive::examine(path)? {
        Some(copy) => Some(copy),
        None => super::pickle::without_module_sources(path).map_err(Error::io(path))?,
    };
    let copy = copy.map(Rc::new);
    let source = copy.as_ref().map_or(path, |copy| copy.path());
    let failed = |what: String| Error::file(path, super::file_kinds::of_pickle(path).unwrap_or(what));
    let reader = caught_in(path, || PytorchReader::new(source).map_err(|e| failed(explain(&e))))?;
    if reader.is_empty() {
        return Err(failed("no arrays in it".into()));
    }
    let declared: u128 = reader.tensors().values().map(|t| t.byte_len() as u128).sum();
    if is_absurd(declared, length) {
        return Err(Error::file(path, format!("its arrays declare {declared} bytes, the file has {length}")));
    }
    let array = |tensor: pytorch_reader::Tensor| {
        let (name, dtype, shape, read) = tensor.into_parts();
        let copy = copy.clone();
        StoredArray::new(name, shape, element(dtype), move || {
            // The copy is deleted when the last array that reads from it is dropped.
            let _ = &copy;
            read()
        })
    };
    Ok(StateDict::new(reader.into_tensors().into_values().map(array).collect(), ArrayFormat::PyTorch))
}

fn explain(error: &PytorchError) -> String {
    let text = error.to_string();
    if text.contains("not a PyTorch checkpoint") {
        return "neither safetensors nor a PyTorch file (zip, legacy, tar or pickle)".into();
    }
    format!("not a PyTorch file that can be read: {}", excerpt(&text))
}

fn element(dtype: DType) -> ElementType {
    match dtype {
        DType::F64 => ElementType::F64,
        DType::F32 => ElementType::F32,
        DType::F16 => ElementType::F16,
        DType::BF16 => ElementType::BF16,
        other => ElementType::Other(format!("{other:?}")),
    }
}
