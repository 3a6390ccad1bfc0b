//! How much memory measuring may take.

use crate::kernel::{CacheLimit, CachingAllocator};
use crate::{Error, Result};

/// Returns the machine's memory, bytes; `None` where the system does not say how much there is.
pub(crate) fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(total.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// Returns the memory that measuring may take where nothing else is asked for, bytes: a quarter of the machine's; a gibibyte where
/// the system does not say how much there is.
fn memory_by_default() -> u64 {
    machine_memory().map_or(1 << 30, |bytes| bytes / 4)
}

/// One eighth of what measuring may take is for freed arrays that the process keeps for the next ones of their size.
const KEPT_PART: u64 = 8;

/// Bounds what the process keeps of freed memory to its part of what was asked for, as long as the returned value lives.
pub(crate) fn limit_cache(asked: Option<u64>) -> CacheLimit<'static> {
    let all = asked.unwrap_or_else(memory_by_default);
    CachingAllocator::limit_cache(usize::try_from(all / KEPT_PART).unwrap_or(usize::MAX))
}

/// What measuring takes above the network itself, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// Whatever the number of samples at once: what probes keep, and predictions.
    pub(super) fixed: u64,
    /// For each of the samples at once.
    pub(super) per_sample: u64,
}

impl Need {
    /// Returns how many samples fit at once.
    ///
    /// # Errors
    /// [`Error::Argument`] where memory that was asked for is too little for one.
    pub(super) fn samples(self, asked: Option<u64>, name: &str) -> Result<usize> {
        let all = asked.unwrap_or_else(memory_by_default);
        let fits = (all - all / KEPT_PART).saturating_sub(self.fixed) / self.per_sample.max(1);
        if fits == 0 && asked.is_some() {
            let least = (self.fixed + self.per_sample).div_ceil(KEPT_PART - 1).saturating_mul(KEPT_PART);
            let why =
                format!("the measurements of {name} take {} with one sample at once, give at least that", shown(least));
            return Err(Error::argument("memory", why));
        }
        Ok(usize::try_from(fits.max(1)).unwrap_or(usize::MAX))
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
        assert!(memory_by_default() > 1 << 20);
        for (bytes, text) in [(7, "7"), (1_025, "2K"), (1 << 20, "1M"), ((1 << 20) + 1, "2M")] {
            assert_eq!(shown(bytes), text);
        }
    }

    #[test]
    fn too_little_memory_is_an_error_that_says_how_much_is_needed() {
        let need = Need { fixed: 7 << 10, per_sample: 7 << 10 };
        let error = need.samples(Some(10 << 10), "net").unwrap_err().to_string();
        assert_eq!(error, "memory: the measurements of net take 16K with one sample at once, give at least that");
        assert_eq!([16, 23, 24].map(|kib| need.samples(Some(kib << 10), "net").unwrap()), [1, 1, 2]);
    }
}
