//! Measurements as comma-separated values, one file a measurement, full precision, a row a block or order.

use serde::Serialize;
use serde_json::Value;

use super::result::{BlockGates, Estimate, Estimation, Lesion, Measurements, Patches, PerBlock, Shuffle};

/// The measurements that were made, as pairs of a file name and its content; of those that found nothing there is no
/// file.
///
/// Accuracies and shares are fractions of 1, losses are in nats; a figure that does not exist is an empty field,
/// one that is not finite reads `NaN`, `inf` or `-inf`.
pub fn csv(measurements: &Measurements) -> Vec<(String, String)> {
    let files = [
        ("estimation.csv", measurements.estimation.as_ref().map(estimation)),
        ("lesion.csv", measurements.lesion.as_ref().map(lesion)),
        ("shuffle.csv", measurements.shuffle.as_deref().map(shuffle)),
        ("gates.csv", measurements.gates.as_ref().map(gates)),
    ];
    let flat = [
        ("patches.csv", measurements.patches.as_ref().map(patches)),
        ("influence.csv", measurements.influence.as_ref().map(blocks)),
        ("runs.csv", measurements.runs.as_deref().map(list)),
        ("gradients.csv", measurements.gradients.as_ref().map(cosines)),
        ("readouts.csv", measurements.readouts.as_ref().map(blocks)),
        ("early-exit.csv", measurements.early_exit.as_deref().map(list)),
        ("ablation.csv", measurements.ablation.as_ref().map(blocks)),
        ("several.csv", measurements.several.as_deref().map(list)),
        ("pairs.csv", measurements.pairs.as_deref().map(list)),
        ("repeats.csv", measurements.repeats.as_deref().map(list)),
        ("iteration.csv", measurements.iteration.as_ref().map(|stages| named("stage", stages))),
        ("theory.csv", measurements.theory.as_ref().map(blocks)),
    ];
    let files = files.into_iter().chain(flat).filter_map(|(name, content)| Some((name.to_owned(), content?)));
    // A heading alone says nothing.
    files.filter(|(_, content)| content.lines().nth(1).is_some()).collect()
}

fn estimation(blocks: &PerBlock<Estimation>) -> String {
    let mut file = String::from(
        "block,mean,mean_ci95,std,std_ci95,rms,rms_ci95,step_mean,step_mean_ci95,\
         mean_over_std_of_a,std_over_std_of_a,rms_over_std_of_a,step_mean_over_std_of_a\n",
    );
    for (block, e) in blocks {
        let figures = [
            Some(e.mean),
            Some(e.mean_ci95),
            Some(e.std),
            Some(e.std_ci95),
            Some(e.rms),
            Some(e.rms_ci95),
            e.step_mean,
            e.step_mean_ci95,
            Some(e.mean_relative),
            Some(e.std_relative),
            Some(e.rms_relative),
            e.step_mean_relative,
        ];
        line(&mut file, &[block], figures);
    }
    file
}

fn lesion(blocks: &PerBlock<Lesion>) -> String {
    let mut file = String::from(
        "block,accuracy_fraction,accuracy_ci95_low_fraction,accuracy_ci95_high_fraction,loss_nats,loss_ci95_nats,\
         accuracy_cost_fraction,accuracy_cost_ci95_fraction,loss_cost_nats,loss_cost_ci95_nats,samples\n",
    );
    for (block, Lesion { score, accuracy_cost, loss_cost }) in blocks {
        let [low, high] = score.accuracy_ci95;
        let figures = [
            score.accuracy,
            low,
            high,
            score.loss,
            score.loss_ci95,
            accuracy_cost.value,
            accuracy_cost.ci95,
            loss_cost.value,
            loss_cost.ci95,
            score.samples as f64,
        ];
        line(&mut file, &[block], figures.map(Some));
    }
    file
}

