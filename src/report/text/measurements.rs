use super::samples;
use crate::report::result::Measurements;
use crate::report::table::Table;
use crate::report::{number, summary};

/// Everything that was measured of one network, compactly: a row a block, a row a number of swaps.
pub fn measurements(measured: &Measurements) -> String {
    let mut text = format!("{}: {}\n", measured.target, measured.outline.name);
    text += &format!("data {}, {}, seed {}\n", measured.data, samples(measured.baseline.samples), measured.seed);
    text += &super::score(&measured.baseline);
    for table in [blocks(measured), swaps(measured)] {
        if !table.is_empty() {
            text.push('\n');
            text += &table.without_empty_columns().text();
        }
    }
    text
}

fn blocks(measured: &Measurements) -> Table {
    let mut table = Table::new([
        "block",
        "mean of a-A",
        "std of a-A",
        "std/std(A)",
        "accuracy without",
        "cost, points",
        "mean T",
        "mean C",
    ]);
    for block in summary::measured_blocks(measured) {
        let mut row = vec![String::new(); 8];
        row[0] = block.to_owned();
        if let Some(e) = measured.estimation.as_ref().and_then(|blocks| blocks.get(block)) {
            row[1] = number::plus_minus(e.mean, e.mean_ci95);
            row[2] = number::plus_minus(e.std, e.std_ci95);
            row[3] = number::relative(e.std_relative);
        }
        if let Some(lesion) = measured.lesion.as_ref().and_then(|blocks| blocks.get(block)) {
            let cost = lesion.accuracy_cost;
            row[4] = number::percent(lesion.score.accuracy);
            row[5] = format!("{} ± {}", number::points(cost.value), number::points(cost.ci95));
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

fn swaps(measured: &Measurements) -> Table {
    let mut table = Table::new(["swaps", "orders", "mean tau", "mean accuracy", "standard error, points"]);
    for group in summary::shuffle_groups(measured.shuffle.as_deref().unwrap_or_default()) {
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
        let groups = summary::shuffle_groups(network.shuffle.as_deref().unwrap());
        let last: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(last[0], groups.last().unwrap().swaps.to_string());
    }

    #[test]
    fn only_the_baseline_where_nothing_else_was_measured() {
        let bare = Measurements { estimation: None, lesion: None, shuffle: None, gates: None, ..sample::residual() };
        assert_eq!(measurements(&bare).lines().count(), 3);
    }
}
