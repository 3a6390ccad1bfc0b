//! `slim`: blocks left out for good.

mod paths;
mod prepare;

use std::path::PathBuf;
use std::time::Instant;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args};
use unrolled::kernel::Backend;
use unrolled::measure::EvalSet;
use unrolled::report;
use unrolled::slim::{self, Criterion, Goal, Prunable, RemovalPlan};
use unrolled::write_atomic;

use super::data_args::DataArgs;
use super::network_args::NetworkArgs;
use super::{output, progress};

/// Arguments of `slim`.
#[derive(Args)]
#[command(group(ArgGroup::new("goal").args(["remove", "keep_accuracy", "keep_loss", "params", "latency", "blocks", "plan"])))]
pub(super) struct Slim {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Leave out so many blocks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    remove: Option<u32>,
    /// Leave out blocks as long as no more than so many percentage points of accuracy are lost
    #[arg(long, value_name = "POINTS", value_parser = points)]
    keep_accuracy: Option<f64>,
    /// Leave out blocks as long as the loss grows by no more than so many nats; for a language model, 0.05 nats raise
    /// perplexity by about 5 %
    #[arg(long, value_name = "NATS", value_parser = not_negative)]
    keep_loss: Option<f64>,
    /// Leave out blocks until no more than so many parameters remain
    #[arg(long, value_name = "N")]
    params: Option<u64>,
    /// Leave out blocks until one sample takes no more than so many milliseconds here
    #[arg(long, value_name = "MS", value_parser = not_negative)]
    latency: Option<f64>,
    /// Leave out these blocks, such as stage3.block2,stage3.block4
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    blocks: Vec<String>,
    /// Leave out the blocks that a plan file names
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// The ranking that decides which blocks go first
    #[arg(long, value_parser = by_parser(), default_value = "greedy", conflicts_with_all = ["blocks", "plan"])]
    by: Criterion,
    /// Write the slimmed network to this file, in the form that came in: safetensors, or ONNX
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write no network, and say what would be
    #[arg(long, conflicts_with = "out")]
    dry_run: bool,
    /// Write the plan to this file, to be edited and applied with --plan
    #[arg(long, value_name = "FILE")]
    save_plan: Option<PathBuf>,
    /// Estimate the statistics of the normalizations again over the first N training samples; 0 for all. Not of ONNX files
    #[arg(long, value_name = "N")]
    heal_norm: Option<usize>,
    /// Train the slimmed network for so many epochs. Not ONNX files
    #[arg(long, value_name = "EPOCHS", value_parser = clap::value_parser!(u64).range(1..))]
    finetune: Option<u64>,
    /// The experiment file that says how to fine-tune [default: that of the run]
    #[arg(long, value_name = "FILE", requires = "finetune")]
    experiment: Option<PathBuf>,
    /// Override a value of the experiment, such as train.rate=0.01; may be given again
    #[arg(long, value_name = "KEY=VALUE", requires = "finetune")]
    set: Vec<String>,
    /// Write report.html and slim.json to this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Memory for estimates, such as 512M or 4G [default: a quarter of the machine's]
    #[arg(long, value_name = "BYTES", value_parser = super::memory::parse)]
    memory: Option<u64>,
    /// Seed of the halves of the samples and of the random ranking [default: that of the plan, otherwise 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| format!("'{text}': expected a number of at least 0"))
}

fn points(text: &str) -> Result<f64, String> {
    let number = not_negative(text).ok().filter(|number| *number <= 100.0);
    number.ok_or_else(|| format!("'{text}': expected a number from 0 to 100"))
}

/// Lists the rankings with what they rank by in the help text.
fn by_parser() -> impl TypedValueParser<Value = Criterion> {
    PossibleValuesParser::new(Criterion::ALL.map(|by| PossibleValue::new(by.name()).help(by.about())))
        .try_map(|name| name.parse())
}

impl Slim {
    pub(super) fn run(&self, backend: &Backend) -> anyhow::Result<()> {
        self.check_paths()?;
        let mut network = self.network.open(backend)?;
        let data = self.data.for_network(&self.network.name(), &mut network)?;
        self.slim(&network, &data)
    }

    /// How far to go, where a ranking decides.
    fn goal(&self) -> Option<Goal> {
        let remove = self.remove.map(|count| Goal::Remove(count as usize));
        let accuracy = self.keep_accuracy.map(Goal::KeepAccuracy);
        let loss = self.keep_loss.map(Goal::KeepLoss);
        remove.or(accuracy).or(loss).or(self.params.map(Goal::Parameters)).or(self.latency.map(Goal::Latency))
    }

    /// Whether anything is to be healed.
    fn heals(&self) -> bool {
        self.heal_norm.is_some() || self.finetune.is_some()
    }

    /// Whether blocks are left out at all; without a goal nothing is asked for but rankings.
    fn has_goal(&self) -> bool {
        self.goal().is_some() || !self.blocks.is_empty() || self.plan.is_some()
    }

    /// Slims a network, and says what came of it.
    fn slim<P: Prunable>(&self, network: &P, data: &EvalSet) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.check_draft(network)?;
        let described = self.data.describe(data.dataset.is_labelled());
        let slim =
            slim::Slim::new(network, data).names(&self.network.name(), &described).by(self.by).memory(self.memory);
        let slim = self.settle(slim.goal(self.goal()), network, data)?;
        let bar = progress::bar(0, "");
        let slimming = slim.run(self.out.as_deref(), &mut |what, done, all| {
            bar.set_message(what.to_owned());
            bar.set_length(all);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        if let Some(path) = &self.save_plan {
            let plan = RemovalPlan::new(&slimming.outline, &slimming.removed, slimming.seed, data).to_toml()?;
            write_atomic(path, plan.as_bytes())?;
        }
        let page = slim::slimming_report(&slimming, output::facts(begun));
        if let Some(dir) = &self.report {
            let json = serde_json::to_string_pretty(&slimming)? + "\n";
            write_atomic(&dir.join("slim.json"), json.as_bytes())?;
            output::save_page(dir, &page)?;
        }
        if self.json { output::print_json(&slimming) } else { output::print(&report::text(&page, output::width())) }
    }
}
