//! What is settled before any sample runs.

use unrolled::Error;
use unrolled::data::Split;
use unrolled::measure::EvalSet;
use unrolled::nn::{BlockId, Network, Outline};
use unrolled::slim::{self, Prunable, Recovery, RecoveryStep, RemovalPlan};
use unrolled::train::Experiment;

use super::Slim;

impl Slim {
    /// Adds blocks that are named, seed and recovery.
    pub(super) fn settle<'a, P: Prunable>(
        &self,
        slim: slim::Slim<'a, P>,
        network: &P,
        data: &EvalSet,
    ) -> anyhow::Result<slim::Slim<'a, P>> {
        let outline = network.network().outline();
        let seed = self.seed.unwrap_or(0);
        if let Some(path) = &self.plan {
            let plan = RemovalPlan::parse(path, &std::fs::read_to_string(path).map_err(Error::io(path))?)?;
            let blocks = plan.removed(path, outline)?;
            let seed = self.seed.unwrap_or(plan.seed);
            let slim = slim.planned_blocks(blocks, plan.why_not_independent(data, seed));
            return Ok(slim.seed(seed).recovery(self.recovery(network, data, seed)?));
        }
        let slim = slim.seed(seed).recovery(self.recovery(network, data, seed)?);
        Ok(match self.named(outline)? {
            Some(blocks) => slim.blocks(blocks),
            None => slim,
        })
    }

    /// Blocks that were named one by one.
    fn named(&self, outline: &Outline) -> Result<Option<Vec<BlockId>>, Error> {
        if self.blocks.is_empty() {
            return Ok(None);
        }
        if self.seed.is_some() && self.save_plan.is_none() && !self.heals() {
            return Err(Error::Usage("--seed: nothing is drawn where blocks are named".into()));
        }
        slim::blocks_by_name(&self.blocks, outline).map(Some).map_err(|e| Error::Usage(format!("--blocks: {e}")))
    }

    fn recovery<F: Prunable>(&self, form: &F, whole: &EvalSet, seed: u64) -> anyhow::Result<Recovery> {
        let asked = [
            ("--heal-norm", RecoveryStep::Recalibrate, self.heal_norm.is_some()),
            ("--finetune", RecoveryStep::Finetune, self.finetune.is_some()),
        ];
        for (option, step, _) in asked.into_iter().filter(|(.., is_asked)| *is_asked) {
            if let Some(why) = form.why_not_recoverable(step) {
                return Err(Error::Usage(format!("{option}: {} {why}", self.network.name())).into());
            }
        }
        let recalibration = self.heal_norm.map(|limit| -> anyhow::Result<EvalSet> {
            let dataset = self.data.first_of(Split::Train, limit)?.dataset;
            Ok(EvalSet { dataset, batch: self.data.batch(), ..whole.clone() })
        });
        let recalibration = recalibration.transpose()?;
        let finetuning = self.finetune.map(|epochs| self.experiment(epochs)).transpose()?;
        Ok(Recovery { recalibration, finetuning, seed })
    }

    /// How to fine-tune: the experiment of the run or of a file, with the data that the command names.
    fn experiment(&self, epochs: u64) -> Result<Experiment, Error> {
        let of_run = self.network.path.join("config.toml");
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
        self.data.first_of(Split::Train, 0)?;
        Ok(experiment)
    }
}
