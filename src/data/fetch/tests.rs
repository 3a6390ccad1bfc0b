//! Downloads from a local server that fails in a given way.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;
use crate::data::binary_reader::gzip;

/// How the server answers one request.
#[derive(Clone, Copy)]
enum Response {
    /// With the requested range.
    Correct,
    /// With this many bytes of those that it announces.
    Truncated(usize),
    /// With the whole file, whatever range was requested.
    Whole,
    /// With status 206, but from the beginning of the file.
    WrongRange,
    /// With status 404.
    NotFound,
}

/// Starts a server of `content` that gives these answers in order. Returns its base URL and a thread that returns the
/// start of every requested range.
fn serve(content: &[u8], answers: &[Response]) -> (String, JoinHandle<Vec<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/some/where/", listener.local_addr().unwrap());
    let (content, answers) = (content.to_vec(), answers.to_vec());
    let server = std::thread::spawn(move || {
        let answer = |answer| {
            let (mut stream, _) = listener.accept().unwrap();
            let head: Vec<String> =
                BufReader::new(&stream).lines().map_while(|line| line.ok().filter(|l| !l.is_empty())).collect();
            let range = head
                .iter()
                .find_map(|line| line.to_lowercase().strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
            let start = range.unwrap_or(0);
            let from = if matches!(answer, Response::Correct | Response::Truncated(_)) { start } else { 0 };
            let status = match answer {
                Response::NotFound => "404 Not Found",
                Response::Whole => "200 OK",
                _ if start == 0 => "200 OK",
                _ => "206 Partial Content",
            };
            let body = &content[from..];
            let (len, last, total) = (body.len(), content.len() - 1, content.len());
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {len}\r\nContent-Range: bytes {from}-{last}/{total}\r\nConnection: close\r\n\r\n"
            );
            let sent = if let Response::Truncated(n) = answer { n } else { len };
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..sent])).unwrap();
            start
        };
        answers.into_iter().map(answer).collect()
    });
    (base_url, server)
}

fn content() -> Vec<u8> {
    (0..200_000_u32).map(|i| (i / 100 * i / 128) as u8).collect()
}

fn entry(
    name: &'static str,
    sha256: &'static str,
    bytes: usize,
    archive_members: &'static [&'static str],
) -> CatalogEntry {
    let file = RemoteFile { name: "file.gz", bytes: bytes as u64, sha256 };
    let files = Box::leak(Box::new([file]));
    CatalogEntry { name, description: "", size: "", credit: "", base_url: "", files, archive_members }
}

fn digest(bytes: &[u8]) -> &'static str {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    fs::write(&path, bytes).unwrap();
    sha256(&path).unwrap().leak()
}

/// The catalog entry of `content`.
fn content_entry() -> CatalogEntry {
    entry("set", digest(&content()), content().len(), &[])
}

/// Calls `fetch_entry` once. Returns its result, without addresses in the message, and the bytes of each progress report.
fn attempt(data: &CatalogEntry, base_url: &str, dir: &Path) -> (std::result::Result<PathBuf, String>, Vec<u64>) {
    let mut reports = Vec::new();
    let outcome = fetch_entry(data, base_url, dir, &mut |progress| reports.push(progress.done));
    let message = |e: Error| e.to_string().replace(base_url, "HOME/").replace(&dir.display().to_string(), "DIR");
    (outcome.map_err(message), reports)
}

#[test]
fn the_checksum_is_sha256() {
    assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn a_download_is_saved_and_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (base_url, server) = serve(&content(), &[Response::Correct]);
    let (outcome, reports) = attempt(&content_entry(), &base_url, dir.path());
    assert_eq!(outcome.unwrap(), dir.path().join("set"));
    assert_eq!((reports[0], reports.last()), (0, Some(&200_000)));
    assert_eq!(fs::read(dir.path().join("set/file.gz")).unwrap(), content());
    assert_eq!(server.join().unwrap(), [0]);
    // The server has stopped, so that a second call succeeds only without it.
    let (outcome, reports) = attempt(&content_entry(), &base_url, dir.path());
    assert!(outcome.is_ok() && reports.is_empty());
}

#[test]
fn an_interrupted_download_is_continued() {
    let dir = tempfile::tempdir().unwrap();
    let (base_url, server) =
        serve(&content(), &[Response::Truncated(50_000), Response::Truncated(1000), Response::Correct]);
    for done in ["50,000", "51,000"] {
        let (outcome, _) = attempt(&content_entry(), &base_url, dir.path());
        let message = outcome.unwrap_err();
        let start = format!("HOME/file.gz: cut off after {done} of 200,000 bytes (");
        assert!(message.starts_with(&start) && message.ends_with("); the next attempt continues"), "{message}");
        assert!(dir.path().join("set/file.gz.part").is_file());
    }
    let (outcome, reports) = attempt(&content_entry(), &base_url, dir.path());
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(reports[0], 51_000);
    assert_eq!(server.join().unwrap(), [0, 50_000, 51_000]);
    assert_eq!(fs::read(dir.path().join("set/file.gz")).unwrap(), content());
    assert!(!dir.path().join("set/file.gz.part").exists());
}

