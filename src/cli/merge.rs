//! `merge`: shards put together.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use unrolled::measure::{merge, report};

use super::data_args::OptionalDataArgs;
use super::output;
use super::report_directory::{ReportDirectory, ReportKind};

/// Arguments of `merge`.
#[derive(Args)]
pub(super) struct Merge {
    /// The directories that `measure --shard` wrote, all parts of one measurement
    #[arg(required = true)]
    shards: Vec<PathBuf>,
    /// Where to write the report and the numbers
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    data: OptionalDataArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Merge {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let directory = ReportDirectory::open(&self.out, ReportKind::Measurement)?;
        let data = self.data.open()?;
        let measured = merge(&self.shards, &[], data.as_ref(), Some(&self.out))?;
        let measured = [measured];
        let page = report(&output::title(&measured), Vec::new(), &measured, &[], output::facts(begun))?;
        directory.save(&page, &measured)?;
        output::print_measured(&page, &measured, None, self.json)
    }
}
