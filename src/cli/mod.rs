//! Arguments, and one short file for each command. The only place that prints.

mod data;
mod demo;
mod measure;
mod memory;
pub(crate) mod output;
mod show;
mod slim;
mod target;
mod train;

use clap::{Args, Parser, Subcommand, ValueEnum};
use unrolled::data::Split;
use unrolled::kernel::Kernels;

/// Train Highway and Residual networks, measure how their blocks refine one estimate, and leave out those that are not
/// needed.
///
/// After Greff, Srivastava and Schmidhuber, "Highway and Residual Networks learn Unrolled Iterative Estimation" (ICLR 2017).
#[derive(Parser)]
#[command(name = "unrolled", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Where to compute
    #[arg(long, global = true, default_value = "cpu")]
    device: String,
    /// Which operations compute on the CPU: our own, or the engine's as a reference
    #[arg(long, global = true, value_enum, default_value_t = Operations::Own)]
    kernels: Operations,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Operations {
    Own,
    Stock,
}

#[derive(Subcommand)]
enum Command {
    /// Train three deep networks on built-in digits and show how they refine their estimates
    Demo(demo::Demo),
    /// Train the network of an experiment file
    Train(train::Train),
    /// Accuracy and loss of a network
    Eval(measure::Eval),
    /// How the blocks of a network refine: estimation error, lesions, read-outs and more
    Measure(measure::Measure),
    /// Leave blocks out of a network for good, and prove what is left
    Slim(Box<slim::Slim>),
    /// Stages and blocks of a network, what they cost, and which can be left out
    Show(show::Show),
    /// Measure several networks and put them side by side
    Compare(measure::Compare),
    /// List or fetch data sets
    #[command(subcommand)]
    Data(data::Data),
}

/// The samples to use.
#[derive(Args)]
struct DataArgs {
    /// digits, mnist:DIR, fashion-mnist:DIR, cifar10:DIR, cifar100:DIR, folder:DIR; text:DIR with train.txt, valid.txt and
    /// test.txt; or arrays:FILE: a .npz file with an array for each input of the network and maybe one named labels, or a
    /// .npy file
    #[arg(long, value_name = "SPEC")]
    data: String,
    /// Which part of the data
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// Use the first N samples only
    #[arg(long, value_name = "N")]
    limit: Option<std::num::NonZeroUsize>,
    /// Samples that run through the network at once
    #[arg(long, value_name = "N", default_value = "64")]
    batch: std::num::NonZeroUsize,
    /// For a folder: resize the shorter side to so many pixels
    #[arg(long, value_name = "PIXELS")]
    resize: Option<usize>,
    /// For a folder: then cut out the middle, so many pixels a side
    #[arg(long, value_name = "PIXELS")]
    crop: Option<usize>,
}

impl DataArgs {
    /// The data as a report names them.
    fn describe(&self, is_labelled: bool) -> String {
        let part = match self.split {
            _ if !is_labelled => {
                "without labels: accuracy is agreement with the whole network, loss divergence from it"
            }
            _ if self.data.starts_with("arrays:") => "with labels",
            Part::Train => "training split",
            Part::Valid => "validation split",
            Part::Test => "test split",
        };
        format!("{}, {part}", self.data)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Train,
    /// Of a text
    Valid,
    Test,
}

impl From<Part> for Split {
    fn from(part: Part) -> Self {
        match part {
            Part::Train => Self::Train,
            Part::Valid => Self::Valid,
            Part::Test => Self::Test,
        }
    }
}

pub(crate) fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let device = unrolled::device::open(&cli.device)?;
    match cli.kernels {
        Operations::Own => Kernels::Own.choose(),
        Operations::Stock => Kernels::Stock.choose(),
    }
    match cli.command {
        Command::Demo(command) => command.run(&device),
        Command::Train(command) => command.run(&device),
        Command::Eval(command) => command.run(&device),
        Command::Measure(command) => command.run(&device),
        Command::Slim(command) => command.run(&device),
        Command::Show(command) => command.run(&device),
        Command::Compare(command) => command.run(&device),
        Command::Data(command) => command.run(),
    }
}
