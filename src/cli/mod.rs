//! Arguments, and one short file for each command. The only place that prints.

mod compare;
mod data;
mod data_args;
mod demo;
mod eval;
mod measure;
mod measure_args;
mod memory;
mod merge;
mod network_args;
mod numbers;
pub(crate) mod output;
mod progress;
mod report;
pub(crate) mod report_directory;
pub(crate) mod show;
mod slim;
mod train;

use std::ffi::OsString;

use clap::{Parser, Subcommand, ValueEnum};
use unrolled::kernel::{Backend, Kernels};

/// Train Highway and Residual networks, measure how their blocks refine one estimate, and leave out those that are not
/// needed.
///
/// After Greff, Srivastava and Schmidhuber, "Highway and Residual Networks learn Unrolled Iterative Estimation" (ICLR 2017).
#[derive(Parser)]
#[command(name = "unrolled", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The device that computes: cpu, or in builds with that feature cuda or wgpu
    #[arg(long, global = true, default_value = "cpu")]
    device: String,
    /// Which operations compute on the CPU: the fused ones of this program, or those of the engine as a reference
    #[arg(long, global = true, value_enum, default_value_t = Operations::Native)]
    kernels: Operations,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Operations {
    Native,
    Reference,
}

#[derive(Subcommand)]
enum Command {
    /// Train three deep networks on built-in digits and show how they refine their estimates
    Demo(demo::Demo),
    /// Train the network of an experiment file
    Train(train::Train),
    /// Accuracy and loss of a network
    Eval(eval::Eval),
    /// How the blocks of a network refine: estimation error, lesions, read-outs and more
    Measure(Box<measure::Measure>),
    /// Leave blocks out of a network for good, and prove what is left
    Slim(Box<slim::Slim>),
    /// Stages and blocks of a network, what they cost, and which can be left out
    Show(show::Show),
    /// Measure several networks and put them side by side
    Compare(Box<compare::Compare>),
    /// Put the shards of one measurement together, and write its report
    Merge(merge::Merge),
    /// Draw a report again, or write its figures as files
    Report(report::Report),
    /// List or fetch data sets
    #[command(subcommand)]
    Data(data::Data),
}

/// Runs the program with these arguments, the first of which is its name. Returns the exit code.
pub(crate) fn main(arguments: Vec<OsString>) -> u8 {
    silence_engine();
    output::set_arguments(&arguments);
    match run(arguments) {
        Ok(()) => 0,
        Err(error) => {
            output::say(&format!("error: {}", message(&error)));
            error.downcast_ref::<unrolled::Error>().map_or(1, unrolled::Error::exit_code)
        }
    }
}

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

fn run(arguments: Vec<OsString>) -> anyhow::Result<()> {
    let cli = Cli::parse_from(numbers::join_negative(arguments.into_iter()));
    progress::stop_on_interrupt();
    let device = unrolled::device::open(&cli.device)?;
    let kernels = match cli.kernels {
        Operations::Native => Kernels::Native,
        Operations::Reference => Kernels::Reference,
    };
    let backend = Backend::new(device, kernels);
    match cli.command {
        Command::Demo(command) => command.run(&backend),
        Command::Train(command) => command.run(&backend),
        Command::Eval(command) => command.run(&backend),
        Command::Measure(command) => command.run(&backend),
        Command::Slim(command) => command.run(&backend),
        Command::Show(command) => command.run(&backend),
        Command::Compare(command) => command.run(&backend),
        Command::Merge(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Data(command) => command.run(),
    }
}
