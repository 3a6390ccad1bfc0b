//! How read-outs are reported: their scores and their agreement with the whole network, a panel for each kind.

use super::{BlockReadouts, Readout, ReadoutsResult};
use crate::measure::charts::{BlockAxis, block_table, estimate_cell, metric, with_content};
use crate::measure::fitted::MOST_SAMPLES;
use crate::measure::sentences::{counted, findings, number, sentences};
use crate::measure::{Metric, Presented, early_exit};
use crate::nn::BlockId;
use crate::report::{Axis, Cell, Chart, Column, Figure, Format, Mark, Scale, Section, Table};

/// The networks of a report.
type Networks<'a> = [Presented<'a, ReadoutsResult>];

/// One kind of read-out.
struct Kind {
    /// Its name in columns.
    name: &'static str,
    /// Its name in headings.
    title: &'static str,
    of: fn(&BlockReadouts) -> Option<&Readout>,
    /// Whether the terminal shows its agreement with the output; otherwise it shows its score.
    is_told_by_agreement: bool,
}

/// All kinds of read-outs.
const KINDS: [Kind; 3] = [
    Kind { name: "head", title: "the network's own head", of: |r| r.head.as_ref(), is_told_by_agreement: false },
    Kind { name: "linear", title: "linear classifier", of: |r| r.linear.as_ref(), is_told_by_agreement: false },
    Kind {
        name: "tuned",
        title: "linear map tuned to the output",
        of: |r| r.tuned.as_ref(),
        is_told_by_agreement: true,
    },
];

impl Kind {
    /// Returns this kind's read-out after a block.
    fn readout(&self, network: &Presented<ReadoutsResult>, id: BlockId) -> Option<Readout> {
        (self.of)(network.output.readouts.get(&id)?).copied()
    }
}

/// Returns the section about read-outs and early exit.
pub(super) fn section(networks: &Networks) -> Section {
    if networks.iter().all(|network| network.output.readouts.is_empty()) {
        return Section::default();
    }
    let mut tables = vec![table(networks)];
    tables.extend(early_exit::table(networks));
    let mut figures = vec![scores(networks), agreements(networks)];
    figures.push(early_exit::figure(networks));
    Section {
        title: "Reading out after a block".into(),
        about: about(networks),
        findings: [sentences(networks, sentence), findings(networks, &tables, early_exit::sentence)].concat(),
        figures: with_content(figures),
        tables,
        ..Section::default()
    }
}

fn about(networks: &Networks) -> Vec<String> {
    let mut about = vec![
        "After a block the estimate is read out as if the network stopped there. If the blocks refine one estimate, the \
         read-outs approach the network's output from block to block. The network's own head can read after the blocks of \
         the last stage (nostalgebraist 2020)."
            .to_owned(),
    ];
    if KINDS[1..].iter().any(|kind| is_present(networks, kind)) {
        about.push(format!(
            "Two more read-outs are fitted after every block. The linear classifier predicts the labels from the averages of \
             the channels. The tuned map has the same inputs and is fitted to the network's own output (Belrose et al. \
             2023). Both are fitted on one half of the first {} at most and scored on the other half, each half in turn.",
            counted(MOST_SAMPLES, "sample")
        ));
    }
    about
}

/// Whether any network has a read-out of this kind.
fn is_present(networks: &Networks, kind: &Kind) -> bool {
    networks.iter().any(|network| network.output.readouts.values().any(|block| (kind.of)(block).is_some()))
}

/// Returns the agreement after the first block of the last stage, and from which block on most predictions are final.
fn sentence(network: &Presented<ReadoutsResult>) -> Option<String> {
    let heads = network.output.readouts.iter().filter_map(|(id, block)| Some((id, block.head?)));
    let heads: Vec<(&BlockId, Readout)> = heads.collect();
    let (first, readout) = heads.first()?;
    let mut sentence = format!(
        "Read out by the network's own head after {first}, {} of the predictions agree with the whole network.",
        number(readout.agreement.value, Format::Percent)
    );
    if let Some((id, _)) = heads.iter().find(|(_, head)| head.settled >= 0.9) {
        sentence += &format!(" From {id} on, at least 90 % of the predictions no longer change.");
    }
    Some(sentence)
}

/// Returns the scores of all kinds.
fn scores(networks: &Networks) -> Figure {
    let axis = BlockAxis::new(networks);
    let chart = |kind: &Kind| {
        let score = |network: &Presented<ReadoutsResult>, id| Some(kind.readout(network, id)?.score);
        Chart { title: kind.title.into(), ..axis.score_chart(networks, Mark::Line, score) }
    };
    let figure = Figure::new("readouts", &format!("{} of the read-outs", metric(networks).title())).shared();
    KINDS.iter().fold(figure, |figure, kind| figure.panel(chart(kind)))
}

/// Returns the agreement of all kinds with the whole network.
fn agreements(networks: &Networks) -> Figure {
    let axis = BlockAxis::new(networks);
    let chart = |kind: &Kind| {
        let agreement = |network: &Presented<ReadoutsResult>, id| {
            Some(Metric::Accuracy.in_unit(kind.readout(network, id)?.agreement))
        };
        let y = Axis::new("agreement", Scale::Between(0.0, 100.0)).unit("%");
        Chart { title: kind.title.into(), ..axis.chart(networks, y, Mark::Line, agreement) }
    };
    let figure = Figure::new("readouts-agreement", "Agreement with the whole network")
        .about("The share of the samples for which the read-out predicts the class that the whole network predicts.")
        .shared();
    KINDS.iter().fold(figure, |figure, kind| figure.panel(chart(kind)))
}

