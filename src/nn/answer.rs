//! What a network answers with: classes or numbers, once a sample or once a position.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What the outputs of a network are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What the values of one answer are, and how two answers are compared.
    pub kind: AnswerKind,
    /// The number of positions of a sample that the network answers at, such as the words of a sentence or the pixels of an
    /// image; 1 where it answers once.
    pub positions: usize,
    /// The positions whose answers count.
    pub selected: Positions,
}

/// What the values of one answer are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerKind {
    /// Logits of classes. Compared with a label, and by the Kullback-Leibler divergence.
    #[default]
    Classes,
    /// A vector of which the direction counts, such as an embedding. Two answers are compared by their cosine.
    Cosine,
    /// Numbers, such as a regression or the corners of boxes. Two answers are compared by their mean squared error.
    Mse,
}

/// The positions of a sample whose answers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// Every position that is not masked.
    All,
    /// The last position that is not masked.
    Last,
    /// The position of this number, counted from 0.
    At(usize),
}

/// What a caller says of the answers of a graph, where its file leaves that open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerOptions {
    /// The name of the output that holds the answers; otherwise the first output that is computed from an input.
    pub output: Option<String>,
    /// The name of the input that says which positions count: those where it is not 0. It has as many positions as the
    /// answers, or as the estimates of a stage. Otherwise such an input of integers or truth values with a name that contains
    /// `mask` and not `pad`, if there is one: a padding mask marks the positions which do not count.
    pub mask: Option<String>,
    /// What the values of an answer are; otherwise what the graph says, or else classes.
    pub kind: Option<AnswerKind>,
    /// The positions whose answers count; otherwise all.
    pub positions: Option<Positions>,
}

impl Answer {
    /// Returns the number of answers of a sample: 1, or the number of its positions where all are selected.
    pub fn count(&self) -> usize {
        if self.selected == Positions::All { self.positions } else { 1 }
    }

    /// Returns whether a sample has one answer, which is a class.
    pub fn is_one_class(&self) -> bool {
        self.kind == AnswerKind::Classes && self.count() == 1
    }

    /// Returns a text such as `10 classes` or `5 classes at each of 40 positions`, for answers of so many classes or values.
    pub fn describe(&self, classes: usize) -> String {
        let what = match self.kind {
            AnswerKind::Classes => format!("{classes} classes"),
            AnswerKind::Cosine => format!("vectors of {classes} values, compared by their cosine"),
            AnswerKind::Mse => format!("{classes} numbers, compared by their squared error"),
        };
        let place = match (self.positions, self.selected) {
            (1, _) => String::new(),
            (count, Positions::All) => format!(" at each of {count} positions"),
            (count, Positions::Last) => format!(" at the last of {count} positions"),
            (count, Positions::At(position)) => format!(" at position {position} of {count}"),
        };
        what + &place
    }

    /// Returns whether it is the default.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Answer {
    /// One answer of classes a sample.
    fn default() -> Self {
        Self { kind: AnswerKind::Classes, positions: 1, selected: Positions::All }
    }
}

impl AnswerKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Classes, Self::Cosine, Self::Mse];

    /// Returns the name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Cosine => "cosine",
            Self::Mse => "mse",
        }
    }
}

impl FromStr for AnswerKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| Error::unknown("answer", text, Self::ALL.map(Self::name)))
    }
}

impl FromStr for Positions {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "all" => Ok(Self::All),
            "last" => Ok(Self::Last),
            _ => {
                let why = format!("'{text}', expected all, last, or the number of a position from 0");
                text.parse().map(Self::At).map_err(|_| Error::argument("positions", why))
            }
        }
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Last => f.write_str("last"),
            Self::At(position) => write!(f, "{position}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_are_printed() {
        for positions in [Positions::All, Positions::Last, Positions::At(0), Positions::At(17)] {
            assert_eq!(positions.to_string().parse::<Positions>().unwrap(), positions);
        }
        for wrong in ["", "first", "-1", "1.5"] {
            let message = wrong.parse::<Positions>().unwrap_err().to_string();
            assert!(message.starts_with("positions: ") && message.contains("all, last"), "{message}");
        }
        assert!("class".parse::<AnswerKind>().unwrap_err().to_string().contains("classes"));
    }
}
