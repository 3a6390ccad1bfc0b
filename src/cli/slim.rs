//! `slim`: blocks left out for good.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args};
use indicatif::ProgressBar;
use unrolled::data::Split;
use unrolled::measure::{self, Only, Source};
use unrolled::model::Model;
use unrolled::nn::{At, Network, Route};
use unrolled::open::{self, Any};
use unrolled::report::{self, Slimming, text};
use unrolled::slim::{self, By, Came, Form, Healed, Plan, Target};
use unrolled::train::{Event, Experiment};
use unrolled::{Error, check_writable, write_whole};

use super::measure::{opened_data, source};
use super::target::Target as Opening;
use super::{DataArgs, output};

/// Arguments of `slim`.
#[derive(Args)]
#[command(group(ArgGroup::new("goal").args(["remove", "keep_accuracy", "params", "latency", "blocks", "plan"])))]
pub(super) struct Slim {
    #[command(flatten)]
    target: Opening,
    #[command(flatten)]
    data: DataArgs,
    /// Leave out so many blocks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    remove: Option<u32>,
    /// Leave out blocks as long as no more than so many percentage points of accuracy are lost
    #[arg(long, value_name = "POINTS", value_parser = not_negative)]
    keep_accuracy: Option<f64>,
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
    #[arg(long, value_parser = by_parser(), default_value = "greedy")]
    by: By,
    /// Write the slimmed network to this safetensors file, with the names that came in
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write no network, and say what would be
    #[arg(long, conflicts_with = "out")]
    dry_run: bool,
    /// Write the plan to this file, to be edited and applied with --plan
    #[arg(long, value_name = "FILE")]
    save_plan: Option<PathBuf>,
    /// Estimate the statistics of the normalizations again over the first N training samples; 0 for all
    #[arg(long, value_name = "N")]
    heal_norm: Option<usize>,
    /// Train the slimmed network for so many epochs
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

/// Lists the rankings with what they rank by in the help text.
fn by_parser() -> impl TypedValueParser<Value = By> {
    PossibleValuesParser::new(By::ALL.map(|by| PossibleValue::new(by.name()).help(by.what())))
        .try_map(|name| name.parse())
}

/// What is settled before any sample runs.
struct Prepared<F> {
    form: F,
    choosing: Source,
    proving: Source,
    /// Samples to estimate normalizations with.
    healing: Option<Source>,
    experiment: Option<Experiment>,
    /// Blocks that were named, and by what.
    named: Option<Vec<At>>,
    seed: u64,
}

impl Slim {
    pub(super) fn run(&self, device: &Device) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.check_paths()?;
        let prepared = self.prepare(device)?;
        let slimming = self.slim(&prepared, |planned, bar| self.heal(&prepared, planned, bar))?;
        if let Some(path) = &self.save_plan {
            let removed: Vec<At> = slimming.removed.iter().filter_map(|name| Some(At::split(name)?.0)).collect();
            let plan = Plan::new(&slimming.outline, &removed, prepared.seed).to_toml()?;
            write_whole(path, plan.as_bytes())?;
        }
        if let Some(dir) = &self.report {
            let json = serde_json::to_string_pretty(&slimming)? + "\n";
            write_whole(&dir.join("slim.json"), json.as_bytes())?;
            write_whole(&dir.join("report.html"), report::slim_html(&slimming, &output::facts(begun))?.as_bytes())?;
        }
        if self.json { output::print_json(&slimming) } else { output::print(&text::slimming(&slimming)) }
    }

    /// How far to go, where a ranking decides.
    fn goal(&self) -> Option<Target> {
        let remove = self.remove.map(|count| Target::Remove(count as usize));
        let accuracy = self.keep_accuracy.map(Target::KeepAccuracy);
        remove.or(accuracy).or(self.params.map(Target::Parameters)).or(self.latency.map(Target::Latency))
    }

    /// Whether blocks are left out at all; without a goal nothing is asked for but rankings.
    fn has_goal(&self) -> bool {
        self.goal().is_some() || !self.blocks.is_empty() || self.plan.is_some()
    }

