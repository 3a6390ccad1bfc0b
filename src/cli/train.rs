//! `train`: an experiment file to a run directory.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use unrolled::kernel::Backend;
use unrolled::model::Epoch;
use unrolled::model::Model;
use unrolled::nn::Network;
use unrolled::nn::Outline;
use unrolled::train::{Event, Experiment, Trainer};

use super::{output, progress};

/// Arguments of `train`.
#[derive(Args)]
pub(super) struct Train {
    /// The experiment file (TOML)
    config: PathBuf,
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
        let text = std::fs::read_to_string(&self.config).map_err(unrolled::Error::io(&self.config))?;
        let experiment = Experiment::parse(&text, &self.set, &self.config.display().to_string())?;
        let name = self.config.file_stem().unwrap_or_default();
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
