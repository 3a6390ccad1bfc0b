//! Slimming of a [`Model`]: a route made permanent, as a network that has the blocks of the route and no others.

use super::{Model, ModelConfig, ModelFamily};
use crate::nn::{BlockId, Network, ParameterId, Route};
use crate::{Error, Result};

impl Model {
    /// Returns why a block cannot be removed for good; `None` if it can, as long as its stage keeps another block.
    ///
    /// Removing a block leaves its shortcut and the ReLU after the sum. Both must be redundant, because a configuration can
    /// only tell how many blocks a stage has.
    pub fn why_not_prunable(&self, id: BlockId) -> Option<String> {
        let stage = &self.stages()[id.stage];
        let block = &stage.blocks[id.block];
        // A ReLU of the output of a ReLU changes nothing. The output of the stem precedes the first stage.
        let follows_relu = self.stem_ends_in_relu() || id.stage > 0;
        match block.why_not_removable() {
            Some(why) => Some(why.into()),
            None if block.changes_shape() => {
                Some("it changes the shape, so that its shortcut would have to stay".into())
            }
            None if block.ends_in_relu() && !follows_relu => {
                Some("the ReLU after its sum would have to stay, as no ReLU precedes it".into())
            }
            None => (stage.blocks.len() == 1).then(|| "it is the only block of its stage".into()),
        }
    }

    /// Returns the network that has the blocks of a route. Its outputs equal those along the route, bit for bit.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the route leaves a stage without blocks, or leaves out a block that is
    /// [not prunable](Model::why_not_prunable).
    pub fn slimmed(&self, route: &Route) -> Result<Self> {
        let mut survival = Vec::new();
        for (stage, (kept, all)) in route.stages().iter().zip(self.stages()).enumerate() {
            let left_out =
                (0..all.blocks.len()).filter(|block| !kept.contains(block)).map(|block| BlockId { stage, block });
            for id in left_out {
                if let Some(why) = self.why_not_prunable(id) {
                    return Err(Error::unsupported(id, format!("cannot be left out for good: {why}")));
                }
            }
            if kept.is_empty() {
                let stage = format!("stage{}", stage + 1);
                return Err(Error::unsupported(stage, "would be left without blocks; keep at least one"));
            }
            survival.extend(kept.iter().map(|&block| all.blocks[block].survival()));
        }
        let counts: Vec<usize> = route.stages().iter().map(Vec::len).collect();
        let config = self.config().with_blocks(counts, survival);
        let mut slim = Self::uninitialized(&config, self.input(), self.outline().classes, self.parameters.device())?;
        let entries: Vec<_> = slim.parameters.iter().map(|(id, p)| (id, p.name.clone())).collect();
        for (id, name) in entries {
            slim.parameters.set(id, self.parameters.get(self.source_parameter(&name, route)?).value.clone());
        }
        Ok(slim)
    }

    /// Returns the parameter that becomes the one of this name in the slimmed network: that of the block which the route
    /// has in the same position.
    fn source_parameter(&self, name: &str, route: &Route) -> Result<ParameterId> {
        let Some((id, rest)) = BlockId::split(name) else { return self.find_parameter(name) };
        let kept = BlockId { block: route.stages()[id.stage][id.block], ..id };
        let own = self.parameters.find(&format!("{kept}.{rest}"));
        // Shared parameters have the name of the first block that uses them.
        let first_shared = usize::from(self.stages()[id.stage].blocks[0].changes_shape());
        let shared = BlockId { block: first_shared, ..id };
        own.map_or_else(|| self.find_parameter(&format!("{shared}.{rest}")), Ok)
    }

    fn find_parameter(&self, name: &str) -> Result<ParameterId> {
        self.parameters.find(name).ok_or_else(|| Error::unknown("parameter", name, [] as [&str; 0]))
    }
}

impl ModelConfig {
    /// Sets the number of blocks of each stage and their probabilities of surviving layer dropout.
    fn with_blocks(&self, counts: Vec<usize>, survival: Vec<f64>) -> Self {
        let is_mlp = self.kind.family() == ModelFamily::Mlp;
        Self {
            depth: is_mlp.then(|| 1 + counts.iter().sum::<usize>()),
            blocks: (!is_mlp).then_some(counts),
            layer_dropout: 0.0,
            survival: if survival.iter().all(|&p| p >= 1.0) { Vec::new() } else { survival },
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests;
