//! A measurement that continues from what it stored, damaged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use unrolled_fuzz::{damaged_shards, measure, network, one_line, samples};

fuzz_target!(|bytes: &[u8]| {
    let Some(root) = damaged_shards(bytes) else { return };
    let resumed = measure().directory(&root.path().join("1")).resume(true);
    one_line(resumed.run_shard(network(), &samples(), "1/2".parse().expect("a shard"), &mut ()));
});
