//! Serializes floats to JSON. NaN and infinities, which are no JSON numbers, become the strings `"NaN"`, `"inf"` and
//! `"-inf"`.
//!
//! The results of a network that diverged must be readable again. `null` cannot stand for NaN: it means that a value is
//! missing.

use serde::de::{Deserializer, Error as _};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// A type that can be serialized with `#[serde(with = "float_json")]`.
pub(crate) trait FloatJson: Sized {
    /// The type that is serialized in its place.
    type Json: Serialize + for<'de> Deserialize<'de>;
    fn to_json(&self) -> Self::Json;
    fn from_json(json: Self::Json) -> std::result::Result<Self, String>;
}

pub(crate) fn serialize<T: FloatJson, S: Serializer>(value: &T, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    value.to_json().serialize(serializer)
}

pub(crate) fn deserialize<'de, T: FloatJson, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    T::from_json(T::Json::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Returns NaN, for fields that files of earlier versions do not have: `#[serde(default = "float_json::nan")]`.
pub(crate) fn nan() -> f64 {
    f64::NAN
}

/// A number, or the name of a value that is no number.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum NumberOrName<T> {
    Number(T),
    Name(String),
}

impl FloatJson for f64 {
    type Json = NumberOrName<f64>;

    fn to_json(&self) -> Self::Json {
        if self.is_finite() { NumberOrName::Number(*self) } else { NumberOrName::Name(self.to_string()) }
    }

    fn from_json(json: Self::Json) -> std::result::Result<Self, String> {
        match json {
            NumberOrName::Number(value) => Ok(value),
            NumberOrName::Name(name) => match name.as_str() {
                "NaN" => Ok(Self::NAN),
                "inf" => Ok(Self::INFINITY),
                "-inf" => Ok(Self::NEG_INFINITY),
                _ => Err(format!("'{name}' is not a number; NaN, inf and -inf may stand as text")),
            },
        }
    }
}

/// The shortest decimal that is read back as the same `f32`. Widened to `f64` the value would be written with digits that
/// mean nothing.
impl FloatJson for f32 {
    type Json = NumberOrName<f64>;

    fn to_json(&self) -> Self::Json {
        self.to_string().parse::<f64>().unwrap_or(f64::NAN).to_json()
    }

    fn from_json(json: Self::Json) -> std::result::Result<Self, String> {
        f64::from_json(json).map(|value| value as Self)
    }
}

impl<T: FloatJson> FloatJson for Vec<T> {
    type Json = Vec<T::Json>;

    fn to_json(&self) -> Self::Json {
        self.iter().map(T::to_json).collect()
    }

    fn from_json(json: Self::Json) -> std::result::Result<Self, String> {
        json.into_iter().map(T::from_json).collect()
    }
}

impl<T: FloatJson> FloatJson for Option<T> {
    type Json = Option<T::Json>;

    fn to_json(&self) -> Self::Json {
        self.as_ref().map(T::to_json)
    }

    fn from_json(json: Self::Json) -> std::result::Result<Self, String> {
        json.map(T::from_json).transpose()
    }
}

impl FloatJson for [f64; 2] {
    type Json = [NumberOrName<f64>; 2];

    fn to_json(&self) -> Self::Json {
        self.map(|value| value.to_json())
    }

    fn from_json([low, high]: Self::Json) -> std::result::Result<Self, String> {
        Ok([f64::from_json(low)?, f64::from_json(high)?])
    }
}
