//! A network before and after blocks are left out for good.

use super::element;
use super::outline::drawing;
use crate::Result;
use crate::report::chart::{Axis, Chart, Colour, Layer, Mark};
use crate::report::gauge::Metric;
use crate::report::result::{Chosen, Outline, Slimmed, Slimming};
use crate::report::slimming::{compared, conditions, correlations, curve, places, sizes, versions, written};
use crate::report::table::Table;

/// The page.
///
/// # Errors
/// Where the chart cannot be drawn.
pub fn slim_html(slimming: &Slimming, facts: &[(String, String)]) -> Result<String> {
    let title = format!("{}, slimmed", slimming.target);
    let mut header = element::plain(&(conditions(slimming) + "."));
    let mut body = String::new();
    if let Some(slimmed) = &slimming.slimmed {
        header += &scroll(versions(slimmed));
        body += &outlines(slimming, slimmed);
        body += &costs(slimmed);
    }
    if let Some(choice) = &slimming.choice {
        body += &chosen(slimming, choice)?;
    }
    Ok(super::page(&title, &header, &body, facts))
}

fn scroll(table: Table) -> String {
    format!("<div class=\"scroll summary\" tabindex=\"0\">{}</div>\n", table.without_empty_columns().html())
}

fn outlines(slimming: &Slimming, slimmed: &Slimmed) -> String {
    let mut body = element::prose(
        "Every block takes an estimate and returns a better one; what is left of a block that is left out is its skip. \
         Dashed blocks are left out for good, hollow ones have to stay.",
    );
    body += &format!("<h3>Before</h3>\n{}", element::note(&slimming.outline.name));
    let stays: Vec<Option<&String>> = names(&slimming.outline).map(|name| slimming.stays.get(name)).collect();
    body += &drawing(&hollow(&slimming.outline, &stays), 0, &slimming.removed);
    body += &format!("<h3>After</h3>\n{}", element::note(&slimmed.outline.name));
    let kept =
        names(&slimming.outline).zip(stays).filter(|(name, _)| !slimming.removed.iter().any(|other| other == name));
    body += &drawing(&hollow(&slimmed.outline, &kept.map(|(_, why)| why).collect::<Vec<_>>()), 0, &[]);
    let mut table = Table::new(["block", "<why it stays"]);
    slimming.stays.iter().for_each(|(block, why)| table.row([block.as_str(), why]));
    body += &element::numbers("Blocks that have to stay", table);
    element::section("outlines", "What was left out", &body)
}

fn names(outline: &Outline) -> impl Iterator<Item = &str> {
    outline.stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.name())
}

/// The outline in which blocks that have to stay are those that cannot be left out: of each block in turn, why it stays.
fn hollow(outline: &Outline, stays: &[Option<&String>]) -> Outline {
    let mut outline = outline.clone();
    let blocks = outline.stages.iter_mut().flat_map(|stage| &mut stage.blocks);
    blocks.zip(stays).for_each(|(block, why)| block.why_not_removable = why.cloned());
    outline
}

fn costs(slimmed: &Slimmed) -> String {
    let mut body = element::prose(
        "What it costs is counted sample by sample on samples that chose nothing. Files are compared as this program \
         writes them; latency is the median of runs of both networks in turn, ± half the distance of the quartiles.",
    );
    body += &scroll(sizes(slimmed));
    body += &element::plain(&format!("Built by {}.", slimmed.builds));
    body += &element::plain(&format!("{}.", written(slimmed)));
    element::section("costs", "What it takes", &body)
}

fn chosen(slimming: &Slimming, choice: &Chosen) -> Result<String> {
    let mut body = element::prose(
        "Rankings of the blocks by what they seem to matter, the least first. <b>Greedy</b> measures again after each \
         removal; blocks that it did not come to are as its last round ranked them. <b>Deepest</b> and <b>random</b> are \
         controls: what is no better than they are says nothing.",
    );
    let gauge = Metric::of(&slimming.outline);
    let compared = compared(gauge, choice);
    if !compared.is_empty() {
        body += &element::plain("As many blocks left out by each ranking, on the samples that prove:");
        body += &scroll(compared);
    }
    body += &element::charts(&[line(gauge, choice)?]);
    body += &element::numbers("After each removal, on the samples that choose", curve(gauge, choice));
    body += &element::numbers("Places of the blocks", places(slimming, choice));
    body += &element::numbers("Kendall’s tau between the rankings", correlations(choice));
    Ok(element::section("rankings", "How the blocks were chosen", &body))
}

fn line(gauge: Metric, choice: &Chosen) -> Result<String> {
    let scores = std::iter::once(&choice.baseline).chain(choice.curve.iter().map(|removal| &removal.score));
    let points: Vec<(f64, f64)> = scores.enumerate().map(|(count, score)| (count as f64, gauge.value(score))).collect();
    Chart {
        title: format!("By {}", choice.by),
        description: format!("{} against the number of blocks left out", gauge.title()),
        x_label: "blocks left out".into(),
        y_label: match gauge {
            Metric::Accuracy => "Accuracy on the samples that choose, %".into(),
            Metric::Perplexity => "Perplexity on the samples that choose".into(),
        },
        x: Axis::covering(points.iter().map(|point| point.0)),
        y: gauge.axis(points.iter().map(|point| point.1)),
        size: (element::PAGE_WIDTH, 240.0),
        layers: vec![
            Layer::new(Mark::Rule(gauge.value(&choice.baseline)), Colour::Muted),
            Layer::new(Mark::Line(points.clone()), Colour::Network(0)).faint(0.5),
            Layer::new(Mark::Points(points, 0), Colour::Network(0)),
        ],
    }
    .figure()
}
