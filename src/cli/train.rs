//! `train`: an experiment file to a run directory.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use unrolled::Error;
use unrolled::data::Normalization;
use unrolled::kernel::Backend;
use unrolled::model::{Epoch, Metadata, Model, ModelKind};
use unrolled::nn::Network;
use unrolled::nn::Outline;
use unrolled::open::{OpenOptions, OpenedModel};
use unrolled::ranks::Ranks;
use unrolled::train::{Event, Experiment, Resume, RunDirectory, Trainer, model_file};

use super::data_args::say_passed_over;
use super::{output, progress};

/// Arguments of `train`.
#[derive(Args)]
pub(super) struct Train {
    /// The experiment file (TOML); its keys are listed in docs/CONFIG.md
    #[arg(required_unless_present_any = ["init", "resume"])]
    config: Option<PathBuf>,
    /// Print an experiment file for a kind of network, with all defaults, or write it to a new file CONFIG
    #[arg(long, value_name = "KIND", value_parser = kinds(), conflicts_with_all = ["out", "set", "resume", "from"])]
    init: Option<String>,
    /// The run directory [default: runs/NAME of the file]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Override a value of the file, such as train.epochs=3; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Continue a run that was stopped; it ends as if it had never stopped. RUN knows its experiment. With --set
    /// train.epochs=N it is trained for longer, where the rates so far would have been the same. Where the data was moved,
    /// --set data.source=SOURCE names it
    #[arg(long, value_name = "RUN", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
    /// Resume a run also on another device or kind of processor, with other kernels, or with another number of threads or
    /// processes; it then does not end in the same bytes
    #[arg(long, requires = "resume")]
    inexact: bool,
    /// Start from the weights of a run, a model file, or a PyTorch or safetensors file; for other classes with a new head
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// What is to be trained where.
struct Request {
    experiment: Experiment,
    dir: PathBuf,
    resume: Resume,
}

impl Train {
    /// Returns whether it prints or writes an experiment file, and trains nothing.
    pub(super) fn only_prints(&self) -> bool {
        self.init.is_some()
    }

    pub(super) fn run(&self, backend: &Backend, ranks: &Ranks) -> anyhow::Result<()> {
        if let Some(name) = &self.init {
            return if ranks.is_first() { init(name, self.config.as_deref()) } else { Ok(()) };
        }
        let Request { experiment, dir, resume } = self.request(backend)?;
        let data = &experiment.data;
        let selects_on_test = data.select_on_test && data.validation == 0;
        let weights = match &experiment.train.from {
            // The checkpoint of a run takes precedence.
            Some(from) if resume == Resume::Never || model_file(&dir).is_err() => {
                Some(open_weights(from, &experiment, backend)?)
            }
            _ => None,
        };
        let (model, history) = train(experiment, weights.as_ref(), &dir, resume, backend, ranks)?;
        let figure = |epoch: &Epoch| {
            let (name, figure) = figure(model.outline(), epoch.evaluation_loss, epoch.evaluation_accuracy);
            format!("{} {name} {figure}", epoch.evaluated_on_name())
        };
        let last = history.last().map_or_else(String::new, |epoch| format!(", {}", figure(epoch)));
        let is_language_model = model.outline().is_language_model;
        let better = |best, epoch| if Epoch::is_better_than(epoch, best, is_language_model) { epoch } else { best };
        let path = dir.join("best.safetensors");
        let best = history.iter().reduce(better).filter(|best| best.epoch < history.len() as u64);
        if let Some(best) = best.filter(|_| path.exists()) {
            let figure = figure(best);
            let note = if selects_on_test { ", selected on the test split and so too good on average" } else { "" };
            output::say(&format!("best after epoch {}, {figure}{note}: {}", best.epoch, path.display()));
        }
        output::print(&format!("{}: {}{last}\n", dir.display(), model.outline().name))
    }

