use super::element;
use super::together::errors;
use crate::Result;
use crate::report::result::{Estimate, Measurements, Repeat};
use crate::report::table::Table;
use crate::report::{number, summary};

/// Whether stages iterate: the last block applied again, and the three indices.
pub(super) fn sections(networks: &[Measurements]) -> Result<String> {
    Ok(repeats(networks)? + &indices(networks))
}

/// The last block of every stage applied again.
fn repeats(networks: &[Measurements]) -> Result<String> {
    let has = |network: &Measurements| network.repeats.as_ref().is_some_and(|repeats| !repeats.is_empty());
    if !networks.iter().any(has) {
        return Ok(String::new());
    }
    let mut body = element::prose(
        "The last block of a stage runs again on its own output, up to twenty times more (divergence in Lippl et al. \
         2021). An iteration that has converged would not mind; one that was only ever unrolled so far diverges. \
         Scaled back means that after each further run every sample’s estimate gets the size that it had after the first: \
         what is left is a change of direction.",
    );
    body += &element::legend(networks, has);
    for (rescaled, what) in [(false, "further runs of a stage’s last block"), (true, "further runs, scaled back")] {
        let points = networks.iter().map(|network| {
            let repeats = network.repeats.iter().flatten().filter(|repeat| repeat.rescaled == rescaled);
            repeats.map(|repeat| (repeat.times as f64, 100.0 * (1.0 - repeat.score.accuracy))).collect()
        });
        let points: Vec<Vec<(f64, f64)>> = points.collect();
        if points.iter().any(|points| !points.is_empty()) {
            body += &element::charts(&[errors(networks, points, what)?]);
        }
    }
    let scores = networks.iter().flat_map(|network| network.repeats.iter().flatten()).map(|repeat| &repeat.score);
    body += &element::left_out(summary::not_finite(scores), "of these figures");
    let mut table = Table::new([
        "network",
        "<block",
        "further runs",
        "<scaled back",
        "accuracy",
        "95 % interval",
        "loss, nats",
        "agreement",
    ]);
    for network in networks {
        for Repeat { block, times, rescaled, score, agreement } in network.repeats.iter().flatten() {
            table.row([
                network.target.clone(),
                block.clone(),
                times.to_string(),
                if *rescaled { "yes" } else { "no" }.to_owned(),
                number::percent(score.accuracy),
                number::percent_interval(score.accuracy_ci95),
                number::plus_minus(score.loss, score.loss_ci95),
                number::percent(agreement.value),
            ]);
        }
    }
    body += &element::numbers("Numbers", table);
    Ok(element::section("repeats", "Applying the last block again", &body))
}

/// The three indices of every stage.
fn indices(networks: &[Measurements]) -> String {
    let has = |network: &Measurements| network.iteration.as_ref().is_some_and(|stages| !stages.is_empty());
    if !networks.iter().any(has) {
        return String::new();
    }
    let mut body = element::prose(
        "Three indices say how iterative a stage is (after Lippl et al. 2021). Each is the accuracy lost, on average over the \
         points of a curve, as a share of what the network has beyond chance: 0 as an iteration would have it, 1 where all \
         is lost at once.",
    );
    body += &element::prose(
        "<b>Convergence</b>: the stage stops after each of its blocks but the last. <b>Recurrence</b>: two of its blocks \
         change places. <b>Divergence</b>: its last block runs again, up to twenty times; scaled back, every sample’s estimate \
         keeps its size.",
    );
    let mut table =
        Table::new(["network", "<stage", "convergence", "recurrence", "divergence", "divergence, scaled back"]);
    let cell = |index: Option<Estimate>| index.map_or_else(String::new, |i| number::plus_minus(i.value, i.ci95));
    for network in networks {
        for (stage, i) in network.iteration.iter().flatten() {
            let indices = [i.convergence, i.recurrence, i.divergence, i.divergence_rescaled].map(cell);
            table.row([network.target.clone(), stage.clone()].into_iter().chain(indices));
        }
    }
    let table = table.without_empty_columns().html();
    body += &format!("<div class=\"scroll\" tabindex=\"0\">{table}</div>\n");
    element::section("iteration", "How iterative the stages are", &body)
}
