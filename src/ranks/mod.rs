//! Processes that share one computation: each takes a part of the samples.

mod files;
#[cfg(feature = "mpi")]
mod mpi;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use files::{pack_directory, unpack_directory};
pub use threads::threads;

use crate::{Error, Result};

/// What the ranks of a computation send to each other. All ranks call the same methods in the same order.
trait Communicator: Send + Sync {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Sends bytes to the first rank, which gets those of every rank, in their order.
    fn gather(&self, own: &[u8]) -> Option<Vec<Vec<u8>>>;

    /// Replaces the bytes by those of the first rank.
    fn broadcast(&self, bytes: &mut Vec<u8>);

    /// Sends the n-th of equal parts to the n-th rank. Returns the parts that this rank was sent, in the order of the ranks.
    fn exchange(&self, parts: &[f32]) -> Vec<f32>;

    /// Returns the values of all ranks, in their order. Every rank has as many.
    fn concatenate(&self, own: &[f32]) -> Vec<f32>;

    /// Ends the processes of all ranks.
    fn abort(&self, code: i32) -> !;
}

/// The processes that share one computation, as one of them sees them. The default is a process alone.
///
/// Clones are the same rank.
#[derive(Clone, Default)]
pub struct Ranks(Option<Arc<Shared>>);

struct Shared {
    communicator: Box<dyn Communicator>,
    bytes_sent: AtomicU64,
}

impl std::fmt::Debug for Ranks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.size())
    }
}

impl Ranks {
    /// Returns the processes that `mpirun` or `srun` has started with this one; without them, and in builds without the
    /// feature `mpi`, this process alone.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where several processes were started, and this build has no MPI or it cannot begin.
    pub fn world() -> Result<Self> {
        match started_processes() {
            0 | 1 => Ok(Self::default()),
            #[cfg(feature = "mpi")]
            _ => mpi::World::new().map(Self::new),
            #[cfg(not(feature = "mpi"))]
            several => {
                let what = "this program was built without MPI; build it with --features mpi";
                Err(Error::unsupported(format_args!("{several} processes"), what))
            }
        }
    }

    fn new(communicator: impl Communicator + 'static) -> Self {
        Self(Some(Arc::new(Shared { communicator: Box::new(communicator), bytes_sent: AtomicU64::new(0) })))
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |shared| shared.communicator.rank())
    }

    /// The number of processes.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |shared| shared.communicator.size())
    }

    /// Whether this is the first process, which writes and prints for all.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// The bytes that this process has sent to the others so far. Those that it keeps for itself do not count.
    pub fn bytes_sent(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.bytes_sent.load(Ordering::Relaxed))
    }

    fn count(&self, bytes: usize) {
        if let Some(shared) = &self.0 {
            shared.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Ends the processes of all ranks; alone does nothing.
    pub fn abort(&self, code: u8) {
        if let Some(shared) = &self.0 {
            shared.communicator.abort(i32::from(code));
        }
    }

    /// Sends bytes to the first rank. It gets those of every rank, in their order; the others get `None`.
    pub(crate) fn gather(&self, own: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        let Some(shared) = &self.0 else { return Some(vec![own]) };
        self.count(if self.is_first() { 0 } else { own.len() });
        shared.communicator.gather(&own)
    }

    /// Returns the bytes of the first rank.
    pub(crate) fn broadcast(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(shared) = &self.0 {
            shared.communicator.broadcast(&mut bytes);
            self.count(if self.is_first() { bytes.len() * (self.size() - 1) } else { 0 });
        }
        bytes
    }

    /// Returns the bytes of every rank, in their order.
    pub(crate) fn all_gather(&self, own: Vec<u8>) -> Vec<Vec<u8>> {
        let gathered = self.gather(own);
        let packed = gathered.map(|all| pack(&all)).unwrap_or_default();
        unpack(&self.broadcast(packed))
    }

    /// Replaces values by their sums over all ranks, added in the order of the ranks: all ranks get the same bits. A rank sends
    /// each value twice at most, however many ranks there are.
    pub fn sum(&self, values: &mut [f32]) {
        let Some(shared) = &self.0 else { return };
        let size = self.size();
        let part = values.len().div_ceil(size);
        let mut padded = values.to_vec();
        padded.resize(part * size, 0.0);
        let received = shared.communicator.exchange(&padded);
        let mut own = received[..part].to_vec();
        for other in received.chunks_exact(part.max(1)).skip(1) {
            own.iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
        }
        let sums = shared.communicator.concatenate(&own);
        self.count(2 * part * (size - 1) * size_of::<f32>());
        values.copy_from_slice(&sums[..values.len()]);
    }

    /// Returns the sums of values over all ranks, added in the order of the ranks.
    pub fn sum_f64<const N: usize>(&self, values: [f64; N]) -> [f64; N] {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut sums = [0.0; N];
        for bytes in self.all_gather(bytes) {
            for (sum, bytes) in sums.iter_mut().zip(bytes.as_chunks().0) {
                *sum += f64::from_le_bytes(*bytes);
            }
        }
        sums
    }

    /// Checks that all ranks are given the same: the same version of this program, and the same of `what`, whose parts have
    /// these names and checksums.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names the rank that differs from the first, and the part.
    pub fn check_same(&self, parts: &[(&str, String)]) -> Result<()> {
        if self.size() == 1 {
            return Ok(());
        }
        let version = ("version of this program", env!("CARGO_PKG_VERSION").to_owned());
        let own: Vec<&(&str, String)> = std::iter::once(&version).chain(parts).collect();
        let bytes = |(name, value): &&(&str, String)| format!("{name}\n{value}").into_bytes();
        let all = self.all_gather(pack(&own.iter().map(bytes).collect::<Vec<_>>()));
        let all: Vec<Vec<Vec<u8>>> = all.iter().map(|bytes| unpack(bytes)).collect();
        for (rank, theirs) in all.iter().enumerate() {
            let differing = theirs.iter().zip(&all[0]).find(|(theirs, first)| theirs != first);
            if let Some((theirs, first)) = differing {
                let [(name, theirs), (_, first)] = [theirs, first].map(|bytes| {
                    let text = String::from_utf8_lossy(bytes);
                    text.split_once('\n').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap_or_default()
                });
                return Err(Error::mismatch(
                    format_args!("rank {rank}"),
                    format!("{name} {theirs}, rank 0 has {first}"),
                ));
            }
        }
        Ok(())
    }
}

/// Returns the number of processes that were started together, as a launcher of MPI programs says in the environment.
fn started_processes() -> usize {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    // Open MPI; MPICH and Intel MPI; MVAPICH; srun with PMI2 or PMIx, which set the rank, and SLURM the number.
    let is_started = ["PMI_RANK", "PMIX_RANK"].iter().any(|name| std::env::var_os(name).is_some());
    let of_slurm = || number("SLURM_NTASKS").filter(|_| is_started);
    let named = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"].into_iter().find_map(number);
    named.or_else(of_slurm).unwrap_or(1)
}

/// Puts several byte strings into one: the length of each, then its bytes.
pub(crate) fn pack(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        packed.extend((part.len() as u64).to_le_bytes());
        packed.extend(part);
    }
    packed
}

