//! `versions.json`: what a run was trained with, and the check that it goes on with the same.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::run_files::VERSIONS;
use crate::atomic_file::write_atomic;
use crate::device::DeviceInfo;
use crate::kernel::{self, Backend, Kernels};
use crate::ranks::Ranks;
use crate::{Error, Result};

/// The version of Burn that this crate is built with.
const BURN: &str = "0.22.1";

/// Whether a training continues the run that is in its directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// A new run begins.
    #[default]
    Never,
    /// The run continues with what it was trained with, and ends in the same bytes as one that was never stopped. Another version of
    /// this program may round differently; it is not refused, and the versions are in `versions.json`.
    Exact,
    /// The run continues, on another device or processor, with other kernels, or with another number of threads or processes too. These
    /// round differently.
    Inexact,
}

impl From<bool> for Resume {
    /// Converts true into [`Resume::Exact`].
    fn from(resumes: bool) -> Self {
        if resumes { Self::Exact } else { Self::Never }
    }
}

/// What a run was trained with. Keys that early versions did not write are `None`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Versions {
    unrolled: String,
    burn: String,
    target: String,
    /// The threads of every process that compute; of early versions the processors of the machine.
    threads: usize,
    processes: Option<usize>,
    kernels: Option<Kernels>,
    /// Of the processor, where it computes.
    instruction_set: Option<String>,
    device: Option<DeviceInfo>,
    /// What the run was trained with before, the earliest first, where it was resumed with something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<Self>,
}

impl Versions {
    /// Returns those of this process.
    pub(super) fn new(backend: &Backend, ranks: &Ranks) -> Self {
        Self {
            unrolled: env!("CARGO_PKG_VERSION").into(),
            burn: BURN.into(),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            threads: rayon::current_num_threads(),
            processes: Some(ranks.size()),
            kernels: Some(backend.kernels()),
            instruction_set: kernel::instruction_set().ok().map(str::to_owned),
            device: Some(DeviceInfo::new(&backend.device)),
            before: Vec::new(),
        }
    }

