//! The command-line program `unrolled`.

use std::process::ExitCode;

mod cli;

/// Training asks for the same large arrays in every step.
#[global_allocator]
static ALLOCATOR: unrolled::kernel::CachingAllocator = unrolled::kernel::CachingAllocator;

fn main() -> ExitCode {
    ExitCode::from(cli::main(std::env::args_os().collect()))
}
