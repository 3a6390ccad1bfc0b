//! The sparsity of a gate for single samples, for classes and for all samples together.

use super::{Gate, Network, Networks, figure};
use crate::measure::charts::{BlockAxis, panel};
use crate::measure::gates::GateActivity;
use crate::measure::score::Estimate;
use crate::measure::sentences::finite_mean;
use crate::nn::BlockId;
use crate::report::{Axis, Chart, Figure, Mark, Point, Scale, Series};

/// Returns a panel for every network.
pub(super) fn figure_of(networks: &Networks, gate: Gate) -> Figure {
    let axis = BlockAxis::new(networks);
    let shown = networks.iter().filter(|network| !gate.all(network).is_empty());
    let charts = shown.map(|network| Chart {
        title: if networks.len() > 1 { network.name.to_owned() } else { String::new() },
        x: axis.axis(),
        y: Axis::new("Hoyer sparsity", Scale::Between(0.0, 1.0)),
        series: series(&axis, network, gate),
        ..Chart::default()
    });
    let mut about = String::from(
        "Hoyer's sparsity of the gate's units: 0 where all are alike, 1 where a single one is open. It is taken for each \
         sample and averaged, of the average over the samples of each class, and of the average over all samples. The area \
         reaches from the least to the greatest class.",
    );
    if gate == Gate::Transform {
        about += " According to the paper (Section 4) transform gates are sparse for each sample but not on average. Where \
                  that is so, the line of single samples lies above the line of the average. Averaging alone lowers the \
                  sparsity: the table says how far it would fall if samples had no unit in common, and what a network \
                  with initial weights has, where one was measured.";
    }
    figure(gate, "sparsity", "Sparsity", about, charts.map(panel).collect())
}

fn series(axis: &BlockAxis, network: &Network, gate: Gate) -> Vec<Series> {
    let exact = |figure: fn(&GateActivity) -> f64| {
        move |id: BlockId| Some(Estimate { value: figure(gate.of(network, id)?), ci95: f64::NAN })
    };
    let named = |name: &str, series: Series| Series { name: name.into(), ..series };
    let of_classes = |point: Point| {
        let gate = point.block.and_then(|id| gate.of(network, id));
        Point { range: gate.and_then(class_range).map(|(_, range)| range), ..point }
    };
    let classes = axis.series(network, Mark::Band, |id| {
        let (value, _) = class_range(gate.of(network, id)?)?;
        Some(Estimate { value, ci95: f64::NAN })
    });
    let classes = Series { points: classes.points.into_iter().map(of_classes).collect(), ..classes };
    let average = axis.series(network, Mark::Dashed, exact(|gate| gate.sparsity_of_average));
    let samples = axis.series(network, Mark::Line, exact(|gate| gate.sparsity_per_sample));
    let all = [
        named("average over each class", classes),
        named("average over all samples", average),
        named("single samples", samples),
    ];
    all.into_iter().filter(|series| series.points.iter().any(|point| point.y.is_finite())).collect()
}

/// Returns the mean sparsity over the classes, and the least and the greatest; `None` where none is finite.
pub(super) fn class_range(gate: &GateActivity) -> Option<(f64, [f64; 2])> {
    let finite = || gate.sparsity_per_class.iter().copied().filter(|value| value.is_finite());
    Some((finite_mean(finite())?, [finite().reduce(f64::min)?, finite().reduce(f64::max)?]))
}
