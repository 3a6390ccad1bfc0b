//! Samples into a graph, and logits out of it.

use rten::Value;

use super::engine::{array, floats, shape};
use super::network::GraphNetwork;
use crate::nn::{Logits, Samples};
use crate::{Error, Result};

impl GraphNetwork {
    /// The inputs of each piece.
    pub(super) fn pieces(&self, samples: &Samples) -> Result<Vec<Vec<(usize, Value)>>> {
        let size: usize = self.inputs.iter().map(|input| input.shape.iter().product::<usize>()).sum();
        let count = samples.shape[0];
        if samples.values.len() != count * size || count == 0 {
            let expected = self.outline.input.clone();
            return Err(Error::Shape { name: "samples".into(), found: samples.shape[1..].to_vec(), expected });
        }
        let batch = self.batch.unwrap_or(count);
        let piece = |first: usize| {
            let mut at = 0;
            let given = self.inputs.iter().zip(&self.graph.inputs).map(|(input, &value)| {
                let own: usize = input.shape.iter().product();
                // The last sample fills up the last piece.
                let rows = (first..first + batch).map(|row| row.min(count - 1) * size + at);
                let values: Vec<f32> = rows.flat_map(|from| &samples.values[from..from + own]).copied().collect();
                at += own;
                let shape: Vec<usize> = std::iter::once(batch).chain(input.shape.iter().copied()).collect();
                if let Some(part) = values.iter().find(|value| input.is_whole && value.fract() != 0.0) {
                    let what =
                        format!("input '{}' takes whole numbers, and there is {part} among its values", input.name);
                    return Err(Error::Usage(what));
                }
                Ok((value, array(&shape, values, input.is_whole).map_err(|e| self.failed(e))?))
            });
            given.collect::<Result<Vec<_>>>()
        };
        (0..count).step_by(batch).map(piece).collect()
    }

    /// The whole graph at once, as whoever exported it runs it.
    pub(super) fn whole(&self, samples: &Samples) -> Result<Logits> {
        let run = |given: Vec<(usize, Value)>| {
            let given: Vec<(usize, &Value)> = given.iter().map(|(value, array)| (*value, array)).collect();
            let mut outputs = self.engine.run(&self.graph, &given, &self.head.to).map_err(|e| self.failed(e))?;
            Ok(outputs.swap_remove(0))
        };
        let outputs: Result<Vec<Value>> = self.pieces(samples)?.into_iter().map(run).collect();
        self.logits(&outputs?, samples.shape[0])
    }

    pub(super) fn logits(&self, outputs: &[Value], samples: usize) -> Result<Logits> {
        let classes = self.outline.classes;
        let mut values: Vec<f32> = Vec::new();
        for output in outputs {
            let shape = shape(output);
            let all = floats(output).ok_or_else(|| self.failed("its output holds no floats"))?;
            // Of a sequence the answer is that of its last position.
            let row = all.len() / shape.first().copied().unwrap_or(1).max(1);
            all.chunks_exact(row.max(1)).for_each(|row| values.extend(&row[row.len() - classes.min(row.len())..]));
        }
        values.truncate(samples * classes);
        // Of a graph that ends in a softmax the logarithms are logits: a second softmax gives its probabilities again.
        if self.head.to.first().is_some_and(|&output| self.graph.given_by(output, &["Softmax"]).is_some()) {
            // What is not a number stays so.
            let least = f32::MIN_POSITIVE;
            values.iter_mut().for_each(|p| *p = if *p < least { least } else { *p }.ln());
        }
        Ok(Logits { values, classes })
    }
}
