//! The plan file: which blocks are left out, to be read, edited and applied again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::nn::BlockId;
use crate::nn::Outline;
use crate::{Error, Result};

/// Which blocks of which network are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The network that it is for, as its outline names it.
    pub network: String,
    /// Blocks of each of its stages.
    pub blocks: Vec<usize>,
    /// Seed of the halves of the samples: the half that chose proves nothing when the plan is applied either.
    #[serde(default)]
    pub seed: u64,
    /// Names of the blocks that are left out.
    pub remove: Vec<String>,
}

const HEADER: &str = "# A plan of `unrolled slim`. Edit `remove` and apply it with --plan FILE.\n";

impl Plan {
    /// For a network.
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
    /// [`Error::File`] for what is no plan.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|e: toml::de::Error| {
            Error::file(path, format!("no plan: {}", e.message().trim().replace('\n', ", ")))
        })
    }

    /// The text of the plan file, a block a line.
    ///
    /// # Errors
    /// [`Error::Usage`] if it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        let text = toml::to_string_pretty(self).map_err(|e| Error::Usage(format!("the plan: {e}")))?;
        Ok(HEADER.to_owned() + &text)
    }

    /// The blocks that it leaves out of a network.
    ///
    /// # Errors
    /// [`Error::File`] for a plan of another network, or a block that it does not have.
    pub fn removed(&self, path: &Path, outline: &Outline) -> Result<Vec<BlockId>> {
        let blocks: Vec<usize> = outline.stages.iter().map(|stage| stage.blocks.len()).collect();
        if (&self.network, &self.blocks) != (&outline.name, &blocks) {
            let what = format!(
                "a plan for {} with stages of {:?} blocks, this is {} with {blocks:?}",
                self.network, self.blocks, outline.name
            );
            return Err(Error::file(path, what));
        }
        named(&self.remove, outline).map_err(|e| Error::file(path, format!("remove: {e}")))
    }
}

/// The blocks of these names; one that is named twice counts once.
///
/// # Errors
/// [`Error::Unknown`] for a name that is no block's, [`Error::Usage`] for none at all.
pub fn named(names: &[String], outline: &Outline) -> Result<Vec<BlockId>> {
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
    if blocks.is_empty() { Err(Error::Usage("no block is named".into())) } else { Ok(blocks) }
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
        let plan = Plan::new(&outline(), &[BlockId { stage: 2, block: 1 }, BlockId { stage: 0, block: 0 }], 3);
        let text = plan.to_toml().unwrap();
        assert_eq!(Plan::parse(Path::new("p"), &text).unwrap(), plan);
        assert!(text.starts_with(HEADER) && text.contains("\n    \"stage3.block2\",\n"), "{text}");
        let removed = plan.removed(Path::new("p"), &outline()).unwrap();
        assert_eq!(removed, [BlockId { stage: 2, block: 1 }, BlockId { stage: 0, block: 0 }]);
    }

    #[test]
    fn what_is_no_plan_of_this_network_is_named() {
        let plan = Plan::new(&outline(), &[BlockId { stage: 0, block: 1 }], 0);
        let says = |plan: Plan| plan.removed(Path::new("p"), &outline()).unwrap_err().to_string();
        let other = Plan { network: "resnet-20 residual, width 16".into(), blocks: vec![3; 3], ..plan.clone() };
        assert_eq!(
            says(other),
            "p: a plan for resnet-20 residual, width 16 with stages of [3, 3, 3] blocks, this is resnet-14 residual, \
             width 2 with [2, 2, 2]"
        );
        let misspelt = Plan { remove: vec!["stage1.blok2".into()], ..plan.clone() };
        assert_eq!(says(misspelt), "p: remove: unknown block 'stage1.blok2', did you mean 'stage1.block2'?");
        let beyond = Plan { remove: vec!["stage1.block3".into()], ..plan.clone() };
        assert!(says(beyond).starts_with("p: remove: unknown block 'stage1.block3'"));
        assert_eq!(says(Plan { remove: Vec::new(), ..plan }), "p: remove: no block is named");
        let no_plan = Plan::parse(Path::new("p"), "network = 'a'\nblok = 1").unwrap_err().to_string();
        assert!(no_plan.starts_with("p: no plan: unknown field `blok`"), "{no_plan}");
    }
}
