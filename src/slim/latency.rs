//! Measures how long a network takes for one sample.

use std::time::Instant;

use crate::measure::{Estimate, EvalSet, samples};
use crate::nn::{Network, RecurrentState, Route, Samples};
use crate::{Error, Result};

/// Runs before the first that is timed.
const WARM_UP: usize = 2;
/// The least number of timed runs of each network.
const MIN_RUNS: usize = 7;
/// The largest number of timed runs of each network.
const MAX_RUNS: usize = 41;
/// Seconds after which no run is begun that is not needed for the least number.
const MAX_SECONDS: f64 = 2.0;

/// Returns the milliseconds that each network takes for one sample: the median over runs, and as `ci95` half the
/// interquartile range. The networks run in turn, so that other load on the machine affects all of them alike.
pub(super) fn latency<N: Network, const K: usize>(networks: [&N; K], source: &EvalSet) -> Result<[Estimate; K]> {
    let one = EvalSet { batch: 1, ..source.clone() };
    let first = one.batches()?.next().ok_or_else(|| Error::unsupported("samples", "there is none to time"))??;
    let (sample, _) = samples(first);
    let mut times: [Vec<f64>; K] = std::array::from_fn(|_| Vec::new());
    let begun = Instant::now();
    for run in 0..WARM_UP + MAX_RUNS {
        for (network, times) in networks.iter().zip(&mut times) {
            let time = timed(*network, &sample)?;
            if run >= WARM_UP {
                times.push(time);
            }
        }
        if run >= WARM_UP + MIN_RUNS && begun.elapsed().as_secs_f64() > MAX_SECONDS {
            break;
        }
    }
    Ok(times.map(spread))
}

/// Returns the milliseconds of one run.
fn timed<N: Network>(network: &N, sample: &Samples) -> Result<f64> {
    let route = Route::identity(network.outline());
    let begun = Instant::now();
    network.forward_along(&route, sample, &mut RecurrentState::default())?;
    Ok(1e3 * begun.elapsed().as_secs_f64())
}

/// Returns the median, and half the interquartile range as `ci95`.
fn spread(mut times: Vec<f64>) -> Estimate {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[(share * (times.len() - 1) as f64).round() as usize];
    Estimate { value: at(0.5), ci95: 0.5 * (at(0.75) - at(0.25)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_half_the_distance_of_the_quartiles() {
        let found = spread(vec![9.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(found, Estimate { value: 3.0, ci95: 1.0 });
    }
}
