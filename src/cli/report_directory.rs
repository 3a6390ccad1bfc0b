//! The directory that a command writes its report to. Nothing in it is replaced but files of an earlier report of the same
//! kind, which `report.json` lists.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use unrolled::measure::Measurements;
use unrolled::report::{Report, csv, html};
use unrolled::{Chunk, Error, FileTransaction, check_writable, directory_of, entries, visible};

use super::output;

/// The report as data, and the list of all files of the report.
const DATA: &str = "report.json";
const PAGE: &str = "report.html";
const NUMBERS: &str = "measurements.json";
/// The results of a slimming.
pub(crate) const SLIMMING: &str = "slim.json";
/// The plan of a measurement, and the directories of its results and of its unfinished work.
const OF_MEASUREMENT: [&str; 3] = ["plan.json", "measurements", "store"];
/// The directory of figures for a paper.
const FIGURES: &str = "figures";

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReportKind {
    /// One network, by `measure` or `merge`.
    Measurement,
    /// Several networks, by `compare`.
    Comparison,
    /// The three networks of `demo`.
    Demo,
    /// A network before and after `slim`.
    Slimming,
}

impl ReportKind {
    fn name(self) -> &'static str {
        match self {
            Self::Measurement => "measurement",
            Self::Comparison => "comparison",
            Self::Demo => "demo",
            Self::Slimming => "slimming",
        }
    }
}

/// What `report.json` says about the directory. The rest of the file is the report.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Contents {
    kind: ReportKind,
    /// Names of the files of the report, within the directory.
    files: Vec<String>,
}

#[derive(Serialize)]
struct DataFile<'a> {
    #[serde(flatten)]
    contents: &'a Contents,
    #[serde(flatten)]
    report: &'a Report,
}

/// A file of a report: its name within the directory, and its content.
type File = (String, Vec<u8>);

/// The directory that a command writes its report to. One process at a time has it.
#[derive(Debug)]
pub(crate) struct ReportDirectory {
    path: PathBuf,
    kind: ReportKind,
    /// The files of the report, which take their places in one act.
    transaction: FileTransaction,
    /// Names of the files that an earlier report left.
    earlier: Vec<String>,
}

impl ReportDirectory {
    /// Opens a directory, which need not exist yet. To be called before long work whose report goes there.
    ///
    /// # Errors
    /// [`Error::File`] that names a file which is there and would be replaced, or stand between those of the report, and
    /// belongs to no earlier report of this kind; [`Error::Io`] for a directory that cannot be written; [`Error::Unsupported`]
    /// for one that another process writes to.
    pub(crate) fn open(path: &Path, kind: ReportKind) -> Result<Self, Error> {
        let transaction = begin(path)?;
        let contents = read_contents(path)?.filter(|contents| contents.kind == kind);
        let earlier = contents.map_or(Vec::new(), |contents| contents.files);
        let directory = Self { path: path.to_owned(), kind, transaction, earlier };
        let is_plan = kind == ReportKind::Measurement && exists(&path.join(OF_MEASUREMENT[0]));
        let of_measurement = OF_MEASUREMENT.iter().filter(|_| !is_plan);
        let fixed = [DATA, PAGE, NUMBERS, SLIMMING].iter().chain(of_measurement);
        let mut tables: Vec<String> = entries(path)?.iter().map(|path| output::short_name(path)).collect();
        tables.retain(|name| name.ends_with(".csv"));
        tables.sort();
        directory.check(fixed.map(|name| (*name).to_owned()).chain(tables))?;
        Ok(directory)
    }

    /// Opens the directory of a report that is drawn again. A directory without `report.json` becomes that of a report of
    /// this kind.
    ///
    /// # Errors
    /// [`Error::File`] that names a page which is there and belongs to no report.
    pub(super) fn reopen(path: &Path, kind: ReportKind) -> Result<Self, Error> {
        let transaction = begin(path)?;
        // Reports of earlier versions do not list their files.
        let has_report = matches!(read_report(path), Ok(Some(_)));
        let unlisted = [DATA, PAGE].iter().filter(|_| has_report).map(|name| (*name).to_owned()).collect();
        let contents = read_contents(path)?.unwrap_or(Contents { kind, files: unlisted });
        let directory = Self { path: path.to_owned(), kind: contents.kind, transaction, earlier: contents.files };
        directory.check([DATA, PAGE].map(str::to_owned))?;
        Ok(directory)
    }

    /// Checks that files which are there belong to an earlier report.
    fn check(&self, names: impl IntoIterator<Item = String>) -> Result<(), Error> {
        let is_other = |name: &String| !self.earlier.contains(name) && exists(&self.path.join(name));
        match names.into_iter().find(is_other) {
            Some(name) => {
                let kind = self.kind.name();
                let what = format!("is there already, and belongs to no {kind} here; name another directory");
                Err(Error::file(self.path.join(name), what))
            }
            None => Ok(()),
        }
    }

