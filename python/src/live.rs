//! A PyTorch module as a network: calls of the Python object `unrolled.torch.Live`.
//!
//! Every call is made on the thread that measures or slims. An exception is kept and ends the work.

use std::path::Path;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use unrolled::data::{Dataset, Normalization};
use unrolled::measure::EvalSet;
use unrolled::nn::{
    BlockActivations, BlockId, Logits, Network, Outline, PositionMask, RecurrentState, Route, Samples, Step,
};
use unrolled::slim::{ProgressFn, Prunable, RecoveredNetwork, Recovery, RecoveryStep};
use unrolled::{Chunk, Error, FileContents, Result};

use crate::errors::{argument, to_python};
use crate::network::{read_outline, route_without};
use crate::samples::{describe, read_array};
use crate::watched::Watch;

/// The most samples: f32 holds every index below.
const MAX_SAMPLES: usize = 1 << 24;

/// The values that stand for a sample: its index, and the halves of its checksum, so that other samples are other data.
const VALUES: usize = 3;

/// An estimate, which PyTorch owns.
#[derive(Clone)]
pub(crate) struct LiveEstimate(Arc<Py<PyAny>>);

/// A module bound to samples. A sample consists of its index and the two halves of its checksum.
pub(crate) struct LiveNetwork {
    live: Py<PyAny>,
    source: Py<PyAny>,
    outline: Outline,
    fingerprint: u32,
    has_gradients: bool,
    watch: Watch,
}

impl LiveNetwork {
    /// Returns the network, its samples with the labels that they have, and what a report calls them.
    pub(crate) fn bind(
        py: Python<'_>,
        live: Py<PyAny>,
        source: Py<PyAny>,
        batch: usize,
        watch: &Watch,
    ) -> PyResult<(Self, EvalSet, String)> {
        let bound = source.bind(py);
        let samples = bound.len()?;
        if samples > MAX_SAMPLES {
            return Err(argument(py, "data", format!("{samples} samples, at most {MAX_SAMPLES} are possible")));
        }
        let labels = bound.call_method0("labels")?;
        let (_, checksums) = read_array("checksums", &bound.call_method0("checksums")?)?;
        let values = checksums.chunks_exact(2).enumerate().flat_map(|(i, halves)| [i as f32, halves[0], halves[1]]);
        let mut arrays = vec![("samples".to_owned(), vec![samples, 1, 1, VALUES], values.collect())];
        if !labels.is_none() {
            let (shape, values) = read_array("labels", &labels)?;
            arrays.push(("labels".to_owned(), shape, values));
        }
        let fingerprint: u32 = live.bind(py).call_method0("fingerprint")?.extract()?;
        let network = Self::new(live.bind(py), source, fingerprint, watch)?;
        let data = || -> Result<EvalSet> {
            let dataset = Dataset::from_named_arrays(arrays)?.with_class_count(network.outline.classes)?;
            let data = EvalSet::new(Arc::new(dataset), Normalization::uniform(0.0, 1.0), batch);
            Ok(data.standing_for(&network.outline.input))
        };
        let data = data().map_err(|error| to_python(py, &error))?;
        let described = describe("samples", &data, &network, "with labels");
        Ok((network, data, described))
    }

    fn new(live: &Bound<'_, PyAny>, source: Py<PyAny>, fingerprint: u32, watch: &Watch) -> PyResult<Self> {
        let py = live.py();
        let json: String = live.call_method0("outline_json")?.extract()?;
        let outline = read_outline(&json).map_err(|error| to_python(py, &error))?;
        let has_gradients = live.getattr("has_gradients")?.extract()?;
        let live = live.clone().unbind();
        Ok(Self { live, source, outline, fingerprint, has_gradients, watch: watch.clone() })
    }

