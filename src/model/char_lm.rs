//! The configuration of a character-aware language model (Kim et al. 2015; Section 5.2).

use serde::{Deserialize, Serialize};

use super::config::{ModelConfig, Width};
use super::kind::ModelFamily;
use super::validate::{MAX_CHANNELS, MAX_WIDTH};
use crate::{Error, Result};

/// Numbers of characters that stand for no letter: 0 is padding, 1 the start and 2 the end of a word, 3 an unknown letter.
/// The letters follow.
pub(super) const SPECIAL_CHARACTERS: usize = 4;

/// Default number of different characters: those of the Penn Treebank as counted by Kim et al. 2015.
const DEFAULT_CHARACTERS: usize = 51;
/// Maximum width of a filter, in characters.
const MAX_FILTER_WIDTH: usize = 64;

/// The two sizes of language model in Kim et al. 2015.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CharLmSize {
    /// Filters of one to six characters with 525 maps in total, LSTM layers of 300 units.
    Small,
    /// Filters of one to seven characters with 1100 maps in total, LSTM layers of 650 units.
    Large,
}

impl CharLmSize {
    /// Returns the number of maps of the filters of width 1, 2, and so on.
    fn maps(self) -> Vec<usize> {
        match self {
            Self::Small => vec![25, 50, 75, 100, 125, 150],
            Self::Large => vec![50, 100, 150, 200, 200, 200, 200],
        }
    }

    /// Returns the number of units of an LSTM layer.
    fn units(self) -> usize {
        match self {
            Self::Small => 300,
            Self::Large => 650,
        }
    }
}

/// The configuration of a language model's stem and head; the fields are those of [`ModelConfig`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CharLmConfig {
    pub maps: Vec<usize>,
    pub units: usize,
    pub characters: usize,
}

impl CharLmConfig {
    /// Fills in the keys that a configuration leaves open; returns `None` for other kinds of network.
    ///
    /// # Errors
    /// [`Error::Config`] if a value is out of range, if the configuration of a language model has a key that belongs to
    /// other kinds, or if that of another kind has one that belongs to language models.
    pub(super) fn resolve(config: &ModelConfig) -> Result<Option<Self>> {
        let wrong = |key: &str, what: &str| Err(Error::config(format!("model.{key}"), what));
        if config.kind.family() != ModelFamily::CharLm {
            let given = [
                ("size", config.size.is_some()),
                ("maps", config.maps.is_some()),
                ("units", config.units.is_some()),
                ("characters", config.characters.is_some()),
            ];
            return match given.into_iter().find(|(_, given)| *given) {
                Some((key, _)) => wrong(key, "belongs to the kind 'char-lm'"),
                None => Ok(None),
            };
        }
        let size = config.size.unwrap_or(CharLmSize::Small);
        let maps = config.maps.clone().unwrap_or_else(|| size.maps());
        let units = config.units.unwrap_or(size.units());
        let characters = config.characters.unwrap_or(DEFAULT_CHARACTERS);
        // A resolved configuration has the width that follows from its maps.
        let width = Width::Units(maps.iter().sum());
        let has_other_width = config.width.is_some_and(|given| given != Width::Units(0) && given != width);
        if config.depth.is_some() {
            return wrong("depth", "give model.blocks, such as [2]");
        }
        if has_other_width {
            return wrong("width", "the sum of model.maps; give those");
        }
        if config.body_scale.is_some_and(|scale| scale != 1.0) {
            return wrong("body_scale", "all weights of this kind start alike");
        }
        if maps.is_empty() || maps.len() > MAX_FILTER_WIDTH || maps.iter().any(|maps| !(1..=MAX_WIDTH).contains(maps)) {
            let what = format!("1 to {MAX_FILTER_WIDTH} numbers of 1 to {MAX_WIDTH} are needed, such as [25, 50, 75]");
            return wrong("maps", &what);
        }
        if !(1..=MAX_WIDTH).contains(&units) {
            return wrong("units", &format!("{units}: 1 to {MAX_WIDTH} are possible"));
        }
        if !(2..=MAX_CHANNELS).contains(&characters) {
            return wrong("characters", &format!("{characters}: at least the padding and one more are needed"));
        }
        Ok(Some(Self { maps, units, characters }))
    }
}
