//! Random numbers that depend on a seed and on what they are used for.
//!
//! No generator lives longer than one use: every use has a stream of its own, which is determined by the seed, a [`Purpose`]
//! and numbers such as epoch, step and sample. A training that is resumed draws the same numbers as one that was never
//! interrupted, and the number of worker threads has no influence.

pub use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of random numbers is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The initial values of parameters.
    Init = 1,
    /// The order of the samples of an epoch.
    SampleOrder = 2,
    /// The augmentation of one sample.
    Augment = 3,
    /// Dropout of units.
    Dropout = 4,
    /// Layer dropout (stochastic depth).
    LayerDropout = 5,
    /// The blocks that a shuffle swaps.
    Shuffle = 6,
    /// The blocks of a lesion of several blocks.
    MultiLesion = 7,
    /// The pairs of blocks that are lesioned together, if there are too many pairs for all of them.
    LesionPairs = 8,
    /// The samples of the self-check after a file was opened.
    SelfCheck = 9,
    /// The samples that a read-out is fitted to.
    ProbeSplit = 10,
    /// The samples that choose the blocks to remove. The other samples verify the result.
    VerificationSplit = 11,
    /// The random order of blocks that rankings are compared with.
    RandomRanking = 12,
    /// The pairs of blocks that are swapped, if there are too many pairs for all of them.
    BlockSwaps = 13,
}

/// Returns the stream of random numbers of a seed, a purpose, and `path`, numbers that distinguish the uses of one purpose.
/// Equal arguments give equal numbers on every machine.
pub fn stream(seed: u64, purpose: Purpose, path: &[u64]) -> ChaCha8Rng {
    let mut state = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
    for &part in [purpose as u64].iter().chain(path) {
        state = mix(state ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    }
    ChaCha8Rng::seed_from_u64(state)
}

/// Returns a number of `[0, 1)` with 24 random bits.
pub fn uniform(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// Returns an integer of `0..n`, all equally likely. `n` must not be 0.
pub fn uniform_index(rng: &mut ChaCha8Rng, n: usize) -> usize {
    let n = n as u64;
    // Values of the incomplete last interval are drawn again: they would make small results more likely.
    let limit = u64::MAX - u64::MAX % n;
    loop {
        let value = rng.next_u64();
        if value < limit {
            return (value % n) as usize;
        }
    }
}

/// Returns a number of the standard normal distribution (Box-Muller transform).
pub fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let radius = (-2.0 * f64::from(1.0 - uniform(rng)).ln()).sqrt();
    let angle = std::f64::consts::TAU * f64::from(uniform(rng));
    (radius * angle.cos()) as f32
}

/// Shuffles `items` (Fisher-Yates).
pub fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, uniform_index(rng, last + 1));
    }
}

/// Returns the hash of the finalizer of SplitMix64: every input bit changes about half of the output bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_arguments_give_equal_streams_and_others_different_ones() {
        let draw = |seed, path: &[u64]| stream(seed, Purpose::Init, path).next_u64();
        assert_eq!(draw(1, &[2, 3]), draw(1, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(1, &[3, 2]));
        assert_ne!(draw(1, &[2]), draw(1, &[2, 0]));
        assert_ne!(draw(1, &[2]), draw(2, &[2]));
    }

    #[test]
    fn mean_and_variance_are_those_of_the_distributions() {
        let mut rng = stream(0, Purpose::Init, &[]);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| f64::from(normal(&mut rng))).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let var = draws.iter().map(|x| x * x).sum::<f64>() / f64::from(n);
        // Five standard errors: 1/sqrt(n) for the mean, sqrt(2/n) for the variance.
        assert!(mean.abs() < 5.0 / f64::from(n).sqrt(), "{mean}");
        assert!((var - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt(), "{var}");
        let mut counts = [0u32; 3];
        (0..30_000).for_each(|_| counts[uniform_index(&mut rng, 3)] += 1);
        assert!(counts.iter().all(|&c| (9_500..10_500).contains(&c)), "{counts:?}");
    }
}
