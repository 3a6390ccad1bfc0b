//! Text of others, with characters shown that are not seen and change how others are seen.

use std::borrow::Cow;

/// Returns the text with every character as an escape, such as `\u001b`, that is not seen itself and changes how others are
/// seen: control characters, those that change the direction of writing, and separators of lines. Line breaks and tabs
/// stay.
///
/// Names in files can hold anything, and neither a terminal nor a browser must interpret them. JSON reads an escape as the
/// character.
///
/// ```
/// assert_eq!(unrolled::visible("a\u{1b}[31m\n\u{202e}b"), "a\\u001b[31m\n\\u202eb");
/// ```
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| !matches!(c, '\n' | '\t') && is_unseen(c))
}

/// Returns the text on one line, as [`visible`] does: line breaks and tabs become spaces.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    match text.contains(['\n', '\r', '\t']) {
        false => escaped(text, is_unseen),
        true => {
            Cow::Owned(escaped(&text.replace("\r\n", " ").replace(['\n', '\r', '\t'], " "), is_unseen).into_owned())
        }
    }
}

fn is_unseen(c: char) -> bool {
    // Marks, embeddings, overrides and isolates of direction; separators of lines and paragraphs; a byte order mark.
    let is_of_direction =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_of_direction || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if is_escaped(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_shown() {
        // ESC, a control character of C1, DEL, an override, an isolate, a mark, a separator of lines.
        let name = "\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\u{2066}\u{200f}\u{2028}é\n";
        assert_eq!(visible(name), "\\u001b[2J\\u009b31m\\u007f\\u202e\\u2066\\u200f\\u2028é\n");
        assert_eq!(visible_line("a\r\nb\tc\u{85}"), "a b c\\u0085");
        let json = serde_json::to_string(name).unwrap();
        assert_eq!(serde_json::from_str::<String>(&visible(&json)).unwrap(), name);
        assert!(matches!(visible("plain\n"), Cow::Borrowed(_)));
    }
}
