use super::samples;
use crate::report::gauge::Metric;
use crate::report::result::{Estimate, Measurements, Repeat};
use crate::report::table::Table;
use crate::report::{number, summary};

/// Everything that was measured of one network, compactly: a row a block, a row a number of swaps.
pub fn measurements(measured: &Measurements) -> String {
    let mut text = format!("{}: {}\n", measured.target, measured.outline.name);
    text += &format!("data {}, {}, seed {}\n", measured.data, samples(measured.baseline.samples), measured.seed);
    text += &super::score(&measured.baseline, &measured.outline);
    let tables = [blocks, patches, iteration, swaps, early_exit, together, indices, pairs].map(|table| table(measured));
    for table in tables {
        if !table.is_empty() {
            text.push('\n');
            text += &table.without_empty_columns().text();
        }
    }
    text
}

/// The report and the files have the others.
const MOST_PAIRS: usize = 10;

fn blocks(measured: &Measurements) -> Table {
    let gauge = Metric::of(&measured.outline);
    let (without, cost) = (format!("{} without", gauge.name()), format!("cost, {}", gauge.unit()));
    let heads = ["block", "mean of a-A", "std of a-A", "std/std(A)", &without, &cost, "mean T", "mean C"];
    let mut table = Table::new(heads);
    for block in summary::measured_blocks(measured) {
        let mut row = vec![String::new(); heads.len()];
        row[0] = block.to_owned();
        if let Some(e) = measured.estimation.as_ref().and_then(|blocks| blocks.get(block)) {
            row[1] = number::plus_minus(e.mean, e.mean_ci95);
            row[2] = number::plus_minus(e.std, e.std_ci95);
            row[3] = number::relative(e.std_relative);
        }
        if let Some(lesion) = measured.lesion.as_ref().and_then(|blocks| blocks.get(block)) {
            row[4] = gauge.shown(gauge.value(&lesion.score));
            row[5] = gauge.lost_within(gauge.cost(lesion));
        }
        if let Some(gates) = measured.gates.as_ref().and_then(|blocks| blocks.get(block)) {
            for (cell, gate) in [(6, &gates.transform), (7, &gates.carry)] {
                row[cell] = gate.as_ref().map_or_else(String::new, |gate| number::relative(gate.mean.value));
            }
        }
        table.row(row);
    }
    table
}

/// Samples that excite the filter of a stage most, held against the last block's.
fn patches(measured: &Measurements) -> Table {
    let mut table = Table::new([
        "stage",
        "filter",
        "greatest activation",
        "samples of the last block among the first's",
        "among the last but one's",
    ]);
    for stage in &measured.outline.stages {
        let shared = measured.patches.iter().flat_map(|blocks| summary::shared_patches(blocks, stage));
        let shared: Vec<_> = shared.collect();
        let ([(_, _, first), ..], Some((_, last, count))) = (&shared[..], shared.last()) else { continue };
        let before = shared.iter().rev().nth(1).map_or(*first, |(_, _, before)| *before);
        table.row([
            stage.name.clone(),
            last.filter.to_string(),
            last.patches.first().map_or_else(String::new, |patch| number::real(f64::from(patch.activation))),
            format!("{first} of {count}"),
            format!("{before} of {count}"),
        ]);
    }
    table
}

fn iteration(measured: &Measurements) -> Table {
    let mut table = Table::new([
        "block",
        "1-cos",
        "|F|/|a|",
        "cos(F,-dL)",
        "head reads",
        "linear reads",
        "tuned agrees",
        "|E[F]|/std",
        "variance falls",
        "T*",
        "T",
        "corr(T*,T)",
        "mean step costs",
        "another's costs",
    ]);
    let gauge = Metric::of(&measured.outline);
    let names = measured.outline.stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.name());
    for block in names {
        let mut row = vec![String::new(); 14];
        if let Some(i) = measured.influence.as_ref().and_then(|blocks| blocks.get(block)) {
            row[1] = number::relative(i.block_influence.value);
            row[2] = number::relative(i.l2_ratio.value);
        }
        if let Some(cosine) = measured.gradients.as_ref().and_then(|blocks| blocks.get(block)) {
            row[3] = number::relative(cosine.value);
        }
        if let Some(r) = measured.readouts.as_ref().and_then(|blocks| blocks.get(block)) {
            row[4] = r.head.map_or_else(String::new, |r| gauge.shown(gauge.value(&r.score)));
            row[5] = r.linear.map_or_else(String::new, |r| gauge.shown(gauge.value(&r.score)));
            row[6] = r.tuned.map_or_else(String::new, |r| number::percent(r.agreement.value));
        }
        if let Some(t) = measured.theory.as_ref().and_then(|blocks| blocks.get(block)) {
            row[7] = number::relative(t.residual_mean_relative);
            row[8] = number::percent(t.variance_falls_share);
            for (cell, gate) in [(9, t.optimal_gate), (10, t.learned_gate), (11, t.gate_correlation)] {
                row[cell] = gate.map_or_else(String::new, number::relative);
            }
        }
        if let Some(ablation) = measured.ablation.as_ref().and_then(|blocks| blocks.get(block)) {
            row[12] = gauge.lost(gauge.cost(&ablation.mean).value);
            row[13] = gauge.lost(gauge.cost(&ablation.resampled).value);
        }
        if row.iter().any(|cell| !cell.is_empty()) {
            row[0] = block.to_owned();
            table.row(row);
        }
    }
    table
}

