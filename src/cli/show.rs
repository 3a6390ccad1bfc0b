//! `show`: what a network is made of.

#[cfg(feature = "onnx")]
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use unrolled::Error;
use unrolled::kernel::Backend;
use unrolled::nn::Network;
use unrolled::nn::Outline;
use unrolled::open::{AnyNetwork, LoadReport};
use unrolled::report::text;
use unrolled::slim::{self, Checkpoint, Prunable};
#[cfg(feature = "onnx")]
use unrolled::{open, write_atomic};

use super::output;
use super::target::NetworkArgs;

/// Arguments of `show`.
#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: NetworkArgs,
    /// Write the blocks of an ONNX file to this file, to be edited and named with --cut
    #[arg(long, value_name = "FILE")]
    save_cut: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The outline, with what can be left out for good, and of a file that others wrote what became of its arrays.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    outline: &'a Outline,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<&'a LoadReport>,
}

impl Show {
    pub(super) fn run(&self, backend: &Backend) -> anyhow::Result<()> {
        match self.target.open(backend)? {
            AnyNetwork::Trained(_) if self.save_cut.is_some() => {
                let name = self.target.name();
                Err(Error::Usage(format!("--save-cut: for ONNX files alone, not {name}")).into())
            }
            AnyNetwork::Trained(opened) => {
                let options = self.target.opening.options()?;
                let form = Checkpoint { opened: *opened, options, backend: backend.clone() };
                let outline = for_good(&form);
                let opening = form.opened.opening.as_ref();
                let found = opening.map_or(String::new(), |opening| format!("\n{opening}"));
                self.print(&Shown { outline: &outline, opening }, &found)
            }
            #[cfg(feature = "onnx")]
            AnyNetwork::Graph(opened) => {
                if let Some(path) = &self.save_cut {
                    save(path, &opened.network.named_blocks())?;
                }
                let outline = for_good(&opened.network);
                self.print(&Shown { outline: &outline, opening: None }, &format!("\n{}", opened.network.found()))
            }
        }
    }

    fn print(&self, shown: &Shown, found: &str) -> anyhow::Result<()> {
        if self.json {
            return output::print_json(shown);
        }
        output::print(&format!("{}{found}", text::outline(shown.outline, "can be left out for good")))
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

/// A file of blocks replaces nothing but such a file.
#[cfg(feature = "onnx")]
fn save(path: &Path, stages: &[Vec<[String; 2]>]) -> Result<(), Error> {
    if path.exists() && open::cut(path).is_err() {
        let what = "there is a file that names no blocks; name another";
        return Err(Error::Usage(format!("{}: {what}", path.display())));
    }
    write_atomic(path, open::cut_text(stages).as_bytes())
}