    /// Writes the report as a page and as data, the numbers as JSON, and a CSV file for each table.
    ///
    /// # Errors
    /// [`Error::Io`] that names a file.
    pub(crate) fn save(&self, page: &Report, measured: &[Measurements]) -> Result<(), Error> {
        let measured: Vec<Measurements> = measured.iter().cloned().map(Measurements::without_pictures).collect();
        let numbers = match &measured[..] {
            [one] => serde_json::to_string_pretty(one),
            all => serde_json::to_string_pretty(all),
        };
        let numbers = numbers.map_err(|e| Error::file(self.path.join(NUMBERS), e.to_string()))? + "\n";
        self.save_with(page, (NUMBERS.to_owned(), visible(&numbers).into_owned().into_bytes()), csv(page))
    }

    /// Writes the report as a page and as data, another file, and tables.
    ///
    /// # Errors
    /// As [`ReportDirectory::save`].
    pub(crate) fn save_with(&self, page: &Report, other: File, tables: Vec<(String, String)>) -> Result<(), Error> {
        let tables = tables.into_iter().map(|(name, table)| (name, table.into_bytes()));
        let files = tables.chain([other, (PAGE.to_owned(), html(page).into_bytes())]).collect();
        self.replace(page, files, |name| !is_figure(name))
    }

    /// Writes the page again.
    ///
    /// # Errors
    /// As [`ReportDirectory::save`].
    pub(super) fn save_page(&self, page: &Report) -> Result<PathBuf, Error> {
        self.replace(page, vec![(PAGE.to_owned(), html(page).into_bytes())], |name| name == PAGE)?;
        Ok(self.path.join(PAGE))
    }

    /// Writes the figures; returns their directory.
    ///
    /// # Errors
    /// As [`ReportDirectory::save`]; [`Error::File`] that names a file which is there and belongs to no report.
    pub(super) fn save_figures(&self, page: &Report, figures: Vec<(String, String)>) -> Result<PathBuf, Error> {
        let figures = figures.into_iter().map(|(name, svg)| (format!("{FIGURES}/{name}"), svg.into_bytes()));
        let figures: Vec<File> = figures.collect();
        self.check(figures.iter().map(|(name, _)| name.clone()))?;
        self.replace(page, figures, is_figure)?;
        Ok(self.path.join(FIGURES))
    }

    /// Writes files of the report, in the places of those of before that are of their sort: all of them or, where one cannot be
    /// written, none.
    fn replace(&self, page: &Report, files: Vec<File>, is_of_sort: impl Fn(&str) -> bool) -> Result<(), Error> {
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).chain([DATA]).collect();
        let (replaced, kept): (Vec<&String>, Vec<&String>) = self.earlier.iter().partition(|name| is_of_sort(name));
        let removed = replaced.into_iter().filter(|name| !names.contains(&name.as_str())).cloned().collect::<Vec<_>>();
        let mut all: Vec<String> = names.into_iter().map(str::to_owned).chain(kept.into_iter().cloned()).collect();
        all.sort();
        all.dedup();
        // The facts tell the time: without them equal work makes equal bytes.
        let report = Report { facts: Vec::new(), ..page.clone() };
        let data = DataFile { contents: &Contents { kind: self.kind, files: all }, report: &report };
        let json =
            serde_json::to_string_pretty(&data).map_err(|e| Error::file(self.path.join(DATA), e.to_string()))? + "\n";
        for (name, bytes) in files.into_iter().chain([(DATA.to_owned(), visible(&json).into_owned().into_bytes())]) {
            self.transaction.write(Path::new(&name), &[Chunk::Bytes(bytes)])?;
        }
        self.transaction.commit(&removed)
    }
}

/// Begins the report of a directory, which no other process writes to until it ends.
fn begin(path: &Path) -> Result<FileTransaction, Error> {
    check_writable(path)?;
    let transaction = FileTransaction::begin(path, "report", "writing to this directory")?;
    output::say_unlocked(path, transaction.why_unlocked());
    Ok(transaction)
}

/// Returns the directory of the report that a file belongs to; `None` for a file that belongs to none.
pub(super) fn report_of(file: &Path) -> Option<&Path> {
    let (parent, name) = (directory_of(file), file.file_name()?.to_str()?);
    let contents = read_contents(parent).ok().flatten()?;
    contents.files.iter().any(|own| own == name).then_some(parent)
}

/// Returns the report that a directory holds as data; `None` where there is none.
///
/// # Errors
/// [`Error::File`] for one that is damaged.
pub(super) fn read_report(directory: &Path) -> Result<Option<Report>, Error> {
    let path = directory.join(DATA);
    let text = match std::fs::read_to_string(&path) {
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other.map_err(Error::io(&path))?,
    };
    serde_json::from_str(&text).map(Some).map_err(|e| Error::file(&path, format!("no report: {e}")))
}

/// Reads what is known about the files of a directory. A `report.json` of another program says nothing.
fn read_contents(directory: &Path) -> Result<Option<Contents>, Error> {
    let path = directory.join(DATA);
    match std::fs::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => {
            let contents = serde_json::from_slice::<Contents>(&other.map_err(Error::io(&path))?).ok();
            // A name leads to a place within the directory, whoever wrote the list.
            let is_inside = |name: &String| !name.contains("..") && !Path::new(name).is_absolute();
            Ok(contents.filter(|contents| contents.files.iter().all(is_inside)))
        }
    }
}

fn is_figure(name: &str) -> bool {
    Path::new(name).starts_with(FIGURES)
}

/// Returns whether there is anything at a path, be it a link that leads nowhere.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests;
