//! What became of a file's arrays.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::arrays::one_line;

/// What became of every array of a file that somebody else wrote.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The layout that names and shapes follow.
    pub layout: String,
    /// What was taken off every name, such as `state_dict.module.`.
    pub prefix: String,
    /// Arrays that were put in their place.
    pub applied: usize,
    /// Counters of training steps, which take no part in what a network computes.
    pub counters: usize,
    /// What stands beside the network in the file, such as an optimizer.
    pub beside: Vec<Beside>,
    /// Arrays that the network needs and the file does not have, by the file's names.
    pub missing: Vec<String>,
    /// Arrays that the network has no place for.
    pub unused: Vec<String>,
    /// Arrays that do not fit their place.
    pub wrong_shape: Vec<WrongShape>,
    /// Missing arrays that may be among the unused ones under another name.
    pub did_you_mean: Vec<DidYouMean>,
}

/// Arrays that are no part of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// What their names begin with.
    pub name: String,
    /// How many.
    pub arrays: usize,
}

/// An array that does not fit its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrongShape {
    /// Its name in the file.
    pub name: String,
    /// Its shape in the file.
    pub found: Vec<usize>,
    /// The shape of its place.
    pub expected: Vec<usize>,
}

/// A name that was looked for, and the nearest that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DidYouMean {
    /// The name that was looked for.
    pub missing: String,
    /// The name that was found.
    pub unused: String,
}

/// More names than this are not compared with each other, and longer ones neither: a hostile file may have millions.
const MOST_NAMES: usize = 64;
const LONGEST_NAME: usize = 128;
/// So many names of a kind stand in a message; the rest are counted.
const NAMED: usize = 3;

impl LoadReport {
    /// Whether the network can be used; unused arrays are left out only where that was asked for.
    pub fn is_whole(&self, partial: bool) -> bool {
        self.missing.is_empty() && self.wrong_shape.is_empty() && (partial || self.unused.is_empty())
    }

    /// Finds the unused array that each missing one may be.
    pub(super) fn compare_names(&mut self) {
        let short = |names: &[String]| -> Vec<String> {
            names.iter().filter(|name| name.len() <= LONGEST_NAME).take(MOST_NAMES).cloned().collect()
        };
        let unused = short(&self.unused);
        for missing in short(&self.missing) {
            let near = unused.iter().map(|name| (strsim::damerau_levenshtein(&missing, name), name)).min();
            if let Some((distance, name)) = near
                && distance <= 1 + missing.len() / 8
            {
                self.did_you_mean.push(DidYouMean { missing, unused: name.clone() });
            }
        }
    }

    /// What does not match, in one line.
    pub fn complaint(&self) -> String {
        let mut parts = Vec::new();
        let missing: Vec<String> = self.missing.iter().map(|name| self.with_nearest(name)).collect();
        let wrong: Vec<String> = self.wrong_shape.iter().map(ToString::to_string).collect();
        for (names, what) in [(&missing, "missing"), (&wrong, "of the wrong shape"), (&self.unused, "unused")] {
            if names.is_empty() {
                continue;
            }
            let more = names.len().saturating_sub(NAMED);
            let few: Vec<String> = names.iter().take(NAMED).map(|name| one_line(name)).collect();
            let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
            parts.push(format!("{} {what} ({}{rest})", names.len(), few.join(", ")));
        }
        let leave = self.missing.is_empty() && self.wrong_shape.is_empty();
        let hint = if leave { "; --partial leaves unused arrays out" } else { "" };
        format!("layout {}, {} arrays fit: {}{hint}", self.layout, self.applied, parts.join("; "))
    }

    fn with_nearest(&self, name: &str) -> String {
        match self.did_you_mean.iter().find(|pair| pair.missing == name) {
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

/// For the terminal: a line for every sort of array that there is.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layout {}", self.layout)?;
        if !self.prefix.is_empty() {
            write!(f, ", names begin with '{}'", one_line(&self.prefix))?;
        }
        write!(f, "\n{} arrays applied, none missing", self.applied)?;
        if self.counters > 0 {
            write!(f, ", {} counters of training steps ignored", self.counters)?;
        }
        for beside in &self.beside {
            let plural = if beside.arrays == 1 { "" } else { "s" };
            write!(f, "\nbeside the network: {}, {} array{plural}", one_line(&beside.name), beside.arrays)?;
        }
        for unused in &self.unused {
            write!(f, "\nunused: {}", one_line(unused))?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_one_line_with_counts_and_the_first_names() {
        let names = |range: std::ops::Range<u32>| range.map(|k| format!("layer1.{k}.conv1.weight")).collect();
        let mut opening = LoadReport {
            layout: "resnet".into(),
            applied: 90,
            missing: names(0..5),
            unused: vec!["layer1.0.con1.weight".into()],
            wrong_shape: vec![WrongShape { name: "fc.weight".into(), found: vec![5, 64], expected: vec![10, 64] }],
            ..LoadReport::default()
        };
        opening.compare_names();
        assert_eq!(
            opening.complaint(),
            "layout resnet, 90 arrays fit: 5 missing (layer1.0.conv1.weight, perhaps 'layer1.0.con1.weight', \
             layer1.1.conv1.weight, perhaps 'layer1.0.con1.weight', layer1.2.conv1.weight, perhaps \
             'layer1.0.con1.weight', and 2 more); 1 of the wrong shape (fc.weight [5, 64], expected [10, 64]); 1 unused \
             (layer1.0.con1.weight)"
        );
        assert!(!opening.is_whole(true));
    }
}
