//! Work divided over the images of a batch.

use std::ops::Range;

use rayon::prelude::*;

/// Calls `work` for equal shares of `0..count`, each on a thread, and returns what they return in order. `each` is how
/// many multiply-adds, or what takes as long, one of them takes: little work is not worth another thread.
///
/// The shares depend on the work and the number of threads alone, so that sums over them are the same from run to run.
pub(crate) fn parallel_chunks<T: Send>(count: usize, each: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let worth = (count.saturating_mul(each) / LEAST).max(1);
    let threads = rayon::current_num_threads().min(worth).clamp(1, count.max(1));
    let share = |part: usize| count * part / threads..count * (part + 1) / threads;
    if threads == 1 {
        return vec![work(share(0))];
    }
    (0..threads).into_par_iter().with_max_len(1).map(|part| work(share(part))).collect()
}

/// Multiply-adds that take some twenty microseconds, about as long as it takes to wake a thread.
const LEAST: usize = 1 << 21;
/// Multiply-adds that take as long as a value that is read, changed and written.
pub(crate) const VALUE: usize = 8;

/// A place that several threads write to, each its own images.
#[derive(Clone, Copy)]
pub(crate) struct SendPtr(*mut f32);

// SAFETY: whoever takes a part of it promises that no other thread does.
unsafe impl Send for SendPtr {}
// SAFETY: as above.
unsafe impl Sync for SendPtr {}

impl SendPtr {
    pub(crate) fn new(all: &mut [f32]) -> Self {
        Self(all.as_mut_ptr())
    }

    /// # Safety
    /// The range must lie in the array, and no other thread may look at it.
    pub(crate) unsafe fn part<'a>(self, range: Range<usize>) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(range.start), range.len()) }
    }
}

/// Room for values that are all written before any is read: zeros would cost a pass over the memory.
#[allow(clippy::uninit_vec)]
pub(crate) fn uninit(count: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(count);
    // SAFETY: every kernel that asks for room writes all of it, and every bit pattern is an f32.
    unsafe { values.set_len(count) };
    values
}