/// Returns a row for every block, with the columns of every kind that any network has.
fn table(networks: &Networks) -> Table {
    let metric = metric(networks);
    let kinds: Vec<&Kind> = KINDS.iter().filter(|kind| is_present(networks, kind)).collect();
    let columns: Vec<Column> = kinds.iter().flat_map(|kind| columns(kind, metric)).collect();
    block_table(("readouts", "Read-outs after every block"), networks, columns, |network, id| {
        network.output.readouts.get(&id)?;
        Some(kinds.iter().flat_map(|kind| cells(kind.readout(network, id), metric)).collect())
    })
}

/// Returns the columns of one kind.
fn columns(kind: &Kind, metric: Metric) -> Vec<Column> {
    let scores = metric.score_columns("").into_iter();
    let scores = scores.map(|column| Column { is_brief: column.is_brief && !kind.is_told_by_agreement, ..column });
    let agreement = Column::new("agreement_fraction", "agreement", Format::Percent);
    let rest = [
        Column { is_brief: kind.is_told_by_agreement, ..agreement },
        Column::new("kl_nats", "divergence from the output, nats", Format::Real).detail(),
        Column::new("settled_fraction", "predictions that no longer change", Format::Percent).detail(),
        Column::new("samples", "samples", Format::Count).detail(),
    ];
    let named = |column: Column| Column {
        name: format!("{}_{}", kind.name, column.name),
        heading: format!("{}: {}", kind.name, column.heading),
        ..column
    };
    scores.chain(rest).map(named).collect()
}

/// Returns the cells under [`columns`].
fn cells(readout: Option<Readout>, metric: Metric) -> Vec<Cell> {
    let Some(Readout { score, agreement, kl_nats, settled }) = readout else {
        return vec![Cell::Empty; metric.score_columns("").len() + 4];
    };
    let rest = vec![estimate_cell(agreement), estimate_cell(kl_nats), settled.into(), score.samples.into()];
    [metric.score_cells(&score), rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::EarlyExit;
    use crate::measure::example::{assert_is_complete, estimate, outline, presented, score};
    use crate::nn::Outline;

    fn readout(accuracy: f64) -> Readout {
        let agreement = estimate(accuracy / 2.0);
        Readout { score: score(accuracy), agreement, kl_nats: estimate(0.5), settled: accuracy }
    }

    /// The head reads after the blocks of the last stage, and the others after all blocks.
    fn readouts(outline: &Outline, is_fitted: bool) -> ReadoutsResult {
        let last = outline.stages.len() - 1;
        let block = |id: BlockId| {
            let head = (id.stage == last).then(|| readout(0.5 + 0.25 * id.block as f64));
            let fitted = is_fitted.then(|| readout(0.25 * (1 + id.block) as f64));
            (id, BlockReadouts { head, linear: fitted, tuned: fitted })
        };
        let exit = |(readout, threshold): (&str, f64)| EarlyExit {
            readout: readout.into(),
            threshold,
            computation: threshold / 2.0,
            early: threshold,
            score: score(0.75),
        };
        let exits = [("linear", 0.5), ("linear", 0.9), ("tuned", 0.9)].map(exit).to_vec();
        ReadoutsResult {
            readouts: outline
                .blocks()
                .map(|(id, _)| block(id))
                .filter(|(_, r)| *r != BlockReadouts::default())
                .collect(),
            early_exit: is_fitted.then_some(exits),
        }
    }

    #[test]
    fn every_kind_has_a_panel_and_its_columns() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[2, 3]), score(0.9));
        let mut second = readouts(&deep, true);
        second.readouts[0].linear.as_mut().unwrap().kl_nats.value = f64::NAN;
        let networks = presented(vec![(&shallow, &whole, readouts(&shallow, true)), (&deep, &whole, second)]);
        let section = section(&networks);
        assert_is_complete(&section);
        let panels: Vec<_> = section.figures.iter().map(|figure| figure.panels.len()).collect();
        assert_eq!(panels, [3, 3, 2]);
        let sizes: Vec<_> = section.tables.iter().map(|table| (table.rows.len(), table.columns.len())).collect();
        assert_eq!(sizes, [(8, 20), (6, 8)]);
        let brief: Vec<_> = section.tables[0].columns.iter().filter(|c| c.is_brief).map(|c| c.name.as_str()).collect();
        let names =
            ["network", "block", "head_accuracy_fraction", "linear_accuracy_fraction", "tuned_agreement_fraction"];
        assert_eq!(brief, names);
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let second = "Read out by the network's own head after stage2.block1, 25.00 % of the predictions agree with the \
                      whole network. From stage2.block3 on, at least 90 % of the predictions no longer change.";
        assert_eq!(texts[1], second);
        let exit = "With early exit at a probability of 0.9, a sample takes 45.00 % of the computation on average, and the \
                    accuracy is 75.00 % (linear read-outs); 45.00 % and 75.00 % (tuned read-outs).";
        assert_eq!(texts[2], exit);
        assert!(texts[4].starts_with("1 figure of the tables is not finite"), "{texts:?}");
    }

    #[test]
    fn a_language_model_is_read_out_by_its_head_alone() {
        let (outline, whole) = (Outline { is_language_model: true, ..outline(&[2, 2]) }, score(0.9));
        let section = section(&presented(vec![(&outline, &whole, readouts(&outline, false))]));
        assert_is_complete(&section);
        assert_eq!((section.about.len(), section.figures.len(), section.tables.len()), (1, 2, 1));
        assert_eq!(
            (section.figures[0].panels.len(), section.tables[0].columns[1].name.as_str()),
            (1, "head_perplexity")
        );
    }
}
