//! A section: what is measured, what was found, figures and tables.

use maud::{Markup, html as markup};

use super::{Page, network_name, words};
use crate::report::section::{Finding, Section, Table};

/// A table with fewer rows is shown open even beside a figure.
const SHORT: usize = 9;

impl Page<'_> {
    /// Writes a section. The overview has no heading, and stands below that of the page.
    pub(super) fn section(&mut self, id: &str, section: &Section, is_overview: bool) -> Markup {
        let figures: Vec<Markup> = section.figures.iter().map(|figure| self.figure(section, figure)).collect();
        let has_figures = section.figures.iter().any(|figure| !figure.panels.is_empty());
        let tables = section.tables.iter().filter(|table| !table.rows.is_empty());
        let tables: Vec<Markup> = tables
            .map(|table| {
                let is_folded = has_figures && !is_overview && table.rows.len() >= SHORT;
                self.table(table, title_of(table, section), is_folded)
            })
            .collect();
        markup! {
            section #(id) .overview[is_overview] {
                @if !section.title.is_empty() { h2 { (words(&section.title)) } }
                @for paragraph in &section.about { p { (words(paragraph)) } }
                (self.findings(&section.findings))
                @for figure in &figures { (figure) }
                @for table in &tables { (table) }
            }
        }
    }

    fn findings(&self, findings: &[Finding]) -> Markup {
        let network = |finding: &Finding| finding.network.filter(|_| self.names.are_several());
        markup! {
            @if !findings.is_empty() {
                ul.findings {
                    @for finding in findings {
                        li data-n=[network(finding)] {
                            @if let Some(place) = network(finding) { b { (network_name(self.names.network(place))) } " " }
                            (words(&finding.text))
                        }
                    }
                }
            }
        }
    }
}

fn title_of<'a>(table: &'a Table, section: &'a Section) -> &'a str {
    if table.title.is_empty() { &section.title } else { &table.title }
}
