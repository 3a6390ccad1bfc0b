//! Numbers as values of options, and their errors.

use std::ffi::OsString;

/// Parses a whole number of at least 0.
pub(super) fn count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "expected a whole number of at least 0".to_owned())
}

/// Parses a whole number of at least 1.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|&number: &usize| number > 0);
    number.ok_or_else(|| "expected a whole number of at least 1".to_owned())
}

/// Parses a seed: a whole number that a TOML file holds too.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|&number: &u64| i64::try_from(number).is_ok());
    number.ok_or_else(|| format!("expected a whole number from 0 to {}", i64::MAX))
}

/// Parses a number of at least 0.
pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "expected a number of at least 0".to_owned())
}

/// Parses a number of percentage points.
pub(super) fn points(text: &str) -> Result<f64, String> {
    let number = not_negative(text).ok().filter(|number| *number <= 100.0);
    number.ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

/// Parses a number of seconds.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| (0.0..1e9).contains(number));
    number.ok_or_else(|| "expected a number of seconds, at least 0".to_owned())
}

/// Parses a finite number.
pub(super) fn number(text: &str) -> Result<f32, String> {
    let number = text.trim().parse::<f32>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| {
        "expected a number, or one for each channel with commas between them, such as .485,.456,.406".to_owned()
    })
}

/// Joins an option and a negative number that follows it, such as `--mean -.5,-.5`, to one argument, `--mean=-.5,-.5`.
///
/// No option has a short name that is a digit or a dot, but the parser of the command line would look for one, and would not
/// reach the error of the option.
pub(super) fn join_negative(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    let mut takes_options = true;
    for argument in arguments {
        let bytes = argument.as_encoded_bytes();
        let is_negative = matches!(bytes, [b'-', b'0'..=b'9', ..] | [b'-', b'.', b'0'..=b'9', ..]);
        let is_option = |before: &OsString| {
            let bytes = before.as_encoded_bytes();
            bytes.len() > 2 && bytes.starts_with(b"--") && !bytes.contains(&b'=')
        };
        takes_options &= argument != "--";
        match joined.last_mut() {
            Some(before) if takes_options && is_negative && is_option(before) => {
                before.push("=");
                before.push(argument);
            }
            _ => joined.push(argument),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_number_belongs_to_the_option_before_it() {
        let join = |text: &str| {
            let arguments = text.split(' ').map(OsString::from);
            join_negative(arguments).into_iter().map(|a| a.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(join("eval a --mean -.5,-.5 --std 1"), "eval a --mean=-.5,-.5 --std 1");
        assert_eq!(join("eval a --limit -1"), "eval a --limit=-1");
        assert_eq!(join("eval -1 --limit=3 -2 -h --json --out x"), "eval -1 --limit=3 -2 -h --json --out x");
        assert_eq!(join("eval -- --limit -1"), "eval -- --limit -1");
    }

    #[test]
    fn a_number_outside_of_its_range_is_refused_with_the_range() {
        assert_eq!(count("0"), Ok(0));
        assert_eq!(count("-1").unwrap_err(), "expected a whole number of at least 0");
        assert_eq!(positive("0").unwrap_err(), "expected a whole number of at least 1");
        assert!(seed("9223372036854775807").is_ok() && seed("9223372036854775808").is_err() && seed("-1").is_err());
        assert!(not_negative("nan").is_err() && not_negative("-0.1").is_err() && not_negative("0.5") == Ok(0.5));
        assert!(points("101").is_err() && number("x").is_err() && number("-.5") == Ok(-0.5));
    }
}
