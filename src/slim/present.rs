//! The report of a slimming.

use super::Slimming;
use crate::report::Report;

/// Returns the report of a slimming.
pub fn slimming_report(slimming: &Slimming, facts: Vec<(String, String)>) -> Report {
    Report { title: slimming.target.clone(), facts, ..Report::default() }
}
