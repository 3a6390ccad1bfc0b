//! A Transformers folder without some of its layers.

use unrolled::checkpoint_folder::CheckpointFolder;
use unrolled::slim::Criterion;
use unrolled::{Error, check_writable, directory_of};

use super::Slim;
use crate::cli::checkpoint_folder::{self, FolderSlimming};

impl Slim {
    pub(super) fn slim_folder(&self, folder: &CheckpointFolder) -> anyhow::Result<()> {
        self.check_folder_options()?;
        if self.blocks.is_empty() && self.plan.is_none() {
            let what = "which layers are to be left out? Name them with --blocks, or give --plan FILE";
            return Err(Error::Usage(format!("{}: {what}", self.network.name())).into());
        }
        if self.out.is_none() && !self.dry_run {
            return Err(Error::Usage("--out DIR is needed to write the folder, or --dry-run".into()).into());
        }
        if let Some(out) = &self.out {
            check_writable(directory_of(out))?;
        }
        let slimming = FolderSlimming {
            layers: &self.layers,
            names: &self.blocks,
            plan: self.plan.as_deref(),
            out: self.out.as_ref(),
            json: self.json,
        };
        slimming.run(folder, &self.network.path)
    }

    /// Samples, rankings and healing are for networks that compute here.
    fn check_folder_options(&self) -> Result<(), Error> {
        if self.overwrite {
            return Err(Error::Usage("--overwrite: a folder is never replaced; name a new one with --out".into()));
        }
        let own = [
            ("--data", self.data.is_given()),
            ("--remove", self.remove.is_some()),
            ("--keep-accuracy", self.keep_accuracy.is_some()),
            ("--keep-loss", self.keep_loss.is_some()),
            ("--params", self.params.is_some()),
            ("--latency", self.latency.is_some()),
            ("--by", self.by != Criterion::Greedy),
            ("--save-plan", self.save_plan.is_some()),
            ("--heal-norm", self.heal_norm.is_some()),
            ("--finetune", self.finetune.is_some()),
            ("--report", self.report.is_some()),
            ("--memory", self.memory.is_some()),
            ("--seed", self.seed.is_some()),
        ];
        let all = [self.network.opening.given().as_slice(), &own].concat();
        checkpoint_folder::check_unused(&self.network.path, &all)
    }
}
