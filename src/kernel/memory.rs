//! Memory that costs no pass to fill: outputs that are not initialized before they are written, and scratch buffers that
//! threads keep.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

use super::tuning::MAX_KEPT_SCRATCH;

/// Returns memory for values that are yet to be written.
pub(super) fn uninit(count: usize) -> Box<[MaybeUninit<f32>]> {
    Box::new_uninit_slice(count)
}

/// Returns the values of memory that is written.
///
/// # Safety
/// Every value must have been written.
pub(super) unsafe fn assume_init(values: Box<[MaybeUninit<f32>]>) -> Vec<f32> {
    // SAFETY: the caller promises that all values are initialized.
    unsafe { values.assume_init() }.into_vec()
}

/// Returns initialized values as a place to write to.
///
/// # Safety
/// Nothing uninitialized may be written to it.
pub(super) unsafe fn as_uninit(values: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    // SAFETY: both types have the same layout, and the caller promises that the values stay initialized.
    unsafe { &mut *(values as *mut [f32] as *mut [MaybeUninit<f32>]) }
}

/// A buffer that is returned to its thread when it is dropped. Its values are arbitrary at first.
#[derive(Debug)]
pub(super) struct Scratch {
    /// At least `len` values.
    values: Vec<f32>,
    len: usize,
}

/// The buffers of a thread that are not in use.
#[derive(Default)]
struct Pool {
    buffers: Vec<Vec<f32>>,
    /// Values of all buffers.
    total: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

impl Scratch {
    /// Returns the smallest kept buffer of the thread that has `len` values, or a new one.
    pub(super) fn new(len: usize) -> Self {
        let kept = POOL.try_with(|pool| pool.borrow_mut().take(len)).ok().flatten();
        Self { values: kept.unwrap_or_else(|| vec![0.0; len]), len }
    }
}

impl Pool {
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        let fitting = self.buffers.iter().enumerate().filter(|(_, buffer)| buffer.len() >= len);
        let (place, _) = fitting.min_by_key(|(_, buffer)| buffer.len())?;
        let buffer = self.buffers.remove(place);
        self.total -= buffer.len();
        Some(buffer)
    }

    fn keep(&mut self, buffer: Vec<f32>) {
        if buffer.is_empty() || buffer.len() > MAX_KEPT_SCRATCH {
            return;
        }
        self.total += buffer.len();
        self.buffers.push(buffer);
        // The oldest go first: a network that is no longer computed leaves nothing behind.
        while self.total > MAX_KEPT_SCRATCH {
            self.total -= self.buffers.remove(0).len();
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.values);
        // At the end of a thread its pool is gone already, and the buffer is freed.
        let _ = POOL.try_with(|pool| pool.borrow_mut().keep(buffer));
    }
}

impl Deref for Scratch {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Scratch {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_uses_its_buffers_again() {
        let place = |scratch: &Scratch| scratch.as_ptr();
        let (small, large) = (Scratch::new(1000), Scratch::new(2000));
        let (small_at, large_at) = (place(&small), place(&large));
        drop((small, large));
        let again = Scratch::new(900);
        assert_eq!((again.len(), place(&again)), (900, small_at));
        assert_eq!(place(&Scratch::new(1500)), large_at);
        drop(Scratch::new(MAX_KEPT_SCRATCH - 10));
        POOL.with(|pool| {
            let Pool { buffers, total } = &*pool.borrow();
            assert_eq!(*total, buffers.iter().map(Vec::len).sum::<usize>());
            assert!(*total <= MAX_KEPT_SCRATCH);
        });
    }
}
