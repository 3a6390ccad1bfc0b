//! The samples that a command names.

use clap::{Args, ValueEnum};
use unrolled::data::{ResizeCrop, Split};
use unrolled::measure::EvalSet;
use unrolled::nn::{Answer, AnswerKind, Outline};
use unrolled::open::{AnyNetwork, EvalSetOptions};
use unrolled::{Error, Result};

use super::output;

/// The samples to use.
#[derive(Args)]
pub(super) struct DataArgs {
    /// digits, mnist:DIR, fashion-mnist:DIR, cifar10:DIR, cifar100:DIR, folder:DIR; text:DIR with train.txt, valid.txt and
    /// test.txt; or arrays:FILE: a .npz file with an array for each input of the network and maybe one named labels, or a
    /// .npy file
    #[arg(long, value_name = "SPEC")]
    pub(super) data: String,
    #[command(flatten)]
    part: PartArgs,
}

/// The samples to use, where there need not be any.
#[derive(Args)]
pub(super) struct OptionalDataArgs {
    /// The samples that were measured, for the pictures of patches; without them those are left out
    #[arg(long, value_name = "SPEC")]
    data: Option<String>,
    #[command(flatten)]
    part: PartArgs,
}

/// Which samples of a data set.
#[derive(Args)]
struct PartArgs {
    /// Which part of the data
    #[arg(long, value_enum, default_value_t = Part::Test, requires = "data")]
    split: Part,
    /// Use the first N samples only
    #[arg(long, value_name = "N", requires = "data")]
    limit: Option<std::num::NonZeroUsize>,
    /// Samples that run through the network at once
    #[arg(long, value_name = "N", default_value = "64", requires = "data")]
    batch: std::num::NonZeroUsize,
    /// For a folder: resize the shorter side to so many pixels
    #[arg(long, value_name = "PIXELS", requires = "data")]
    resize: Option<usize>,
    /// For a folder: then cut out the middle, so many pixels a side
    #[arg(long, value_name = "PIXELS", requires = "data")]
    crop: Option<usize>,
}

impl PartArgs {
    fn options(&self, data: &str) -> Result<EvalSetOptions> {
        let options = EvalSet::open(data)?.split(self.split.into()).batch(self.batch.into());
        let view = ResizeCrop { resize: self.resize, crop: self.crop };
        Ok(options.limit(self.limit.map_or(0, usize::from)).view(view))
    }
}

impl DataArgs {
    /// The first samples of another split; all of them where the number is 0.
    pub(super) fn first_of(&self, split: Split, count: usize) -> Result<EvalSet> {
        self.part.options(&self.data)?.split(split).limit(count).build()
    }

    /// The split that is named.
    pub(super) fn split(&self) -> Split {
        self.part.split.into()
    }

    /// The number of samples at once.
    pub(super) fn batch(&self) -> usize {
        self.part.batch.into()
    }

    /// The samples as the network of this name takes them; those without labels are labelled with what it predicts.
    pub(super) fn for_network(&self, name: &str, network: &mut AnyNetwork) -> Result<EvalSet> {
        let data = self.part.options(&self.data)?.for_network(network).map_err(|e| named(name, e))?;
        self.say_unknown_words(name, &data);
        Ok(data)
    }

    /// The samples as the network of this name takes them, which must have labels.
    pub(super) fn labelled_for_network(&self, name: &str, network: &mut AnyNetwork) -> Result<EvalSet> {
        let data = self.part.options(&self.data)?.unlabelled_for_network(network).map_err(|e| named(name, e))?;
        if !data.dataset.is_labelled() {
            let why = "no labels, so that there is no accuracy; measure tells what each block does to the answers";
            return Err(Error::unsupported(&self.data, why));
        }
        self.say_unknown_words(name, &data);
        Ok(data)
    }

    fn say_unknown_words(&self, name: &str, data: &EvalSet) {
        let (unknown, words) = (data.dataset.unknown_words(), data.len());
        if unknown > 0 {
            output::say(&format!("{}: {unknown} of {words} words are unknown to {name}, told as <unk>", self.data));
        }
    }

    /// The data as a report names them, with what the network answers with where that is not one class a sample.
    pub(super) fn describe(&self, data: &EvalSet, outline: &Outline) -> String {
        let part = match self.part.split {
            _ if outline.answer.kind != AnswerKind::Classes => "compared with the answers of the whole network",
            _ if !data.dataset.is_labelled() => {
                "without labels: accuracy is agreement with the whole network, loss divergence from it"
            }
            _ if self.data.starts_with("arrays:") => "with labels",
            Part::Train => "training split",
            Part::Valid => "validation split",
            Part::Test => "test split",
        };
        let answers = match outline.answer == Answer::default() {
            true => String::new(),
            false => format!("; {}", outline.answer.describe(outline.classes)),
        };
        format!("{}, {part}{answers}", self.data)
    }
}

impl OptionalDataArgs {
    /// The samples, where they are named.
    pub(super) fn open(&self) -> Result<Option<EvalSet>> {
        self.data.as_ref().map(|data| self.part.options(data)?.build()).transpose()
    }
}

/// Names the network before what does not suit it.
fn named(name: &str, error: Error) -> Error {
    match error {
        Error::Mismatch { subject, why } => Error::Mismatch { subject: format!("{name} and {subject}"), why },
        other => other,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
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
