//! Floats in JSON, also those that JSON has no number for: `"NaN"`, `"inf"` and `"-inf"` are written as strings.
//!
//! A diverged network is a result like any other, and its file must be readable again. `null` would not do: it
//! already says that a figure is absent.

use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// What can be written with `#[serde(with = "exact")]`.
pub(crate) trait Exact: Sized {
    /// The form that is written.
    type Form: Serialize + for<'de> Deserialize<'de>;
    fn form(&self) -> Self::Form;
    fn read(form: Self::Form) -> std::result::Result<Self, String>;
}

pub(crate) fn serialize<T: Exact, S: Serializer>(value: &T, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    value.form().serialize(serializer)
}

pub(crate) fn deserialize<'de, T: Exact, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<T, D::Error> {
    T::read(T::Form::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// A number, or the name of what is none.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Form<T> {
    Number(T),
    Name(String),
}

impl Exact for f64 {
    type Form = Form<f64>;

    fn form(&self) -> Self::Form {
        if self.is_finite() { Form::Number(*self) } else { Form::Name(self.to_string()) }
    }

    fn read(form: Self::Form) -> std::result::Result<Self, String> {
        match form {
            Form::Number(value) => Ok(value),
            Form::Name(name) => match name.as_str() {
                "NaN" => Ok(Self::NAN),
                "inf" => Ok(Self::INFINITY),
                "-inf" => Ok(Self::NEG_INFINITY),
                _ => Err(format!("'{name}' is not a number; NaN, inf and -inf may stand as text")),
            },
        }
    }
}

/// The shortest decimal that is read back as the same `f32`: widened to `f64` it would be written with digits that say
/// nothing.
impl Exact for f32 {
    type Form = Form<f64>;

    fn form(&self) -> Self::Form {
        self.to_string().parse::<f64>().unwrap_or(f64::NAN).form()
    }

    fn read(form: Self::Form) -> std::result::Result<Self, String> {
        f64::read(form).map(|value| value as Self)
    }
}

impl<T: Exact> Exact for Vec<T> {
    type Form = Vec<T::Form>;

    fn form(&self) -> Self::Form {
        self.iter().map(T::form).collect()
    }

    fn read(form: Self::Form) -> std::result::Result<Self, String> {
        form.into_iter().map(T::read).collect()
    }
}

impl<T: Exact> Exact for Option<T> {
    type Form = Option<T::Form>;

    fn form(&self) -> Self::Form {
        self.as_ref().map(T::form)
    }

    fn read(form: Self::Form) -> std::result::Result<Self, String> {
        form.map(T::read).transpose()
    }
}

impl Exact for [f64; 2] {
    type Form = [Form<f64>; 2];

    fn form(&self) -> Self::Form {
        self.map(|value| value.form())
    }

    fn read([low, high]: Self::Form) -> std::result::Result<Self, String> {
        Ok([f64::read(low)?, f64::read(high)?])
    }
}
