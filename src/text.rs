//! Text that comes from files, made safe for messages.

use std::path::Path;

use crate::visible::visible_line;
use crate::{Error, Result};

/// The longest text that a message quotes, in characters.
const MAX_CHARS: usize = 240;

/// Returns a text for a message, on one line and visible ([`visible_line`]): runs of white space become one space, and everything after
/// 240 characters becomes `…`.
pub(crate) fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = visible_line(&line);
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into_owned(),
    }
}

/// Reads a text file without its byte order mark, which editors on Windows write.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::File`] if it is not UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::file(path, format!("line {line} is not UTF-8, in which a text has to be"))
    })?;
    Ok(without_byte_order_mark(&text).to_owned())
}

/// Returns a text without the byte order mark at its beginning.
pub(crate) fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Returns the message of a TOML error on one line, with the line and the column in `text`.
pub(crate) fn toml_message(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().trim().replace('\n', ", ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
            format!("line {line}, column {column}: {}", excerpt(&message))
        }
        None => excerpt(&message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_without_its_byte_order_mark() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("names.txt");
        std::fs::write(&path, b"\xef\xbb\xbfant\r\nbee\r\n").unwrap();
        assert_eq!(read_text(&path).unwrap(), "ant\r\nbee\r\n");
        // UTF-16, as an old Notepad writes it.
        std::fs::write(&path, b"\xff\xfea\0").unwrap();
        let error = read_text(&path).unwrap_err().to_string();
        assert!(error.ends_with("names.txt: line 1 is not UTF-8, in which a text has to be"), "{error}");
    }

    #[test]
    fn a_toml_error_has_its_place() {
        let text = "a = 1\nb = [1,\n";
        let error = toml::from_str::<toml::Table>(text).unwrap_err();
        assert!(toml_message(&error, text).starts_with("line "), "{}", toml_message(&error, text));
    }

    #[test]
    fn text_becomes_one_line_without_control_characters() {
        assert_eq!(excerpt(" a\n\tb\u{1b}[31m "), "a b\\u001b[31m");
        assert_eq!(excerpt(&"é".repeat(300)), "é".repeat(240) + "…");
    }
}
