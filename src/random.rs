//! Random numbers that are a function of where they are used.
//!
//! Nothing in this crate carries a generator along: every draw comes from a stream named by the seed and a path
//! of numbers (what it is for, epoch, step, sample). So a run that is resumed draws what it would have drawn, and
//! the number of worker threads changes nothing.

pub use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of random numbers is for: the first number of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial values of parameters.
    Init = 1,
    /// The order of the samples of an epoch.
    Order = 2,
    /// Augmentation of one sample.
    Augment = 3,
    /// Dropout of units.
    Dropout = 4,
    /// Layer dropout (stochastic depth).
    LayerDropout = 5,
    /// Which blocks a shuffle swaps.
    Shuffle = 6,
    /// Which blocks are left out together.
    Several = 7,
    /// Which pairs of blocks are looked at where there are too many.
    Pairs = 8,
    /// Which samples a read-out is fitted to.
    Halves = 10,
    /// Which blocks change places where there are too many pairs.
    Exchanges = 13,
    /// Samples of the self-check on opening a file.
    Check = 9,
    /// Which samples choose the blocks that are left out; the others prove it.
    Chosen = 11,
    /// The random order of blocks that rankings are compared with.
    Ranking = 12,
}

/// The stream of random numbers at `path` for a purpose; equal arguments give equal numbers on every machine.
pub fn stream(seed: u64, purpose: Purpose, path: &[u64]) -> ChaCha8Rng {
    let mut state = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
    for &part in [purpose as u64].iter().chain(path) {
        state = mix(state ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    }
    ChaCha8Rng::seed_from_u64(state)
}

/// A number of `[0, 1)` with 24 random bits.
pub fn uniform(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// A whole number of `0..n`, every one equally likely. `n` must not be 0.
pub fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    let n = n as u64;
    // Values from the incomplete last interval would favour the small results: they are drawn again.
    let limit = u64::MAX - u64::MAX % n;
    loop {
        let value = rng.next_u64();
        if value < limit {
            return (value % n) as usize;
        }
    }
}

/// A number of the standard normal distribution (Box-Muller).
pub fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let radius = (-2.0 * f64::from(1.0 - uniform(rng)).ln()).sqrt();
    let angle = std::f64::consts::TAU * f64::from(uniform(rng));
    (radius * angle.cos()) as f32
}

/// Puts `items` into a random order (Fisher-Yates).
pub fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

/// The finalizer of SplitMix64: every input bit changes about half of the output bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, path: &[u64]| stream(seed, Purpose::Init, path).next_u64();
        assert_eq!(draw(1, &[2, 3]), draw(1, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(1, &[3, 2]));
        assert_ne!(draw(1, &[2]), draw(1, &[2, 0]));
        assert_ne!(draw(1, &[2]), draw(2, &[2]));
    }

    #[test]
    fn the_moments_are_those_of_the_distributions() {
        let mut rng = stream(0, Purpose::Init, &[]);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| f64::from(normal(&mut rng))).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let var = draws.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        // Five standard errors: 1/sqrt(n) for the mean, sqrt(2/n) for the variance.
        assert!(mean.abs() < 5.0 / f64::from(n).sqrt(), "{mean}");
        assert!((var - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt(), "{var}");
        let mut counts = [0u32; 3];
        (0..30_000).for_each(|_| counts[below(&mut rng, 3)] += 1);
        assert!(counts.iter().all(|&c| (9_500..10_500).contains(&c)), "{counts:?}");
    }
}
