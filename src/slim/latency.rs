//! How long one sample takes.

use std::time::Instant;

use crate::measure::{Estimate, EvalSet, samples};
use crate::nn::{Network, RecurrentState, Route, Samples};
use crate::{Error, Result};

/// Runs before any is timed.
const WARM_UP: usize = 2;
/// Runs of each network, the fewest and the most, and seconds after which no more are begun.
const RUNS: (usize, usize, f64) = (7, 41, 2.0);

/// Milliseconds that one sample alone takes in each of some networks: the median of runs in turn, so that what else the
/// machine does meets all of them alike, and half the distance of the quartiles.
pub(super) fn latency<N: Network, const K: usize>(networks: [&N; K], source: &EvalSet) -> Result<[Estimate; K]> {
    let one = EvalSet { batch: 1, ..source.clone() };
    let first = one.batches()?.next().ok_or_else(|| Error::Usage("no sample to time".into()))??;
    let (sample, _) = samples(first);
    let mut times: [Vec<f64>; K] = std::array::from_fn(|_| Vec::new());
    let begun = Instant::now();
    for run in 0..WARM_UP + RUNS.1 {
        for (network, times) in networks.iter().zip(&mut times) {
            let time = timed(*network, &sample)?;
            if run >= WARM_UP {
                times.push(time);
            }
        }
        if run >= WARM_UP + RUNS.0 && begun.elapsed().as_secs_f64() > RUNS.2 {
            break;
        }
    }
    Ok(times.map(spread))
}

fn timed<N: Network>(network: &N, sample: &Samples) -> Result<f64> {
    let route = Route::identity(network.outline());
    let begun = Instant::now();
    network.forward_along(&route, sample, &mut RecurrentState::default())?;
    Ok(1e3 * begun.elapsed().as_secs_f64())
}

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
