//! Runs the parts of a graph as a [`Network`].

use std::sync::Arc;

use rten::{Value, ValueView};

use super::ParseResult;
use super::engine::float_tensor;
use super::estimate_chunk::{EstimateChunk, engine_array, feature_map};
use super::layout::Layout;
use super::network::{Activation, GraphNetwork};
use super::partition::Part;
use crate::device::DeviceInfo;
use crate::nn::{BlockActivations, BlockId, Logits, Network, Outline, PositionMask, RecurrentState, Samples};
use crate::{Error, Result};

impl GraphNetwork {
    /// Lets the engine run a part on each chunk; returns its outputs for each.
    fn run(&self, part: &Part, estimate: &Activation) -> Result<Vec<Vec<Value>>> {
        let run = |(chunk, side_inputs): (&EstimateChunk, &Vec<Value>)| {
            let computed = self.parts.stem.to[1..].iter().copied().zip(side_inputs.iter().map(ValueView::from));
            let needed = computed.filter(|(value, _)| part.side_inputs.contains(value));
            let array = part.from.map(|_| chunk.to_array()).transpose().map_err(|e| self.error(e))?;
            let entering = part.from.zip(array.as_deref()).map(|(from, array)| (from, array.into()));
            let inputs: Vec<_> = entering.into_iter().chain(needed).collect();
            self.engine.run(&self.graph, &inputs, &part.to).map_err(|e| self.error(e))
        };
        estimate.chunks.iter().zip(estimate.side_inputs.iter()).map(run).collect()
    }

    /// Runs a part that computes estimates; returns an estimate for each value that leaves it. An estimate of another layout than the
    /// part takes, as on a route that changes the order of blocks, is brought into this layout.
    fn run_estimates(&self, part: &Part, estimate: &Activation) -> Result<Vec<Activation>> {
        let converted = part.from.map_or(Ok(None), |from| self.converted(estimate, from))?;
        let estimate = converted.as_ref().unwrap_or(estimate);
        let maps = part.program.as_ref().and_then(|program| {
            let maps = estimate.chunks.iter().map(|chunk| chunk.to_map().map(|map| program.run(map)));
            maps.collect::<Option<Vec<_>>>()
        });
        let chunks: Vec<Vec<EstimateChunk>> = match maps {
            Some(maps) => maps.into_iter().map(|maps| maps.into_iter().map(EstimateChunk::Map).collect()).collect(),
            None => {
                let outputs = self.run(part, estimate)?.into_iter();
                outputs.map(|values| self.floats(&part.to, values)).collect::<Result<_>>()?
            }
        };
        let mut chunks: Vec<std::vec::IntoIter<EstimateChunk>> = chunks.into_iter().map(Vec::into_iter).collect();
        let estimates = part.to.iter().map(|&value| {
            let chunks = Arc::new(chunks.iter_mut().filter_map(Iterator::next).collect());
            Activation { chunks, value, ..estimate.clone() }
        });
        Ok(estimates.collect())
    }

    /// Runs a part that computes the next estimate.
    fn run_estimate(&self, part: &Part, estimate: &Activation) -> Result<Activation> {
        Ok(self.run_estimates(part, estimate)?.swap_remove(0))
    }

    /// Returns values of the graph as chunks of estimates.
    fn floats(&self, values: &[usize], chunks: Vec<Value>) -> Result<Vec<EstimateChunk>> {
        let float = |(&value, chunk)| float_tensor(&self.graph, value, chunk).map(EstimateChunk::Array);
        values.iter().zip(chunks).map(float).collect::<ParseResult<_>>().map_err(|e| self.error(e))
    }

