//! `show`: what a network is made of.

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use unrolled::nn::Network;
use unrolled::report::text;

use super::output;

/// Arguments of `show`.
#[derive(Args)]
pub(super) struct Show {
    /// A run directory or a model file
    target: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn run(&self, device: &Device) -> anyhow::Result<()> {
        let (opened, _) = unrolled::train::open(&self.target, device)?;
        let outline = opened.model.outline();
        if self.json { output::print_json(outline) } else { output::print(&text::outline(outline)) }
    }
}
