//! Renders a report as JSON.

use crate::report::section::Report;
use crate::visible::visible;

/// Returns the report as indented JSON. Numbers that are not finite are the strings `"NaN"`, `"inf"` and `"-inf"`.
pub fn json(report: &Report) -> String {
    // Serialization fails only for maps with keys that are not strings, and a report has none.
    let mut json = serde_json::to_string_pretty(report).expect("a report can be serialized");
    json.push('\n');
    visible(&json).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::render::sample;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = sample::single();
        let written = json(&report);
        let read: Report = serde_json::from_str(&written).unwrap();
        assert_eq!(json(&read), written);
        assert!(written.contains("\"NaN\""), "the sample has a number that JSON lacks");
    }
}