    /// Writes them into a run directory.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::file(dir.join(VERSIONS), e.to_string()))?;
        write_atomic(&dir.join(VERSIONS), format!("{text}\n").as_bytes())
    }

    /// Reads them from the bytes of their file.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let wrong = |e: serde_json::Error| Error::file(path, format!("not the versions of a run: {e}"));
        serde_json::from_slice(bytes).map_err(wrong)
    }

    /// Checks that the run in a directory was trained with the same, as far as the result depends on it. Returns what is to be
    /// written when the run goes on; an inexact run, and one of another version of the program, takes note of what it was
    /// trained with so far.
    ///
    /// # Errors
    /// [`Error::Argument`] that names both; [`Error::File`] if they cannot be read.
    pub(super) fn check(mut self, dir: &Path, resume: Resume) -> Result<Option<Self>> {
        let path = dir.join(VERSIONS);
        let mut earlier = match std::fs::read(&path) {
            // Nothing is known of the run so far, and from now on it is.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Some(self)),
            read => Self::parse(&path, &read.map_err(Error::io(&path))?)?,
        };
        let gives_same_bytes = self.gives_same_bytes_as(&earlier);
        if gives_same_bytes && self.is_same_program_as(&earlier) {
            // An early version did not state it; from now on the run is held to it.
            let states_all = earlier.instruction_set.is_some();
            earlier.instruction_set = earlier.instruction_set.or(self.instruction_set);
            return Ok((!states_all).then_some(earlier));
        }
        if !gives_same_bytes && resume != Resume::Inexact {
            let why = format!(
                "needed to resume {} with {}; it was trained with {}, and would not end in the same bytes",
                dir.display(),
                self.describe(),
                earlier.describe(),
            );
            return Err(Error::argument("inexact", why));
        }
        self.before = std::mem::take(&mut earlier.before);
        self.before.push(earlier);
        Ok(Some(self))
    }

    /// Returns whether the program is the same, in the same version.
    fn is_same_program_as(&self, earlier: &Self) -> bool {
        let of = |versions: &Self| [&versions.unrolled, &versions.burn, &versions.target].map(String::clone);
        of(self) == of(earlier)
    }

    /// Returns whether a run that was trained with `earlier` and continues with these ends in the same bytes, if it is the same
    /// program. What an early version does not state is not compared.
    fn gives_same_bytes_as(&self, earlier: &Self) -> bool {
        let is_cpu = self.device.as_ref().is_none_or(|device| *device == DeviceInfo::cpu());
        // Gradients are sums of those of each thread and of each process.
        let has_same_sums = earlier
            .processes
            .is_none_or(|processes| Some(processes) == self.processes && (!is_cpu || earlier.threads == self.threads));
        has_same_sums
            && (!is_cpu || earlier.instruction_set.is_none() || earlier.instruction_set == self.instruction_set)
            && earlier.kernels.is_none_or(|kernels| Some(kernels) == self.kernels)
            && earlier.device.as_ref().is_none_or(|device| Some(device) == self.device.as_ref())
    }

    /// Returns what computes, such as `native kernels on cpu with avx2, 2 threads` and the number of processes if there are several.
    fn describe(&self) -> String {
        let kernels = self.kernels.map_or("unknown", Kernels::name);
        let mut device = self.device.as_ref().map_or_else(|| "an unknown device".to_owned(), ToString::to_string);
        if let Some(set) = self.instruction_set.as_ref().filter(|_| device == DeviceInfo::cpu().to_string()) {
            device.push_str(&format!(" with {set}"));
        }
        let threads = if self.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", self.threads) };
        let several = self.processes.filter(|processes| *processes > 1);
        let processes = several.map_or_else(String::new, |processes| format!(" in each of {processes} processes"));
        format!("{kernels} kernels on {device}, {threads}{processes}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(kernels: Kernels, adapter: Option<&str>) -> Versions {
        let device = match adapter {
            Some(adapter) => DeviceInfo { name: "wgpu".into(), adapter: Some(adapter.to_owned()), is_software: false },
            None => DeviceInfo::cpu(),
        };
        Versions { kernels: Some(kernels), device: Some(device), ..Versions::new(&Backend::cpu(), &Ranks::default()) }
    }

    /// Checks, and writes what is to be written.
    fn go_on(versions: &Versions, dir: &Path, resume: Resume) -> Result<()> {
        versions.clone().check(dir, resume)?.map_or(Ok(()), |versions| versions.write(dir))
    }

    #[test]
    fn a_run_goes_on_with_what_it_was_trained_with_or_takes_note() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let text = || std::fs::read_to_string(dir.join(VERSIONS)).unwrap();
        let first = on(Kernels::Native, None);
        first.write(dir).unwrap();
        let before = text();
        go_on(&first, dir, Resume::Exact).unwrap();
        let others = [on(Kernels::Reference, None), on(Kernels::Reference, Some("A100"))];
        for other in &others {
            let error = go_on(other, dir, Resume::Exact).unwrap_err();
            assert!(matches!(error, Error::Argument { name: "inexact", .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains(&first.describe()) && message.contains(&other.describe()), "{message}");
            assert_eq!(text(), before);
        }
        for other in &others {
            go_on(other, dir, Resume::Inexact).unwrap();
            go_on(other, dir, Resume::Exact).unwrap();
        }
        let kept: Versions = serde_json::from_str(&text()).unwrap();
        let devices: Vec<String> = kept.before.iter().chain([&kept]).map(Versions::describe).collect();
        let expected = ["native kernels on cpu", "reference kernels on cpu", "reference kernels on wgpu (A100)"];
        assert!(devices.iter().zip(expected).all(|(device, expected)| device.starts_with(expected)), "{devices:?}");
    }

    #[test]
    fn a_run_without_versions_gets_them_and_damaged_ones_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        go_on(&on(Kernels::Native, None), dir, Resume::Exact).unwrap();
        go_on(&on(Kernels::Reference, None), dir, Resume::Exact).unwrap_err();
        std::fs::write(dir.join(VERSIONS), "{").unwrap();
        let error = go_on(&on(Kernels::Native, None), dir, Resume::Exact).unwrap_err().to_string();
        assert!(error.contains("versions.json: not the versions of a run"), "{error}");
    }

    #[test]
    fn sums_of_gradients_depend_on_threads_and_processes() {
        let first = Versions { threads: 2, ..on(Kernels::Native, None) };
        let threads = Versions { threads: 3, ..first.clone() };
        let processes = Versions { processes: Some(2), ..first.clone() };
        assert!(
            first.gives_same_bytes_as(&first)
                && !threads.gives_same_bytes_as(&first)
                && !processes.gives_same_bytes_as(&first)
        );
        assert!(threads.describe().ends_with(", 3 threads"));
        assert!(processes.describe().ends_with("2 threads in each of 2 processes"));
        // A graphics card computes each gradient as one sum.
        let card = Versions { threads: 2, ..on(Kernels::Reference, Some("A100")) };
        assert!(Versions { threads: 3, ..card.clone() }.gives_same_bytes_as(&card));
        let others = Versions { instruction_set: Some("another".into()), ..first.clone() };
        assert!(!others.gives_same_bytes_as(&first) && others.describe().contains("cpu with another, 2 threads"));
        assert!(others.gives_same_bytes_as(&Versions { instruction_set: None, ..first.clone() }));
        // An early version states neither.
        assert!(threads.gives_same_bytes_as(&Versions { processes: None, ..first }));
    }

    #[test]
    fn a_run_of_an_early_version_is_not_held_to_what_it_does_not_state() {
        let dir = tempfile::tempdir().unwrap();
        let early =
            r#"{ "unrolled": "0.1.0", "burn": "0.22.1", "target": "x86_64-linux", "threads": 2, "kernels": "own" }"#;
        std::fs::write(dir.path().join(VERSIONS), early).unwrap();
        go_on(&on(Kernels::Native, None), dir.path(), Resume::Exact).unwrap();
        go_on(&on(Kernels::Native, Some("A100")), dir.path(), Resume::Exact).unwrap();
        go_on(&on(Kernels::Reference, None), dir.path(), Resume::Exact).unwrap_err();
    }

    #[test]
    fn another_version_of_the_program_is_noted() {
        let dir = tempfile::tempdir().unwrap();
        let now = on(Kernels::Native, None);
        Versions { unrolled: "0.0.9".into(), ..now.clone() }.write(dir.path()).unwrap();
        for _ in 0..2 {
            go_on(&now, dir.path(), Resume::Exact).unwrap();
        }
        let kept: Versions = serde_json::from_slice(&std::fs::read(dir.path().join(VERSIONS)).unwrap()).unwrap();
        assert_eq!(kept.before.iter().map(|before| before.unrolled.as_str()).collect::<Vec<_>>(), ["0.0.9"]);
        assert_eq!(kept.unrolled, env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn the_version_of_burn_is_that_of_the_manifest() {
        let manifest = include_str!("../../Cargo.toml");
        assert!(manifest.contains(&format!("package = \"burn-core\", version = \"={BURN}\"")));
    }
}
