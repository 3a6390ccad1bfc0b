//! Several files that are written in one act.
//!
//! They are written to a directory of their own beside their places, the stage. Renaming that directory is the act; then the
//! files move to their places. A process that is killed before leaves the places as they were, one that is killed after leaves
//! the rest to whoever begins next: see [`Stage::begin`].

use std::path::{Component, Path, PathBuf};

use super::contents::{self, Chunk};
use super::lock::WriteLock;
use super::{create_directories, directory_of, entries, hidden, remove_if_there, sync_directory};
use crate::{Error, Result};

/// The directory of files within a stage.
const FILES: &str = "files";
/// The list of files that are to be removed, within a stage: their paths within the directory, as JSON.
const REMOVED: &str = "removed.json";

/// Files of one directory that are written in one act. One process at a time writes those of one name.
#[derive(Debug)]
pub struct Stage {
    directory: PathBuf,
    /// The files while they are written.
    new: PathBuf,
    /// The files that move to their places.
    ready: PathBuf,
    lock: WriteLock,
}

impl Stage {
    /// Begins files of a directory under a common name. What a killed process has left of them moves to its place, or is removed.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if another process writes them; [`Error::Io`] that names a file.
    pub fn begin(directory: &Path, name: &str, doing: &str) -> Result<Self> {
        let lock = WriteLock::take(directory, name, doing)?;
        let [new, ready] = ["new", "ready"].map(|suffix| hidden(directory, name, suffix));
        let stage = Self { directory: directory.to_owned(), new, ready, lock };
        remove_if_there(&stage.new)?;
        stage.finish()?;
        Ok(stage)
    }

    /// Begins the file `path` and those that come beside it, as [`Stage::begin`] does.
    ///
    /// # Errors
    /// As [`Stage::begin`]; [`Error::Unsupported`] for a path without a file name.
    pub fn of_file(path: &Path) -> Result<Self> {
        let name = path.file_name().ok_or_else(|| Error::unsupported(path.display(), "names no file"))?;
        Self::begin(directory_of(path), &name.to_string_lossy(), &format!("writing {}", name.to_string_lossy()))
    }

    /// Returns why nothing keeps another process from writing the same files; `None` where it is kept from it.
    pub fn why_unlocked(&self) -> Option<&str> {
        self.lock.why_unlocked()
    }

    /// Writes a file to the stage, where it has the path within the directory that it will have in its place. Returns its path.
    ///
    /// # Errors
    /// [`Error::Io`] that names the file in its place, or a file that a chunk is copied from.
    pub fn write(&self, within: &Path, chunks: &[Chunk]) -> Result<PathBuf> {
        let path = self.new.join(FILES).join(within);
        let place = self.directory.join(within);
        create_directories(directory_of(&path)).map_err(Error::io(&place))?;
        contents::write(&path, chunks).map_err(|failed| failed.at(&place))?;
        Ok(path)
    }

    /// Moves the files to their places, and removes others.
    ///
    /// # Errors
    /// [`Error::Io`] that names a file. Nothing has changed if one cannot be replaced.
    pub fn commit(&self, removed: &[String]) -> Result<()> {
        let files = self.new.join(FILES);
        let paths = paths_in(&files)?;
        let mut places = paths.iter().map(|within| self.directory.join(within));
        if let Some(place) = places.find(|place| place.symlink_metadata().is_ok_and(|found| found.is_dir())) {
            return Err(Error::io(&place)(std::io::ErrorKind::IsADirectory.into()));
        }
        for within in paths {
            let place = self.directory.join(&within);
            create_directories(directory_of(&place)).map_err(Error::io(&place))?;
            sync_directory(directory_of(&files.join(&within))).map_err(Error::io(&self.directory))?;
        }
        let list = serde_json::to_vec(removed).map_err(|e| Error::file(&self.directory, e.to_string()))?;
        contents::write(&self.new.join(REMOVED), &[Chunk::Bytes(list)]).map_err(|failed| failed.at(&self.directory))?;
        sync_directory(&self.new).map_err(Error::io(&self.directory))?;
        std::fs::rename(&self.new, &self.ready).map_err(Error::io(&self.directory))?;
        sync_directory(&self.directory).map_err(Error::io(&self.directory))?;
        self.finish()
    }

    /// Moves the files that are ready to their places.
    fn finish(&self) -> Result<()> {
        if self.ready.symlink_metadata().is_err() {
            return Ok(());
        }
        let files = self.ready.join(FILES);
        for within in paths_in(&files)? {
            let place = self.directory.join(&within);
            let parent = directory_of(&place);
            create_directories(parent).map_err(Error::io(&place))?;
            std::fs::rename(files.join(&within), &place).map_err(Error::io(&place))?;
            sync_directory(parent).map_err(Error::io(&place))?;
        }
        let list = self.ready.join(REMOVED);
        let removed = std::fs::read(&list).map_err(Error::io(&list))?;
        let removed: Vec<String> = serde_json::from_slice(&removed).map_err(|e| Error::file(&list, e.to_string()))?;
        for path in removed.iter().filter_map(|within| file_inside(&self.directory, within)) {
            remove_if_there(&path)?;
        }
        sync_directory(&self.directory).map_err(Error::io(&self.directory))?;
        // What is removed in part is no longer ready.
        std::fs::rename(&self.ready, &self.new).map_err(Error::io(&self.directory))?;
        remove_if_there(&self.new)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What stays is removed by whoever begins next.
        let _ = remove_if_there(&self.new);
    }
}

