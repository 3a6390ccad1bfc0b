//! One table for all renderings: aligned columns in the terminal, `<table>` in HTML.

use std::fmt::Write;

use super::html::escape;

/// Rows of cells under headings; the first column holds names, the others figures unless told otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    headings: Vec<String>,
    words: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings. A heading that begins with `<` stands over words, aligned left.
    pub(super) fn new<S: AsRef<str>>(headings: impl IntoIterator<Item = S>) -> Self {
        let mut table = Self::default();
        for (place, heading) in headings.into_iter().enumerate() {
            let heading = heading.as_ref();
            let words = heading.strip_prefix('<');
            table.words.push(place == 0 || words.is_some());
            table.headings.push(words.unwrap_or(heading).to_owned());
        }
        table
    }

    /// Adds a row; missing cells at its end stay empty.
    pub(super) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.headings.len(), String::new());
        self.rows.push(row);
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Leaves out the columns in which no row has anything to say.
    pub(super) fn without_empty_columns(mut self) -> Self {
        let kept: Vec<bool> = (0..self.headings.len())
            .map(|column| column == 0 || self.rows.iter().any(|row| !row[column].is_empty()))
            .collect();
        keep(&mut self.headings, &kept);
        keep(&mut self.words, &kept);
        self.rows.iter_mut().for_each(|row| keep(row, &kept));
        self
    }

    /// The table in characters, two spaces between columns, without trailing spaces.
    pub(super) fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.headings.len())
            .map(|column| self.lines().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in self.lines() {
            let mut line = String::new();
            for ((cell, &width), &words) in row.iter().zip(&widths).zip(&self.words) {
                let gap = " ".repeat(width - cell.chars().count());
                line += &if words { format!("{cell}{gap}  ") } else { format!("{gap}{cell}  ") };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    /// The table as HTML, every cell escaped.
    pub(super) fn html(&self) -> String {
        let mut html = String::from("<table><thead><tr>");
        for (heading, &words) in self.headings.iter().zip(&self.words) {
            // Writing to a String cannot fail.
            let _ = write!(html, "<th scope=\"col\"{}>{}</th>", class(words), escape(heading));
        }
        html += "</tr></thead><tbody>\n";
        for row in &self.rows {
            html += "<tr>";
            for (place, (cell, &words)) in row.iter().zip(&self.words).enumerate() {
                let text = if words { escape(cell) } else { escape(&cell.replace('-', "−")) };
                let text = text.replace('\n', "<br>");
                let _ = match place {
                    0 => write!(html, "<th scope=\"row\">{text}</th>"),
                    _ => write!(html, "<td{}>{text}</td>", class(words)),
                };
            }
            html += "</tr>\n";
        }
        html + "</tbody></table>\n"
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        std::iter::once(&self.headings).chain(&self.rows)
    }
}

fn class(words: bool) -> &'static str {
    if words { "" } else { " class=\"n\"" }
}

fn keep<T>(items: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    items.retain(|_| kept.next().copied().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(["block", "<wiring", "empty", "std"]);
        table.row(["a<b", "full", "", "-1.5"]);
        table.row(["longer", "c-only", "", "12.25"]);
        table.without_empty_columns()
    }

    #[test]
    fn columns_line_up() {
        let expected = "block   wiring    std\na<b     full     -1.5\nlonger  c-only  12.25\n";
        assert_eq!(sample().text(), expected);
    }

    #[test]
    fn cells_are_escaped() {
        let html = sample().html();
        assert!(html.contains("a&lt;b") && !html.contains("a<b"));
        assert!(html.contains("<td class=\"n\">−1.5</td>") && html.contains("<td>c-only</td>"));
    }
}
