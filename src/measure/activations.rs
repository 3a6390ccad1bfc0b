//! What a probe sees while samples pass through a network.

use std::cell::OnceCell;

use crate::nn::{BlockActivations, BlockId, Logits, Network, PositionMask, Wiring};

/// The estimates of one stage for the batch that passes, as far as it has come.
#[derive(Debug, Default)]
pub struct StageActivations {
    /// The place of every sample of the batch in the data set.
    pub samples: Vec<usize>,
    /// The label of every sample.
    pub labels: Vec<u32>,
    /// `[batch, units]`, row-major: what entered the stage, then the estimate of every block so far. What entered is empty
    /// where it has another shape.
    pub estimates: Vec<Vec<f32>>,
    /// The number of channels that the units divide into.
    pub channels: usize,
    /// Which positions count; `None` where all do. Values at positions that do not count are 0.
    pub mask: Option<PositionMask>,
}

impl StageActivations {
    /// What entered the latest block; empty where it has another shape.
    pub fn before(&self) -> &[f32] {
        self.estimates.iter().rev().nth(1).map_or(&[], Vec::as_slice)
    }

    /// The latest block's estimate.
    pub fn after(&self) -> &[f32] {
        self.estimates.last().map_or(&[], Vec::as_slice)
    }

    /// The number of units of the stage's estimates.
    pub fn units(&self) -> usize {
        self.after().len() / self.labels.len().max(1)
    }

    /// Whether each position of a sample counts; `None` where all do.
    pub fn mask_of(&self, sample: usize) -> Option<&[bool]> {
        self.mask.as_ref().map(|mask| mask.row(sample))
    }

    /// Whether any position of a sample counts.
    pub fn has_positions(&self, sample: usize) -> bool {
        self.mask_of(sample).is_none_or(|mask| mask.contains(&true))
    }

    /// The latest block's estimate of a sample, averaged for each channel over the positions that count.
    pub fn channel_means(&self, sample: usize) -> impl Iterator<Item = f32> + '_ {
        let units = self.units();
        let counted = self.mask_of(sample).map(|mask| mask.iter().filter(|counts| **counts).count() as f64);
        let row = &self.after()[sample * units..(sample + 1) * units];
        row.chunks_exact(units / self.channels.max(1)).map(move |channel| {
            let sum: f64 = channel.iter().map(|&v| f64::from(v)).sum();
            (sum / counted.unwrap_or(channel.len() as f64)) as f32
        })
    }

    /// The units of one sample of an estimate; empty where it has another shape.
    pub fn row(&self, estimate: usize, sample: usize) -> &[f32] {
        let units = self.units();
        self.estimates[estimate].get(sample * units..(sample + 1) * units).unwrap_or(&[])
    }
}

/// The activations inside the latest block. Values are fetched when a probe first asks for them.
pub struct BlockView<'a> {
    /// The block.
    pub id: BlockId,
    /// Its wiring.
    pub wiring: Wiring,
    /// The estimates of its stage, the block's own included.
    pub stage: &'a StageActivations,
    source: &'a dyn Fn(Value) -> Option<(Vec<f32>, usize)>,
    fetched: [OnceCell<Fetched>; 3],
    residual: OnceCell<Vec<f32>>,
}

/// The values that were fetched and their channels, where the block has them.
type Fetched = Option<(Vec<f32>, usize)>;

/// A value inside a block.
#[derive(Clone, Copy)]
pub(super) enum Value {
    New,
    Transform,
    Carry,
}

/// Returns a function that fetches the values inside a block from the network.
pub(super) fn values_of<'a, N: Network>(
    network: &'a N,
    activations: &'a BlockActivations<N::Estimate>,
) -> impl Fn(Value) -> Option<(Vec<f32>, usize)> + 'a {
    let values = |estimate| masked_values(network, estimate).0;
    move |value| match value {
        Value::New => Some(values(&activations.h)),
        Value::Transform => activations.transform.as_ref().map(values),
        Value::Carry => activations.carry.as_ref().map(values),
    }
}

/// Returns the values of an estimate and its channels, with zeros at masked positions, and the mask.
pub(super) fn masked_values<N: Network>(
    network: &N,
    estimate: &N::Estimate,
) -> ((Vec<f32>, usize), Option<PositionMask>) {
    let (mut values, channels) = network.values(estimate);
    let mask = network.position_mask(estimate);
    if let Some(mask) = &mask {
        mask.apply(&mut values);
    }
    ((values, channels), mask)
}

impl<'a> BlockView<'a> {
    pub(super) fn new(
        id: BlockId,
        wiring: Wiring,
        stage: &'a StageActivations,
        source: &'a dyn Fn(Value) -> Option<(Vec<f32>, usize)>,
    ) -> Self {
        Self { id, wiring, stage, source, fetched: Default::default(), residual: OnceCell::new() }
    }

    fn fetch(&self, value: Value) -> Option<(&[f32], usize)> {
        let fetched = self.fetched[value as usize].get_or_init(|| (self.source)(value));
        fetched.as_ref().map(|(values, channels)| (values.as_slice(), *channels))
    }

    /// The new value `h`, `[batch, units]`, row-major.
    pub fn new_value(&self) -> &[f32] {
        self.fetch(Value::New).map_or(&[], |(values, _)| values)
    }

    /// The transform gate `T`, `[batch, units]`, and its channels; `None` where the block has none.
    pub fn transform_gate(&self) -> Option<(&[f32], usize)> {
        self.fetch(Value::Transform)
    }

    /// The carry gate `C`, `[batch, units]`, and its channels; `None` where it is no gate of its own.
    pub fn carry_gate(&self) -> Option<(&[f32], usize)> {
        self.fetch(Value::Carry)
    }

    /// The residual `F = t·h + c·x - x`, `[batch, units]`; empty where the block changes the shape.
    pub fn residual(&self) -> &[f32] {
        self.residual.get_or_init(|| {
            let before = self.stage.before();
            if before.is_empty() {
                return Vec::new();
            }
            let h = self.new_value();
            let (transform, carry) = (self.transform_gate(), self.carry_gate());
            let at = |gate: Option<(&[f32], usize)>, i: usize| gate.map(|(values, _)| values[i]);
            (0..h.len()).map(|i| self.wiring.residual(h[i], at(transform, i), at(carry, i), before[i])).collect()
        })
    }
}

/// What the head made of a batch.
pub struct BatchOutputs<'a> {
    /// The place of every sample in the data set.
    pub samples: &'a [usize],
    /// The label of every sample.
    pub labels: &'a [u32],
    /// The outputs before the softmax.
    pub logits: &'a Logits,
}

/// Returns the inner product, summed in f64 along eight lanes so that it fills a vector register.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (whole, rest) = (a.chunks_exact(8).zip(b.chunks_exact(8)), a.len() / 8 * 8);
    for (a, b) in whole {
        for lane in 0..8 {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest = a[rest..].iter().zip(&b[rest..]).map(|(a, b)| f64::from(*a) * f64::from(*b));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}
