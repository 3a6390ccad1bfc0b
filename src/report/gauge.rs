//! What the answers of a network are told by: their accuracy, of a language model their perplexity.

use super::chart::Axis;
use super::number;
use super::result::{Estimate, Lesion, Measurements, Outline, Score};

/// What the answers of a network are told by, and what is lost of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    /// Shares of right answers; what is lost are percentage points.
    Accuracy,
    /// `exp(loss)`; what is lost are nats.
    Perplexity,
}

impl Metric {
    pub(super) fn of(outline: &Outline) -> Self {
        if outline.is_language_model { Self::Perplexity } else { Self::Accuracy }
    }

    /// Of networks that were measured on the same samples.
    pub(super) fn shared(networks: &[Measurements]) -> Self {
        networks.first().map_or(Self::Accuracy, |network| Self::of(&network.outline))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Perplexity => "perplexity",
        }
    }

    /// The same at the beginning of a sentence.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Accuracy => "Accuracy",
            Self::Perplexity => "Perplexity",
        }
    }

    /// What stands at an axis.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy, %",
            Self::Perplexity => "perplexity",
        }
    }

    /// A score, accuracy in percent.
    pub(super) fn value(self, score: &Score) -> f64 {
        match self {
            Self::Accuracy => 100.0 * score.accuracy,
            Self::Perplexity => score.loss.exp(),
        }
    }

    /// Its interval.
    pub(super) fn range(self, score: &Score) -> [f64; 2] {
        match self {
            Self::Accuracy => score.accuracy_ci95.map(|end| 100.0 * end),
            Self::Perplexity => [score.loss - score.loss_ci95, score.loss + score.loss_ci95].map(f64::exp),
        }
    }

    /// A value as people read it.
    pub(super) fn shown(self, value: f64) -> String {
        match self {
            Self::Accuracy => number::percent(value / 100.0),
            Self::Perplexity => number::perplexity(Some(value)),
        }
    }

    /// A score and its interval as people read them.
    pub(super) fn cells(self, score: &Score) -> [String; 2] {
        let interval = match (self, self.range(score)) {
            (Self::Accuracy, _) => number::percent_interval(score.accuracy_ci95),
            (Self::Perplexity, [low, high]) if low.is_finite() && high.is_finite() => format!("{low:.2} to {high:.2}"),
            _ => number::NOT_FINITE.into(),
        };
        [self.shown(self.value(score)), interval]
    }

    /// What grows as answers get worse: the share of wrong ones in percent, or the perplexity.
    pub(super) fn error(self, score: &Score) -> f64 {
        match self {
            Self::Accuracy => 100.0 - self.value(score),
            Self::Perplexity => self.value(score),
        }
    }

    pub(super) fn error_label(self) -> &'static str {
        match self {
            Self::Accuracy => "Error (1 − accuracy), %",
            Self::Perplexity => "Perplexity",
        }
    }

    /// An axis for errors.
    pub(super) fn error_axis(self, errors: impl Iterator<Item = f64>) -> Axis {
        match self {
            Self::Accuracy => Axis::covering(errors.chain([0.0])).within(0.0, 100.0),
            Self::Perplexity => Axis::covering(errors),
        }
    }

    /// An axis for values.
    pub(super) fn axis(self, values: impl Iterator<Item = f64>) -> Axis {
        match self {
            Self::Accuracy => Axis::covering(values).within(0.0, 100.0),
            Self::Perplexity => Axis::covering(values),
        }
    }

    /// What is lost: a share of the answers, or nats.
    pub(super) fn cost(self, lesion: &Lesion) -> Estimate {
        match self {
            Self::Accuracy => lesion.accuracy_cost,
            Self::Perplexity => lesion.loss_cost,
        }
    }

    /// The factor from a cost to its [`Metric::unit`].
    pub(super) fn scale(self) -> f64 {
        match self {
            Self::Accuracy => 100.0,
            Self::Perplexity => 1.0,
        }
    }

    /// The unit of what is lost.
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Accuracy => "points",
            Self::Perplexity => "nats",
        }
    }

    /// The same where it is first met.
    pub(super) fn long_unit(self) -> &'static str {
        match self {
            Self::Accuracy => "points of accuracy",
            Self::Perplexity => "nats of loss",
        }
    }

    /// A cost in its unit, which the heading names.
    pub(super) fn lost(self, cost: f64) -> String {
        match self {
            Self::Accuracy => number::points(cost),
            Self::Perplexity => number::real(cost),
        }
    }

    /// A cost and the half width of its interval.
    pub(super) fn lost_within(self, Estimate { value, ci95 }: Estimate) -> String {
        match self {
            Self::Accuracy => format!("{} ± {}", number::points(value), number::points(ci95)),
            Self::Perplexity => number::plus_minus(value, ci95),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_language_model_is_told_by_perplexity_and_nats() {
        let outline = Outline { is_language_model: true, ..sample::residual().outline };
        let gauge = Metric::of(&outline);
        let loss = 100_f64.ln();
        let score = Score { loss, loss_ci95: 0.01, ..sample::residual().baseline };
        assert_eq!(gauge.cells(&score), ["100.00", "99.00 to 101.01"]);
        assert!((gauge.error(&score) - 100.0).abs() < 1e-9);
        let lost = Estimate { value: 0.25, ci95: 0.5 };
        assert_eq!((gauge.lost_within(lost), gauge.scale()), ("0.2500 ± 0.5000".into(), 1.0));
        let accuracy = Metric::of(&sample::residual().outline);
        assert_eq!((accuracy.lost_within(lost), accuracy.unit()), ("25.00 ± 50.00".into(), "points"));
    }
}
