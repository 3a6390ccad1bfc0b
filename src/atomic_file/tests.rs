use super::*;

pub(super) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn missing_directories_are_created_and_old_content_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/report.html");
    write_atomic(&path, b"old, and longer").unwrap();
    write_atomic(&path, b"new").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(names(path.parent().unwrap()), ["report.html"]);
}

#[test]
fn a_failed_write_names_the_path_and_leaves_no_file() {
    let root = tempfile::tempdir().unwrap();
    let taken = root.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("file"), b"").unwrap();
    let error = write_atomic(&taken, b"bytes").unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}: ", taken.display())), "{error}");
    assert_eq!(names(root.path()), ["taken"]);

    let beneath_a_file = taken.join("file/report.html");
    let error = write_atomic(&beneath_a_file, b"bytes").unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}: ", beneath_a_file.display())), "{error}");
}

#[test]
fn a_failed_check_keeps_the_old_content() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("slim.safetensors");
    write_atomic(&path, b"old").unwrap();
    let new = FileContents::from(b"new".to_vec());
    let refused = write_atomic_checked(&path, &new, |new| {
        assert_eq!(std::fs::read(new).unwrap(), b"new");
        Err::<(), _>(Error::Interrupted)
    });
    assert_eq!(refused.unwrap_err().to_string(), "interrupted");
    assert_eq!(
        (std::fs::read(&path).unwrap().as_slice(), names(root.path())),
        (&b"old"[..], vec!["slim.safetensors".to_owned()])
    );
    assert_eq!(write_atomic_checked(&path, &new, |_| Ok(7)).unwrap(), 7);
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(names(root.path()), ["slim.safetensors"]);
}

#[test]
fn a_companion_is_written_with_the_file_and_replaces_nothing() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("slim.onnx");
    let source = root.path().join("source");
    std::fs::write(&source, b"0123456789").unwrap();
    let chunks = vec![Chunk::Zeros(2), Chunk::FileRange { path: source.clone(), offset: 3, length: 4 }];
    let contents = FileContents {
        chunks: vec![Chunk::Bytes(b"new".to_vec())],
        companion: Some(("slim.onnx.data".into(), chunks)),
    };
    assert_eq!(contents.length(), 9);
    let refused = write_atomic_checked(&path, &contents, |new| {
        let companion = new.with_file_name("slim.onnx.data");
        assert_eq!(std::fs::read(companion).unwrap(), b"\0\x003456");
        Err::<(), _>(Error::Interrupted)
    });
    assert_eq!(
        (refused.unwrap_err().to_string().as_str(), names(root.path())),
        ("interrupted", vec!["source".to_owned()])
    );
    write_atomic_checked(&path, &contents, |_| Ok(())).unwrap();
    assert_eq!(names(root.path()), ["slim.onnx", "slim.onnx.data", "source"]);
    let again = write_atomic_checked(&path, &contents, |_| Ok(())).unwrap_err().to_string();
    assert!(again.starts_with(&format!("{}: ", root.path().join("slim.onnx.data").display())), "{again}");
    // If the file itself cannot be moved to its place, its companion is removed again.
    let taken = root.path().join("taken");
    std::fs::create_dir_all(taken.join("file")).unwrap();
    let other =
        FileContents { chunks: vec![Chunk::Bytes(Vec::new())], companion: Some(("other.data".into(), Vec::new())) };
    write_atomic_checked(&taken, &other, |_| Ok(())).unwrap_err();
    assert_eq!(names(root.path()), ["slim.onnx", "slim.onnx.data", "source", "taken"]);
    // A source file that is too short is named.
    let short = vec![Chunk::FileRange { path: source.clone(), offset: 8, length: 4 }];
    let short = FileContents { chunks: short, companion: None };
    let error = write_atomic_checked(&root.path().join("x"), &short, |_| Ok(())).unwrap_err().to_string();
    assert_eq!(error, format!("{}: ends after 2 of 4 bytes from 8 on", source.display()));
    // One that cannot be read too.
    let directory = vec![Chunk::FileRange { path: taken.clone(), offset: 0, length: 4 }];
    let directory = FileContents { chunks: directory, companion: None };
    let error = write_atomic_checked(&root.path().join("x"), &directory, |_| Ok(())).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: ", taken.display())), "{error}");
}

#[cfg(unix)]
#[test]
fn the_umask_decides_who_may_read_a_file() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let (atomic, plain) = (root.path().join("atomic"), root.path().join("plain"));
    write_atomic(&atomic, b"").unwrap();
    std::fs::write(&plain, b"").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&atomic), mode(&plain));
}
