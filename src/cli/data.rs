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
    let bar = progress::bar(0, "");
    let path = unrolled::data::fetch(name, dir, &mut |progress| {
        bar.set_message(progress.file.to_owned());
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    })?;
    bar.finish_and_clear();
    output::print(&format!("{}\n", path.display()))
}
