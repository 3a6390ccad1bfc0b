//! How much memory the content of a file may take.
//!
//! What a file announces is bounded in two ways: by a multiple of its own size, which its reader knows, and by one number for
//! all files, of which every reader takes a share.

use std::ffi::OsStr;

use crate::{Error, Result};

/// The environment variable that raises or lowers the bound.
const VARIABLE: &str = "UNROLLED_FILE_MEMORY";
/// The bound where the variable is not set, in bytes.
const DEFAULT: u64 = 4 << 30;

/// Returns the most bytes that the content of a file may take.
///
/// # Errors
/// [`Error::Config`] where the environment variable is no number of bytes.
pub(crate) fn file_memory() -> Result<u64> {
    std::env::var_os(VARIABLE).map_or(Ok(DEFAULT), |text| read(&text))
}

fn read(text: &OsStr) -> Result<u64> {
    let wrong =
        || Error::config(VARIABLE, format!("'{}', expected a number of bytes such as 512M or 8G", text.display()));
    text.to_str().and_then(parse).ok_or_else(wrong)
}

/// Returns how a message about the bound ends.
pub(crate) fn advice() -> String {
    format!("the environment variable {VARIABLE}, such as 16G, allows more (4G is the default)")
}

fn parse(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(
            ["1000", "512M", "8G", "1T"].map(parse),
            [Some(1000), Some(512 << 20), Some(8 << 30), Some(1 << 40)]
        );
        for wrong in ["", "G", "0", "-1G", "1.5G", "8g", "99999999999T"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_text_that_is_not_utf_8_is_no_size() {
        let text = std::os::unix::ffi::OsStrExt::from_bytes(b"8\xffG");
        let error = read(text).unwrap_err().to_string();
        assert_eq!(error, "UNROLLED_FILE_MEMORY: '8\u{fffd}G', expected a number of bytes such as 512M or 8G");
    }
}
