//! How much memory measuring may take.

use unrolled::Error;

/// A number of bytes such as `512M` or `4G`, in powers of 1024.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}': expected a number of bytes such as 512M or 4G");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|&bytes| bytes > 0).ok_or_else(wrong)
}

/// The least number of bytes, in a form that [`parse`] reads, that is no less than these.
fn shown(bytes: u64) -> String {
    match bytes {
        0..1_024 => bytes.to_string(),
        1_024..1_048_576 => format!("{}K", bytes.div_ceil(1 << 10)),
        _ => format!("{}M", bytes.div_ceil(1 << 20)),
    }
}

/// A quarter of the machine's memory; a gibibyte where the system does not say how much there is.
fn quarter() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.map_or(1 << 30, |kibibytes| kibibytes * 1024 / 4)
}

/// How many samples fit at once, of which each needs so many bytes.
///
/// # Errors
/// [`Error::Usage`] where memory that was asked for is too little for one.
pub(super) fn samples(asked: Option<u64>, needed: u64, name: &str) -> Result<usize, Error> {
    match (asked.unwrap_or_else(quarter) / needed, asked) {
        (0, Some(_)) => {
            let needed = shown(needed);
            let what = format!("--memory: estimates of one sample of {name} take {needed}, give at least that");
            Err(Error::Usage(what))
        }
        (fits, _) => Ok(fits.max(1) as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse("4G"), Ok(4 << 30));
        assert_eq!(parse("512MiB"), Ok(512 << 20));
        assert_eq!(parse("1000"), Ok(1000));
        for wrong in ["", "G", "0", "-1G", "4T", "99999999999999999999G", "1.5G"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(quarter() > 1 << 20);
        for (bytes, text) in [(7, "7"), (1_025, "2K"), (1 << 20, "1M"), ((1 << 20) + 1, "2M")] {
            assert_eq!(shown(bytes), text);
            assert!(parse(text).unwrap() >= bytes);
        }
    }
}
