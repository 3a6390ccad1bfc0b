//! How the activity of gates is reported: channel by channel, its mean, its distribution and its sparsity.

mod sparsity;
mod tables;

use super::{BlockGates, GateActivity};
use crate::measure::Presented;
use crate::measure::charts::{BlockAxis, panel, with_content};
use crate::measure::score::PerBlock;
use crate::measure::sentences::{counted, finite_mean, missing_figures, number, sentences};
use crate::nn::{BlockId, StageOutline};
use crate::report::{Axis, Chart, Figure, Finding, Format, HeatMap, Mark, Panel, Point, Scale, Section, Series};

/// The networks of a report.
type Networks<'a> = [Presented<'a, PerBlock<BlockGates>>];
type Network<'a> = Presented<'a, PerBlock<BlockGates>>;

/// The most columns of a heat map. With more channels, a column is the mean of neighbouring channels.
const COLUMNS: usize = 128;

/// One of the two gates of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Transform,
    Carry,
}

impl Gate {
    const BOTH: [Self; 2] = [Self::Transform, Self::Carry];

    /// The letter that the paper has for it.
    fn letter(self) -> &'static str {
        match self {
            Self::Transform => "T",
            Self::Carry => "C",
        }
    }

    /// The name in tables and file names.
    fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Carry => "carry",
        }
    }

    /// Returns this gate of a block.
    fn of<'a>(self, network: &'a Network, id: BlockId) -> Option<&'a GateActivity> {
        self.of_block(network.output.get(&id)?)
    }

    /// Returns this gate of the gates of a block.
    fn of_block(self, block: &BlockGates) -> Option<&GateActivity> {
        match self {
            Self::Transform => block.transform.as_ref(),
            Self::Carry => block.carry.as_ref(),
        }
    }

    /// Returns this gate of all blocks that have it.
    fn all<'a>(self, network: &'a Network) -> Vec<(BlockId, &'a GateActivity)> {
        network.outline.blocks().filter_map(|(id, _)| Some((id, self.of(network, id)?))).collect()
    }
}

/// Returns the section about gates, figures of the transform gate first.
pub(super) fn section(networks: &Networks) -> Section {
    let gates = Gate::BOTH.into_iter().filter(|gate| networks.iter().any(|network| !gate.all(network).is_empty()));
    let gates: Vec<Gate> = gates.collect();
    if gates.is_empty() {
        return Section::default();
    }
    let tables = vec![tables::blocks(networks), tables::channels(networks), tables::histograms(networks)];
    let mut findings: Vec<Finding> =
        gates.iter().flat_map(|gate| sentences(networks, |network| sentence(network, *gate))).collect();
    findings.extend(missing_figures(networks, &tables[..1]));
    Section {
        title: "Gates".into(),
        about: vec![
            "A gated block computes `y = h·T + x·C` (paper, Eq. 3); with coupled gates `C = 1 - T` (Eq. 4). The transform \
             gate `T` says how much of the new value `h` is taken, the carry gate `C` how much of the input `x`. Where `T` \
             is near 0 and `C` near 1 a unit copies its input. All figures are over the samples that were measured."
                .into(),
        ],
        findings,
        figures: with_content(gates.into_iter().flat_map(|gate| figures(networks, gate))),
        tables,
        ..Section::default()
    }
}

/// Returns the mean, the share of open gates, and in how many blocks the gate is sparser for single samples.
fn sentence(network: &Network, gate: Gate) -> Option<String> {
    let is_finite = |activity: &GateActivity| activity.mean.value.is_finite() && activity.open_share.is_finite();
    let gates: Vec<_> = gate.all(network).into_iter().filter(|(_, activity)| is_finite(activity)).collect();
    let mean = finite_mean(gates.iter().map(|(_, activity)| activity.mean.value))?;
    let open = finite_mean(gates.iter().map(|(_, activity)| activity.open_share))?;
    let letter = gate.letter();
    let mut sentence = format!(
        "Averaged over {}, `{letter}` is {}, and {} of its values are above one half.",
        counted(gates.len(), "block"),
        number(mean, Format::Fixed3),
        number(open, Format::Percent),
    );
    let sparsity = gates.iter().map(|(_, activity)| (activity.sparsity_per_sample, activity.sparsity_of_average));
    let sparsity: Vec<_> = sparsity.filter(|(sample, average)| sample.is_finite() && average.is_finite()).collect();
    let sparser = sparsity.iter().filter(|(sample, average)| sample > average).count();
    if !sparsity.is_empty() {
        let blocks = counted(sparsity.len(), "block");
        sentence +=
            &format!(" It is sparser for single samples than on average over the samples in {sparser} of {blocks}.");
    }
    Some(sentence)
}

fn figures(networks: &Networks, gate: Gate) -> [Figure; 4] {
    [channels(networks, gate), means(networks, gate), histogram(networks, gate), sparsity::figure_of(networks, gate)]
}

/// Returns a figure about one gate.
fn figure(gate: Gate, name: &str, title: &str, about: String, panels: Vec<Panel>) -> Figure {
    Figure {
        name: format!("{}-gate-{name}", gate.name()),
        title: format!("{title} of `{}`", gate.letter()),
        about: vec![about],
        panels,
        shares_y: true,
    }
}

