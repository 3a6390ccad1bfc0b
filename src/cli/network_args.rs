//! The networks that commands open, and what a user can say of files that others wrote.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use unrolled::kernel::{Backend, Kernels};
use unrolled::nn::{AnswerKind, AnswerOptions, Positions};
use unrolled::open::{self, AnyNetwork, OpenOptions};
use unrolled::{Error, Result};

use super::{checkpoint_folder, numbers, output};

/// A network to open.
#[derive(Args)]
pub(super) struct NetworkArgs {
    /// A run directory, a model file, or a PyTorch, safetensors or ONNX file; of `show` and `slim` a Transformers folder too
    #[arg(value_name = "NETWORK")]
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) opening: OpenArgs,
}

/// What the file alone may not say.
#[derive(Args)]
pub(super) struct OpenArgs {
    /// What network a PyTorch or safetensors file holds, where it leaves that open: a name such as highway-110 or any
    /// that `show` prints, or an experiment file
    #[arg(long, value_name = "KIND|FILE")]
    arch: Option<String>,
    /// What is subtracted from each channel of the samples, such as .485,.456,.406
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', value_parser = numbers::number)]
    mean: Option<Vec<f32>>,
    /// What each channel is divided by after that
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', value_parser = numbers::number)]
    std: Option<Vec<f32>>,
    /// Names of the classes, one a line
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The key of the network in a PyTorch or safetensors file that holds several, such as teacher or model.ema
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Leave out arrays that the network has no place for, such as an auxiliary classifier; never those of blocks
    #[arg(long)]
    partial: bool,
    #[command(flatten)]
    answers: AnswerArgs,
    /// A file that lists the blocks of an ONNX network, for when they are not found; `show --save-cut` writes one
    #[arg(long, value_name = "FILE")]
    cut: Option<PathBuf>,
}

/// What the file of an ONNX network may leave open about its answers.
#[derive(Args)]
struct AnswerArgs {
    /// The output of an ONNX network that holds its answers; the first one by default
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// What the answers of an ONNX network are: classes, or values that are compared by cosine or mse
    #[arg(long, value_name = "KIND", value_parser = answer_parser())]
    answer: Option<AnswerKind>,
    /// Which positions of a sample count: all, last, or a number from 0
    #[arg(long, value_name = "WHICH")]
    positions: Option<Positions>,
    /// The input of an ONNX network that is 0 at the positions which do not count
    #[arg(long, value_name = "NAME")]
    mask: Option<String>,
}

/// Lists the kinds of answers in the help text.
fn answer_parser() -> impl TypedValueParser<Value = AnswerKind> {
    PossibleValuesParser::new(AnswerKind::ALL.map(AnswerKind::name)).try_map(|name| name.parse())
}

impl AnswerArgs {
    /// Returns the first option that was given.
    fn first_given(&self) -> Option<&'static str> {
        let Self { output, answer, positions, mask } = self;
        let options = [
            ("--output", output.is_some()),
            ("--answer", answer.is_some()),
            ("--positions", positions.is_some()),
            ("--mask", mask.is_some()),
        ];
        options.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
    }

    fn options(&self) -> AnswerOptions {
        let Self { output, answer, positions, mask } = self;
        AnswerOptions { output: output.clone(), mask: mask.clone(), kind: *answer, positions: *positions }
    }
}

impl NetworkArgs {
    pub(super) fn open(&self, backend: &Backend) -> Result<AnyNetwork> {
        let opened = self.opening.open(&self.path, backend)?;
        self.opening.check_used(&[(&self.path, &opened)], backend)?;
        Ok(opened)
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl OpenArgs {
    pub(super) fn open(&self, target: &Path, backend: &Backend) -> Result<AnyNetwork> {
        checkpoint_folder::check_computes(target)?;
        let opened = self.options(backend)?.open(target)?;
        if let Some(unfinished) = opened.unfinished() {
            output::say(&format!("{}: {unfinished}, its latest checkpoint is opened", target.display()));
        }
        Ok(opened)
    }

    /// The options, and whether each was given.
    pub(super) fn given(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("--arch", self.arch.is_some()),
            ("--mean", self.mean.is_some()),
            ("--std", self.std.is_some()),
            ("--labels", self.labels.is_some()),
            ("--key", self.key.is_some()),
            ("--partial", self.partial),
            ("--output, --answer, --positions, --mask", self.answers.options() != AnswerOptions::default()),
            ("--cut", self.cut.is_some()),
        ]
    }

    /// Checks that every option applies to one of the networks at least.
    pub(super) fn check_used(&self, opened: &[(&Path, &AnyNetwork)], backend: &Backend) -> Result<()> {
        let names: Vec<String> = opened.iter().map(|(path, _)| path.display().to_string()).collect();
        let wrong = |option: &str, what: &str| Err(Error::Usage(format!("{option}: {what}, not {}", names.join(", "))));
        if self.cut.is_some() && !opened.iter().any(|(path, _)| open::is_graph_path(path)) {
            return wrong("--cut", "for ONNX files alone");
        }
        if let Some(option) = self.answers.first_given()
            && !opened.iter().any(|(path, _)| open::is_graph_path(path))
        {
            return wrong(option, "for ONNX files alone");
        }
        if opened.iter().all(|(path, _)| open::is_graph_path(path)) {
            if backend.device != Device::flex() {
                return wrong("--device", "for networks of layers; a graph runs on the CPU");
            }
            if backend.preferred == Kernels::Reference {
                return wrong(
                    "--kernels",
                    "for networks of layers; a graph is computed by native kernels where they can, and by an engine of its own",
                );
            }
        }
        if opened.iter().any(|(_, any)| any.is_foreign()) {
            return Ok(());
        }
        let options = [("--arch", self.arch.is_some()), ("--key", self.key.is_some()), ("--partial", self.partial)];
        match options.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => wrong(option, "for PyTorch and safetensors files that others wrote"),
            None => Ok(()),
        }
    }

    fn options(&self, backend: &Backend) -> Result<OpenOptions> {
        let mut options = OpenOptions::new().partial(self.partial).answers(self.answers.options()).backend(backend);
        if let Some(arch) = &self.arch {
            options = options.arch(open::read_arch(arch)?);
        }
        if let Some(key) = &self.key {
            options = options.key(key.clone());
        }
        if let Some(mean) = &self.mean {
            options = options.mean(mean.clone());
        }
        if let Some(std) = &self.std {
            options = options.std(std.clone());
        }
        if let Some(path) = &self.labels {
            options = options.labels(open::read_labels(path)?);
        }
        if let Some(path) = &self.cut {
            options = options.boundaries(open::read_boundaries(path)?);
        }
        Ok(options)
    }
}
