//! The plan file: the blocks to remove, to be read, edited and applied again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::nn::BlockId;
use crate::nn::Outline;
use crate::text::{toml_message, without_byte_order_mark};
use crate::{Error, Result};

/// The blocks to remove from a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovalPlan {
    /// The name of the network, as in its outline.
    pub network: String,
    /// The number of blocks of each stage.
    pub blocks: Vec<usize>,
    /// Seed that halves the samples. Where the plan is applied, the half that selected the blocks is not used for scores.
    #[serde(default)]
    pub seed: u64,
    /// Names of the blocks to remove.
    pub remove: Vec<String>,
}

const HEADER: &str = "# A plan of `unrolled slim`. Edit `remove` and apply it with --plan FILE.\n";

impl RemovalPlan {
    /// Returns the plan to remove some blocks of a network.
    pub fn new(outline: &Outline, removed: &[BlockId], seed: u64) -> Self {
        Self {
            network: outline.name.clone(),
            blocks: outline.stages.iter().map(|stage| stage.blocks.len()).collect(),
            seed,
            remove: removed.iter().map(ToString::to_string).collect(),
        }
    }

    /// Reads the text of a plan file; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::File`] for a text that is no plan.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let text = without_byte_order_mark(text);
        toml::from_str(text).map_err(|e| Error::file(path, format!("no plan: {}", toml_message(&e, text))))
    }

    /// Returns the text of the plan file, with one block a line.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        let text = toml::to_string_pretty(self).map_err(|e| Error::unsupported("plan", e.to_string()))?;
        Ok(HEADER.to_owned() + &text)
    }

    /// Returns the blocks to remove from a network; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::File`] for a plan of another network, or a block that the network does not have.
    pub fn removed(&self, path: &Path, outline: &Outline) -> Result<Vec<BlockId>> {
        let blocks: Vec<usize> = outline.stages.iter().map(|stage| stage.blocks.len()).collect();
        if (&self.network, &self.blocks) != (&outline.name, &blocks) {
            let what = format!(
                "a plan for {} with stages of {:?} blocks, this is {} with {blocks:?}",
                self.network, self.blocks, outline.name
            );
            return Err(Error::file(path, what));
        }
        blocks_by_name(&self.remove, outline).map_err(|e| Error::file(path, format!("remove: {}", in_list(&e))))
    }
}

/// Returns the blocks of these names. A block that is named twice counts once.
///
/// # Errors
/// [`Error::Unknown`] for a name of no block, [`Error::Argument`] for an empty list.
pub fn blocks_by_name(names: &[String], outline: &Outline) -> Result<Vec<BlockId>> {
    let known = || outline.stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.id.to_string());
    let mut blocks = Vec::new();
    for name in names {
        let at =
            BlockId::split(name).map(|(at, _)| at).filter(|at| at.to_string() == *name && known().any(|k| k == *name));
        let at = at.ok_or_else(|| Error::unknown("block", name.as_str(), known()))?;
        if !blocks.contains(&at) {
            blocks.push(at);
        }
    }
    if blocks.is_empty() { Err(Error::argument("blocks", "no block is named")) } else { Ok(blocks) }
}

/// The message of an error about the list of blocks, without the name of the argument.
fn in_list(error: &Error) -> String {
    match error {
        Error::Argument { why, .. } => why.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Outline;

    fn outline() -> Outline {
        use crate::model::{Model, ModelConfig, ModelKind};
        use crate::nn::Network;
        let config = ModelConfig::new(ModelKind::Resnet).with_depth(14).with_width(2);
        Model::new(&config, [3, 8, 8], 3, 0, &burn::tensor::Device::flex()).unwrap().outline().clone()
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let plan = RemovalPlan::new(&outline(), &[BlockId { stage: 2, block: 1 }, BlockId { stage: 0, block: 0 }], 3);
        let text = plan.to_toml().unwrap();
        assert_eq!(RemovalPlan::parse(Path::new("p"), &text).unwrap(), plan);
        assert!(text.starts_with(HEADER) && text.contains("\n    \"stage3.block2\",\n"), "{text}");
        let removed = plan.removed(Path::new("p"), &outline()).unwrap();
        assert_eq!(removed, [BlockId { stage: 2, block: 1 }, BlockId { stage: 0, block: 0 }]);
    }

    #[test]
    fn plans_of_other_networks_are_refused() {
        let plan = RemovalPlan::new(&outline(), &[BlockId { stage: 0, block: 1 }], 0);
        let message = |plan: RemovalPlan| plan.removed(Path::new("p"), &outline()).unwrap_err().to_string();
        let other = RemovalPlan { network: "resnet-20 residual, width 16".into(), blocks: vec![3; 3], ..plan.clone() };
        assert_eq!(
            message(other),
            "p: a plan for resnet-20 residual, width 16 with stages of [3, 3, 3] blocks, this is resnet-14 residual, \
             width 2 with [2, 2, 2]"
        );
        let misspelt = RemovalPlan { remove: vec!["stage1.blok2".into()], ..plan.clone() };
        assert_eq!(message(misspelt), "p: remove: unknown block 'stage1.blok2', did you mean 'stage1.block2'?");
        let beyond = RemovalPlan { remove: vec!["stage1.block3".into()], ..plan.clone() };
        assert!(message(beyond).starts_with("p: remove: unknown block 'stage1.block3'"));
        assert_eq!(message(RemovalPlan { remove: Vec::new(), ..plan }), "p: remove: no block is named");
        let no_plan = RemovalPlan::parse(Path::new("p"), "network = 'a'\nblok = 1").unwrap_err().to_string();
        assert!(no_plan.starts_with("p: no plan: line 2, column 1: unknown field `blok`"), "{no_plan}");
    }
}
