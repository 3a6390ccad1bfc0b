//! Two shards that are merged, one of them damaged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use unrolled_fuzz::{damaged_shards, one_line};

fuzz_target!(|bytes: &[u8]| {
    let Some(root) = damaged_shards(bytes) else { return };
    let parts = ["1", "2"].map(|number| root.path().join(number));
    one_line(unrolled::measure::merge(&parts, &[], None, None));
});
