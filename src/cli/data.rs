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
        /// Download from a mirror, a server that has the same files below this URL; checksums stay the same
        #[arg(long, value_name = "URL")]
        from: Option<String>,
    },
}

impl Data {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::List => list(),
            #[cfg(feature = "fetch")]
            Self::Fetch { name, dir, from } => fetch(name, dir, from.as_deref()),
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
fn fetch(name: &str, dir: &std::path::Path, from: Option<&str>) -> anyhow::Result<()> {
    let mirror = from.map_or(String::new(), |url| format!(" --from {url}"));
    let command = format!("unrolled data fetch {name} --dir {}{mirror}", dir.display());
    progress::set_advice(Some(format!("the same command goes on: {command}")));
    let (mut meter, mut current) = (progress::Meter::new(), String::new());
    let mut report = |progress: unrolled::data::DownloadProgress<'_>| {
        if current != progress.file {
            progress.file.clone_into(&mut current);
            meter.restart(progress.done);
        }
        let [done, all] = [progress.done, progress.total].map(|bytes| bytes as f64 / 1e6);
        meter.show(&format!("{}, {done:.1} of {all:.1} MB", progress.file), progress.done, progress.total);
    };
    let path = match from {
        Some(url) => unrolled::data::fetch_from(name, url, dir, &mut report),
        None => unrolled::data::fetch(name, dir, &mut report),
    };
    meter.finish();
    let path = path?;
    output::print(&format!("{}\n", path.display()))
}
