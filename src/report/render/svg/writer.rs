//! Writes SVG elements, with all text escaped.

use std::fmt::{Display, Write};

use super::paint::{Destination, Paint};
use crate::report::render::prose::{self, Span};
use crate::visible::visible_line;

/// Font size of labels in pixels.
pub(super) const LABEL: f64 = 12.0;
/// Font size of headings in pixels.
pub(super) const TITLE: f64 = 13.0;

/// Collects the elements of a drawing.
#[derive(Debug)]
pub(super) struct Svg {
    body: String,
    destination: Destination,
}

/// Fill, stroke and opacity of a shape.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShapeStyle {
    fill: Option<Paint>,
    stroke: Option<(Paint, f64)>,
    dashes: &'static str,
    opacity: Option<f64>,
    class: &'static str,
}

impl ShapeStyle {
    /// A fill without a stroke.
    pub(super) fn fill(paint: Paint) -> Self {
        Self { fill: Some(paint), ..Self::default() }
    }

    /// A stroke without a fill.
    pub(super) fn stroke(paint: Paint, width: f64) -> Self {
        Self { stroke: Some((paint, width)), ..Self::default() }
    }

    /// Adds a stroke.
    pub(super) fn with_stroke(self, paint: Paint, width: f64) -> Self {
        Self { stroke: Some((paint, width)), ..self }
    }

    /// Adds a dash pattern such as `3 3`.
    pub(super) fn dashed(self, dashes: &'static str) -> Self {
        Self { dashes, ..self }
    }

    /// Sets the opacity, from 0 to 1.
    pub(super) fn opacity(self, opacity: f64) -> Self {
        Self { opacity: Some(opacity), ..self }
    }

    /// Adds a class for the page's style sheet.
    pub(super) fn class(self, class: &'static str) -> Self {
        Self { class, ..self }
    }
}

/// The alignment of text at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Text with its style.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) anchor: Anchor,
    pub(super) paint: Paint,
    pub(super) size: f64,
    pub(super) is_bold: bool,
    /// The blocks that highlight it, joined by spaces.
    pub(super) blocks: &'a str,
    /// The full text if this one is shortened; may be empty.
    pub(super) full: &'a str,
    /// Rotation around its position in degrees.
    pub(super) turn: f64,
}

impl<'a> Text<'a> {
    /// A label in the muted colour.
    pub(super) fn label(text: &'a str, anchor: Anchor) -> Self {
        Self { text, anchor, paint: Paint::Muted, size: LABEL, is_bold: false, blocks: "", full: "", turn: 0.0 }
    }

    /// A heading.
    pub(super) fn title(text: &'a str) -> Self {
        Self { paint: Paint::Ink, size: TITLE, is_bold: true, ..Self::label(text, Anchor::Start) }
    }
}

impl Svg {
    /// Creates an empty drawing.
    pub(super) fn new(destination: Destination) -> Self {
        Self { body: String::new(), destination }
    }

    /// Returns the elements, without an `svg` element around them.
    pub(super) fn finish(self) -> String {
        self.body
    }

    /// Returns the destination of the drawing.
    pub(super) fn destination(&self) -> Destination {
        self.destination
    }

    /// Adds another drawing at this position.
    pub(super) fn append(&mut self, left: f64, top: f64, body: &str) {
        self.write(format_args!("<g transform=\"translate({} {})\">\n{body}</g>\n", px(left), px(top)));
    }

