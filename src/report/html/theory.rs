use super::blocks::{Figure, numbered};
use super::element;
use crate::Result;
use crate::report::number;
use crate::report::result::{Estimate, Measurements, Theory};
use crate::report::summary;
use crate::report::table::Table;

/// What Section 3 and Section 4.1 predict, against what is seen.
pub(super) fn section(networks: &[Measurements]) -> Result<String> {
    let has = |network: &Measurements| network.theory.as_ref().is_some_and(|blocks| !blocks.is_empty());
    if !networks.iter().any(has) {
        return Ok(String::new());
    }
    let mut body = element::prose(
        "If every block keeps its features (Eq. 1), its residual has zero mean, E[<i>F</i>] = 0 (Eqs. 6–9), and the \
         variance of the estimation error falls (Section 4.1). A gate that combines old and new estimate best opens to \
         <i>T</i>* = <i>α</i><sub>1</sub>/(<i>α</i><sub>1</sub>+<i>α</i><sub>2</sub>) (Eq. 12), which the measured variances and covariance of \
         the errors give for every unit.",
    );
    body += &element::seen(networks, sentence);
    body += &element::legend(networks, has);
    let of = |network: &Measurements, figure: fn(&Theory) -> Option<f64>| {
        let blocks = network.theory.iter().flat_map(|blocks| numbered(network, blocks));
        let value = |(number, theory): (f64, &Theory)| Some((number, Estimate { value: figure(theory)?, ci95: 0.0 }));
        blocks.filter_map(value).collect::<Vec<_>>()
    };
    let bias = Figure {
        title: "Mean of the residual over its standard deviation",
        y_label: "|E[F]| / std(F)",
        scale: 1.0,
        rule: 0.0,
        is_share: false,
    };
    let falls = Figure {
        title: "Units whose error’s variance falls",
        y_label: "share of units, %",
        scale: 100.0,
        rule: 0.5,
        is_share: true,
    };
    let gate = Figure {
        title: "Correlation of learned and optimal gate over the units",
        y_label: "correlation",
        scale: 1.0,
        rule: 0.0,
        is_share: false,
    };
    let figures = [
        bias.chart(networks, |n| of(n, |t| Some(t.residual_mean_relative)))?,
        falls.chart(networks, |n| of(n, |t| Some(t.variance_falls_share)))?,
        gate.chart(networks, |n| of(n, |t| t.gate_correlation))?,
    ];
    body += &element::charts(&figures.into_iter().flatten().collect::<Vec<_>>());
    body += &element::numbers("Numbers of every block", table(networks));
    Ok(element::section("theory", "The theory of Section 3", &body))
}

fn sentence(network: &Measurements) -> Option<String> {
    let blocks = network.theory.as_ref()?;
    let mean = |figure: fn(&Theory) -> Option<f64>| summary::mean(blocks.values().filter_map(figure));
    let mut sentence = format!(
        "On average over the blocks the residual’s mean is {} of its standard deviation, and the error’s variance falls \
         in {} of the units.",
        number::relative(mean(|t| Some(t.residual_mean_relative))?),
        number::percent(mean(|t| Some(t.variance_falls_share))?),
    );
    if let (Some(best), Some(learned)) = (mean(|t| t.optimal_gate), mean(|t| t.learned_gate)) {
        sentence += &format!(
            " The optimal gate would be {} on average, the learned one is {}.",
            number::relative(best),
            number::relative(learned)
        );
    }
    Some(sentence)
}

fn table(networks: &[Measurements]) -> Table {
    let mut table = Table::new([
        "network",
        "<block",
        "|E[F]| / std(F)",
        "units with plausibly zero mean",
        "units whose variance falls",
        "optimal gate",
        "learned gate",
        "correlation",
        "slope",
    ]);
    for network in networks {
        for (block, t) in network.theory.iter().flatten() {
            let gate = |value: Option<f64>| value.map_or_else(String::new, number::relative);
            table.row([
                network.target.clone(),
                block.clone(),
                number::relative(t.residual_mean_relative),
                number::percent(t.zero_mean_share),
                number::percent(t.variance_falls_share),
                gate(t.optimal_gate),
                gate(t.learned_gate),
                gate(t.gate_correlation),
                gate(t.gate_slope),
            ]);
        }
    }
    table
}