    /// Returns an estimate in the layout of a value; `None` where it has this layout.
    fn converted(&self, estimate: &Activation, value: usize) -> Result<Option<Activation>> {
        let (Some(from), Some(to)) = (self.layouts.get(estimate.value), self.layouts.get(value)) else {
            return Ok(None);
        };
        if estimate.value == value || from.group != to.group || from.is_same(to) {
            return Ok(None);
        }
        let convert = |chunk: &EstimateChunk| {
            let shape: Vec<usize> = chunk.shape().iter().take(1).chain(&to.shape).copied().collect();
            let values = to.in_own_order(from.channels_first(chunk.to_vec()));
            engine_array(&shape, values).map(EstimateChunk::Array).map_err(|e| self.error(e))
        };
        let chunks = estimate.chunks.iter().map(convert).collect::<Result<Vec<_>>>()?;
        Ok(Some(Activation { chunks: Arc::new(chunks), value, ..estimate.clone() }))
    }

    /// Returns the layout of an estimate; that of a row of channels where it is not known.
    fn layout(&self, estimate: &Activation) -> Layout {
        let shape = || {
            estimate.chunks.first().map_or_else(Vec::new, |chunk| chunk.shape().get(1..).unwrap_or_default().to_vec())
        };
        let unknown = || Layout {
            group: usize::MAX,
            channels: shape().first().copied().unwrap_or(1),
            shape: shape(),
            order: None,
        };
        self.layouts.get(estimate.value).cloned().unwrap_or_else(unknown)
    }

    /// Builds an estimate of the shape of another one. The error says that the number of values is not that of the estimate.
    fn try_rebuild(&self, like: &Activation, mut values: Vec<f32>) -> Result<Activation> {
        let layout = self.layout(like);
        let units = layout.shape.iter().product::<usize>();
        let wrong = |found: usize, expected: usize| self.error(format!("{found} values of an estimate of {expected}"));
        if values.len() != like.samples * units {
            return Err(wrong(values.len(), like.samples * units));
        }
        let last = values[values.len() - units..].to_vec();
        let mut offset = 0;
        let mut chunks = Vec::new();
        for chunk in like.chunks.iter() {
            let shape = chunk.shape();
            let size = shape.first().map_or(1, |&rows| rows * units);
            while values.len() < offset + size {
                values.extend(&last);
            }
            let own = layout.in_own_order(values[offset..offset + size].to_vec());
            offset += size;
            let rebuilt = engine_array(&shape, own).map_err(|_| wrong(size, shape.iter().product()))?;
            chunks.push(EstimateChunk::Array(rebuilt));
        }
        Ok(Activation { chunks: Arc::new(chunks), ..like.clone() })
    }

    /// Runs parts one after the other.
    fn run_chain(&self, parts: &[Part], estimate: Activation) -> Result<Activation> {
        parts.iter().try_fold(estimate, |estimate, part| self.run_estimate(part, &estimate))
    }
}

impl Network for GraphNetwork {
    type Estimate = Activation;

    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn device(&self) -> Option<DeviceInfo> {
        Some(DeviceInfo::cpu())
    }

    fn stem(&self, samples: &Samples) -> Result<Activation> {
        let (mut chunks, mut side_inputs) = (Vec::new(), Vec::new());
        for inputs in self.input_chunks(samples)? {
            if let (Some(program), [(_, Value::FloatTensor(array))]) = (&self.parts.stem.program, &inputs[..])
                && let Some(map) = feature_map(array)
            {
                chunks.push(EstimateChunk::Map(program.run(map).swap_remove(0)));
                side_inputs.push(Vec::new());
                continue;
            }
            let inputs: Vec<_> = inputs.iter().map(|(value, array)| (*value, array.into())).collect();
            let mut values = self.engine.run(&self.graph, &inputs, &self.parts.stem.to).map_err(|e| self.error(e))?;
            side_inputs.push(values.split_off(1));
            chunks.extend(self.floats(&self.parts.stem.to[..1], values)?);
        }
        let mask = self.input_mask(samples).map(Arc::new);
        let (chunks, side_inputs) = (Arc::new(chunks), Arc::new(side_inputs));
        let estimate =
            Activation { chunks, side_inputs, samples: samples.shape[0], value: self.parts.stem.to[0], mask };
        self.run_chain(&self.parts.after_stem, estimate)
    }

