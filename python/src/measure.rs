//! Measurements of a network that was opened, and of a live one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use unrolled::Result;
use unrolled::measure::{EvalSet, Measure, Measurements, Shard, Untrained};
use unrolled::model::Epoch;
use unrolled::nn::Network;

use crate::cli::report_directory::{ReportDirectory, ReportKind};
use crate::errors::{Failure, argument, exception, guarded};
use crate::live::LiveNetwork;
use crate::network::{NativeNetwork, unshared};
use crate::progress::Caller;
use crate::results::NativeResults;
use crate::samples::Source;
use crate::watched::{Watch, Watched};

/// The keywords of `unrolled.measure`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct MeasureKeywords {
    only: Option<Vec<String>>,
    seed: u64,
    memory: Option<u64>,
    out: Option<PathBuf>,
    resume: bool,
    batch: usize,
    null_seeds: u64,
    /// The part of the samples that is observed, such as `2/8`.
    shard: Option<String>,
    progress: Option<Py<PyAny>>,
    /// Whether `out` is removed at the end.
    #[pyo3(default)]
    is_temporary: bool,
}

/// Measures a network with samples; returns nothing for a part of them.
#[pyfunction]
pub(crate) fn measure(
    py: Python<'_>,
    network: &Bound<'_, NativeNetwork>,
    data: &Bound<'_, PyAny>,
    options: MeasureKeywords,
) -> PyResult<Option<NativeResults>> {
    let source = Source::read(data)?;
    let name = network.get().target.clone();
    let mut guard = network.get().lock(py)?;
    let network: &mut Arc<_> = &mut guard;
    options.run(py, |options, watch| {
        let (data, described) = source.for_network(unshared(network)?, options.batch)?;
        let watched = Watched::new(Arc::clone(network), watch);
        let data = data.with_predicted_labels(&watched)?;
        let untrained = |measure: &Measure, caller: &mut Caller| {
            network.measure_untrained(measure, options.null_seeds, &data, caller)
        };
        options.measure(&watched, &data, [&name, &described], network.history(), watch, untrained)
    })
}

/// Measures a live network with the samples that it was bound to; returns nothing for a part of them.
#[pyfunction]
pub(crate) fn measure_live(
    py: Python<'_>,
    live: Py<PyAny>,
    source: Py<PyAny>,
    options: MeasureKeywords,
) -> PyResult<Option<NativeResults>> {
    let watch = Watch::new();
    let (network, data, described) = LiveNetwork::bind(py, live, source, options.batch, &watch)?;
    options.run_watched(py, watch, |options, watch| {
        let data = data.with_predicted_labels(&network)?;
        let name = network.outline().name.clone();
        let none = |_: &Measure, _: &mut Caller| Ok(Untrained::new());
        options.measure(&network, &data, [&name, &described], &[], watch, none)
    })
}

impl MeasureKeywords {
    fn run(
        self,
        py: Python<'_>,
        work: impl Send + FnOnce(&Self, &Watch) -> Result<Option<Measurements>>,
    ) -> PyResult<Option<NativeResults>> {
        self.run_watched(py, Watch::new(), work)
    }

    /// Measures without the GIL. An interruption keeps what is finished.
    fn run_watched(
        mut self,
        py: Python<'_>,
        watch: Watch,
        work: impl Send + FnOnce(&Self, &Watch) -> Result<Option<Measurements>>,
    ) -> PyResult<Option<NativeResults>> {
        if self.resume && self.out.is_none() {
            return Err(argument(py, "resume", "needs out, the directory of the measurement that was stopped"));
        }
        let kept = self.out.is_none().then(tempfile::tempdir).transpose()?;
        let out = self.out.clone();
        if let Some(kept) = &kept {
            self.out = Some(kept.path().join("results"));
            self.is_temporary = true;
        }
        let outcome = py.detach(|| {
            guarded(|| {
                let open = |out: &PathBuf| ReportDirectory::open(out, ReportKind::Measurement);
                let directory = out.as_ref().map(open).transpose()?;
                let Some(measured) = work(&self, &watch)? else { return Ok(None) };
                let results = NativeResults(measured);
                directory.map_or(Ok(()), |directory| results.save_to(&directory))?;
                results.0.baseline.check_finite(&results.0.target)?;
                Ok(Some(results))
            })
        });
        outcome.map_err(|failure| ended(py, &failure, &watch, self.out.as_deref(), out.is_some()))
    }

    fn measure<N: Network>(
        &self,
        network: &N,
        data: &EvalSet,
        [name, described]: [&str; 2],
        history: &[Epoch],
        watch: &Watch,
        untrained: impl FnOnce(&Measure, &mut Caller) -> Result<Untrained>,
    ) -> Result<Option<Measurements>> {
        let shard: Option<Shard> = self.shard.as_ref().map(|shard| shard.parse()).transpose()?;
        let mut measure = Measure::new().seed(self.seed).names(name, described).training(history.to_vec());
        if let Some(only) = &self.only {
            measure = measure.only(only)?;
        }
        if let Some(bytes) = self.memory {
            measure = measure.memory(bytes);
        }
        if let Some(out) = &self.out {
            measure = measure.directory(out).resume(self.resume);
        }
        if self.is_temporary {
            measure = measure.keep_unfinished(false);
        }
        // Of shards, the first has the null model for all.
        if shard.is_none_or(|shard| shard.number == 1) {
            // Only listens for signals: the callback follows the network itself.
            let untrained = untrained(&measure, &mut Caller::new(None, watch))?;
            measure = measure.untrained(untrained);
        }
        let mut caller = Caller::new(self.progress.as_ref(), watch);
        let measured = match shard {
            Some(shard) => measure.run_shard(network, data, shard, &mut caller).map(|()| None),
            None => measure.run(network, data, &mut caller).map(Some),
        }?;
        caller.finish();
        watch.check()?;
        Ok(measured)
    }
}

/// Returns the exception that ends a measurement: that of Python, or that of an error. An interruption has what is finished.
fn ended(py: Python<'_>, failure: &Failure, watch: &Watch, directory: Option<&Path>, is_kept: bool) -> PyErr {
    let Some(cause) = watch.take() else { return failure.to_python(py) };
    if !cause.is_instance_of::<PyKeyboardInterrupt>(py) {
        return cause;
    }
    let finished = directory.and_then(|directory| Measurements::read(directory).ok()?.pop());
    let message = match directory {
        Some(directory) if is_kept => {
            format!("interrupted; {} keeps what is finished, to go on pass resume=True", directory.display())
        }
        _ => "interrupted; `results` of this exception has what is finished".to_owned(),
    };
    let interrupted = exception(py, "Interrupted", &message);
    let set = || interrupted.value(py).setattr("results", finished.map(NativeResults));
    if let Err(error) = set() {
        return error;
    }
    interrupted.set_cause(py, Some(cause));
    interrupted
}
