//! How the arrays of a file were matched with a network.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::excerpt;

/// How the arrays of a file that another program wrote were matched with the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The naming convention that the file follows, such as `resnet`.
    pub layout: String,
    /// The prefix that was removed from all names, such as `state_dict.module.`.
    pub prefix: String,
    /// Number of arrays that were read into the network.
    pub applied: usize,
    /// Number of counters of training steps (`num_batches_tracked`), which inference does not use.
    pub counters: usize,
    /// Arrays of the file that are not part of the network, such as those of an optimizer.
    #[serde(rename = "beside")]
    pub other_arrays: Vec<OtherArrays>,
    /// Arrays that the network needs and the file does not have, by the names that the file would have for them.
    pub missing: Vec<String>,
    /// Arrays outside the blocks that the network does not have, such as those of an auxiliary classifier.
    pub unused: Vec<String>,
    /// Arrays in blocks that the network does not have. Without them the blocks would compute something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused_in_blocks: Vec<String>,
    /// Arrays whose shape is not that of the parameter.
    pub wrong_shape: Vec<WrongShape>,
    /// Missing arrays with the unused array that each may be.
    #[serde(rename = "did_you_mean")]
    pub suggestions: Vec<Suggestion>,
}

/// Arrays of a file that are not part of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherArrays {
    /// The first part of their names.
    pub name: String,
    /// The number of arrays.
    pub arrays: usize,
}

/// An array whose shape is not that of the parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrongShape {
    /// Its name in the file.
    pub name: String,
    /// Its shape in the file.
    pub found: Vec<usize>,
    /// The shape of the parameter.
    pub expected: Vec<usize>,
}

/// A missing array and the unused array with the most similar name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The name of the missing array.
    pub missing: String,
    /// The name of the unused array.
    pub unused: String,
}

/// At most so many names are compared with each other: a hostile file may have millions.
const MAX_NAMES: usize = 64;
/// Longer names are not compared.
const MAX_NAME_LENGTH: usize = 128;
/// A message lists at most so many names of a kind and counts the rest.
const MAX_LISTED: usize = 3;

impl LoadReport {
    /// Returns whether the network can be used: all of its arrays are there, none in a block is unused, and none elsewhere
    /// is unused or `partial` is set.
    pub fn is_complete(&self, partial: bool) -> bool {
        self.is_whole() && (partial || self.unused.is_empty())
    }

    /// Returns whether blocks and all other parts of the network have their arrays and no others.
    fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.wrong_shape.is_empty() && self.unused_in_blocks.is_empty()
    }

    /// Finds for each missing array the unused array that it may be.
    pub(super) fn find_suggestions(&mut self) {
        let short = |names: &[String]| -> Vec<String> {
            names.iter().filter(|name| name.len() <= MAX_NAME_LENGTH).take(MAX_NAMES).cloned().collect()
        };
        let unused = [short(&self.unused), short(&self.unused_in_blocks)].concat();
        for missing in short(&self.missing) {
            let near = unused.iter().map(|name| (strsim::damerau_levenshtein(&missing, name), name)).min();
            if let Some((distance, name)) = near
                && distance <= 1 + missing.len() / 8
            {
                self.suggestions.push(Suggestion { missing, unused: name.clone() });
            }
        }
    }

    /// Returns one line that says what does not match.
    pub fn problems(&self) -> String {
        let mut parts = Vec::new();
        let missing: Vec<String> = self.missing.iter().map(|name| self.with_suggestion(name)).collect();
        let wrong: Vec<String> = self.wrong_shape.iter().map(ToString::to_string).collect();
        let kinds = [
            (&missing, "missing"),
            (&wrong, "of the wrong shape"),
            (&self.unused_in_blocks, "unused in blocks"),
            (&self.unused, "unused"),
        ];
        for (names, what) in kinds {
            if names.is_empty() {
                continue;
            }
            let more = names.len().saturating_sub(MAX_LISTED);
            let few: Vec<String> = names.iter().take(MAX_LISTED).map(|name| excerpt(name)).collect();
            let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
            parts.push(format!("{} {what} ({}{rest})", names.len(), few.join(", ")));
        }
        let hint = if self.is_whole() { "; the option partial leaves unused arrays out" } else { "" };
        format!("layout {}, {} arrays fit: {}{hint}", self.layout, self.applied, parts.join("; "))
    }

    /// Returns a missing name with its suggestion, where there is one.
    fn with_suggestion(&self, name: &str) -> String {
        match self.suggestions.iter().find(|pair| pair.missing == name) {
            Some(pair) => format!("{name}, perhaps '{}'", pair.unused),
            None => name.to_owned(),
        }
    }
}

impl fmt::Display for WrongShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}, expected {:?}", self.name, self.found, self.expected)
    }
}

/// Prints a line for every kind of array that the file has.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layout {}", self.layout)?;
        if !self.prefix.is_empty() {
            write!(f, ", names begin with '{}'", excerpt(&self.prefix))?;
        }
        let missing = if self.missing.is_empty() { "none".to_owned() } else { self.missing.len().to_string() };
        write!(f, "\n{} arrays applied, {missing} missing", self.applied)?;
        if self.counters > 0 {
            write!(f, ", {} counters of training steps ignored", self.counters)?;
        }
        for other in &self.other_arrays {
            let plural = if other.arrays == 1 { "" } else { "s" };
            write!(f, "\nbeside the network: {}, {} array{plural}", excerpt(&other.name), other.arrays)?;
        }
        for unused in &self.unused {
            write!(f, "\nunused: {}", excerpt(unused))?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_one_line_with_counts_and_the_first_names() {
        let names = |range: std::ops::Range<u32>| range.map(|k| format!("layer1.{k}.conv1.weight")).collect();
        let mut report = LoadReport {
            layout: "resnet".into(),
            applied: 90,
            missing: names(0..5),
            unused: vec!["layer1.0.con1.weight".into()],
            wrong_shape: vec![WrongShape { name: "fc.weight".into(), found: vec![5, 64], expected: vec![10, 64] }],
            ..LoadReport::default()
        };
        report.find_suggestions();
        assert_eq!(
            report.problems(),
            "layout resnet, 90 arrays fit: 5 missing (layer1.0.conv1.weight, perhaps 'layer1.0.con1.weight', \
             layer1.1.conv1.weight, perhaps 'layer1.0.con1.weight', layer1.2.conv1.weight, perhaps \
             'layer1.0.con1.weight', and 2 more); 1 of the wrong shape (fc.weight [5, 64], expected [10, 64]); 1 unused \
             (layer1.0.con1.weight)"
        );
        assert!(!report.is_complete(true));
    }
}