    /// Calls into Python. An exception is kept, and the error ends the work.
    fn call<T>(&self, work: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> Result<T> {
        self.watch.check()?;
        Python::attach(|py| work(self.live.bind(py))).map_err(|exception| self.watch.stop(exception))
    }

    /// Calls into Python from a method that returns no error.
    fn call_or_unwind<T>(&self, work: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> T {
        Python::attach(|py| work(self.live.bind(py))).unwrap_or_else(|exception| self.watch.unwind(exception))
    }
}

fn estimate(object: Bound<'_, PyAny>) -> LiveEstimate {
    LiveEstimate(Arc::new(object.unbind()))
}

fn optional(object: Bound<'_, PyAny>) -> Option<LiveEstimate> {
    (!object.is_none()).then(|| estimate(object))
}

impl Network for LiveNetwork {
    type Estimate = LiveEstimate;

    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn stem(&self, samples: &Samples) -> Result<LiveEstimate> {
        let indices: Vec<usize> = samples.values.chunks_exact(VALUES).map(|values| values[0] as usize).collect();
        self.call(|live| {
            let batch = self.source.bind(live.py()).call_method1("batch", (indices,))?;
            live.call_method1("stem", (batch,)).map(estimate)
        })
    }

    fn enter_stage(&self, stage: usize, from: LiveEstimate) -> Result<LiveEstimate> {
        self.call(|live| live.call_method1("enter_stage", (stage, &*from.0)).map(estimate))
    }

    fn block_activations(&self, id: BlockId, from: LiveEstimate) -> Result<BlockActivations<LiveEstimate>> {
        self.call(|live| {
            let found = live.call_method1("block_activations", (id.stage, id.block, &*from.0))?;
            let (h, transform, carry, next): (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>) =
                found.extract()?;
            let [transform, carry] = [transform, carry].map(optional);
            Ok(BlockActivations { h: estimate(h), transform, carry, estimate: estimate(next) })
        })
    }

    fn block(&self, id: BlockId, from: LiveEstimate) -> Result<LiveEstimate> {
        self.call(|live| live.call_method1("block", (id.stage, id.block, &*from.0)).map(estimate))
    }

    fn shortcut(&self, id: BlockId, from: LiveEstimate) -> Result<LiveEstimate> {
        self.call(|live| live.call_method1("shortcut", (id.stage, id.block, &*from.0)).map(estimate))
    }

    fn head(&self, from: LiveEstimate, _state: &mut RecurrentState) -> Result<Logits> {
        self.call(|live| {
            let found = live.call_method1("head", (&*from.0,))?;
            let (values, mask): (Bound<'_, PyAny>, Bound<'_, PyAny>) = found.extract()?;
            let (shape, values) = read_array("the values of the head", &values)?;
            let &[_, positions, classes] = shape.as_slice() else {
                let why = format!("of shape {shape:?}, expected [batch, positions, classes]");
                return Err(argument(live.py(), "the values of the head", why));
            };
            let mask = if mask.is_none() { None } else { Some(truths(&mask)?) };
            Ok(Logits { values, classes, positions, mask, places: None })
        })
    }

    fn head_gradient(&self, from: &LiveEstimate, labels: &[u32]) -> Result<Option<LiveEstimate>> {
        self.call(|live| live.call_method1("head_gradient", (&*from.0, labels.to_vec())).map(optional))
    }

    fn backward_step(
        &self,
        step: Step,
        entering: &LiveEstimate,
        gradient: &LiveEstimate,
    ) -> Result<Option<LiveEstimate>> {
        let (kind, stage, block) = match step {
            Step::Enter(stage) => ("enter", stage, 0),
            Step::Run(id) => ("run", id.stage, id.block),
            Step::Shortcut(id) => ("shortcut", id.stage, id.block),
            Step::Repeat(id) => ("repeat", id.stage, id.block),
        };
        let arguments = (kind, stage, block, &*entering.0, &*gradient.0);
        self.call(|live| live.call_method1("backward_step", arguments).map(optional))
    }

    fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    fn has_gradients(&self) -> bool {
        self.has_gradients
    }

    fn values(&self, from: &LiveEstimate) -> (Vec<f32>, usize) {
        self.call_or_unwind(|live| {
            let (values, channels): (Bound<'_, PyAny>, usize) = live.call_method1("values", (&*from.0,))?.extract()?;
            Ok((read_array("the values of an estimate", &values)?.1, channels))
        })
    }

    fn position_mask(&self, from: &LiveEstimate) -> Option<PositionMask> {
        self.call_or_unwind(|live| {
            let found = live.call_method1("position_mask", (&*from.0,))?;
            if found.is_none() {
                return Ok(None);
            }
            let (mask, positions): (Bound<'_, PyAny>, usize) = found.extract()?;
            Ok(Some(PositionMask { counts: truths(&mask)?, positions }))
        })
    }

    fn rebuild(&self, like: &LiveEstimate, values: Vec<f32>) -> LiveEstimate {
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_ne_bytes).collect();
        self.call_or_unwind(|live| {
            let bytes = PyByteArray::new(live.py(), &bytes);
            let view = live.py().import("builtins")?.getattr("memoryview")?.call1((bytes,))?;
            let floats = view.call_method1("cast", ("f",))?;
            live.call_method1("rebuild", (&*like.0, floats)).map(estimate)
        })
    }
}

/// Returns the truth values of an array.
fn truths(array: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
    Ok(read_array("a mask", array)?.1.into_iter().map(|value| value != 0.0).collect())
}

impl Prunable for LiveNetwork {
    type Network = Self;

    fn network(&self) -> &Self {
        self
    }

    fn why_not_removable(&self, id: BlockId) -> Option<String> {
        self.call_or_unwind(|live| live.call_method1("why_not_removable", (id.stage, id.block))?.extract())
    }

    fn slimmed(&self, route: &Route) -> Result<Self> {
        let steps = route.steps();
        let removed: Vec<BlockId> =
            self.outline.blocks().map(|(id, _)| id).filter(|id| !steps.contains(&Step::Run(*id))).collect();
        if route_without(&self.outline, &removed) != *route {
            return Err(Error::unsupported(route, "not the network without some blocks"));
        }
        let blocks: Vec<(usize, usize)> = removed.iter().map(|id| (id.stage, id.block)).collect();
        self.call(|live| {
            let without = live.call_method1("without", (blocks,))?;
            let source = self.source.clone_ref(live.py());
            // Other blocks left out are another network.
            let fingerprint = removed
                .iter()
                .fold(self.fingerprint, |sum, id| sum.rotate_left(7) ^ (1 + (id.stage << 16) + id.block) as u32);
            Self::new(&without, source, fingerprint, &self.watch)
        })
    }

    /// There is no file: zeros of the size of the parameters.
    fn draft(&self, slim: &Self, _name: &str) -> Result<FileContents> {
        let bytes = slim.call(|live| live.call_method0("state_bytes")?.extract())?;
        Ok(FileContents { chunks: vec![Chunk::Zeros(bytes)], companion: None })
    }

    fn reopen(&self, path: &Path, _slim: &Self) -> Result<Self> {
        Err(Error::unsupported(path.display(), "a live module is saved by its own code"))
    }

    fn constructor(&self, _slim: &Self) -> String {
        "the module itself, after apply()".into()
    }

    fn why_not_recoverable(&self, _step: RecoveryStep) -> Option<&'static str> {
        Some("is a live module: train it after apply()")
    }

    fn recover(&self, _: &Self, recovery: &Recovery, _: ProgressFn) -> Result<Vec<RecoveredNetwork<Self>>> {
        if recovery.recalibration.is_some() || recovery.finetuning.is_some() {
            return Err(Error::unsupported(&self.outline.name, "a live module is trained by its own code"));
        }
        Ok(Vec::new())
    }
}
