use super::blocks::{Figure, frame, numbered};
use super::element;
use crate::Result;
use crate::report::chart::{Axis, Chart, Colour, Layer, Mark};
use crate::report::gauge::Metric;
use crate::report::result::{Ablation, Lesion, Measurements, PerBlock};
use crate::report::table::Table;
use crate::report::{number, summary};

/// Every network with each block left out in turn.
pub(super) fn section(networks: &[Measurements]) -> Result<String> {
    if networks.iter().all(|network| network.lesion.is_none()) {
        return Ok(String::new());
    }
    let gauge = Metric::shared(networks);
    let mut body = element::prose(&format!(
        "Each block is left out in turn, so that only its skip remains, and nothing else is changed (paper, Section 4, \
         after Srivastava 2015 and Veit 2016). The line is the {} of the whole network; whiskers are 95 % intervals. \
         Blocks that cannot be left out have no bar.",
        gauge.name()
    ));
    body += &element::prose(&format!(
        "Below the bars, the cost: {}, compared sample by sample, which tells small costs apart that the bars cannot.",
        match gauge {
            Metric::Accuracy => "accuracy of the whole network minus accuracy without the block",
            Metric::Perplexity => "loss without the block minus loss of the whole network",
        }
    ));
    body += &element::seen(networks, sentence);
    for (place, network) in networks.iter().enumerate() {
        let Some(lesion) = &network.lesion else { continue };
        if networks.len() > 1 {
            body += &format!("<h3>{}</h3>\n", element::escape(&network.target));
        }
        body += &element::charts(&[bars(place, network, lesion)?, costs(place, network, lesion)?]);
    }
    let scores = networks.iter().filter_map(|network| network.lesion.as_ref()).flat_map(|lesion| lesion.values());
    let bad = summary::not_finite(scores.map(|lesion| &lesion.score));
    body += &element::left_out(bad, "of these figures");
    body += &element::numbers("Numbers of every block", table(networks));
    body += &ablation(networks)?;
    Ok(element::section("lesion", "Leaving one block out", &body))
}

fn sentence(network: &Measurements) -> Option<String> {
    let gauge = Metric::of(&network.outline);
    let costs = network.lesion.as_ref()?.iter().map(|(name, lesion)| (name, gauge.cost(lesion)));
    let costs: Vec<_> = costs.filter(|(_, cost)| cost.value.is_finite()).collect();
    let mean = summary::mean_cost(network)?;
    let (name, dearest) = costs.iter().max_by(|a, b| a.1.value.total_cmp(&b.1.value))?;
    let within = costs.iter().filter(|(_, cost)| cost.value.abs() <= cost.ci95).count();
    Some(format!(
        "Leaving out one block costs {} {} on average and at most {} ({name}); for {within} of {} blocks zero lies within \
         the interval of the cost.",
        gauge.lost(mean),
        gauge.long_unit(),
        gauge.lost(dearest.value),
        costs.len(),
    ))
}

fn bars(place: usize, network: &Measurements, lesion: &PerBlock<Lesion>) -> Result<String> {
    let gauge = Metric::of(&network.outline);
    let blocks = numbered(network, lesion);
    let bars: Vec<_> = blocks.iter().map(|(number, lesion)| (*number, gauge.value(&lesion.score))).collect();
    let whiskers: Vec<_> = blocks
        .iter()
        .map(|(number, lesion)| {
            let [low, high] = gauge.range(&lesion.score);
            (*number, low, high)
        })
        .collect();
    let whole = gauge.value(&network.baseline);
    let y = match gauge {
        Metric::Accuracy => Axis::between(0.0, 100.0),
        Metric::Perplexity => Axis::covering(whiskers.iter().map(|(.., high)| *high).chain([0.0, whole])),
    };
    let mut layers = vec![
        // Without this the grid would show through the bars.
        Layer::new(Mark::Bars(bars.clone()), Colour::Paper),
        Layer::new(Mark::Bars(bars), Colour::Network(place)).faint(0.45),
        Layer::new(Mark::Whiskers(whiskers), Colour::Network(place)),
        Layer::new(Mark::Rule(whole), Colour::Ink),
    ];
    let x = frame(network, &mut layers);
    Chart {
        title: String::new(),
        description: format!("{} of {} with each block left out", gauge.title(), network.target),
        x_label: "block left out".into(),
        y_label: match gauge {
            Metric::Accuracy => "Accuracy without the block, %".into(),
            Metric::Perplexity => "Perplexity without the block".into(),
        },
        x,
        y,
        size: (element::PAGE_WIDTH, 270.0),
        layers,
    }
    .figure()
}

