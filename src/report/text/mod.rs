//! Results in the terminal: plain Unicode tables, no colours.

mod measurements;
mod outline;
mod slim;

pub use measurements::measurements;
pub use outline::outline;
pub use slim::slimming;

use super::number;
use super::result::Score;

/// A score in one line.
pub fn score(score: &Score) -> String {
    format!(
        "accuracy {} (95 % interval {}), loss {} nats, {}\n",
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
        assert_eq!(score(&result), expected);
        result.loss = f64::NAN;
        assert!(score(&result).contains("loss not finite nats"));
    }
}