    fn enter_stage(&self, stage: usize, estimate: Activation) -> Result<Activation> {
        self.run_chain(&self.parts.stages[stage].enter, estimate)
    }

    fn block_activations(&self, at: BlockId, estimate: Activation) -> Result<BlockActivations<Activation>> {
        let block = self.block_at(at);
        let mut found = self.run_estimates(&block.body, &estimate)?.into_iter();
        let mut next = |value: usize| found.next().map(|found| Activation { value, ..found });
        let new = next(block.body.to[0]).ok_or_else(|| self.error("a value is missing"))?;
        // The terms and factors of the sum have the layout of the sum.
        let h = if block.has_h { next(block.sum) } else { None };
        let [transform, carry] = block.has_gates.map(|has_gate| if has_gate { next(block.sum) } else { None });
        let h = match h {
            Some(h) => h,
            // The sum has several new values: `h` is their sum, the difference that the block makes. A block that changes the
            // shape makes none: its new value is what it computes.
            None => {
                let (after, before) = (self.values(&new).0, self.values(&estimate).0);
                match after.len() == before.len() {
                    true => self.try_rebuild(&new, after.iter().zip(&before).map(|(y, x)| y - x).collect())?,
                    false => new.clone(),
                }
            }
        };
        Ok(BlockActivations { h, transform, carry, estimate: new })
    }

    fn block(&self, at: BlockId, estimate: Activation) -> Result<Activation> {
        self.run_estimate(&self.block_at(at).step, &estimate)
    }

    fn shortcut(&self, at: BlockId, estimate: Activation) -> Result<Activation> {
        let block = self.block_at(at);
        if let Some(why) = block.why_not_removable {
            return Err(Error::unsupported(at, format!("cannot be left out: {why}")));
        }
        let estimate = match block.body.from {
            Some(input) => self.converted(&estimate, input)?.unwrap_or(estimate),
            None => estimate,
        };
        let shortcut =
            block.shortcut.as_ref().map_or(Ok(estimate.clone()), |part| self.run_estimate(part, &estimate))?;
        let shortcut = Activation { value: block.sum, ..shortcut };
        block.after_sum.as_ref().map_or(Ok(shortcut.clone()), |part| self.run_estimate(part, &shortcut))
    }

    fn head(&self, estimate: Activation, _: &mut RecurrentState) -> Result<Logits> {
        let estimate = self.run_chain(&self.parts.after_last_stage, estimate)?;
        let converted = self.parts.head.from.map_or(Ok(None), |from| self.converted(&estimate, from))?;
        let estimate = converted.unwrap_or(estimate);
        let outputs: Vec<Value> = self.run(&self.parts.head, &estimate)?.into_iter().flatten().collect();
        self.logits(&outputs, estimate.samples, estimate.mask.as_ref().map(|mask| mask.as_slice()))
    }

    fn fingerprint(&self) -> u32 {
        // Where the file cannot be read any more, the outline alone identifies the graph.
        self.checksum().unwrap_or_else(|_| crc32fast::hash(format!("{:?}", self.outline).as_bytes()))
    }

    fn values(&self, estimate: &Activation) -> (Vec<f32>, usize) {
        let layout = self.layout(estimate);
        let all: Vec<f32> = estimate.chunks.iter().flat_map(|chunk| chunk.to_vec()).collect();
        let mut all = layout.channels_first(all);
        all.truncate(estimate.samples * layout.shape.iter().product::<usize>());
        (all, layout.channels)
    }

    fn position_mask(&self, estimate: &Activation) -> Option<PositionMask> {
        let mask = estimate.mask.as_deref()?;
        let layout = self.layout(estimate);
        let positions = layout.shape.iter().product::<usize>() / layout.channels.max(1);
        (mask.len() == estimate.samples * positions).then(|| PositionMask { counts: mask.clone(), positions })
    }

    fn rebuild(&self, like: &Activation, values: Vec<f32>) -> Activation {
        self.try_rebuild(like, values).unwrap_or_else(|why| panic!("{why}"))
    }
}
