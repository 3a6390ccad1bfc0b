//! Blocks removed for good, and the proof.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyList;
use unrolled::measure::EvalSet;
use unrolled::nn::Network;
use unrolled::open::is_graph_path;
use unrolled::report::{Report, data_tables, html, text};
use unrolled::slim::{
    Goal, Prunable, RemovalPlan, Slim, Slimming, blocks_by_name, draft_name, slimming_report, verify,
};
use unrolled::{Error, IfExists, OutputFile, OutputPath, Result, check_writable, directory_of};

use crate::cli::report_directory::{ReportDirectory, ReportKind, SLIMMING};
use crate::errors::{Failure, detached, exception, guarded};
use crate::live::LiveNetwork;
use crate::network::{NativeNetwork, Origin, route_without, unshared};
use crate::progress::Caller;
use crate::results::{facts, tables};
use crate::samples::Source;
use crate::watched::{Watch, Watched};

/// The keywords of `unrolled.slim`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct SlimKeywords {
    remove: Option<usize>,
    keep_accuracy: Option<f64>,
    keep_loss: Option<f64>,
    params: Option<u64>,
    latency: Option<f64>,
    blocks: Option<Vec<String>>,
    plan: Option<PathBuf>,
    by: String,
    seed: Option<u64>,
    memory: Option<u64>,
    batch: usize,
    progress: Option<Py<PyAny>>,
}

/// The results of a slimming.
#[pyclass(frozen, module = "unrolled._native")]
pub(crate) struct NativeProof {
    slimming: Slimming,
    /// The text of the plan file.
    #[pyo3(get)]
    plan: String,
}

#[pymethods]
impl NativeProof {
    /// The removed blocks, each as stage and block from 0.
    #[getter]
    fn removed(&self) -> Vec<(usize, usize)> {
        self.slimming.removed.iter().map(|id| (id.stage, id.block)).collect()
    }

    fn json(&self) -> String {
        serde_json::to_string(&self.slimming).unwrap_or_default()
    }

    fn html(&self, py: Python<'_>) -> PyResult<String> {
        detached(py, || Ok(html(&self.report())))
    }

    fn text(&self, py: Python<'_>, width: usize) -> PyResult<String> {
        detached(py, || Ok(text(&self.report(), width)))
    }

    fn tables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        tables(py, detached(py, || Ok(data_tables(&self.report())))?)
    }

    fn save(&self, py: Python<'_>, directory: PathBuf) -> PyResult<()> {
        detached(py, || {
            let target = ReportDirectory::open(&directory, ReportKind::Slimming)?;
            let json = serde_json::to_string_pretty(&self.slimming)
                .map_err(|error| Error::file(directory.join(SLIMMING), error.to_string()))?;
            target.save_with(&self.report(), (SLIMMING.to_owned(), (json + "\n").into_bytes()), Vec::new())
        })
    }
}

impl NativeProof {
    fn report(&self) -> Report {
        slimming_report(&self.slimming, facts())
    }
}

/// Removes blocks of a network that was opened. Returns what is left, and the proof.
#[pyfunction]
pub(crate) fn slim(
    py: Python<'_>,
    network: &Bound<'_, NativeNetwork>,
    data: &Bound<'_, PyAny>,
    options: SlimKeywords,
) -> PyResult<(NativeNetwork, NativeProof)> {
    let source = Source::read(data)?;
    let (whole, watch) = (network.get(), Watch::new());
    let name = &whole.target;
    let mut guard = whole.lock(py)?;
    let inner: &mut Arc<_> = &mut guard;
    let outcome = py.detach(|| {
        guarded(|| {
            let (data, described) = source.for_network(unshared(inner)?, options.batch)?;
            let watched = Watched::new(Arc::clone(inner), &watch);
            let data = data.with_predicted_labels(&watched)?;
            let proof = options.slim(&watched, &data, [name, &described], &watch)?;
            let left = inner.slimmed(&route_without(inner.outline(), &proof.slimming.removed))?;
            Ok((left, proof, data))
        })
    });
    let (left, proof, data) = outcome.map_err(|failure| ended(py, &failure, &watch))?;
    let origin = Origin { whole: network.clone().unbind(), data, removed: proof.slimming.removed.clone() };
    let target = format!("{name}, slimmed");
    Ok((NativeNetwork::new(left, &whole.path, target, Some(origin)), proof))
}

/// Removes blocks of a live network. Returns the proof.
#[pyfunction]
pub(crate) fn slim_live(
    py: Python<'_>,
    live: Py<PyAny>,
    source: Py<PyAny>,
    options: SlimKeywords,
) -> PyResult<NativeProof> {
    let watch = Watch::new();
    let (network, data, described) = LiveNetwork::bind(py, live, source, options.batch, &watch)?;
    let outcome = py.detach(|| {
        guarded(|| {
            let data = data.with_predicted_labels(&network)?;
            let name = network.outline().name.clone();
            options.slim(&network, &data, [&name, &described], &watch)
        })
    });
    outcome.map_err(|failure| ended(py, &failure, &watch))
}

impl SlimKeywords {
    /// Returns how far to go, where a ranking decides.
    fn goal(&self) -> Result<Option<Goal>> {
        let amounts = [("keep_accuracy", self.keep_accuracy), ("keep_loss", self.keep_loss), ("latency", self.latency)];
        for (name, amount) in amounts {
            if amount.is_some_and(|amount| !amount.is_finite() || amount < 0.0) {
                return Err(Error::argument(name, "expected a number of at least 0"));
            }
        }
        if self.remove == Some(0) {
            return Err(Error::argument("remove", "expected a whole number of at least 1"));
        }
        let goals = [
            self.remove.map(Goal::Remove),
            self.keep_accuracy.map(Goal::KeepAccuracy),
            self.keep_loss.map(Goal::KeepLoss),
            self.params.map(Goal::Parameters),
            self.latency.map(Goal::Latency),
        ];
        let given =
            goals.iter().flatten().count() + usize::from(self.blocks.is_some()) + usize::from(self.plan.is_some());
        if given != 1 {
            let how_many = if given == 0 { "none is".to_owned() } else { format!("{given} are") };
            let why = format!(
                "{how_many} given, expected one of remove, keep_accuracy, keep_loss, params, latency, blocks, plan"
            );
            return Err(Error::argument("goal", why));
        }
        Ok(goals.into_iter().flatten().next())
    }