fn shuffle(orders: &[Shuffle]) -> String {
    let mut file = String::from(
        "swaps,seed,route,kendall_tau,accuracy_fraction,accuracy_ci95_low_fraction,accuracy_ci95_high_fraction,\
         loss_nats,loss_ci95_nats,samples\n",
    );
    for order in orders {
        let (score, [low, high]) = (&order.score, order.score.accuracy_ci95);
        let figures = [order.kendall_tau, score.accuracy, low, high, score.loss, score.loss_ci95, score.samples as f64];
        line(&mut file, &[&order.swaps.to_string(), &order.seed.to_string(), &order.route], figures.map(Some));
    }
    file
}

fn gates(blocks: &PerBlock<BlockGates>) -> String {
    let mut file = String::from(
        "block,gate,mean_fraction,mean_ci95_fraction,std_over_samples_fraction,std_over_units_fraction,\
         open_share_fraction,hoyer_sparsity_per_sample,hoyer_sparsity_of_average\n",
    );
    for (block, gates) in blocks {
        for (name, gate) in [("transform", &gates.transform), ("carry", &gates.carry)] {
            let Some(gate) = gate else { continue };
            let figures = [
                gate.mean.value,
                gate.mean.ci95,
                gate.std_over_samples,
                gate.std_over_units,
                gate.open_share,
                gate.sparsity_per_sample,
                gate.sparsity_of_average,
            ];
            line(&mut file, &[block, name], figures.map(Some));
        }
    }
    file
}

/// A row a block, the fields of its result as columns; those of a field within a field are joined by `_`, a figure and
/// the half width of its interval are `NAME` and `NAME_ci95`, the ends of an interval `_low` and `_high`.
fn blocks<T: Serialize>(results: &PerBlock<T>) -> String {
    named("block", results)
}

/// The same for results by other names.
fn named<T: Serialize>(what: &str, results: &indexmap::IndexMap<String, T>) -> String {
    table(results.iter().map(|(name, result)| {
        let mut row = Row::from([(what.to_owned(), name.clone())]);
        flatten("", &serde_json::to_value(result).unwrap_or_default(), &mut row);
        row
    }))
}

/// Cosines by block.
fn cosines(results: &PerBlock<Estimate>) -> String {
    table(results.iter().map(|(block, cosine)| {
        let figures =
            [("block", block.clone()), ("cosine", cosine.value.to_string()), ("cosine_ci95", cosine.ci95.to_string())];
        figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
    }))
}

/// A row a patch, the greatest activation of a block first.
fn patches(results: &PerBlock<Patches>) -> String {
    let rows = results.iter().flat_map(|(block, found)| found.patches.iter().map(move |patch| (block, found, patch)));
    table(rows.map(|(block, found, patch)| {
        let mut row = Row::from([("block".to_owned(), block.clone()), ("filter".to_owned(), found.filter.to_string())]);
        flatten("", &serde_json::to_value(patch).unwrap_or_default(), &mut row);
        row
    }))
}

/// A row a result.
fn list<T: Serialize>(results: &[T]) -> String {
    table(results.iter().map(|result| {
        let mut row = Row::new();
        flatten("", &serde_json::to_value(result).unwrap_or_default(), &mut row);
        row
    }))
}

type Row = indexmap::IndexMap<String, String>;

fn flatten(name: &str, value: &Value, row: &mut Row) {
    let unit = |key: &str| match key {
        "accuracy" | "agreement" | "settled" | "computation" | "early" => format!("{key}_fraction"),
        "loss" => "loss_nats".to_owned(),
        other => other.to_owned(),
    };
    let within = |key: &str| match (name, key) {
        ("", key) => unit(key),
        (name, "value") => name.to_owned(),
        (name, key) => format!("{name}_{}", unit(key)),
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&within(key), value, row)),
        Value::Array(items) => {
            let ends = ["low", "high"].iter().zip(items);
            ends.for_each(|(end, item)| flatten(&within(end), item, row));
        }
        Value::Null => {}
        Value::String(text) => drop(row.insert(name.to_owned(), text.clone())),
        other => drop(row.insert(name.to_owned(), other.to_string())),
    }
}

