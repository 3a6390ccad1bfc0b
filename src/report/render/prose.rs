//! Markup in a report's text: formulas in backticks, and subscripts within formulas.

use super::number;

/// A piece of text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// Words.
    Plain(String),
    /// A part of a formula on the base line.
    Formula(String),
    /// A subscript of a formula.
    Subscript(String),
}

/// Splits text into spans. An unpaired backtick stays as it is. A hyphen in a formula becomes a minus sign.
pub(super) fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((formula, after)) = after.split_once('`') else { break };
        push(&mut spans, Span::Plain, before);
        formula_spans(&mut spans, &number::with_minus(formula));
        rest = after;
    }
    push(&mut spans, Span::Plain, rest);
    spans
}

/// Returns the text without backticks. Subscripts stay as they are written: `a_(k-1)`.
pub(super) fn plain(text: &str) -> String {
    if !text.contains('`') {
        return text.into();
    }
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((formula, after)) = after.split_once('`') else { break };
        plain += before;
        plain += &number::with_minus(formula);
        rest = after;
    }
    plain + rest
}

fn formula_spans(spans: &mut Vec<Span>, formula: &str) {
    let mut rest = formula;
    while let Some(at) = rest.match_indices('_').map(|(at, _)| at).find(|&at| is_subscript(rest, at)) {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let (subscript, after) = match after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            Some(parts) => parts,
            None => {
                let end = after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len());
                after.split_at(end)
            }
        };
        push(spans, Span::Formula, before);
        push(spans, Span::Subscript, subscript);
        rest = after;
    }
    push(spans, Span::Formula, rest);
}

/// Whether the underscore at this byte begins a subscript: after a single letter, unlike in `std_mean`.
fn is_subscript(formula: &str, at: usize) -> bool {
    let mut before = formula[..at].chars().rev();
    let is_after_letter = before.next().is_some_and(char::is_alphabetic);
    let is_single = before.next().is_none_or(|c| !c.is_alphanumeric() && c != '_');
    let after = formula[at + 1..].chars().next();
    is_after_letter && is_single && after.is_some_and(|c| c.is_alphanumeric() || c == '(')
}

fn push(spans: &mut Vec<Span>, kind: fn(String) -> Span, text: &str) {
    if !text.is_empty() {
        spans.push(kind(text.into()));
    }
}

/// Returns the text with at most `most` characters. `…` replaces the middle, since both ends of a path are telling.
pub(super) fn shorten(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.into();
    }
    // The file name of a path is kept whole if it fits.
    if let Some((folders, file)) = text.rsplit_once('/')
        && file.chars().count() + 4 <= most
    {
        let room = most - file.chars().count() - 3;
        let head: String = folders.chars().take(room).collect();
        let head = head.rsplit_once('/').map_or("", |(head, _)| head);
        return if head.is_empty() { format!("…/{file}") } else { format!("{head}/…/{file}") };
    }
    let kept = most.saturating_sub(1).max(2);
    let head: String = text.chars().take(kept / 3).collect();
    let tail: String = text.chars().skip(count - (kept - kept / 3)).collect();
    format!("{head}…{tail}")
}

/// Breaks text between words into lines of at most `width` characters. A longer word has a line of its own.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_cut_into_subscripts() {
        let spans = spans("the step `a_k - a_(k-1)` of std_mean");
        let expected = [
            Span::Plain("the step ".into()),
            Span::Formula("a".into()),
            Span::Subscript("k".into()),
            Span::Formula(" − a".into()),
            Span::Subscript("k−1".into()),
            Span::Plain(" of std_mean".into()),
        ];
        assert_eq!(spans, expected);
    }

    #[test]
    fn plain_text_keeps_everything_but_backticks() {
        assert_eq!(plain("`a_(k-1)` is t-only"), "a_(k−1) is t-only");
        assert_eq!(plain("a lone ` stays"), "a lone ` stays");
        assert_eq!(spans("a lone ` stays"), [Span::Plain("a lone ` stays".into())]);
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shorten("resnet56-imagenet-seed-1", 16), "resne…net-seed-1");
        assert_eq!(shorten("short", 16), "short");
        assert_eq!(shorten("/home/someone/runs/resnet56-seed-1", 28), "/home/…/resnet56-seed-1");
        assert_eq!(shorten("/home/someone/runs/resnet56-seed-1", 20), "…/resnet56-seed-1");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("unbreakable a", 4), ["unbreakable", "a"]);
    }
}
