//! Draws a network from stem to head.

use super::chart::Drawing;
use super::measure;
use super::paint::{Destination, Paint};
use super::writer::{Anchor, LABEL, ShapeStyle, Svg, Text};
use crate::nn::{BlockOutline, StageOutline};
use crate::report::render::context::Names;
use crate::report::render::number::{counted, number, shape, short};
use crate::report::section::{Format, NetworkDrawing};

const END_WIDTH: f64 = 58.0;
const GAP: f64 = 26.0;
/// Distance from the top of a row to the line through its blocks.
const LINE: f64 = 44.0;
const BOX: f64 = 24.0;
/// The least width of a stage, for the facts below it.
const STAGE_WIDTH: f64 = 128.0;
/// The line height of facts.
const STEP: f64 = 17.0;
/// The gap between two rows of stages.
const ROW_GAP: f64 = 20.0;

/// A part of the network and its place.
struct PlacedPart<'a> {
    part: Part<'a>,
    left: f64,
    width: f64,
    row: usize,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    End(&'static str, u64),
    Stage(&'a StageOutline),
}

/// Draws a network for this width. It continues in the next row if it is too wide.
pub(super) fn draw(drawing: &NetworkDrawing, width: f64, names: &Names, destination: Destination) -> Drawing {
    let drawer = NetworkDrawer { drawing, names, pitch: pitch(drawing, width) };
    let parts = drawer.place(width);
    let stages = drawing.outline.stages.iter();
    let lines = stages.map(|stage| drawer.facts(stage, drawer.stage_width(stage, width)).len()).max().unwrap_or(1);
    let row_height = LINE + 20.0 + STEP * lines as f64;
    let mut svg = Svg::new(destination);
    let rows = parts.last().map_or(0, |part| part.row);
    for row in 0..=rows {
        drawer.row(
            &mut svg,
            parts.iter().filter(|part| part.row == row),
            row as f64 * (row_height + ROW_GAP),
            row < rows,
        );
    }
    let bottom = (rows + 1) as f64 * row_height + rows as f64 * ROW_GAP;
    let end = drawer.key(&mut svg, bottom + 10.0);
    let description = format!("{} from stem to head", drawing.outline.name);
    Drawing { size: [width, end], body: svg.finish(), description, hidden: 0, notes: Vec::new() }
}

/// Returns the distance between blocks in pixels: less for deep networks, so that they fit in one row.
fn pitch(drawing: &NetworkDrawing, width: f64) -> f64 {
    let stages = &drawing.outline.stages;
    let blocks: usize = stages.iter().map(|stage| stage.blocks.len()).sum();
    let room = width - 2.0 * END_WIDTH - (stages.len() + 1) as f64 * GAP;
    (room / blocks.max(1) as f64).clamp(6.0, 22.0)
}

struct NetworkDrawer<'a> {
    drawing: &'a NetworkDrawing,
    names: &'a Names<'a>,
    pitch: f64,
}

impl<'a> NetworkDrawer<'a> {
    fn stage_width(&self, stage: &StageOutline, most: f64) -> f64 {
        (stage.blocks.len() as f64 * self.pitch).max(STAGE_WIDTH).min(most)
    }

