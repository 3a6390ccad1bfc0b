//! The mean score of routes that were drawn at random.

use super::Metric;
use super::score::Score;
use crate::report::{Cell, Column, Format};

/// The mean of a metric's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MeanScore {
    /// The metric.
    pub(super) metric: Metric,
    /// The number of scores.
    pub(super) count: usize,
    /// The mean: an accuracy in percent, or a perplexity.
    pub(super) mean: f64,
    /// The standard error of the mean over the scores; a single score has none.
    pub(super) standard_error: Option<f64>,
}

impl MeanScore {
    /// Returns the mean of these scores.
    pub(super) fn of<'a>(metric: Metric, scores: impl IntoIterator<Item = &'a Score>) -> Self {
        let values: Vec<f64> = scores.into_iter().map(|score| metric.value(score)).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_error = (values.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt());
        Self { metric, count: values.len(), mean, standard_error }
    }

    /// Returns the columns of a mean and its standard error.
    pub(super) fn columns(metric: Metric) -> Vec<Column> {
        let name = metric.key();
        let (format, error_format) = match metric {
            Metric::Accuracy => (Format::Percent, Format::Points),
            Metric::Perplexity => (Format::Fixed2, Format::Fixed2),
            Metric::Distance(_) => (Format::Real, Format::Real),
        };
        let unit = if metric == Metric::Accuracy { ", points" } else { "" };
        vec![
            Column::new(&format!("mean_{name}"), &format!("mean {}", metric.name()), format),
            Column::new(&format!("standard_error_{name}"), &format!("standard error{unit}"), error_format),
        ]
    }

    /// Returns the cells under [`MeanScore::columns`].
    pub(super) fn cells(&self) -> Vec<Cell> {
        let scale = if self.metric == Metric::Accuracy { 100.0 } else { 1.0 };
        let cell = |value: f64| Cell::Number(value / scale);
        vec![cell(self.mean), self.standard_error.map_or(Cell::Empty, cell)]
    }
}
