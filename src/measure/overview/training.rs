//! The training that made the networks, by epoch.

use super::super::metric::Metric;
use super::super::results::Measurements;
use super::super::sentences::number;
use crate::model::{Epoch, EvaluatedSplit};
use crate::report::{Axis, Cell, Chart, Column, Figure, Finding, Format, Mark, Panel, Point, RowKey, Scale, Section};
use crate::report::{Series, Table};

/// A network whose training is known.
struct Trained<'a> {
    /// Its place among all networks of the report.
    place: usize,
    name: &'a str,
    epochs: &'a [Epoch],
}

/// Loss and accuracy, or perplexity, by epoch; `None` where no training is known.
pub(super) fn training(networks: &[Measurements], names: &[String]) -> Option<Section> {
    let all = networks.iter().zip(names).enumerate();
    let all = all.map(|(place, (network, name))| Trained { place, name, epochs: &network.training });
    let trained: Vec<_> = all.filter(|network| !network.epochs.is_empty()).collect();
    let metric = Metric::of(&networks[trained.first()?.place].outline);
    let split = trained[0].split().filter(|_| trained.iter().all(|network| network.split() == trained[0].split()));
    let evaluated = match split {
        Some(EvaluatedSplit::HeldOut) => "samples of the training split that were held out",
        Some(EvaluatedSplit::Test) => "test split",
        Some(EvaluatedSplit::Validation) => "validation split",
        None => "samples that they were evaluated on",
    };
    let section = Section::new("training", "Training").about(format!(
        "Mean cross-entropy and {} of every epoch of the training that made the networks. Solid: over the {evaluated}, after the \
         epoch. Dashed: over the training samples, during the epoch.",
        metric.name(),
    ));
    let panels = charts(metric, &trained).map(Panel::Chart).to_vec();
    Some(Section {
        figures: vec![Figure { name: "training".into(), panels, ..Figure::default() }],
        tables: vec![table(metric, split.map_or("evaluation", EvaluatedSplit::name), &trained)],
        findings: trained.iter().filter_map(|network| network.finding(metric)).collect(),
        ..section
    })
}

/// The accuracy as a share of 1, or the perplexity.
fn value(metric: Metric, accuracy: f64, loss: f64) -> f64 {
    if metric == Metric::Accuracy { accuracy } else { loss.exp() }
}

fn format(metric: Metric) -> Format {
    if metric == Metric::Accuracy { Format::Percent } else { Format::Fixed2 }
}

fn table(metric: Metric, evaluated: &str, trained: &[Trained]) -> Table {
    let texts = [("network", "network"), ("evaluated_on", "evaluated on")];
    let numbers = [
        ("epoch".to_owned(), "epoch".to_owned(), Format::Count),
        ("rate".into(), "learning rate".into(), Format::Real),
        ("train_loss_nats".into(), "training loss, nats".into(), Format::Real),
        (format!("train_{}", metric.key()), format!("training {}", metric.name()), format(metric)),
        ("evaluation_loss_nats".into(), format!("{evaluated} loss, nats"), Format::Real),
        (format!("evaluation_{}", metric.key()), format!("{evaluated} {}", metric.name()), format(metric)),
        ("seconds".into(), "seconds".into(), Format::Fixed2),
    ];
    let texts = texts.map(|(name, heading)| Column::text(name, heading).detail());
    let numbers = numbers.map(|(name, heading, format)| Column::new(&name, &heading, format).detail());
    let table = Table::new("training", "Every epoch", RowKey::Other, [&texts[..], &numbers[..]].concat());
    let mut table = Table { brief_rows: Some(0), ..table };
    for network in trained {
        for epoch in network.epochs {
            let texts = [network.name.into(), epoch.evaluated_on_name().into()];
            let numbers = [
                epoch.epoch as f64,
                epoch.rate,
                epoch.train_loss,
                value(metric, epoch.train_accuracy, epoch.train_loss),
                epoch.evaluation_loss,
                value(metric, epoch.evaluation_accuracy, epoch.evaluation_loss),
                epoch.seconds,
            ];
            table.push([&texts[..], &numbers.map(Cell::Number)[..]].concat());
        }
    }
    table
}

/// A chart of the loss and one of the accuracy or perplexity.
fn charts(metric: Metric, trained: &[Trained]) -> [Chart; 2] {
    let axes = [("Loss", "cross-entropy", "nats"), (metric.title(), metric.name(), metric.value_unit())];
    let percent = if metric == Metric::Accuracy { 100.0 } else { 1.0 };
    let mut charts = axes.map(|(title, label, unit)| {
        Chart::new(title, Axis::new("epoch", Scale::Linear), Axis::new(label, Scale::Linear).unit(unit))
    });
    for network in trained {
        let losses: [&dyn Fn(&Epoch) -> f64; 2] = [&|epoch| epoch.train_loss, &|epoch| epoch.evaluation_loss];
        let train = |epoch: &Epoch| percent * value(metric, epoch.train_accuracy, epoch.train_loss);
        let evaluation = |epoch: &Epoch| percent * value(metric, epoch.evaluation_accuracy, epoch.evaluation_loss);
        let values: [&dyn Fn(&Epoch) -> f64; 2] = [&train, &evaluation];
        for (chart, figures) in charts.iter_mut().zip([losses, values]) {
            let marks = [(Mark::Dashed, "training"), (Mark::Line, network.split_name())];
            for ((mark, split), figure) in marks.into_iter().zip(figures) {
                let point = |epoch: &Epoch| Point { x: epoch.epoch as f64, y: figure(epoch), ..Point::default() };
                let points = network.epochs.iter().map(point).collect();
                let name = format!("{}, {split}", network.name);
                chart.series.push(Series { name, network: Some(network.place), mark, points });
            }
        }
    }
    charts
}

impl Trained<'_> {
    /// Which samples the last epoch was evaluated on.
    fn split(&self) -> Option<EvaluatedSplit> {
        self.epochs.last()?.evaluated_on
    }

    fn split_name(&self) -> &'static str {
        self.split().map_or("evaluation", EvaluatedSplit::name)
    }

    fn finding(&self, metric: Metric) -> Option<Finding> {
        let last = self.epochs.last()?;
        let seconds: f64 = self.epochs.iter().map(|epoch| epoch.seconds).sum();
        let split = self.split_name();
        let text = format!(
            "After epoch {} the {split} {} is {}, the {split} loss {:.4} nats; the training took {seconds:.0} s.",
            last.epoch,
            metric.name(),
            number(value(metric, last.evaluation_accuracy, last.evaluation_loss), format(metric)),
            last.evaluation_loss,
        );
        Some(Finding { network: Some(self.place), text })
    }
}