    fn place(&self, width: f64) -> Vec<PlacedPart<'a>> {
        let outline = &self.drawing.outline;
        let stages = outline.stages.iter().map(Part::Stage);
        let parts = [Part::End("stem", outline.stem_parameters)].into_iter().chain(stages);
        let (mut left, mut row) = (0.0, 0);
        let mut placed = Vec::new();
        for part in parts.chain([Part::End("head", outline.head_parameters)]) {
            let own = match part {
                Part::End(..) => END_WIDTH,
                Part::Stage(stage) => self.stage_width(stage, width),
            };
            if left + own > width && left > 0.0 {
                (left, row) = (0.0, row + 1);
            }
            placed.push(PlacedPart { part, left, width: own, row });
            left += own + GAP;
        }
        placed
    }

    fn row<'b>(&self, svg: &mut Svg, parts: impl Iterator<Item = &'b PlacedPart<'b>>, top: f64, goes_on: bool)
    where
        'a: 'b,
    {
        let parts: Vec<_> = parts.collect();
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return };
        let y = top + LINE;
        let from = if matches!(first.part, Part::End(..)) { first.left + END_WIDTH } else { first.left };
        let to = if matches!(last.part, Part::End(..)) { last.left } else { last.left + last.width };
        svg.line((from, y), (if goes_on { to + 10.0 } else { to }, y), ShapeStyle::stroke(Paint::Muted, 1.5));
        for placed in parts {
            match placed.part {
                Part::End(name, parameters) => self.end(svg, name, parameters, placed.left, top),
                Part::Stage(stage) => self.stage(svg, stage, placed.left, placed.width, top),
            }
        }
    }

    fn end(&self, svg: &mut Svg, name: &str, parameters: u64, left: f64, top: f64) {
        let middle = left + 0.5 * END_WIDTH;
        let rect = [left + 0.75, top + LINE - 16.0, END_WIDTH - 1.5, 32.0];
        svg.open_mark("", &format!("{name}: {} parameters", number(parameters as f64, Format::Count)));
        svg.rect(rect, 4.0, ShapeStyle::fill(Paint::Paper).with_stroke(Paint::Muted, 1.0));
        svg.close();
        svg.text(middle, top + LINE + 4.0, Text { paint: Paint::Ink, ..Text::label(name, Anchor::Middle) });
        svg.text(middle, top + LINE + 36.0, Text::label(&short(parameters), Anchor::Middle));
    }

    fn stage(&self, svg: &mut Svg, stage: &StageOutline, left: f64, width: f64, top: f64) {
        let name = measure::line(&stage.name, LABEL, width);
        let look = Text { paint: Paint::Ink, is_bold: true, full: &stage.name, ..Text::label(&name, Anchor::Start) };
        svg.text(left, top + 13.0, look);
        let count = stage.blocks.len().max(1) as f64;
        let pitch = self.pitch.min(width / count);
        let side = (0.74 * pitch).max(3.0);
        let first = left + 0.5 * (width - count * pitch);
        for (place, block) in stage.blocks.iter().enumerate() {
            let x = first + place as f64 * pitch + 0.5 * (pitch - side);
            self.block(svg, block, [x, top + LINE - 0.5 * BOX, side, BOX]);
        }
        for (line, text) in self.facts(stage, width).iter().enumerate() {
            svg.text(left, top + LINE + 36.0 + STEP * line as f64, Text::label(text, Anchor::Start));
        }
    }

    fn block(&self, svg: &mut Svg, block: &BlockOutline, rect: [f64; 4]) {
        svg.open_mark(&block.id.to_string(), &self.words(block));
        let is_removed = self.drawing.removed.contains(&block.id);
        svg.rect(rect, (0.25 * rect[2]).min(3.0), self.look(is_removed, block.why_not_removable.is_some()));
        svg.close();
    }

    fn look(&self, is_removed: bool, is_hollow: bool) -> ShapeStyle {
        let place = if self.names.are_several() { self.drawing.network } else { 0 };
        let paint = Paint::Network(place);
        let fill = if is_removed || is_hollow { Paint::Paper } else { paint };
        let look = ShapeStyle::fill(fill).with_stroke(paint, 1.2);
        if is_removed { look.dashed("2.5 2.5") } else { look }
    }

    /// Returns the facts below a stage, in one line if it fits.
    fn facts(&self, stage: &StageOutline, width: f64) -> Vec<String> {
        let parameters = stage.blocks.iter().map(|block| block.parameters).sum();
        let mut wirings: Vec<_> = stage.blocks.iter().map(|block| block.wiring.name()).collect();
        wirings.dedup();
        let wiring = match wirings[..] {
            [] => None,
            [one] => Some(one.to_owned()),
            _ => Some("mixed wirings".into()),
        };
        let size = (!stage.shape.is_empty()).then(|| shape(&stage.shape));
        let parts = [
            Some(counted(stage.blocks.len(), "block")),
            wiring,
            size,
            Some(format!("{} parameters", short(parameters))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let line = parts.join(" · ");
        if measure::width(&line, LABEL) <= width { vec![line] } else { parts }
    }

    fn words(&self, block: &BlockOutline) -> String {
        let name = self.names.block(Some(self.drawing.network), block.id);
        let network = if self.names.are_several() {
            format!("{}, ", self.names.network(self.drawing.network))
        } else {
            String::new()
        };
        let parameters = number(block.parameters as f64, Format::Count);
        let why =
            block.why_not_removable.as_ref().map(|why| format!("; cannot be left out: {why}")).unwrap_or_default();
        let removed = if self.drawing.removed.contains(&block.id) { "; left out" } else { "" };
        let (wiring, body, shortcut) = (block.wiring.name(), &block.body, block.shortcut.name());
        format!("{network}{name}: {wiring}, body {body}, shortcut {shortcut}, {parameters} parameters{why}{removed}")
    }

    /// Draws the key of hollow and dashed boxes, if there are any; returns the bottom of the drawing.
    fn key(&self, svg: &mut Svg, top: f64) -> f64 {
        let blocks = || self.drawing.outline.blocks();
        let is_removed = |id| self.drawing.removed.contains(&id);
        let has_hollow = blocks().any(|(id, block)| block.why_not_removable.is_some() && !is_removed(id));
        let has_removed = blocks().any(|(id, _)| is_removed(id));
        let entries = [(has_hollow, false, "cannot be left out"), (has_removed, true, "left out")];
        let mut left = 0.0;
        for (_, is_dashed, words) in entries.into_iter().filter(|(is_there, ..)| *is_there) {
            svg.rect([left + 0.6, top, 11.0, 12.0], 2.5, self.look(is_dashed, true));
            svg.text(left + 18.0, top + 10.5, Text::label(words, Anchor::Start));
            left += 18.0 + measure::width(words, LABEL) + 22.0;
        }
        if left > 0.0 { top + 20.0 } else { top }
    }
}
