//! `demo`: three deep networks on the built-in digits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use unrolled::data::{DataSpec, Dataset, ResizeCrop, Split};
use unrolled::kernel::Backend;
use unrolled::measure::{EvalSet, Measure, report};
use unrolled::ranks::Ranks;
use unrolled::train::{Experiment, Resume, RunDirectory};

use super::progress::Bar;
use super::report_directory::{ReportDirectory, ReportKind};
use super::{output, train};

/// Arguments of `demo`.
#[derive(Args)]
pub(super) struct Demo {
    /// Where to write the runs and the report; an earlier demo there is replaced
    #[arg(long, value_name = "DIR", default_value = "runs/demo")]
    out: PathBuf,
    /// Seed of initial values and order
    #[arg(long, default_value_t = 0, value_parser = super::numbers::seed)]
    seed: u64,
}

/// The three experiments, alike but for wiring, gate bias and rate; `configs/demo` says how the rates were found.
const EXPERIMENTS: [(&str, &str); 3] = [
    ("plain", include_str!("../../configs/demo/plain.toml")),
    ("residual", include_str!("../../configs/demo/residual.toml")),
    ("highway", include_str!("../../configs/demo/highway.toml")),
];

/// Those of Section 4 of the paper: the networks are dense and see no patches, only samples.
const MEASUREMENTS: [&str; 4] = ["estimation", "lesion", "shuffle", "gates"];

const INTRO: [&str; 3] = [
    "Three networks of 50 layers with 32 units each were trained on 1,442 images of handwritten digits (8x8 pixels, \
     UCI), and measured on 355 others. They differ in the wiring of their blocks: plain y = h, residual y = h + x, \
     highway y = T·h + (1 - T)·x.",
    "Each wiring starts as its literature has it: plain with He's initial weights (He et al. 2015); residual with the \
     same, its body scaled by 1/sqrt(blocks) (Hanin and Rolnick 2018; Zhang et al. 2019) and in pre-activation order \
     (He et al. 2016); highway with He's weights and a gate bias of -3 (Srivastava et al. 2015). Each got the best of \
     the same five learning rates, .003 to .3, chosen by accuracy on held-out training images; all else is equal: 40 \
     epochs of SGD with Nesterov momentum, cosine schedule, gradient norm clipped at 1.",
    "The view of the paper: the blocks of a stage do not each build a new representation, they refine one estimate. \
     If so, the distance of each block's output from the last one's shrinks block by block, and a block left out \
     costs little.",
];

impl Demo {
    pub(super) fn run(&self, backend: &Backend) -> anyhow::Result<()> {
        let begun = Instant::now();
        let spec: DataSpec = "digits".parse()?;
        let dataset = Arc::new(Dataset::open(&spec, Split::Test, &ResizeCrop::default())?);
        let mut networks = Vec::new();
        let overrides = [format!("train.seed={}", self.seed)];
        let parse = |(name, text)| Ok((name, Experiment::parse(text, &overrides, name)?));
        let experiments: Vec<(&str, Experiment)> = EXPERIMENTS.into_iter().map(parse).collect::<anyhow::Result<_>>()?;
        // Whatever stands in the way is found before anything is trained.
        let directory = ReportDirectory::open(&self.out, ReportKind::Demo)?;
        experiments.iter().try_for_each(|(name, experiment)| RunDirectory::clear(&self.out.join(name), experiment))?;
        for (name, experiment) in experiments {
            let dir = self.out.join(name);
            let (model, history) = train::train(experiment, None, &dir, Resume::Never, backend, &Ranks::default())?;
            let source = EvalSet::new(dataset.clone(), dataset.normalization(), 355);
            let mut bar = Bar::new(name);
            let measure = Measure::new().only(MEASUREMENTS)?.skip_inapplicable().seed(self.seed);
            let measure = measure.names(name, "digits, test split").training(history);
            networks.push(measure.run(&model, &source, &mut bar)?);
            bar.finish();
        }
        let title = "Three deep networks, and how they refine their estimates";
        let page = report(title, INTRO.map(str::to_owned).to_vec(), &networks, &[], output::facts(begun))?;
        directory.save(&page, &networks)?;
        for network in &networks {
            output::print(&format!("{:<9} {}", network.target, output::score(&network.baseline, &network.outline)))?;
        }
        let report = self.out.join("report.html");
        output::print(&format!("{} ({:.0} s)\n", report.display(), begun.elapsed().as_secs_f64()))
    }
}
