//! Early exit: a sample leaves the network at the first block whose read-out is confident enough (Teerapittayanon et
//! al. 2016). What that saves, and what it costs.

use serde::{Deserialize, Serialize};

use super::charts::{baselines, chance, row_table, score_axis};
use super::moments::average;
use super::readouts::ReadoutsResult;
use super::score::Score;
use super::sentences::number;
use super::{Metric, Prediction, Presented};
use crate::float_json;
use crate::nn::Outline;
use crate::report::{Axis, Cell, Chart, Column, Figure, Format, Mark, Point, RowKey, Scale, Series, Table};

/// Samples leave at the first block after which a fitted read-out gives a class at least this probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlyExit {
    /// The kind of read-out: `linear` or `tuned`.
    pub readout: String,
    /// The probability.
    #[serde(with = "float_json")]
    pub threshold: f64,
    /// FLOPs that are computed, as a share of the whole network's, averaged over the samples.
    #[serde(rename = "computation_fraction", alias = "computation", with = "float_json")]
    pub computation: f64,
    /// Share of samples that a read-out answers; the network itself answers the others.
    #[serde(rename = "early_fraction", alias = "early", with = "float_json")]
    pub early: f64,
    /// How well all are answered.
    #[serde(flatten)]
    pub score: Score,
}

/// Probabilities of the likeliest class at which a sample leaves.
const THRESHOLDS: [f64; 8] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999];

/// For every threshold, from the answers of one kind of read-out after every block: accuracy, and the share of the FLOPs
/// of the whole network that are computed. A sample that is confident nowhere is answered by the network itself.
///
/// The read-out at which a sample leaves counts as the network's own head, those that it passes do not count.
pub(super) fn early_exit(
    kind: &str,
    readouts: &[Vec<Prediction>],
    whole: &[Prediction],
    outline: &Outline,
) -> Vec<EarlyExit> {
    let flops: Vec<u64> = outline.stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.flops).collect();
    // What is left to compute after each block.
    let mut left: u64 = flops.iter().sum();
    let share_after: Vec<f64> = flops
        .iter()
        .map(|block| {
            left -= block;
            1.0 - left as f64 / outline.flops as f64
        })
        .collect();
    let at = |threshold: f64| {
        let exits: Vec<Option<usize>> = (0..whole.len())
            .map(|sample| readouts.iter().position(|predictions| predictions[sample].confidence >= threshold))
            .collect();
        let predictions: Vec<Prediction> =
            exits.iter().enumerate().map(|(sample, exit)| exit.map_or(whole, |k| &readouts[k])[sample]).collect();
        EarlyExit {
            readout: kind.into(),
            threshold,
            computation: average(exits.iter().map(|exit| exit.map_or(1.0, |k| share_after[k]))),
            early: average(exits.iter().map(|exit| f64::from(u8::from(exit.is_some())))),
            score: Score::of(&predictions),
        }
    };
    THRESHOLDS.map(at).to_vec()
}

/// The kinds of fitted read-outs.
const KINDS: [&str; 2] = ["linear", "tuned"];

/// Returns accuracy against computation, a panel for each kind of read-out.
pub(super) fn figure(networks: &[Presented<ReadoutsResult>]) -> Figure {
    let point = |exit: &EarlyExit| {
        let [low, high] = Metric::Accuracy.range(&exit.score);
        let point = Point::new(100.0 * exit.computation, Metric::Accuracy.value(&exit.score)).between(low, high);
        point.note(format!("probability {}", exit.threshold))
    };
    let chart = |kind: &str| {
        let x = Axis::new("computation", Scale::Including(vec![100.0])).unit("% of the whole network's");
        let mut chart = Chart::new(&format!("{kind} read-outs"), x, score_axis(Metric::Accuracy));
        for network in networks {
            let mut points: Vec<Point> = exits(network).filter(|exit| exit.readout == kind).map(point).collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            if !points.is_empty() {
                chart.series.push(Series::new(network.name, network.place, Mark::Line, points));
            }
        }
        Chart { references: baselines(networks).into_iter().chain(chance(networks)).collect(), ..chart }
    };
    let figure = Figure::new("early-exit", "Early exit").about(
        "A sample leaves the network at the first block after which a fitted read-out gives some class at least a certain \
         probability: from left to right 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99 and 0.999. The network itself predicts the \
         samples that no read-out is sure of. Computation is counted in FLOPs, without those of the read-outs that a \
         sample passes.",
    );
    KINDS.iter().fold(figure.shared(), |figure, kind| figure.panel(chart(kind)))
}

