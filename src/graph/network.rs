//! A graph as a network: stem, stages and head are parts of it that run from value to value.

use std::path::PathBuf;
use std::sync::Arc;

use rten::Value;

use super::build::Shapes;
use super::edit::Edit;
use super::engine::{Engine, array, floats, shape};
use super::line::Found;
use super::proto::Graph;
use crate::nn::Outline;
use crate::nn::{BlockActivations, BlockId, Logits, Network, RecurrentState, Samples};
use crate::{Error, Result};

/// A network that is a graph in a file of somebody else's: every block is a value in, a value out.
pub struct GraphNetwork {
    /// The blocks that were asked for, where they were not to be found.
    pub(super) given: Option<Vec<Vec<[String; 2]>>>,
    /// Sums with a skip in the whole graph.
    pub(super) skips: usize,
    pub(super) path: PathBuf,
    pub(super) graph: Arc<Graph>,
    pub(super) engine: Arc<Engine>,
    /// Whether the engine fuses operations.
    pub(super) fuses: bool,
    /// Its blocks in the graph, in their order.
    pub(super) line: Arc<Vec<Found>>,
    /// Shapes of a run, and how many samples ran.
    pub(super) shapes: Arc<(Shapes, usize)>,
    /// What is left out of the file.
    pub(super) edit: Edit,
    pub(super) outline: Outline,
    pub(super) inputs: Vec<Input>,
    /// The batch that the file was exported for; `None` where it is free.
    pub(super) batch: Option<usize>,
    /// Whether estimates are `[batch, channels, …]`, as convolutions take them, or `[batch, …, channels]`.
    pub(super) channels_first: bool,
    pub(super) stem: Part,
    pub(super) stages: Vec<Stage>,
    /// What stands between the last block and the head.
    pub(super) leave: Vec<Part>,
    pub(super) head: Part,
}

/// What has to be given.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its name in the file.
    pub name: String,
    /// Its shape without the batch.
    pub shape: Vec<usize>,
    /// Whether it takes whole numbers, such as tokens.
    pub is_whole: bool,
}

pub(super) struct Stage {
    /// What stands before the first block, one after the other; nothing where that takes what leaves the stage before.
    pub enter: Vec<Part>,
    pub blocks: Vec<Block>,
}

#[derive(Clone)]
pub(super) struct Block {
    /// The estimate, and behind it what can be seen: `h`, transform and carry gate.
    pub body: Part,
    pub has_h: bool,
    pub gates: [bool; 2],
    /// The shortcut; `None` where the input is carried as it is.
    pub shortcut: Option<Part>,
    /// From the sum to what follows it in every block.
    pub after: Option<Part>,
    pub why_not_removable: Option<&'static str>,
}

/// A part of the graph: a value in, values out.
#[derive(Clone)]
pub(super) struct Part {
    /// `None` for the stem, which takes the inputs.
    pub from: Option<usize>,
    pub to: Vec<usize>,
    /// Values that are computed before the stages and needed here.
    pub sides: Vec<usize>,
}

/// The estimate of some samples, and what was computed before the stages that later blocks need.
#[derive(Clone)]
pub struct Activation {
    /// In pieces of the batch that the file was exported for, the last one filled up; one piece where it is free.
    pieces: Arc<Vec<Value>>,
    /// Of each piece the values that blocks need beside the estimate.
    sides: Arc<Vec<Vec<Value>>>,
    samples: usize,
}

impl GraphNetwork {
    /// What has to be given, in the order in which a sample's values are.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The blocks of every stage, by the names of the values that enter and leave each.
    pub fn named_blocks(&self) -> Vec<Vec<[String; 2]>> {
        let name = |value: usize| self.graph.values[value].name.clone();
        let mut line = self.line.iter().map(|found| [name(found.input), name(found.output)]);
        self.stages.iter().map(|stage| line.by_ref().take(stage.blocks.len()).collect()).collect()
    }

