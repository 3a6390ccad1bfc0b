//! `eval`: accuracy and loss of a network.

use clap::Args;
use serde::Serialize;
use unrolled::device::DeviceInfo;
use unrolled::kernel::Backend;
use unrolled::measure::{SampleInfo, Score, evaluate};
use unrolled::nn::Network;
use unrolled::open::AnyNetwork;
use unrolled::ranks::Ranks;

use super::data_args::{DataArgs, OpenedData};
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

/// The score with what it is a score of.
#[derive(Serialize)]
struct Evaluation<'a> {
    target: &'a str,
    data: String,
    preprocessing: SampleInfo,
    device: Option<DeviceInfo>,
    /// Files of a folder that are no images.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    passed_over: &'a [String],
    #[serde(flatten)]
    score: &'a Score,
}

impl Eval {
    pub(super) fn run(&self, backend: &Backend, ranks: &Ranks) -> anyhow::Result<()> {
        let mut network = self.network.open(backend)?;
        let mut data = self.data.labelled_for_network(&self.network.path, &mut network)?;
        data.share(&network, ranks)?;
        let what = format!("{}: evaluating", output::short_name(&self.network.path));
        let (mut meter, mut done, all) = (progress::Meter::new(), 0, data.set.len() as u64);
        let score = evaluate(&network, &data.set, |samples| {
            done += samples;
            meter.show(&format!("{what} {done} of {all} samples"), done, all);
        });
        meter.finish();
        let score = score?;
        match self.json {
            true => self.print_json(&data, &network, &score),
            false => output::print(&output::score(&score, network.outline())),
        }?;
        Ok(score.check_finite(&self.network.name())?)
    }

    fn print_json(&self, data: &OpenedData, network: &AnyNetwork, score: &Score) -> anyhow::Result<()> {
        output::print_json(&Evaluation {
            target: &network.label(&self.network.name()),
            data: data.description(),
            preprocessing: SampleInfo::new(&data.set),
            device: network.device(),
            passed_over: data.set.dataset.passed_over(),
            score,
        })
    }
}
