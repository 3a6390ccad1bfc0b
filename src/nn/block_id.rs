//! The identity of a block and its printed name.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// A block, by its stage and its position there, both counted from 0.
///
/// It prints, parses and serializes as `stage1.block2`, counted from 1.
///
/// ```
/// use unrolled::nn::BlockId;
///
/// let id: BlockId = "stage1.block2".parse()?;
/// assert_eq!(id, BlockId { stage: 0, block: 1 });
/// # Ok::<(), unrolled::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId {
    /// Stage, from 0.
    pub stage: usize,
    /// Block within the stage, from 0.
    pub block: usize,
}

impl BlockId {
    /// Splits a name such as `stage1.block2.body.layer1.weight` into its block and the rest, `body.layer1.weight`.
    ///
    /// Returns `None` if the name does not start with a block, or if one of its numbers is 0.
    pub fn split(name: &str) -> Option<(Self, &str)> {
        let (stage, rest) = name.strip_prefix("stage")?.split_once(".block")?;
        let (block, rest) = rest.split_once('.').unwrap_or((rest, ""));
        let index = |text: &str| text.parse::<usize>().ok()?.checked_sub(1);
        Some((Self { stage: index(stage)?, block: index(block)? }, rest))
    }
}

impl std::str::FromStr for BlockId {
    type Err = Error;

    /// # Errors
    /// [`Error::Argument`] if the text is not the name of a block.
    fn from_str(name: &str) -> Result<Self> {
        let found = Self::split(name).filter(|(_, rest)| rest.is_empty()).map(|(id, _)| id);
        found.ok_or_else(|| Error::argument("block", format!("'{name}' is not a block name such as stage1.block2")))
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage{}.block{}", self.stage + 1, self.block + 1)
    }
}

impl Serialize for BlockId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlockId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