    /// What was found in the file, in words: a line for the graph, and one for what runs.
    pub fn found(&self) -> String {
        let blocks: usize = self.stages.iter().map(|stage| stage.blocks.len()).sum();
        let sums = match (&self.given, self.skips.saturating_sub(blocks)) {
            (Some(_), _) => "blocks as --cut names them".to_owned(),
            (None, 0) if blocks == 1 => "1 sum with a skip, the block".to_owned(),
            (None, 0) => format!("{blocks} sums with a skip, all of them blocks"),
            (None, rest) => format!(
                "{blocks} of {} sums with a skip are blocks; {rest} lie within these or beside the line",
                blocks + rest
            ),
        };
        let sides = match self.stem.to.len() - 1 {
            0 => String::new(),
            count => format!("; values from before the blocks that they need: {count}"),
        };
        format!(
            "graph of {} nodes, {sums}{sides}\nblock by block it computes what it computes as a whole, bit for bit\n",
            self.graph.nodes.len()
        )
    }

    /// Makes the network take samples whose inputs have these shapes, without the batch: free sides become theirs, and
    /// a row of values takes the values of an image.
    ///
    /// # Errors
    /// [`Error::Shape`] for an input that takes other shapes.
    pub fn fit(&mut self, shapes: &[Vec<usize>]) -> Result<()> {
        let fits =
            |inputs: &[Input]| inputs.len() == shapes.len() && inputs.iter().zip(shapes).all(|(i, s)| i.shape == *s);
        if fits(&self.inputs) {
            return Ok(());
        }
        if let ([input], [shape]) = (self.inputs.as_slice(), shapes)
            && input.shape == [shape.iter().product::<usize>()]
            && shape.len() == 3
        {
            self.outline.input.clone_from(shape);
            return Ok(());
        }
        let again = Self::open(&self.path, self.given.as_deref(), shapes)?;
        if !fits(&again.inputs) {
            let place = again.inputs.iter().zip(shapes).position(|(i, s)| i.shape != *s).unwrap_or(0);
            let input = &again.inputs[place];
            let found = shapes.get(place).cloned().unwrap_or_default();
            return Err(Error::Shape {
                name: format!("input '{}' of a sample", input.name),
                found,
                expected: input.shape.clone(),
            });
        }
        *self = again;
        Ok(())
    }

    pub(super) fn failed(&self, what: impl std::fmt::Display) -> Error {
        Error::file(&self.path, what.to_string())
    }

    /// Runs a part for each piece; the outputs of each.
    fn run(&self, part: &Part, estimate: &Activation) -> Result<Vec<Vec<Value>>> {
        let run = |(piece, sides): (&Value, &Vec<Value>)| {
            let needed = self.stem.to[1..].iter().copied().zip(sides).filter(|(value, _)| part.sides.contains(value));
            let given: Vec<(usize, &Value)> = part.from.map(|from| (from, piece)).into_iter().chain(needed).collect();
            self.engine.run(&self.graph, &given, &part.to).map_err(|e| self.failed(e))
        };
        estimate.pieces.iter().zip(estimate.sides.iter()).map(run).collect()
    }

    /// Runs a part that gives one value.
    fn flow(&self, part: &Part, estimate: &Activation) -> Result<Activation> {
        let pieces = self.run(part, estimate)?.into_iter().map(|mut given| given.swap_remove(0));
        Ok(Activation { pieces: Arc::new(pieces.collect()), ..estimate.clone() })
    }

    /// Runs parts one after the other, each of which gives one value.
    fn through(&self, parts: &[Part], estimate: Activation) -> Result<Activation> {
        parts.iter().try_fold(estimate, |estimate, part| self.flow(part, &estimate))
    }

    pub(super) fn block_at(&self, at: BlockId) -> &Block {
        &self.stages[at.stage].blocks[at.block]
    }

    /// Channels of an estimate of this shape, and positions where the channels come last.
    fn channels(&self, shape: &[usize]) -> (usize, Option<usize>) {
        match shape {
            [_, positions @ .., channels] if !self.channels_first => (*channels, Some(positions.iter().product())),
            [_, channels, ..] => (*channels, None),
            _ => (1, None),
        }
    }
}

