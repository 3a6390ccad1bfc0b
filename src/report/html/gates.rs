use super::{element, sparsity};
use crate::Result;
use crate::report::chart::{Axis, Cell, Chart, Colour, Layer, Mark, ramp};
use crate::report::number;
use crate::report::result::{Gate, Measurements, StageOutline};
use crate::report::summary::{self, Kind};
use crate::report::table::Table;

/// Columns of an activity map; more channels than these share columns.
const COLUMNS: usize = 128;

/// Activity of the gates, transform gates first.
pub(super) fn section(networks: &[Measurements]) -> Result<String> {
    let mut parts = String::new();
    for kind in [Kind::Transform, Kind::Carry] {
        if networks.iter().any(|network| !summary::gates(network, kind).is_empty()) {
            parts += &part(networks, kind)?;
        }
    }
    if parts.is_empty() {
        return Ok(parts);
    }
    let lead = element::prose(
        "A gated block computes <i>y</i> = <i>h</i>·<i>T</i> + <i>x</i>·<i>C</i> (paper, Eq. 3); with coupled gates <i>C</i> = 1 − <i>T</i> \
         (Eq. 4). Where <i>T</i> is near 0 and <i>C</i> near 1 a unit copies its input. All figures are over the samples that were measured.",
    );
    Ok(element::section("gates", "Gates", &(lead + &parts)))
}

fn part(networks: &[Measurements], kind: Kind) -> Result<String> {
    let letter = kind.letter();
    let (title, other) = match kind {
        Kind::Transform => ("Transform gate T: how much of the new value", "open"),
        Kind::Carry => ("Carry gate C: how much of the old value", "carrying"),
    };
    let has = |network: &Measurements| !summary::gates(network, kind).is_empty();
    let mut body = format!("<h3>{title}</h3>\n");
    body += &element::seen(networks, |network| sentence(network, kind));
    body += &element::prose(&format!(
        "Mean of <i>{letter}</i> for each channel, over samples and positions, a row a block, the first block at the top \
         (after Srivastava 2015, Figure 2). The brighter, the more {other}."
    ));
    body += &maps(networks, kind)?;

    body += &element::prose(&format!(
        "Mean: over samples and units, with its 95 % interval, block by block through the network. Distribution: how the \
         values of <i>{letter}</i> spread over their range, averaged over the blocks, as the percentage of the values in each of equally wide bins."
    ));
    body += &element::legend(networks, has);
    body += &element::charts(&[means(networks, kind)?, distribution(networks, kind)?]);
    body += &sparsity::part(networks, kind)?;
    let gates = networks.iter().flat_map(|network| summary::gates(network, kind));
    let means = gates.flat_map(|(_, _, gate)| gate.channels.iter().copied().map(f64::from).chain([gate.mean.value]));
    body += &element::left_out(means.filter(|mean| !mean.is_finite()).count(), "of these means");
    body += &element::numbers("Numbers of every block", table(networks, kind));
    Ok(body)
}

fn sentence(network: &Measurements, kind: Kind) -> Option<String> {
    let gates = summary::gates(network, kind);
    let mean = summary::mean(gates.iter().map(|(_, _, gate)| gate.mean.value))?;
    let open = summary::mean(gates.iter().map(|(_, _, gate)| gate.open_share))?;
    let letter = kind.letter();
    Some(format!(
        "Averaged over {}, {letter} is {}, and {} of its values are above one half.",
        number::counted(gates.len(), "block"),
        number::relative(mean),
        number::percent(open),
    ))
}

/// An activity map for every stage of every network, all on one scale.
fn maps(networks: &[Measurements], kind: Kind) -> Result<String> {
    let gates = networks.iter().flat_map(|network| summary::gates(network, kind));
    let largest = gates.flat_map(|(_, _, gate)| gate.channels.iter().copied());
    let largest = largest.filter(|value| value.is_finite()).fold(0.0, f32::max);
    // A tenth more or less is no reason to see two networks in different colours.
    let top = ((f64::from(largest) * 10.0).ceil() / 10.0).max(0.1);
    let stages = networks.iter().flat_map(|network| network.outline.stages.iter().map(move |stage| (network, stage)));
    let panels: Vec<_> = stages
        .map(|(network, stage)| (network, stage, rows(network, stage, kind)))
        .filter(|(_, _, rows)| !rows.is_empty())
        .collect();
    let across = if panels.len().is_multiple_of(3) { 3 } else { panels.len() };
    let mut figures = Vec::new();
    let mut binned = false;
    for (network, stage, rows) in &panels {
        let title =
            if networks.len() == 1 { stage.name.clone() } else { format!("{} · {}", network.target, stage.name) };
        figures.push(map(title, rows, top, element::width_of(across))?);
        binned |= rows.iter().any(|(_, gate)| gate.channels.len() > COLUMNS);
    }
    let mut html = scale(top);
    html += &format!("<div class=\"heat\">{}</div>\n", element::charts(&figures));
    if binned {
        html +=
            &element::note(&format!("Stages with more than {COLUMNS} channels: a column is the mean of neighbours."));
    }
    Ok(html)
}

/// The gates of a stage with each block's number in the stage.
fn rows<'a>(network: &'a Measurements, stage: &StageOutline, kind: Kind) -> Vec<(usize, &'a Gate)> {
    let Some(gates) = &network.gates else { return Vec::new() };
    let gate = |name: &str| kind.of(gates.get(name)?);
    let numbered = stage.blocks.iter().enumerate();
    numbered.filter_map(|(index, block)| Some((index + 1, gate(block.name())?))).collect()
}