    /// Reads the experiment: that of the file, or that of the run which is resumed.
    fn request(&self, backend: &Backend) -> anyhow::Result<Request> {
        // `--resume CONFIG --out RUN` names an experiment file.
        let named = self.resume.as_ref().and_then(Option::as_deref);
        let (run, config) = match (named, &self.config) {
            (Some(path), None) if path.is_file() => (None, Some(path)),
            (run, config) => (run, config.as_deref()),
        };
        if let (Some(run), Some(out)) = (run, &self.out)
            && run != out
        {
            let (run, out) = (run.display(), out.display());
            return Err(Error::Usage(format!("--resume {run} and --out {out} name two runs; give one of them")).into());
        }
        let mut overrides = self.set.clone();
        overrides.extend(self.from.as_ref().map(|from| format!("train.from={}", toml_string(from))));
        let resume = match (&self.resume, self.inexact) {
            (None, _) => Resume::Never,
            (Some(_), false) => Resume::Exact,
            (Some(_), true) => Resume::Inexact,
        };
        let Some(config) = config else {
            let dir = run.or(self.out.as_deref());
            let dir = dir.ok_or_else(|| Error::Usage("--resume: name the run to resume".into()))?.to_owned();
            let experiment = RunDirectory::experiment(&dir, &overrides)?;
            return Ok(Request { experiment, dir, resume });
        };
        let text = read_text(config)?;
        let mut experiment = Experiment::parse(&text, &overrides, &config.display().to_string())?;
        let default = || Path::new("runs").join(config.file_stem().unwrap_or_default());
        let dir = run.or(self.out.as_deref()).map_or_else(default, Path::to_owned);
        if experiment.train.from.is_some() && experiment.data.normalization.is_none() {
            experiment.data.normalization = match resume != Resume::Never && dir.join("config.toml").exists() {
                true => RunDirectory::experiment(&dir, &[])?.data.normalization,
                false => weights_normalization(&experiment, backend)?,
            };
        }
        Ok(Request { experiment, dir, resume })
    }
}

/// Reads a text file; a byte order mark at its beginning is the parser's affair.
fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::io(path))
}

/// Returns a path as a TOML string.
fn toml_string(path: &Path) -> String {
    serde_json::Value::String(path.display().to_string()).to_string()
}

/// Opens the network whose weights a training starts from.
fn open_weights(from: &str, experiment: &Experiment, backend: &Backend) -> Result<OpenedModel, Error> {
    let options = OpenOptions::new().backend(backend);
    match options.open_model(from) {
        // What the file leaves open, the experiment says.
        Err(Error::Argument { .. } | Error::File { .. } | Error::Config { .. }) if !Path::new(from).is_dir() => {
            let Normalization { mean, std } =
                experiment.data.normalization.clone().unwrap_or_else(|| Normalization::uniform(0.0, 1.0));
            let arch = experiment.model.clone();
            options.mean(mean).std(std).arch(arch).open_model(from)
        }
        opened => opened,
    }
}

/// Returns the normalization that the weights of an experiment were trained with, where their file says it.
fn weights_normalization(experiment: &Experiment, backend: &Backend) -> Result<Option<Normalization>, Error> {
    let Some(from) = &experiment.train.from else { return Ok(None) };
    let opened = open_weights(from, experiment, backend)?;
    let Metadata { mean, std, characters, .. } = opened.metadata;
    let normalization = Normalization { mean, std };
    Ok(Some(normalization).filter(|known| characters.is_none() && *known != Normalization::uniform(0.0, 1.0)))
}

/// The kinds of network that `--init` accepts.
fn kinds() -> PossibleValuesParser {
    ModelKind::ALL.map(ModelKind::name).into()
}

/// Prints the experiment file of a kind of network, or writes it to a file that does not exist yet.
fn init(name: &str, path: Option<&Path>) -> anyhow::Result<()> {
    let kind = ModelKind::ALL.into_iter().find(|kind| kind.name() == name);
    let kind = kind.ok_or_else(|| Error::unknown("kind", name, ModelKind::ALL.map(ModelKind::name)))?;
    let text = Experiment::template(kind)?;
    match path {
        None => output::print(&text),
        Some(path) => {
            let file = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
            Ok(file.map_err(Error::io(path))?)
        }
    }
}

