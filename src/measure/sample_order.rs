//! Which samples a pass takes, in which order, and how a shard's share of them is found.

use std::sync::Arc;

use super::EvalSet;
use crate::data::Shard;
use crate::nn::RecurrentState;
use crate::random::{Purpose, shuffle, stream};

/// The samples of one pass, in their order.
#[derive(Clone, Debug)]
pub(super) struct SampleList {
    /// Places in the data set.
    pub(super) samples: Arc<[usize]>,
    /// Batches hold whole multiples of this number, the last one aside.
    unit: usize,
    /// The number of streams that the samples form: sample `n` of the list continues sample `n - streams`.
    streams: usize,
}

impl SampleList {
    /// All samples in the data set's order.
    pub(super) fn all(data: &EvalSet) -> Self {
        let streams = data.dataset.streams();
        Self { samples: (0..data.len()).collect(), unit: streams, streams }
    }

    /// A shard's samples in the data set's order: a run of successive samples, or of a text some of the streams.
    pub(super) fn of_shard(data: &EvalSet, shard: Option<Shard>) -> Self {
        let all = Self::all(data);
        let Some(shard) = shard else { return all };
        if all.streams == 1 {
            return Self { samples: shard.range(data.len()).collect(), ..all };
        }
        let group = stream_group_size(data);
        all.of_streams(shard, group)
    }

    /// The samples of a shard in a random order, whole groups in every batch, and how many samples form a group. Within a
    /// group every sample takes something of the next one, the last one of the first.
    ///
    /// The samples of a text keep their order: neighbours are of different streams.
    pub(super) fn in_shuffled_groups(data: &EvalSet, seed: u64, shard: Option<Shard>) -> (Self, usize) {
        let all = Self::all(data);
        let shard = shard.unwrap_or(Shard { number: 1, of: 1 });
        if all.streams > 1 {
            let group = stream_group_size(data);
            return (all.of_streams(shard, group), group);
        }
        let group = group_size(data.len());
        let mut order: Vec<usize> = (0..data.len()).collect();
        shuffle(&mut stream(seed, Purpose::SampleOrder, &[0]), &mut order);
        let groups = shard.range(order.len().div_ceil(group));
        let end = (groups.end * group).min(order.len());
        let samples = order[(groups.start * group).min(end)..end].into();
        (Self { samples, unit: group, streams: 1 }, group)
    }

    /// A shard's streams, of which so many neighbours stay together.
    fn of_streams(&self, shard: Shard, together: usize) -> Self {
        let groups = shard.range(self.streams.div_ceil(together));
        let own = groups.start * together..(groups.end * together).min(self.streams);
        let samples = self.samples.iter().copied().filter(|sample| own.contains(&(sample % self.streams))).collect();
        Self { samples, unit: own.len().max(1), streams: own.len().max(1) }
    }

    /// The list without its first samples.
    pub(super) fn skip(&self, done: usize) -> Self {
        Self { samples: self.samples[done.min(self.samples.len())..].into(), ..*self }
    }

    /// The batch size next to a wanted one.
    pub(super) fn batch(&self, wanted: usize) -> usize {
        (wanted / self.unit).max(1) * self.unit
    }

    /// What a network carries before the first sample.
    pub(super) fn start_state(&self) -> RecurrentState {
        RecurrentState::new(self.streams)
    }
}

/// The number of samples that form a group; the last group is never a single sample.
fn group_size(samples: usize) -> usize {
    (8..=16).find(|group| samples % group != 1).unwrap_or(8)
}

/// The number of neighbouring streams of a text that form a group.
fn stream_group_size(data: &EvalSet) -> usize {
    let streams = data.dataset.streams();
    let is_usable = |group: &usize| *group > 1 && streams.is_multiple_of(*group) && data.len() % group != 1;
    [streams / 4, streams / 2, streams].into_iter().find(is_usable).unwrap_or(streams)
}
