//! `slim`: blocks left out for good.

mod folder;
mod paths;
mod prepare;

use std::path::PathBuf;
use std::time::Instant;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args};
use unrolled::kernel::Backend;
use unrolled::ranks::Ranks;
use unrolled::report;
use unrolled::slim::{self, Criterion, Goal, Prunable, RemovalPlan};
use unrolled::{Error, FileContents, OutputPath, write_atomic_checked};

use self::paths::Places;
use super::checkpoint_folder::LayerArgs;
use super::data_args::{DataArgs, OpenedData};
use super::network_args::NetworkArgs;
use super::report_directory::SLIMMING;
use super::{numbers, output, progress};

/// Arguments of `slim`.
#[derive(Args)]
#[command(group(ArgGroup::new("goal").args(["remove", "keep_accuracy", "keep_loss", "params", "latency", "blocks", "plan"])))]
pub(super) struct Slim {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    layers: LayerArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Leave out N blocks
    #[arg(long, value_name = "N", value_parser = numbers::positive)]
    remove: Option<usize>,
    /// Leave out blocks while accuracy drops by at most POINTS percentage points
    #[arg(long, value_name = "POINTS", value_parser = numbers::points)]
    keep_accuracy: Option<f64>,
    /// Leave out blocks while the loss grows by at most NATS; for a language model, 0.05 nats raise perplexity by about 5 %
    #[arg(long, value_name = "NATS", value_parser = numbers::not_negative)]
    keep_loss: Option<f64>,
    /// Leave out blocks until at most N parameters remain
    #[arg(long, value_name = "N", value_parser = numbers::count)]
    params: Option<usize>,
    /// Leave out blocks until one sample takes at most MS milliseconds on this machine
    #[arg(long, value_name = "MS", value_parser = numbers::not_negative)]
    latency: Option<f64>,
    /// Leave out these blocks, such as stage3.block2,stage3.block4, or by their names in the file, such as layer3.1; of a
    /// Transformers folder also by the names of its layers, such as model.layers.3
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    blocks: Vec<String>,
    /// Leave out the blocks that a plan file names
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// The ranking that decides which blocks go first
    #[arg(long, value_name = "RANKING", value_parser = by_parser(), default_value = "greedy", conflicts_with_all = ["blocks", "plan"])]
    by: Criterion,
    /// Write the slimmed network to this file, in the form that came in: safetensors, or ONNX; of a Transformers
    /// folder, to this new directory
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the files that --out and --save-plan name; without it they are never overwritten
    #[arg(long)]
    overwrite: bool,
    /// Write no network, and say what would be
    #[arg(long, conflicts_with = "out")]
    dry_run: bool,
    /// Write the plan to this file, to be edited and applied with --plan
    #[arg(long, value_name = "FILE")]
    save_plan: Option<PathBuf>,
    /// Estimate the statistics of the normalizations again over the first N training samples; 0 for all. Not for ONNX files
    #[arg(long, value_name = "N", value_parser = numbers::count)]
    heal_norm: Option<usize>,
    /// Train the slimmed network for EPOCHS epochs. Not for ONNX files
    #[arg(long, value_name = "EPOCHS", value_parser = numbers::positive)]
    finetune: Option<usize>,
    /// The experiment file that says how to fine-tune [default: that of the run]
    #[arg(long, value_name = "FILE", requires = "finetune")]
    experiment: Option<PathBuf>,
    /// Override a value of the experiment, such as train.rate=0.01; may be given again
    #[arg(long, value_name = "KEY=VALUE", requires = "finetune")]
    set: Vec<String>,
    /// Write report.html and slim.json to this directory
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Memory that measuring may take beside the network and the samples, such as 512M or 4G [default: a quarter of the machine's]
    #[arg(long, value_name = "BYTES", value_parser = super::memory::parse)]
    memory: Option<u64>,
    /// Seed of the halves of the samples and of the random ranking [default: that of the plan, otherwise 0]
    #[arg(long, value_parser = numbers::seed)]
    seed: Option<u64>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Lists the rankings with what they rank by in the help text.
fn by_parser() -> impl TypedValueParser<Value = Criterion> {
    PossibleValuesParser::new(Criterion::ALL.map(|by| PossibleValue::new(by.name()).help(by.about())))
        .try_map(|name| name.parse())
}

impl Slim {
    pub(super) fn run(&self, backend: &Backend, ranks: &Ranks) -> anyhow::Result<()> {
        if let Some(folder) = self.layers.folder(&self.network.path)? {
            return if ranks.is_first() { self.slim_folder(&folder) } else { Ok(()) };
        }
        if self.latency.is_some() && ranks.size() > 1 {
            return Err(Error::Usage("--latency: differs from process to process; run it in one".into()).into());
        }
        let places = self.check_paths(ranks)?;
        let mut network = self.network.open(backend)?;
        let mut data = self.data.for_network(&self.network.path, &mut network)?;
        data.share(&network, ranks)?;
        self.slim(&network, &data, &places)?;
        places.complete();
        Ok(())
    }

    /// How far to go, where a ranking decides.
    fn goal(&self) -> Option<Goal> {
        let remove = self.remove.map(Goal::Remove);
        let accuracy = self.keep_accuracy.map(Goal::KeepAccuracy);
        let loss = self.keep_loss.map(Goal::KeepLoss);
        remove
            .or(accuracy)
            .or(loss)
            .or(self.params.map(|count| Goal::Parameters(count as u64)))
            .or(self.latency.map(Goal::Latency))
    }

    /// Returns whether the slimmed network is recalibrated or fine-tuned.
    fn heals(&self) -> bool {
        self.heal_norm.is_some() || self.finetune.is_some()
    }

    /// Whether blocks are left out at all; without a goal nothing is asked for but rankings.
    fn has_goal(&self) -> bool {
        self.goal().is_some() || !self.blocks.is_empty() || self.plan.is_some()
    }

    /// Slims a network, and says what came of it.
    fn slim<P: Prunable>(&self, network: &P, data: &OpenedData, places: &Places) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.check_draft(network, places)?;
        let slim = slim::Slim::new(network, &data.set).names(&self.network.name(), &data.description());
        let slim = slim.by(self.by).memory(self.memory).if_exists(self.if_exists());
        let slim = self.settle(slim.goal(self.goal()), network, data)?;
        let name = output::short_name(&self.network.path);
        let (mut meter, mut current) = (progress::Meter::new(), String::new());
        let slimming = slim.run(self.out.as_deref(), &mut |what, done, all| {
            if current != what {
                what.clone_into(&mut current);
                meter.restart(0);
            }
            meter.show(&format!("{name}: {what}"), done, all);
        });
        meter.finish();
        let slimming = slimming?;
        let ranks = &data.set.ranks;
        if !ranks.is_first() {
            return Ok(());
        }
        if let Some(path) = &self.save_plan {
            let plan = RemovalPlan::new(&slimming.outline, &slimming.removed, slimming.seed, &data.set).to_toml()?;
            let place = OutputPath { path, if_exists: self.if_exists() };
            write_atomic_checked(place, &FileContents::from(plan.into_bytes()), |_| Ok(()))?;
        }
        let page = slim::slimming_report(&slimming, output::facts_of_ranks(begun, ranks));
        if let Some(directory) = &places.report {
            let json = output::json_document(&slimming)?;
            directory.save_with(&page, (SLIMMING.to_owned(), json.into_bytes()), Vec::new())?;
        }
        if self.json { output::print_json(&slimming) } else { output::print(&report::text(&page, output::width())) }
    }
}
