//! A network that was opened, or that is left of one.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::prelude::*;
use unrolled::measure::{EvalSet, outline_table};
use unrolled::nn::{BlockId, Network, Outline, Route};
use unrolled::open::{AnyNetwork, is_graph_path};

use crate::cli::show::Shown;
use crate::errors::{detached, exception, to_python};
use crate::options::OpenKeywords;
use crate::pool;

/// A network in memory.
#[pyclass(frozen, module = "unrolled._native")]
pub(crate) struct NativeNetwork {
    network: Mutex<Arc<AnyNetwork>>,
    pub(crate) path: PathBuf,
    /// What reports call it.
    #[pyo3(get)]
    pub(crate) target: String,
    #[pyo3(get)]
    text: String,
    #[pyo3(get)]
    outline_json: String,
    pub(crate) origin: Option<Origin>,
}

/// What a slimmed network comes from.
pub(crate) struct Origin {
    pub(crate) whole: Py<NativeNetwork>,
    pub(crate) data: EvalSet,
    pub(crate) removed: Vec<BlockId>,
}

impl NativeNetwork {
    pub(crate) fn new(network: AnyNetwork, path: &Path, target: String, origin: Option<Origin>) -> Self {
        let shown = Shown::new(&network);
        // An outline has no keys but strings.
        let outline_json = serde_json::to_string(&shown).unwrap_or_default();
        let text = shown.text(&network, "");
        Self { network: Mutex::new(Arc::new(network)), path: path.to_owned(), target, text, outline_json, origin }
    }

    /// Returns the network, for one caller at a time.
    ///
    /// Nobody waits: whoever does would hold what the other needs to look for signals.
    pub(crate) fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Arc<AnyNetwork>>> {
        ensure_threads(py, &self.path)?;
        let busy = || exception(py, "UnsupportedError", &format!("{}: in use by another thread", self.target));
        match self.network.try_lock() {
            Ok(guard) => Ok(guard),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => Err(busy()),
        }
    }
}

/// Returns the route without some blocks.
pub(crate) fn route_without(outline: &Outline, removed: &[BlockId]) -> Route {
    removed.iter().fold(Route::identity(outline), |route, &block| route.without_block(block))
}

/// Checks that there are threads to run the network of a file with.
fn ensure_threads(py: Python<'_>, path: &Path) -> PyResult<()> {
    let checked = if is_graph_path(path) { pool::ensure_for_graphs() } else { Ok(()) };
    checked.map_err(|error| to_python(py, &error))
}

/// Opens a network with the options of the command line.
#[pyfunction]
pub(crate) fn open_network(py: Python<'_>, path: PathBuf, options: OpenKeywords) -> PyResult<NativeNetwork> {
    ensure_threads(py, &path)?;
    let network = detached(py, || options.open(&path))?;
    let target = network.label(&path.display().to_string());
    Ok(NativeNetwork::new(network, &path, target, None))
}

/// Returns what `unrolled show` prints of an outline in JSON.
#[pyfunction]
pub(crate) fn outline_text(py: Python<'_>, outline_json: &str) -> PyResult<String> {
    detached(py, || {
        let outline = read_outline(outline_json)?;
        let table = outline_table(&outline, "can be left out for good");
        Ok(crate::cli::output::outline(&outline, table))
    })
}

/// Reads the JSON of an outline.
pub(crate) fn read_outline(json: &str) -> unrolled::Result<Outline> {
    serde_json::from_str(json).map_err(|error| unrolled::Error::mismatch("outline", error.to_string()))
}

/// Checks that a network is the only owner of what is behind the pointer, so that it can be fitted to samples.
pub(crate) fn unshared(network: &mut Arc<AnyNetwork>) -> unrolled::Result<&mut AnyNetwork> {
    let name = network.outline().name.clone();
    Arc::get_mut(network).ok_or_else(|| unrolled::Error::unsupported(name, "in use"))
}
