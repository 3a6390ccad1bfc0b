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

/// Leaves out the text of panics in the engine of graphs: they become errors.
fn silence_engine() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|location| location.file().contains("rten")) {
            print(panic);
        }
    }));
}

fn main() -> ExitCode {
    silence_engine();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.downcast_ref::<unrolled::Error>().map_or(1, unrolled::Error::exit_code);
            cli::output::say(&format!("error: {}", message(&error)));
            ExitCode::from(code)
        }
    }
}
