use super::element;
use crate::Result;
use crate::report::chart::{Axis, Chart, Colour, Layer, Mark};
use crate::report::gauge::Metric;
use crate::report::result::{Measurements, Shuffle};
use crate::report::table::Table;
use crate::report::{number, summary};

/// Error against how much the order was changed.
pub(super) fn section(networks: &[Measurements]) -> Result<String> {
    let shuffled = |network: &Measurements| network.shuffle.as_ref().is_some_and(|orders| !orders.is_empty());
    if !networks.iter().any(shuffled) {
        return Ok(String::new());
    }
    let mut body = element::prose(
        "Blocks are swapped at random within their stages (paper, Section 4, after Veit 2016). Kendall’s <i>τ</i> \
         compares the new order with the trained one over all pairs of blocks: 1 where nothing moved, 0 where as \
         many pairs are exchanged as kept.",
    );
    body += &element::prose(
        "Each point is one order; the order changes more from left to right. Horizontal lines are the networks as trained.",
    );
    body += &element::seen(networks, sentence);
    body += &element::legend(networks, shuffled);
    body += &element::charts(&[chart(networks)?]);
    let scores = networks.iter().flat_map(orders).map(|order| &order.score);
    body += &element::left_out(summary::not_finite(scores), "of these figures");
    body += &element::numbers("Numbers by count of swaps", groups(networks));
    body += &element::numbers("Every order", table(networks));
    Ok(element::section("shuffle", "Other orders", &body))
}

fn orders(network: &Measurements) -> &[Shuffle] {
    network.shuffle.as_deref().unwrap_or_default()
}

fn sentence(network: &Measurements) -> Option<String> {
    let (groups, gauge) = (summary::shuffle_groups(network), Metric::of(&network.outline));
    let (few, many) = (groups.first()?, groups.last()?);
    let swaps = |group: &summary::ShuffleGroup| number::counted(group.swaps, "swap");
    let mut sentence = format!("Mean {} is {} after {}", gauge.name(), gauge.shown(few.mean), swaps(few));
    if groups.len() > 1 {
        sentence += &format!(" and {} after {}", gauge.shown(many.mean), swaps(many));
    }
    Some(format!("{sentence}; as trained it is {}.", gauge.shown(gauge.value(&network.baseline))))
}

fn chart(networks: &[Measurements]) -> Result<String> {
    let gauge = Metric::shared(networks);
    let all = || networks.iter().flat_map(orders);
    let mut layers = Vec::new();
    for (place, network) in networks.iter().enumerate().filter(|(_, network)| !orders(network).is_empty()) {
        let points = orders(network).iter().map(|order| (order.kendall_tau, gauge.error(&order.score)));
        let colour = Colour::Network(place);
        layers.push(Layer::new(Mark::Rule(gauge.error(&network.baseline)), colour).faint(0.5));
        layers.push(Layer::new(Mark::Points(points.collect(), place), colour).faint(0.75));
    }
    let lowest = all().map(|order| order.kendall_tau).fold(0.9, f64::min);
    Chart {
        title: String::new(),
        description: "Error against Kendall's tau of shuffled orders".into(),
        x_label: "Kendall’s τ to the trained order".into(),
        y_label: gauge.error_label().into(),
        x: Axis::between((lowest - 0.02).max(-1.0), 1.0).reversed(),
        y: gauge.error_axis(all().map(|order| gauge.error(&order.score))),
        size: (820.0, 380.0),
        layers,
    }
    .figure()
}

fn groups(networks: &[Measurements]) -> Table {
    let heads = summary::ShuffleGroup::heads(Metric::shared(networks), "mean τ");
    let mut table = Table::new(["network"].into_iter().chain(heads.iter().map(String::as_str)));
    for network in networks {
        for group in summary::shuffle_groups(network) {
            table.row([network.target.clone()].into_iter().chain(group.cells()));
        }
    }
    table
}

fn table(networks: &[Measurements]) -> Table {
    let gauge = Metric::shared(networks);
    let mut table =
        Table::new(["network", "swaps", "seed", "τ", gauge.name(), "95 % interval", "loss, nats", "<order"]);
    for network in networks {
        for order in orders(network) {
            let [value, interval] = gauge.cells(&order.score);
            table.row([
                network.target.clone(),
                order.swaps.to_string(),
                order.seed.to_string(),
                number::relative(order.kendall_tau),
                value,
                interval,
                number::plus_minus(order.score.loss, order.score.loss_ci95),
                order.route.clone(),
            ]);
        }
    }
    table
}
