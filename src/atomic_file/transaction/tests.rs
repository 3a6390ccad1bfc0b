use super::*;
use crate::atomic_file::tests::names;

fn bytes(text: &str) -> Vec<Chunk> {
    vec![Chunk::Bytes(text.into())]
}

fn begin(dir: &Path) -> FileTransaction {
    FileTransaction::begin(dir, "report", "writing").unwrap()
}

/// A directory with an old page and an old table.
fn old() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("page.html"), "old").unwrap();
    std::fs::write(dir.path().join("old.csv"), "old").unwrap();
    dir
}

fn write_new(transaction: &FileTransaction) {
    transaction.write(Path::new("page.html"), &bytes("new")).unwrap();
    transaction.write(Path::new("figures/new.svg"), &bytes("new")).unwrap();
}

fn is_new(dir: &Path) -> bool {
    names(dir) == ["figures", "page.html"]
        && names(&dir.join("figures")) == ["new.svg"]
        && std::fs::read(dir.join("page.html")).unwrap() == b"new"
}

#[test]
fn nothing_changes_before_the_act_and_everything_with_it() {
    let dir = old();
    let transaction = begin(dir.path());
    write_new(&transaction);
    drop(transaction);
    assert_eq!(names(dir.path()), ["old.csv", "page.html"]);
    let transaction = begin(dir.path());
    write_new(&transaction);
    transaction.commit(&["old.csv".to_owned()]).unwrap();
    drop(transaction);
    assert!(is_new(dir.path()), "{:?}", names(dir.path()));
}

/// Puts a directory into the state that a kill leaves: `Drop` does not run.
fn killed(mut transaction: FileTransaction) {
    transaction.lock.keep_file();
    transaction.new = PathBuf::from("nothing that is removed");
}

#[test]
fn what_a_kill_leaves_before_the_act_is_removed() {
    let dir = old();
    let transaction = begin(dir.path());
    write_new(&transaction);
    let new = transaction.new.file_name().unwrap().to_str().unwrap().to_owned();
    killed(transaction);
    assert_eq!(names(dir.path()), [&new, ".whole-report.lock", "old.csv", "page.html"]);
    drop(begin(dir.path()));
    assert_eq!(names(dir.path()), ["old.csv", "page.html"]);
}

#[test]
fn what_a_kill_leaves_after_the_act_moves_to_its_place() {
    for moved in 0..=2 {
        let dir = old();
        let transaction = begin(dir.path());
        write_new(&transaction);
        std::fs::write(transaction.new.join(REMOVED), r#"["old.csv", "../elsewhere"]"#).unwrap();
        let ready = transaction.new.with_extension(READY);
        std::fs::rename(&transaction.new, &ready).unwrap();
        for within in ["page.html", "figures/new.svg"].iter().take(moved) {
            std::fs::create_dir_all(dir.path().join("figures")).unwrap();
            std::fs::rename(ready.join(FILES).join(within), dir.path().join(within)).unwrap();
        }
        killed(transaction);
        let next = begin(dir.path());
        assert!(next.has_recovered());
        drop(next);
        assert!(is_new(dir.path()), "{moved}: {:?}", names(dir.path()));
        assert!(!begin(dir.path()).has_recovered());
    }
}

/// Two processes where nothing can be locked: each has a directory of its own, and one may finish what is the other's.
#[test]
fn writers_without_locks_do_not_write_to_one_another() {
    let dir = old();
    let unlocked = || {
        let lock = WriteLock::without_locks(dir.path(), "report");
        FileTransaction::begin_locked(dir.path(), "report", lock).unwrap()
    };
    let one = unlocked();
    write_new(&one);
    let other = unlocked();
    write_new(&other);
    one.commit(&["old.csv".to_owned()]).unwrap();
    assert!(other.new.exists());
    // Another one has moved the files meanwhile.
    let ready = other.new.with_extension(READY);
    other.finish(&ready).unwrap();
    other.commit(&[]).unwrap();
    drop((one, other));
    assert!(is_new(dir.path()), "{:?}", names(dir.path()));
}

#[test]
fn nothing_but_files_within_the_directory_is_removed() {
    let dir = old();
    std::fs::create_dir(dir.path().join("kept")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("file"), "of another").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("link")).unwrap();
    let transaction = begin(dir.path());
    write_new(&transaction);
    let listed = ["", ".", "kept", "link/file", "../file", "/file", "missing/file", "old.csv"];
    transaction.commit(&listed.map(str::to_owned)).unwrap();
    drop(transaction);
    assert_eq!(names(dir.path()), ["figures", "kept", "link", "page.html"]);
    assert!(elsewhere.path().join("file").exists());
}

#[test]
fn a_file_in_the_place_of_a_directory_is_named_and_nothing_changes() {
    let dir = old();
    std::fs::write(dir.path().join("figures"), "a file").unwrap();
    let transaction = begin(dir.path());
    write_new(&transaction);
    transaction.write(Path::new("directory/that/is/new/table.csv"), &bytes("new")).unwrap();
    let error = transaction.commit(&["old.csv".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("figures"), "{error}");
    drop(transaction);
    drop(begin(dir.path()));
    assert_eq!(names(dir.path()), ["figures", "old.csv", "page.html"]);
    assert_eq!(std::fs::read(dir.path().join("page.html")).unwrap(), b"old");
}

#[test]
fn a_directory_in_the_place_of_a_file_is_named_and_nothing_changes() {
    let dir = old();
    std::fs::create_dir(dir.path().join("table.csv")).unwrap();
    let transaction = begin(dir.path());
    write_new(&transaction);
    transaction.write(Path::new("table.csv"), &bytes("new")).unwrap();
    let error = transaction.commit(&[]).unwrap_err().to_string();
    assert!(error.contains("table.csv: is a directory"), "{error}");
    drop(transaction);
    assert_eq!(std::fs::read(dir.path().join("page.html")).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["old.csv", "page.html", "table.csv"]);
}
