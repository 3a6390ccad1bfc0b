//! A route made permanent: the network that has the blocks of the route and no others.

use super::{Family, Model, ModelConfig};
use crate::nn::{BlockId, Network, Route};
use crate::{Error, Result};

impl Model {
    /// Why a block cannot be left out for good; `None` where it can, as long as its stage keeps another.
    ///
    /// Leaving out leaves the shortcut and the ReLU behind the sum. Nothing of them may be left to do: a configuration
    /// can only say how many blocks a stage has.
    pub fn stays(&self, at: BlockId) -> Option<String> {
        let stage = &self.stages()[at.stage];
        let block = &stage.blocks[at.block];
        // A ReLU of what is a ReLU's output changes nothing. Of the first stage the stem comes before.
        let follows_relu = self.stem_ends_in_relu() || at.stage > 0;
        match block.why_not_removable() {
            Some(why) => Some(why.into()),
            None if block.changes_shape() => {
                Some("it changes the shape, so that its shortcut would have to stay".into())
            }
            None if block.ends_in_relu() && !follows_relu => {
                Some("the ReLU behind its sum would have to stay: none comes before it".into())
            }
            None => (stage.blocks.len() == 1).then(|| "it is alone in its stage".into()),
        }
    }

    /// The network along a route, for good: its outputs are those along the route, bit for bit.
    ///
    /// # Errors
    /// [`Error::Usage`] for a route that leaves a stage without blocks, or leaves out a block that
    /// [stays](Model::stays).
    pub fn slimmed(&self, route: &Route) -> Result<Self> {
        let mut survival = Vec::new();
        for (stage, (kept, all)) in route.stages().iter().zip(self.stages()).enumerate() {
            let left_out =
                (0..all.blocks.len()).filter(|block| !kept.contains(block)).map(|block| BlockId { stage, block });
            for at in left_out {
                if let Some(why) = self.stays(at) {
                    return Err(Error::Usage(format!("{at} cannot be left out for good: {why}")));
                }
            }
            if kept.is_empty() {
                return Err(Error::Usage(format!("stage{} would be left without blocks", stage + 1)));
            }
            survival.extend(kept.iter().map(|&block| all.blocks[block].survival()));
        }
        let counts: Vec<usize> = route.stages().iter().map(Vec::len).collect();
        let outline = self.outline();
        let [channels, height, width] = [0, 1, 2].map(|side| outline.input[side]);
        let mut slim = Self::unset(
            &self.config().with_blocks(counts, survival),
            [channels, height, width],
            outline.classes,
            self.parameters.backend(),
        )?;
        let entries: Vec<_> = slim.parameters.iter().map(|(id, p)| (id, p.name.clone())).collect();
        for (id, name) in entries {
            slim.parameters.set(id, self.parameters.get(self.origin(&name, route)?).value.clone());
        }
        Ok(slim)
    }

    /// The array that becomes the one of this name: that of the block which comes to stand in this place.
    fn origin(&self, name: &str, route: &Route) -> Result<crate::nn::ParameterId> {
        let Some((at, rest)) = BlockId::split(name) else { return self.own(name) };
        let kept = BlockId { block: route.stages()[at.stage][at.block], ..at };
        let own = self.parameters.find(&format!("{kept}.{rest}"));
        // A block that shares its parameters finds them under the name of the first that does.
        let first_shared = usize::from(self.stages()[at.stage].blocks[0].changes_shape());
        own.map_or_else(|| self.own(&format!("{}.{rest}", BlockId { block: first_shared, ..at })), Ok)
    }

    fn own(&self, name: &str) -> Result<crate::nn::ParameterId> {
        self.parameters.find(name).ok_or_else(|| Error::Usage(format!("{name}: the network has no such array")))
    }
}

impl ModelConfig {
    /// The same network with so many blocks in each stage, which survive layer dropout with these probabilities.
    fn with_blocks(&self, counts: Vec<usize>, survival: Vec<f64>) -> Self {
        let is_mlp = self.kind.family() == Family::Mlp;
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