/// Samples that leave where a fitted read-out is confident.
fn early_exit(measured: &Measurements) -> Table {
    let mut table = Table::new(["early exit", "threshold", "computation", "leave early", "accuracy"]);
    for point in measured.early_exit.iter().flatten() {
        table.row([
            point.readout.clone(),
            point.threshold.to_string(),
            number::percent(point.computation),
            number::percent(point.early),
            number::percent(point.score.accuracy),
        ]);
    }
    table
}

/// Blocks left out together and applied again, means over repetitions.
fn together(measured: &Measurements) -> Table {
    let gauge = Metric::of(&measured.outline);
    let mut table = Table::new(["what", "times", gauge.name()]);
    let random = |removed, score| ("left out at random".to_owned(), removed, gauge.value(score));
    let several = measured.several.iter().flatten().map(|s| random(s.removed, &s.score));
    let again = |r: &Repeat| format!("{} again{}", r.block, if r.rescaled { ", rescaled" } else { "" });
    let repeats = measured.repeats.iter().flatten().map(|r| (again(r), r.times, gauge.value(&r.score)));
    let rows: Vec<(String, usize, f64)> = several.chain(repeats).collect();
    for group in rows.chunk_by(|a, b| (&a.0, a.1) == (&b.0, b.1)) {
        let mean = summary::mean(group.iter().map(|row| row.2)).unwrap_or(f64::NAN);
        table.row([group[0].0.clone(), group[0].1.to_string(), gauge.shown(mean)]);
    }
    table
}

/// How iterative every stage is.
fn indices(measured: &Measurements) -> Table {
    let mut table = Table::new(["stage", "convergence", "recurrence", "divergence", "divergence, rescaled"]);
    let cell = |index: Option<Estimate>| index.map_or_else(String::new, |i| number::plus_minus(i.value, i.ci95));
    for (stage, i) in measured.iteration.iter().flatten() {
        let indices = [i.convergence, i.recurrence, i.divergence, i.divergence_rescaled].map(cell);
        table.row([stage.clone()].into_iter().chain(indices));
    }
    table
}

/// The pairs that cost most beyond their members.
fn pairs(measured: &Measurements) -> Table {
    let gauge = Metric::of(&measured.outline);
    let heads = match gauge {
        Metric::Accuracy => ["pair", "cost, points", "beyond its members, points", "nats"],
        // Beyond its members a pair costs nats, the last column.
        Metric::Perplexity => ["pair", "cost, nats", "", "beyond its members, nats"],
    };
    let mut table = Table::new(heads);
    let mut pairs: Vec<_> = measured.pairs.iter().flatten().collect();
    pairs.sort_by(|a, b| b.interaction_loss.value.total_cmp(&a.interaction_loss.value));
    for pair in pairs.into_iter().take(MOST_PAIRS) {
        table.row([
            format!("{} {}", pair.first, pair.second),
            gauge.lost(gauge.cost(&pair.lesion).value),
            if gauge == Metric::Accuracy { number::points(pair.interaction_accuracy.value) } else { String::new() },
            number::plus_minus(pair.interaction_loss.value, pair.interaction_loss.ci95),
        ]);
    }
    table
}

fn swaps(measured: &Measurements) -> Table {
    let mut table = Table::new(summary::ShuffleGroup::heads(Metric::of(&measured.outline), "mean tau"));
    for group in summary::shuffle_groups(measured) {
        table.row(group.cells());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_row_for_every_block_and_every_number_of_swaps() {
        let network = sample::highway(0);
        let text = measurements(&network);
        assert!(text.starts_with("runs/highway: highway-50 highway, width 50\ndata mnist, 10,000 samples, seed 1\n"));
        assert_eq!(text.lines().filter(|line| line.starts_with("stage1.block")).count(), 49);
        assert!(text.contains("mean T") && !text.contains("mean C"));
        let groups = summary::shuffle_groups(&network);
        let last: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last[0], groups.last().unwrap().swaps.to_string());
    }

    #[test]
    fn only_the_baseline_where_nothing_else_was_measured() {
        let bare = Measurements { estimation: None, lesion: None, shuffle: None, gates: None, ..sample::residual() };
        assert_eq!(measurements(&bare).lines().count(), 3);
    }
}
