use super::element;
use super::together::Errors;
use crate::Result;
use crate::report::chart::Colour;
use crate::report::gauge::Metric;
use crate::report::result::{Estimate, Measurements, Repeat, StageOutline};
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
         what is left is a change of direction. The grey line is the network as trained.",
    );
    body += &stages(networks);
    for network in networks.iter().filter(|network| has(network)) {
        if networks.len() > 1 {
            body += &format!("<h3>{}</h3>\n", element::escape(&network.target));
        }
        body += &element::charts(&curves(network)?);
    }
    let scores = networks.iter().flat_map(|network| network.repeats.iter().flatten()).map(|repeat| &repeat.score);
    body += &element::left_out(summary::not_finite(scores), "of these figures");
    let gauge = Metric::shared(networks);
    let mut table = Table::new([
        "network",
        "<block",
        "further runs",
        "<scaled back",
        gauge.name(),
        "95 % interval",
        "loss, nats",
        "agreement",
    ]);
    for network in networks {
        for Repeat { block, times, rescaled, score, agreement } in network.repeats.iter().flatten() {
            let [value, interval] = gauge.cells(score);
            table.row([
                network.target.clone(),
                block.clone(),
                times.to_string(),
                if *rescaled { "yes" } else { "no" }.to_owned(),
                value,
                interval,
                number::plus_minus(score.loss, score.loss_ci95),
                number::percent(agreement.value),
            ]);
        }
    }
    body += &element::numbers("Numbers", table);
    Ok(element::section("repeats", "Applying the last block again", &body))
}

/// Which colour and shape is which stage. One stage needs no legend.
fn stages(networks: &[Measurements]) -> String {
    let Some(most) = networks.iter().max_by_key(|network| network.outline.stages.len()) else { return String::new() };
    let names = most.outline.stages.iter().enumerate();
    let entries: Vec<(String, &str)> = names.map(|(place, stage)| (element::key(place), stage.name.as_str())).collect();
    if entries.len() < 2 { String::new() } else { element::keys(&entries) }
}

/// The curves of every stage of a network, as it is and scaled back.
fn curves(network: &Measurements) -> Result<Vec<String>> {
    let gauge = Metric::of(&network.outline);
    let mut figures = Vec::new();
    for (rescaled, title) in [(false, "As it is"), (true, "Scaled back")] {
        let curve = |stage: &StageOutline| -> Vec<(f64, f64)> {
            let repeats = network.repeats.iter().flatten().filter(|repeat| repeat.rescaled == rescaled);
            let own = repeats.filter(|repeat| stage.blocks.iter().any(|block| block.name() == repeat.block));
            own.map(|repeat| (repeat.times as f64, gauge.error(&repeat.score))).collect()
        };
        let curves: Vec<Vec<(f64, f64)>> = network.outline.stages.iter().map(curve).collect();
        if curves.iter().all(Vec::is_empty) {
            continue;
        }
        let figure = Errors {
            title,
            x_label: "further runs of a stage’s last block",
            trained: vec![(gauge.error(&network.baseline), Colour::Muted)],
            curves,
            gauge,
            is_joined: true,
            size: (element::width_of(2), 300.0),
        };
        figures.push(figure.figure()?);
    }
    Ok(figures)
}

/// The three indices of every stage.
fn indices(networks: &[Measurements]) -> String {
    let has = |network: &Measurements| network.iteration.as_ref().is_some_and(|stages| !stages.is_empty());
    if !networks.iter().any(has) {
        return String::new();
    }
    let mut body = element::prose(&format!(
        "Three indices say how iterative a stage is (after Lippl et al. 2021). Each is the {} lost, on average over \
         the points of a curve, as a share of what the network has beyond chance: 0 as an iteration would have it, 1 where \
         all is lost at once.",
        match Metric::shared(networks) {
            Metric::Accuracy => "accuracy",
            Metric::Perplexity => "log-probability of the words",
        }
    ));
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
