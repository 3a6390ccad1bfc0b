//! Ranks that are threads of one process.

use std::sync::{Arc, Barrier, Mutex, PoisonError};

use super::{Communicator, Ranks};

/// Returns so many ranks for threads of this process, one for each. They serve tests of what runs on several machines.
///
/// A thread that ends early lets the others wait for ever.
pub fn threads(size: usize) -> Vec<Ranks> {
    let board = Arc::new(Board { slots: Mutex::new(vec![Vec::new(); size]), barrier: Barrier::new(size) });
    (0..size).map(|rank| Ranks::new(Thread { rank, size, board: Arc::clone(&board) })).collect()
}

/// Where every thread puts what it sends.
struct Board {
    slots: Mutex<Vec<Vec<u8>>>,
    barrier: Barrier,
}

struct Thread {
    rank: usize,
    size: usize,
    board: Arc<Board>,
}

impl Thread {
    /// Returns what every thread has given.
    fn share(&self, own: Vec<u8>) -> Vec<Vec<u8>> {
        let slots = || self.board.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots()[self.rank] = own;
        self.board.barrier.wait();
        let all = slots().clone();
        // Nobody gives the next thing before all have read this one.
        self.board.barrier.wait();
        all
    }

    fn share_values(&self, own: &[f32]) -> Vec<Vec<f32>> {
        let all = self.share(own.iter().flat_map(|value| value.to_le_bytes()).collect());
        all.iter().map(|bytes| bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()).collect()
    }
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn gather(&self, own: &[u8]) -> Option<Vec<Vec<u8>>> {
        let all = self.share(own.to_vec());
        (self.rank == 0).then_some(all)
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) {
        *bytes = self.share(std::mem::take(bytes)).swap_remove(0);
    }

    fn exchange(&self, parts: &[f32]) -> Vec<f32> {
        let part = parts.len() / self.size;
        let all = self.share_values(parts);
        all.iter().flat_map(|values| values[self.rank * part..(self.rank + 1) * part].to_vec()).collect()
    }

    fn concatenate(&self, own: &[f32]) -> Vec<f32> {
        self.share_values(own).concat()
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}
