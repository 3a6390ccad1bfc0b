//! Charts as SVG text: axes, and marks in layers on them. Everything that is not finite is left out.

mod axis;
mod colour;
mod mark;

pub(super) use axis::Axis;
pub(super) use colour::{Colour, NETWORKS, ramp};
pub(super) use mark::{Cell, Mark};

use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::drawing::{DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::Text;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, TextStyle};

use super::html::escape;
use crate::{Error, Result};

/// Plotters draws on whole pixels. Drawing this many times larger keeps fine lines where they belong.
const SCALE: f64 = 8.0;
/// Plotters writes `font-size` smaller than it was asked for by this factor.
const FONT: f64 = 1.24;

const TITLE_SIZE: f64 = 13.5;
const LABEL_SIZE: f64 = 12.0;

type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// A length on the page as drawn.
fn px(length: f64) -> i32 {
    (length * SCALE).round() as i32
}

/// A mark and its colour.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) mark: Mark,
    pub(super) colour: Colour,
    /// 1 opaque, 0 invisible.
    pub(super) opacity: f64,
}

impl Layer {
    pub(super) fn new(mark: Mark, colour: Colour) -> Self {
        Self { mark, colour, opacity: 1.0 }
    }

    pub(super) fn faint(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }
}

/// One chart.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// Above the chart; may be empty.
    pub(super) title: String,
    /// What the chart shows, for those who cannot see it.
    pub(super) description: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
    pub(super) x: Axis,
    /// For a heat map, whose rows have no quantity, reversed: row 1 is at the top.
    pub(super) y: Axis,
    /// Width and height on the page where there is room.
    pub(super) size: (f64, f64),
    /// Drawn in this order.
    pub(super) layers: Vec<Layer>,
}

impl Chart {
    /// The chart as a figure of the page.
    pub(super) fn figure(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg)
            .map_err(|fault| Error::Usage(format!("the chart '{}' cannot be drawn: {fault}", self.description)))?;
        // The element's own tag is written anew, with what a page and a screen reader need; the rest is kept.
        let inside = svg.split_once('>').map_or("", |(_, rest)| rest);
        let inside = colour::resolve(inside).replace(" opacity=\"1\"", "").replace(" stroke=\"none\"", "");
        let (width, height) = self.size;
        // Where the window is narrow a chart shrinks a little, then scrolls: labels must stay legible.
        let least = if width > 600.0 { 0.92 } else { 0.8 };
        Ok(format!(
            "<figure class=\"chart\" style=\"flex-basis:{width}px\"><div class=\"scroll\" tabindex=\"0\">\
             <svg viewBox=\"0 0 {} {}\" style=\"min-width:{:.0}px;max-width:{:.0}px\" role=\"img\" \
             aria-label=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">{inside}</div></figure>\n",
            px(width),
            px(height),
            least * width,
            1.1 * width,
            escape(&self.description),
        ))
    }

    fn draw(&self, svg: &mut String) -> Drawn {
        let (width, height) = self.size;
        let area = SVGBackend::with_string(svg, (px(width) as u32, px(height) as u32)).into_drawing_area();
        let mut top = 4.0;
        for (line, colour, size) in [(&self.title, Colour::Ink, TITLE_SIZE), (&self.y_label, Colour::Muted, LABEL_SIZE)]
        {
            if !line.is_empty() {
                area.draw(&Text::new(line.as_str(), (px(2.0), px(top)), text(size, colour, HPos::Left, VPos::Top)))?;
                top += size + 7.0;
            }
        }
        // Within the chart a word would stand on what is drawn there.
        if self.layers.iter().any(|layer| matches!(layer.mark, Mark::Note(..))) {
            top += LABEL_SIZE + 2.0;
        }
        let (bottom, left) = (height - 20.0, 14.0 + 7.0 * self.y.label_width() as f64);
        let x_label = text(LABEL_SIZE, Colour::Muted, HPos::Center, VPos::Bottom);
        area.draw(&Text::new(self.x_label.as_str(), (px(0.5 * (left + width - 10.0)), px(height - 2.0)), x_label))?;

        let plot = area.margin(px(top + 6.0), px(height - bottom), 0, px(10.0));
        let mut chart = ChartBuilder::on(&plot)
            .x_label_area_size(px(24.0))
            .y_label_area_size(px(left))
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .bold_line_style(Colour::Grid.rgb().stroke_width(px(1.0) as u32))
            .axis_style(Colour::Grid.rgb().stroke_width(px(1.0) as u32))
            .set_all_tick_mark_size(px(4.0))
            .label_style(text(LABEL_SIZE, Colour::Muted, HPos::Left, VPos::Top))
            .draw()?;
        for layer in &self.layers {
            mark::draw(&mut chart, self, layer)?;
        }
        drop(chart);
        area.present()
    }
}

fn text(size: f64, colour: Colour, across: HPos, along: VPos) -> TextStyle<'static> {
    let font = ("sans-serif", FONT * SCALE * size).into_font();
    font.color(&colour.rgb()).pos(Pos::new(across, along))
}
