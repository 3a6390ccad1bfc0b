//! The command-line program `unrolled`.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.downcast_ref::<unrolled::Error>().map_or(1, unrolled::Error::exit_code);
            cli::output::say(&format!("error: {error}"));
            ExitCode::from(code)
        }
    }
}
