//! What was measured, and the report about it.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use unrolled::Result;
use unrolled::measure::{Measurements, merge, report};
use unrolled::report::{DataTable, DataValue, Report, data_tables, html, text};

use crate::cli::report_directory::{ReportDirectory, ReportKind};
use crate::errors::{detached, exception};

/// What was measured of one network.
#[pyclass(frozen, module = "unrolled._native")]
pub(crate) struct NativeResults(pub(crate) Measurements);

impl NativeResults {
    fn report(&self) -> Result<Report> {
        let target = &self.0.target;
        let short =
            std::path::Path::new(target).file_name().map_or(target.as_str().into(), |name| name.to_string_lossy());
        report(&format!("How {short} refines its estimates"), Vec::new(), std::slice::from_ref(&self.0), &[], facts())
    }

    /// Writes the report and the measurements to a directory.
    pub(crate) fn save_to(&self, directory: &ReportDirectory) -> Result<()> {
        directory.save(&self.report()?, std::slice::from_ref(&self.0))
    }
}

#[pymethods]
impl NativeResults {
    fn json(&self) -> String {
        // Measurements have no keys but strings.
        serde_json::to_string(&self.0.clone().without_pictures()).unwrap_or_default()
    }

    fn html(&self, py: Python<'_>) -> PyResult<String> {
        detached(py, || Ok(html(&self.report()?)))
    }

    fn text(&self, py: Python<'_>, width: usize) -> PyResult<String> {
        detached(py, || Ok(text(&self.report()?, width)))
    }

    fn tables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        tables(py, detached(py, || Ok(data_tables(&self.report()?)))?)
    }

    /// For `pickle` and `copy`: with the pictures that [`json`](Self::json) leaves out.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        let json = serde_json::to_string(&self.0).map_err(|e| exception(py, "InternalError", &e.to_string()))?;
        Ok((py.import("unrolled._native")?.getattr("results_from_json")?, (json,)))
    }

    fn save(&self, py: Python<'_>, directory: PathBuf) -> PyResult<()> {
        detached(py, || self.save_to(&ReportDirectory::open(&directory, ReportKind::Measurement)?))
    }
}

/// Reads results that were pickled.
#[pyfunction]
pub(crate) fn results_from_json(py: Python<'_>, json: &str) -> PyResult<NativeResults> {
    let wrong = |e: serde_json::Error| exception(py, "FileError", &format!("no pickled results: {e}"));
    serde_json::from_str(json).map(NativeResults).map_err(wrong)
}

/// Reads what was measured: a directory of a measurement, or the JSON file of its results.
#[pyfunction]
pub(crate) fn load_results(py: Python<'_>, path: PathBuf) -> PyResult<Vec<NativeResults>> {
    let read = detached(py, || Measurements::read(&path))?;
    Ok(read.into_iter().map(NativeResults).collect())
}

/// Puts the shards of a measurement together; `out` gets the report and the results.
#[pyfunction]
pub(crate) fn merge_shards(py: Python<'_>, shards: Vec<PathBuf>, out: Option<PathBuf>) -> PyResult<NativeResults> {
    detached(py, || {
        let open = |out: &PathBuf| ReportDirectory::open(out, ReportKind::Measurement);
        let directory = out.as_ref().map(open).transpose()?;
        let results = NativeResults(merge(&shards, &[], None, out.as_deref())?);
        directory.map_or(Ok(()), |directory| results.save_to(&directory))?;
        Ok(results)
    })
}

/// Returns what made a report.
pub(crate) fn facts() -> Vec<(String, String)> {
    vec![("version".to_owned(), format!("unrolled {}, Python", env!("CARGO_PKG_VERSION")))]
}

/// Returns tables of a report: section, name, title, names of the columns, rows, and the CSV file of each.
pub(crate) fn tables(py: Python<'_>, tables: Vec<DataTable>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for table in tables {
        let csv = table.to_csv();
        let rows = PyList::empty(py);
        for row in &table.rows {
            let values = row.iter().map(|value| to_object(py, value)).collect::<PyResult<Vec<_>>>()?;
            rows.append(PyTuple::new(py, values)?)?;
        }
        list.append((table.section, table.name, table.title, table.columns, rows, csv))?;
    }
    Ok(list)
}

fn to_object<'py>(py: Python<'py>, value: &DataValue) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        DataValue::Empty => py.None().into_bound(py),
        DataValue::Text(text) => text.into_pyobject(py)?.into_any(),
        DataValue::Number(number) => number.into_pyobject(py)?.into_any(),
        DataValue::Count(count) => count.into_pyobject(py)?.into_any(),
    })
}
