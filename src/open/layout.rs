//! Naming conventions of other programs for the parts of a network, one table each.

use std::collections::BTreeMap;

use super::part_numbers::PartNumbers;
use super::state_dict::{StateDict, StoredArray};
use crate::nn::BlockId;
use crate::text::excerpt;

/// A naming convention: pairs of the source name and the native name of a part. The source name is that of the file, the
/// native name that of this crate. `{s}`, `{k}` and `{n}` are the numbers of stage, block and layer from 1, `{s0}` and
/// `{k0}` the same from 0. Where a part has several source names, the most common comes first.
#[derive(Debug)]
pub(super) struct Layout {
    /// The name in reports.
    pub name: &'static str,
    parts: &'static [(&'static str, &'static str)],
    /// Whether the arrays of a part have PyTorch's names, such as `running_mean`, or those of this crate.
    is_foreign: bool,
}

/// The arrays of a file that a layout knows, by their native names.
pub(super) type KnownArrays<'a> = BTreeMap<String, &'a StoredArray>;

const NORM: &str = "stage{s}.block{k}.body.layer{n}.norm";
const LAYER: &str = "stage{s}.block{k}.body.layer{n}";
const SHORTCUT: &str = "stage{s}.block{k}.shortcut";
const SHORTCUT_NORM: &str = "stage{s}.block{k}.shortcut.norm";

/// The layout of ResNets whose shortcuts begin with a pooling, which has no arrays.
const RESNET_D: &str = "resnet-d";

/// All known layouts.
pub(super) const LAYOUTS: [Layout; 5] = [
    Layout {
        name: "resnet",
        parts: &[
            ("conv1", "stem"),
            ("bn1", "stem.norm"),
            ("conv1.0", "stem.layer1"),
            ("conv1.1", "stem.layer1.norm"),
            ("conv1.3", "stem.layer2"),
            ("conv1.4", "stem.layer2.norm"),
            ("conv1.6", "stem"),
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
        is_foreign: true,
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
        is_foreign: true,
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
        is_foreign: true,
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
            ("stem.layer{n}", "stem.layer{n}"),
            ("stem.layer{n}.norm", "stem.layer{n}.norm"),
            ("head.norm", "head.norm"),
            ("head", "head"),
        ],
        is_foreign: false,
    },
    Layout {
        name: RESNET_D,
        parts: &[
            ("conv1", "stem"),
            ("bn1", "stem.norm"),
            ("conv1.0", "stem.layer1"),
            ("conv1.1", "stem.layer1.norm"),
            ("conv1.3", "stem.layer2"),
            ("conv1.4", "stem.layer2.norm"),
            ("conv1.6", "stem"),
            ("layer{s}.{k0}.conv{n}", LAYER),
            ("layer{s}.{k0}.bn{n}", NORM),
            ("layer{s}.{k0}.downsample.1", SHORTCUT),
            ("layer{s}.{k0}.downsample.2", SHORTCUT_NORM),
            ("fc", "head"),
        ],
        is_foreign: true,
    },
];

/// Source and native names of the arrays of a normalization.
const NORM_ARRAYS: [(&str, &str); 4] =
    [("weight", "scale"), ("bias", "shift"), ("running_mean", "mean"), ("running_var", "variance")];
/// The training steps of a normalization, which inference does not use.
const COUNTER: &str = "num_batches_tracked";

