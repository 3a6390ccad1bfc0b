//! How others name the parts of the same network, as one table a layout.

use std::collections::BTreeMap;

use super::arrays::{Array, StateDict};

/// A naming: pairs of their name of a part and ours. `{s}`, `{k}` and `{n}` are the numbers of stage, block and layer,
/// `{s0}` and `{k0}` the same counted from 0. Where a part has several names, the likeliest comes first.
#[derive(Debug)]
pub(super) struct Layout {
    /// How reports name it.
    pub name: &'static str,
    parts: &'static [(&'static str, &'static str)],
    /// Whether the arrays of a part are named as in PyTorch or as in our files.
    foreign: bool,
}

/// The arrays that a layout knows, by our names.
pub(super) type Known<'a> = BTreeMap<String, &'a Array>;

const NORM: &str = "stage{s}.block{k}.body.layer{n}.norm";
const LAYER: &str = "stage{s}.block{k}.body.layer{n}";
const SHORTCUT: &str = "stage{s}.block{k}.shortcut";
const SHORTCUT_NORM: &str = "stage{s}.block{k}.shortcut.norm";

/// All that are known.
pub(super) const LAYOUTS: [Layout; 4] = [
    Layout {
        name: "resnet",
        parts: &[
            ("conv1", "stem"),
            ("bn1", "stem.norm"),
            ("layer{s}.{k0}.conv{n}", LAYER),
            ("layer{s}.{k0}.bn{n}", NORM),
            ("layer{s}.{k0}.downsample.0", SHORTCUT),
            ("layer{s}.{k0}.downsample.1", SHORTCUT_NORM),
            ("layer{s}.{k0}.shortcut.0", SHORTCUT),
            ("layer{s}.{k0}.shortcut.1", SHORTCUT_NORM),
            ("bn", "head.norm"),
            ("fc", "head"),
            ("linear", "head"),
        ],
        foreign: true,
    },
    Layout {
        name: "wide-resnet",
        parts: &[
            ("conv1", "stem"),
            ("block{s}.layer.{k0}.bn{n}", NORM),
            ("block{s}.layer.{k0}.conv{n}", LAYER),
            ("block{s}.layer.{k0}.convShortcut", SHORTCUT),
            ("bn1", "head.norm"),
            ("fc", "head"),
        ],
        foreign: true,
    },
    Layout {
        name: "timm-resnetv2",
        parts: &[
            ("stem.conv", "stem"),
            ("stages.{s0}.blocks.{k0}.norm{n}", NORM),
            ("stages.{s0}.blocks.{k0}.conv{n}", LAYER),
            ("stages.{s0}.blocks.{k0}.downsample.conv", SHORTCUT),
            ("norm", "head.norm"),
            ("head.fc", "head"),
        ],
        foreign: true,
    },
    Layout {
        name: "unrolled",
        parts: &[
            ("stem", "stem"),
            ("stem.norm", "stem.norm"),
            (LAYER, LAYER),
            (NORM, NORM),
            ("stage{s}.block{k}.transform.layer{n}", "stage{s}.block{k}.transform.layer{n}"),
            ("stage{s}.block{k}.transform.layer{n}.norm", "stage{s}.block{k}.transform.layer{n}.norm"),
            ("stage{s}.block{k}.carry.layer{n}", "stage{s}.block{k}.carry.layer{n}"),
            ("stage{s}.block{k}.carry.layer{n}.norm", "stage{s}.block{k}.carry.layer{n}.norm"),
            (SHORTCUT, SHORTCUT),
            (SHORTCUT_NORM, SHORTCUT_NORM),
            ("head.norm", "head.norm"),
            ("head", "head"),
        ],
        foreign: false,
    },
];

/// Names of the arrays of a normalization, theirs and ours.
const NORM_ARRAYS: [(&str, &str); 4] =
    [("weight", "scale"), ("bias", "shift"), ("running_mean", "mean"), ("running_var", "variance")];
/// How often a normalization was trained; it takes no part in what a network computes.
const COUNTER: &str = "num_batches_tracked";

