//! `compare`: several networks measured on the same samples, side by side.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use unrolled::Error;
use unrolled::kernel::Backend;
use unrolled::measure::{EvalSet, Measurements, Prediction, compare_predictions, report};
use unrolled::open::AnyNetwork;
use unrolled::ranks::Ranks;

use super::data_args::DataArgs;
use super::measure_args::MeasureArgs;
use super::network_args::OpenArgs;
use super::output;
use super::progress::Bar;
use super::report_directory::{ReportDirectory, ReportKind};

/// The directory of the measurements of each network, within that of the report.
const NETWORKS: &str = "networks";

/// Arguments of `compare`.
#[derive(Args)]
pub(super) struct Compare {
    /// Run directories, model files, PyTorch, safetensors or ONNX files
    #[arg(required = true, num_args = 2..)]
    networks: Vec<PathBuf>,
    #[command(flatten)]
    opening: OpenArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    what: MeasureArgs,
    /// Where to write the report and the numbers. Every finished measurement is kept there, in networks/NUMBER-NAME; a directory
    /// with measurements of the same networks and data is added to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub(super) fn run(&self, backend: &Backend, ranks: &Ranks) -> anyhow::Result<()> {
        let begun = Instant::now();
        let out = Some(self.out.as_path()).filter(|_| ranks.is_first());
        self.what.check_resumable(out)?;
        let directory = out.map(|out| ReportDirectory::open(out, ReportKind::Comparison)).transpose()?;
        // All are opened and held against the data before any is measured.
        let mut opened = Vec::new();
        for path in &self.networks {
            opened.push((path.as_path(), self.opening.open(path, backend)?));
        }
        self.opening.check_used(&opened.iter().map(|(path, any)| (*path, any)).collect::<Vec<_>>(), backend)?;
        let mut all: Vec<(String, AnyNetwork, EvalSet)> = Vec::new();
        let mut descriptions = Vec::new();
        for (path, mut network) in opened {
            let mut data = self.data.for_network(path, &mut network)?;
            data.share(&network, ranks)?;
            descriptions.push(data.description());
            all.push((path.display().to_string(), network, data.set));
        }
        self.check_applicable(&all)?;
        let mut measured = Vec::new();
        let mut predictions = Vec::new();
        for (number, ((name, network, data), described)) in (1..).zip(all.iter().zip(&descriptions)) {
            let (of_network, predicted) = self.measure(number, name, network, data, described)?;
            measured.push(of_network);
            predictions.push(predicted);
        }
        let mut page =
            report(&output::title(&measured), Vec::new(), &measured, &[], output::facts_of_ranks(begun, ranks))?;
        if is_same_samples(&all) {
            let slices: Vec<&[Prediction]> = predictions.iter().map(Vec::as_slice).collect();
            compare_predictions(&mut page, &measured, &slices);
        }
        directory.map_or(Ok(()), |directory| directory.save(&page, &measured))?;
        output::print_measured(&page, &measured, Some(&self.out), self.json)
    }

    /// A measurement that was asked for has to fit at least one of the networks.
    fn check_applicable(&self, all: &[(String, AnyNetwork, EvalSet)]) -> Result<(), Error> {
        for name in &self.what.only {
            let one = self.what.measure()?.only([name])?;
            let mut refused = None;
            for (_, network, data) in all {
                match one.selected(network, data) {
                    Ok(_) => refused = None,
                    Err(error) => refused = Some(error),
                }
                if refused.is_none() {
                    break;
                }
            }
            refused.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// Measures one network, the `number`th; returns also what it predicts for every sample.
    fn measure(
        &self,
        number: usize,
        name: &str,
        network: &AnyNetwork,
        data: &EvalSet,
        described: &str,
    ) -> anyhow::Result<(Measurements, Vec<Prediction>)> {
        let measure = self.what.measure()?.skip_inapplicable().names(&network.label(name), described);
        let measure = measure.training(network.history().to_vec());
        let file_name = Path::new(name).file_name().map_or_else(|| "network".into(), |name| name.to_string_lossy());
        let measure = measure.directory(&self.out.join(NETWORKS).join(format!("{number}-{file_name}")));
        let short_name = output::short_name(Path::new(name));
        let measure = self.what.with_untrained(measure, network, data, &short_name)?;
        let mut bar = Bar::new(&short_name);
        let measured = measure.run_with_predictions(network, data, &mut bar);
        bar.finish();
        Ok(self.what.say_how_to_resume(measured, Some(&self.out))?)
    }
}

/// Returns whether all networks saw the same samples with the same labels. Without labels each network is compared with
/// itself, and no difference between two of them is defined.
fn is_same_samples(all: &[(String, AnyNetwork, EvalSet)]) -> bool {
    let is_same = |one: &EvalSet, other: &EvalSet| one.dataset.has_same_samples(&other.dataset);
    all.iter().all(|(.., data)| data.dataset.is_labelled())
        && all.windows(2).all(|pair| is_same(&pair[0].2, &pair[1].2))
}
