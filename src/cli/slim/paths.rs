//! What stands in the way of writing, found before anything is measured.

use std::path::Path;

use unrolled::data::Split;
use unrolled::open::is_graph_path;
use unrolled::ranks::Ranks;
use unrolled::slim::{self, Prunable, RemovalPlan};
use unrolled::{Chunk, Error, Stage, WriteLock, check_writable};

use super::Slim;
use crate::cli::output;
use crate::cli::report_directory::{ReportDirectory, ReportKind};

const PART_OF_NETWORK: &str = "part of the network that is slimmed, which is never overwritten; name another file";

/// What no other process writes to until this one ends.
#[derive(Default)]
pub(super) struct Places {
    /// The directory of the report.
    pub(super) report: Option<ReportDirectory>,
    _out: Option<WriteLock>,
}

impl Slim {
    /// Checks the paths and what was asked for, before anything is measured. The first of several processes alone writes.
    pub(super) fn check_paths(&self, ranks: &Ranks) -> Result<Places, Error> {
        if !ranks.is_first() {
            return Ok(Places::default());
        }
        let wrong = |what: String| Err(Error::Usage(what));
        match (&self.out, self.has_goal()) {
            (Some(_), false) => {
                return wrong("--out: what is to be left out? Give --remove, --keep-accuracy, --keep-loss, --params, --latency, --blocks or --plan".into());
            }
            (None, true) if !self.dry_run => {
                return wrong("--out FILE is needed to write the network, or --dry-run".into());
            }
            (_, false) if self.heals() || self.save_plan.is_some() => {
                return wrong(
                    "nothing is left out, so that nothing can be recovered or planned: give --remove or another goal"
                        .into(),
                );
            }
            _ => {}
        }
        for path in [&self.out, &self.save_plan].into_iter().flatten() {
            if path.is_dir() {
                return wrong(format!("{}: a directory; name a file", path.display()));
            }
            check_writable(path.parent().unwrap_or(Path::new("")))?;
        }
        if self.heals() && self.data.split() == Split::Train {
            return wrong("--split train: the training split is used for recovery and cannot verify it".into());
        }
        if let Some(plan) = &self.save_plan {
            self.check_plan_path(plan)?;
        }
        if let Some(path) = &self.save_plan {
            self.check_free(path, "--save-plan")?;
        }
        let report =
            self.report.as_deref().map(|path| ReportDirectory::open(path, ReportKind::Slimming)).transpose()?;
        let Some(out) = &self.out else { return Ok(Places { report, _out: None }) };
        let (form, extension) =
            if is_graph_path(&self.network.path) { ("ONNX", "onnx") } else { ("safetensors", "safetensors") };
        if out.extension().is_none_or(|found| found != extension) {
            return wrong(format!("{}: what is written is {form}; end the name in .{extension}", out.display()));
        }
        self.check_beside_network(out)?;
        // Before anything is checked that another process may be about to change.
        let lock = lock(out)?;
        self.check_free(out, "--out")?;
        Ok(Places { report, _out: Some(lock) })
    }

    /// A file that is there is overwritten on request alone.
    fn check_free(&self, path: &Path, option: &str) -> Result<(), Error> {
        match path.symlink_metadata() {
            Ok(_) if !self.overwrite => {
                let what = format!("there already; name another {option}, or replace it with --overwrite");
                Err(Error::Usage(format!("{}: {what}", path.display())))
            }
            _ => Ok(()),
        }
    }

    /// What the network that is slimmed is made of is never overwritten, and what comes beside the file replaces nothing.
    pub(super) fn check_draft<F: Prunable>(&self, form: &F) -> Result<(), Error> {
        let Some(out) = &self.out else { return Ok(()) };
        let draft = form.draft(form.network(), &slim::draft_name(Some(out)))?;
        let Some((name, pieces)) = &draft.companion else { return Ok(()) };
        let beside = out.with_file_name(name);
        if beside.symlink_metadata().is_ok() {
            let what = "its arrays would be written there, and there is a file; remove it or name another --out";
            return Err(Error::Usage(format!("{}: {what}", beside.display())));
        }
        let real = |path: &Path| path.canonicalize().ok();
        for path in [&self.out, &self.save_plan].into_iter().flatten() {
            let is_source =
                |chunk: &Chunk| matches!(chunk, Chunk::FileRange { path: source, .. } if real(source) == real(path));
            if path.exists() && pieces.iter().any(is_source) {
                return Err(Error::Usage(format!("{}: {PART_OF_NETWORK}", path.display())));
            }
        }
        Ok(())
    }

    /// A plan replaces nothing but a plan.
    fn check_plan_path(&self, plan: &Path) -> Result<(), Error> {
        self.check_beside_network(plan)?;
        if self.out.as_deref() == Some(plan) {
            return Err(Error::Usage(format!("{}: --out and --save-plan name the same file", plan.display())));
        }
        let is_other =
            plan.exists() && std::fs::read_to_string(plan).map_or(true, |old| RemovalPlan::parse(plan, &old).is_err());
        if is_other {
            return Err(Error::Usage(format!("{}: there is a file that is no plan; name another", plan.display())));
        }
        Ok(())
    }

    /// Renaming replaces a link, not what it leads to; who names one means what it leads to all the same.
    fn check_beside_network(&self, path: &Path) -> Result<(), Error> {
        let input = &self.network.path;
        let real = |path: &Path| path.canonicalize().ok();
        let (Some(of_input), Some(of_path)) = (real(input), real(path)) else { return Ok(()) };
        if of_path == of_input || input.is_dir() && of_path.starts_with(&of_input) {
            return Err(Error::Usage(format!("{}: {PART_OF_NETWORK}", path.display())));
        }
        Ok(())
    }
}

/// Locks the file that is to be written, and finishes what a process was writing there when it was killed.
fn lock(out: &Path) -> Result<WriteLock, Error> {
    let parent = out.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let lock = WriteLock::take(parent, &format!("{name}.slim"), &format!("writing {name}"))?;
    output::say_unlocked(out, lock.why_unlocked());
    Stage::of_file(out)?;
    Ok(lock)
}
