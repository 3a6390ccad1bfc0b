//! Draws grid lines, ticks and labels of axes.

use super::chart::Plot;
use super::measure;
use super::paint::Paint;
use super::scale::AxisScale;
use super::writer::{Anchor, LABEL, ShapeStyle, Svg, Text};
use crate::nn::BlockId;
use crate::report::render::prose;
use crate::report::section::Scale;

/// Distance from the bottom of a plot to the base line of its tick labels.
const TICK_DROP: f64 = 16.0;
/// Distance between the base lines of two lines of labels.
const LINE: f64 = 16.0;
/// The greatest width of a slanted category label.
const SLANTED_WIDTH: f64 = 112.0;

/// Draws the horizontal grid lines with their labels, and the base line of the plot.
pub(super) fn grid(svg: &mut Svg, plot: &Plot) {
    for (tick, label) in &plot.y.ticks {
        let Some(y) = plot.y(*tick) else { continue };
        svg.line((plot.left, y), (plot.right(), y), ShapeStyle::stroke(Paint::Grid, 1.0));
        svg.text(plot.left - 7.0, y + 4.0, Text::label(label, Anchor::End));
    }
    let base = plot.bottom();
    svg.line((plot.left, base), (plot.right(), base), ShapeStyle::stroke(Paint::Border, 1.0));
}

/// Returns how far the last tick label extends beyond the axis.
pub(super) fn overhang(x: &AxisScale) -> f64 {
    x.ticks.last().map_or(0.0, |(_, label)| 0.5 * measure::width(label, LABEL) - 6.0)
}

/// Draws the horizontal axis; returns the bottom of the chart.
pub(super) fn horizontal(svg: &mut Svg, plot: &Plot) -> f64 {
    let y = match &plot.chart.x.scale {
        Scale::Blocks(ids) => blocks(svg, ids, plot.left, plot.width, plot.bottom(), Some(plot.top)),
        Scale::Categories(names) => categories(svg, plot, names),
        _ => numbers(svg, plot),
    };
    let label = prose::plain(&plot.chart.x.heading());
    // The labels of stages say "blocks" already.
    let is_said = matches!(plot.chart.x.scale, Scale::Blocks(_)) && matches!(label.as_str(), "block" | "blocks");
    if label.is_empty() || is_said { y + 6.0 } else { x_label(svg, &plot.chart.x.heading(), plot.left, plot.width, y) }
}

/// Draws the label of a horizontal axis, centred below it; returns its bottom.
pub(super) fn x_label(svg: &mut Svg, label: &str, left: f64, width: f64, y: f64) -> f64 {
    let plain = prose::plain(label);
    let middle = left + 0.5 * width;
    if measure::width(&plain, LABEL) <= width {
        svg.text(middle, y + LINE + 1.0, Text::label(label, Anchor::Middle));
        return y + LINE + 7.0;
    }
    let lines = measure::lines(&plain, LABEL, width, 2);
    for (place, line) in lines.iter().enumerate() {
        svg.text(
            middle,
            y + 1.0 + LINE * (place + 1) as f64,
            Text { full: &plain, ..Text::label(line, Anchor::Middle) },
        );
    }
    y + LINE * lines.len() as f64 + 7.0
}

fn numbers(svg: &mut Svg, plot: &Plot) -> f64 {
    let base = plot.bottom();
    let mut free = f64::NEG_INFINITY;
    for (tick, label) in &plot.x.ticks {
        let Some(x) = plot.x(*tick) else { continue };
        svg.line((x, base), (x, base + 4.0), ShapeStyle::stroke(Paint::Border, 1.0));
        let half = 0.5 * measure::width(label, LABEL);
        if x - half >= free {
            svg.text(x, base + TICK_DROP + 1.0, Text::label(label, Anchor::Middle));
            free = x + half + 6.0;
        }
    }
    base + TICK_DROP
}

