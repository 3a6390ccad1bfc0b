//! `eval`, `measure` and `compare`: looking at trained networks.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use unrolled::kernel::Backend;
use unrolled::measure::{self, EvalSet, Only};
use unrolled::nn::Network;
use unrolled::report::{self, Epoch, Measurements, Report, text};
use unrolled::{Error, check_writable, open::AnyNetwork, write_whole};

use super::output;
use super::samples::DataArgs;
use super::target::{NetworkArgs, OpenArgs};

/// Arguments of `eval`.
#[derive(Args)]
pub(super) struct Eval {
    #[command(flatten)]
    target: NetworkArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Arguments of `measure`.
#[derive(Args)]
pub(super) struct Measure {
    #[command(flatten)]
    target: NetworkArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    what: What,
    /// Write report.html, measurements.json and one CSV file a measurement to this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Arguments of `compare`.
#[derive(Args)]
pub(super) struct Compare {
    /// Run directories, model files, PyTorch, safetensors or ONNX files
    #[arg(required = true, num_args = 2..)]
    targets: Vec<PathBuf>,
    #[command(flatten)]
    opening: OpenArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    what: What,
    /// Where to write the report and the numbers
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Which measurements to take.
#[derive(Args)]
struct What {
    /// Take these measurements only, separated by commas [default: all]
    #[arg(long, value_parser = only_parser(), value_delimiter = ',')]
    only: Vec<Only>,
    /// Memory for estimates, such as 512M or 4G; the number of samples at once shrinks to it [default: a quarter of the
    /// machine's]
    #[arg(long, value_name = "BYTES", value_parser = super::memory::parse)]
    memory: Option<u64>,
    /// Seed of random choices
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl What {
    fn only(&self) -> &[Only] {
        if self.only.is_empty() { &Only::ALL } else { &self.only }
    }

    /// Checks that every measurement that was asked for has something to measure in one of the networks.
    fn check(&self, networks: &[&AnyNetwork]) -> Result<(), Error> {
        let fits = |only: &Only| {
            networks.iter().any(|network| match network {
                AnyNetwork::Trained(opened) => only.fits(&opened.model),
                #[cfg(feature = "onnx")]
                AnyNetwork::Graph(opened) => only.fits(&opened.network),
            })
        };
        let Some(misfit) = self.only.iter().find(|only| !fits(only)) else { return Ok(()) };
        let others: Vec<&str> = Only::ALL.iter().filter(|only| fits(only)).map(|only| only.name()).collect();
        let names: Vec<&str> = networks.iter().map(|network| network.outline().name.as_str()).collect();
        let (misfit, names, others) = (misfit.name(), names.join(", "), others.join(", "));
        Err(Error::Usage(format!("--only {misfit}: nothing to measure in {names}, expected of {others}")))
    }
}

/// Lists the measurements with what they show in the help text.
fn only_parser() -> impl TypedValueParser<Value = Only> {
    PossibleValuesParser::new(Only::ALL.map(|only| PossibleValue::new(only.name()).help(only.what())))
        .try_map(|name| name.parse())
}

impl Eval {
    pub(super) fn run(&self, backend: &Backend) -> anyhow::Result<()> {
        let mut opened = self.target.open(backend)?;
        let source = self.data.samples(&self.target.name(), &mut opened)?;
        if !source.dataset.is_labelled() {
            let what = "no labels, so that there is no accuracy; measure tells what each block does to the answers";
            return Err(Error::Usage(format!("{}: {what}", self.data.data)).into());
        }
        let bar = output::bar(source.dataset.len() as u64, "evaluating");
        let score = match &opened {
            AnyNetwork::Trained(opened) => measure::evaluate(&opened.model, &source, |n| bar.inc(n)),
            #[cfg(feature = "onnx")]
            AnyNetwork::Graph(opened) => measure::evaluate(&opened.network, &source, |n| bar.inc(n)),
        }?;
        bar.finish_and_clear();
        if self.json { output::print_json(&score) } else { output::print(&text::score(&score, opened.outline())) }
    }
}

impl Measure {
    pub(super) fn run(&self, backend: &Backend) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.out.as_deref().map_or(Ok(()), check_writable)?;
        let mut opened = self.target.open(backend)?;
        self.what.check(&[&opened])?;
        let name = self.target.name();
        let source = self.data.source(&name, &mut opened)?;
        let measured = take(&name, &opened, &source, &self.data, &self.what)?;
        if let Some(dir) = &self.out {
            let title = format!("How {name} refines its estimates");
            write(dir, &title, Vec::new(), std::slice::from_ref(&measured), begun)?;
        }
        if self.json { output::print_json(&measured) } else { output::print(&text::measurements(&measured)) }
    }
}

impl Compare {
    pub(super) fn run(&self, backend: &Backend) -> anyhow::Result<()> {
        let begun = Instant::now();
        check_writable(&self.out)?;
        // All are opened and held against the data before any is measured.
        let mut opened = Vec::new();
        for target in &self.targets {
            opened.push((target.as_path(), self.opening.open(target, backend)?));
        }
        self.opening.check_used(&opened.iter().map(|(target, any)| (*target, any)).collect::<Vec<_>>(), backend)?;
        let mut all = Vec::new();
        for (target, mut opened) in opened {
            let name = target.display().to_string();
            let source = self.data.source(&name, &mut opened)?;
            all.push((name, opened, source));
        }
        self.what.check(&all.iter().map(|(_, opened, _)| opened).collect::<Vec<_>>())?;
        let all: Vec<Measurements> = all
            .into_iter()
            .map(|(name, opened, source)| take(&name, &opened, &source, &self.data, &self.what))
            .collect::<anyhow::Result<_>>()?;
        let title = format!("{} networks side by side", all.len());
        write(&self.out, &title, Vec::new(), &all, begun)?;
        if self.json {
            return output::print_json(&all);
        }
        let texts: Vec<String> = all.iter().map(text::measurements).collect();
        output::print(&format!("{}\n{}\n", texts.join("\n"), self.out.join("report.html").display()))
    }
}

/// Measures one network with a progress bar.
fn take(
    name: &str,
    opened: &AnyNetwork,
    source: &EvalSet,
    data: &DataArgs,
    what: &What,
) -> anyhow::Result<Measurements> {
    let needed = measure::bytes_per_sample(opened.outline(), what.only());
    let fits = super::memory::samples(what.memory, needed, name)?;
    let source = EvalSet { batch: source.batch.min(fits), ..source.clone() };
    let (data, only, seed) = (data.describe(source.dataset.is_labelled()), what.only(), what.seed);
    match opened {
        AnyNetwork::Trained(opened) => {
            measured(name, &data, &opened.model, &source, opened.history.clone(), only, seed)
        }
        #[cfg(feature = "onnx")]
        AnyNetwork::Graph(opened) => measured(name, &data, &opened.network, &source, Vec::new(), only, seed),
    }
}

/// Measures one network with a progress bar, for `measure`, `compare` and `demo`.
pub(super) fn measured(
    name: &str,
    data: &str,
    network: &(impl Network + 'static),
    source: &EvalSet,
    training: Vec<Epoch>,
    only: &[Only],
    seed: u64,
) -> anyhow::Result<Measurements> {
    let bar = output::bar(0, &format!("measuring {name}"));
    let taken = measure::measure(network, source, only, seed, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    Ok(Measurements { target: name.to_owned(), data: data.to_owned(), training, ..taken? })
}

/// Removes the tables of an earlier report, so that none of other samples stands beside the new ones.
fn remove_tables(dir: &Path) -> Result<(), Error> {
    let ours = |name: &str| {
        let numbered = name.strip_prefix("network").and_then(|rest| rest.split_once('-'));
        let name = numbered.filter(|(number, _)| number.parse::<u32>().is_ok()).map_or(name, |(_, rest)| rest);
        name.strip_suffix(".csv")
            .is_some_and(|name| ["runs", "early-exit"].contains(&name) || name.parse::<Only>().is_ok())
    };
    // Without the numbers of an earlier report the files are somebody else's. A directory that is not there has none.
    if !dir.join("measurements.json").exists() {
        return Ok(());
    }
    let Ok(entries) = dir.read_dir() else { return Ok(()) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.file_name().and_then(|name| name.to_str()).is_some_and(ours) {
            std::fs::remove_file(&path).map_err(Error::io(&path))?;
        }
    }
    Ok(())
}

/// Writes the report, the numbers as JSON, and a CSV file for each measurement.
pub(super) fn write(
    dir: &Path,
    title: &str,
    intro: Vec<String>,
    networks: &[Measurements],
    begun: Instant,
) -> Result<(), Error> {
    let json = match networks {
        [one] => serde_json::to_string_pretty(one),
        all => serde_json::to_string_pretty(all),
    };
    let json = json.map_err(|e| Error::Usage(format!("the measurements as JSON: {e}")))?;
    remove_tables(dir)?;
    for (i, network) in networks.iter().enumerate() {
        let prefix = if networks.len() > 1 { format!("network{}-", i + 1) } else { String::new() };
        for (name, table) in report::csv(network) {
            write_whole(&dir.join(prefix.clone() + &name), table.as_bytes())?;
        }
    }
    write_whole(&dir.join("measurements.json"), (json + "\n").as_bytes())?;
    let report = Report { title: title.to_owned(), intro, networks: networks.to_vec(), facts: output::facts(begun) };
    write_whole(&dir.join("report.html"), report::html(&report)?.as_bytes())
}
