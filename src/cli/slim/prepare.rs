//! What is settled before any sample runs.

use std::sync::Arc;

use unrolled::Error;
use unrolled::data::Split;
use unrolled::measure::{self, EvalSet, Only};
use unrolled::nn::Outline;
use unrolled::nn::{BlockId, Network};
use unrolled::slim::{self, Prunable, Recovery, RecoveryStep, RemovalPlan};
use unrolled::train::Experiment;

use super::super::memory;
use super::Slim;

/// What is settled before any sample runs.
pub(super) struct Prepared {
    pub(super) choosing: EvalSet,
    pub(super) proving: EvalSet,
    pub(super) recovery: Recovery,
    /// Blocks that were named.
    pub(super) named: Option<Vec<BlockId>>,
    pub(super) seed: u64,
}

impl Slim {
    /// Settles what is asked of a network; `whole` are all samples.
    pub(super) fn prepare<F: Prunable>(&self, form: &F, whole: EvalSet) -> anyhow::Result<Prepared> {
        let outline = form.network().outline();
        let (named, seed) = self.named(outline)?;
        let needed = measure::bytes_per_sample(outline, &[Only::Influence]);
        let batch = whole.batch.min(memory::samples(self.memory, needed, &self.target.name())?);
        if whole.dataset.len() < 2 {
            return Err(
                Error::Usage("slimming needs at least 2 samples: one half chooses, the other proves".into()).into()
            );
        }
        let half = |dataset| EvalSet { dataset: Arc::new(dataset), batch, ..whole.clone() };
        let [choosing, proving] = whole.dataset.split_half(seed).map(half);
        // Where blocks are named one by one, nothing is chosen: all samples prove.
        let proving = if self.blocks.is_empty() { proving } else { EvalSet { batch, ..whole.clone() } };
        let recovery = self.recovery(form, &whole, seed)?;
        Ok(Prepared { choosing, proving, recovery, named, seed })
    }

    /// Blocks that were named, one by one or by a plan, and the seed.
    fn named(&self, outline: &Outline) -> Result<(Option<Vec<BlockId>>, u64), Error> {
        let seed = self.seed.unwrap_or(0);
        if let Some(path) = &self.plan {
            let plan = RemovalPlan::parse(path, &std::fs::read_to_string(path).map_err(Error::io(path))?)?;
            return Ok((Some(plan.removed(path, outline)?), self.seed.unwrap_or(plan.seed)));
        }
        if self.blocks.is_empty() {
            return Ok((None, seed));
        }
        if self.seed.is_some() && self.save_plan.is_none() && !self.heals() {
            return Err(Error::Usage("--seed: nothing is drawn where blocks are named".into()));
        }
        let named = slim::blocks_by_name(&self.blocks, outline).map_err(|e| Error::Usage(format!("--blocks: {e}")))?;
        Ok((Some(named), seed))
    }

    fn recovery<F: Prunable>(&self, form: &F, whole: &EvalSet, seed: u64) -> anyhow::Result<Recovery> {
        let asked = [
            ("--heal-norm", RecoveryStep::Recalibrate, self.heal_norm.is_some()),
            ("--finetune", RecoveryStep::Finetune, self.finetune.is_some()),
        ];
        for (option, step, _) in asked.into_iter().filter(|(.., is_asked)| *is_asked) {
            if let Some(why) = form.why_not_recoverable(step) {
                return Err(Error::Usage(format!("{option}: {} {why}", self.target.name())).into());
            }
        }
        let recalibration = self.heal_norm.map(|limit| -> anyhow::Result<EvalSet> {
            let dataset = self.data.open(Split::Train)?.limit(limit);
            Ok(EvalSet { dataset: Arc::new(dataset), batch: self.data.batch.into(), ..whole.clone() })
        });
        let recalibration = recalibration.transpose()?;
        let finetuning = self.finetune.map(|epochs| self.experiment(epochs)).transpose()?;
        Ok(Recovery { recalibration, finetuning, seed })
    }

    /// How to fine-tune: the experiment of the run or of a file, with the data that the command names.
    fn experiment(&self, epochs: u64) -> Result<Experiment, Error> {
        let of_run = self.target.target.join("config.toml");
        let path = match &self.experiment {
            Some(path) => path,
            None if of_run.exists() => &of_run,
            None => {
                return Err(Error::Usage(
                    "--finetune: say how to train with --experiment FILE, or slim a run directory".into(),
                ));
            }
        };
        if self.set.iter().any(|set| set.split('=').next().is_some_and(|key| key.trim() == "train.epochs")) {
            return Err(Error::Usage("--set train.epochs: --finetune says for how many epochs".into()));
        }
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let mut overrides = vec![format!("data.source={}", self.data.data)];
        overrides.extend(self.set.iter().cloned());
        overrides.push(format!("train.epochs={epochs}"));
        let experiment = Experiment::parse(&text, &overrides, &path.display().to_string())?;
        // Whatever is wrong with the data is found before anything is measured.
        self.data.open(Split::Train)?;
        Ok(experiment)
    }
}
