//! Downloads of data sets: resumable, and checked before they count.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::known::{Catalog, Remote, known};
use super::read::grouped;
use super::unpack;
use crate::{Error, Result};

/// How long the other side may keep silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// How far the download of one file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Bytes that are here, those of an earlier attempt included.
    pub done: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

/// Downloads the data set `name` into `DIR/NAME` and returns that directory, for a spec `NAME:DIR/NAME`.
///
/// A file grows under its name with `.part` and gets its own name once its SHA-256 is right. What a broken
/// connection left is continued by the next call; a file that is there and right is not downloaded again.
///
/// # Errors
/// The name is not one that can be downloaded, the connection fails, the server refuses, a checksum is wrong (the
/// download is removed then), or a file cannot be written. A file that is there under the right name with other
/// content is not touched; it is an error.
pub fn fetch(name: &str, dir: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf> {
    let data = find(name)?;
    fetch_known(data, data.home, dir, progress)
}

/// As [`fetch`], from another place that has the same files, such as a mirror: they are at `home` plus their names.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_from(name: &str, home: &str, dir: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf> {
    fetch_known(find(name)?, home, dir, progress)
}

fn find(name: &str) -> Result<&'static Catalog> {
    match known().iter().find(|data| data.name == name) {
        Some(data) if data.files.is_empty() => Err(Error::Usage(format!("data set '{name}' is built in"))),
        Some(data) => Ok(data),
        None => {
            let with_files = known().iter().filter(|data| !data.files.is_empty());
            Err(Error::unknown("data set", name, with_files.map(|data| data.name)))
        }
    }
}

fn fetch_known(data: &Catalog, home: &str, dir: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf> {
    let dir = dir.join(data.name);
    fs::create_dir_all(&dir).map_err(Error::io(&dir))?;
    for file in data.files {
        let path = dir.join(file.name);
        match path.try_exists().map_err(Error::io(&path))? {
            true => check_existing(&path, file)?,
            false => download(home, file, &path, progress)?,
        }
        if !data.members.is_empty() {
            unpack::unpack(&path, data.members, &dir)?;
        }
    }
    Ok(dir)
}

/// A file that is in the way is the user's: it is never overwritten.
fn check_existing(path: &Path, file: &Remote) -> Result<()> {
    let found = sha256(path)?;
    match found == file.sha256 {
        true => Ok(()),
        false => Err(Error::file(
            path,
            format!("is there already, but its SHA-256 is {found}, expected {}; move it away", file.sha256),
        )),
    }
}

fn download(home: &str, file: &Remote, path: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<()> {
    let url = format!("{}/{}", home.trim_end_matches('/'), file.name);
    let part = path.with_file_name(format!("{}.part", file.name));
    let here = fs::metadata(&part).map_or(0, |meta| meta.len());
    if here < file.bytes {
        receive(&url, file, &part, here, progress)?;
    }
    let found = sha256(&part)?;
    if found != file.sha256 {
        fs::remove_file(&part).map_err(Error::io(&part))?;
        let expected = file.sha256;
        let what = format!("its SHA-256 is {found}, expected {expected}; the download was removed, try again");
        return Err(Error::file(url, what));
    }
    fs::rename(&part, path).map_err(Error::io(path))
}

/// Receives what is missing of `part`, of which `here` bytes are there.
fn receive(url: &str, file: &Remote, part: &Path, here: u64, progress: &mut dyn FnMut(Progress<'_>)) -> Result<()> {
    let response = request(url, here)?;
    let mut out = File::options().create(true).append(true).open(part).map_err(Error::io(part))?;
    let mut done = here;
    if response.status() == StatusCode::OK && here > 0 {
        // The server cannot continue, and sends all of it.
        out.set_len(0).and_then(|()| out.rewind()).map_err(Error::io(part))?;
        done = 0;
    }
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        progress(Progress { file: file.name, done, total: file.bytes });
        let cut = |e: io::Error| {
            let (done, total) = (grouped(done as usize), grouped(file.bytes as usize));
            Error::file(url, format!("cut off after {done} of {total} bytes ({e}); the next attempt continues"))
        };
        let n = body.read(&mut buffer).map_err(cut)?;
        match n {
            0 if done < file.bytes => return Err(cut(io::ErrorKind::UnexpectedEof.into())),
            0 => return Ok(()),
            _ => out.write_all(&buffer[..n]).map_err(Error::io(part))?,
        }
        done += n as u64;
        if done > file.bytes {
            // Longer than the file can be: the checksum decides, and the disk is not filled.
            return Ok(());
        }
    }
}

/// Asks for the bytes from `here` on. The answer has the status 200 or, if it continues, 206.
fn request(url: &str, here: u64) -> Result<Response<ureq::Body>> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE));
    let agent: Agent = config.build().into();
    // Without this a server may compress what is on its way, and offsets would not be those of the file.
    let mut request = agent.get(url).header(header::ACCEPT_ENCODING, "identity");
    if here > 0 {
        request = request.header(header::RANGE, format!("bytes={here}-"));
    }
    let response = request.call().map_err(|e| Error::file(url, format!("no answer: {e}")))?;
    let range = response.headers().get(header::CONTENT_RANGE);
    let continues = range.is_some_and(|range| range.as_bytes().starts_with(format!("bytes {here}-").as_bytes()));
    match response.status() {
        StatusCode::OK => Ok(response),
        StatusCode::PARTIAL_CONTENT if continues => Ok(response),
        StatusCode::PARTIAL_CONTENT => Err(Error::file(url, format!("the server does not continue at byte {here}"))),
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
