//! Samples from Python: arrays, or the name of a data set.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use unrolled::data::{Dataset, ResizeCrop, Split};
use unrolled::measure::EvalSet;
use unrolled::nn::{Answer, AnswerKind, Network};
use unrolled::open::{AnyNetwork, EvalSetOptions};
use unrolled::{Error, Result};

use crate::arrays::{ElementType, View};
use crate::dlpack;
use crate::errors::argument;

/// Samples before it is known which network takes them.
pub(crate) enum Source {
    /// A data set by name, and what a report calls the part of it.
    Options(Box<EvalSetOptions>, String),
    /// The name of the samples in messages, their arrays, and the first of these that holds bytes of images.
    Arrays(String, Vec<(String, Vec<usize>, Vec<f32>)>, Option<String>),
}

/// A data set by name: what it is, the split, the number of samples, the sizes of images.
type Named = (String, String, usize, Option<usize>, Option<usize>);

impl Source {
    /// Reads a named data set, or a list of arrays with their names. The labels are named `labels`.
    pub(crate) fn read(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = data.py();
        if let Ok((spec, split, limit, resize, crop)) = data.extract::<Named>() {
            let open = || {
                let split = match split.as_str() {
                    "train" => Split::Train,
                    "valid" => Split::Valid,
                    "test" => Split::Test,
                    other => return Err(Error::unknown("split", other, ["train", "valid", "test"])),
                };
                Ok(EvalSet::open(&spec)?.split(split).limit(limit).view(ResizeCrop { resize, crop }))
            };
            let options = open().map_err(|error| crate::errors::to_python(py, &error))?;
            let part = match split.as_str() {
                _ if spec.starts_with("arrays:") => "with labels".to_owned(),
                "valid" => "validation split".to_owned(),
                "train" => "training split".to_owned(),
                _ => "test split".to_owned(),
            };
            return Ok(Self::Options(Box::new(options), part));
        }
        let (mut arrays, mut bytes) = (Vec::new(), None);
        for item in data.try_iter()? {
            let (name, object): (String, Bound<'_, PyAny>) = item?.extract()?;
            let (shape, values) = read_array(&name, &object)?;
            bytes = bytes.or_else(|| are_bytes_of_images(&object, &shape).then(|| name.clone()));
            arrays.push((name, shape, values));
        }
        let names = arrays.iter().map(|(name, ..)| name.as_str()).filter(|name| *name != "labels");
        Ok(Self::Arrays(names.collect::<Vec<_>>().join(", "), arrays, bytes))
    }

    /// Returns the samples as a network takes them, and what a report calls them. Labels that are missing are not filled in.
    pub(crate) fn for_network(self, network: &mut AnyNetwork, batch: usize) -> Result<(EvalSet, String)> {
        match self {
            Self::Options(options, part) => {
                let data = options.clone().batch(batch).unlabelled_for_network(network)?;
                let name = describe(options.name(), &data, &*network, &part);
                Ok((data, name))
            }
            Self::Arrays(name, arrays, bytes) => {
                if let Some(bytes) = bytes.filter(|_| network.is_foreign() || network.takes_floats_alone()) {
                    let why =
                        "holds bytes (uint8): pass what the network takes, such as x / 255, normalized, as float32";
                    return Err(Error::mismatch(bytes, why));
                }
                let data = EvalSet::fit(Dataset::from_named_arrays(arrays)?, &name, batch, network)?;
                let name = describe(&name, &data, &*network, "with labels");
                Ok((data, name))
            }
        }
    }
}

/// Returns whether an array holds bytes of images, which only networks take that were trained with them.
fn are_bytes_of_images(object: &Bound<'_, PyAny>, shape: &[usize]) -> bool {
    let are_images = matches!(shape, [_, _, height, width] if height * width > 1);
    // Arrays name their type; what has a buffer alone comes as bytes, format, size and shape.
    let element = object.getattr("dtype").or_else(|_| object.get_item(1)).and_then(|element| element.str());
    let element = element.map(|element| element.to_string()).unwrap_or_default();
    are_images && (element.ends_with("uint8") || element == "B")
}

/// Returns the data as a report names them, as the program does.
pub(crate) fn describe<N: Network>(name: &str, data: &EvalSet, network: &N, labelled: &str) -> String {
    let (answer, values) = (network.outline().answer, network.outline().classes);
    let part = match answer.kind {
        AnswerKind::Classes if data.dataset.is_labelled() => labelled,
        AnswerKind::Classes => "without labels: accuracy is agreement with the whole network, loss divergence from it",
        _ => "compared with the answers of the whole network",
    };
    let answers = if answer == Answer::default() { String::new() } else { format!("; {}", answer.describe(values)) };
    format!("{name}, {part}{answers}")
}

/// Returns the CRC-32 of an array of bytes with `__dlpack__`, continued from `start`.
#[pyfunction]
pub(crate) fn crc32(array: &Bound<'_, PyAny>, start: u32) -> PyResult<u32> {
    let sum = |view: &View<'_>| {
        let bytes = view.bytes().ok_or_else(|| "holds no bytes side by side".to_owned())?;
        let mut sum = crc32fast::Hasher::new_with_initial(start);
        sum.update(bytes);
        Ok(sum.finalize())
    };
    dlpack::with_view(array, sum)?.map_err(|why| argument(array.py(), "array", why))
}

/// Continues a CRC-32 for each sample with its bytes in an array with `__dlpack__`, whose bytes are divided equally between
/// them.
#[pyfunction]
pub(crate) fn crc32_rows(array: &Bound<'_, PyAny>, starts: Vec<u32>) -> PyResult<Vec<u32>> {
    let sums = |view: &View<'_>| {
        let bytes = view.bytes().ok_or_else(|| "holds no bytes side by side".to_owned())?;
        let size = bytes.len() / starts.len().max(1);
        let sum = |(row, &start): (usize, &u32)| {
            let mut sum = crc32fast::Hasher::new_with_initial(start);
            sum.update(&bytes[row * size..][..size]);
            sum.finalize()
        };
        Ok(starts.iter().enumerate().map(sum).collect())
    };
    dlpack::with_view(array, sums)?.map_err(|why: String| argument(array.py(), "array", why))
}

/// Returns shape and values of an array: an object with `__dlpack__`, or the bytes, the format and the shape of a
/// `memoryview`. `name` is for messages.
pub(crate) fn read_array(name: &str, object: &Bound<'_, PyAny>) -> PyResult<(Vec<usize>, Vec<f32>)> {
    let py = object.py();
    let read = |view: &View<'_>| Ok((view.shape().to_vec(), view.values()?));
    let outcome = match object.extract::<(Bound<'_, PyBytes>, Bound<'_, PyString>, usize, Vec<usize>)>() {
        Ok((bytes, format, size, shape)) => {
            let format = format.to_string();
            ElementType::of_format(&format, size)
                .ok_or_else(|| {
                    format!("holds elements of the format '{format}', expected integers, floats or truth values")
                })
                .and_then(|element| {
                    View::of_bytes(bytes.as_bytes(), element, shape).ok_or_else(|| "is not whole".to_owned())
                })
                .and_then(|view| read(&view))
        }
        Err(_) => dlpack::with_view(object, read)?,
    };
    outcome.map_err(|why| argument(py, name, why))
}
