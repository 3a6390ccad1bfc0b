//! The samples that a command names.

use std::path::Path;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use unrolled::data::{Dataset, NormalizationSource, ResizeCrop, Split};
use unrolled::measure::{EvalSet, SampleInfo};
use unrolled::nn::{Answer, AnswerKind, Network};
use unrolled::open::{AnyNetwork, DEFAULT_BATCH, EvalSetOptions};
use unrolled::ranks::Ranks;
use unrolled::{Error, Result};

use super::{numbers, output};

/// The samples to use.
#[derive(Args)]
pub(super) struct DataArgs {
    /// digits, mnist:DIR, fashion-mnist:DIR, cifar10:DIR, cifar100:DIR, folder:DIR; text:DIR with train.txt, valid.txt and
    /// test.txt; or arrays:FILE: a .npz file with an array for each input of the network and maybe one named labels, or a
    /// .npy file [default: the data that a run was trained with]
    #[arg(long, value_name = "SPEC")]
    data: Option<String>,
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
    #[arg(long, value_parser = split_parser(), default_value_t = Split::Test)]
    split: Split,
    /// Use the first N samples only; 0 for all
    #[arg(long, value_name = "N", default_value = "0", value_parser = numbers::count, hide_default_value = true)]
    limit: usize,
    /// Samples that run through the network at once
    #[arg(long, value_name = "N", default_value_t = DEFAULT_BATCH, value_parser = numbers::positive)]
    batch: usize,
    /// Resize the shorter side of images to PIXELS
    #[arg(long, value_name = "PIXELS", value_parser = numbers::positive)]
    resize: Option<usize>,
    /// Then crop the centre of images, PIXELS a side
    #[arg(long, value_name = "PIXELS", value_parser = numbers::positive)]
    crop: Option<usize>,
}

/// Lists the splits in the help text.
fn split_parser() -> impl TypedValueParser<Value = Split> {
    let train = PossibleValue::new("train").help("The training split; of a run, what it was trained with");
    let valid = PossibleValue::new("valid").help("The validation split; texts only");
    PossibleValuesParser::new([train, valid, PossibleValue::new("test")]).try_map(|name| name.parse())
}

impl DataArgs {
    /// Whether any of the options was given.
    pub(super) fn is_given(&self) -> bool {
        self.data.is_some() || self.part.is_given()
    }
}

impl PartArgs {
    /// Whether any of the options was given.
    fn is_given(&self) -> bool {
        let Self { split, limit, batch, resize, crop } = self;
        *split != Split::Test || *limit > 0 || *batch != DEFAULT_BATCH || resize.is_some() || crop.is_some()
    }

    fn apply(&self, options: EvalSetOptions) -> EvalSetOptions {
        let own = options.resize_crop();
        let view = ResizeCrop { resize: self.resize.or(own.resize), crop: self.crop.or(own.crop) };
        options.split(self.split).batch(self.batch).limit(self.limit).view(view)
    }
}

/// Samples as a network takes them, and what was asked for.
pub(super) struct OpenedData {
    pub(super) set: EvalSet,
    options: EvalSetOptions,
    split: Split,
    /// What the network answers with, and the number of its classes or values.
    answer: (Answer, usize),
}

impl OpenedData {
    /// Shares the samples out among processes, all of which must have opened the same network and the same samples.
    pub(super) fn share(&mut self, network: &AnyNetwork, ranks: &Ranks) -> Result<()> {
        if ranks.size() > 1 {
            let checksums = [("network", network.fingerprint()), ("data", self.set.dataset.fingerprint())];
            ranks.check_same(&checksums.map(|(name, checksum)| (name, format!("{checksum:08x}"))))?;
            self.set.ranks = ranks.clone();
        }
        Ok(())
    }

    /// The data as they are named, such as `mnist:DIR`.
    pub(super) fn name(&self) -> &str {
        self.options.name()
    }

    /// How images are brought to one size.
    pub(super) fn resize_crop(&self) -> ResizeCrop {
        self.options.resize_crop()
    }

    /// The first training samples; all of them where the number is 0.
    pub(super) fn first_training_samples(&self, count: usize) -> Result<EvalSet> {
        self.options.clone().split(Split::Train).limit(count).build()
    }

    /// The data as a report names them, with what the network answers with where that is not one class a sample.
    pub(super) fn description(&self) -> String {
        let (answer, values) = self.answer;
        let part = match self.split {
            _ if answer.kind != AnswerKind::Classes => "compared with the answers of the whole network",
            _ if !self.set.dataset.is_labelled() => {
                "without labels: accuracy is agreement with the whole network, loss divergence from it"
            }
            _ if self.set.dataset.arrays().is_some() => "with labels",
            Split::Train => "training split",
            Split::Valid => "validation split",
            Split::Test => "test split",
        };
        let answers = match answer == Answer::default() {
            true => String::new(),
            false => format!("; {}", answer.describe(values)),
        };
        format!("{}, {part}{answers}", self.name())
    }
}

