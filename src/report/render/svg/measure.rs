//! Estimates the width of text. The reader's font is unknown, so that the estimate is on the wide side.

use crate::report::render::prose;

/// Returns the width of text of this size, both in pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    size * text.chars().map(em).sum::<f64>()
}

/// Returns the width of a character relative to the font size, about that of DejaVu Sans, which is a wide font.
fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' | '|' => 0.29,
        ' ' | '.' | ',' | ':' | ';' | '!' | 'I' | '/' | '·' => 0.33,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' => 0.41,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' | '—' => 0.95,
        'a'..='z' => 0.61,
        '0'..='9' => 0.64,
        'A'..='Z' => 0.72,
        '⁰'..='₎' | '¹' | '²' | '³' => 0.42,
        '\u{1100}'.. => 1.05,
        _ => 0.84,
    }
}

/// Wraps text into at most `count` lines of at most `most` pixels. Text that does not fit is shortened in the middle.
pub(super) fn lines(text: &str, size: f64, most: f64, count: usize) -> Vec<String> {
    let fitting = wrap(text, size, most);
    if fitting.len() <= count && fitting.iter().all(|line| width(line, size) <= most) {
        return fitting;
    }
    let length = text.chars().count();
    let shorter = (4..length).rev().map(|length| wrap(&prose::shorten(text, length), size, most));
    let fits = |lines: &Vec<String>| lines.len() <= count && lines.iter().all(|line| width(line, size) <= most);
    shorter.into_iter().find(fits).unwrap_or_else(|| vec![prose::shorten(text, 4)])
}

/// Returns one line of at most `most` pixels.
pub(super) fn line(text: &str, size: f64, most: f64) -> String {
    lines(text, size, most, 1).into_iter().next().unwrap_or_default()
}

fn wrap(text: &str, size: f64, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(" ", size) + width(word, size) <= most => {
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
    fn no_line_is_wider_than_it_may_be() {
        let long = "/home/someone/experiments/2024-05-01/resnet56-cifar10-seed-1/model.safetensors and its twin";
        for (most, count) in [(80.0, 1), (200.0, 2), (40.0, 3), (900.0, 1)] {
            let lines = lines(long, 12.0, most, count);
            assert!((1..=count).contains(&lines.len()), "{lines:?}");
            assert!(lines.iter().all(|line| width(line, 12.0) <= most), "{most}: {lines:?}");
        }
        assert_eq!(lines("cost, points", 12.0, 300.0, 1), ["cost, points"]);
    }
}
