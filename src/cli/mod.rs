//! Arguments, and one short file for each command. The only place that prints.

mod checkpoint_folder;
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

use std::borrow::Cow;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use unrolled::device::{DeviceFailure, DeviceInfo};
use unrolled::kernel::{Backend, Kernels};
use unrolled::ranks::Ranks;
use unrolled::{Error, visible};

/// Train Highway and Residual networks, measure how their blocks refine one estimate, and leave out those that are not
/// needed.
///
/// After Greff, Srivastava and Schmidhuber, "Highway and Residual Networks learn Unrolled Iterative Estimation" (ICLR 2017).
#[derive(Parser)]
#[command(name = "unrolled", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The device that computes: cpu, or in builds with that feature wgpu (a graphics card by Vulkan) or wgpu:1, the second one
    #[arg(long, global = true, default_value = "cpu")]
    device: String,
    /// Kernels on the CPU: native (fused, this program's) or reference (Burn's)
    #[arg(long, global = true, value_parser = kernels_parser(), default_value = Kernels::Native.name())]
    kernels: Kernels,
}

/// Lists the kernels in the help text.
fn kernels_parser() -> impl TypedValueParser<Value = Kernels> {
    let named = |name: String| Kernels::ALL.into_iter().find(|kernels| kernels.name() == name).unwrap_or_default();
    PossibleValuesParser::new(Kernels::ALL.map(Kernels::name)).map(named)
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
    /// Leave blocks out of a network for good, and verify what is left
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

impl Command {
    /// Returns the name of a command that runs no network.
    fn without_network(&self) -> Option<&'static str> {
        match self {
            Self::Merge(_) => Some("merge"),
            Self::Report(_) => Some("report"),
            Self::Data(_) => Some("data"),
            Self::Train(train) if train.only_prints() => Some("train --init"),
            Self::Demo(_)
            | Self::Train(_)
            | Self::Eval(_)
            | Self::Measure(_)
            | Self::Slim(_)
            | Self::Show(_)
            | Self::Compare(_) => None,
        }
    }
}

/// Checks that neither device nor kernels were chosen for a command that uses none.
fn check_default(backend: &Backend, command: &str) -> Result<(), Error> {
    let default = Backend::cpu();
    let chosen =
        [("--device", backend.device != default.device), ("--kernels", backend.preferred != default.preferred)];
    match chosen.into_iter().find(|(_, is_chosen)| *is_chosen) {
        Some((option, _)) => Err(Error::Usage(format!("{option}: {command} runs no network"))),
        None => Ok(()),
    }
}

/// Runs the program with these arguments, the first of which is its name. Returns the exit code.
pub(crate) fn main(arguments: Vec<OsString>) -> u8 {
    silence_panics_that_are_errors();
    unrolled::kernel::fail_without_memory();
    output::set_arguments(&arguments);
    let are_seen = arguments.iter().all(|argument| matches!(visible(&argument.to_string_lossy()), Cow::Borrowed(_)));
    let cli = match Cli::try_parse_from(numbers::join_negative(arguments)) {
        // Its colours are characters that a terminal obeys, and so would be those of an argument.
        Err(error) if are_seen => error.exit(),
        Err(error) => {
            output::say_error(error.render().to_string().trim_end().trim_start_matches("error: "));
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
        Ok(cli) => cli,
    };
    match Ranks::world() {
        Ok(ranks) => run_rank(cli, &ranks),
        Err(error) => fail(&error.into()),
    }
}

/// Runs a command as one of several processes, or alone. Where it fails, the others would wait for ever: all are ended.
fn run_rank(cli: Cli, ranks: &Ranks) -> u8 {
    output::set_rank(ranks);
    let code = match catch_unwind(AssertUnwindSafe(|| run(cli, ranks))) {
        Ok(Ok(())) => return 0,
        Ok(Err(error)) => fail(&error),
        Err(panic) => match panic.downcast_ref::<DeviceFailure>() {
            Some(failure) => fail(&anyhow::anyhow!("{failure}")),
            None if ranks.size() == 1 => resume_unwind(panic),
            None => {
                output::say_error("panicked");
                101
            }
        },
    };
    if ranks.size() > 1 {
        ranks.abort(code);
    }
    code
}

/// Says why a command failed, and returns the exit code.
fn fail(error: &anyhow::Error) -> u8 {
    output::say_error(&message(error));
    error.downcast_ref::<unrolled::Error>().map_or(1, unrolled::Error::exit_code)
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

/// Leaves out the text of panics that become errors: of devices, in decoders, and in the engine of graphs, which has threads of
/// its own.
fn silence_panics_that_are_errors() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_engine = panic.location().is_some_and(|location| location.file().contains("rten"));
        if !is_engine && !unrolled::is_panic_caught() && !panic.payload().is::<DeviceFailure>() {
            print(panic);
        }
    }));
}

/// More threads than any machine computes with. Starting so many would take all of it.
const MAX_THREADS: usize = 1024;

/// Starts the threads that compute. The first computation would start them otherwise, and panic where that fails.
fn start_threads() -> anyhow::Result<()> {
    const COUNT: &str = "RAYON_NUM_THREADS";
    let asked = std::env::var(COUNT).ok().and_then(|count| count.parse::<usize>().ok());
    if let Some(count) = asked.filter(|&count| count > MAX_THREADS) {
        return Err(Error::Usage(format!("{COUNT}: {count}, at most {MAX_THREADS} threads are possible")).into());
    }
    rayon::ThreadPoolBuilder::new().build_global().map_err(|error| {
        let why = unrolled::reason(&error);
        anyhow::anyhow!("the threads that compute cannot be started: {why}; set {COUNT} to fewer")
    })
}

fn run(cli: Cli, ranks: &Ranks) -> anyhow::Result<()> {
    start_threads()?;
    progress::stop_on_interrupt();
    unrolled::kernel::instruction_set()?;
    let device = unrolled::device::open(&cli.device)?;
    let backend = Backend::new(device, cli.kernels);
    if let Some(command) = cli.command.without_network() {
        check_default(&backend, command)?;
    } else if backend.device != Backend::cpu().device {
        output::say(&format!("computes on {}", DeviceInfo::new(&backend.device)));
    }
    match cli.command {
        Command::Train(command) => command.run(&backend, ranks),
        Command::Eval(command) => command.run(&backend, ranks),
        Command::Measure(command) => command.run(&backend, ranks),
        Command::Slim(command) => command.run(&backend, ranks),
        Command::Compare(command) => command.run(&backend, ranks),
        // The others share nothing: the first process does the work.
        _ if !ranks.is_first() => Ok(()),
        Command::Demo(command) => command.run(&backend),
        Command::Show(command) => command.run(&backend),
        Command::Merge(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Data(command) => command.run(),
    }
}
