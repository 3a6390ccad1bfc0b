//! Numbers that Python and Rust draw alike; `reference/draws.py` says how.

use unrolled::nn::Parameters;

fn bits(seed: u64, name: &str, count: usize) -> impl Iterator<Item = u64> {
    let state = format!("{seed}/{name}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (1..=count as u64).map(move |i| {
        let mut z = state.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 40
    })
}

/// The values of a parameter, by the last part of its name, or of `input`.
pub(crate) fn values(seed: u64, name: &str, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape[1..].iter().product();
    let (middle, spread) = match name.rsplit('.').next() {
        Some("weight") => (0.0, (6.0 / fan_in as f64).sqrt()),
        Some("bias" | "shift" | "mean") => (0.0, 0.3),
        Some("scale") => (1.0, 0.3),
        Some("variance") => (1.0, 0.5),
        Some("input") => (0.0, 1.5),
        _ => panic!("{name}: no rule to draw it"),
    };
    let draw = |bits: u64| (middle + spread * (bits as f64 / f64::from(1 << 23) - 1.0)) as f32;
    bits(seed, name, shape.iter().product()).map(draw).collect()
}

/// Class numbers.
pub(crate) fn labels(seed: u64, name: &str, count: usize, classes: usize) -> Vec<u32> {
    bits(seed, name, count).map(|bits| (bits % classes as u64) as u32).collect()
}

/// Sets every array of a network.
pub(crate) fn fill(parameters: &mut Parameters, seed: u64) {
    let all: Vec<_> = parameters.iter().map(|(id, p)| (id, p.name.clone(), p.shape.clone())).collect();
    for (id, name, shape) in all {
        let drawn = values(seed, &name, &shape);
        parameters.set_values(id, &shape, drawn).expect("the parameter's own shape");
    }
}
