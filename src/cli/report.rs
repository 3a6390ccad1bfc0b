//! `report`: a report drawn again, and its figures as files.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use unrolled::directory_of;
use unrolled::measure::{Measurements, report};
use unrolled::report::{Report as Page, SvgOptions, counted, figures};

use super::output;
use super::report_directory::{ReportDirectory, ReportKind, read_report, report_of};

/// Arguments of `report`.
#[derive(Args)]
pub(super) struct Report {
    /// A directory that `measure`, `compare`, `demo` or `merge` wrote, or a measurements.json
    dir: PathBuf,
    /// Write every chart as an SVG file of its own to DIR/figures, for a paper
    #[arg(long)]
    figures: bool,
    /// Font family of the figures' text
    #[arg(long, value_name = "FAMILY", requires = "figures")]
    font: Option<String>,
    /// Width of the figures with their margins, in pixels: from 200 to 4000
    #[arg(long, value_name = "PIXELS", requires = "figures", value_parser = widths())]
    width: Option<u32>,
}

/// Returns the parser of a width that a figure can have.
fn widths() -> clap::builder::RangedI64ValueParser<u32> {
    let (least, greatest) = SvgOptions::WIDTHS.into_inner();
    clap::value_parser!(u32).range(i64::from(least)..=i64::from(greatest))
}

impl Report {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        // A file that belongs to a report stands for its directory; one alone gets a report beside it.
        let path = if self.dir.is_dir() { &self.dir } else { report_of(&self.dir).unwrap_or(&self.dir) };
        let (page, kind) = read(path)?;
        let page = Page { facts: output::facts(begun), ..page };
        let directory = ReportDirectory::reopen(if path.is_dir() { path } else { directory_of(path) }, kind)?;
        if self.figures {
            let default = SvgOptions::default();
            let options = SvgOptions {
                font: self.font.clone().unwrap_or(default.font.clone()),
                width: self.width.map_or(default.width, f64::from),
                ..default
            };
            let figures = figures(&page, &options);
            let count = figures.len();
            let folder = directory.save_figures(&page, figures)?;
            return output::print(&format!("{} in {}\n", counted(count, "figure"), folder.display()));
        }
        output::print(&format!("{}\n", directory.save_page(&page)?.display()))
    }
}

/// Makes the report of the measurements of one network; of several, whose report is more than that, reads it.
fn read(path: &Path) -> anyhow::Result<(Page, ReportKind)> {
    if !path.join("plan.json").exists()
        && let Some(page) = read_report(path)?
    {
        return Ok((page, ReportKind::Comparison));
    }
    let measured = Measurements::read(path)?;
    let kind = if measured.len() == 1 { ReportKind::Measurement } else { ReportKind::Comparison };
    Ok((report(&output::title(&measured), Vec::new(), &measured, &[], Vec::new())?, kind))
}
