//! The tables about a network that is slimmed: the same in the terminal and on the page.

use super::gauge::Metric;
use super::number;
use super::result::{Chosen, Ranking, Score, Sizes, Slimmed, Slimming};
use super::table::Table;

/// The places of the blocks in every ranking, with the figures that make them, in the order of the network.
pub(super) fn places(slimming: &Slimming, choice: &Chosen) -> Table {
    let all = &choice.rankings;
    let mut table = Table::new(["block"].into_iter().chain(all.iter().map(|ranking| ranking.name.as_str())));
    let blocks = slimming.outline.stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.name());
    for block in blocks.filter(|name| all.iter().any(|ranking| ranking.order.iter().any(|other| other == name))) {
        table.row([block.to_owned()].into_iter().chain(all.iter().map(|ranking| place(ranking, block))));
    }
    table
}

fn place(ranking: &Ranking, block: &str) -> String {
    let place = ranking.order.iter().position(|other| other == block).map_or(0, |place| place + 1);
    match ranking.values.get(block) {
        Some(value) => format!("{} #{place:<2}", number::relative(*value)),
        None => format!("#{place:<2}"),
    }
}

/// Kendall's tau of every two rankings.
pub(super) fn correlations(choice: &Chosen) -> Table {
    let all = &choice.rankings;
    let mut table = Table::new(["Kendall's tau"].into_iter().chain(all.iter().map(|r| r.name.as_str())));
    for ranking in all {
        let taus = ranking.kendall_tau.iter().map(|tau| number::relative(*tau));
        table.row([ranking.name.clone()].into_iter().chain(taus));
    }
    table
}

/// What every ranking makes of the network when as many blocks go.
pub(super) fn compared(gauge: Metric, choice: &Chosen) -> Table {
    let mut table = Table::new(["as many left out by", gauge.name(), "95 % interval", "loss, nats"]);
    for ranking in &choice.rankings {
        let Some(score) = &ranking.score else { continue };
        let ([value, interval], loss) = (gauge.cells(score), number::plus_minus(score.loss, score.loss_ci95));
        table.row([ranking.name.clone(), value, interval, loss]);
    }
    table
}

/// Score after each removal, on the samples that choose.
pub(super) fn curve(gauge: Metric, choice: &Chosen) -> Table {
    let lost = format!("{} lost", gauge.unit());
    let mut table = Table::new(["left out", "<block", gauge.name(), &lost, "loss, nats"]);
    let baseline = &choice.baseline;
    table.row(["0", "", &gauge.shown(gauge.value(baseline)), "", &number::real(baseline.loss)]);
    for (place, removal) in choice.curve.iter().enumerate() {
        table.row([
            (place + 1).to_string(),
            removal.block.clone(),
            gauge.shown(gauge.value(&removal.score)),
            match gauge {
                Metric::Accuracy => number::points(baseline.accuracy - removal.score.accuracy),
                Metric::Perplexity => number::real(removal.score.loss - baseline.loss),
            },
            number::real(removal.score.loss),
        ]);
    }
    table
}

/// The whole network and every version of the slimmed one, on the samples that prove.
pub(super) fn versions(slimmed: &Slimmed) -> Table {
    let gauge = Metric::of(&slimmed.outline);
    let lost = format!("{} lost", gauge.unit());
    let mut table = Table::new(["", gauge.name(), "95 % interval", &lost, "loss, nats"]);
    let mut row = |name: &str, score: &Score, lost: String| {
        let ([value, interval], loss) = (gauge.cells(score), number::plus_minus(score.loss, score.loss_ci95));
        table.row([name.to_owned(), value, interval, lost, loss]);
    };
    row("whole", &slimmed.whole, String::new());
    for version in &slimmed.versions {
        row(&version.name, &version.lesion.score, gauge.lost_within(gauge.cost(&version.lesion)));
    }
    table
}

/// What both networks take, and the share that is left.
pub(super) fn sizes(slimmed: &Slimmed) -> Table {
    let (before, after) = (&slimmed.before, &slimmed.after);
    let mut table = Table::new(["", "whole", "slimmed", "left"]);
    let left = |before: f64, after: f64| number::percent(after / before);
    let counts = [
        ("blocks", before.blocks as u64, after.blocks as u64),
        ("parameters", before.parameters, after.parameters),
        ("bytes, written alike", before.bytes, after.bytes),
        ("FLOPs a sample", before.flops, after.flops),
    ];
    for (name, before, after) in counts {
        let left = left(before as f64, after as f64);
        table.row([name.to_owned(), number::count(before), number::count(after), left]);
    }
    let time = |sizes: &Sizes| number::plus_minus(sizes.latency_ms.value, sizes.latency_ms.ci95);
    let times = left(before.latency_ms.value, after.latency_ms.value);
    table.row(["latency of one sample, ms".to_owned(), time(before), time(after), times]);
    table
}

/// On which samples what was done.
pub(super) fn conditions(slimming: &Slimming) -> String {
    let proving = slimming.slimmed.as_ref().map(|slimmed| number::count(slimmed.whole.samples));
    let seed = slimming.seed;
    match (&slimming.choice, proving) {
        (Some(choice), Some(proving)) => format!(
            "data {}: {} samples choose, {proving} others prove, halves by seed {seed}",
            slimming.data,
            number::count(choice.baseline.samples)
        ),
        (Some(choice), None) => {
            format!("data {}: {} samples rank, seed {seed}", slimming.data, number::count(choice.baseline.samples))
        }
        (None, proving) => format!("data {}: {} samples prove", slimming.data, proving.unwrap_or_default()),
    }
}

/// What was written, and what is known of it.
pub(super) fn written(slimmed: &Slimmed) -> String {
    let samples = number::count(slimmed.whole.samples);
    let planned = format!("as planned it answers all {samples} samples as the route does, bit for bit");
    match (&slimmed.file, slimmed.versions.as_slice()) {
        (Some(file), [_, .., last]) => {
            format!("{file}: {}, {}; opened again it answers as before, and {planned}", slimmed.outline.name, last.name)
        }
        (Some(file), _) => format!("{file}: {}; opened again, {planned}", slimmed.outline.name),
        (None, _) => format!("nothing was written; {planned}"),
    }
}