fn costs(place: usize, network: &Measurements, lesion: &PerBlock<Lesion>) -> Result<String> {
    let gauge = Metric::of(&network.outline);
    let scale = gauge.scale();
    let cost = |(number, lesion): &(f64, &Lesion)| {
        let cost = gauge.cost(lesion);
        (*number, scale * (cost.value - cost.ci95), scale * (cost.value + cost.ci95))
    };
    let blocks = numbered(network, lesion);
    let ranges: Vec<_> = blocks.iter().map(cost).collect();
    let points = blocks.iter().map(|(number, lesion)| (*number, scale * gauge.cost(lesion).value)).collect();
    let y = Axis::covering(ranges.iter().flat_map(|(_, low, high)| [*low, *high]).chain([0.0]));
    let mut layers = vec![
        Layer::new(Mark::Rule(0.0), Colour::Muted),
        Layer::new(Mark::Whiskers(ranges), Colour::Network(place)).faint(0.7),
        Layer::new(Mark::Points(points, place), Colour::Network(place)),
    ];
    let x = frame(network, &mut layers);
    layers.retain(|layer| !matches!(layer.mark, Mark::Note(..)));
    Chart {
        title: String::new(),
        description: format!("What {} loses with each block left out", network.target),
        x_label: "block left out".into(),
        y_label: format!("Cost, {}", gauge.long_unit()),
        x,
        y,
        size: (element::PAGE_WIDTH, 210.0),
        layers,
    }
    .figure()
}

fn table(networks: &[Measurements]) -> Table {
    let mut table = Table::new([
        "network",
        "<block left out",
        "perplexity",
        "accuracy",
        "95 % interval",
        "cost, points of accuracy",
        "loss, nats",
        "cost, nats",
        "<why not",
    ]);
    for network in networks {
        let Some(lesions) = &network.lesion else { continue };
        for (name, Lesion { score, accuracy_cost, loss_cost }) in lesions {
            table.row([
                network.target.clone(),
                name.clone(),
                number::perplexity(network.outline.perplexity(score.loss)),
                number::percent(score.accuracy),
                number::percent_interval(score.accuracy_ci95),
                format!("{} ± {}", number::points(accuracy_cost.value), number::points(accuracy_cost.ci95)),
                number::plus_minus(score.loss, score.loss_ci95),
                number::plus_minus(loss_cost.value, loss_cost.ci95),
            ]);
        }
        for block in network.outline.stages.iter().flat_map(|stage| &stage.blocks) {
            let Some(reason) = &block.why_not_removable else { continue };
            table.row([network.target.as_str(), block.name(), "", "", "", "", "", "", reason]);
        }
    }
    table
}

/// What a block adds replaced instead of left out.
fn ablation(networks: &[Measurements]) -> Result<String> {
    if networks.iter().all(|network| network.ablation.as_ref().is_none_or(|blocks| blocks.is_empty())) {
        return Ok(String::new());
    }
    let mut body = String::from("<h3>Replacing what a block adds</h3>\n");
    body += &element::prose(
        "Leaving a block out changes the mean of the estimate too. Here its step <i>a<sub>k</sub></i> − \
         <i>a<sub>k−1</sub></i> is replaced by its mean over the samples, and by the step of another sample: what is lost \
         then is what the block says about the sample alone.",
    );
    let gauge = Metric::shared(networks);
    let of = |network: &Measurements, sort: fn(&Ablation) -> &Lesion| {
        let blocks = network.ablation.iter().flat_map(|blocks| numbered(network, blocks));
        blocks.map(|(number, ablation)| (number, gauge.cost(sort(ablation)))).collect::<Vec<_>>()
    };
    let (y_label, scale) = (format!("cost, {}", gauge.unit()), gauge.scale());
    let figure = |title| Figure { title, y_label: &y_label, scale, rule: 0.0, is_share: false };
    let [mean, resampled] = ["Replaced by its mean", "Replaced by another sample’s"].map(figure);
    let figures =
        [mean.chart(networks, |n| of(n, |a| &a.mean))?, resampled.chart(networks, |n| of(n, |a| &a.resampled))?];
    body += &element::charts(&figures.into_iter().flatten().collect::<Vec<_>>());
    let unit = gauge.unit();
    let heads = [format!("cost of the mean, {unit}"), format!("cost of another’s, {unit}")];
    let mut table = Table::new(["network", "<block", &heads[0], &heads[1]]);
    for network in networks {
        for (block, ablation) in network.ablation.iter().flatten() {
            let cost = |lesion: &Lesion| gauge.lost_within(gauge.cost(lesion));
            table.row([network.target.clone(), block.clone(), cost(&ablation.mean), cost(&ablation.resampled)]);
        }
    }
    Ok(body + &element::numbers("Numbers of every block", table))
}
