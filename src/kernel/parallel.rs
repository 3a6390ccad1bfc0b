//! Sharing work between threads.

use std::ops::Range;

use rayon::prelude::*;

use super::tuning::MIN_SHARE;

/// Calls `work` with equal ranges of `0..count`, each on a thread of its own, and returns the results in order.
///
/// `cost` is the number of multiply-adds of one item, or of what takes as long. Little work stays on one thread. The ranges
/// depend only on the work and on the number of threads, so that sums over them are the same in every run.
pub(crate) fn parallel<T: Send>(count: usize, cost: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    parallel_chunks(count, cost, (), |range, ()| work(range))
}

/// As [`parallel`], and hands each call the part of `outputs` that belongs to its range.
pub(crate) fn parallel_chunks<O: SplitItems, T: Send>(
    count: usize,
    cost: usize,
    mut outputs: O,
    work: impl Fn(Range<usize>, O) -> T + Sync,
) -> Vec<T> {
    let worthwhile = (count.saturating_mul(cost) / MIN_SHARE).max(1);
    let threads = rayon::current_num_threads().min(worthwhile).clamp(1, count.max(1));
    if threads == 1 {
        return vec![work(0..count, outputs)];
    }
    let mut shares = Vec::with_capacity(threads);
    for thread in 0..threads {
        let range = count * thread / threads..count * (thread + 1) / threads;
        let (output, rest) = outputs.split_items(range.len());
        outputs = rest;
        shares.push((range, output));
    }
    shares.into_par_iter().with_max_len(1).map(|(range, output)| work(range, output)).collect()
}

/// Outputs of a number of items, which can be split between threads.
pub(crate) trait SplitItems: Send + Sized {
    /// Returns the outputs of the first `count` items, and those of the others.
    fn split_items(self, count: usize) -> (Self, Self);
}

/// No output.
impl SplitItems for () {
    fn split_items(self, _: usize) -> (Self, Self) {
        ((), ())
    }
}

/// A slice in which every item has the same number of values. The last item may have fewer.
pub(crate) struct Chunks<'a, V> {
    pub values: &'a mut [V],
    /// Values of an item.
    pub size: usize,
}

impl<'a, V> Chunks<'a, V> {
    pub(crate) fn new(values: &'a mut [V], size: usize) -> Self {
        Self { values, size }
    }
}

impl<V: Send> SplitItems for Chunks<'_, V> {
    fn split_items(self, count: usize) -> (Self, Self) {
        let Self { values, size } = self;
        let (first, rest) = values.split_at_mut((count * size).min(values.len()));
        (Self { values: first, size }, Self { values: rest, size })
    }
}

impl<O: SplitItems> SplitItems for Option<O> {
    fn split_items(self, count: usize) -> (Self, Self) {
        self.map(|output| output.split_items(count)).unzip()
    }
}

impl<O: SplitItems, const N: usize> SplitItems for [O; N] {
    fn split_items(self, count: usize) -> (Self, Self) {
        let mut rest = Vec::with_capacity(N);
        let first = self.map(|output| {
            let (first, other) = output.split_items(count);
            rest.push(other);
            first
        });
        (first, rest.try_into().unwrap_or_else(|_| unreachable!("as many as there are outputs")))
    }
}

/// Rows that are all split at the same item, such as images that threads share by channels.
impl<O: SplitItems> SplitItems for Vec<O> {
    fn split_items(self, count: usize) -> (Self, Self) {
        self.into_iter().map(|output| output.split_items(count)).unzip()
    }
}

impl<A: SplitItems, B: SplitItems> SplitItems for (A, B) {
    fn split_items(self, count: usize) -> (Self, Self) {
        let ((a, rest_a), (b, rest_b)) = (self.0.split_items(count), self.1.split_items(count));
        ((a, b), (rest_a, rest_b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_written_by_the_thread_it_belongs_to() {
        for count in [0, 1, 7, 100] {
            let (mut values, mut rows) = (vec![0; 3 * count], vec![vec![0; 2 * count]; 2]);
            // The last row is short.
            rows[1].truncate((2 * count).saturating_sub(3));
            let outputs = (
                [Some(Chunks::new(&mut values, 3)), None],
                rows.iter_mut().map(|row| Chunks::new(row, 2)).collect::<Vec<_>>(),
            );
            let ranges = parallel_chunks(count, MIN_SHARE, outputs, |range, ([values, none], rows)| {
                assert!(none.is_none());
                let values = values.expect("an output").values;
                assert_eq!(values.len(), 3 * range.len());
                for (item, values) in range.clone().zip(values.chunks_mut(3)) {
                    values.fill(item + 1);
                }
                for row in rows {
                    for (item, values) in range.clone().zip(row.values.chunks_mut(2)) {
                        values.fill(item + 1);
                    }
                }
                range
            });
            assert!(ranges.iter().cloned().flatten().eq(0..count));
            assert!(values.iter().enumerate().all(|(i, &value)| value == i / 3 + 1));
            assert!(rows.iter().all(|row| row.iter().enumerate().all(|(i, &value)| value == i / 2 + 1)));
        }
    }
}
