//! Finds the layers that a user names.

use std::path::Path;

use super::numbering::Numbering;
use super::{CheckpointFolder, LayerOptions, Removal};
use crate::nn::BlockId;
use crate::report::counted;
use crate::slim::RemovalPlan;
use crate::{Error, Result};

impl CheckpointFolder {
    /// Decides what the removal of the layers in a plan changes; `path` is for messages. The plan has to be for one stage, with as
    /// many blocks as there are layers. Its name of the network is whatever the program that wrote it calls it, and is not
    /// compared.
    ///
    /// # Errors
    /// [`Error::File`] for a plan of another number of blocks, or that names no layer; otherwise as
    /// [`CheckpointFolder::removal`].
    pub fn planned_removal(&self, path: &Path, plan: &RemovalPlan, options: &LayerOptions) -> Result<Removal> {
        let list = self.list_of(&plan.remove, options)?;
        if plan.blocks != [list.depth()] {
            let layers = counted(list.depth(), "layer");
            let what = format!("a plan for {} with stages of {:?} blocks", plan.network, plan.blocks);
            return Err(Error::file(path, format!("{what}, {} has {layers}", list.prefix)));
        }
        self.removal(&plan.remove, options).map_err(|error| match error {
            Error::Unknown { .. } => Error::file(path, format!("remove: {error}")),
            Error::Argument { why, .. } => Error::file(path, format!("remove: {why}")),
            other => other,
        })
    }

    /// Returns the list of layers that some names speak of, or that the options name, or the only one whose length the
    /// configuration has.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a list that is not there, [`Error::File`] where it is open which list is meant.
    pub(super) fn list_of(&self, names: &[String], options: &LayerOptions) -> Result<&Numbering> {
        let lists = self.lists();
        if let Some(prefix) = &options.layers {
            let found = lists.iter().find(|list| list.prefix == *prefix);
            let known = || lists.iter().map(|list| list.prefix.clone());
            return found.copied().ok_or_else(|| Error::unknown("list of layers", prefix.as_str(), known()));
        }
        let is_named = |list: &&&Numbering| names.iter().any(|name| number_in(list, name).is_some());
        let has_keys = |list: &&&Numbering| self.keys_of(list, options).is_ok();
        let mut fitting: Vec<&Numbering> = lists.iter().filter(is_named).copied().collect();
        if fitting.is_empty() {
            fitting = lists.iter().filter(has_keys).copied().collect();
        }
        match (fitting.as_slice(), lists.first()) {
            ([one], _) => Ok(one),
            ([], Some(largest)) => self.keys_of(largest, options).map(|_| *largest),
            ([], None) => Err(Error::file(&self.path, "no layers: no list of modules is in the names of its arrays")),
            (several, _) => {
                let names: Vec<&str> = several.iter().map(|list| list.prefix.as_str()).collect();
                let what = format!("layers in {}; name one of them with --layers", names.join(" and in "));
                Err(Error::file(&self.path, what))
            }
        }
    }
}

/// Returns the numbers of the layers of these names, in ascending order: `stage1.block3`, or `model.layers.2`.
///
/// # Errors
/// [`Error::Unknown`] for a name of no layer.
pub(super) fn layers_by_name(names: &[String], list: &Numbering) -> Result<Vec<usize>> {
    let number = |name: &String| {
        let block: Option<BlockId> = name.parse().ok();
        let number = match block {
            Some(block) => (block.stage == 0 && block.to_string() == *name).then_some(block.block),
            None => number_in(list, name),
        };
        let known = || (0..list.depth()).map(|number| list.name(number));
        number.filter(|number| *number < list.depth()).ok_or_else(|| Error::unknown("layer", name.as_str(), known()))
    };
    let mut numbers = names.iter().map(number).collect::<Result<Vec<usize>>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// Returns the number in the name of a layer of this list, in whole or from any of its parts on: a network within another one
/// has the names of the outer one's arrays, `transformer.h.2` and `h.2`.
fn number_in(list: &Numbering, name: &str) -> Option<usize> {
    let (prefix, number) = name.rsplit_once('.').unwrap_or(("", name));
    let ends_with = |long: &str, short: &str| long == short || long.ends_with(&format!(".{short}"));
    let is_same = ends_with(prefix, &list.prefix) || ends_with(&list.prefix, prefix);
    if is_same { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::numbering::find_numberings;
    use super::*;

    #[test]
    fn layers_have_the_names_of_blocks_and_of_modules() {
        let lists = find_numberings(["transformer.h.0.w", "transformer.h.1.w", "transformer.h.2.w"]);
        let numbers = |names: &[&str]| {
            layers_by_name(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &lists[0])
        };
        assert_eq!(numbers(&["stage1.block3", "transformer.h.0", "h.0"]).unwrap(), [0, 2]);
        assert_eq!(numbers(&["model.transformer.h.1"]).unwrap(), [1]);
        for wrong in ["stage2.block1", "stage1.block4", "transformer.h.3", "model.layers.1", "h", "stage1.block0"] {
            assert!(numbers(&[wrong]).unwrap_err().to_string().starts_with("unknown layer"), "{wrong}");
        }
    }
}
