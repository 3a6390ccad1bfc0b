//! The arrays of a file, listed without their values.

use burn::tensor::{DType, TensorData};

use crate::error::caught;
use crate::text::excerpt;

/// The element type of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ElementType {
    F64,
    F32,
    F16,
    BF16,
    /// Any other type, by its name. No parameter has such values.
    Other(String),
}

/// The format of the file that arrays are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ArrayFormat {
    #[default]
    PyTorch,
    Safetensors,
    /// Several safetensors files with an index.
    ShardedSafetensors,
}

impl ArrayFormat {
    /// Returns the line of Python that reads the arrays of such a file into a module.
    pub(super) fn read_in_python(self) -> &'static str {
        match self {
            Self::PyTorch => "model.load_state_dict(torch.load('FILE'))",
            Self::Safetensors => "safetensors.torch.load_model(model, 'FILE')",
            Self::ShardedSafetensors => "huggingface_hub.load_torch_model(model, 'DIRECTORY')",
        }
    }
}

type Read = Box<dyn Fn() -> std::io::Result<Vec<u8>>>;

/// An array of a file. Its values are read on demand.
pub(super) struct StoredArray {
    pub name: String,
    pub shape: Vec<usize>,
    pub element: ElementType,
    read: Read,
}

/// The arrays of a file, and what the file holds besides.
#[derive(Default)]
pub(super) struct StateDict {
    pub arrays: Vec<StoredArray>,
    pub format: ArrayFormat,
    /// The prefix that was removed from all names, such as `state_dict.module.`.
    pub prefix: String,
    /// The arrays without that prefix, with their whole names.
    pub outside: Vec<StoredArray>,
    /// The prefixes of the other networks of the file.
    pub other_networks: Vec<String>,
    /// The classifier, where it was found by its shape and not by its name.
    pub head: Option<String>,
    /// Arrays of modules that lie beside a classifier outside the prefix. The network has no place for them.
    pub beside_head: Vec<String>,
    /// The end of the prefix that names keep in a file that is written: where the classifier lies outside the prefix, its
    /// name and those of the other arrays differ in it.
    pub kept_prefix: String,
}

impl StateDict {
    /// Sorts arrays by their names.
    pub(super) fn new(mut arrays: Vec<StoredArray>, format: ArrayFormat) -> Self {
        arrays.sort_by(|a, b| a.name.cmp(&b.name));
        Self { arrays, format, ..Self::default() }
    }

    /// Returns the native name of an array of a classifier that was found by its shape; `None` for other arrays.
    pub(super) fn head_array(&self, name: &str) -> Option<String> {
        let array = name.strip_prefix(self.head.as_deref()?)?.strip_prefix('.')?;
        matches!(array, "weight" | "bias").then(|| format!("head.{array}"))
    }
}

impl StoredArray {
    pub(super) fn new(
        name: String,
        shape: Vec<usize>,
        element: ElementType,
        read: impl Fn() -> std::io::Result<Vec<u8>> + 'static,
    ) -> Self {
        Self { name, shape, element, read: Box::new(read) }
    }

    /// Returns the same array under another name.
    pub(super) fn renamed(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Returns the value of an array of one 64-bit integer; `None` for other arrays.
    pub(super) fn counter(&self) -> Option<i64> {
        let is_one = self.element == ElementType::Other("I64".into()) && self.shape.iter().product::<usize>() == 1;
        let bytes = if is_one { self.bytes().ok()? } else { return None };
        Some(i64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Reads the bytes of the values. The error says why they cannot be read, also where the code of others panics that does.
    fn bytes(&self) -> Result<Vec<u8>, String> {
        let read = caught(|| (self.read)()).map_err(|panic| format!("its decoder fails: {panic}"))?;
        read.map_err(|e| excerpt(&e.to_string()))
    }

    /// Reads the values as f32, row-major.
    ///
    /// The error says what is wrong with them, without the name of the array.
    pub(super) fn values(&self) -> Result<Vec<f32>, String> {
        let dtype = match &self.element {
            ElementType::F64 => DType::F64,
            ElementType::F32 => DType::F32,
            ElementType::F16 => DType::F16,
            ElementType::BF16 => DType::BF16,
            ElementType::Other(name) => return Err(format!("{name} values, expected floating point")),
        };
        let bytes = self.bytes()?;
        let count: usize = self.shape.iter().product();
        if bytes.len() != count * dtype.size() {
            return Err(format!("{} bytes, expected {}", bytes.len(), count * dtype.size()));
        }
        let data = TensorData::from_bytes_vec(bytes, [count], dtype).convert::<f32>();
        let values: Vec<f32> = data.try_into_vec().map_err(|e| excerpt(&format!("{e:?}")))?;
        match values.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(format!("value {at} is {}, expected finite numbers", values[at])),
            None => Ok(values),
        }
    }
}
