//! PyTorch files: zip, legacy, tar or plain pickles, of which nothing is executed.

use std::path::Path;
use std::rc::Rc;

use pytorch_reader::{DType, PytorchError, PytorchReader};

use super::arrays::{Array, Element, StateDict, one_line};
use crate::{Error, Result};

/// Arrays may be views of one storage, which declare any size: more than so many times the file is no network.
const MOST_OF_FILE: u128 = 16;
/// What a small file may declare in any case.
const MOST_OF_SMALL: u128 = 1 << 20;

/// Whether a file of so many bytes declares absurdly much.
pub(super) fn is_absurd(declared: u128, length: u64) -> bool {
    declared > u128::from(length) * MOST_OF_FILE + MOST_OF_SMALL
}

/// Lists the arrays of a PyTorch file.
///
/// # Errors
/// [`Error::File`] for what is no such file, is damaged, or declares far more than it holds.
pub(super) fn read(path: &Path) -> Result<StateDict> {
    let length = std::fs::metadata(path).map_err(Error::io(path))?.len();
    let copy = super::archive::examine(path)?.map(Rc::new);
    let source = copy.as_ref().map_or(path, |copy| copy.path());
    let reader = PytorchReader::new(source).map_err(|e| Error::file(path, explain(&e)))?;
    let declared: u128 = reader.tensors().values().map(|t| t.byte_len() as u128).sum();
    if is_absurd(declared, length) {
        return Err(Error::file(path, format!("its arrays declare {declared} bytes, the file has {length}")));
    }
    let array = |tensor: pytorch_reader::Tensor| {
        let (name, dtype, shape, read) = tensor.into_parts();
        let copy = copy.clone();
        Array::new(name, shape, element(dtype), move || {
            // A copy lives as long as what reads from it.
            let _ = &copy;
            read()
        })
    };
    Ok(StateDict::new(reader.into_tensors().into_values().map(array).collect()))
}

fn explain(error: &PytorchError) -> String {
    let text = error.to_string();
    if text.contains("not a PyTorch checkpoint") {
        return "neither safetensors nor a PyTorch file (zip, legacy, tar or pickle)".into();
    }
    format!("not a PyTorch file that can be read: {}", one_line(&text))
}

fn element(dtype: DType) -> Element {
    match dtype {
        DType::F64 => Element::F64,
        DType::F32 => Element::F32,
        DType::F16 => Element::F16,
        DType::BF16 => Element::BF16,
        other => Element::Other(format!("{other:?}")),
    }
}
