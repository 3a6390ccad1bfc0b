//! Any text, read as a plan of `slim`; what is understood is written and read again.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use unrolled::nn::Network;
use unrolled::slim::RemovalPlan;
use unrolled_fuzz::{network, one_line};

fuzz_target!(|text: &str| {
    let path = Path::new("plan.toml");
    let Some(plan) = one_line(RemovalPlan::parse(path, text)) else { return };
    assert_eq!(RemovalPlan::parse(path, &plan.to_toml().expect("TOML")).expect("what was written"), plan);
    one_line(plan.removed(path, network().outline()));
});
