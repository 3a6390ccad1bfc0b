//! The learning rate of every step.

use serde::{Deserialize, Serialize};

use super::{ScheduleKind, TrainConfig};

/// The learning rate of every step. What it remembers is the plateau's factor and best loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    factor: f64,
    best: Option<f64>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { factor: 1.0, best: None }
    }
}

impl Schedule {
    /// The rate at a step, counted from 0 over the whole run, of a run with so many steps an epoch.
    ///
    /// During warm-up it grows linearly to the full rate; the cosine falls to 0 over the steps that follow:
    /// `rate · (1 + cos(π·progress)) / 2` (Loshchilov and Hutter 2017).
    pub fn rate(&self, config: &TrainConfig, step: u64, steps_per_epoch: u64) -> f64 {
        let per_epoch = steps_per_epoch.max(1) as f64;
        let warmup = (config.warmup * per_epoch).round();
        let at = step as f64;
        if at < warmup {
            return config.rate * (at + 1.0) / warmup;
        }
        let factor = match config.schedule {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Plateau => self.factor,
            ScheduleKind::Step => {
                let epoch = step / steps_per_epoch.max(1);
                let passed = config.milestones.iter().filter(|&&m| epoch >= m).count();
                config.factor.powi(passed as i32)
            }
            ScheduleKind::Cosine => {
                let total = (config.epochs as f64 * per_epoch - warmup).max(1.0);
                let progress = ((at - warmup) / total).min(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        };
        config.rate * factor
    }

    /// Takes note of the evaluated loss at an epoch's end.
    pub fn epoch_ended(&mut self, config: &TrainConfig, loss: f64) {
        let improved = self.best.is_none_or(|best| loss <= best - config.threshold && loss < best);
        if config.schedule == ScheduleKind::Plateau && !improved {
            self.factor *= config.factor;
        }
        if self.best.is_none_or(|best| loss < best) {
            self.best = Some(loss);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(config: &TrainConfig, steps: std::ops::Range<u64>) -> Vec<f64> {
        steps.map(|s| Schedule::default().rate(config, s, 10)).collect()
    }

    #[test]
    fn warmup_ends_at_the_full_rate_and_the_cosine_at_zero() {
        let config =
            TrainConfig { rate: 1.0, epochs: 3, warmup: 1.0, schedule: ScheduleKind::Cosine, ..TrainConfig::default() };
        let all = rates(&config, 0..31);
        assert!((all[0] - 0.1).abs() < 1e-12 && (all[9] - 1.0).abs() < 1e-12, "{all:?}");
        assert!((all[10] - 1.0).abs() < 1e-12 && (all[20] - 0.5).abs() < 1e-12 && all[30].abs() < 1e-12, "{all:?}");
    }

    #[test]
    fn steps_multiply_at_the_epochs_named() {
        let config =
            TrainConfig { rate: 1.0, schedule: ScheduleKind::Step, milestones: vec![1, 2], ..TrainConfig::default() };
        let at: Vec<f64> = [9, 10, 19, 20].map(|s| Schedule::default().rate(&config, s, 10)).to_vec();
        let expected = [1.0, 0.1, 0.1, 0.01];
        assert!(at.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-12), "{at:?}");
    }

    #[test]
    fn a_plateau_halves_when_the_loss_falls_too_little() {
        let config = TrainConfig {
            rate: 1.0,
            schedule: ScheduleKind::Plateau,
            factor: 0.5,
            threshold: 0.1,
            ..TrainConfig::default()
        };
        let mut schedule = Schedule::default();
        let mut seen = Vec::new();
        for loss in [3.0, 2.0, 1.95, 1.7, 1.8] {
            schedule.epoch_ended(&config, loss);
            seen.push(schedule.rate(&config, 0, 10));
        }
        assert_eq!(seen, [1.0, 1.0, 0.5, 0.5, 0.25]);
    }
}