/// Returns the means of channels as a heat map for every stage of every network, all on one scale.
fn channels(networks: &Networks, gate: Gate) -> Figure {
    let gates = networks.iter().flat_map(|network| gate.all(network));
    let values: Vec<f32> =
        gates.flat_map(|(_, activity)| &activity.channels).copied().filter(|v| v.is_finite()).collect();
    let greatest = f64::from(values.into_iter().fold(0.0, f32::max));
    // A tenth more or less is no reason to show two networks in different colours.
    let top = ((greatest * 10.0).ceil() / 10.0).max(0.1);
    let stages = networks.iter().flat_map(|network| network.outline.stages.iter().map(move |stage| (network, stage)));
    let maps = stages.filter_map(|(network, stage)| {
        let name = if networks.len() > 1 { format!("{} · ", network.name) } else { String::new() };
        let map = heat_map(network, stage, gate)?;
        Some(HeatMap { title: format!("{name}{}", stage.name), ends: Some([0.0, top]), ..map })
    });
    let maps: Vec<HeatMap> = maps.collect();
    let mut about = format!(
        "The mean of `{}` for each channel over samples and positions, a row for each block (after Srivastava et al. 2015, \
         Figure 2).",
        gate.letter()
    );
    if maps.iter().any(|map| map.columns.iter().any(|name| name.contains('-'))) {
        about +=
            &format!(" Where a stage has more than {COLUMNS} channels, a column is the mean of neighbouring channels.");
    }
    figure(gate, "channels", "Channel means", about, maps.into_iter().map(Panel::HeatMap).collect())
}

fn heat_map(network: &Network, stage: &StageOutline, gate: Gate) -> Option<HeatMap> {
    let gates = stage.blocks.iter().filter_map(|block| Some((block.id, gate.of(network, block.id)?)));
    let gates: Vec<(BlockId, &GateActivity)> = gates.collect();
    let widest = gates.iter().map(|(_, activity)| column_means(activity)).max_by_key(Vec::len)?;
    let name = |column: &Column| match column.last - column.first {
        0 => column.first.to_string(),
        _ => format!("{}-{}", column.first, column.last),
    };
    let row = |activity: &GateActivity| {
        let mut values: Vec<Option<f64>> = column_means(activity).iter().map(|column| column.mean).collect();
        values.resize(widest.len(), None);
        values
    };
    (!widest.is_empty()).then(|| HeatMap {
        x_label: "channel, counted from 0".into(),
        y_label: "block".into(),
        columns: widest.iter().map(name).collect(),
        rows: gates.iter().map(|(id, _)| id.to_string()).collect(),
        value_label: format!("mean of `{}`", gate.letter()),
        values: gates.iter().map(|(_, activity)| row(activity)).collect(),
        network: Some(network.place),
        ..HeatMap::default()
    })
}

/// A column of a heat map: some neighbouring channels.
struct Column {
    /// The first and the last channel.
    first: usize,
    last: usize,
    /// The mean over them; `None` where no value is finite.
    mean: Option<f64>,
}

/// Returns the channels of a gate, averaged into at most [`COLUMNS`] columns.
fn column_means(activity: &GateActivity) -> Vec<Column> {
    let together = activity.channels.len().div_ceil(COLUMNS).max(1);
    let columns = activity.channels.chunks(together).enumerate().map(|(place, values)| Column {
        first: place * together,
        last: place * together + values.len() - 1,
        mean: finite_mean(values.iter().map(|&value| f64::from(value))),
    });
    columns.collect()
}

fn means(networks: &Networks, gate: Gate) -> Figure {
    let y = Axis::new(&format!("mean of `{}`", gate.letter()), Scale::Including(vec![0.0]));
    let mean = |network: &Network, id| Some(gate.of(network, id)?.mean);
    let chart = BlockAxis::new(networks).chart(networks, y, Mark::Line, mean);
    let about = "The mean over samples and units, with its 95 % interval.".to_owned();
    figure(gate, "mean", "Mean", about, vec![panel(chart)])
}

/// The mean of the blocks' histograms; a bin is its two ends and its share of the values.
fn mean_histogram(gates: &[(BlockId, &GateActivity)]) -> Vec<([f64; 2], f64)> {
    let bins = gates.first().map_or(0, |(_, activity)| activity.histogram.len());
    // Only histograms with as many bins can be averaged.
    let alike = || gates.iter().map(|(_, activity)| &activity.histogram).filter(|shares| shares.len() == bins);
    let bin = |bin: usize| {
        let ends = [bin, bin + 1].map(|end| end as f64 / bins as f64);
        (ends, finite_mean(alike().map(|shares| shares[bin])).unwrap_or(f64::NAN))
    };
    (0..bins).map(bin).collect()
}

fn histogram(networks: &Networks, gate: Gate) -> Figure {
    let series = networks.iter().filter_map(|network| {
        let bins = mean_histogram(&gate.all(network));
        let point = |&([low, high], share): &([f64; 2], f64)| Point {
            x: 0.5 * (low + high),
            y: 100.0 * share,
            ..Point::default()
        };
        let points: Vec<Point> = bins.iter().map(point).collect();
        let series = Series { name: network.name.to_owned(), network: Some(network.place), mark: Mark::Steps, points };
        (!bins.is_empty()).then_some(series)
    });
    let chart = Chart {
        x: Axis::new(&format!("value of `{}`", gate.letter()), Scale::Between(0.0, 1.0)),
        y: Axis::new("values in a bin", Scale::Including(vec![0.0])).unit("%"),
        series: series.collect(),
        ..Chart::default()
    };
    let about = "The percentage of the values in each of equally wide bins, averaged over the blocks.".to_owned();
    figure(gate, "histogram", "Distribution", about, vec![panel(chart)])
}

#[cfg(test)]
mod tests;
