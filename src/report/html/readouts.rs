use super::blocks::{Figure, numbered};
use super::element;
use crate::Result;
use crate::report::chart::{Axis, Chart, Colour, Layer, Mark};
use crate::report::gauge::Metric;
use crate::report::number;
use crate::report::result::{Estimate, Measurements, Readout, Readouts};
use crate::report::table::Table;

/// One of the read-outs of a block.
type Sort = fn(&Readouts) -> Option<&Readout>;

/// The sorts of read-outs, with what they are called.
const SORTS: [(&str, Sort); 3] = [
    ("the network's own head", |r| r.head.as_ref()),
    ("a linear classifier", |r| r.linear.as_ref()),
    ("a linear map tuned to the output", |r| r.tuned.as_ref()),
];

/// What the network would answer if it stopped after a block.
pub(super) fn section(networks: &[Measurements]) -> Result<String> {
    let has = |network: &Measurements| network.readouts.as_ref().is_some_and(|blocks| !blocks.is_empty());
    if !networks.iter().any(has) {
        return Ok(String::new());
    }
    let mut body = element::prose(
        "After every block the estimate is read out: by the network’s own head where it fits, that is in the last stage \
         (nostalgebraist 2020); by a linear classifier of the channels’ averages; and by the same map fitted to the \
         network’s output instead of the labels (Belrose et al. 2023). The fitted ones are fitted to one half of the \
         samples and judged on the other, both ways. If the blocks refine one estimate, read-outs approach the output \
         block by block.",
    );
    body += &element::seen(networks, sentence);
    body += &element::legend(networks, has);
    let gauge = Metric::shared(networks);
    let mut figures = Vec::new();
    for (name, sort) in SORTS {
        let title = format!("{} read out by {name}", gauge.title());
        let (rule, is_share) = match gauge {
            Metric::Accuracy => (0.0, true),
            Metric::Perplexity => (networks.first().map_or(0.0, |network| gauge.value(&network.baseline)), false),
        };
        // Shares are scaled by the figure.
        let scale = gauge.scale();
        let figure = Figure { title: &title, y_label: gauge.label(), scale, rule, is_share };
        figures.extend(figure.chart(networks, |network| {
            let blocks = network.readouts.iter().flat_map(|blocks| numbered(network, blocks));
            blocks.filter_map(|(number, readouts)| Some((number, with_arm(gauge, sort(readouts)?)))).collect()
        })?);
    }
    body += &element::charts(&figures);
    body += &element::numbers("Numbers of every block", table(networks));
    body += &early_exit(networks)?;
    Ok(element::section("readouts", "Read-outs", &body))
}

/// A read-out's score, before [`Metric::scale`], with the longer arm of its interval.
fn with_arm(gauge: Metric, readout: &Readout) -> Estimate {
    let scale = gauge.scale();
    let [low, high] = gauge.range(&readout.score).map(|end| end / scale);
    let value = gauge.value(&readout.score) / scale;
    Estimate { value, ci95: (value - low).max(high - value) }
}

fn sentence(network: &Measurements) -> Option<String> {
    let heads = network.readouts.as_ref()?.iter().filter_map(|(name, r)| Some((name, r.head.as_ref()?)));
    let heads: Vec<_> = heads.collect();
    let (_, first) = heads.first()?;
    let settled = heads.iter().find(|(_, head)| head.settled >= 0.9)?;
    Some(format!(
        "Read out by its own head, the network agrees with its final answer in {} of the samples after the first block \
         of the last stage; after {} the answer of 9 in 10 samples does not change any more.",
        number::percent(first.agreement.value),
        settled.0,
    ))
}

fn table(networks: &[Measurements]) -> Table {
    let gauge = Metric::shared(networks);
    let mut table = Table::new([
        "network",
        "<block",
        "<read out by",
        gauge.name(),
        "95 % interval",
        "loss, nats",
        "agreement with the output",
        "divergence from it, nats",
        "settled",
    ]);
    for network in networks {
        for (block, readouts) in network.readouts.iter().flatten() {
            for (name, sort) in SORTS {
                let Some(readout) = sort(readouts) else { continue };
                let [value, interval] = gauge.cells(&readout.score);
                table.row([
                    network.target.clone(),
                    block.clone(),
                    name.to_owned(),
                    value,
                    interval,
                    number::plus_minus(readout.score.loss, readout.score.loss_ci95),
                    number::percent(readout.agreement.value),
                    number::plus_minus(readout.kl_nats.value, readout.kl_nats.ci95),
                    number::percent(readout.settled),
                ]);
            }
        }
    }
    table
}

/// Accuracy against computation where samples leave as soon as a fitted read-out is confident.
fn early_exit(networks: &[Measurements]) -> Result<String> {
    let figures: Vec<String> = ["linear", "tuned"]
        .into_iter()
        .filter_map(|sort| exit_chart(networks, sort).transpose())
        .collect::<Result<_>>()?;
    if figures.is_empty() {
        return Ok(String::new());
    }
    let mut body = String::from("<h3>Early exit</h3>\n");
    body += &element::prose(
        "A sample leaves the network at the first block after which a fitted read-out gives some class at least a \
         probability of .5, .6, .7, .8, .9, .95, .99 or .999 (from left to right); one that never does is answered by the \
         network itself. The faint line is the accuracy of the whole network.",
    );
    body += &element::charts(&figures);
    let mut table =
        Table::new(["network", "<read out by", "threshold", "computation", "leave early", "accuracy", "loss, nats"]);
    for network in networks {
        for point in network.early_exit.iter().flatten() {
            table.row([
                network.target.clone(),
                point.readout.clone(),
                point.threshold.to_string(),
                number::percent(point.computation),
                number::percent(point.early),
                number::percent(point.score.accuracy),
                number::plus_minus(point.score.loss, point.score.loss_ci95),
            ]);
        }
    }
    Ok(body + &element::numbers("Numbers of every threshold", table))
}

/// The curves of one sort of read-out; absent where no network has any.
fn exit_chart(networks: &[Measurements], sort: &str) -> Result<Option<String>> {
    let (mut layers, mut all) = (Vec::new(), Vec::new());
    for (place, network) in networks.iter().enumerate() {
        let points = network.early_exit.iter().flatten().filter(|point| point.readout == sort);
        let points: Vec<(f64, f64)> =
            points.map(|point| (100.0 * point.computation, 100.0 * point.score.accuracy)).collect();
        if points.is_empty() {
            continue;
        }
        let (colour, baseline) = (Colour::Network(place), 100.0 * network.baseline.accuracy);
        layers.push(Layer::new(Mark::Rule(baseline), colour).faint(0.4));
        layers.push(Layer::new(Mark::Line(points.clone()), colour).faint(0.5));
        layers.push(Layer::new(Mark::Points(points.clone(), place), colour));
        all.extend(points);
        all.push((100.0, baseline));
    }
    if layers.is_empty() {
        return Ok(None);
    }
    let chart = Chart {
        title: format!("Leaving where the {sort} read-out is confident"),
        description: format!("Accuracy against computation, {sort} read-outs"),
        x_label: "computation, % of the whole network’s".into(),
        y_label: "accuracy, %".into(),
        x: Axis::covering(all.iter().map(|point| point.0)).within(0.0, 100.0),
        y: Axis::covering(all.iter().map(|point| point.1)).within(0.0, 100.0),
        size: (element::width_of(2), 240.0),
        layers,
    };
    chart.figure().map(Some)
}
