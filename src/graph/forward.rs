//! Runs the parts of a graph as a [`Network`].

use std::sync::Arc;

use rten::Value;

use super::engine::{from_floats, shape_of, to_floats};
use super::network::{Activation, GraphNetwork};
use super::partition::Part;
use crate::nn::{BlockActivations, BlockId, Logits, Network, Outline, PositionMask, RecurrentState, Samples};
use crate::{Error, Result};

impl GraphNetwork {
    /// Runs a part on each chunk; returns its outputs for each.
    fn run(&self, part: &Part, estimate: &Activation) -> Result<Vec<Vec<Value>>> {
        let run = |(chunk, side_inputs): (&Value, &Vec<Value>)| {
            let computed = self.stem.to[1..].iter().copied().zip(side_inputs);
            let needed = computed.filter(|(value, _)| part.side_inputs.contains(value));
            let inputs: Vec<(usize, &Value)> = part.from.map(|from| (from, chunk)).into_iter().chain(needed).collect();
            self.engine.run(&self.graph, &inputs, &part.to).map_err(|e| self.error(e))
        };
        estimate.chunks.iter().zip(estimate.side_inputs.iter()).map(run).collect()
    }

    /// Runs a part that computes the next estimate.
    fn run_estimate(&self, part: &Part, estimate: &Activation) -> Result<Activation> {
        let chunks = self.run(part, estimate)?.into_iter().map(|mut outputs| outputs.swap_remove(0));
        Ok(Activation { chunks: Arc::new(chunks.collect()), ..estimate.clone() })
    }

    /// Runs parts one after the other.
    fn run_chain(&self, parts: &[Part], estimate: Activation) -> Result<Activation> {
        parts.iter().try_fold(estimate, |estimate, part| self.run_estimate(part, &estimate))
    }

    /// Returns the channels of an estimate of this shape, and the number of positions where the channels come last.
    fn channels(&self, shape: &[usize]) -> (usize, Option<usize>) {
        match shape {
            [_, positions @ .., channels] if !self.is_channels_first => (*channels, Some(positions.iter().product())),
            [_, channels, ..] => (*channels, None),
            _ => (1, None),
        }
    }
}

/// Transposes every sample from `[outer, inner]` to `[inner, outer]`.
fn transposed(values: &[f32], outer: usize, inner: usize) -> Vec<f32> {
    let sample = |row: &[f32]| {
        (0..inner).flat_map(|i| (0..outer).map(move |o| (o, i))).map(|(o, i)| row[o * inner + i]).collect::<Vec<_>>()
    };
    values.chunks_exact((outer * inner).max(1)).flat_map(sample).collect()
}

impl Network for GraphNetwork {
    type Estimate = Activation;

    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn stem(&self, samples: &Samples) -> Result<Activation> {
        let (mut chunks, mut side_inputs) = (Vec::new(), Vec::new());
        for inputs in self.input_chunks(samples)? {
            let inputs: Vec<(usize, &Value)> = inputs.iter().map(|(value, array)| (*value, array)).collect();
            let mut values = self.engine.run(&self.graph, &inputs, &self.stem.to).map_err(|e| self.error(e))?;
            side_inputs.push(values.split_off(1));
            chunks.append(&mut values);
        }
        let mask = self.input_mask(samples).map(Arc::new);
        Ok(Activation { chunks: Arc::new(chunks), side_inputs: Arc::new(side_inputs), samples: samples.shape[0], mask })
    }

    fn enter_stage(&self, stage: usize, estimate: Activation) -> Result<Activation> {
        self.run_chain(&self.stages[stage].enter, estimate)
    }

