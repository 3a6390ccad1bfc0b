//! `show`: what a network is made of.

use burn::tensor::Device;
use clap::Args;
use serde::Serialize;
use unrolled::open::{Any, Opening};
use unrolled::report::{Outline, text};

use super::output;
use super::target::Target;

/// Arguments of `show`.
#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: Target,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The outline, and of a file that others wrote what became of its arrays.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    outline: &'a Outline,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<&'a Opening>,
}

impl Show {
    pub(super) fn run(&self, device: &Device) -> anyhow::Result<()> {
        let opened = self.target.open(device)?;
        let outline = opened.outline();
        let opening = match &opened {
            Any::Trained(opened) => opened.opening.as_ref(),
            #[cfg(feature = "onnx")]
            Any::Graph(_) => None,
        };
        if self.json {
            return output::print_json(&Shown { outline, opening });
        }
        let found = match &opened {
            Any::Trained(_) => opening.map(ToString::to_string),
            #[cfg(feature = "onnx")]
            Any::Graph(opened) => Some(opened.network.found()),
        };
        let found = found.map_or(String::new(), |found| format!("\n{found}"));
        output::print(&format!("{}{found}", text::outline(outline)))
    }
}