/// Rows of `[outer, inner]` become rows of `[inner, outer]`.
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
        let (mut pieces, mut sides) = (Vec::new(), Vec::new());
        for given in self.pieces(samples)? {
            let given: Vec<(usize, &Value)> = given.iter().map(|(value, array)| (*value, array)).collect();
            let mut values = self.engine.run(&self.graph, &given, &self.stem.to).map_err(|e| self.failed(e))?;
            sides.push(values.split_off(1));
            pieces.append(&mut values);
        }
        Ok(Activation { pieces: Arc::new(pieces), sides: Arc::new(sides), samples: samples.shape[0] })
    }

    fn enter_stage(&self, stage: usize, estimate: Activation) -> Result<Activation> {
        self.through(&self.stages[stage].enter, estimate)
    }

    fn block_activations(&self, at: BlockId, estimate: Activation) -> Result<BlockActivations<Activation>> {
        let block = self.block_at(at);
        let mut values: Vec<std::vec::IntoIter<Value>> =
            self.run(&block.body, &estimate)?.into_iter().map(Vec::into_iter).collect();
        let mut next = || {
            let pieces: Vec<Value> = values.iter_mut().filter_map(Iterator::next).collect();
            Activation { pieces: Arc::new(pieces), ..estimate.clone() }
        };
        let new = next();
        let seen = block.has_h.then(&mut next);
        let [transform, carry] = block.gates.map(|has| has.then(&mut next));
        let h = match seen {
            Some(h) => h,
            // Where several values are added, what they add is the difference.
            None => {
                let (after, before) = (self.values(&new).0, self.values(&estimate).0);
                self.rebuild(&new, after.iter().zip(&before).map(|(y, x)| y - x).collect())
            }
        };
        Ok(BlockActivations { h, transform, carry, estimate: new })
    }

    fn block(&self, at: BlockId, estimate: Activation) -> Result<Activation> {
        let body = &self.block_at(at).body;
        let part = Part { from: body.from, to: body.to[..1].to_vec(), sides: body.sides.clone() };
        self.flow(&part, &estimate)
    }

    fn shortcut(&self, at: BlockId, estimate: Activation) -> Result<Activation> {
        let block = self.block_at(at);
        if let Some(why) = block.why_not_removable {
            return Err(Error::Usage(format!("{at} cannot be left out: {why}")));
        }
        let carried = block.shortcut.as_ref().map_or(Ok(estimate.clone()), |part| self.flow(part, &estimate))?;
        block.after.as_ref().map_or(Ok(carried.clone()), |part| self.flow(part, &carried))
    }

    fn head(&self, estimate: Activation, _: &mut RecurrentState) -> Result<Logits> {
        let estimate = self.through(&self.leave, estimate)?;
        let outputs: Vec<Value> = self.run(&self.head, &estimate)?.into_iter().flatten().collect();
        self.logits(&outputs, estimate.samples)
    }

    fn values(&self, estimate: &Activation) -> (Vec<f32>, usize) {
        let (mut all, mut channels, mut units) = (Vec::new(), 1, 1);
        for piece in estimate.pieces.iter() {
            let shape = shape(piece);
            let values = floats(piece).unwrap_or_default();
            units = shape[1..].iter().product();
            let (count, positions) = self.channels(&shape);
            channels = count;
            all.extend(positions.map_or(values.clone(), |positions| transposed(&values, positions, count)));
        }
        all.truncate(estimate.samples * units);
        (all, channels)
    }

    fn rebuild(&self, like: &Activation, mut values: Vec<f32>) -> Activation {
        let units = values.len() / like.samples.max(1);
        let last = values[values.len() - units..].to_vec();
        let mut at = 0;
        let mut pieces = Vec::new();
        for piece in like.pieces.iter() {
            let shape = shape(piece);
            let size = shape[0] * units;
            while values.len() < at + size {
                values.extend(&last);
            }
            let own = &values[at..at + size];
            let (channels, positions) = self.channels(&shape);
            let own = positions.map_or(own.to_vec(), |positions| transposed(own, channels, positions));
            at += size;
            pieces.push(array(&shape, own, false).unwrap_or_else(|_| piece.clone()));
        }
        Activation { pieces: Arc::new(pieces), ..like.clone() }
    }
}
