//! Downloads data sets. An interrupted download is continued, and every file is checked by its SHA-256.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::binary_reader::with_commas;
use super::catalog::{CatalogEntry, RemoteFile, catalog};
use super::unpack;
use crate::{Error, Result};

/// The longest time without an answer of the server.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The progress of the download of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadProgress<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// The bytes that have been received, including those of earlier calls.
    pub done: u64,
    /// The size of the file in bytes.
    pub total: u64,
}

/// Downloads the data set `name` into the directory `DIR/NAME` and returns that directory. The data set is then opened as
/// `NAME:DIR/NAME`.
///
/// A file is downloaded under its name with `.part` added, and gets its own name when its SHA-256 is correct. After a
/// broken connection the next call continues. A file that exists and is correct is not downloaded again.
///
/// # Errors
/// [`Error::Unknown`] or [`Error::Unsupported`] if the data set cannot be downloaded; [`Error::File`] if the connection
/// fails, the server refuses, or the checksum is wrong, in which case the download is removed; [`Error::Io`] if a file
/// cannot be written. A file that exists under the same name with other content is an error and is not changed.
pub fn fetch(name: &str, dir: &Path, progress: &mut dyn FnMut(DownloadProgress<'_>)) -> Result<PathBuf> {
    let data = find_entry(name)?;
    fetch_entry(data, data.base_url, dir, progress)
}

/// Downloads as [`fetch`], from a mirror: another server with the same files. The URL of a file is `from`, a slash, and its
/// name. The files have the checksums of the original ones, whatever server they come from.
///
/// # Errors
/// As [`fetch`], and [`Error::Argument`] where `from` is not the URL of a server.
pub fn fetch_from(
    name: &str,
    from: &str,
    dir: &Path,
    progress: &mut dyn FnMut(DownloadProgress<'_>),
) -> Result<PathBuf> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| from.strip_prefix(scheme));
    if rest.is_none_or(str::is_empty) {
        return Err(Error::argument("from", format!("'{from}', expected a URL such as https://mirror.example/mnist")));
    }
    fetch_entry(find_entry(name)?, from, dir, progress)
}

fn find_entry(name: &str) -> Result<&'static CatalogEntry> {
    match catalog().iter().find(|data| data.name == name) {
        Some(data) if data.files.is_empty() => {
            Err(Error::unsupported(format_args!("data set '{name}'"), "built in, there is nothing to download"))
        }
        Some(data) => Ok(data),
        None => {
            let with_files = catalog().iter().filter(|data| !data.files.is_empty());
            Err(Error::unknown("data set", name, with_files.map(|data| data.name)))
        }
    }
}

fn fetch_entry(
    data: &CatalogEntry,
    base_url: &str,
    dir: &Path,
    progress: &mut dyn FnMut(DownloadProgress<'_>),
) -> Result<PathBuf> {
    let dir = dir.join(data.name);
    fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
    for file in data.files {
        let path = dir.join(file.name);
        match path.try_exists().map_err(Error::io(&path))? {
            true => check_existing(&path, file)?,
            false => download(base_url, file, &path, progress)?,
        }
        if !data.archive_members.is_empty() {
            unpack::unpack(&path, data.archive_members, &dir)?;
        }
    }
    Ok(dir)
}

/// Checks a file that exists already. A wrong one is not overwritten: it may be a file of the user.
fn check_existing(path: &Path, file: &RemoteFile) -> Result<()> {
    let found = sha256(path)?;
    match found == file.sha256 {
        true => Ok(()),
        false => Err(Error::file(
            path,
            format!("is there already, but its SHA-256 is {found}, expected {}; move it away", file.sha256),
        )),
    }
}

fn download(
    base_url: &str,
    file: &RemoteFile,
    path: &Path,
    progress: &mut dyn FnMut(DownloadProgress<'_>),
) -> Result<()> {
    let url = format!("{}/{}", base_url.trim_end_matches('/'), file.name);
    let part = path.with_file_name(format!("{}.part", file.name));
    let received = fs::metadata(&part).map_or(0, |meta| meta.len());
    if received < file.bytes {
        receive(&url, file, &part, received, progress)?;
    }
    let found = sha256(&part)?;
    if found != file.sha256 {
        fs::remove_file(&part).map_err(Error::io(&part))?;
        let expected = file.sha256;
        let what = format!("its SHA-256 is {found}, expected {expected}; the download was removed, try again");
        return Err(Error::file(url, what));
    }
    unpack::complete(&part, path)
}

/// Downloads the rest of a file to `part`, which has `received` bytes.
fn receive(
    url: &str,
    file: &RemoteFile,
    part: &Path,
    received: u64,
    progress: &mut dyn FnMut(DownloadProgress<'_>),
) -> Result<()> {
    let response = request(url, received)?;
    let mut out = File::options().create(true).append(true).open(part).map_err(Error::io(part))?;
    let mut done = received;
    if response.status() == StatusCode::OK && received > 0 {
        // The server cannot continue a download and sends the whole file.
        out.set_len(0).and_then(|()| out.rewind()).map_err(Error::io(part))?;
        done = 0;
    }
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        progress(DownloadProgress { file: file.name, done, total: file.bytes });
        let interrupted = |e: io::Error| {
            let (done, total) = (with_commas(done as usize), with_commas(file.bytes as usize));
            Error::file(url, format!("cut off after {done} of {total} bytes ({e}); the next attempt continues"))
        };
        let n = body.read(&mut buffer).map_err(interrupted)?;
        match n {
            0 if done < file.bytes => return Err(interrupted(io::ErrorKind::UnexpectedEof.into())),
            0 => return Ok(()),
            _ => out.write_all(&buffer[..n]).map_err(Error::io(part))?,
        }
        done += n as u64;
        if done > file.bytes {
            // The file is too long. The checksum will be wrong, and the disk is not filled.
            return Ok(());
        }
    }
}

/// Requests the bytes from `received` on. The status of the response is 200, or 206 if it continues there.
fn request(url: &str, received: u64) -> Result<Response<ureq::Body>> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(TIMEOUT))
        .timeout_recv_response(Some(TIMEOUT))
        .timeout_per_read(Some(TIMEOUT));
    let agent: Agent = config.build().into();
    // The server may compress a response without this, and offsets would not be those of the file.
    let mut request = agent.get(url).header(header::ACCEPT_ENCODING, "identity");
    if received > 0 {
        request = request.header(header::RANGE, format!("bytes={received}-"));
    }
    let response = request.call().map_err(|e| Error::file(url, format!("no answer: {e}")))?;
    let range = response.headers().get(header::CONTENT_RANGE);
    let continues = range.is_some_and(|range| range.as_bytes().starts_with(format!("bytes {received}-").as_bytes()));
    match response.status() {
        StatusCode::OK => Ok(response),
        StatusCode::PARTIAL_CONTENT if continues => Ok(response),
        StatusCode::PARTIAL_CONTENT => {
            Err(Error::file(url, format!("the server does not continue at byte {received}")))
        }
        status => Err(Error::file(url, format!("the server answers {status}"))),
    }
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(Error::io(path))? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
