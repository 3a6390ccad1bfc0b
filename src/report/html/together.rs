use super::blocks::{heat_maps, place};
use super::element;
use crate::Result;
use crate::report::chart::{Axis, Cell, Chart, Colour, Layer, Mark};
use crate::report::gauge::Metric;
use crate::report::result::{Measurements, Pair};
use crate::report::table::Table;
use crate::report::{number, summary};

/// More and more blocks left out at random.
pub(super) fn several(networks: &[Measurements]) -> Result<String> {
    let has = |network: &Measurements| network.several.as_ref().is_some_and(|sets| !sets.is_empty());
    if !networks.iter().any(has) {
        return Ok(String::new());
    }
    let mut body = element::prose(
        "More and more blocks are left out together, drawn at random (Veit et al. 2016). Each point is one draw; \
         horizontal lines are the networks as trained. Error that grows smoothly says that no block is needed by the \
         others.",
    );
    body += &element::legend(networks, has);
    let gauge = Metric::shared(networks);
    let points = networks.iter().map(|network| {
        let sets = network.several.iter().flatten();
        sets.map(|set| (set.removed as f64, gauge.error(&set.score))).collect()
    });
    let trained = networks.iter().enumerate().filter(|(_, network)| has(network));
    let figure = Errors {
        title: "",
        x_label: "blocks left out",
        trained: trained.map(|(place, network)| (gauge.error(&network.baseline), Colour::Network(place))).collect(),
        curves: points.collect(),
        gauge,
        is_joined: false,
        size: (820.0, 340.0),
    };
    body += &element::charts(&[figure.figure()?]);
    let scores = networks.iter().flat_map(|network| network.several.iter().flatten()).map(|set| &set.score);
    body += &element::left_out(summary::not_finite(scores), "of these figures");
    let mut table = Table::new(["network", "left out", "seed", gauge.name(), "95 % interval", "loss, nats", "<left"]);
    for network in networks {
        for set in network.several.iter().flatten() {
            let [value, interval] = gauge.cells(&set.score);
            table.row([
                network.target.clone(),
                set.removed.to_string(),
                set.seed.to_string(),
                value,
                interval,
                number::plus_minus(set.score.loss, set.score.loss_ci95),
                set.route.clone(),
            ]);
        }
    }
    body += &element::numbers("Every draw", table);
    Ok(element::section("several", "Leaving several blocks out", &body))
}

/// Error against a count.
pub(super) struct Errors<'a> {
    pub(super) title: &'a str,
    pub(super) x_label: &'a str,
    /// Error of the networks as trained, a line each.
    pub(super) trained: Vec<(f64, Colour)>,
    /// Counts and errors, each in the colour and shape of its place.
    pub(super) curves: Vec<Vec<(f64, f64)>>,
    /// What the errors are of.
    pub(super) gauge: Metric,
    /// Whether the points of a curve are joined by a line.
    pub(super) is_joined: bool,
    pub(super) size: (f64, f64),
}

impl Errors<'_> {
    pub(super) fn figure(self) -> Result<String> {
        let all = || self.curves.iter().flatten();
        let most = all().map(|(count, _)| *count).fold(1.0, f64::max);
        let y =
            self.gauge.error_axis(all().map(|(_, error)| *error).chain(self.trained.iter().map(|(error, _)| *error)));
        let rule = |(error, colour)| Layer::new(Mark::Rule(error), colour).faint(0.5);
        let mut layers: Vec<Layer> = self.trained.into_iter().map(rule).collect();
        for (place, points) in self.curves.into_iter().enumerate().filter(|(_, points)| !points.is_empty()) {
            if self.is_joined {
                layers.push(Layer::new(Mark::Line(points.clone()), Colour::Network(place)).faint(0.5));
            }
            layers.push(Layer::new(Mark::Points(points, place), Colour::Network(place)).faint(0.75));
        }
        Chart {
            title: self.title.into(),
            description: format!("Error against {}", self.x_label),
            x_label: self.x_label.into(),
            y_label: self.gauge.error_label().into(),
            x: Axis::numbers(most as usize, 12),
            y,
            size: self.size,
            layers,
        }
        .figure()
    }
}