impl DataArgs {
    /// The split that is named.
    pub(super) fn split(&self) -> Split {
        self.part.split
    }

    /// The samples as the network that was opened from this path takes them; those without labels are labelled with what it
    /// predicts.
    pub(super) fn for_network(&self, path: &Path, network: &mut AnyNetwork) -> Result<OpenedData> {
        self.open(path, network, EvalSetOptions::for_network)
    }

    /// The samples as the network that was opened from this path takes them, which must have labels.
    pub(super) fn labelled_for_network(&self, path: &Path, network: &mut AnyNetwork) -> Result<OpenedData> {
        let data = self.open(path, network, EvalSetOptions::unlabelled_for_network)?;
        if data.answer.0.kind != AnswerKind::Classes {
            let (answer, values) = data.answer;
            let why = format!(
                "answers with {}, so that there is no accuracy; measure tells what each block does to the answers",
                answer.describe(values)
            );
            return Err(Error::unsupported(path.display(), why));
        }
        if !data.set.dataset.is_labelled() {
            let why = "no labels, so that there is no accuracy; measure tells what each block does to the answers";
            return Err(Error::unsupported(data.name(), why));
        }
        Ok(data)
    }

    fn open(
        &self,
        path: &Path,
        network: &mut AnyNetwork,
        open: impl FnOnce(&EvalSetOptions, &mut AnyNetwork) -> Result<EvalSet>,
    ) -> Result<OpenedData> {
        let network_name = path.display().to_string();
        let options = match &self.data {
            Some(data) => EvalSet::open(data)?,
            None => {
                let why =
                    || format!("{network_name} does not know what it was trained with; name the data, such as digits");
                let options = EvalSet::of_training(path, network)?.ok_or_else(|| Error::argument("data", why()))?;
                output::say(&format!("{network_name}: without --data, the data of its training: {}", options.name()));
                options
            }
        };
        let options = self.part.apply(options);
        let set = open(&options, network).map_err(|e| named(&network_name, e))?;
        say_passed_over(options.name(), &set.dataset);
        if set.normalization_source == NormalizationSource::Customary {
            let prepared = SampleInfo::new(&set).describe();
            output::say(&format!(
                "{network_name}: the file does not say how samples are normalized. {prepared} --mean and --std say otherwise"
            ));
        }
        if let Some(why) = network.why_no_mask() {
            output::say(&format!("{network_name}: all positions count: {why}"));
        }
        let (unknown, words) = (set.dataset.unknown_words(), set.len());
        if unknown > 0 {
            let name = options.name();
            output::say(&format!("{name}: {unknown} of {words} words are unknown to {network_name}, told as <unk>"));
        }
        let answer = (network.outline().answer, network.outline().classes);
        Ok(OpenedData { set, options, split: self.part.split, answer })
    }
}

impl OptionalDataArgs {
    /// The samples, where they are named.
    pub(super) fn open(&self) -> Result<Option<EvalSet>> {
        if self.data.is_none() && self.part.is_given() {
            return Err(Error::argument("data", "no samples are named that the other options could choose from"));
        }
        self.data.as_ref().map(|data| self.part.apply(EvalSet::open(data)?).build()).transpose()
    }
}

/// The most names of files that a line lists.
const MAX_NAMES: usize = 5;

/// Says what of a folder is no image of a class.
pub(super) fn say_passed_over(name: &str, dataset: &Dataset) {
    let passed_over = dataset.passed_over();
    if passed_over.is_empty() {
        return;
    }
    let mut names = passed_over[..passed_over.len().min(MAX_NAMES)].join(", ");
    if passed_over.len() > MAX_NAMES {
        names += ", …";
    }
    let [images, files] =
        [(dataset.len(), "image"), (passed_over.len(), "file")].map(|(n, what)| unrolled::report::counted(n, what));
    output::say(&format!("{name}: {images}; {files} passed over: {names}"));
}

/// Names the network before what does not suit it.
fn named(network: &str, error: Error) -> Error {
    match error {
        Error::Mismatch { subject, why } => Error::Mismatch { subject: format!("{network} and {subject}"), why },
        Error::Argument { name: name @ "mean", why } => Error::Argument { name, why: format!("{network}: {why}") },
        other => other,
    }
}
