//! The progress of work, and stopping it.

use std::ops::ControlFlow;

use crate::{Error, Result};

/// Follows the progress of work, and may stop it.
pub trait Progress {
    /// Called often, with the work that is finished and all there is, in FLOPs or what takes as long. `Break` stops the work;
    /// what is finished is kept where there is a directory for it.
    fn update(&mut self, done: u64, total: u64) -> ControlFlow<()>;

    /// Called with work that counts as finished because an earlier process did it, before [`Progress::update`] includes it.
    fn restored(&mut self, _work: u64) {}

    /// Called when a measurement begins, the `number`-th of `count`, from 1.
    fn started(&mut self, _name: &str, _number: usize, _count: usize) {}

    /// Called when a measurement is finished.
    fn finished(&mut self, _name: &str) {}
}

/// Ignores the progress.
impl Progress for () {
    fn update(&mut self, _: u64, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(u64, u64) -> ControlFlow<()>> Progress for F {
    fn update(&mut self, done: u64, total: u64) -> ControlFlow<()> {
        self(done, total)
    }
}

/// The work that is done and to be done.
pub(super) struct Meter<'a> {
    pub(super) progress: &'a mut dyn Progress,
    done: u64,
    pub(super) total: u64,
}

impl<'a> Meter<'a> {
    /// Nothing is done; the total is set when it is known.
    pub(super) fn new(progress: &'a mut dyn Progress) -> Self {
        Self { progress, done: 0, total: 0 }
    }

    /// Adds work that an earlier process finished.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where it is to stop.
    pub(super) fn restore(&mut self, work: u64) -> Result<()> {
        self.progress.restored(work);
        self.advance(work)
    }

    /// Adds finished work.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where it is to stop.
    pub(super) fn advance(&mut self, work: u64) -> Result<()> {
        self.done += work;
        match self.progress.update(self.done, self.total) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Interrupted),
        }
    }
}
