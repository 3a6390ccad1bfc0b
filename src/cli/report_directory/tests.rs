//! Which files of a directory are replaced.

use super::*;

const KINDS: [ReportKind; 4] =
    [ReportKind::Measurement, ReportKind::Comparison, ReportKind::Demo, ReportKind::Slimming];

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = entries(directory).unwrap().iter().map(|path| output::short_name(path)).collect();
    names.sort();
    names
}

fn numbers() -> File {
    (NUMBERS.to_owned(), b"{}".to_vec())
}

fn tables(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), "a\n".to_owned())).collect()
}

#[test]
fn a_report_replaces_one_of_its_kind_alone() {
    let page = Report::default();
    for before in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let open = || ReportDirectory::open(dir.path(), before).unwrap();
        open().save_with(&page, numbers(), tables(&["lesion.csv", "pairs.csv"])).unwrap();
        for kind in KINDS {
            let opened = ReportDirectory::open(dir.path(), kind);
            assert_eq!(opened.is_ok(), kind == before, "{kind:?} over {before:?}");
            if let Err(error) = opened {
                assert!(error.to_string().contains(&format!("belongs to no {} here", kind.name())), "{error}");
            }
        }
    }
}

#[test]
fn nothing_of_an_earlier_report_stays_and_everything_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let names = || names_in(dir.path());
    let page = Report::default();
    let open = || ReportDirectory::open(dir.path(), ReportKind::Comparison);
    open().unwrap().save_with(&page, numbers(), tables(&["lesion.csv", "pairs.csv"])).unwrap();
    let figures = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    let reopen = || ReportDirectory::reopen(dir.path(), ReportKind::Comparison).unwrap();
    reopen().save_figures(&page, figures(&["a.svg", "b.svg"])).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    std::fs::write(dir.path().join("figures/mine.svg"), "mine").unwrap();
    open().unwrap().save_with(&page, numbers(), tables(&["gates.csv"])).unwrap();
    let expected = ["figures", "gates.csv", "measurements.json", "notes.txt", "report.html", "report.json"];
    assert_eq!(names(), expected);
    reopen().save_figures(&page, figures(&["b.svg"])).unwrap();
    assert_eq!(names_in(&dir.path().join("figures")), ["b.svg", "mine.svg"]);
    let error = reopen().save_figures(&page, figures(&["mine.svg"])).unwrap_err().to_string();
    assert!(error.contains("mine.svg: is there already"), "{error}");
    reopen().save_page(&page).unwrap();
    assert_eq!(names(), expected);
}

/// A list of files that somebody wrote leads nowhere else.
#[test]
fn a_list_that_names_files_elsewhere_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(dir.path().join("mine.csv"), "mine").unwrap();
    std::fs::write(inside.join(DATA), "{\"kind\": \"demo\", \"files\": [\"report.json\", \"../mine.csv\"]}").unwrap();
    let error = ReportDirectory::open(&inside, ReportKind::Demo).unwrap_err().to_string();
    assert!(error.contains("report.json: is there already"), "{error}");
    assert!(dir.path().join("mine.csv").exists());
}

/// A report that cannot be written, as on a full disk, leaves the one before as it was.
#[test]
fn a_report_that_fails_leaves_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let page = Report::default();
    let open = || ReportDirectory::open(dir.path(), ReportKind::Comparison).unwrap();
    open().save_with(&page, numbers(), tables(&["lesion.csv", "pairs.csv"])).unwrap();
    let files = || {
        let read = |name: String| (std::fs::read(dir.path().join(&name)).unwrap(), name);
        names_in(dir.path()).into_iter().map(read).collect::<Vec<_>>()
    };
    let before = files();
    let opened = open();
    // No file has such a name.
    let long = "x".repeat(300) + ".csv";
    opened.save_with(&Report { title: "new".into(), ..page }, numbers(), tables(&["gates.csv", &long])).unwrap_err();
    drop(opened);
    assert!(files() == before);
}

#[test]
fn one_process_at_a_time_writes_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new");
    let opened = ReportDirectory::open(&path, ReportKind::Demo).unwrap();
    let refused = ReportDirectory::open(&path, ReportKind::Demo).unwrap_err().to_string();
    assert!(refused.ends_with("new: another process is writing to this directory"), "{refused}");
    drop(opened);
    assert!(!path.exists());
}