/// Returns the computation and the accuracy at one threshold.
pub(super) fn sentence(network: &Presented<ReadoutsResult>) -> Option<String> {
    const THRESHOLD: f64 = 0.9;
    let at = |kind: &str| {
        let exit = exits(network).find(|exit| exit.readout == kind && exit.threshold == THRESHOLD)?;
        Some([exit.computation, exit.score.accuracy].map(|share| number(share, Format::Percent)))
    };
    let [computation, accuracy] = at(KINDS[0])?;
    let [tuned_computation, tuned_accuracy] = at(KINDS[1])?;
    Some(format!(
        "With early exit at a probability of {THRESHOLD}, a sample takes {computation} of the computation on average, and \
         the accuracy is {accuracy} (linear read-outs); {tuned_computation} and {tuned_accuracy} (tuned read-outs)."
    ))
}

/// Returns a row for every threshold; `None` where nothing is fitted.
pub(super) fn table(networks: &[Presented<ReadoutsResult>]) -> Option<Table> {
    let first = vec![
        Column::text("readout", "early exit"),
        Column::new("threshold", "threshold", Format::Fixed3),
        Column::new("computation_fraction", "computation", Format::Percent),
        Column::new("early_fraction", "leave early", Format::Percent),
    ];
    let columns =
        [first, Metric::Accuracy.score_columns(""), vec![Column::new("samples", "samples", Format::Count).detail()]];
    let row = |exit: &EarlyExit| {
        let shares = [exit.threshold, exit.computation, exit.early].map(Cell::Number).to_vec();
        let first = vec![Cell::Text(exit.readout.clone())];
        [first, shares, Metric::Accuracy.score_cells(&exit.score), vec![exit.score.samples.into()]].concat()
    };
    let named = ("early-exit", "Early exit at every threshold");
    let table =
        row_table(named, RowKey::Other, networks, columns.concat(), |network| exits(network).map(row).collect());
    (!table.rows.is_empty()).then_some(table)
}

/// Returns the early exits of a network.
fn exits<'a>(network: &'a Presented<ReadoutsResult>) -> impl Iterator<Item = &'a EarlyExit> {
    network.output.early_exit.iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Answer, BlockOutline, StageOutline};

    fn outline() -> Outline {
        let block = |flops| BlockOutline {
            id: crate::nn::BlockId { stage: 0, block: 0 },
            source_name: None,
            wiring: crate::nn::Wiring::Residual,
            body: String::new(),
            shortcut: crate::nn::Shortcut::Identity,
            parameters: 0,
            flops,
            why_not_removable: None,
            receptive_field: None,
        };
        let stage = StageOutline { name: "stage1".into(), shape: vec![1], blocks: vec![block(30), block(50)] };
        Outline {
            answer: Answer::default(),
            is_language_model: false,
            name: String::new(),
            input: vec![1, 1, 1],
            classes: 2,
            parameters: 0,
            flops: 100,
            stem_parameters: 0,
            head_parameters: 0,
            stages: vec![stage],
        }
    }

    /// Two blocks of 30 and 50 of 100 FLOPs; three samples, the first confident after block 1, the second after block
    /// 2, the third nowhere.
    #[test]
    fn a_sample_leaves_where_it_is_first_confident() {
        let answer = |confidence, is_correct| {
            let accuracy = f64::from(u8::from(is_correct));
            Prediction { positions: 1, accuracy, loss: 1.0, confidence, ..Prediction::default() }
        };
        let first = vec![answer(0.95, true), answer(0.4, true), answer(0.3, true)];
        let second = vec![answer(0.2, false), answer(0.92, false), answer(0.4, true)];
        let whole = vec![answer(1.0, false), answer(1.0, true), answer(0.6, true)];
        let curve = early_exit("linear", &[first, second], &whole, &outline());
        let at = |threshold| curve.iter().find(|point| point.threshold == threshold).unwrap();
        // The second leaves after the last block: nothing is left to save.
        assert!((at(0.9).computation - (0.5 + 1.0 + 1.0) / 3.0).abs() < 1e-12);
        assert!((at(0.9).early - 2.0 / 3.0).abs() < 1e-12);
        assert!((at(0.9).score.accuracy - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((at(0.99).computation, at(0.99).early), (1.0, 0.0));
        assert_eq!(at(0.99).score.accuracy, Score::of(&whole).accuracy);
    }
}
