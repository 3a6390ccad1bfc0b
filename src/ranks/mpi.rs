//! Ranks that are processes of an MPI job.

use mpi::Threading;
use mpi::environment::Universe;
use mpi::traits::{Communicator as _, CommunicatorCollectives, Destination, Root, Source};

use super::Communicator;
use crate::{Error, Result};

/// The most bytes of one message: MPI counts in 32 bits.
const CHUNK: usize = 1 << 30;

/// The processes that were started together. MPI ends when it is dropped.
pub(super) struct World {
    universe: Universe,
    rank: usize,
    size: usize,
}

impl World {
    /// Begins MPI.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where it has begun already, or allows no calls from other threads than the first.
    pub(super) fn new() -> Result<Self> {
        let begun = mpi::initialize_with_threading(Threading::Serialized);
        let Some((universe, threading)) = begun else { return Err(Error::unsupported("MPI", "has begun already")) };
        if threading < Threading::Serialized {
            return Err(Error::unsupported("MPI", "this library allows calls from the first thread alone"));
        }
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        Ok(Self { universe, rank, size })
    }
}

impl Communicator for World {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn gather(&self, own: &[u8]) -> Option<Vec<Vec<u8>>> {
        let world = self.universe.world();
        if self.rank > 0 {
            let first = world.process_at_rank(0);
            first.send(&(own.len() as u64));
            own.chunks(CHUNK).for_each(|chunk| first.send(chunk));
            return None;
        }
        let mut all = vec![own.to_vec()];
        for rank in 1..self.size {
            let process = world.process_at_rank(rank as i32);
            let mut bytes = vec![0; process.receive::<u64>().0 as usize];
            bytes.chunks_mut(CHUNK).for_each(|chunk| {
                process.receive_into(chunk);
            });
            all.push(bytes);
        }
        Some(all)
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) {
        let world = self.universe.world();
        let first = world.process_at_rank(0);
        let mut length = bytes.len() as u64;
        first.broadcast_into(&mut length);
        bytes.resize(length as usize, 0);
        bytes.chunks_mut(CHUNK).for_each(|chunk| first.broadcast_into(chunk));
    }

    fn exchange(&self, parts: &[f32]) -> Vec<f32> {
        let mut received = vec![0.0_f32; parts.len()];
        self.universe.world().all_to_all_into(parts, &mut received[..]);
        received
    }

    fn concatenate(&self, own: &[f32]) -> Vec<f32> {
        let mut all = vec![0.0_f32; own.len() * self.size];
        self.universe.world().all_gather_into(own, &mut all[..]);
        all
    }

    fn abort(&self, code: i32) -> ! {
        self.universe.world().abort(code)
    }
}
