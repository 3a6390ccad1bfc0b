//! Text that comes from files, made safe for messages.

/// The longest text that a message quotes, in characters.
const MAX_CHARS: usize = 240;

/// Returns the text on one line: runs of white space become one space, control characters become `?`, and everything
/// after 240 characters becomes `…`.
///
/// Names in files can hold anything. A terminal must not interpret them, and an error has to stay one readable line.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "?");
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_one_line_without_control_characters() {
        assert_eq!(one_line(" a\n\tb\u{1b}[31m "), "a b?[31m");
        assert_eq!(one_line(&"é".repeat(300)), "é".repeat(240) + "…");
    }
}
