//! What a language model has beside its blocks.

use super::config::{ModelConfig, Width};
use super::resolve::{MOST, MOST_CHANNELS};
use super::table::{Family, Size};
use crate::{Error, Result};

/// What a language model has beside its blocks; the fields are those of [`ModelConfig`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CharLmConfig {
    pub maps: Vec<usize>,
    pub units: usize,
    pub characters: usize,
}

/// Fills in what a configuration leaves open; `None` for other networks.
///
/// # Errors
/// [`Error::Config`] for values that make no language model, and for its keys where the network is another.
pub(super) fn words(config: &ModelConfig) -> Result<Option<CharLmConfig>> {
    let wrong = |key: &str, what: &str| Err(Error::config(format!("model.{key}"), what));
    if config.kind.family() != Family::CharLmConfig {
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
    let others = [
        ("depth", config.depth.is_some(), "give model.blocks, such as [2]"),
        ("width", config.width.is_some_and(|w| !matches!(w, Width::Units(0))), "the sum of model.maps; give those"),
        ("body_scale", config.body_scale.is_some_and(|s| s != 1.0), "all weights of this kind start alike"),
    ];
    let size = config.size.unwrap_or(Size::Small);
    let maps = config.maps.clone().unwrap_or_else(|| size.maps());
    let units = config.units.unwrap_or(size.units());
    let characters = config.characters.unwrap_or(KIMS_CHARACTERS);
    if let Some((key, _, what)) = others.into_iter().find(|(key, given, _)| {
        // A resolved configuration names the width that its maps have.
        *given && !(*key == "width" && config.width == Some(Width::Units(maps.iter().sum())))
    }) {
        return wrong(key, what);
    }
    if maps.is_empty() || maps.len() > MOST_FILTER || maps.iter().any(|maps| !(1..=MOST).contains(maps)) {
        return wrong("maps", &format!("1 to {MOST_FILTER} numbers of 1 to {MOST} are needed, such as [25, 50, 75]"));
    }
    if !(1..=MOST).contains(&units) {
        return wrong("units", &format!("{units}: 1 to {MOST} are possible"));
    }
    if !(2..=MOST_CHANNELS).contains(&characters) {
        return wrong("characters", &format!("{characters}: at least none and one more are needed"));
    }
    Ok(Some(CharLmConfig { maps, units, characters }))
}

/// Of the Penn Treebank, as Kim et al. count them.
const KIMS_CHARACTERS: usize = 51;
/// Characters that the widest filter may see.
const MOST_FILTER: usize = 64;
