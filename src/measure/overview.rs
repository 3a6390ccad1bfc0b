//! A whole report: the networks, their training, and a section for each measurement.

mod compared;
mod networks;
mod training;

pub use compared::compare_predictions;
pub use networks::outline_table;

use std::path::Path;

use super::measurement::{AnyMeasurement, Presented, REGISTRY};
use super::metric::Metric;
use super::results::Measurements;
use super::sample_info::SampleInfo;
use super::{Estimation, Lesion};
use crate::Result;
use crate::report::{Cell, Column, Format, Report, RowKey, Section, Table};

/// Returns a report about one network or several. `own` are measurements that are not in [`REGISTRY`]; `facts` tell what
/// made the report, such as command and date.
///
/// # Errors
/// [`Error::Mismatch`](crate::Error::Mismatch) where an output is none of its measurement.
pub fn report(
    title: &str,
    intro: Vec<String>,
    networks: &[Measurements],
    own: &[&dyn AnyMeasurement],
    facts: Vec<(String, String)>,
) -> Result<Report> {
    let names = short_names(&networks.iter().map(|network| network.target.as_str()).collect::<Vec<_>>());
    let mut sections = vec![overview(networks, &names)?];
    sections.extend(training::training(networks, &names));
    sections.push(networks::section(networks, &names));
    for measurement in REGISTRY.iter().chain(own) {
        let outputs = networks.iter().zip(&names).enumerate().filter_map(|(place, (network, name))| {
            let output = network.outputs.get(measurement.name()).filter(|output| !output.is_null())?;
            let (outline, baseline) = (&network.outline, &network.baseline);
            let untrained = network.untrained.get(measurement.name()).into_iter().flatten().collect();
            Some(Presented { place, name: name.as_str(), outline, baseline, output, untrained })
        });
        let outputs: Vec<Presented<_>> = outputs.collect();
        if !outputs.is_empty() {
            sections.push(measurement.present(&outputs)?);
        }
    }
    sections.retain(|section| !section.is_empty());
    Ok(Report { title: title.into(), intro, networks: names, sections, facts })
}

/// Returns the shortest ends of some paths that tell them apart.
fn short_names(paths: &[&str]) -> Vec<String> {
    let end = |path: &str, parts: usize| {
        let all: Vec<_> = Path::new(path).components().map(|part| part.as_os_str().to_string_lossy()).collect();
        all[all.len().saturating_sub(parts)..].join("/")
    };
    let longest = paths.iter().map(|path| Path::new(path).components().count()).max().unwrap_or(1);
    for parts in 1..=longest {
        let names: Vec<String> = paths.iter().map(|path| end(path, parts)).collect();
        if (1..names.len()).all(|i| !names[..i].contains(&names[i])) {
            return names;
        }
    }
    paths.iter().enumerate().map(|(place, path)| format!("{path} ({})", place + 1)).collect()
}

/// One row a network with the figures that one looks for first.
fn overview(networks: &[Measurements], names: &[String]) -> Result<Section> {
    let metric = networks.first().map_or(Metric::Accuracy, |network| Metric::of(&network.outline));
    let cost = &metric.cost_columns()[0];
    let mean_cost = Column::new(&format!("mean_{}", cost.name), &format!("mean lesion {}", cost.heading), cost.format);
    let columns = [
        vec![Column::text("network", "network"), Column::text("target", "file or run").detail()],
        vec![Column::new("parameters", "parameters", Format::Count)],
        metric.score_columns("").into_iter().map(|column| Column { is_brief: true, ..column }).collect(),
        vec![Column::new("samples", "samples", Format::Count)],
        vec![
            mean_cost,
            Column::text("std_over_std_of_a", "std of a - A over std of A: first block, last but one").detail(),
        ],
    ];
    let mut table = Table::new(
        "overview",
        if networks.len() == 1 { "The network" } else { "The networks" },
        RowKey::Network,
        columns.concat(),
    );
    for (network, name) in networks.iter().zip(names) {
        let costs: Vec<f64> = network
            .get::<Lesion>()?
            .iter()
            .flat_map(|lesions| lesions.values())
            .map(|lesion| metric.cost(lesion).value)
            .filter(|cost| cost.is_finite())
            .collect();
        let mean = costs.iter().sum::<f64>() / costs.len() as f64;
        let first = vec![name.as_str().into(), network.target.as_str().into()];
        let parameters = vec![Cell::Number(network.outline.parameters as f64)];
        let rest = vec![
            Cell::Number(network.baseline.samples as f64),
            if costs.is_empty() { Cell::Empty } else { Cell::Number(mean) },
            first_and_last_but_one(network)?.into(),
        ];
        table.push([first, parameters, metric.score_cells(&network.baseline), rest].concat());
    }
    let mut section = Section { tables: vec![table], ..Section::new("overview", "") };
    let mut measured: Vec<String> = Vec::new();
    for network in networks {
        let (data, samples, seed) = (&network.data, network.baseline.samples, network.seed);
        let prepared = network.preprocessing.as_ref().map_or_else(String::new, SampleInfo::describe);
        let device = network.device.as_ref().map_or_else(String::new, |device| format!(", computed on {device}"));
        let line = format!("Measured on {data}, {samples} samples, seed {seed}{device}. {prepared}");
        let line = line.trim_end().to_owned();
        if !measured.contains(&line) {
            measured.push(line);
        }
    }
    measured.into_iter().for_each(|line| section.find(None, line));
    Ok(section)
}

/// Such as `1.130 to 0.210`, each stage by its name where there are several. The last block's error is zero by definition and
/// would say nothing.
fn first_and_last_but_one(network: &Measurements) -> Result<String> {
    let Some(errors) = network.get::<Estimation>()? else { return Ok(String::new()) };
    let stages = network.outline.stages.iter().filter_map(|stage| {
        let std: Vec<f64> = stage.blocks.iter().filter_map(|block| Some(errors.get(&block.id)?.std_relative)).collect();
        let [first, .., last_but_one, _] = std[..] else { return None };
        let ends = format!("{first:.3} to {last_but_one:.3}");
        Some(if network.outline.stages.len() > 1 { format!("{} {ends}", stage.name) } else { ends })
    });
    Ok(stages.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_short_as_tells_them_apart() {
        assert_eq!(short_names(&["/a/b/run"]), ["run"]);
        assert_eq!(short_names(&["a/x/run", "b/x/run", "c"]), ["a/x/run", "b/x/run", "c"]);
        assert_eq!(short_names(&["runs/one", "runs/two"]), ["one", "two"]);
        assert_eq!(short_names(&["same", "same"]), ["same (1)", "same (2)"]);
    }
}
