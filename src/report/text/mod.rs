//! Results in the terminal: plain Unicode tables, no colours.

mod measurements;
mod outline;
mod slim;

pub use measurements::measurements;
pub use outline::outline;
pub use slim::slimming;

use super::number;
use super::result::{Outline, Score};

/// A score in one line; that of a language model begins with its perplexity.
pub fn score(score: &Score, outline: &Outline) -> String {
    let perplexity = match outline.perplexity(score.loss) {
        Some(value) => {
            let bounds = [score.loss - score.loss_ci95, score.loss + score.loss_ci95];
            let [low, high] = bounds.map(|loss| number::perplexity(outline.perplexity(loss)));
            format!("perplexity {} (95 % interval {low} to {high}), ", number::perplexity(Some(value)))
        }
        None => String::new(),
    };
    format!(
        "{perplexity}accuracy {} (95 % interval {}), loss {} nats, {}\n",
        number::percent(score.accuracy),
        number::percent_interval(score.accuracy_ci95),
        number::plus_minus(score.loss, score.loss_ci95),
        samples(score.samples),
    )
}

fn samples(count: u64) -> String {
    format!("{} sample{}", number::count(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_score_takes_one_line() {
        let mut result = Score {
            accuracy: 0.9731,
            loss: 0.1021,
            samples: 10_000,
            accuracy_ci95: [0.9697, 0.9762],
            loss_ci95: 0.008,
        };
        let expected = "accuracy 97.31 % (95 % interval 96.97 to 97.62 %), loss 0.1021 ± 0.0080 nats, 10,000 samples\n";
        let mut outline = sample::residual().outline;
        assert_eq!(score(&result, &outline), expected);
        result.loss = f64::NAN;
        assert!(score(&result, &outline).contains("loss not finite nats"));
        (result.loss, outline.is_language_model) = (100f64.ln(), true);
        assert!(score(&result, &outline).starts_with("perplexity 100.00 (95 % interval 99.20 to 100.80), accuracy "));
    }
}