impl Layout {
    /// The layout that knows most of the names, with the arrays that it knows.
    ///
    /// The error says what was looked for.
    pub(super) fn of(state: &StateDict) -> Result<(&'static Self, Known<'_>), String> {
        let known = |layout: &'static Self| {
            let named = state.arrays.iter().filter_map(|array| Some((layout.ours(&array.name)?, array)));
            (layout, named.collect::<Known>())
        };
        // Of equals the first, so that a table's order is a preference.
        let best = LAYOUTS.iter().map(known).rev().max_by_key(|(_, known)| known.len());
        match best {
            Some((layout, known)) if !known.is_empty() && 2 * known.len() >= state.arrays.len() => Ok((layout, known)),
            _ => Err(unknown(state)),
        }
    }

    /// Whether a file of this layout says by its names alone that blocks are residual.
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Our name of their array; `None` where the layout has none.
    pub(super) fn ours(&self, name: &str) -> Option<String> {
        let (part, array) = name.rsplit_once('.')?;
        let (place, ours) = self.parts.iter().find_map(|(theirs, ours)| Some((Place::read(theirs, part)?, *ours)))?;
        let array = self.array(ours, array, |pair| pair)?;
        Some(format!("{}.{array}", place.write(ours)))
    }

    /// Their name of our array, in the spelling that the file uses where there are several.
    pub(super) fn theirs(&self, name: &str, state: &StateDict) -> String {
        let own = || name.to_owned();
        let Some((part, array)) = name.rsplit_once('.') else { return own() };
        let fits = |(theirs, ours): &(&'static str, &'static str)| Some((Place::read(ours, part)?, *theirs, *ours));
        let candidates: Vec<_> = self.parts.iter().filter_map(fits).collect();
        let is_used = |pattern: &str| {
            state.arrays.iter().any(|a| a.name.rsplit_once('.').is_some_and(|(p, _)| Place::read(pattern, p).is_some()))
        };
        let used = candidates.iter().find(|(_, theirs, _)| candidates.len() == 1 || is_used(theirs));
        let Some((place, theirs, ours)) = used.or(candidates.first()) else { return own() };
        match self.array(ours, array, |(a, b)| (b, a)) {
            Some(array) => format!("{}.{array}", place.write(theirs)),
            None => own(),
        }
    }

    /// Whether an array is a counter of a normalization that the layout knows.
    pub(super) fn is_counter(&self, name: &str) -> bool {
        let Some((part, COUNTER)) = name.rsplit_once('.') else { return false };
        self.parts.iter().any(|(theirs, ours)| is_norm(ours) && Place::read(theirs, part).is_some())
    }

    fn array(
        &self,
        ours: &str,
        name: &str,
        turn: fn((&'static str, &'static str)) -> (&'static str, &'static str),
    ) -> Option<&'static str> {
        let own = NORM_ARRAYS.map(|(_, ours)| (ours, ours));
        let layer = [("weight", "weight"), ("bias", "bias")];
        let pairs: &[(&str, &str)] = match (is_norm(ours), self.foreign) {
            (true, true) => &NORM_ARRAYS,
            (true, false) => &own,
            (false, _) => &layer,
        };
        pairs.iter().map(|pair| turn(*pair)).find(|(from, _)| *from == name).map(|(_, to)| to)
    }
}

fn is_norm(ours: &str) -> bool {
    ours.ends_with(".norm")
}

fn unknown(state: &StateDict) -> String {
    let few: Vec<String> =
        state.arrays.iter().take(3).map(|a| format!("'{}'", super::arrays::one_line(&a.name))).collect();
    if few.is_empty() {
        return "no arrays in it".into();
    }
    let layouts = LAYOUTS.map(|l| l.name).join(", ");
    let more = if state.arrays.len() > 3 { ", …" } else { "" };
    format!("no layout that is known ({layouts}) has arrays named {}{more}", few.join(", "))
}

/// The numbers in a name, counted from 1; 0 for those that it does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub stage: usize,
    pub block: usize,
    pub layer: usize,
}

impl Place {
    /// Reads a name that follows a pattern.
    pub(super) fn read(pattern: &str, name: &str) -> Option<Self> {
        let mut place = Self::default();
        let mut rest = name;
        for (n, part) in pattern.split('.').enumerate() {
            if n > 0 {
                rest = rest.strip_prefix('.')?;
            }
            let (found, after) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
            rest = after;
            let Some((before, variable)) = part.split_once('{') else {
                if found != part {
                    return None;
                }
                continue;
            };
            let number = number(found.strip_prefix(before)?)?;
            match variable {
                "s}" => place.stage = number,
                "s0}" => place.stage = number + 1,
                "k}" => place.block = number,
                "k0}" => place.block = number + 1,
                _ => place.layer = number,
            }
        }
        rest.is_empty().then_some(place)
    }

    fn write(self, pattern: &str) -> String {
        let Self { stage, block, layer } = self;
        [
            ("{s}", stage),
            ("{s0}", stage.saturating_sub(1)),
            ("{k}", block),
            ("{k0}", block.saturating_sub(1)),
            ("{n}", layer),
        ]
        .iter()
        .fold(pattern.to_owned(), |name, (variable, number)| name.replace(variable, &number.to_string()))
    }
}

/// A number as programs write it: no sign, no leading zero, not absurdly large.
fn number(text: &str) -> Option<usize> {
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= 6 && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_translated_there_and_back() {
        let state = StateDict::default();
        for (layout, theirs, ours) in [
            (0, "conv1.weight", "stem.weight"),
            (0, "bn1.running_var", "stem.norm.variance"),
            (0, "layer2.0.bn3.bias", "stage2.block1.body.layer3.norm.shift"),
            (0, "layer4.11.downsample.0.weight", "stage4.block12.shortcut.weight"),
            (0, "fc.bias", "head.bias"),
            (1, "block3.layer.5.convShortcut.weight", "stage3.block6.shortcut.weight"),
            (1, "bn1.weight", "head.norm.scale"),
            (2, "stages.0.blocks.2.norm1.running_mean", "stage1.block3.body.layer1.norm.mean"),
            (2, "head.fc.weight", "head.weight"),
            (3, "stage1.block2.transform.layer1.norm.shift", "stage1.block2.transform.layer1.norm.shift"),
        ] {
            let layout = &LAYOUTS[layout];
            assert_eq!(layout.ours(theirs).as_deref(), Some(ours), "{theirs}");
            assert_eq!(layout.theirs(ours, &state), theirs, "{ours}");
        }
    }

    #[test]
    fn what_no_pattern_has_is_not_translated() {
        for name in ["", "weight", "conv1", "conv1.weight.weight", "layer1.00.conv1.weight", "layer1.-1.conv1.weight"] {
            assert_eq!(LAYOUTS[0].ours(name), None, "{name}");
        }
        assert_eq!(LAYOUTS[0].ours("layer1.99999999999999999999.conv1.weight"), None);
        assert!(LAYOUTS[0].is_counter("layer1.0.bn1.num_batches_tracked"));
        assert!(!LAYOUTS[0].is_counter("layer1.0.conv1.num_batches_tracked"));
    }
}
