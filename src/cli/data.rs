//! `data`: which data sets there are, and fetching them.

use clap::Subcommand;

use super::{output, progress};

/// Arguments of `data`.
#[derive(Subcommand)]
pub(super) enum Data {
    /// List the data sets that can be downloaded
    List,
    /// Download a data set into DIR/NAME, with checksum; an interrupted download is resumed
    #[cfg(feature = "fetch")]
    Fetch {
        /// Name of a data set
        name: String,
        /// Where to put it
        #[arg(long, value_name = "DIR", default_value = "data")]
        dir: std::path::PathBuf,
    },
}

impl Data {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::List => list(),
            #[cfg(feature = "fetch")]
            Self::Fetch { name, dir } => fetch(name, dir),
        }
    }
}

fn list() -> anyhow::Result<()> {
    let mut text = String::new();
    for set in unrolled::data::catalog() {
        text += &format!("{:<14} {}: {}\n{:14} {}\n", set.name, set.description, set.size, "", set.credit);
    }
    output::print(&text)
}

#[cfg(feature = "fetch")]
fn fetch(name: &str, dir: &std::path::Path) -> anyhow::Result<()> {
    progress::set_advice(Some(format!("the same command goes on: unrolled data fetch {name} --dir {}", dir.display())));
    let (mut meter, mut current) = (progress::Meter::new(), String::new());
    let path = unrolled::data::fetch(name, dir, &mut |progress| {
        if current != progress.file {
            progress.file.clone_into(&mut current);
            meter.restart(progress.done);
        }
        let [done, all] = [progress.done, progress.total].map(|bytes| bytes as f64 / 1e6);
        meter.show(&format!("{}, {done:.1} of {all:.1} MB", progress.file), progress.done, progress.total);
    });
    meter.finish();
    let path = path?;
    output::print(&format!("{}\n", path.display()))
}
