//! Runs the command-line cases in `tests/cmd` and the transcripts of the README, and compares what they print.

#[test]
fn commands_print_what_the_cases_say() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd").case("README.md");
}
