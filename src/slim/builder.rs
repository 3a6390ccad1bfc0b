//! The entry point: which blocks to remove, how far, and writing what is left.

use std::path::Path;
use std::sync::Arc;

use super::results::Slimming;
use super::select::without;
use super::{Criterion, Goal, Prunable, Recovery, removable, score_rankings, select_blocks, verify};
use crate::measure::{EvalSet, Measure, SampleInfo, limit_cache};
use crate::nn::{BlockId, Network};
use crate::{Error, IfExists, OutputPath, Result};

/// Removes blocks of a network for good.
///
/// Where blocks are selected, one half of the samples selects them and the other gives the scores. Where they are named, all
/// samples give the scores. Whatever is written is opened again and has to predict as planned, bit for bit.
///
/// ```
/// use unrolled::prelude::*;
///
/// let mut network = AnyNetwork::open("tests/unchanged/residual/model.safetensors")?;
/// let data = EvalSet::open("digits")?.limit(40).for_network(&mut network)?;
/// let dir = tempfile::tempdir().unwrap();
/// let slimming = Slim::new(&network, &data).remove(1).by(Criterion::Lesion).save(&dir.path().join("slim.safetensors"))?;
/// assert_eq!(slimming.removed.len(), 1);
/// # Ok::<(), unrolled::Error>(())
/// ```
#[derive(Clone)]
pub struct Slim<'a, P> {
    prunable: &'a P,
    data: &'a EvalSet,
    goal: Option<Goal>,
    criterion: Criterion,
    blocks: Option<Vec<BlockId>>,
    proves_on_all: bool,
    why_not_independent: Option<String>,
    seed: u64,
    memory: Option<u64>,
    recovery: Recovery,
    names: [String; 2],
    if_exists: IfExists,
}

impl<'a, P: Prunable> Slim<'a, P> {
    /// Slims a network, with samples to select blocks and to verify with.
    pub fn new(prunable: &'a P, data: &'a EvalSet) -> Self {
        Self {
            prunable,
            data,
            goal: None,
            criterion: Criterion::Greedy,
            blocks: None,
            proves_on_all: false,
            why_not_independent: None,
            seed: 0,
            memory: None,
            recovery: Recovery::default(),
            names: [prunable.network().outline().name.clone(), String::new()],
            if_exists: IfExists::default(),
        }
    }

    /// Removes so many blocks.
    #[must_use]
    pub fn remove(self, count: usize) -> Self {
        self.goal(Goal::Remove(count))
    }

    /// Removes blocks up to a goal. Without a goal blocks are ranked and none is removed.
    #[must_use]
    pub fn goal(self, goal: impl Into<Option<Goal>>) -> Self {
        Self { goal: goal.into(), ..self }
    }

    /// Sets what ranks the blocks; [`Criterion::Greedy`] by default.
    #[must_use]
    pub fn by(self, criterion: Criterion) -> Self {
        Self { criterion, ..self }
    }

    /// Removes these blocks, whatever they cost. All samples give the scores.
    #[must_use]
    pub fn blocks(self, blocks: Vec<BlockId>) -> Self {
        Self { blocks: Some(blocks), proves_on_all: true, ..self }
    }

    /// Removes the blocks of a plan, which were selected on one half of some samples. Where the samples and the seed are those
    /// of the plan, that half gives no score. Where they are not, the results say that the scores are not independent of the
    /// selection, see [`RemovalPlan::why_not_independent`](super::RemovalPlan::why_not_independent).
    #[must_use]
    pub fn planned_blocks(self, blocks: Vec<BlockId>, why_not_independent: Option<String>) -> Self {
        Self { blocks: Some(blocks), proves_on_all: false, why_not_independent, ..self }
    }

    /// Sets the seed of all random choices, of the halves too; 0 by default.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the memory that measuring may take beside the network and the samples, bytes; a quarter of the machine's by default.
    #[must_use]
    pub fn memory(self, bytes: impl Into<Option<u64>>) -> Self {
        Self { memory: bytes.into(), ..self }
    }

