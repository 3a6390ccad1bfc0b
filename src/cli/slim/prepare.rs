//! What is settled before any sample runs.

use unrolled::Error;
use unrolled::measure::EvalSet;
use unrolled::nn::{BlockId, Network, Outline};
use unrolled::slim::{self, Prunable, Recovery, RecoveryStep, RemovalPlan};
use unrolled::train::Experiment;

use super::super::data_args::OpenedData;
use super::Slim;

impl Slim {
    /// Adds blocks that are named, seed and recovery.
    pub(super) fn settle<'a, P: Prunable>(
        &self,
        slim: slim::Slim<'a, P>,
        network: &P,
        data: &OpenedData,
    ) -> anyhow::Result<slim::Slim<'a, P>> {
        let (named, seed) = self.named(network.network().outline())?;
        let slim = slim.seed(seed).recovery(self.recovery(network, data, seed)?);
        Ok(match named {
            Some(blocks) if self.plan.is_some() => slim.planned_blocks(blocks),
            Some(blocks) => slim.blocks(blocks),
            None => slim,
        })
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

    fn recovery<F: Prunable>(&self, form: &F, data: &OpenedData, seed: u64) -> anyhow::Result<Recovery> {
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
            let dataset = data.first_training_samples(limit)?.dataset;
            Ok(EvalSet { dataset, ..data.set.clone() })
        });
        let recalibration = recalibration.transpose()?;
        let finetuning = self.finetune.map(|epochs| self.experiment(epochs, data)).transpose()?;
        Ok(Recovery { recalibration, finetuning, seed })
    }

    /// How to fine-tune: the experiment of the run or of a file, with the data that the command names.
    fn experiment(&self, epochs: usize, data: &OpenedData) -> Result<Experiment, Error> {
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
        let mut overrides = vec![format!("data.source={}", data.name())];
        let sizes = data.resize_crop();
        for (key, size) in [("resize", sizes.resize), ("crop", sizes.crop)] {
            overrides.extend(size.map(|size| format!("data.{key}={size}")));
        }
        overrides.extend(self.set.iter().cloned());
        overrides.push(format!("train.epochs={epochs}"));
        let experiment = Experiment::parse(&text, &overrides, &path.display().to_string())?;
        // Whatever is wrong with the data is found before anything is measured.
        data.first_training_samples(0)?;
        Ok(experiment)
    }
}
