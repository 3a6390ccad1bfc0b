//! The arrays of a file, listed but not yet read.

use burn::tensor::{DType, TensorData};

/// What a value of an array is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    BF16,
    /// Anything else: no parameter of a network here.
    Other(String),
}

type Read = Box<dyn Fn() -> std::io::Result<Vec<u8>>>;

/// One array; its values are read when they are asked for.
pub(super) struct Array {
    pub name: String,
    pub shape: Vec<usize>,
    pub element: Element,
    read: Read,
}

/// The arrays of a file, and what was found around them.
#[derive(Default)]
pub(super) struct StateDict {
    pub arrays: Vec<Array>,
    /// What was taken off every name, such as `state_dict.module.`.
    pub prefix: String,
    /// First parts of the names that stand beside the state dict, and how many arrays each has.
    pub beside: Vec<(String, usize)>,
}

impl StateDict {
    /// In the order of names, which no format promises.
    pub(super) fn new(mut arrays: Vec<Array>) -> Self {
        arrays.sort_by(|a, b| a.name.cmp(&b.name));
        Self { arrays, ..Self::default() }
    }
}

impl Array {
    pub(super) fn new(
        name: String,
        shape: Vec<usize>,
        element: Element,
        read: impl Fn() -> std::io::Result<Vec<u8>> + 'static,
    ) -> Self {
        Self { name, shape, element, read: Box::new(read) }
    }

    /// The one whole number that it is; `None` for anything else.
    pub(super) fn counter(&self) -> Option<i64> {
        let is_one = self.element == Element::Other("I64".into()) && self.shape.iter().product::<usize>() == 1;
        let bytes = if is_one { (self.read)().ok()? } else { return None };
        Some(i64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The values as f32, row-major.
    ///
    /// The error says what is wrong, without the array's name.
    pub(super) fn values(&self) -> Result<Vec<f32>, String> {
        let dtype = match &self.element {
            Element::F64 => DType::F64,
            Element::F32 => DType::F32,
            Element::F16 => DType::F16,
            Element::BF16 => DType::BF16,
            Element::Other(name) => return Err(format!("{name} values, expected floating point")),
        };
        let bytes = (self.read)().map_err(|e| one_line(&e.to_string()))?;
        let count: usize = self.shape.iter().product();
        if bytes.len() != count * dtype.size() {
            return Err(format!("{} bytes, expected {}", bytes.len(), count * dtype.size()));
        }
        let data = TensorData::from_bytes_vec(bytes, [count], dtype).convert::<f32>();
        let values: Vec<f32> = data.try_into_vec().map_err(|e| one_line(&format!("{e:?}")))?;
        match values.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(format!("value {at} is {}, expected finite numbers", values[at])),
            None => Ok(values),
        }
    }
}

/// Somebody else's words on one line: no more than one can read, and nothing that a terminal would obey.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "?");
    match line.char_indices().nth(240) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
