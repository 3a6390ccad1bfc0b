//! `report`: a report drawn again, and its figures as files.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use unrolled::measure::{Measurements, report};
use unrolled::report::{Report as Page, SvgOptions, figures, html};
use unrolled::{Error, write_atomic};

use super::output;

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
    /// Width of the figures, in pixels
    #[arg(long, value_name = "PIXELS", requires = "figures")]
    width: Option<u32>,
}

impl Report {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let page = Page { facts: output::facts(begun), ..self.read()? };
        let dir = if self.dir.is_dir() { self.dir.as_path() } else { self.dir.parent().unwrap_or(&self.dir) };
        if self.figures {
            let default = SvgOptions::default();
            let options = SvgOptions {
                font: self.font.clone().unwrap_or(default.font.clone()),
                width: self.width.map_or(default.width, f64::from),
                ..default
            };
            let figures = figures(&page, &options);
            for (name, svg) in &figures {
                write_atomic(&dir.join("figures").join(name), svg.as_bytes())?;
            }
            return output::print(&format!("{} figures in {}\n", figures.len(), dir.join("figures").display()));
        }
        write_atomic(&dir.join("report.html"), html(&page).as_bytes())?;
        output::print(&format!("{}\n", dir.join("report.html").display()))
    }

    /// Makes the report of the measurements of one network; of several, whose report is more than that, reads it.
    fn read(&self) -> anyhow::Result<Page> {
        let path = self.dir.join(output::REPORT_DATA);
        if path.exists() && !self.dir.join("plan.json").exists() {
            let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
            return Ok(serde_json::from_str(&text).map_err(|e| Error::file(&path, e.to_string()))?);
        }
        let measured = Measurements::read(&self.dir)?;
        Ok(report(&output::title(&measured), Vec::new(), &measured, &[], Vec::new())?)
    }
}