impl Layout {
    /// Returns the layout that knows most of the names.
    ///
    /// The error says which layouts were tried.
    pub(super) fn of(state: &StateDict) -> Result<&'static Self, String> {
        // `max_by_key` returns the last of equals: reversed, an earlier layout is preferred.
        let counts = LAYOUTS.iter().map(|layout| (layout, layout.known_arrays(state).len()));
        match counts.rev().max_by_key(|(_, count)| *count) {
            Some((layout, count)) if count > 0 && 2 * count >= state.arrays.len() => Ok(layout),
            _ => Err(unknown(state)),
        }
    }

    /// Returns the arrays that the layout knows, by their native names.
    pub(super) fn known_arrays<'a>(&self, state: &'a StateDict) -> KnownArrays<'a> {
        let native = |array: &StoredArray| state.head_array(&array.name).or_else(|| self.native_name(&array.name));
        state.arrays.iter().filter_map(|array| Some((native(array)?, array))).collect()
    }

    /// Returns whether an array lies in a stage. What the network has no place for there takes part in what it computes.
    pub(super) fn is_in_trunk(&self, name: &str) -> bool {
        let Some((source, _)) = self.parts.iter().find(|(_, native)| *native == LAYER) else { return false };
        let end =
            source.find("{s").map_or(0, |start| source[start..].find('.').map_or(source.len(), |dot| start + dot));
        let (pattern, parts) = (&source[..end], source[..end].matches('.').count());
        let start = name.match_indices('.').nth(parts).map_or(name, |(dot, _)| &name[..dot]);
        PartNumbers::read(pattern, start).is_some()
    }

    /// Returns whether another program uses the layout. The blocks of such files are residual blocks.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// Returns whether the shortcuts of such networks average pixels before they project.
    pub(super) fn pools_shortcuts(&self) -> bool {
        self.name == RESNET_D
    }

    /// Returns the native name of an array of the file; `None` where the layout does not know it.
    pub(super) fn native_name(&self, name: &str) -> Option<String> {
        let (part, array) = name.rsplit_once('.')?;
        let (numbers, native) =
            self.parts.iter().find_map(|(source, native)| Some((PartNumbers::read(source, part)?, *native)))?;
        let array = self.array(native, array, |pair| pair)?;
        Some(format!("{}.{array}", numbers.write(native)))
    }

    /// Returns the name that the file has, or would have, for an array. Where the layout has several names for the part, it
    /// is the one that the file uses.
    pub(super) fn source_name(&self, name: &str, state: &StateDict) -> String {
        let own = || name.to_owned();
        let Some((part, array)) = name.rsplit_once('.') else { return own() };
        if let Some(head) = state.head.as_ref().filter(|_| part == "head") {
            return format!("{head}.{array}");
        }
        let fits = |(source, native): &(&'static str, &'static str)| {
            Some((PartNumbers::read(native, part)?, *source, *native))
        };
        let candidates: Vec<_> = self.parts.iter().filter_map(fits).collect();
        let is_used = |pattern: &str| {
            state
                .arrays
                .iter()
                .any(|a| a.name.rsplit_once('.').is_some_and(|(p, _)| PartNumbers::read(pattern, p).is_some()))
        };
        let used = candidates.iter().find(|(_, source, _)| candidates.len() == 1 || is_used(source));
        let Some((numbers, source, native)) = used.or(candidates.first()) else { return own() };
        match self.array(native, array, |(a, b)| (b, a)) {
            Some(array) => format!("{}.{array}", numbers.write(source)),
            None => own(),
        }
    }

    /// Returns the name that files of this layout have for a block, such as `layer1.0`.
    pub(super) fn block_name(&self, id: BlockId) -> Option<String> {
        let (source, _) = self.parts.iter().find(|(_, native)| *native == LAYER)?;
        let end = source.find("{k")?;
        let end = source[end..].find('.').map_or(source.len(), |dot| end + dot);
        let numbers = PartNumbers { stage: id.stage + 1, block: id.block + 1, layer: 0 };
        Some(numbers.write(&source[..end]))
    }

    /// Returns whether an array is the counter of a normalization that the layout knows.
    pub(super) fn is_counter(&self, name: &str) -> bool {
        let Some((part, COUNTER)) = name.rsplit_once('.') else { return false };
        self.parts.iter().any(|(source, native)| is_norm(native) && PartNumbers::read(source, part).is_some())
    }

    /// Translates the name of an array of a part; `turn` gives the pair of names to translate from and to.
    fn array(
        &self,
        native: &str,
        name: &str,
        turn: fn((&'static str, &'static str)) -> (&'static str, &'static str),
    ) -> Option<&'static str> {
        let own = NORM_ARRAYS.map(|(_, native)| (native, native));
        let layer = [("weight", "weight"), ("bias", "bias")];
        let pairs: &[(&str, &str)] = match (is_norm(native), self.is_foreign) {
            (true, true) => &NORM_ARRAYS,
            (true, false) => &own,
            (false, _) => &layer,
        };
        pairs.iter().map(|pair| turn(*pair)).find(|(from, _)| *from == name).map(|(_, to)| to)
    }
}

fn is_norm(native: &str) -> bool {
    native.ends_with(".norm")
}

fn unknown(state: &StateDict) -> String {
    let few: Vec<String> = state.arrays.iter().take(3).map(|a| format!("'{}'", excerpt(&a.name))).collect();
    if few.is_empty() {
        return "no arrays in it".into();
    }
    let layouts = LAYOUTS.map(|l| l.name).join(", ");
    let more = if state.arrays.len() > 3 { ", …" } else { "" };
    let names = few.join(", ");
    format!(
        "no layout that is known ({layouts}) has arrays named {names}{more}. {}",
        super::file_kinds::export(state.format)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_translated_there_and_back() {
        let state = StateDict::default();
        for (layout, source, native) in [
            (0, "conv1.weight", "stem.weight"),
            (0, "bn1.running_var", "stem.norm.variance"),
            (0, "layer2.0.bn3.bias", "stage2.block1.body.layer3.norm.shift"),
            (0, "layer4.11.downsample.0.weight", "stage4.block12.shortcut.weight"),
            (0, "fc.bias", "head.bias"),
            (1, "block3.layer.5.convShortcut.weight", "stage3.block6.shortcut.weight"),
            (1, "bn1.weight", "head.norm.scale"),
            (2, "stages.0.blocks.2.norm1.running_mean", "stage1.block3.body.layer1.norm.mean"),
            (2, "head.fc.weight", "head.weight"),
            (0, "conv1.4.bias", "stem.layer2.norm.shift"),
            (4, "layer4.11.downsample.2.weight", "stage4.block12.shortcut.norm.scale"),
            (3, "stage1.block2.transform.layer1.norm.shift", "stage1.block2.transform.layer1.norm.shift"),
        ] {
            let layout = &LAYOUTS[layout];
            assert_eq!(layout.native_name(source).as_deref(), Some(native), "{source}");
            assert_eq!(layout.source_name(native, &state), source, "{native}");
        }
    }

    #[test]
    fn blocks_are_named_as_in_the_file() {
        let id = BlockId { stage: 1, block: 3 };
        let names = LAYOUTS.each_ref().map(|layout| layout.block_name(id).unwrap());
        assert_eq!(names, ["layer2.3", "block2.layer.3", "stages.1.blocks.3", "stage2.block4", "layer2.3"]);
    }

    #[test]
    fn names_that_follow_no_pattern_are_not_translated() {
        for name in ["", "weight", "conv1", "conv1.weight.weight", "layer1.00.conv1.weight", "layer1.-1.conv1.weight"] {
            assert_eq!(LAYOUTS[0].native_name(name), None, "{name}");
        }
        assert_eq!(LAYOUTS[0].native_name("layer1.99999999999999999999.conv1.weight"), None);
        assert!(LAYOUTS[0].is_counter("layer1.0.bn1.num_batches_tracked"));
        assert!(!LAYOUTS[0].is_counter("layer1.0.conv1.num_batches_tracked"));
    }
}
