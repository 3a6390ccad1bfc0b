//! The report as one page without external requests, readable without script.

mod figure;
mod section;
mod table;

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::context::{Names, UniqueNames};
use super::prose::{self, Span};
use super::svg::{Destination, KEY, escape, network_key};
use crate::report::section::Report;
use crate::visible::visible;

/// The greatest length of a network's name. A longer one is shortened, and its `title` attribute has all of it.
const NAME_LENGTH: usize = 44;
/// The greatest length of a network's name in the side bar.
const SIDE_NAME_LENGTH: usize = 30;

/// The content security policy: no request leaves the page, whatever a name or picture says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// Returns the report as an HTML document.
///
/// It holds its style sheet and script. The style sheet serves light and dark screens, narrow windows and paper. The
/// script sorts tables, hides networks, shows values, highlights a block in all figures and tables, and offers
/// figures as SVG; without it the page says the same.
pub fn html(report: &Report) -> String {
    let names = Names::of(report);
    let mut ids = UniqueNames::default();
    ids.name("networks");
    let sections = report.sections.iter().filter(|section| !section.is_empty());
    let sections: Vec<_> = sections.map(|section| (ids.name(&section.name), section)).collect();
    let mut page = Page { names: &names, files: UniqueNames::default() };
    let bodies: Vec<Markup> =
        sections.iter().enumerate().map(|(place, (id, section))| page.section(id, section, place == 0)).collect();
    let contents = sections.iter().filter(|(_, section)| !section.title.is_empty());
    let contents: Vec<_> = contents.map(|(id, section)| (id.as_str(), section.title.as_str())).collect();
    let document = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (prose::plain(&report.title)) }
                style { (PreEscaped(include_str!("../report.css"))) }
            }
            body {
                div.page {
                    (side(&contents, &names))
                    main {
                        header {
                            h1 { (words(&report.title)) }
                            @for paragraph in &report.intro { p { (words(paragraph)) } }
                        }
                        @for body in bodies { (body) }
                        (footer(&report.facts))
                    }
                }
                script { (PreEscaped(include_str!("../report.js"))) }
            }
        }
    };
    visible(&document.into_string()).into_owned()
}

/// What writing a section needs.
struct Page<'a> {
    names: &'a Names<'a>,
    /// Names of the files that can be downloaded, each unique.
    files: UniqueNames,
}

/// Returns the side bar: contents and networks. A narrow window shows it above the page.
fn side(contents: &[(&str, &str)], names: &Names) -> Markup {
    markup! {
        div.side {
            @if contents.len() > 1 {
                nav aria-label="Contents" {
                    ol.contents {
                        @for (id, title) in contents { li { a href={ "#" (id) } { (words(title)) } } }
                    }
                }
            }
            @if names.are_several() {
                h2.label id="networks" { "Networks" }
                ul.networks aria-labelledby="networks" {
                    @for (place, name) in names.networks.iter().enumerate() {
                        li data-network=(place) { (key(&network_key(place, Destination::Page))) (short_name(name, SIDE_NAME_LENGTH)) }
                    }
                }
            }
        }
    }
}

/// Returns the footer with the facts of the report.
fn footer(facts: &[(String, String)]) -> Markup {
    markup! {
        @if !facts.is_empty() {
            footer { dl { @for (name, value) in facts { dt { (words(name)) } dd { (value) } } } }
        }
    }
}

/// Returns the small drawing of a legend's entry.
fn key(drawing: &str) -> Markup {
    let [width, height] = KEY;
    PreEscaped(format!("<svg class=\"key\" viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\">{drawing}</svg>"))
}

/// Returns a network's name, shortened in the middle if it is long.
fn network_name(name: &str) -> Markup {
    short_name(name, NAME_LENGTH)
}

fn short_name(name: &str, most: usize) -> Markup {
    let short = prose::shorten(name, most);
    markup! {
        @if short == name { span.name { (name) } } @else { span.name title=(name) { (short) } }
    }
}

/// Returns text with its formulas as markup.
fn words(text: &str) -> Markup {
    markup! {
        @for span in prose::spans(text) {
            @match span {
                Span::Plain(text) => (text),
                Span::Formula(text) => i { (text) },
                Span::Subscript(text) => sub { (text) },
            }
        }
    }
}

/// Returns a link that saves a CSV file. The link holds the file as a `data:` URI and needs no script.
fn csv_link(file: &str, csv: &str, what: &str) -> Markup {
    let uri = format!("data:text/csv;charset=utf-8,{}", percent_encoded(csv));
    markup! { a.save download={ (file) ".csv" } href=(uri) aria-label={ (what) " as CSV" } { "CSV" } }
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 8);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b',' | b'/' | b':' => {
                encoded.push(byte.into())
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
