use super::element;
use crate::Result;
use crate::report::chart::{Axis, Chart, Colour, Layer, Mark};
use crate::report::gauge::Metric;
use crate::report::number;
use crate::report::result::{Epoch, Measurements};
use crate::report::table::Table;

/// Loss and accuracy against the epoch, all networks in one chart each.
pub(super) fn section(networks: &[Measurements]) -> Result<String> {
    let trained = |network: &Measurements| !network.training.is_empty();
    if !networks.iter().any(trained) {
        return Ok(String::new());
    }
    let gauge = Metric::shared(networks);
    let held_out = held_out(gauge);
    let mut body = element::prose(&format!(
        "Mean cross-entropy and {} after each epoch of the training that made these networks. Strong lines are the \
         {held_out} split, faint lines the training split while it was being learnt.",
        gauge.name()
    ));
    body += &element::seen(networks, |network| {
        let last = network.training.last()?;
        let seconds: f64 = network.training.iter().map(|epoch| epoch.seconds).sum();
        Some(format!(
            "After epoch {}, {held_out} {} {}, {held_out} loss {} nats; {} s of training.",
            last.epoch,
            gauge.name(),
            gauge.shown(value(gauge, last.test_accuracy, last.test_loss)),
            number::real(last.test_loss),
            if seconds.is_finite() { format!("{seconds:.0}") } else { number::NOT_FINITE.into() },
        ))
    });
    body += &element::legend(networks, trained);
    let losses = |e: &Epoch| [e.train_loss, e.test_loss];
    let told = |e: &Epoch| [value(gauge, e.train_accuracy, e.train_loss), value(gauge, e.test_accuracy, e.test_loss)];
    let axis = Axis::covering(networks.iter().flat_map(|network| &network.training).flat_map(losses));
    let loss = chart(networks, ["Loss", "Cross-entropy, nats"], axis, losses)?;
    let label = if gauge == Metric::Accuracy { "Right answers, %" } else { gauge.title() };
    let axis = gauge.axis(networks.iter().flat_map(|network| &network.training).flat_map(told));
    let told = chart(networks, [gauge.title(), label], axis, told)?;
    body += &element::charts(&[loss, told]);
    let figures = networks.iter().flat_map(|network| &network.training);
    let figures = figures.flat_map(|e| [e.train_loss, e.test_loss, e.train_accuracy, e.test_accuracy]);
    body += &element::left_out(figures.filter(|value| !value.is_finite()).count(), "of these figures");
    body += &element::numbers("Numbers of every epoch", table(networks));
    Ok(element::section("training", "Training", &body))
}

/// The split that is evaluated after every epoch.
fn held_out(gauge: Metric) -> &'static str {
    match gauge {
        Metric::Accuracy => "test",
        Metric::Perplexity => "validation",
    }
}

/// What an epoch is told by, as [`Metric::value`] has it.
fn value(gauge: Metric, accuracy: f64, loss: f64) -> f64 {
    match gauge {
        Metric::Accuracy => 100.0 * accuracy,
        Metric::Perplexity => loss.exp(),
    }
}

/// `figures` gives that of the training split and that of the test split.
fn chart(
    networks: &[Measurements],
    [title, y_label]: [&str; 2],
    y: Axis,
    figures: impl Fn(&Epoch) -> [f64; 2],
) -> Result<String> {
    let epochs = networks.iter().flat_map(|network| &network.training);
    let mut layers = Vec::new();
    for (place, network) in networks.iter().enumerate() {
        let curve = |split: usize| -> Vec<_> {
            network.training.iter().map(|epoch| (epoch.epoch as f64, figures(epoch)[split])).collect()
        };
        let colour = Colour::Network(place);
        layers.push(Layer::new(Mark::Line(curve(0)), colour).faint(0.4));
        layers.push(Layer::new(Mark::Line(curve(1)), colour));
        // A line needs two points; a single epoch must be seen too.
        let last = curve(1).pop().into_iter().collect();
        layers.push(Layer::new(Mark::Points(last, place), colour));
    }
    Chart {
        title: title.into(),
        description: format!("{title} against epoch, training and test split"),
        x_label: "epoch".into(),
        y_label: y_label.into(),
        x: Axis::numbers(epochs.map(|epoch| epoch.epoch).max().unwrap_or(1) as usize, 8),
        y,
        size: (element::width_of(2), 300.0),
        layers,
    }
    .figure()
}

fn table(networks: &[Measurements]) -> Table {
    let held_out = held_out(Metric::shared(networks));
    let held_out = ["loss, nats", "perplexity", "accuracy"].map(|figure| format!("{held_out} {figure}"));
    let mut table = Table::new([
        "network",
        "epoch",
        "learning rate",
        "training loss, nats",
        "training accuracy",
        &held_out[0],
        &held_out[1],
        &held_out[2],
        "seconds",
    ]);
    for network in networks {
        for epoch in &network.training {
            table.row([
                network.target.clone(),
                epoch.epoch.to_string(),
                number::real(epoch.rate),
                number::real(epoch.train_loss),
                number::percent(epoch.train_accuracy),
                number::real(epoch.test_loss),
                number::perplexity(network.outline.perplexity(epoch.test_loss)),
                number::percent(epoch.test_accuracy),
                number::real(epoch.seconds),
            ]);
        }
    }
    table
}
