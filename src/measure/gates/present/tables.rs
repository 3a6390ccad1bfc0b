//! The tables about gates.

use super::sparsity::class_range;
use super::{Gate, GateActivity, Networks, column_means, mean_histogram};
use crate::measure::charts::{estimate_cell, row_table, untrained_cell};
use crate::measure::gates::BlockGates;
use crate::nn::BlockId;
use crate::report::{Cell, Column, Format, RowKey, Table};

/// Returns a row for every gate of every block.
pub(super) fn blocks(networks: &Networks) -> Table {
    let sparsity = |name: &str, heading: &str| {
        Column::new(&format!("hoyer_sparsity_{name}"), &format!("sparsity {heading}"), Format::Fixed3).detail()
    };
    let columns = vec![
        Column::new("block", "block", Format::Text),
        Column::new("gate", "gate", Format::Text),
        Column::new("mean_fraction", "mean", Format::Fixed3),
        Column::new("std_over_samples_fraction", "std over samples", Format::Fixed3).detail(),
        Column::new("std_over_units_fraction", "std over units", Format::Fixed3).detail(),
        Column::new("open_share_fraction", "above one half", Format::Percent).detail(),
        sparsity("per_sample", "of single samples"),
        sparsity("of_average", "of the average"),
        sparsity("of_average_permuted", "of the average, units permuted"),
        sparsity("per_sample_untrained", "of single samples, untrained"),
        sparsity("of_average_untrained", "of the average, untrained"),
        sparsity("per_class", "of classes, mean"),
        sparsity("per_class_least", "of classes, least"),
        sparsity("per_class_greatest", "of classes, greatest"),
    ];
    gate_table(("gates", "Gates of every block"), networks, columns, |network, gate, id, activity| {
        let numbers = [
            activity.std_over_samples,
            activity.std_over_units,
            activity.open_share,
            activity.sparsity_per_sample,
            activity.sparsity_of_average,
            activity.sparsity_of_average_permuted,
        ];
        let untrained = |figure: fn(&GateActivity) -> f64| {
            untrained_cell(network, id, |gates: &BlockGates| Some(figure(gate.of_block(gates)?)))
        };
        let untrained = [untrained(|gate| gate.sparsity_per_sample), untrained(|gate| gate.sparsity_of_average)];
        let first = vec![Cell::Block(id), Cell::Text(gate.name().into()), estimate_cell(activity.mean)];
        let classes = class_range(activity).map(|(mean, [least, greatest])| [mean, least, greatest].map(Cell::Number));
        vec![
            [first, numbers.map(Cell::Number).to_vec(), untrained.to_vec(), classes.unwrap_or_default().to_vec()]
                .concat(),
        ]
    })
}

/// Returns a row for every field of the heat maps.
pub(super) fn channels(networks: &Networks) -> Table {
    let columns = vec![
        Column::new("block", "block", Format::Text),
        Column::new("gate", "gate", Format::Text),
        Column::new("first_channel", "first channel", Format::Count),
        Column::new("last_channel", "last channel", Format::Count),
        Column::new("mean_fraction", "mean", Format::Fixed3),
    ];
    let named = ("gate-channels", "Channel means of every gate");
    let table = gate_table(named, networks, columns, |_, gate, id, activity| {
        let row = |column: super::Column| {
            let [first, last] = [column.first, column.last].map(|channel| Cell::Number(channel as f64));
            let mean = column.mean.map_or(Cell::Empty, Cell::Number);
            vec![Cell::Block(id), Cell::Text(gate.name().into()), first, last, mean]
        };
        column_means(activity).into_iter().map(row).collect()
    });
    Table { brief_rows: Some(0), ..table }
}

/// Returns a row for every bin of the mean histograms.
pub(super) fn histograms(networks: &Networks) -> Table {
    let columns = vec![
        Column::new("gate", "gate", Format::Text),
        Column::new("low", "from", Format::Fixed2),
        Column::new("high", "to", Format::Fixed2),
        Column::new("share_fraction", "share of the values", Format::Percent),
    ];
    let named = ("gate-histograms", "Distribution of the values of gates, averaged over the blocks");
    let table = row_table(named, RowKey::Other, networks, columns, |network| {
        let row = |gate: Gate, ([low, high], share): ([f64; 2], f64)| {
            [vec![gate.name().into()], [low, high, share].map(Cell::Number).to_vec()].concat()
        };
        let rows = |gate: Gate| mean_histogram(&gate.all(network)).into_iter().map(move |bin| row(gate, bin));
        Gate::BOTH.into_iter().flat_map(rows).collect()
    });
    Table { brief_rows: Some(0), ..table }
}

/// Returns a table with the rows that a function makes of every gate, block by block.
fn gate_table(
    named: (&str, &str),
    networks: &Networks,
    columns: Vec<Column>,
    rows: impl Fn(&super::Network, Gate, BlockId, &GateActivity) -> Vec<Vec<Cell>>,
) -> Table {
    row_table(named, RowKey::Block, networks, columns, |network| {
        let gates = network.outline.blocks().flat_map(|(id, _)| Gate::BOTH.map(|gate| (id, gate)));
        gates.filter_map(|(id, gate)| Some(rows(network, gate, id, gate.of(network, id)?))).flatten().collect()
    })
}