#[test]
fn a_download_starts_again_if_the_server_cannot_continue() {
    let dir = tempfile::tempdir().unwrap();
    let (base_url, server) = serve(&content(), &[Response::Truncated(50_000), Response::WrongRange, Response::Whole]);
    assert!(attempt(&content_entry(), &base_url, dir.path()).0.is_err());
    let (outcome, _) = attempt(&content_entry(), &base_url, dir.path());
    assert_eq!(outcome.unwrap_err(), "HOME/file.gz: the server does not continue at byte 50000");
    let (outcome, reports) = attempt(&content_entry(), &base_url, dir.path());
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!((reports[0], reports.last()), (0, Some(&200_000)));
    assert_eq!(server.join().unwrap(), [0, 50_000, 50_000]);
}

#[test]
fn a_wrong_checksum_removes_the_download() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = content();
    other[77] ^= 1;
    let (base_url, server) = serve(&other, &[Response::Correct]);
    let (outcome, _) = attempt(&content_entry(), &base_url, dir.path());
    let (found, expected) = (digest(&other), digest(&content()));
    let message = format!("its SHA-256 is {found}, expected {expected}; the download was removed, try again");
    assert_eq!(outcome.unwrap_err(), format!("HOME/file.gz: {message}"));
    assert_eq!(fs::read_dir(dir.path().join("set")).unwrap().count(), 0);
    server.join().unwrap();
}

#[test]
fn a_file_that_is_too_long_is_not_received_completely() {
    let dir = tempfile::tempdir().unwrap();
    let (base_url, server) = serve(&content(), &[Response::Correct]);
    let data = entry("set", digest(b"abc"), 3, &[]);
    let (outcome, reports) = attempt(&data, &base_url, dir.path());
    assert!(outcome.unwrap_err().contains("the download was removed"));
    assert_eq!(reports, [0]);
    // The server may have failed to send the rest.
    let _ = server.join();
}

#[test]
fn an_existing_file_with_other_content_is_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("set")).unwrap();
    fs::write(dir.path().join("set/file.gz"), "mine").unwrap();
    let (outcome, _) = attempt(&content_entry(), "http://127.0.0.1:9/", dir.path());
    let (found, expected) = (digest(b"mine"), digest(&content()));
    let message = format!("is there already, but its SHA-256 is {found}, expected {expected}; move it away");
    assert_eq!(outcome.unwrap_err(), format!("DIR/set/file.gz: {message}"));
    assert_eq!(fs::read(dir.path().join("set/file.gz")).unwrap(), b"mine");
}

#[test]
fn a_missing_file_and_a_missing_server_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (base_url, server) = serve(&content(), &[Response::NotFound]);
    let (outcome, _) = attempt(&content_entry(), &base_url, dir.path());
    assert_eq!(outcome.unwrap_err(), "HOME/file.gz: the server answers 404 Not Found");
    server.join().unwrap();
    let (outcome, _) = attempt(&content_entry(), &base_url, dir.path());
    let message = outcome.unwrap_err();
    assert!(message.starts_with("HOME/file.gz: no answer: "), "{message}");
}

#[test]
fn an_archive_is_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    tar.append_data(&mut header, "below/test.bin", &b"abc"[..]).unwrap();
    let archive = gzip(&tar.into_inner().unwrap());
    let data = entry("set", digest(&archive), archive.len(), &["below/test.bin"]);
    let (base_url, server) = serve(&archive, &[Response::Correct]);
    attempt(&data, &base_url, dir.path()).0.unwrap();
    server.join().unwrap();
    let member = dir.path().join("set/below/test.bin");
    assert_eq!(fs::read(&member).unwrap(), b"abc");
    // A missing member is unpacked again without a download.
    fs::remove_file(&member).unwrap();
    attempt(&data, &base_url, dir.path()).0.unwrap();
    assert!(member.is_file());
}

#[test]
fn a_data_set_that_cannot_be_downloaded_is_refused() {
    for (name, message) in [
        ("digits", "data set 'digits': built in, there is nothing to download"),
        ("cifar11", "unknown data set 'cifar11', did you mean 'cifar10'?"),
        ("folder", "unknown data set 'folder', known: mnist, fashion-mnist, cifar10, cifar100"),
    ] {
        let error = fetch(name, Path::new("no/such"), &mut |_| {}).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
