//! `show`: what a network is made of.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use unrolled::Error;
use unrolled::device::DeviceInfo;
use unrolled::kernel::Backend;
use unrolled::measure::outline_table;
use unrolled::nn::{Network, Outline};
use unrolled::open::{self, AnyNetwork, LoadReport};
use unrolled::slim::{self, Prunable};
use unrolled::write_atomic;

use super::checkpoint_folder::{self, LayerArgs};
use super::network_args::NetworkArgs;
use super::output;

/// Arguments of `show`.
#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    layers: LayerArgs,
    /// Write the blocks of an ONNX file to this file, to be edited and named with --cut
    #[arg(long, value_name = "FILE")]
    save_cut: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The outline, with what can be left out for good, and of a file that others wrote what became of its arrays.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    #[serde(flatten)]
    outline: Outline,
    device: Option<DeviceInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<&'a LoadReport>,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(opened: &'a AnyNetwork) -> Self {
        Self { outline: for_good(opened), device: opened.device(), opening: opened.load_report() }
    }

    /// The text that is printed. `hint` follows what was found in a file of another program.
    pub(crate) fn text(&self, opened: &AnyNetwork, hint: &str) -> String {
        let summary = Some(opened.summary()).filter(|summary| !summary.is_empty());
        let summary = summary.map_or_else(String::new, |summary| format!("\n{summary}{hint}"));
        let table = outline_table(&self.outline, "can be left out for good");
        format!("{}{summary}", output::outline(&self.outline, table))
    }
}

impl Show {
    pub(super) fn run(&self, backend: &Backend) -> anyhow::Result<()> {
        if let Some(folder) = self.layers.folder(&self.network.path)? {
            let opening = self.network.opening.given();
            let others = [opening.as_slice(), &[("--save-cut", self.save_cut.is_some())]].concat();
            checkpoint_folder::check_unused(&self.network.path, &others)?;
            return checkpoint_folder::show(&folder, &self.layers, self.json);
        }
        let opened = self.network.open(backend)?;
        if let Some(path) = &self.save_cut {
            let name = self.network.name();
            let boundaries = opened.boundaries();
            let boundaries =
                boundaries.ok_or_else(|| Error::Usage(format!("--save-cut: for ONNX files alone, not {name}")))?;
            save(path, &boundaries)?;
        }
        let shown = Shown::new(&opened);
        if self.json {
            return output::print_json(&shown);
        }
        let hint = if opened.is_graph() && shown.outline.are_blocks_alone() {
            "--cut FILE names boundaries, --save-cut FILE writes these\n"
        } else {
            ""
        };
        output::print(&shown.text(&opened, hint))
    }
}

/// The outline of a network with what of it cannot be left out for good.
fn for_good<F: Prunable>(form: &F) -> Outline {
    let mut outline = form.network().outline().clone();
    let (_, stays) = slim::removable(form);
    for block in outline.stages.iter_mut().flat_map(|stage| &mut stage.blocks) {
        block.why_not_removable = stays.get(&block.id).cloned();
    }
    outline
}

/// A file of blocks replaces nothing: it may have been edited.
fn save(path: &Path, stages: &[Vec<[String; 2]>]) -> Result<(), Error> {
    let text = open::boundaries_to_toml(stages);
    if path.exists() && !std::fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        let what = "is there already, with other content; name another file, or remove it";
        return Err(Error::Usage(format!("--save-cut: {} {what}", path.display())));
    }
    write_atomic(path, text.as_bytes())
}
