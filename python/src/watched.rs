//! A network that looks for Ctrl-C before everything it computes.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use unrolled::device::DeviceInfo;
use unrolled::nn::{
    BlockActivations, BlockId, Logits, Network, Outline, PositionMask, RecurrentState, Route, Samples, Step,
};
use unrolled::slim::{ProgressFn, Prunable, RecoveredNetwork, Recovery, RecoveryStep};
use unrolled::{Error, FileContents, Result};

/// The least time between two looks for signals.
const EVERY: Duration = Duration::from_millis(50);

/// Looks for signals, and keeps the Python exception that ends the work.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Watching>);

struct Watching {
    begun: Instant,
    /// When signals were looked for, milliseconds after `begun`.
    looked: AtomicU64,
    is_stopped: AtomicBool,
    exception: Mutex<Option<PyErr>>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let (looked, is_stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Watching { begun: Instant::now(), looked, is_stopped, exception: Mutex::new(None) }))
    }

    /// Runs the handlers of signals, unless that was done a moment ago.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where a handler raised an exception, which is kept, or the work was stopped before.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.is_stopped.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let now = self.0.begun.elapsed().as_millis() as u64;
        if now < self.0.looked.load(Ordering::Relaxed) + EVERY.as_millis() as u64 {
            return Ok(());
        }
        self.0.looked.store(now, Ordering::Relaxed);
        Python::attach(|py| py.check_signals()).map_err(|error| self.stop(error))
    }

    /// Keeps an exception; the first one counts. Returns the error that ends the work.
    pub(crate) fn stop(&self, exception: PyErr) -> Error {
        self.0.is_stopped.store(true, Ordering::Relaxed);
        if let Ok(mut kept) = self.0.exception.lock() {
            kept.get_or_insert(exception);
        }
        Error::Interrupted
    }

    /// Keeps an exception, and leaves a method that returns no error.
    pub(crate) fn unwind(&self, exception: PyErr) -> ! {
        self.stop(exception);
        resume_unwind(Box::new("a Python exception"))
    }

    /// Returns the exception that ended the work.
    pub(crate) fn take(&self) -> Option<PyErr> {
        self.0.exception.lock().ok().and_then(|mut kept| kept.take())
    }
}

/// A network that looks for signals.
pub(crate) struct Watched<N> {
    pub(crate) inner: Arc<N>,
    pub(crate) watch: Watch,
}

impl<N: Network> Network for Watched<N> {
    type Estimate = N::Estimate;

    fn outline(&self) -> &Outline {
        self.inner.outline()
    }

    fn device(&self) -> Option<DeviceInfo> {
        self.inner.device()
    }

    fn stem(&self, samples: &Samples) -> Result<N::Estimate> {
        self.watch.check()?;
        self.inner.stem(samples)
    }

    fn enter_stage(&self, stage: usize, estimate: N::Estimate) -> Result<N::Estimate> {
        self.watch.check()?;
        self.inner.enter_stage(stage, estimate)
    }

    fn block_activations(&self, id: BlockId, estimate: N::Estimate) -> Result<BlockActivations<N::Estimate>> {
        self.watch.check()?;
        self.inner.block_activations(id, estimate)
    }

    fn block(&self, id: BlockId, estimate: N::Estimate) -> Result<N::Estimate> {
        self.watch.check()?;
        self.inner.block(id, estimate)
    }

    fn repeat_block(&self, id: BlockId, estimate: N::Estimate) -> Result<N::Estimate> {
        self.watch.check()?;
        self.inner.repeat_block(id, estimate)
    }

    fn shortcut(&self, id: BlockId, estimate: N::Estimate) -> Result<N::Estimate> {
        self.watch.check()?;
        self.inner.shortcut(id, estimate)
    }

    fn head(&self, estimate: N::Estimate, state: &mut RecurrentState) -> Result<Logits> {
        self.watch.check()?;
        self.inner.head(estimate, state)
    }

    fn head_gradient(&self, estimate: &N::Estimate, labels: &[u32]) -> Result<Option<N::Estimate>> {
        self.watch.check()?;
        self.inner.head_gradient(estimate, labels)
    }

    fn backward_step(&self, step: Step, entering: &N::Estimate, gradient: &N::Estimate) -> Result<Option<N::Estimate>> {
        self.watch.check()?;
        self.inner.backward_step(step, entering, gradient)
    }

    fn fingerprint(&self) -> u32 {
        self.inner.fingerprint()
    }

    fn has_gradients(&self) -> bool {
        self.inner.has_gradients()
    }

    fn values(&self, estimate: &N::Estimate) -> (Vec<f32>, usize) {
        self.inner.values(estimate)
    }

    fn position_mask(&self, estimate: &N::Estimate) -> Option<PositionMask> {
        self.inner.position_mask(estimate)
    }

    fn rebuild(&self, like: &N::Estimate, values: Vec<f32>) -> N::Estimate {
        self.inner.rebuild(like, values)
    }
}

/// What is slimmed is the network itself.
impl<N: Prunable<Network = N> + Network + 'static> Prunable for Watched<N> {
    type Network = Self;

    fn network(&self) -> &Self {
        self
    }

    fn why_not_removable(&self, id: BlockId) -> Option<String> {
        self.inner.why_not_removable(id)
    }

    fn why_not_countable(&self) -> Option<String> {
        self.inner.why_not_countable()
    }

    fn slimmed(&self, route: &Route) -> Result<Self> {
        Ok(self.with(self.inner.slimmed(route)?))
    }

    fn draft(&self, slim: &Self, name: &str) -> Result<FileContents> {
        self.inner.draft(&slim.inner, name)
    }

    fn reopen(&self, path: &Path, slim: &Self) -> Result<Self> {
        Ok(self.with(self.inner.reopen(path, &slim.inner)?))
    }

    fn constructor(&self, slim: &Self) -> String {
        self.inner.constructor(&slim.inner)
    }

    fn why_not_recoverable(&self, step: RecoveryStep) -> Option<&'static str> {
        self.inner.why_not_recoverable(step)
    }

    fn recover(&self, slim: &Self, recovery: &Recovery, progress: ProgressFn) -> Result<Vec<RecoveredNetwork<Self>>> {
        let steps = self.inner.recover(&slim.inner, recovery, progress)?;
        let watched = |step: RecoveredNetwork<N>| RecoveredNetwork {
            name: step.name,
            network: self.with(step.network),
            epochs: step.epochs,
        };
        Ok(steps.into_iter().map(watched).collect())
    }
}

impl<N> Watched<N> {
    pub(crate) fn new(inner: Arc<N>, watch: &Watch) -> Self {
        Self { inner, watch: watch.clone() }
    }

    /// Returns another network that is watched in the same way.
    fn with(&self, inner: N) -> Self {
        Self::new(Arc::new(inner), &self.watch)
    }
}