    /// Sets what follows the removal: statistics of normalizations estimated again, training.
    #[must_use]
    pub fn recovery(self, recovery: Recovery) -> Self {
        Self { recovery, ..self }
    }

    /// Sets the names of the network and of the data in results.
    #[must_use]
    pub fn names(self, network: &str, data: &str) -> Self {
        Self { names: [network.to_owned(), data.to_owned()], ..self }
    }

    /// Sets what happens to a file that is there already; it is replaced by default.
    #[must_use]
    pub fn if_exists(self, if_exists: IfExists) -> Self {
        Self { if_exists, ..self }
    }

    /// Removes the blocks and writes the slimmed network.
    ///
    /// # Errors
    /// As [`Slim::run`].
    pub fn save(&self, out: &Path) -> Result<Slimming> {
        self.run(Some(out), &mut |_, _, _| ())
    }

    /// Removes the blocks, and writes the slimmed network where `out` names a file. `progress` is called with what is under way, how
    /// much of it is done, and how much there is. Of [processes that share the samples](EvalSet::ranks) the first alone writes
    /// and verifies; the results of the others have no slimmed network.
    ///
    /// # Errors
    /// [`Error::Argument`] for a goal that cannot be reached; where samples cannot be read, or do not fit; where an output of
    /// the slimmed network, or of its file, differs from that along the route: no file is left then.
    pub fn run(&self, out: Option<&Path>, progress: &mut dyn FnMut(&str, u64, u64)) -> Result<Slimming> {
        let network = self.prunable.network();
        let [selecting, proving] = self.samples()?;
        let _limit = limit_cache(self.memory);
        let (removed, mut choice) = match &self.blocks {
            Some(blocks) => (blocks.clone(), None),
            None => {
                let (criterion, goal) = (self.criterion, self.goal);
                let selection = select_blocks(self.prunable, &selecting, criterion, goal, self.seed, progress)?;
                (selection.removed, Some(selection.chosen))
            }
        };
        let route = without(network.outline(), &removed);
        let slimmed = if self.goal.is_some() || self.blocks.is_some() {
            if let Some(choice) = &mut choice {
                score_rankings(self.prunable, &proving, &mut choice.rankings, removed.len(), progress)?;
            }
            let (recovered, shared) = (&self.recovery, std::cell::RefCell::new(progress));
            let mut report = |what: &str, done, all| (shared.borrow_mut())(what, done, all);
            let recover = |planned: &P::Network| {
                self.prunable.recover(planned, recovered, &mut |what, done, all| (shared.borrow_mut())(what, done, all))
            };
            // Of processes that share the samples the first alone writes, and so verifies what it has written.
            let is_first = self.data.ranks.is_first();
            let out = out.map(|path| OutputPath { path, if_exists: self.if_exists });
            is_first.then(|| verify(self.prunable, &route, &proving, recover, out, &mut report)).transpose()?
        } else {
            None
        };
        let [target, data] = self.names.clone();
        Ok(Slimming {
            target,
            data,
            preprocessing: Some(SampleInfo::new(self.data)),
            device: network.device(),
            seed: self.seed,
            outline: network.outline().clone(),
            stays: removable(self.prunable).1,
            choice,
            why_not_independent: self.why_not_independent.clone(),
            removed,
            route: route.to_string(),
            slimmed,
        })
    }

    /// The samples that select, and those that give the scores.
    fn samples(&self) -> Result<[EvalSet; 2]> {
        if self.data.len() < 2 {
            let why = "at least 2 are needed: one half selects the blocks, the other gives the scores";
            return Err(Error::mismatch("samples", why));
        }
        let measure = Measure::new().only(["influence"])?.skip_inapplicable().names(&self.names[0], &self.names[1]);
        let measure = self.memory.map_or(measure.clone(), |bytes| measure.memory(bytes));
        let data = measure.within_memory(self.prunable.network(), self.data)?;
        let half = |dataset| EvalSet { dataset: Arc::new(dataset), ..data.clone() };
        let [selecting, proving] = data.dataset.split_half(self.seed).map(half);
        Ok([selecting, if self.proves_on_all { data } else { proving }])
    }
}
