//! How much memory estimates may take.

use crate::{Error, Result};

/// Returns the machine's memory, bytes; `None` where the system does not say how much there is.
pub(crate) fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(total.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// Returns a quarter of the machine's memory, bytes; a gibibyte where the system does not say how much there is.
fn quarter() -> u64 {
    machine_memory().map_or(1 << 30, |bytes| bytes / 4)
}

/// Returns how many samples fit at once, of which each needs so many bytes.
///
/// # Errors
/// [`Error::Argument`] where memory that was asked for is too little for one.
pub(super) fn samples(asked: Option<u64>, needed: u64, name: &str) -> Result<usize> {
    match (asked.unwrap_or_else(quarter) / needed, asked) {
        (0, Some(_)) => {
            let needed = shown(needed);
            Err(Error::argument(
                "memory",
                format!("estimates of one sample of {name} take {needed}, give at least that"),
            ))
        }
        (fits, _) => Ok(fits.max(1) as usize),
    }
}

/// Returns the least number of bytes that is no less than these, such as `5K` or `12M`, in powers of 1024.
fn shown(bytes: u64) -> String {
    match bytes {
        0..1_024 => bytes.to_string(),
        1_024..1_048_576 => format!("{}K", bytes.div_ceil(1 << 10)),
        _ => format!("{}M", bytes.div_ceil(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_rounded_up() {
        assert!(quarter() > 1 << 20);
        for (bytes, text) in [(7, "7"), (1_025, "2K"), (1 << 20, "1M"), ((1 << 20) + 1, "2M")] {
            assert_eq!(shown(bytes), text);
        }
    }

    #[test]
    fn too_little_memory_is_an_error_that_says_how_much_is_needed() {
        let error = samples(Some(100), 5_000, "net").unwrap_err().to_string();
        assert_eq!(error, "memory: estimates of one sample of net take 5K, give at least that");
        assert_eq!(samples(Some(10_000), 5_000, "net").unwrap(), 2);
    }
}
