use super::element;
use crate::Result;
use crate::report::chart::{Axis, Chart, Colour, Layer, Mark};
use crate::report::result::{Gate, Measurements};
use crate::report::summary::{self, Kind};

/// Sparsity of a gate for single samples, for classes and for all samples together.
pub(super) fn part(networks: &[Measurements], kind: Kind) -> Result<String> {
    let paper = match kind {
        Kind::Transform => {
            " The paper (Section 4) has transform gates sparse for each sample but not on average; if so, the points lie \
             above the plain line, as different samples open different units."
        }
        Kind::Carry => "",
    };
    let mut html = element::prose(&format!(
        "Sparsity: Hoyer’s measure of the gate’s units, 0 where all are alike, 1 where a single one is open. It is taken \
         for each sample and averaged (points), and of the average over all samples (plain line) or over those of each \
         class (area, from the least to the greatest class).{paper}"
    ));
    html += &element::seen(networks, |network| sentence(network, kind));
    html += &element::keys(&[
        (format!("{}<circle cx=\"11\" cy=\"6\" r=\"4\"/>", line(0.7)), "per sample"),
        ("<path d=\"M0 1h22v10h-22Z\" opacity=\".25\"/>".into(), "of each class, least to greatest"),
        (line(1.0), "of the average"),
    ]);
    let shown: Vec<_> =
        networks.iter().enumerate().map(|(place, network)| (place, network, summary::gates(network, kind))).collect();
    let shown: Vec<_> = shown.into_iter().filter(|(_, _, gates)| !gates.is_empty()).collect();
    let width = element::width_of(shown.len().clamp(2, 3));
    let figures = shown.iter().map(|(place, network, gates)| {
        let title = if networks.len() == 1 { "Sparsity".into() } else { network.target.clone() };
        chart(*place, title, gates, width)
    });
    html += &element::charts(&figures.collect::<Result<Vec<_>>>()?);
    Ok(html)
}

fn line(opacity: f64) -> String {
    format!("<path d=\"M0 5.2h22v1.6h-22Z\" opacity=\"{opacity}\"/>")
}

fn sentence(network: &Measurements, kind: Kind) -> Option<String> {
    let gates = summary::gates(network, kind);
    let finite = gates.iter().map(|(_, _, gate)| (gate.sparsity_per_sample, gate.sparsity_of_average));
    let finite: Vec<_> = finite.filter(|(sample, average)| sample.is_finite() && average.is_finite()).collect();
    let sparser = finite.iter().filter(|(sample, average)| sample > average).count();
    let kind = kind.letter();
    (!finite.is_empty())
        .then(|| format!("{kind} is sparser per sample than on average in {sparser} of {} blocks.", finite.len()))
}

fn chart(place: usize, title: String, gates: &[(usize, &str, &Gate)], width: f64) -> Result<String> {
    let curve = |figure: fn(&Gate) -> f64| -> Vec<_> {
        gates.iter().map(|(number, _, gate)| (*number as f64, figure(gate))).collect()
    };
    let classes = gates.iter().filter_map(|(number, _, gate)| {
        let finite = || gate.sparsity_per_class.iter().copied().filter(|value| value.is_finite());
        let low = finite().reduce(f64::min)?;
        Some((*number as f64, low, finite().reduce(f64::max)?))
    });
    let samples = curve(|gate| gate.sparsity_per_sample);
    let colour = Colour::Network(place);
    Chart {
        description: format!("Sparsity of the gates of {title}, block by block"),
        title,
        x_label: "block".into(),
        y_label: "Hoyer sparsity".into(),
        x: Axis::numbers(gates.last().map_or(1, |(number, _, _)| *number), 8),
        y: Axis::between(0.0, 1.0),
        size: (width, 260.0),
        layers: vec![
            Layer::new(Mark::Band(classes.collect()), colour).faint(0.2),
            Layer::new(Mark::Line(curve(|gate| gate.sparsity_of_average)), colour),
            Layer::new(Mark::Line(samples.clone()), colour).faint(0.6),
            Layer::new(Mark::Points(samples, place), colour),
        ],
    }
    .figure()
}