/// Trains with a progress bar on standard error and a line for every epoch.
pub(super) fn train(
    experiment: Experiment,
    weights: Option<&OpenedModel>,
    dir: &Path,
    resume: Resume,
    backend: &Backend,
    ranks: &Ranks,
) -> anyhow::Result<(Model, Vec<Epoch>)> {
    let from = experiment.train.from.clone().unwrap_or_default();
    // A run directory appears only once everything that goes into it is known to fit.
    let initial = weights.map(|opened| &opened.model);
    let trainer = Trainer::shared(experiment, initial, dir, resume, backend, ranks)?;
    output::say(&format!("{}: {}", dir.display(), trainer.model().outline().name));
    say_start(&trainer, weights.map(|_| from.as_str()));
    output::say_unlocked(dir, trainer.why_unlocked());
    let advice = format!("{} keeps its checkpoints; to go on: unrolled train --resume {0}", dir.display());
    progress::set_advice(Some(advice.clone()));
    let outline = trainer.model().outline().clone();
    let [_, epochs] = trainer.epochs();
    let begun = std::time::Instant::now();
    let (mut meter, mut seen, mut is_first, mut has_heading) = (progress::Meter::new(), 0, true, false);
    let result = trainer.train(&mut |event| match event {
        Event::Step { step, steps, epoch, loss, accuracy, samples } => {
            if std::mem::take(&mut is_first) {
                meter.set_before(step - 1);
            }
            seen += samples;
            let speed = seen as f64 / begun.elapsed().as_secs_f64();
            let (name, figure) = figure(&outline, loss, accuracy);
            let line = format!("epoch {epoch} of {epochs}, loss {loss:.4}, {name} {figure}, {speed:.0} samples/s");
            meter.show(&line, step, steps);
        }
        Event::Epoch(epoch) => {
            if !std::mem::replace(&mut has_heading, true) {
                meter.say(&heading(&outline, epoch));
            }
            meter.say(&row(&outline, epoch));
        }
    });
    meter.finish();
    progress::set_advice(None);
    // A loss that is not finite would come again.
    let can_continue = !matches!(result, Err(Error::NonFinite { .. }) | Ok(_));
    if can_continue {
        output::say(&advice);
    }
    Ok(result?)
}

/// Says what a training starts from.
fn say_start(trainer: &Trainer, from: Option<&str>) {
    let [training, evaluated] = trainer.data();
    say_passed_over("training samples", training);
    say_passed_over(&format!("{} samples", trainer.evaluated_on().name()), evaluated);
    if let Some(from) = from {
        let new = trainer.new_parameters();
        let head = match new.is_empty() {
            true => String::new(),
            false => format!("; new, for other classes: {}", new.join(", ")),
        };
        output::say(&format!("starts from the weights of {from}{head}"));
    }
    let [done, all] = trainer.epochs();
    if done > 0 {
        output::say(&format!("continues after epoch {done} of {all}"));
    }
}

/// The score of a network and its name, such as `accuracy` and `97.31 %`, or `perplexity` and `92.31`.
fn figure(outline: &Outline, loss: f64, accuracy: f64) -> (&'static str, String) {
    match outline.perplexity(loss) {
        Some(perplexity) => ("perplexity", format!("{perplexity:.2}")),
        None => ("accuracy", format!("{:.2} %", 100.0 * accuracy)),
    }
}

/// The heading of the table of epochs.
fn heading(outline: &Outline, epoch: &Epoch) -> String {
    let (name, _) = figure(outline, epoch.train_loss, epoch.train_accuracy);
    let evaluated = format!("{} loss", epoch.evaluated_on_name());
    format!("epoch  last rate  train loss  {name:>10}  {evaluated:>15}  {name:>10}  seconds")
}

/// The row of a finished epoch.
fn row(outline: &Outline, epoch: &Epoch) -> String {
    let (_, train) = figure(outline, epoch.train_loss, epoch.train_accuracy);
    let (_, evaluated) = figure(outline, epoch.evaluation_loss, epoch.evaluation_accuracy);
    format!(
        "{:>5}  {:<9.3e}  {:>10.4}  {train:>10}  {:>15.4}  {evaluated:>10}  {:>7.1}",
        epoch.epoch, epoch.rate, epoch.train_loss, epoch.evaluation_loss, epoch.seconds
    )
}
