//! What stands in the way of writing, found before anything is measured.

use std::path::Path;

use unrolled::data::Split;
use unrolled::open::is_graph_path;
use unrolled::ranks::Ranks;
use unrolled::slim::{self, Prunable, RemovalPlan};
use unrolled::{Chunk, Error, IfExists, OutputFile, check_writable, directory_of};

use super::Slim;
use crate::cli::output;
use crate::cli::report_directory::{ReportDirectory, ReportKind};

const PART_OF_NETWORK: &str = "part of the network that is slimmed, which is never overwritten; name another file";

/// What no other process writes to until this one ends.
#[derive(Default)]
pub(super) struct Places {
    /// The directory of the report.
    pub(super) report: Option<ReportDirectory>,
    out: Option<OutputFile>,
    plan: Option<OutputFile>,
}

impl Places {
    /// Notes that all has been written and said.
    pub(super) fn complete(self) {
        // Before the marks of the files go, by which a killed command is known.
        drop(self.report);
        [self.out, self.plan].into_iter().flatten().for_each(OutputFile::complete);
    }

    /// Whether a command that wrote one of the files has not ended.
    fn was_interrupted(&self) -> bool {
        [&self.out, &self.plan].into_iter().flatten().any(OutputFile::was_interrupted)
    }
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
            check_writable(directory_of(path))?;
        }
        if self.heals() && self.data.split() == Split::Train {
            return wrong("--split train: the training split is used for recovery and cannot verify it".into());
        }
        if let Some(plan) = &self.save_plan {
            self.check_plan_path(plan)?;
        }
        let report =
            self.report.as_deref().map(|path| ReportDirectory::open(path, ReportKind::Slimming)).transpose()?;
        if let Some(out) = &self.out {
            let (form, extension) =
                if is_graph_path(&self.network.path) { ("ONNX", "onnx") } else { ("safetensors", "safetensors") };
            if out.extension().is_none_or(|found| found != extension) {
                return wrong(format!("{}: what is written is {form}; end the name in .{extension}", out.display()));
            }
            self.check_beside_network(out)?;
        }
        // Before anything is checked that another process may be about to change.
        let [out, plan] = [&self.out, &self.save_plan].map(|path| path.as_deref().map(reserve).transpose());
        let places = Places { report, out: out?, plan: plan? };
        self.check_free(&places)?;
        Ok(places)
    }

    /// What happens to a file that is there already. It is overwritten on request alone.
    pub(super) fn if_exists(&self) -> IfExists {
        if self.overwrite { IfExists::Replace } else { IfExists::KeepIfEqual }
    }

    /// Checks that no file is there already. What was left by a command that did not end may be what this one would write: that is
    /// known when it is done again.
    fn check_free(&self, places: &Places) -> Result<(), Error> {
        for (path, option) in [(&self.save_plan, "--save-plan"), (&self.out, "--out")] {
            let Some(path) = path.as_ref().filter(|path| path.symlink_metadata().is_ok()) else { continue };
            if self.if_exists() == IfExists::Replace {
                continue;
            }
            if !places.was_interrupted() {
                let what = format!("there already; name another {option}, or replace it with --overwrite");
                return Err(Error::Usage(format!("{}: {what}", path.display())));
            }
            let what = "there from a command that did not end; it stays if this one writes the same";
            output::say(&format!("{}: {what}", path.display()));
        }
        Ok(())
    }

    /// What the network that is slimmed is made of is never overwritten, and what comes beside the file replaces nothing.
    pub(super) fn check_draft<F: Prunable>(&self, form: &F, places: &Places) -> Result<(), Error> {
        let Some(out) = &self.out else { return Ok(()) };
        let draft = form.draft(form.network(), &slim::draft_name(Some(out)))?;
        let Some((name, pieces)) = &draft.companion else { return Ok(()) };
        let beside = out.with_file_name(name);
        if beside.symlink_metadata().is_ok() && !places.was_interrupted() {
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

/// Keeps other processes from writing a file.
fn reserve(path: &Path) -> Result<OutputFile, Error> {
    let file = OutputFile::reserve(path)?;
    output::say_unlocked(path, file.why_unlocked());
    Ok(file)
}
