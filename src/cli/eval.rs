//! `eval`: accuracy and loss of a network.

use clap::Args;
use unrolled::kernel::Backend;
use unrolled::measure::evaluate;
use unrolled::nn::Network;

use super::data_args::DataArgs;
use super::network_args::NetworkArgs;
use super::{output, progress};

/// Arguments of `eval`.
#[derive(Args)]
pub(super) struct Eval {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub(super) fn run(&self, backend: &Backend) -> anyhow::Result<()> {
        let mut network = self.network.open(backend)?;
        let data = self.data.labelled_for_network(&self.network.name(), &mut network)?;
        let bar = progress::bar(data.len() as u64, "evaluating");
        let score = evaluate(&network, &data, |samples| bar.inc(samples))?;
        bar.finish_and_clear();
        if self.json { output::print_json(&score) } else { output::print(&output::score(&score, network.outline())) }
    }
}
