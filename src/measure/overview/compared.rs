//! Networks that saw the same samples, compared sample by sample.

use super::super::results::Measurements;
use super::super::score::{Estimate, paired_accuracy, paired_loss};
use super::super::sentences::number;
use super::super::{Metric, Prediction};
use crate::report::{Cell, Column, Format, Report, RowKey, Table};

/// Adds a table of paired differences to the first section of a report: each network against the first, on the same samples
/// in the same order.
pub fn compare_predictions(report: &mut Report, networks: &[Measurements], predictions: &[&[Prediction]]) {
    let (Some(section), Some((first, others))) = (report.sections.first_mut(), predictions.split_first()) else {
        return;
    };
    let metric = networks.first().map_or(Metric::Accuracy, |network| Metric::of(&network.outline));
    let versus = report.networks.first().cloned().unwrap_or_default();
    let columns = [
        Column::text("network", "network"),
        Column::text("against", "against"),
        Column::new("accuracy_difference_fraction", "accuracy, points", Format::Points),
        Column::new("loss_difference_nats", "loss, nats", Format::Real),
        Column::new("only_this_correct", "correct by this alone", Format::Count),
        Column::new("only_other_correct", "correct by the other alone", Format::Count),
    ];
    let title = "Paired differences, sample by sample";
    let mut table = Table::new("paired", title, RowKey::Other, columns);
    for (name, own) in report.networks.iter().skip(1).zip(others) {
        let Differences { accuracy, loss, only_own, only_other } = differences(own, first);
        let cell = |estimate: Estimate| Cell::Interval(estimate.value, estimate.ci95);
        table.push([
            name.as_str().into(),
            versus.as_str().into(),
            cell(accuracy),
            cell(loss),
            Cell::Number(only_own as f64),
            Cell::Number(only_other as f64),
        ]);
        let difference = if metric == Metric::Accuracy { accuracy } else { loss };
        let Estimate { value, ci95 } = metric.in_unit(difference);
        let verdict = if value.abs() <= ci95 { "zero lies within the interval" } else { "zero lies outside" };
        // What rounds to zero has no sign.
        let sign = if value >= 0.005 { "+" } else { "" };
        let value = number(value, Format::Fixed2);
        section.find(
            None,
            format!("{name} differs from {versus} by {sign}{value} ± {ci95:.2} {}: {verdict}.", metric.long_unit()),
        );
    }
    section.tables.push(table);
}

/// How one network's predictions differ from another's on the same samples.
struct Differences {
    accuracy: Estimate,
    loss: Estimate,
    /// Samples on which only the one or only the other is correct (McNemar's counts).
    only_own: usize,
    only_other: usize,
}

fn differences(own: &[Prediction], other: &[Prediction]) -> Differences {
    let pairs = || own.iter().zip(other);
    Differences {
        accuracy: paired_accuracy(own, other),
        loss: paired_loss(own, other),
        only_own: pairs().filter(|(a, b)| a.accuracy > b.accuracy).count(),
        only_other: pairs().filter(|(a, b)| a.accuracy < b.accuracy).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_paired() {
        let prediction = |is_correct, loss| {
            let accuracy = f64::from(u8::from(is_correct));
            Prediction { positions: 1, accuracy, loss, ..Prediction::default() }
        };
        let all = |correct: u32, loss: f64| -> Vec<Prediction> {
            let one = |i: u32| Prediction { group: i, ..prediction(i % 10 < correct, loss + f64::from(i % 7)) };
            (0..100).map(one).collect()
        };
        let (one, other) = (all(9, 0.5), all(8, 1.0));
        let found = differences(&one, &other);
        assert!((found.accuracy.value - 0.1).abs() < 1e-12);
        // Agresti and Min: 10.5 gained, .5 lost, of 102; their interval is centred on .098.
        let half = 1.96 * (11.0 - 100.0 / 102.0_f64).sqrt() / 102.0 + (0.1 - 10.0 / 102.0);
        assert!((found.accuracy.ci95 - half).abs() < 1e-4, "{:?}", found.accuracy);
        // The losses differ by one half each time, however much they vary: a difference without an interval.
        assert!(found.loss.value == -0.5 && found.loss.ci95.is_nan());
        assert_eq!((found.only_own, found.only_other), (10, 0));
    }
}
