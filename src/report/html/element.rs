//! Parts that every section is made of.

use crate::report::result::Measurements;
use crate::report::table::Table;

/// Room for charts on a page with all the room it takes.
pub(super) const PAGE_WIDTH: f64 = 1064.0;
/// Between charts in a row, as in the style sheet.
const GAP: f64 = 24.0;

/// Text as it may stand in an element or in an attribute in quotes.
pub(in crate::report) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            // No page may hold these, not even escaped.
            control if control.is_control() && !control.is_whitespace() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A paragraph of plain text.
pub(super) fn plain(text: &str) -> String {
    format!("<p>{}</p>\n", escape(text))
}

/// A paragraph of HTML that says what is measured and how to read it.
pub(super) fn prose(html: &str) -> String {
    format!("<p>{html}</p>\n")
}

/// Sentences about what the numbers are, for each network that has them; named where there are several networks.
pub(super) fn seen(networks: &[Measurements], sentence: impl Fn(&Measurements) -> Option<String>) -> String {
    let line = |network: &Measurements| {
        let sentence = escape(&sentence(network)?);
        let name = if networks.len() > 1 { format!("<b>{}</b> ", escape(&network.target)) } else { String::new() };
        Some(format!("<li>{name}{sentence}</li>\n"))
    };
    let lines: String = networks.iter().filter_map(line).collect();
    if lines.is_empty() { lines } else { format!("<ul class=\"seen\">\n{lines}</ul>\n") }
}

/// A remark in small print.
pub(super) fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>\n", escape(text))
}

/// Says that figures are missing from the charts, where some are.
pub(super) fn left_out(count: usize, which: &str) -> String {
    match count {
        0 => String::new(),
        1 => note(&format!("One {which} is not finite (NaN or infinite) and left out of the charts.")),
        _ => note(&format!("{count} {which} are not finite (NaN or infinite) and left out of the charts.")),
    }
}

/// A section of the page.
pub(super) fn section(id: &str, heading: &str, body: &str) -> String {
    format!("<section id=\"{id}\">\n<h2>{}</h2>\n{body}</section>\n", escape(heading))
}

/// Charts side by side where there is room.
pub(super) fn charts(figures: &[String]) -> String {
    format!("<div class=\"charts\">\n{}</div>\n", figures.concat())
}

/// The width of each of `count` charts that stand side by side, not less than is legible.
pub(super) fn width_of(count: usize) -> f64 {
    let count = count.clamp(1, 4) as f64;
    ((PAGE_WIDTH - (count - 1.0) * GAP) / count).floor().max(240.0)
}

/// The numbers of a chart, folded away.
pub(super) fn numbers(what: &str, table: Table) -> String {
    if table.is_empty() {
        return String::new();
    }
    let table = table.without_empty_columns().html();
    format!(
        "<details><summary>{}</summary><div class=\"scroll\" tabindex=\"0\">{table}</div></details>\n",
        escape(what)
    )
}

/// Which colour and shape is which network. One network needs no legend.
pub(super) fn legend(networks: &[Measurements], shown: impl Fn(&Measurements) -> bool) -> String {
    if networks.len() < 2 {
        return String::new();
    }
    let entries = networks.iter().enumerate().filter(|(_, network)| shown(network));
    let items: String = entries.map(|(place, network)| entry(&key(place), &network.target)).collect();
    format!("<ul class=\"legend\">\n{items}</ul>\n")
}

/// A legend of other things than networks: small drawings (22 by 12) and what they stand for.
pub(super) fn keys(entries: &[(String, &str)]) -> String {
    let items: String = entries.iter().map(|(drawing, name)| entry(drawing, name)).collect();
    format!("<ul class=\"legend\">\n{items}</ul>\n")
}

fn entry(drawing: &str, name: &str) -> String {
    format!("<li><svg viewBox=\"0 0 22 12\" aria-hidden=\"true\">{drawing}</svg>{}</li>\n", escape(name))
}

/// The line and point of a network, or of whatever else has a place, as in the charts.
pub(super) fn key(place: usize) -> String {
    let colour = place % crate::report::chart::NETWORKS;
    let shape = match place % 4 {
        0 => "<circle cx=\"11\" cy=\"6\" r=\"4\"/>",
        1 => "<path d=\"M11 1.2 15.3 9 6.7 9Z\"/>",
        2 => "<path d=\"M7.4 2.4h7.2v7.2h-7.2Z\"/>",
        _ => "<path d=\"M11 1 16 6 11 11 6 6Z\"/>",
    };
    format!("<g fill=\"var(--n{colour})\"><path d=\"M0 5.2h22v1.6h-22Z\" opacity=\".55\"/>{shape}</g>")
}