    pub(super) fn rect(&mut self, [x, y, width, height]: [f64; 4], radius: f64, look: ShapeStyle) {
        self.write(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
            px(x),
            px(y),
            px(width),
            px(height)
        ));
        if radius > 0.0 {
            self.attribute("rx", px(radius));
        }
        self.look(look);
        self.body += "/>\n";
    }

    pub(super) fn path(&mut self, data: &str, look: ShapeStyle) {
        self.write(format_args!("<path d=\"{data}\""));
        self.look(look);
        self.body += "/>\n";
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), look: ShapeStyle) {
        self.path(&format!("M{} {}L{} {}", px(from.0), px(from.1), px(to.0), px(to.1)), look);
    }

    pub(super) fn text(&mut self, x: f64, y: f64, text: Text) {
        self.write(format_args!("<text x=\"{}\" y=\"{}\"", px(x), px(y)));
        match text.anchor {
            Anchor::Start => {}
            Anchor::Middle => self.attribute("text-anchor", "middle"),
            Anchor::End => self.attribute("text-anchor", "end"),
        }
        self.attribute("fill", self.destination.colour(text.paint));
        if text.size != LABEL {
            self.attribute("font-size", px(text.size));
        }
        if text.is_bold {
            self.attribute("font-weight", 600);
        }
        if text.turn != 0.0 {
            self.attribute("transform", format!("rotate({} {} {})", text.turn, px(x), px(y)));
        }
        self.blocks(text.blocks);
        self.body += ">";
        if !text.full.is_empty() && text.full != text.text {
            self.title(text.full);
        }
        self.spans(text.text, text.size);
        self.body += "</text>\n";
    }

    /// Adds a picture. Only `data:` URIs are accepted, since any other would cause a request.
    pub(super) fn image(&mut self, [x, y, width, height]: [f64; 4], uri: &str, description: &str, is_enlarged: bool) {
        if !uri.starts_with("data:image/") {
            return;
        }
        let (x, y, width, height) = (px(x), px(y), px(width), px(height));
        self.write(format_args!("<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\""));
        self.attribute("href", escape(uri));
        if is_enlarged {
            self.attribute("style", "image-rendering:pixelated");
        }
        self.body += " role=\"img\">";
        self.title(description);
        self.body += "</image>\n";
    }

    /// Opens a group that the page hides with the network.
    pub(super) fn open_network(&mut self, network: Option<usize>) {
        self.body += "<g";
        if let (Some(network), Destination::Page) = (network, self.destination) {
            self.attribute("data-n", network);
        }
        self.body += ">\n";
    }

    /// Opens the group of a mark, with its description in words and the blocks that highlight it.
    pub(super) fn open_mark(&mut self, blocks: &str, words: &str) {
        self.body += "<g";
        if self.destination == Destination::Page {
            self.attribute("class", "m");
            self.attribute("role", "img");
            self.blocks(blocks);
        }
        self.body += ">";
        self.title(words);
    }

    pub(super) fn close(&mut self) {
        self.body += "</g>\n";
    }

    fn title(&mut self, words: &str) {
        self.write(format_args!("<title>{}</title>", escape(words)));
    }

    fn spans(&mut self, text: &str, size: f64) {
        let mut shift = 0.0;
        for span in prose::spans(text) {
            let (text, drop, style) = match &span {
                Span::Plain(text) => (text, 0.0, String::new()),
                Span::Formula(text) => (text, 0.0, " font-style=\"italic\"".into()),
                Span::Subscript(text) => (text, 0.25 * size, format!(" font-size=\"{}\"", px(0.75 * size))),
            };
            if drop == shift && style.is_empty() {
                self.body += &escape(text);
            } else {
                let by = if drop == shift { String::new() } else { format!(" dy=\"{}\"", px(drop - shift)) };
                self.write(format_args!("<tspan{by}{style}>{}</tspan>", escape(text)));
            }
            shift = drop;
        }
    }

    fn blocks(&mut self, blocks: &str) {
        if !blocks.is_empty() && self.destination == Destination::Page {
            self.attribute("data-b", escape(blocks));
        }
    }

    fn look(&mut self, look: ShapeStyle) {
        match look.fill {
            Some(paint) => self.attribute("fill", self.destination.colour(paint)),
            None => self.attribute("fill", "none"),
        }
        if let Some((paint, width)) = look.stroke {
            self.attribute("stroke", self.destination.colour(paint));
            if width != 1.0 {
                self.attribute("stroke-width", width);
            }
        }
        if !look.dashes.is_empty() {
            self.attribute("stroke-dasharray", look.dashes);
        }
        if let Some(opacity) = look.opacity {
            self.attribute("opacity", opacity);
        }
        if !look.class.is_empty() && self.destination == Destination::Page {
            self.attribute("class", look.class);
        }
    }

    fn attribute(&mut self, name: &str, value: impl Display) {
        self.write(format_args!(" {name}=\"{value}\""));
    }

    fn write(&mut self, arguments: std::fmt::Arguments) {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(arguments);
    }
}

/// Formats a length with at most one decimal.
pub(super) fn px(length: f64) -> String {
    let text = format!("{length:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".into() } else { text.into() }
}

/// Escapes text for an element or a quoted attribute. Control characters, which XML forbids, are shown as escapes.
pub(in crate::report::render) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible_line(text).chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