    fn block_activations(&self, at: BlockId, estimate: Activation) -> Result<BlockActivations<Activation>> {
        let block = self.block_at(at);
        let mut values: Vec<std::vec::IntoIter<Value>> =
            self.run(&block.body, &estimate)?.into_iter().map(Vec::into_iter).collect();
        let mut next = || {
            let chunks: Vec<Value> = values.iter_mut().filter_map(Iterator::next).collect();
            Activation { chunks: Arc::new(chunks), ..estimate.clone() }
        };
        let new = next();
        let h = block.has_h.then(&mut next);
        let [transform, carry] = block.has_gates.map(|has_gate| has_gate.then(&mut next));
        let h = match h {
            Some(h) => h,
            // The sum has several new values: `h` is their sum, the difference that the block makes.
            None => {
                let (after, before) = (self.values(&new).0, self.values(&estimate).0);
                self.rebuild(&new, after.iter().zip(&before).map(|(y, x)| y - x).collect())
            }
        };
        Ok(BlockActivations { h, transform, carry, estimate: new })
    }

    fn block(&self, at: BlockId, estimate: Activation) -> Result<Activation> {
        let body = &self.block_at(at).body;
        let part = Part { from: body.from, to: body.to[..1].to_vec(), side_inputs: body.side_inputs.clone() };
        self.run_estimate(&part, &estimate)
    }

    fn shortcut(&self, at: BlockId, estimate: Activation) -> Result<Activation> {
        let block = self.block_at(at);
        if let Some(why) = block.why_not_removable {
            return Err(Error::unsupported(at, format!("cannot be left out: {why}")));
        }
        let shortcut =
            block.shortcut.as_ref().map_or(Ok(estimate.clone()), |part| self.run_estimate(part, &estimate))?;
        block.after_sum.as_ref().map_or(Ok(shortcut.clone()), |part| self.run_estimate(part, &shortcut))
    }

    fn head(&self, estimate: Activation, _: &mut RecurrentState) -> Result<Logits> {
        let estimate = self.run_chain(&self.after_last_stage, estimate)?;
        let outputs: Vec<Value> = self.run(&self.head, &estimate)?.into_iter().flatten().collect();
        self.logits(&outputs, estimate.samples, estimate.mask.as_ref().map(|mask| mask.as_slice()))
    }

    fn fingerprint(&self) -> u32 {
        // Where the file cannot be read any more, the outline alone identifies the graph.
        self.checksum().unwrap_or_else(|_| crc32fast::hash(format!("{:?}", self.outline).as_bytes()))
    }

    fn values(&self, estimate: &Activation) -> (Vec<f32>, usize) {
        let (mut all, mut channels, mut units) = (Vec::new(), 1, 1);
        for chunk in estimate.chunks.iter() {
            let shape = shape_of(chunk);
            let values = to_floats(chunk).unwrap_or_default();
            units = shape[1..].iter().product();
            let (count, positions) = self.channels(&shape);
            channels = count;
            all.extend(positions.map_or(values.clone(), |positions| transposed(&values, positions, count)));
        }
        all.truncate(estimate.samples * units);
        (all, channels)
    }

    fn position_mask(&self, estimate: &Activation) -> Option<PositionMask> {
        let mask = estimate.mask.as_deref()?;
        let shape = shape_of(estimate.chunks.first()?);
        let (channels, _) = self.channels(&shape);
        let positions = shape[1..].iter().product::<usize>() / channels.max(1);
        (mask.len() == estimate.samples * positions).then(|| PositionMask { counts: mask.clone(), positions })
    }

    fn rebuild(&self, like: &Activation, mut values: Vec<f32>) -> Activation {
        let units = values.len() / like.samples.max(1);
        let last = values[values.len() - units..].to_vec();
        let mut offset = 0;
        let mut chunks = Vec::new();
        for chunk in like.chunks.iter() {
            let shape = shape_of(chunk);
            let size = shape[0] * units;
            while values.len() < offset + size {
                values.extend(&last);
            }
            let own = &values[offset..offset + size];
            let (channels, positions) = self.channels(&shape);
            let own = positions.map_or(own.to_vec(), |positions| transposed(own, channels, positions));
            offset += size;
            chunks.push(from_floats(&shape, own, false).unwrap_or_else(|_| chunk.clone()));
        }
        Activation { chunks: Arc::new(chunks), ..like.clone() }
    }
}
