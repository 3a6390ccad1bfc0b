//! `measure`: how the blocks of one network refine.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use unrolled::Error;
use unrolled::kernel::Backend;
use unrolled::measure::{Measurements, Shard, report};
use unrolled::ranks::Ranks;

use super::data_args::DataArgs;
use super::measure_args::MeasureArgs;
use super::network_args::NetworkArgs;
use super::output;
use super::progress::Bar;
use super::report_directory::{ReportDirectory, ReportKind};

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
    /// Observe one part of the samples only, such as 2/8; `unrolled merge` puts the parts together
    #[arg(long, value_name = "I/N", requires = "out")]
    shard: Option<Shard>,
    /// Keep predictions and probe states in --out when all is finished
    #[arg(long, requires = "out")]
    keep_store: bool,
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
        self.what.check_resumable(out)?;
        let directory = out.map(|out| ReportDirectory::open(out, ReportKind::Measurement)).transpose()?;
        let mut network = self.network.open(backend)?;
        let name = network.label(&self.network.name());
        let mut data = self.data.for_network(&self.network.path, &mut network)?;
        data.share(&network, ranks)?;
        let (described, data) = (data.description(), data.set);
        let mut measure = self.what.measure()?.names(&name, &described).keep_store(self.keep_store);
        measure = measure.training(network.history().to_vec());
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
            self.what.say_how_to_resume(outcome, self.out.as_deref())?;
            let dir = self.out.as_deref().unwrap_or_else(|| std::path::Path::new("")).display();
            return output::print(&format!(
                "{dir}: shard {shard} of {name} is observed; unrolled merge makes the report\n"
            ));
        }
        let outcome = measure.run(&network, &data, &mut bar);
        bar.finish();
        let measured = self.what.say_how_to_resume(outcome, self.out.as_deref())?;
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
        output::print_measured(&page, measured, None, self.json)
    }
}
