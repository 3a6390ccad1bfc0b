//! Samples as inputs of a graph.
//!
//! A file can fix the batch that its graph takes. Samples are cut into chunks of this batch, and the last sample is
//! repeated to fill the last chunk. Where the batch is free, all samples are one chunk.

use rten::Value;

use super::engine::from_floats;
use super::network::GraphNetwork;
use crate::nn::{Logits, Samples};
use crate::{Error, Result};

impl GraphNetwork {
    /// Returns the inputs of the graph for each chunk of the samples.
    ///
    /// # Errors
    /// [`Error::Shape`] for samples of another size, [`Error::Mismatch`] for a fraction where the graph takes integers.
    pub(super) fn input_chunks(&self, samples: &Samples) -> Result<Vec<Vec<(usize, Value)>>> {
        let size: usize = self.inputs.iter().map(|input| input.shape.iter().product::<usize>()).sum();
        let count = samples.shape[0];
        if samples.values.len() != count * size || count == 0 {
            let expected = self.outline.input.clone();
            return Err(Error::Shape { name: "samples".into(), found: samples.shape[1..].to_vec(), expected });
        }
        let batch = self.batch.unwrap_or(count);
        let chunk = |first: usize| {
            let mut offset = 0;
            let inputs = self.inputs.iter().zip(&self.graph.inputs).map(|(input, &value)| {
                let length: usize = input.shape.iter().product();
                let rows = (first..first + batch).map(|row| row.min(count - 1) * size + offset);
                let values: Vec<f32> = rows.flat_map(|from| &samples.values[from..from + length]).copied().collect();
                offset += length;
                let shape: Vec<usize> = std::iter::once(batch).chain(input.shape.iter().copied()).collect();
                if let Some(fraction) = values.iter().find(|value| input.is_integer && value.fract() != 0.0) {
                    let why = format!("takes whole numbers, and there is {fraction} among its values");
                    return Err(Error::mismatch(format!("input '{}'", input.name), why));
                }
                Ok((value, from_floats(&shape, values, input.is_integer).map_err(|e| self.error(e))?))
            });
            inputs.collect::<Result<Vec<_>>>()
        };
        (0..count).step_by(batch).map(chunk).collect()
    }

    /// Runs the whole graph at once, as the exporting program would.
    pub(super) fn forward_whole(&self, samples: &Samples) -> Result<Logits> {
        let run = |inputs: Vec<(usize, Value)>| {
            let inputs: Vec<_> = inputs.iter().map(|(value, array)| (*value, array.into())).collect();
            let mut outputs = self.engine.run(&self.graph, &inputs, &self.parts.head.to).map_err(|e| self.error(e))?;
            Ok(outputs.swap_remove(0))
        };
        let outputs: Result<Vec<Value>> = self.input_chunks(samples)?.into_iter().map(run).collect();
        self.logits(&outputs?, samples.shape[0], self.input_mask(samples).as_deref())
    }

    /// Returns whether each position of some samples counts, `[samples, positions]`; `None` where no input says so.
    pub(super) fn input_mask(&self, samples: &Samples) -> Option<Vec<bool>> {
        let place = self.answers.mask_input_index()?;
        let length = |input: &super::network::GraphInput| input.shape.iter().product::<usize>();
        let first: usize = self.inputs[..place].iter().map(length).sum();
        let size: usize = self.inputs.iter().map(length).sum();
        let rows = samples.values.chunks_exact(size);
        Some(rows.flat_map(|row| row[first..first + length(&self.inputs[place])].iter().map(|&v| v != 0.0)).collect())
    }
}
