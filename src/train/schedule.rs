//! The learning rate of every step.

use serde::{Deserialize, Serialize};

use super::{ScheduleKind, TrainConfig};

/// The learning rate of every step. Its state is that of the schedule `plateau`: the factor and the best loss so far.
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
    /// Returns the learning rate at a step, which is counted from 0 over the whole training.
    ///
    /// During the warm-up the rate grows linearly to `config.rate`. The schedule `cosine` falls to 0 over the steps that
    /// follow: `rate · (1 + cos(π·progress)) / 2` (Loshchilov and Hutter 2017).
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

    /// Updates the schedule with the evaluated loss at the end of an epoch.
    pub fn end_epoch(&mut self, config: &TrainConfig, loss: f64) {
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
    fn the_step_schedule_multiplies_the_rate_at_its_milestones() {
        let config =
            TrainConfig { rate: 1.0, schedule: ScheduleKind::Step, milestones: vec![1, 2], ..TrainConfig::default() };
        let found: Vec<f64> = [9, 10, 19, 20].map(|s| Schedule::default().rate(&config, s, 10)).to_vec();
        let expected = [1.0, 0.1, 0.1, 0.01];
        assert!(found.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-12), "{found:?}");
    }

    #[test]
    fn the_plateau_schedule_multiplies_the_rate_if_the_loss_falls_too_little() {
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
            schedule.end_epoch(&config, loss);
            seen.push(schedule.rate(&config, 0, 10));
        }
        assert_eq!(seen, [1.0, 1.0, 0.5, 0.5, 0.25]);
    }
}
