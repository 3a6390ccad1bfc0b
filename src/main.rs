//! The command-line program `unrolled`.

use std::process::ExitCode;

mod cli;

/// Training asks for the same large arrays in every step.
#[global_allocator]
static ALLOCATOR: unrolled::kernel::CachingAllocator = unrolled::kernel::CachingAllocator;

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
