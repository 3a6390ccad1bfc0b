//! Draws rows of small pictures.

use super::chart::{self, Drawing};
use super::measure;
use super::paint::{Destination, Paint};
use super::writer::{Anchor, LABEL, Svg, Text};
use crate::nn::BlockId;
use crate::report::render::prose;
use crate::report::section::Pictures;

/// The greatest size of a picture in pixels.
const MAX_SIDE: f64 = 92.0;
const GAP: f64 = 6.0;

/// Draws rows of pictures for this width.
pub(super) fn draw(pictures: &Pictures, width: f64, destination: Destination) -> Drawing {
    let mut svg = Svg::new(destination);
    let mut top = chart::heading(&mut svg, &pictures.title, true, width, 0.0) + 2.0;
    let names = pictures.rows.iter().map(|(name, _)| measure::width(&prose::plain(name), LABEL));
    let left = names.fold(0.0, f64::max).min(0.3 * width) + 10.0;
    let count = pictures.rows.iter().map(|(_, row)| row.len()).max().unwrap_or(0).max(1) as f64;
    let side = ((width - left + GAP) / count - GAP).clamp(12.0, MAX_SIDE);
    for (name, row) in &pictures.rows {
        let plain = prose::plain(name);
        let text = measure::line(&plain, LABEL, left - 8.0);
        let blocks = if name.parse::<BlockId>().is_ok() { name.as_str() } else { "" };
        let label = Text { paint: Paint::Muted, blocks, full: &plain, ..Text::label(&text, Anchor::Start) };
        svg.text(0.0, top + 0.5 * side + 4.0, label);
        for (place, picture) in row.iter().enumerate() {
            let [w, h] = picture.size.map(|size| size.max(1) as f64);
            let scale = side / w.max(h);
            let [w, h] = [w * scale, h * scale];
            let x = left + place as f64 * (side + GAP) + 0.5 * (side - w);
            let rect = [x, top + 0.5 * (side - h), w, h];
            svg.image(rect, &picture.uri, &prose::plain(&picture.description), scale >= 2.0);
        }
        top += side + GAP;
    }
    let description = if pictures.title.is_empty() { "pictures".into() } else { prose::plain(&pictures.title) };
    Drawing { size: [width, top], body: svg.finish(), description, hidden: 0, notes: Vec::new() }
}
