//! Folders of Transformers on the command line: they are shown, and slimmed by names of layers, and compute nothing here.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use unrolled::checkpoint_folder::{
    CheckpointFolder, FolderSummary, KeyChoices, LayerOptions, Removal, Written, removal_text, summary_report,
};
use unrolled::report::text;
use unrolled::slim::RemovalPlan;
use unrolled::{Error, Result};

use super::output;
use super::progress::Bar;

/// What the configuration of a folder leaves open.
#[derive(Args)]
pub(super) struct LayerArgs {
    /// The list of layers of a Transformers folder that has several, such as model.decoder.layers
    #[arg(long, value_name = "NAME")]
    layers: Option<String>,
    /// Keys in the config.json of a Transformers folder that stay as they are, such as text_config.max_window_layers
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    keep_key: Vec<String>,
    /// Keys in the config.json of a Transformers folder that list an entry for each layer, where that is not sure
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    per_layer: Vec<String>,
}

impl LayerArgs {
    fn options(&self) -> LayerOptions {
        let keys = KeyChoices { keep: self.keep_key.clone(), per_layer: self.per_layer.clone() };
        LayerOptions { layers: self.layers.clone(), keys }
    }

    /// Opens the folder at a path; `None` for any other network.
    ///
    /// # Errors
    /// [`Error::Usage`] for options about folders with another network.
    pub(super) fn folder(&self, path: &Path) -> Result<Option<CheckpointFolder>> {
        if CheckpointFolder::is_at(path) {
            return CheckpointFolder::open(path).map(Some);
        }
        let Self { layers, keep_key, per_layer } = self;
        let given = [
            ("--layers", layers.is_some()),
            ("--keep-key", !keep_key.is_empty()),
            ("--per-layer", !per_layer.is_empty()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => {
                Err(Error::Usage(format!("{option}: for Transformers folders alone, not {}", path.display())))
            }
            None => Ok(None),
        }
    }
}

/// Checks that a path is no folder, before it is opened as a network that computes.
///
/// # Errors
/// [`Error::Unsupported`] for a folder, and says what can be done with it.
pub(super) fn check_computes(path: &Path) -> Result<()> {
    CheckpointFolder::why_not_computed(path).map_or(Ok(()), |why| Err(Error::unsupported(path.display(), why)))
}

/// Checks that none of some options was given.
///
/// # Errors
/// [`Error::Usage`] that names the first one that was, and what can be done with a folder.
pub(super) fn check_unused(path: &Path, options: &[(&str, bool)]) -> Result<()> {
    match options.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => {
            let what = CheckpointFolder::why_not_computed(path).unwrap_or_default();
            Err(Error::Usage(format!("{option}: {} is {what}", path.display())))
        }
        None => Ok(()),
    }
}

/// Prints what a folder holds.
pub(super) fn show(folder: &CheckpointFolder, layers: &LayerArgs, json: bool) -> anyhow::Result<()> {
    let summary = folder.summary(&layers.options())?;
    if json {
        return output::print_json(&summary);
    }
    output::print(&summary_text(&summary))
}

fn summary_text(summary: &FolderSummary) -> String {
    let tables = text(&summary_report(summary), output::width());
    let mut page = format!("{}\n\n{}", summary.headline(), tables.trim_start_matches('\n'));
    for why in summary.lists.iter().filter_map(|list| list.why_not_removable.as_ref()) {
        page += &format!("\n{why}\n");
    }
    page
}

/// How a folder is to be slimmed.
pub(super) struct FolderSlimming<'a> {
    pub(super) layers: &'a LayerArgs,
    /// Names of layers; none where a plan has them.
    pub(super) names: &'a [String],
    pub(super) plan: Option<&'a Path>,
    /// The new folder; `None` where nothing is written.
    pub(super) out: Option<&'a PathBuf>,
    pub(super) json: bool,
}

/// What was removed, and what was written.
#[derive(Serialize)]
struct Slimmed<'a> {
    #[serde(flatten)]
    removal: &'a Removal,
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<Written>,
}

impl FolderSlimming<'_> {
    /// Removes layers from a folder, and says what came of it.
    pub(super) fn run(&self, folder: &CheckpointFolder, path: &Path) -> anyhow::Result<()> {
        let options = self.layers.options();
        let removal = match self.plan {
            None => folder.removal(self.names, &options)?,
            Some(plan_path) => {
                let text = std::fs::read_to_string(plan_path).map_err(Error::io(plan_path))?;
                let plan = RemovalPlan::parse(plan_path, &text)?;
                folder.planned_removal(plan_path, &plan, &options)?
            }
        };
        let written = self.out.map(|out| {
            let mut bar = Bar::new(&output::short_name(path));
            let written = removal.write(out, &mut bar);
            bar.finish();
            written
        });
        let written = written.transpose()?;
        if self.json {
            return output::print_json(&Slimmed { removal: &removal, written });
        }
        output::print(&removal_text(&removal, written.as_ref()))
    }
}
