//! What several tests share.
#![allow(dead_code, reason = "every test binary uses a part")]

use unrolled::measure::{EvalSet, Measure, Measurements, Prediction};
use unrolled::nn::{BlockId, Network};

/// Takes measurements of these names, as far as they fit; all where no name is given.
pub(crate) fn measured<N: Network>(network: &N, data: &EvalSet, only: &[&str], seed: u64) -> Measurements {
    let all = Measure::new().seed(seed);
    let measure = if only.is_empty() { all } else { all.only(only).unwrap().skip_inapplicable() };
    measure.run(network, data, &mut ()).unwrap()
}

/// The block of this name.
pub(crate) fn id(name: &str) -> BlockId {
    name.parse().unwrap()
}

/// The prediction for every row of `[batch, classes]` logits.
pub(crate) fn predictions(logits: &[f32], classes: usize, labels: &[u32], whole: &[f32]) -> Vec<Prediction> {
    let rows = logits.chunks_exact(classes).zip(whole.chunks_exact(classes)).zip(labels);
    rows.map(|((row, whole), &label)| Prediction::new(row, label, whole)).collect()
}
