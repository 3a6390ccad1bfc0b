//! The mean score of routes that were drawn at random.

use super::Metric;
use super::interval::mean;
use super::score::{Estimate, Score};
use crate::report::{Cell, Column, Format};

/// The mean of a metric's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MeanScore {
    /// The metric.
    pub(super) metric: Metric,
    /// The number of scores.
    pub(super) count: usize,
    /// The mean, an accuracy in percent or a perplexity, with its interval over the draws.
    pub(super) mean: Estimate,
}

impl MeanScore {
    /// Returns the mean of these scores.
    pub(super) fn of<'a>(metric: Metric, scores: impl IntoIterator<Item = &'a Score>) -> Self {
        let values: Vec<f64> = scores.into_iter().map(|score| metric.value(score)).collect();
        Self { metric, count: values.len(), mean: mean(values.into_iter()) }
    }

    /// Returns the column of the mean.
    pub(super) fn columns(metric: Metric) -> Vec<Column> {
        let name = metric.key();
        let format = match metric {
            Metric::Accuracy => Format::Percent,
            Metric::Perplexity => Format::Fixed2,
            Metric::Distance(_) => Format::Real,
        };
        vec![Column::new(&format!("mean_{name}"), &format!("mean {}", metric.name()), format)]
    }

    /// Returns the cells under [`MeanScore::columns`].
    pub(super) fn cells(&self) -> Vec<Cell> {
        let scale = if self.metric == Metric::Accuracy { 100.0 } else { 1.0 };
        vec![Cell::Interval(self.mean.value / scale, self.mean.ci95 / scale)]
    }
}
