//! `unrolled data fetch` against a server that fails in a given way.

#![cfg(feature = "fetch")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The first file of MNIST, and its size.
const FILE: &str = "train-images-idx3-ubyte.gz";
const SIZE: usize = 9_912_422;

/// What a server answers: the status, more lines of the head, and how many bytes of zeros it sends.
struct Answer(&'static str, String, usize);

/// All of the file, of which so many bytes are sent.
fn whole(sent: usize) -> Answer {
    Answer("200 OK", format!("Content-Length: {SIZE}\r\n"), sent)
}

/// The file from one byte on, announced as from another one.
fn rest(from: usize, announced: usize) -> Answer {
    let range = format!("Content-Range: bytes {announced}-{}/{SIZE}\r\n", SIZE - 1);
    Answer("206 Partial Content", format!("Content-Length: {}\r\n{range}", SIZE - from), SIZE - from)
}

fn moved(to: &str) -> Answer {
    Answer("302 Found", format!("Location: {to}\r\nContent-Length: 0\r\n"), 0)
}

/// Starts a server. Returns its address, and a thread that returns the first line and the range of every request.
fn serve(answers: Vec<Answer>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = move |Answer(status, head, count)| {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(&stream).lines().map_while(|line| line.ok().filter(|line| !line.is_empty()));
        let lines: Vec<String> = lines.collect();
        write!(stream, "HTTP/1.1 {status}\r\n{head}Connection: close\r\n\r\n").unwrap();
        // The program may have hung up.
        let _ = stream.write_all(&vec![0; count]);
        let range = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("range: ").map(str::to_owned));
        let target = lines[0].split(' ').nth(1).unwrap();
        format!("{target} {}", range.unwrap_or_default()).trim_end().to_owned()
    };
    (address, std::thread::spawn(move || answers.into_iter().map(answer).collect()))
}

fn fetch(dir: &Path, from: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unrolled"));
    command.args(["data", "fetch", "mnist", "--dir"]).arg(dir).args(["--from", from]);
    for proxy in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(proxy).env_remove(proxy.to_uppercase());
    }
    command.output().unwrap()
}

/// Fetches what cannot be fetched, and returns the one line of the error.
fn refusal(dir: &Path, from: &str) -> String {
    let output = fetch(dir, from);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(if text.contains("--from: '") { 2 } else { 1 }), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("error")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    lines[0].to_owned()
}

fn part(dir: &Path) -> Option<u64> {
    std::fs::metadata(dir.join("mnist").join(format!("{FILE}.part"))).ok().map(|meta| meta.len())
}

#[test]
fn what_is_broken_off_goes_on_and_is_removed_where_it_is_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let (address, server) = serve(vec![whole(1_000_000), rest(1_000_000, 1_000_000)]);
    let url = format!("http://{address}/mirror/");
    let error = refusal(dir.path(), &url);
    let begins = format!("error: http://{address}/mirror/{FILE}: cut off after 1,000,000 of 9,912,422 bytes (");
    assert!(error.starts_with(&begins) && error.ends_with("; the next attempt continues"), "{error}");
    assert_eq!(part(dir.path()), Some(1_000_000));
    let error = refusal(dir.path(), &url);
    assert!(error.contains("its SHA-256 is ") && error.ends_with("; the download was removed, try again"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path().join("mnist")).unwrap().count(), 0);
    assert_eq!(server.join().unwrap(), [format!("/mirror/{FILE}"), format!("/mirror/{FILE} bytes=1000000-")]);
}

#[test]
fn a_server_that_goes_on_elsewhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (address, server) = serve(vec![whole(1_000_000), rest(1_000_000, 999_999), rest(0, 0)]);
    let url = format!("http://{address}");
    refusal(dir.path(), &url);
    for _ in 0..2 {
        let error = refusal(dir.path(), &url);
        assert!(error.ends_with(": the server does not continue at byte 1000000"), "{error}");
        assert_eq!(part(dir.path()), Some(1_000_000));
    }
    server.join().unwrap();
}

#[test]
fn redirections_are_followed_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let (address, server) = serve(vec![moved("/other/place"), whole(SIZE)]);
    let error = refusal(dir.path(), &format!("http://{address}/here"));
    assert!(error.contains("its SHA-256 is "), "{error}");
    assert_eq!(server.join().unwrap(), [format!("/here/{FILE}"), "/other/place".to_owned()]);
    // In a circle.
    let (address, server) = serve((0..11).map(|_| moved("/here")).collect());
    let error = refusal(dir.path(), &format!("http://{address}"));
    assert!(error.starts_with(&format!("error: http://{address}/{FILE}: no answer: ")), "{error}");
    assert_eq!(server.join().unwrap().len(), 11);
}

/// Answers one connection by TLS, with a certificate that nobody has signed.
fn serve_tls() -> (String, JoinHandle<bool>) {
    let certificate = CertificateDer::from_slice(include_bytes!("../fetch/self-signed.der"));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&include_bytes!("../fetch/self-signed.key.der")[..]));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut stream: TcpStream = listener.accept().unwrap().0;
        let mut session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        // Whether anything was asked for in spite of the certificate.
        rustls::Stream::new(&mut session, &mut stream).read(&mut [0; 100]).is_ok_and(|count| count > 0)
    });
    (address, server)
}

#[test]
fn a_certificate_that_nobody_signed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (address, server) = serve_tls();
    let error = refusal(dir.path(), &format!("https://{address}"));
    assert!(error.starts_with(&format!("error: https://{address}/{FILE}: no answer: ")), "{error}");
    assert!(error.contains("certificate"), "{error}");
    assert!(!server.join().unwrap(), "the program asked a server that it cannot trust");
    assert_eq!(part(dir.path()), None);
}

#[test]
fn what_is_no_url_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for url in ["ftp://mirror.example/mnist", "mirror.example", "http://"] {
        let error = refusal(dir.path(), url);
        assert_eq!(error, format!("error: --from: '{url}', expected a URL such as https://mirror.example/mnist"));
    }
    assert!(!dir.path().join("mnist").exists());
}
