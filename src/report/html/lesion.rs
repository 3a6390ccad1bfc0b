use super::blocks::{Figure, frame, numbered};
use super::element;
use crate::Result;
use crate::report::chart::{Axis, Chart, Colour, Layer, Mark};
use crate::report::result::{Ablation, Lesion, Measurements, PerBlock};
use crate::report::table::Table;
use crate::report::{number, summary};

/// Every network with each block left out in turn.
pub(super) fn section(networks: &[Measurements]) -> Result<String> {
    if networks.iter().all(|network| network.lesion.is_none()) {
        return Ok(String::new());
    }
    let mut body = element::prose(
        "Each block is left out in turn, so that only its skip remains, and nothing else is changed (paper, Section 4, \
         after Srivastava 2015 and Veit 2016). The line is the accuracy of the whole network; whiskers are 95 % Wilson \
         intervals. Blocks that cannot be left out have no bar.",
    );
    body += &element::prose(
        "Below the bars, the cost: accuracy of the whole network minus accuracy without the block, compared sample by \
         sample, which tells small costs apart that the bars cannot.",
    );
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
    let lesion = network.lesion.as_ref()?;
    let costs: Vec<_> =
        lesion.values().map(|lesion| lesion.accuracy_cost).filter(|cost| cost.value.is_finite()).collect();
    let mean = summary::mean_cost(network)?;
    let dearest = lesion.iter().filter(|(_, lesion)| lesion.accuracy_cost.value.is_finite());
    let (name, dearest) = dearest.max_by(|a, b| a.1.accuracy_cost.value.total_cmp(&b.1.accuracy_cost.value))?;
    let within = costs.iter().filter(|cost| cost.value.abs() <= cost.ci95).count();
    Some(format!(
        "Leaving out one block costs {} points of accuracy on average and at most {} ({name}); for {within} of {} blocks \
         zero lies within the interval of the cost.",
        number::points(mean),
        number::points(dearest.accuracy_cost.value),
        costs.len(),
    ))
}

fn bars(place: usize, network: &Measurements, lesion: &PerBlock<Lesion>) -> Result<String> {
    let blocks = numbered(network, lesion);
    let bars: Vec<_> = blocks.iter().map(|(number, lesion)| (*number, 100.0 * lesion.score.accuracy)).collect();
    let whiskers = blocks.iter().map(|(number, lesion)| {
        let [low, high] = lesion.score.accuracy_ci95;
        (*number, 100.0 * low, 100.0 * high)
    });
    let mut layers = vec![
        // Without this the grid would show through the bars.
        Layer::new(Mark::Bars(bars.clone()), Colour::Paper),
        Layer::new(Mark::Bars(bars), Colour::Network(place)).faint(0.45),
        Layer::new(Mark::Whiskers(whiskers.collect()), Colour::Network(place)),
        Layer::new(Mark::Rule(100.0 * network.baseline.accuracy), Colour::Ink),
    ];
    let x = frame(network, &mut layers);
    Chart {
        title: String::new(),
        description: format!("Accuracy of {} with each block left out", network.target),
        x_label: "block left out".into(),
        y_label: "Accuracy without the block, %".into(),
        x,
        y: Axis::between(0.0, 100.0),
        size: (element::PAGE_WIDTH, 270.0),
        layers,
    }
    .figure()
}

fn costs(place: usize, network: &Measurements, lesion: &PerBlock<Lesion>) -> Result<String> {
    let cost = |(number, lesion): &(f64, &Lesion)| {
        let cost = lesion.accuracy_cost;
        (*number, 100.0 * (cost.value - cost.ci95), 100.0 * (cost.value + cost.ci95))
    };
    let blocks = numbered(network, lesion);
    let ranges: Vec<_> = blocks.iter().map(cost).collect();
    let points = blocks.iter().map(|(number, lesion)| (*number, 100.0 * lesion.accuracy_cost.value)).collect();
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
        description: format!("Accuracy that {} loses with each block left out", network.target),
        x_label: "block left out".into(),
        y_label: "Cost, percentage points of accuracy".into(),
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
            let Some(reason) = &block.fixed else { continue };
            table.row([network.target.as_str(), &block.name, "", "", "", "", "", "", reason]);
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
    let of = |network: &Measurements, sort: fn(&Ablation) -> &Lesion| {
        let blocks = network.ablation.iter().flat_map(|blocks| numbered(network, blocks));
        blocks.map(|(number, ablation)| (number, sort(ablation).accuracy_cost)).collect::<Vec<_>>()
    };
    let y_label = "cost, percentage points";
    let mean = Figure { title: "Replaced by its mean", y_label, scale: 100.0, rule: 0.0, is_share: false };
    let resampled =
        Figure { title: "Replaced by another sample’s", y_label, scale: 100.0, rule: 0.0, is_share: false };
    let figures =
        [mean.chart(networks, |n| of(n, |a| &a.mean))?, resampled.chart(networks, |n| of(n, |a| &a.resampled))?];
    body += &element::charts(&figures.into_iter().flatten().collect::<Vec<_>>());
    let mut table = Table::new(["network", "<block", "cost of the mean, points", "cost of another’s, points"]);
    for network in networks {
        for (block, ablation) in network.ablation.iter().flatten() {
            let points = |lesion: &Lesion| {
                let cost = lesion.accuracy_cost;
                format!("{} ± {}", number::points(cost.value), number::points(cost.ci95))
            };
            table.row([network.target.clone(), block.clone(), points(&ablation.mean), points(&ablation.resampled)]);
        }
    }
    Ok(body + &element::numbers("Numbers of every block", table))
}