fn categories(svg: &mut Svg, plot: &Plot, names: &[String]) -> f64 {
    let (base, pitch) = (plot.bottom(), plot.pitch());
    let plain: Vec<String> = names.iter().map(|name| prose::plain(name)).collect();
    let lines: Vec<_> = plain.iter().map(|name| measure::lines(name, LABEL, pitch - 8.0, 3)).collect();
    let fits = plain.iter().zip(&lines).all(|(name, lines)| &lines.join(" ") == name);
    let mut end = base + TICK_DROP;
    for (place, (name, lines)) in plain.iter().zip(&lines).enumerate() {
        let Some(x) = plot.x(place as f64) else { continue };
        if fits {
            for (line, text) in lines.iter().enumerate() {
                svg.text(x, base + TICK_DROP + 1.0 + line as f64 * (LABEL + 2.0), Text::label(text, Anchor::Middle));
            }
            end = end.max(base + TICK_DROP + (lines.len() as f64 - 1.0) * (LABEL + 2.0));
        } else {
            // The first labels have less room to their left.
            let most = SLANTED_WIDTH.min((x - 4.0) / 0.75);
            let text = measure::line(name, LABEL, most);
            let look = Text { full: name, turn: -40.0, ..Text::label(&text, Anchor::End) };
            svg.text(x + 4.0, base + 13.0, look);
            end = end.max(base + 10.0 + 0.65 * measure::width(&text, LABEL));
        }
    }
    end
}

/// Draws ticks of blocks, labels of stages below them, and borders between stages from `top` down, if it is given. Returns
/// the base line of the labels of stages.
pub(super) fn blocks(svg: &mut Svg, ids: &[BlockId], left: f64, width: f64, base: f64, top: Option<f64>) -> f64 {
    let pitch = width / ids.len().max(1) as f64;
    let has_names = ids.iter().all(|id| measure::width(&tick(id, true), LABEL) + 8.0 <= pitch);
    let stride = stride(ids, pitch);
    let mut start = 0;
    let stages: Vec<&[BlockId]> = ids.chunk_by(|a, b| a.stage == b.stage).collect();
    let form = stage_form(&stages, pitch, has_names);
    let mut free = f64::NEG_INFINITY;
    for stage in &stages {
        let from = left + start as f64 * pitch;
        if let (Some(top), true) = (top, start > 0) {
            svg.line((from, top), (from, base + TICK_DROP + LINE), ShapeStyle::stroke(Paint::Border, 1.0));
        }
        for (place, id) in stage.iter().enumerate() {
            let (x, name) = (from + (place as f64 + 0.5) * pitch, id.to_string());
            let label = tick(id, has_names);
            let half = 0.5 * measure::width(&label, LABEL);
            let is_shown = stride == 1 || id.block == 0 || (id.block + 1).is_multiple_of(stride);
            if is_shown && x - half >= free {
                svg.text(x, base + TICK_DROP, Text { blocks: &name, ..Text::label(&label, Anchor::Middle) });
                free = x + half + 3.0;
            }
        }
        let middle = from + 0.5 * pitch * stage.len() as f64;
        let name = stage_name(stage[0].stage, form);
        svg.text(middle, base + TICK_DROP + LINE, Text { paint: Paint::Ink, ..Text::label(&name, Anchor::Middle) });
        start += stage.len();
    }
    base + TICK_DROP + LINE
}

/// Returns the tick label of a block: its name within the stage, or its number.
fn tick(id: &BlockId, has_names: bool) -> String {
    if has_names { format!("block{}", id.block + 1) } else { (id.block + 1).to_string() }
}

/// Returns the distance between labelled blocks.
fn stride(ids: &[BlockId], pitch: f64) -> usize {
    let widest = ids.iter().map(|id| measure::width(&tick(id, false), LABEL)).fold(0.0, f64::max);
    [1, 5, 10, 20, 50, 100].into_iter().find(|&stride| stride as f64 * pitch >= widest + 4.0).unwrap_or(100)
}

/// Returns the first form of stage labels in which all of them fit.
fn stage_form(stages: &[&[BlockId]], pitch: f64, has_names: bool) -> usize {
    let fits = |form: usize| {
        stages.iter().all(|stage| {
            let name = stage_name(stage[0].stage, form);
            measure::width(&name, LABEL) + 6.0 <= pitch * stage.len() as f64
        })
    };
    let first = usize::from(has_names);
    (first..3).find(|&form| fits(form)).unwrap_or(2)
}

/// Returns the label of a stage. Below ticks that are bare numbers it says that they count blocks.
fn stage_name(stage: usize, form: usize) -> String {
    match form {
        0 => format!("blocks of stage{}", stage + 1),
        1 => format!("stage{}", stage + 1),
        _ => format!("{}", stage + 1),
    }
}
