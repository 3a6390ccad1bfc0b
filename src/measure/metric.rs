//! The metric of predictions: their accuracy, for a language model its perplexity, for answers that are no classes their
//! distance from those of the whole network.

use super::lesion::LesionResult;
use super::score::{Estimate, Score};
use super::sentences::number;
use crate::nn::{AnswerKind, Outline};
use crate::report::{Cell, Column, Format, Scale};

/// The metric of predictions, with the unit of what a change costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The share of correct predictions. A cost is counted in percentage points.
    Accuracy,
    /// `exp(loss)`. A cost is counted in nats of loss.
    Perplexity,
    /// How far the answers are from those of the whole network, where they are no classes: 1 minus the cosine, or the mean
    /// squared error.
    Distance(AnswerKind),
}

impl Metric {
    /// Returns the metric of a network.
    pub fn of(outline: &Outline) -> Self {
        match outline.answer.kind {
            AnswerKind::Classes if outline.is_language_model => Self::Perplexity,
            AnswerKind::Classes => Self::Accuracy,
            kind => Self::Distance(kind),
        }
    }

    /// The name in the middle of a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Perplexity => "perplexity",
            Self::Distance(AnswerKind::Mse) => "squared error",
            Self::Distance(_) => "cosine distance",
        }
    }

    /// The name of a column that holds its values.
    pub fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy_fraction",
            Self::Perplexity => "perplexity",
            Self::Distance(AnswerKind::Mse) => "squared_error",
            Self::Distance(_) => "cosine_distance",
        }
    }

    /// The name at the beginning of a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Accuracy => "Accuracy",
            Self::Perplexity => "Perplexity",
            Self::Distance(AnswerKind::Mse) => "Squared error",
            Self::Distance(_) => "Cosine distance",
        }
    }

    /// The unit of a value; empty where it has none.
    pub fn value_unit(self) -> &'static str {
        if self == Self::Accuracy { "%" } else { "" }
    }

    /// The heading of a column of values, with their unit.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy, %",
            Self::Perplexity => "perplexity",
            Self::Distance(AnswerKind::Mse) => "mean squared error",
            Self::Distance(_) => "cosine distance",
        }
    }

    /// Returns the score's value: the accuracy in percent, the perplexity, or the distance.
    pub fn value(self, score: &Score) -> f64 {
        match self {
            Self::Accuracy => 100.0 * score.accuracy,
            Self::Perplexity => score.loss.exp(),
            Self::Distance(_) => score.loss,
        }
    }

    /// Returns the ends of the value's 95 % interval.
    pub fn range(self, score: &Score) -> [f64; 2] {
        match self {
            Self::Accuracy => score.accuracy_ci95.map(|end| 100.0 * end),
            Self::Perplexity => [score.loss - score.loss_ci95, score.loss + score.loss_ci95].map(f64::exp),
            Self::Distance(_) => [score.loss - score.loss_ci95, score.loss + score.loss_ci95],
        }
    }

    /// Returns the value of guessing: `100 / classes` percent, a perplexity of as many as there are classes, or the cosine
    /// distance 1 of directions that have nothing in common; NaN for a squared error, for which there is none.
    pub fn chance(self, outline: &Outline) -> f64 {
        match self {
            Self::Accuracy => 100.0 / outline.classes as f64,
            Self::Perplexity => outline.classes as f64,
            Self::Distance(AnswerKind::Mse) => f64::NAN,
            Self::Distance(_) => 1.0,
        }
    }

    /// The scale of an axis of values.
    pub fn scale(self) -> Scale {
        match self {
            Self::Accuracy => Scale::Between(0.0, 100.0),
            Self::Perplexity => Scale::Logarithmic,
            Self::Distance(_) => Scale::Including(vec![0.0]),
        }
    }

    /// Returns what a lesion costs: a share of the predictions, nats, or a distance.
    pub fn cost(self, lesion: &LesionResult) -> Estimate {
        match self {
            Self::Accuracy => lesion.accuracy_cost,
            Self::Perplexity | Self::Distance(_) => lesion.loss_cost,
        }
    }

    /// Returns a cost in its unit: percentage points, nats, or the distance as it is.
    pub fn in_unit(self, Estimate { value, ci95 }: Estimate) -> Estimate {
        match self {
            Self::Accuracy => Estimate { value: 100.0 * value, ci95: 100.0 * ci95 },
            Self::Perplexity | Self::Distance(_) => Estimate { value, ci95 },
        }
    }

    /// The unit of a cost.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Accuracy => "points",
            Self::Perplexity => "nats",
            Self::Distance(_) => self.name(),
        }
    }

    /// The unit of a cost where it is first met.
    pub fn long_unit(self) -> &'static str {
        match self {
            Self::Accuracy => "points of accuracy",
            Self::Perplexity => "nats of loss",
            Self::Distance(AnswerKind::Mse) => "of squared error",
            Self::Distance(_) => "of cosine distance",
        }
    }

    /// Returns a value as it stands in a sentence: `97.31 %`, or a perplexity.
    pub fn format_value(self, value: f64) -> String {
        match self {
            Self::Accuracy => number(value / 100.0, Format::Percent),
            Self::Perplexity => number(value, Format::Fixed2),
            Self::Distance(_) => number(value, Format::Real),
        }
    }

    /// Returns a cost in its unit as it stands in a sentence, without the unit.
    pub fn format_cost(self, cost: f64) -> String {
        match self {
            Self::Accuracy => number(cost, Format::Points),
            Self::Perplexity | Self::Distance(_) => number(cost, Format::Real),
        }
    }

    /// Returns the columns of a score: accuracy, and loss or perplexity, or the distance alone. The terminal shows what the metric
    /// names.
    pub fn score_columns(self, suffix: &str) -> Vec<Column> {
        let accuracy = Column::new("accuracy_fraction", &format!("accuracy{suffix}"), Format::Percent);
        let perplexity = Column::new("perplexity", &format!("perplexity{suffix}"), Format::Fixed2);
        let loss = Column::new("loss_nats", &format!("loss{suffix}, nats"), Format::Real).detail();
        match self {
            Self::Accuracy => vec![accuracy, loss],
            Self::Perplexity => vec![perplexity, loss, accuracy.detail()],
            Self::Distance(_) => vec![Column::new(self.key(), &format!("{}{suffix}", self.name()), Format::Real)],
        }
    }

    /// Returns the cells under [`Metric::score_columns`].
    pub fn score_cells(self, score: &Score) -> Vec<Cell> {
        let accuracy = Cell::Range(score.accuracy, score.accuracy_ci95);
        let loss = Cell::Interval(score.loss, score.loss_ci95);
        match self {
            Self::Accuracy => vec![accuracy, loss],
            Self::Perplexity => vec![Cell::Range(self.value(score), self.range(score)), loss, accuracy],
            Self::Distance(_) => vec![loss],
        }
    }

    /// Returns the columns of a lesion's costs.
    pub fn cost_columns(self) -> Vec<Column> {
        let accuracy = Column::new("accuracy_cost_fraction", "cost, points", Format::Points);
        let loss = Column::new("loss_cost_nats", "cost, nats", Format::Real);
        match self {
            Self::Accuracy => vec![accuracy, loss.detail()],
            Self::Perplexity => vec![loss, accuracy.detail()],
            Self::Distance(_) => {
                vec![Column::new(&format!("{}_cost", self.key()), &format!("cost, {}", self.name()), Format::Real)]
            }
        }
    }

    /// Returns the cells under [`Metric::cost_columns`].
    pub fn cost_cells(self, lesion: &LesionResult) -> Vec<Cell> {
        let cell = |cost: Estimate| Cell::Interval(cost.value, cost.ci95);
        match self {
            Self::Accuracy => vec![cell(lesion.accuracy_cost), cell(lesion.loss_cost)],
            Self::Perplexity => vec![cell(lesion.loss_cost), cell(lesion.accuracy_cost)],
            Self::Distance(_) => vec![cell(lesion.loss_cost)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_model_is_told_by_perplexity_and_nats() {
        let loss = 100_f64.ln();
        let score =
            Score { accuracy: 0.3, loss, samples: 9, positions: None, accuracy_ci95: [0.2, 0.4], loss_ci95: 0.01 };
        let [low, high] = Metric::Perplexity.range(&score);
        assert!((low - 99.005).abs() < 1e-3 && (high - 101.005).abs() < 1e-3, "{low} {high}");
        assert!((Metric::Perplexity.value(&score) - 100.0).abs() < 1e-9);
        assert!((Metric::Accuracy.value(&score) - 30.0).abs() < 1e-9);
        let cost = Estimate { value: 0.25, ci95: 0.5 };
        assert_eq!(Metric::Accuracy.in_unit(cost), Estimate { value: 25.0, ci95: 50.0 });
        assert_eq!(Metric::Perplexity.in_unit(cost), cost);
    }
}
