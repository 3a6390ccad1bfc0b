//! `measure`: how the blocks of one network refine.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use unrolled::Error;
use unrolled::kernel::Backend;
use unrolled::measure::{Measurements, Shard, report};
use unrolled::ranks::Ranks;

use super::data_args::DataArgs;
use super::measure_args::MeasureArgs;
use super::network_args::NetworkArgs;
use super::progress::Bar;
use super::report_directory::{ReportDirectory, ReportKind};
use super::{numbers, output};

/// Arguments of `measure`.
#[derive(Args)]
pub(super) struct Measure {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    what: MeasureArgs,
    /// Keep every measurement in this directory as soon as it is finished, and write report.html, measurements.json and a
    /// CSV file for each table; a directory with measurements of the same network and data is added to
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue measurements that were stopped, by Ctrl-C or a kill; they end as if they had never stopped
    #[arg(long, requires = "out")]
    resume: bool,
    /// Observe one part of the samples only, such as 2/8; `unrolled merge` puts the parts together
    #[arg(long, value_name = "I/N", requires = "out")]
    shard: Option<Shard>,
    /// Keep predictions and probe states in --out when all is finished
    #[arg(long, requires = "out")]
    keep_store: bool,
    /// Seconds between two saves of unfinished work
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, requires = "out", value_parser = numbers::seconds)]
    save_every: f64,
    /// Print one JSON document
    #[arg(long, conflicts_with = "shard")]
    json: bool,
}

impl Measure {
    pub(super) fn run(&self, backend: &Backend, ranks: &Ranks) -> anyhow::Result<()> {
        let begun = Instant::now();
        if self.shard.is_some() && ranks.size() > 1 {
            return Err(
                Error::Usage("--shard: several processes share the samples already; leave it out".into()).into()
            );
        }
        let out = self.out.as_deref().filter(|_| ranks.is_first());
        if let Some(out) = out.filter(|out| self.resume && !out.exists()) {
            return Err(Error::file(out, "nothing to resume, there is no such directory").into());
        }
        let directory = out.map(|out| ReportDirectory::open(out, ReportKind::Measurement)).transpose()?;
        let mut network = self.network.open(backend)?;
        let name = self.network.name();
        let mut data = self.data.for_network(&self.network.path, &mut network)?;
        data.share(&network, ranks)?;
        let (described, data) = (data.description(), data.set);
        let mut measure = self.what.measure()?.names(&name, &described).resume(self.resume).keep_store(self.keep_store);
        measure = measure.save_every(Duration::from_secs_f64(self.save_every)).training(network.history().to_vec());
        if let Some(dir) = &self.out {
            measure = measure.directory(dir);
        }
        let short_name = output::short_name(&self.network.path);
        // Of shards, the first has the null model for all.
        if self.shard.is_none_or(|shard| shard.number == 1) {
            measure = self.what.with_untrained(measure, &network, &data, &short_name)?;
        }
        let mut bar = Bar::new(&short_name);
        if let Some(shard) = self.shard {
            let outcome = measure.run_shard(&network, &data, shard, &mut bar);
            bar.finish();
            self.say_how_to_resume(outcome)?;
            let dir = self.out.as_deref().unwrap_or_else(|| std::path::Path::new("")).display();
            return output::print(&format!(
                "{dir}: shard {shard} of {name} is observed; unrolled merge makes the report\n"
            ));
        }
        let outcome = measure.run(&network, &data, &mut bar);
        bar.finish();
        let measured = self.say_how_to_resume(outcome)?;
        self.finish(measured, directory.as_ref(), output::facts_of_ranks(begun, ranks))
    }

    fn finish(
        &self,
        measured: Measurements,
        directory: Option<&ReportDirectory>,
        facts: Vec<(String, String)>,
    ) -> anyhow::Result<()> {
        let measured = std::slice::from_ref(&measured);
        let page = report(&output::title(measured), Vec::new(), measured, &[], facts)?;
        directory.map_or(Ok(()), |directory| directory.save(&page, measured))?;
        output::print_measured(&page, measured, self.out.as_deref(), self.json)
    }

    /// Says how to go on, where work was interrupted.
    fn say_how_to_resume<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let (Err(Error::Interrupted), Some(dir)) = (&outcome, &self.out) {
            let how = if self.resume { "run the same command again" } else { "run the same command with --resume" };
            output::say(&format!("{} keeps what is finished; to go on {how}", dir.display()));
        }
        outcome
    }
}
