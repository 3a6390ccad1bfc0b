//! Progress that calls a Python function.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use unrolled::measure::Progress;

use crate::watched::Watch;

/// The least time between two calls.
const EVERY: Duration = Duration::from_millis(100);

/// Calls `callback(done, total, name)`, and looks for signals.
pub(crate) struct Caller {
    callback: Option<Py<PyAny>>,
    watch: Watch,
    name: String,
    total: u64,
    called: Option<Instant>,
}

impl Caller {
    pub(crate) fn new(callback: Option<&Py<PyAny>>, watch: &Watch) -> Self {
        let callback = callback.map(|callback| Python::attach(|py| callback.clone_ref(py)));
        Self { callback, watch: watch.clone(), name: "whole network".into(), total: 0, called: None }
    }

    /// Tells that all is finished: some of the work that was planned for may not have been needed.
    pub(crate) fn finish(&mut self) {
        let (name, total) = (self.name.clone(), self.total);
        if total > 0 {
            // An exception of the callback is kept by `tell`.
            let _ = self.tell(&name, total, total);
        }
    }

    /// Tells that `done` of `total` is finished of what has this name. `Break` where a signal or the callback asks to stop.
    pub(crate) fn tell(&mut self, name: &str, done: u64, total: u64) -> ControlFlow<()> {
        self.total = total;
        if self.watch.check().is_err() {
            return ControlFlow::Break(());
        }
        let is_new = self.name != name;
        let Some(callback) = &self.callback else { return ControlFlow::Continue(()) };
        let is_due = self.called.is_none_or(|called| called.elapsed() >= EVERY) || done >= total || is_new;
        if !is_due {
            return ControlFlow::Continue(());
        }
        self.called = Some(Instant::now());
        name.clone_into(&mut self.name);
        match Python::attach(|py| callback.call1(py, (done, total, name)).map(drop)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(exception) => {
                self.watch.stop(exception);
                ControlFlow::Break(())
            }
        }
    }
}

impl Progress for Caller {
    fn update(&mut self, done: u64, total: u64) -> ControlFlow<()> {
        let name = self.name.clone();
        self.tell(&name, done, total)
    }

    fn started(&mut self, name: &str, _number: usize, _count: usize) {
        name.clone_into(&mut self.name);
        // What is new is told at once.
        self.called = None;
    }
}
