//! Equal parts of the samples.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One of several equal parts of the samples, such as `2/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which part, from 1.
    pub number: usize,
    /// How many parts there are.
    pub of: usize,
}

impl Shard {
    /// Returns the part of so many things that belongs to the shard.
    pub(crate) fn range(self, count: usize) -> Range<usize> {
        let start = |number: usize| count * number / self.of;
        start(self.number - 1)..start(self.number)
    }
}

impl std::str::FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err(Error::argument("shard", format!("'{text}', expected i/n with i from 1 to n, such as 2/8"))),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}
