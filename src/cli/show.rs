//! `show`: what a network is made of.

use burn::tensor::Device;
use clap::Args;
use serde::Serialize;
use unrolled::nn::Network;
use unrolled::open::{Any, Opening};
use unrolled::report::{Outline, text};
use unrolled::slim::{self, Came, Form};

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

/// The outline, with what can be left out for good, and of a file that others wrote what became of its arrays.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    outline: &'a Outline,
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<&'a Opening>,
}

impl Show {
    pub(super) fn run(&self, device: &Device) -> anyhow::Result<()> {
        match self.target.open(device)? {
            Any::Trained(opened) => {
                let options = self.target.opening.options()?;
                let form = Came { opened: *opened, options, device: device.clone() };
                let mut outline = form.network().outline().clone();
                let (_, stays) = slim::removable(&form);
                for block in outline.stages.iter_mut().flat_map(|stage| &mut stage.blocks) {
                    block.fixed = stays.get(&block.name).cloned();
                }
                let opening = form.opened.opening.as_ref();
                let found = opening.map_or(String::new(), |opening| format!("\n{opening}"));
                self.print(&Shown { outline: &outline, opening }, "can be left out for good", &found)
            }
            #[cfg(feature = "onnx")]
            Any::Graph(opened) => {
                let shown = Shown { outline: opened.network.outline(), opening: None };
                self.print(&shown, "can be left out", &format!("\n{}", opened.network.found()))
            }
        }
    }

    fn print(&self, shown: &Shown, left_out: &str, found: &str) -> anyhow::Result<()> {
        if self.json {
            return output::print_json(shown);
        }
        output::print(&format!("{}{found}", text::outline(shown.outline, left_out)))
    }
}