    fn slim<P: Prunable>(
        &self,
        prunable: &P,
        data: &EvalSet,
        [name, described]: [&str; 2],
        watch: &Watch,
    ) -> Result<NativeProof> {
        let outline = prunable.network().outline();
        let mut slim = Slim::new(prunable, data).names(name, described).by(self.by.parse()?).memory(self.memory);
        slim = slim.goal(self.goal()?).seed(self.seed.unwrap_or(0));
        if let Some(blocks) = &self.blocks {
            slim = slim.blocks(blocks_by_name(blocks, outline)?);
        }
        if let Some(path) = &self.plan {
            let plan = RemovalPlan::parse(path, &std::fs::read_to_string(path).map_err(Error::io(path))?)?;
            let seed = self.seed.unwrap_or(plan.seed);
            let why = plan.why_not_independent(data, seed);
            slim = slim.planned_blocks(plan.removed(path, outline)?, why).seed(seed);
        }
        let mut caller = Caller::new(self.progress.as_ref(), watch);
        // Where the caller asks to stop, the network does at its next step.
        let slimming = slim.run(None, &mut |what, done, all| {
            let _ = caller.tell(what, done, all);
        })?;
        watch.check()?;
        let plan = RemovalPlan::new(outline, &slimming.removed, slimming.seed, data).to_toml()?;
        Ok(NativeProof { slimming, plan })
    }
}

/// Returns the exception that ends a slimming.
fn ended(py: Python<'_>, failure: &Failure, watch: &Watch) -> PyErr {
    match watch.take() {
        Some(cause) if cause.is_instance_of::<PyKeyboardInterrupt>(py) => {
            let interrupted = exception(py, "Interrupted", "interrupted; nothing is removed or written");
            interrupted.set_cause(py, Some(cause));
            interrupted
        }
        Some(cause) => cause,
        None => failure.to_python(py),
    }
}

#[pymethods]
impl NativeNetwork {
    /// Writes the network to a file, which is opened again and has to answer as the network in memory.
    fn save(slf: &Bound<'_, Self>, path: PathBuf, overwrite: bool, progress: Option<Py<PyAny>>) -> PyResult<()> {
        let (py, own) = (slf.py(), slf.get());
        let Some(origin) = &own.origin else {
            return Err(exception(
                py,
                "UnsupportedError",
                &format!("{}: a file already, nothing is removed", own.target),
            ));
        };
        let whole = origin.whole.get();
        let guard = whole.lock(py)?;
        let (inner, watch): (&Arc<_>, _) = (&guard, Watch::new());
        let outcome = py.detach(|| {
            guarded(|| {
                check_path(&path, &whole.path)?;
                let if_exists = if overwrite { IfExists::Replace } else { IfExists::KeepIfEqual };
                // Until the end: no other process writes there meanwhile.
                let file = OutputFile::reserve(&path)?;
                if path.symlink_metadata().is_ok() && !overwrite && !file.was_interrupted() {
                    return Err(Error::file(&path, "there already; name another file, or pass overwrite=True"));
                }
                let watched = Watched::new(Arc::clone(inner), &watch);
                if !file.was_interrupted() {
                    check_companion(&watched, &path)?;
                }
                let place = OutputPath { path: &path, if_exists };
                let route = route_without(inner.outline(), &origin.removed);
                let mut caller = Caller::new(progress.as_ref(), &watch);
                let mut tell = |what: &str, done, all| {
                    let _ = caller.tell(what, done, all);
                };
                verify(&watched, &route, &origin.data, |_| Ok(Vec::new()), Some(place), &mut tell)?;
                file.complete();
                Ok(())
            })
        });
        outcome.map_err(|failure| ended(py, &failure, &watch))
    }
}

/// Checks that a file can be written, and is no part of the network.
fn check_path(path: &Path, network: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::file(path, "a directory; name a file"));
    }
    let (format, extension) = if is_graph_path(network) { ("ONNX", "onnx") } else { ("safetensors", "safetensors") };
    if path.extension().is_none_or(|found| found != extension) {
        return Err(Error::file(path, format!("what is written is {format}; end the name in .{extension}")));
    }
    let real = |path: &Path| path.canonicalize().ok();
    let is_part = match (real(network), real(path)) {
        (Some(whole), Some(path)) => path == whole || network.is_dir() && path.starts_with(&whole),
        _ => false,
    };
    if is_part {
        return Err(Error::file(
            path,
            "part of the network that is slimmed, which is never overwritten; name another file",
        ));
    }
    check_writable(directory_of(path))
}

/// Checks that what is written beside the file replaces nothing.
fn check_companion<P: Prunable>(prunable: &P, path: &Path) -> Result<()> {
    let draft = prunable.draft(prunable.network(), &draft_name(Some(path)))?;
    let Some((name, _)) = &draft.companion else { return Ok(()) };
    let beside = path.with_file_name(name);
    if beside.symlink_metadata().is_ok() {
        return Err(Error::file(
            beside,
            "the arrays would be written there, and there is a file; remove it or name another",
        ));
    }
    Ok(())
}