    /// Whatever stands in the way of writing is found before anything is measured.
    fn check_paths(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::Usage(what));
        let heals = self.heal_norm.is_some() || self.finetune.is_some();
        match (&self.out, self.has_goal()) {
            (Some(_), false) => {
                return wrong("--out: what is to be left out? Give --remove, --keep-accuracy, --params, --latency, --blocks or --plan".into());
            }
            (None, true) if !self.dry_run => {
                return wrong("--out FILE is needed to write the network, or --dry-run".into());
            }
            (_, false) if heals || self.save_plan.is_some() => {
                return wrong(
                    "nothing is left out that could be healed or planned: give --remove or another goal".into(),
                );
            }
            _ => {}
        }
        for path in [&self.out, &self.save_plan].into_iter().flatten() {
            if path.is_dir() {
                return wrong(format!("{}: a directory; name a file", path.display()));
            }
            check_writable(path.parent().unwrap_or(Path::new("")))?;
        }
        self.report.as_deref().map_or(Ok(()), check_writable)?;
        if heals && self.data.split == super::Part::Train {
            return wrong(
                "--split train: healing learns from these samples, and they would prove what it learned".into(),
            );
        }
        if self.target.target.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
            return wrong(format!("{}: ONNX files can be shown and measured, not slimmed", self.target.name()));
        }
        if let Some(plan) = &self.save_plan {
            self.check_plan_path(plan)?;
        }
        let Some(out) = &self.out else { return Ok(()) };
        if out.extension().is_none_or(|extension| extension != "safetensors") {
            return wrong(format!("{}: what is written is safetensors; end the name in .safetensors", out.display()));
        }
        self.check_beside_network(out)
    }

    /// A plan replaces nothing but a plan.
    fn check_plan_path(&self, plan: &Path) -> Result<(), Error> {
        self.check_beside_network(plan)?;
        if self.out.as_deref() == Some(plan) {
            return Err(Error::Usage(format!("{}: --out and --save-plan name the same file", plan.display())));
        }
        let is_other =
            plan.exists() && std::fs::read_to_string(plan).map_or(true, |old| Plan::parse(plan, &old).is_err());
        if is_other {
            return Err(Error::Usage(format!("{}: there is a file that is no plan; name another", plan.display())));
        }
        Ok(())
    }

    /// Renaming replaces a link, not what it leads to; who names one means what it leads to all the same.
    fn check_beside_network(&self, path: &Path) -> Result<(), Error> {
        let input = &self.target.target;
        let real = |path: &Path| path.canonicalize().ok();
        let (Some(of_input), Some(of_path)) = (real(input), real(path)) else { return Ok(()) };
        if of_path == of_input || input.is_dir() && of_path.starts_with(&of_input) {
            return Err(Error::Usage(format!(
                "{}: part of the network that is slimmed, which is never overwritten; name another file",
                path.display()
            )));
        }
        Ok(())
    }

    fn prepare(&self, device: &Device) -> anyhow::Result<Prepared<Came>> {
        let options = self.target.opening.options()?;
        let name = self.target.name();
        let opened = open::open(&self.target.target, &options, device)?;
        let plan = self.plan.as_deref().map(|path| -> Result<_, Error> {
            let plan = Plan::parse(path, &std::fs::read_to_string(path).map_err(Error::io(path))?)?;
            Ok((plan.removed(path, opened.model.outline())?, plan.seed))
        });
        let plan = plan.transpose()?;
        let seed = self.seed.or(plan.as_ref().map(|(_, seed)| *seed)).unwrap_or(0);
        let named = match plan {
            Some((blocks, _)) => Some(blocks),
            None if self.blocks.is_empty() => None,
            None => {
                let named = slim::named(&self.blocks, opened.model.outline());
                Some(named.map_err(|e| Error::Usage(format!("--blocks: {e}")))?)
            }
        };
        let mut any = Any::Trained(Box::new(opened));
        let whole = source(&name, &mut any, &self.data)?;
        #[cfg_attr(not(feature = "onnx"), expect(irrefutable_let_patterns))]
        let Any::Trained(opened) = any else { unreachable!("it was opened as such") };
        let bytes = self.memory.unwrap_or_else(super::memory::quarter);
        let fits = bytes / measure::bytes_per_sample(opened.model.outline(), &[Only::Influence]);
        let batch = whole.batch.min(fits.max(1) as usize);
        if whole.dataset.len() < 2 {
            return Err(
                Error::Usage("slimming needs at least 2 samples: one half chooses, the other proves".into()).into()
            );
        }
        let half = |dataset| Source { dataset: Arc::new(dataset), batch, ..whole.clone() };
        let [choosing, proving] = whole.dataset.halves(seed).map(half);
        // Where blocks are named one by one, nothing is chosen: all samples prove.
        let proving = if self.blocks.is_empty() { proving } else { Source { batch, ..whole.clone() } };
        if self.heal_norm.is_some() && opened.model.parameters.iter().all(|(_, parameter)| parameter.is_trained()) {
            return Err(Error::Usage(format!("--heal-norm: {name} has no normalization")).into());
        }
        let healing = self.heal_norm.map(|limit| -> anyhow::Result<Source> {
            let dataset = opened_data(&self.data, Split::Train)?.limit(limit);
            Ok(Source { dataset: Arc::new(dataset), batch: self.data.batch.into(), ..whole.clone() })
        });
        let healing = healing.transpose()?;
        let experiment = self.finetune.map(|epochs| self.experiment(epochs)).transpose()?;
        Ok(Prepared {
            form: Came { opened: *opened, options, device: device.clone() },
            choosing,
            proving,
            healing,
            experiment,
            named,
            seed,
        })
    }

    /// How to fine-tune: the experiment of the run or of a file, with the data that the command names.
    fn experiment(&self, epochs: u64) -> Result<Experiment, Error> {
        let of_run = self.target.target.join("config.toml");
        let path = match &self.experiment {
            Some(path) => path,
            None if of_run.exists() => &of_run,
            None => {
                return Err(Error::Usage(
                    "--finetune: say how to train with --experiment FILE, or slim a run directory".into(),
                ));
            }
        };
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let mut overrides = vec![format!("data.source={}", self.data.data)];
        overrides.extend(self.set.iter().cloned());
        overrides.push(format!("train.epochs={epochs}"));
        let experiment = Experiment::parse(&text, &overrides, &path.display().to_string())?;
        // Whatever is wrong with the data is found before anything is measured.
        opened_data(&self.data, Split::Train)?;
        Ok(experiment)
    }

    /// Ranks, chooses, heals and proves, in whatever form the network came.
    fn slim<F: Form>(
        &self,
        prepared: &Prepared<F>,
        heal: impl FnOnce(&F::Network, &ProgressBar) -> Result<Vec<Healed<F::Network>>, Error>,
    ) -> anyhow::Result<Slimming> {
        let Prepared { form, choosing, proving, named, seed, .. } = prepared;
        let network = form.network();
        let bar = output::bar(0, "");
        let mut progress = |what: &str, done: u64, all: u64| {
            bar.set_message(what.to_owned());
            bar.set_length(all);
            bar.set_position(done);
        };
        let (removed, mut choice) = match named {
            Some(blocks) => (blocks.clone(), None),
            None => {
                let choice = slim::choose(form, choosing, self.by, self.goal(), *seed, &mut progress)?;
                (choice.removed, Some(choice.chosen))
            }
        };
        let route = removed.iter().fold(Route::identity(network.outline()), |route, &at| route.without(at));
        let slimmed = if self.has_goal() {
            if let Some(choice) = &mut choice {
                slim::routes_compared(form, proving, &mut choice.rankings, removed.len(), &mut progress)?;
            }
            Some(slim::prove(form, &route, proving, |planned| heal(planned, &bar), self.out.as_deref(), &mut progress)?)
        } else {
            None
        };
        bar.finish_and_clear();
        Ok(Slimming {
            target: self.target.name(),
            data: self.data.describe(true),
            seed: *seed,
            outline: network.outline().clone(),
            stays: slim::removable(form).1,
            choice,
            removed: removed.iter().map(ToString::to_string).collect(),
            route: route.to_string(),
            slimmed,
        })
    }

    /// A network that can be trained here, after what was asked for.
    fn heal(&self, prepared: &Prepared<Came>, planned: &Model, bar: &ProgressBar) -> Result<Vec<Healed<Model>>, Error> {
        let mut healed: Vec<Healed<Model>> = Vec::new();
        if let Some(samples) = &prepared.healing {
            healed.push(slim::reestimate(planned, samples, prepared.seed, &mut |what, done, all| {
                bar.set_message(what.to_owned());
                bar.set_length(all);
                bar.set_position(done);
            })?);
        }
        if let Some(experiment) = &prepared.experiment {
            let start = healed.last().map_or(planned, |step| &step.network);
            let card = &prepared.form.opened.card;
            let observe = &mut |event: Event| {
                if let Event::Step { step, steps, .. } = event {
                    bar.set_message("fine-tuning");
                    bar.set_length(steps);
                    bar.set_position(step);
                }
            };
            healed.push(slim::finetune(start, card, experiment.clone(), &prepared.form.device, observe)?);
        }
        Ok(healed)
    }
}
