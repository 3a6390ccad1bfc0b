//! The plan file: the blocks to remove, to be read, edited and applied again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::measure::{EvalSet, counted};
use crate::nn::{BlockId, Outline};
use crate::text::{excerpt, toml_message, without_byte_order_mark};
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
    /// The number of samples, of which one half selected the blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// The fingerprint of these samples, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Names of the blocks to remove.
    pub remove: Vec<String>,
}

const HEADER: &str = "# A plan of `unrolled slim`. Edit `remove` and apply it with --plan FILE.\n";

impl RemovalPlan {
    /// Returns the plan to remove some blocks of a network, which a half of some samples selected.
    pub fn new(outline: &Outline, removed: &[BlockId], seed: u64, data: &EvalSet) -> Self {
        Self {
            network: outline.name.clone(),
            blocks: outline.stages.iter().map(|stage| stage.blocks.len()).collect(),
            seed,
            samples: Some(data.len()),
            fingerprint: Some(fingerprint(data)),
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

    /// Returns why scores on some samples, halved by a seed, are not independent of the selection of the blocks; `None` where
    /// they are, because the halves are those of the plan.
    pub fn why_not_independent(&self, data: &EvalSet, seed: u64) -> Option<String> {
        let (Some(samples), Some(planned)) = (self.samples, &self.fingerprint) else {
            return Some("the plan does not say which samples selected them".into());
        };
        let mut differences = Vec::new();
        if samples != data.len() {
            differences.push(format!("{} instead of {}", counted(samples, "sample"), counted(data.len(), "sample")));
        } else if *planned != fingerprint(data) {
            differences.push("other samples".to_owned());
        }
        if self.seed != seed {
            differences.push(format!("the seed {} instead of {seed}", self.seed));
        }
        (!differences.is_empty()).then(|| format!("the plan was made with {}", differences.join(" and ")))
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

/// Returns the fingerprint of samples as a plan stores it.
fn fingerprint(data: &EvalSet) -> String {
    format!("{:08x}", data.dataset.fingerprint())
}

/// Returns the blocks of these names: their own, such as `stage1.block2`, or those in the file that they come from, such as
/// `layer1.1`. A block that is named twice counts once.
///
/// # Errors
/// [`Error::Unknown`] for a name of no block, [`Error::Argument`] for an empty list or a name of several blocks.
pub fn blocks_by_name(names: &[String], outline: &Outline) -> Result<Vec<BlockId>> {
    let mut blocks = Vec::new();
    for name in names {
        let all = outline.blocks();
        let named = all.filter(|(id, block)| id.to_string() == *name || block.source_name.as_ref() == Some(name));
        let at = match named.map(|(id, _)| id).collect::<Vec<_>>()[..] {
            [at] => at,
            [] => return Err(Error::unknown("block", name.as_str(), known_names(outline))),
            [first, ..] => {
                let why = format!("'{}' is the name of several blocks; name one like {first}", excerpt(name));
                return Err(Error::argument("blocks", why));
            }
        };
        if !blocks.contains(&at) {
            blocks.push(at);
        }
    }
    if blocks.is_empty() { Err(Error::argument("blocks", "no block is named")) } else { Ok(blocks) }
}

fn known_names(outline: &Outline) -> impl Iterator<Item = String> {
    outline.blocks().flat_map(|(id, block)| [Some(id.to_string()), block.source_name.clone()]).flatten()
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
        let plan = RemovalPlan::new(
            &outline(),
            &[BlockId { stage: 2, block: 1 }, BlockId { stage: 0, block: 0 }],
            3,
            &digits(40),
        );
        let text = plan.to_toml().unwrap();
        assert_eq!(RemovalPlan::parse(Path::new("p"), &text).unwrap(), plan);
        assert!(text.starts_with(HEADER) && text.contains("\n    \"stage3.block2\",\n"), "{text}");
        let removed = plan.removed(Path::new("p"), &outline()).unwrap();
        assert_eq!(removed, [BlockId { stage: 2, block: 1 }, BlockId { stage: 0, block: 0 }]);
    }

    fn digits(count: usize) -> EvalSet {
        EvalSet::open("digits").unwrap().limit(count).build().unwrap()
    }

    #[test]
    fn a_plan_knows_whether_its_halves_are_drawn_again() {
        let plan = RemovalPlan::new(&outline(), &[BlockId { stage: 0, block: 1 }], 3, &digits(40));
        assert_eq!(plan.why_not_independent(&digits(40), 3), None);
        let other = EvalSet::open("digits").unwrap().split(crate::data::Split::Train).limit(40).build().unwrap();
        for (data, seed, expected) in [
            (digits(40), 0, "the plan was made with the seed 3 instead of 0"),
            (digits(1), 3, "the plan was made with 40 samples instead of 1 sample"),
            (other, 4, "the plan was made with other samples and the seed 3 instead of 4"),
        ] {
            assert_eq!(plan.why_not_independent(&data, seed).as_deref(), Some(expected));
        }
        let by_hand = RemovalPlan { fingerprint: None, ..plan };
        let unknown = by_hand.why_not_independent(&digits(40), 3);
        assert_eq!(unknown.as_deref(), Some("the plan does not say which samples selected them"));
    }

    #[test]
    fn blocks_have_the_names_of_their_file_too() {
        let mut outline = outline();
        for (block, name) in outline.stages[0].blocks.iter_mut().zip(["layer1.0", "layer1.1"]) {
            block.source_name = Some(name.into());
        }
        let named = |names: &[&str], outline: &Outline| {
            let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
            blocks_by_name(&names, outline)
        };
        let [first, second] = [0, 1].map(|block| BlockId { stage: 0, block });
        assert_eq!(named(&["layer1.1", "stage1.block1", "stage1.block2"], &outline).unwrap(), [second, first]);
        let misspelt = named(&["layer1.2"], &outline).unwrap_err().to_string();
        assert!(misspelt.starts_with("unknown block 'layer1.2', did you mean 'layer1."), "{misspelt}");
        outline.stages[1].blocks[0].source_name = Some("layer1.1".into());
        let twice = named(&["layer1.1"], &outline).unwrap_err().to_string();
        assert_eq!(twice, "blocks: 'layer1.1' is the name of several blocks; name one like stage1.block2");
    }

    #[test]
    fn plans_of_other_networks_are_refused() {
        let plan = RemovalPlan::new(&outline(), &[BlockId { stage: 0, block: 1 }], 0, &digits(40));
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
