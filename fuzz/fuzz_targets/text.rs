//! Any text, read as an experiment file, a route, and a data set's name; what is understood is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use unrolled::data::DataSpec;
use unrolled::nn::{Network, Route};
use unrolled::train::Experiment;
use unrolled_fuzz::{network, one_line};

fuzz_target!(|text: &str| {
    if let Some(experiment) = one_line(Experiment::parse(text, &[], "file")) {
        let again = Experiment::parse(&experiment.to_toml().expect("TOML"), &[], "file").expect("what was written");
        assert_eq!(format!("{again:?}"), format!("{experiment:?}"));
    }
    // As an override too, of an experiment that lacks everything else.
    one_line(Experiment::parse("", &[text.to_owned()], "file"));
    if let Some(route) = one_line(Route::parse(text, network().outline())) {
        let again = Route::parse(&route.to_string(), network().outline()).expect("what was printed");
        assert_eq!(again, route);
        route.steps();
    }
    one_line(text.parse::<DataSpec>());
});
