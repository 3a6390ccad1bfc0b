//! `train`: an experiment file to a run directory.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};
use unrolled::Error;
use unrolled::kernel::Backend;
use unrolled::model::{Epoch, Model, ModelKind};
use unrolled::nn::Network;
use unrolled::nn::Outline;
use unrolled::train::{Event, Experiment, Trainer};

use super::{output, progress};

/// Arguments of `train`.
#[derive(Args)]
pub(super) struct Train {
    /// The experiment file (TOML); its keys are listed in docs/CONFIG.md
    #[arg(required_unless_present = "init")]
    config: Option<PathBuf>,
    /// Print an experiment file for a kind of network, with all defaults, or write it to a new file CONFIG
    #[arg(long, value_name = "KIND", value_parser = kinds(), conflicts_with_all = ["out", "set", "resume"])]
    init: Option<String>,
    /// The run directory [default: runs/NAME of the file]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Override a value of the file, such as train.epochs=3; may be given again
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Continue a run that was stopped; it ends as if it had never stopped
    #[arg(long)]
    resume: bool,
}

impl Train {
    pub(super) fn run(&self, backend: &Backend) -> anyhow::Result<()> {
        if let Some(name) = &self.init {
            return init(name, self.config.as_deref());
        }
        let path = self.config.as_deref().unwrap_or(Path::new(""));
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let experiment = Experiment::parse(&text, &self.set, &path.display().to_string())?;
        let name = path.file_stem().unwrap_or_default();
        let dir = self.out.clone().unwrap_or_else(|| Path::new("runs").join(name));
        let (model, history) = train(experiment, &dir, self.resume, backend)?;
        let figure = |e: &Epoch| figure(model.outline(), e.test_loss, e.test_accuracy);
        let last = history.last().map_or_else(String::new, |e| format!(", {0} {1}", figure(e).0, figure(e).1));
        let is_language_model = model.outline().is_language_model;
        let better = |best, epoch| if Epoch::is_better_than(epoch, best, is_language_model) { epoch } else { best };
        if let Some(best) = history.iter().reduce(better).filter(|best| best.epoch < history.len() as u64) {
            let (path, (name, figure)) = (dir.join("best.safetensors"), figure(best));
            output::say(&format!("best after epoch {}, {name} {figure}: {}", best.epoch, path.display()));
        }
        output::print(&format!("{}: {}{last}\n", dir.display(), model.outline().name))
    }
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
    dir: &Path,
    resume: bool,
    backend: &Backend,
) -> anyhow::Result<(Model, Vec<Epoch>)> {
    // A run directory appears only once everything that goes into it is known to fit.
    let trainer = Trainer::new(experiment, dir, resume, backend)?;
    output::say(&format!("{}: {}", dir.display(), trainer.model().outline().name));
    let bar = progress::bar(0, "");
    let template = "epoch {msg} {bar:20} {prefix} · {eta} left";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let begun = std::time::Instant::now();
    let outline = trainer.model().outline().clone();
    let mut seen = 0;
    let result = trainer.train(&mut |event| match event {
        Event::Step { step, steps, epoch, loss, accuracy, samples } => {
            seen += samples;
            let rate = seen as f64 / begun.elapsed().as_secs_f64();
            if bar.length() == Some(0) {
                bar.set_length(steps);
                bar.reset_eta();
            }
            bar.set_position(step);
            bar.set_message(epoch.to_string());
            let (name, figure) = figure(&outline, loss, accuracy);
            bar.set_prefix(format!("loss {loss:.4} · {name} {figure} · {rate:.0} samples/s"));
        }
        Event::Epoch(epoch) => line(&bar, &outline, epoch),
    });
    bar.finish_and_clear();
    Ok(result?)
}

/// The score of a network and its name, such as `accuracy` and `97.31 %`, or `perplexity` and `92.31`.
fn figure(outline: &Outline, loss: f64, accuracy: f64) -> (&'static str, String) {
    match outline.perplexity(loss) {
        Some(perplexity) => ("perplexity", format!("{perplexity:.2}")),
        None => ("accuracy", format!("{:.2} %", 100.0 * accuracy)),
    }
}

fn line(bar: &ProgressBar, outline: &Outline, epoch: &Epoch) {
    let (name, train) = figure(outline, epoch.train_loss, epoch.train_accuracy);
    let (_, test) = figure(outline, epoch.test_loss, epoch.test_accuracy);
    let split = if outline.is_language_model { "valid" } else { "test" };
    let text = format!(
        "epoch {:>3}  rate {:<9.3e} train loss {:.4} {name} {train:>8}  {split} loss {:.4} {name} {test:>8}  {:.1} s",
        epoch.epoch, epoch.rate, epoch.train_loss, epoch.test_loss, epoch.seconds
    );
    bar.suspend(|| output::say(&text));
}