/// Pairs of blocks of one stage left out together.
pub(super) fn pairs(networks: &[Measurements]) -> Result<String> {
    let has = |network: &Measurements| network.pairs.as_ref().is_some_and(|pairs| !pairs.is_empty());
    if !networks.iter().any(has) {
        return Ok(String::new());
    }
    let mut body = element::prose(
        "Two blocks of one stage are left out together. Their interaction is what the pair costs beyond the costs of its \
         members: above zero the two can stand in for each other, below zero the loss of one makes the other \
         dispensable. The darker, the less the pair costs.",
    );
    body += &element::seen(networks, sentence);
    for network in networks {
        if networks.len() > 1 {
            body += &format!("<h4>{}</h4>\n", element::escape(&network.target));
        }
        body += &element::charts(&maps(network)?);
    }
    body += &element::numbers("Numbers of every pair", table(networks));
    Ok(element::section("pairs", "Leaving two blocks out", &body))
}

fn sentence(network: &Measurements) -> Option<String> {
    let pairs = network.pairs.as_ref()?;
    let beyond = |pair: &&Pair| pair.interaction_loss.value > pair.interaction_loss.ci95;
    let below = |pair: &&Pair| pair.interaction_loss.value < -pair.interaction_loss.ci95;
    let dearest = pairs.iter().max_by(|a, b| a.interaction_loss.value.total_cmp(&b.interaction_loss.value))?;
    Some(format!(
        "Of {} pairs, {} cost more loss than their members together and {} less, beyond their intervals; most {} with {} \
         ({} nats).",
        pairs.len(),
        pairs.iter().filter(beyond).count(),
        pairs.iter().filter(below).count(),
        dearest.first,
        dearest.second,
        number::real(dearest.interaction_loss.value),
    ))
}

/// The earlier block across, the later one upwards.
fn maps(network: &Measurements) -> Result<Vec<String>> {
    let pairs = network.pairs.as_deref().unwrap_or_default();
    let gauge = Metric::of(&network.outline);
    let costs = pairs.iter().map(|pair| gauge.cost(&pair.lesion).value);
    let most = costs.filter(|cost| cost.is_finite()).fold(1e-9, f64::max);
    let brightest = format!("{} {}", gauge.lost(most), gauge.unit());
    heat_maps(network, ["earlier block", "later block"], &brightest, |stage| {
        let cell = |pair: &Pair| {
            let (x, y) = (place(stage, &pair.first)?, place(stage, &pair.second)?);
            Some(Cell { x: (x, x + 1.0), y: (y, y + 1.0), value: gauge.cost(&pair.lesion).value / most })
        };
        pairs.iter().filter_map(cell).collect()
    })
}

fn table(networks: &[Measurements]) -> Table {
    let mut table = Table::new([
        "network",
        "<first",
        "<second",
        "accuracy without both",
        "cost, points",
        "interaction, points",
        "cost, nats",
        "interaction, nats",
    ]);
    for network in networks {
        for pair in network.pairs.iter().flatten() {
            let points = |e: crate::report::result::Estimate| {
                format!("{} ± {}", number::points(e.value), number::points(e.ci95))
            };
            table.row([
                network.target.clone(),
                pair.first.clone(),
                pair.second.clone(),
                number::percent(pair.lesion.score.accuracy),
                points(pair.lesion.accuracy_cost),
                points(pair.interaction_accuracy),
                number::plus_minus(pair.lesion.loss_cost.value, pair.lesion.loss_cost.ci95),
                number::plus_minus(pair.interaction_loss.value, pair.interaction_loss.ci95),
            ]);
        }
    }
    table
}
