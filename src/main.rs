//! The command-line program `unrolled`.

use std::process::ExitCode;

mod cli;

/// Training asks for the same large arrays in every step.
#[global_allocator]
static ALLOCATOR: unrolled::kernel::CachingAllocator = unrolled::kernel::CachingAllocator;

/// Returns the text of an error. An argument of the library is the command line's option of the same name.
fn message(error: &anyhow::Error) -> String {
    match error.downcast_ref::<unrolled::Error>() {
        Some(error @ unrolled::Error::Argument { name, .. }) => {
            let option = if *name == "boundaries" { "cut".to_owned() } else { name.replace('_', "-") };
            format!("--{option}{}", error.to_string().trim_start_matches(name))
        }
        _ => error.to_string(),
    }
}

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.downcast_ref::<unrolled::Error>().map_or(1, unrolled::Error::exit_code);
            cli::output::say(&format!("error: {}", message(&error)));
            ExitCode::from(code)
        }
    }
}
