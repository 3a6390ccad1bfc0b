//! The report as one HTML file: no script, nothing fetched, light or dark as its reader's system is.

mod blocks;
mod element;
mod estimation;
mod gates;
mod influence;
mod iteration;
mod lesion;
mod outline;
mod patches;
mod readouts;
mod shuffle;
mod slim;
mod sparsity;
mod theory;
mod together;
mod training;

pub(super) use element::escape;
pub use slim::slim_html;

use super::gauge::Metric;
use super::result::Measurements;
use super::table::Table;
use super::{Report, number, summary};
use crate::Result;

/// A whole page. Sections of which no network has data are absent.
pub fn html(report: &Report) -> Result<String> {
    let networks = &report.networks;
    let mut header: String = report.intro.iter().map(|paragraph| element::plain(paragraph)).collect();
    header += &overview(networks);
    header += &conditions(networks);
    let mut body = training::section(networks)?;
    body += &outline::section(networks);
    body += &estimation::section(networks)?;
    body += &patches::section(networks)?;
    body += &lesion::section(networks)?;
    body += &shuffle::section(networks)?;
    body += &gates::section(networks)?;
    body += &influence::section(networks)?;
    body += &readouts::section(networks)?;
    body += &together::several(networks)?;
    body += &together::pairs(networks)?;
    body += &iteration::sections(networks)?;
    body += &theory::section(networks)?;
    Ok(page(&report.title, &header, &body, &report.facts))
}

/// What every page has around what it says.
fn page(title: &str, header: &str, body: &str, facts: &[(String, String)]) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n{header}</header>\n{body}{}\
         </main>\n</body>\n</html>\n",
        include_str!("style.css"),
        footer(facts),
    )
}

/// One row a network with the figures that one looks for first.
fn overview(networks: &[Measurements]) -> String {
    let gauge = Metric::shared(networks);
    let cost = format!("mean cost of one block left out, {}", gauge.long_unit());
    let mut table = Table::new([
        "network",
        "parameters",
        "perplexity",
        "accuracy",
        "95 % interval",
        "loss, nats",
        &cost,
        "std of a−A over std of A: first block, last but one",
    ]);
    for network in networks {
        let baseline = &network.baseline;
        table.row([
            network.target.clone(),
            number::count(network.outline.parameters),
            number::perplexity(network.outline.perplexity(baseline.loss)),
            number::percent(baseline.accuracy),
            number::percent_interval(baseline.accuracy_ci95),
            number::plus_minus(baseline.loss, baseline.loss_ci95),
            summary::mean_cost(network).map_or_else(String::new, |cost| gauge.lost(cost)),
            first_and_last_but_one(network),
        ]);
    }
    if table.is_empty() {
        return element::plain("No network was measured.");
    }
    let seen = summary::not_finite(networks.iter().map(|network| &network.baseline));
    let table = table.without_empty_columns().html();
    format!(
        "<div class=\"scroll summary\" tabindex=\"0\">{table}</div>\n{}",
        element::left_out(seen, "of these figures")
    )
}

/// What the networks were measured with, once where it is the same for all.
fn conditions(networks: &[Measurements]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for network in networks {
        let samples = number::count(network.baseline.samples);
        let line = format!("Measured on {}: {samples} samples, seed {}.", network.data, network.seed);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.iter().map(|line| element::plain(line)).collect()
}

/// `1.13 → 0.21`, a line a stage. The last block's error is zero by definition and would say nothing.
fn first_and_last_but_one(network: &Measurements) -> String {
    let Some(blocks) = &network.estimation else { return String::new() };
    let lines = network.outline.stages.iter().filter_map(|stage| {
        let errors: Vec<_> = summary::stage_errors(blocks, stage).collect();
        let [(_, _, first), .., (_, _, last_but_one), _] = errors[..] else { return None };
        let ends =
            format!("{} → {}", number::relative(first.std_relative), number::relative(last_but_one.std_relative));
        Some(if network.outline.stages.len() > 1 { format!("{} {ends}", stage.name) } else { ends })
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn footer(facts: &[(String, String)]) -> String {
    let line = |(name, value): &(String, String)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value));
    let lines: String = facts.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("<footer><dl>\n{lines}</dl></footer>\n") }
}

#[cfg(test)]
mod tests;