fn map(title: String, rows: &[(usize, &Gate)], top: f64, width: f64) -> Result<String> {
    let blocks = rows.last().map_or(1, |(number, _)| *number);
    let channels = rows.iter().map(|(_, gate)| gate.channels.len()).max().unwrap_or(1).max(1);
    let mut cells = Vec::new();
    for (number, gate) in rows {
        let together = gate.channels.len().div_ceil(COLUMNS).max(1);
        for (column, values) in gate.channels.chunks(together).enumerate() {
            let left = (column * together) as f64 + 0.5;
            let Some(mean) = summary::mean(values.iter().copied().map(f64::from)) else { continue };
            let middle = *number as f64;
            let (x, y) = ((left, left + values.len() as f64), (middle - 0.5, middle + 0.5));
            cells.push(Cell { x, y, value: mean / top });
        }
    }
    Chart {
        description: format!("Mean gate activity of {title}, block by channel"),
        title,
        x_label: "channel".into(),
        y_label: "block".into(),
        x: Axis::numbers(channels, 6),
        y: Axis::numbers(blocks, 8).reversed(),
        size: (width, 80.0 + (16.0 * blocks as f64).clamp(70.0, 340.0)),
        layers: vec![Layer::new(Mark::Cells(cells), Colour::Ink)],
    }
    .figure()
}

/// The legend of the ramp.
fn scale(top: f64) -> String {
    let stops = (0..=8).map(|step| {
        let plotters::style::RGBColor(r, g, b) = ramp(f64::from(step) / 8.0);
        format!("rgb({r} {g} {b})")
    });
    let stops = stops.collect::<Vec<_>>().join(",");
    format!("<div class=\"ramp\">0<span style=\"background:linear-gradient(90deg,{stops})\"></span>{top:.1}</div>\n")
}

fn means(networks: &[Measurements], kind: Kind) -> Result<String> {
    let mut layers = Vec::new();
    let mut reach = vec![0.0];
    let mut blocks = 1;
    for (place, network) in networks.iter().enumerate() {
        let gates = summary::gates(network, kind);
        let line: Vec<_> = gates.iter().map(|(number, _, gate)| (*number as f64, gate.mean.value)).collect();
        let range = |(number, _, gate): &(usize, &str, &Gate)| {
            (*number as f64, gate.mean.value - gate.mean.ci95, gate.mean.value + gate.mean.ci95)
        };
        let ranges: Vec<_> = gates.iter().map(range).collect();
        reach.extend(line.iter().map(|(_, mean)| *mean));
        reach.extend(ranges.iter().map(|(_, _, high)| *high));
        blocks = gates.last().map_or(blocks, |(number, _, _)| blocks.max(*number));
        let colour = Colour::Network(place);
        layers.push(Layer::new(Mark::Whiskers(ranges), colour));
        layers.push(Layer::new(Mark::Line(line.clone()), colour).faint(0.6));
        layers.push(Layer::new(Mark::Points(line, place), colour));
    }
    Chart {
        title: "Mean".into(),
        description: format!("Mean of {} block by block", kind.letter()),
        x_label: "block".into(),
        y_label: format!("mean of {}", kind.letter()),
        x: Axis::numbers(blocks, 10),
        y: Axis::covering(reach),
        size: (element::width_of(2), 270.0),
        layers,
    }
    .figure()
}

fn distribution(networks: &[Measurements], kind: Kind) -> Result<String> {
    let mut layers = Vec::new();
    let mut reach = vec![0.0];
    for (place, network) in networks.iter().enumerate() {
        let steps = steps(&summary::gates(network, kind));
        reach.extend(steps.iter().map(|(_, share)| *share));
        layers.push(Layer::new(Mark::Line(steps), Colour::Network(place)));
    }
    Chart {
        title: "Distribution".into(),
        description: format!("Distribution of the values of {}", kind.letter()),
        x_label: format!("value of {}", kind.letter()),
        y_label: "values in a bin, %".into(),
        x: Axis::between(0.0, 1.0),
        y: Axis::covering(reach),
        size: (element::width_of(2), 270.0),
        layers,
    }
    .figure()
}

/// The mean of the blocks' histograms as an outline. Only histograms as fine as the first one can be averaged with it.
fn steps(gates: &[(usize, &str, &Gate)]) -> Vec<(f64, f64)> {
    let bins = gates.first().map_or(0, |(_, _, gate)| gate.histogram.len());
    let alike: Vec<_> =
        gates.iter().map(|(_, _, gate)| &gate.histogram).filter(|shares| shares.len() == bins).collect();
    let step = |bin: usize| {
        let share = summary::mean(alike.iter().map(|shares| shares[bin])).unwrap_or(f64::NAN);
        [bin, bin + 1].map(|edge| (edge as f64 / bins as f64, 100.0 * share))
    };
    (0..bins).flat_map(step).collect()
}

fn table(networks: &[Measurements], kind: Kind) -> Table {
    let mut table = Table::new([
        "network",
        "<block",
        "mean",
        "std over samples",
        "std over units",
        "above one half",
        "sparsity per sample",
        "per class, mean",
        "of the average",
    ]);
    for network in networks {
        for (_, block, gate) in summary::gates(network, kind) {
            table.row([
                network.target.clone(),
                block.to_owned(),
                number::plus_minus(gate.mean.value, gate.mean.ci95),
                number::relative(gate.std_over_samples),
                number::relative(gate.std_over_units),
                number::percent(gate.open_share),
                number::relative(gate.sparsity_per_sample),
                summary::mean(gate.sparsity_per_class.iter().copied()).map_or_else(String::new, number::relative),
                number::relative(gate.sparsity_of_average),
            ]);
        }
    }
    table
}