/// Returns the byte strings that [`pack`] has put together.
pub(crate) fn unpack(mut packed: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk() {
        let length = (u64::from_le_bytes(*length) as usize).min(rest.len());
        parts.push(rest[..length].to_vec());
        packed = &rest[length..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs one thread for each of so many ranks; returns what each returns.
    fn on_ranks<T: Send>(size: usize, work: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let running: Vec<_> = threads(size).into_iter().map(|ranks| scope.spawn(|| work(ranks))).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn sums_are_added_in_the_order_of_the_ranks() {
        // In another order, or in f64, the sum would be 0 or 1e-8 alone.
        let values = [1e8_f32, 1.0, -1e8];
        let expected = values.iter().copied().reduce(|a, b| a + b).unwrap();
        for length in [0, 1, 2, 3, 7] {
            let sums = on_ranks(3, |ranks| {
                let mut values = vec![values[ranks.rank()]; length];
                ranks.sum(&mut values);
                values
            });
            assert_eq!(sums, vec![vec![expected; length]; 3]);
        }
        assert_eq!(on_ranks(3, |ranks| ranks.sum_f64([ranks.rank() as f64, 1.0])), [[3.0, 3.0]; 3]);
    }

    #[test]
    fn every_rank_gets_what_every_rank_has() {
        let all = on_ranks(3, |ranks| ranks.all_gather(vec![7; ranks.rank()]));
        assert_eq!(all, vec![vec![vec![], vec![7], vec![7, 7]]; 3]);
        let first = on_ranks(3, |ranks| ranks.gather(vec![ranks.rank() as u8]));
        assert_eq!(first, [Some(vec![vec![0], vec![1], vec![2]]), None, None]);
        assert_eq!(Ranks::default().all_gather(vec![1]), [[1]]);
    }

    #[test]
    fn a_difference_names_the_rank_and_the_part() {
        let found = on_ranks(3, |ranks| {
            let data = if ranks.rank() == 2 { "bbbb" } else { "aaaa" };
            ranks.check_same(&[("network", "1234".into()), ("data", data.into())]).map_err(|e| e.to_string())
        });
        assert_eq!(found, vec![Err("rank 2: data bbbb, rank 0 has aaaa".to_owned()); 3]);
        assert_eq!(on_ranks(2, |ranks| ranks.check_same(&[("data", "a".into())]).is_ok()), [true; 2]);
    }

    #[test]
    fn bytes_that_are_sent_are_counted() {
        let sent = on_ranks(4, |ranks| {
            ranks.sum(&mut [1.0; 8]);
            ranks.bytes_sent()
        });
        assert_eq!(sent, [2 * 2 * 3 * 4; 4]);
        assert_eq!(Ranks::default().bytes_sent(), 0);
    }
}