/// Returns the place of a file within a directory, whoever wrote its path; `None` where that leads out of the directory, or to no file.
fn file_inside(directory: &Path, within: &str) -> Option<PathBuf> {
    let is_inside = Path::new(within).components().all(|part| matches!(part, Component::Normal(_)));
    let path = directory.join(within);
    let is_file = path.symlink_metadata().is_ok_and(|found| !found.is_dir());
    // A directory on the way may be a link.
    let parent = directory_of(&path).canonicalize().ok()?;
    (is_inside && is_file && parent.starts_with(directory.canonicalize().ok()?)).then_some(path)
}

/// Returns the paths of all files below a directory, as paths within it, sorted.
fn paths_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(within) = waiting.pop() {
        for path in entries(&directory.join(&within))? {
            let within = within.join(path.file_name().unwrap_or_default());
            if path.is_dir() { waiting.push(within) } else { paths.push(within) }
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic_file::tests::names;

    fn bytes(text: &str) -> Vec<Chunk> {
        vec![Chunk::Bytes(text.into())]
    }

    fn begin(dir: &Path) -> Stage {
        Stage::begin(dir, "report", "writing").unwrap()
    }

    /// A directory with an old page and an old table.
    fn old() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("page.html"), "old").unwrap();
        std::fs::write(dir.path().join("old.csv"), "old").unwrap();
        dir
    }

    fn write_new(stage: &Stage) {
        stage.write(Path::new("page.html"), &bytes("new")).unwrap();
        stage.write(Path::new("figures/new.svg"), &bytes("new")).unwrap();
    }

    fn is_new(dir: &Path) -> bool {
        names(dir) == ["figures", "page.html"]
            && names(&dir.join("figures")) == ["new.svg"]
            && std::fs::read(dir.join("page.html")).unwrap() == b"new"
    }

    #[test]
    fn nothing_changes_before_the_act_and_everything_with_it() {
        let dir = old();
        let stage = begin(dir.path());
        write_new(&stage);
        drop(stage);
        assert_eq!(names(dir.path()), ["old.csv", "page.html"]);
        let stage = begin(dir.path());
        write_new(&stage);
        stage.commit(&["old.csv".to_owned()]).unwrap();
        drop(stage);
        assert!(is_new(dir.path()), "{:?}", names(dir.path()));
    }

    /// Puts a directory into the state that a kill leaves: `Drop` does not run.
    fn killed(stage: Stage) {
        let Stage { lock, .. } = &stage;
        // The system releases the lock of a killed process.
        lock.release();
        std::mem::forget(stage);
    }

    #[test]
    fn what_a_kill_leaves_before_the_act_is_removed() {
        let dir = old();
        let stage = begin(dir.path());
        write_new(&stage);
        killed(stage);
        assert_eq!(names(dir.path()), [".whole-report.lock", ".whole-report.new", "old.csv", "page.html"]);
        drop(begin(dir.path()));
        assert_eq!(names(dir.path()), ["old.csv", "page.html"]);
    }

    #[test]
    fn what_a_kill_leaves_after_the_act_moves_to_its_place() {
        for moved in 0..=2 {
            let dir = old();
            let stage = begin(dir.path());
            write_new(&stage);
            std::fs::write(stage.new.join(REMOVED), r#"["old.csv", "../elsewhere"]"#).unwrap();
            std::fs::rename(&stage.new, &stage.ready).unwrap();
            for within in ["page.html", "figures/new.svg"].iter().take(moved) {
                std::fs::create_dir_all(dir.path().join("figures")).unwrap();
                std::fs::rename(stage.ready.join(FILES).join(within), dir.path().join(within)).unwrap();
            }
            killed(stage);
            drop(begin(dir.path()));
            assert!(is_new(dir.path()), "{moved}: {:?}", names(dir.path()));
        }
    }

    #[test]
    fn nothing_but_files_within_the_directory_is_removed() {
        let dir = old();
        std::fs::create_dir(dir.path().join("kept")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("file"), "of another").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("link")).unwrap();
        let stage = begin(dir.path());
        write_new(&stage);
        let listed = ["", ".", "kept", "link/file", "../file", "/file", "missing/file", "old.csv"];
        stage.commit(&listed.map(str::to_owned)).unwrap();
        drop(stage);
        assert_eq!(names(dir.path()), ["figures", "kept", "link", "page.html"]);
        assert!(elsewhere.path().join("file").exists());
    }

    #[test]
    fn a_file_in_the_place_of_a_directory_is_named_and_nothing_changes() {
        let dir = old();
        std::fs::write(dir.path().join("figures"), "a file").unwrap();
        let stage = begin(dir.path());
        write_new(&stage);
        let error = stage.commit(&["old.csv".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("figures"), "{error}");
        drop(stage);
        drop(begin(dir.path()));
        assert_eq!(names(dir.path()), ["figures", "old.csv", "page.html"]);
        assert_eq!(std::fs::read(dir.path().join("page.html")).unwrap(), b"old");
    }

    #[test]
    fn a_directory_in_the_place_of_a_file_is_named_and_nothing_changes() {
        let dir = old();
        std::fs::create_dir(dir.path().join("table.csv")).unwrap();
        let stage = begin(dir.path());
        write_new(&stage);
        stage.write(Path::new("table.csv"), &bytes("new")).unwrap();
        let error = stage.commit(&[]).unwrap_err().to_string();
        assert!(error.contains("table.csv: is a directory"), "{error}");
        drop(stage);
        assert_eq!(std::fs::read(dir.path().join("page.html")).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["old.csv", "page.html", "table.csv"]);
    }
}