/// Rows under all columns that any of them has.
fn table(rows: impl Iterator<Item = Row>) -> String {
    let rows: Vec<Row> = rows.collect();
    let columns: indexmap::IndexSet<&String> = rows.iter().flat_map(Row::keys).collect();
    if columns.is_empty() {
        return String::new();
    }
    let heading = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(",");
    let line = |row: &Row| {
        let fields = columns.iter().map(|column| row.get(*column).map_or_else(String::new, |field| quoted(field)));
        fields.collect::<Vec<_>>().join(",") + "\n"
    };
    heading + "\n" + &rows.iter().map(line).collect::<String>()
}

fn line(file: &mut String, names: &[&str], figures: impl IntoIterator<Item = Option<f64>>) {
    let names = names.iter().map(|name| quoted(name));
    let figures = figures.into_iter().map(|figure| figure.map_or_else(String::new, |value| value.to_string()));
    let fields: Vec<_> = names.chain(figures).collect();
    *file += &fields.join(",");
    file.push('\n');
}

/// RFC 4180: a field that holds a separator, a quote or a line break stands in quotes.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_row_has_the_columns_of_its_heading() {
        let files = csv(&sample::residual());
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["estimation.csv", "lesion.csv", "shuffle.csv"]);
        for (name, content) in csv(&sample::highway(1)) {
            let columns: Vec<_> = content.lines().map(|line| line.matches(',').count()).collect();
            assert!(columns.len() > 49, "{name}");
            assert!(columns.iter().all(|&count| count == columns[0]), "{name}: {columns:?}");
        }
    }

    #[test]
    fn what_found_nothing_has_no_file() {
        let network = Measurements {
            gradients: Some(PerBlock::new()),
            gates: Some(PerBlock::new()),
            pairs: Some(Vec::new()),
            ..sample::residual()
        };
        let names: Vec<_> = csv(&network).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["estimation.csv", "lesion.csv", "shuffle.csv"]);
    }

    #[test]
    fn fields_within_fields_are_columns_and_absent_ones_are_empty() {
        let row = |gate| crate::report::result::Theory {
            residual_mean_relative: 0.5,
            zero_mean_share: f64::NAN,
            variance_falls_share: 1.0,
            optimal_gate: gate,
            learned_gate: None,
            gate_correlation: None,
            gate_slope: None,
        };
        let theory = PerBlock::from([("a,b".to_owned(), row(None)), ("c".to_owned(), row(Some(0.25)))]);
        let expected = "block,residual_mean_relative,zero_mean_share,variance_falls_share,optimal_gate\n\
                        \"a,b\",0.5,NaN,1.0,\nc,0.5,NaN,1.0,0.25\n";
        assert_eq!(blocks(&theory), expected);
        let influence = crate::report::result::Influence {
            block_influence: crate::report::result::Estimate { value: 0.1, ci95: 0.01 },
            l2_ratio: Default::default(),
        };
        assert!(list(&[influence]).starts_with("block_influence,block_influence_ci95,l2_ratio,l2_ratio_ci95"));
    }

    #[test]
    fn what_is_absent_is_empty_and_what_is_not_finite_is_named() {
        let mut network = sample::residual();
        let first = &mut network.estimation.as_mut().unwrap()[0];
        (first.mean, first.step_mean) = (f64::NAN, None);
        let (_, content) = &csv(&network)[0];
        let fields: Vec<_> = content.lines().nth(1).unwrap().split(',').collect();
        assert_eq!((fields[0], fields[1], fields[7]), ("stage1.block1", "NaN", ""));
        assert_eq!(quoted("1,2 \"x\""), "\"1,2 \"\"x\"\"\"");
    }
}
